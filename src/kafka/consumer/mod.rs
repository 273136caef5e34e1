//! The group's consumer: a thread of its own reads partitions, serves rebalances and tells the engine.

mod alone;
mod bell;
mod context;
mod deliver;
mod fence;
mod group;
mod handle;
mod keying;
pub(super) mod lookup;
mod missing;
mod partition;
mod passing;
mod shared;
mod silence;
pub(in crate::kafka) mod start;
mod starting;
mod topic_ids;
mod unread;
mod watch;
mod worker;

pub(super) use fence::Fence;
pub use fence::GroupFence;
pub(super) use group::ENGINE_GRACE;
pub use handle::Consumer;
pub use shared::{GroupCommits, IntakeControl};
pub use silence::GroupMembership;
pub(super) use topic_ids::CONTEXT as TOPIC_ID_CONTEXT;
