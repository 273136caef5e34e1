//! The group's consumer: a thread of its own reads partitions, serves rebalances and tells the engine.

mod bell;
mod context;
mod deliver;
mod group;
mod handle;
pub(super) mod lookup;
mod partition;
mod shared;
mod start;
mod starting;
mod watch;
mod worker;

pub use handle::Consumer;
pub use shared::{GroupCommits, IntakeControl};
