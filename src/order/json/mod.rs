//! JSON as the contract needs it: a tree that borrows, a strict parser, the merge patch and the compact text.

mod merge;
mod parse;
mod tree;
mod write;

pub use merge::merge;
pub use parse::NESTING_MAX;
pub(in crate::order) use parse::{MemberValue, Scratch};
pub use tree::{INTEGER_MAX, Json, Member};
pub use write::{TextOut, write_string};
