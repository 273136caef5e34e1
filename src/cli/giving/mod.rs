//! What the commands that change something have in common: how they are given, told, and waited for.

mod giver;
mod options;
mod outcome;
mod waiting;

pub use options::{Give, GiveMany};

pub(in crate::cli) use giver::{Given, Giver, Round};
pub(in crate::cli) use options::why;
pub(in crate::cli) use waiting::waiting;
