//! `replay`: the log folded again beside the stores, what differs from the changelog, and the resyncs that mend it.

mod apply;
mod command;
mod from_file;
mod from_topic;
mod plan;
mod progress_file;
mod text;

pub use command::{Args, execute};
