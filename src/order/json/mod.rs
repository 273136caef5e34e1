//! JSON as the contract needs it: a tree that borrows, a strict parser, the merge patch and the compact text.

mod merge;
mod parse;
mod tree;
mod write;

pub use merge::merge;
pub use parse::NESTING_MAX;
pub use tree::{INTEGER_MAX, Json};
pub use write::{TextOut, write_string};
