//! What the commands that change something have in common: how they are given, told, and waited for.

mod giver;
mod options;
mod outcome;

pub use options::Give;

pub(in crate::cli) use giver::{Given, Giver, Limits};
pub(in crate::cli) use options::why;
