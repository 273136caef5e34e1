//! Folding a range of the log again beside the stores, and what that says of each order against what the changelog holds.

mod beside;
mod compare;
mod course;
mod document;
mod file;
mod findings;
mod held;
mod partition;
mod requests;
mod verdict;

#[cfg(test)]
mod replay_tests;

pub use beside::ReplayRules;
pub use document::Difference;
pub use file::{Against, FileFold, FileFull};
pub use held::{Held, read_held};
pub use partition::{Range, replay_partition};
pub use verdict::{Differs, Finding, Looks, Never, Tally, Unknown, Verdict, Will};
