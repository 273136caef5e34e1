//! The operational events, one type each: `emit` writes the log line and counts, so that neither is forgotten.
//!
//! Levels: ERROR when a person must act, WARN when something was lost time or is set aside, INFO for changes of state,
//! DEBUG for what is normal. Messages are constant, facts are fields. No field can hold an `open_id`, a token or a
//! secret; texts from outside are named for what they are and carry no customer data.

mod broker;
mod changelog;
mod command;
mod delivery;
mod intake;
mod partition;
mod token;
mod worker;

pub use broker::{LettersLost, TopicCreated, TopicFitsBadly, WaitingForKafka};
pub use changelog::{
    CacheForgotten, CacheNotWritten, CommitUnknown, MembershipDoubted, RestoreProgress, RestoreWaits, Restored,
    StoreSetAside, TombstonesAssumed,
};
pub use command::{AppPaused, AppResumed, CommandExecuted, CommandUnreadable, CommandsAnew};
pub use delivery::{
    AppSuspended, CircuitClosed, CircuitHalfOpened, CircuitOpened, DeadLettered, RejectStorm, TokenAway, TokenFetched,
    TokenRefused,
};
pub use intake::{CommitFailed, IntakePaused, IntakeResumed, ShareOwed};
pub use partition::{
    OwedByUnknownApp, OwedOfUnreadTopic, PartitionAssigned, PartitionRevoked, RetentionPass, StoreKnowsNothing,
    UnitChanged,
};
pub use token::{
    TokenNotTaken, TokenRecordIgnored, TokenRecordOld, TokenResult, TokenShared, TokenTopicBack, TokenTopicGone,
};
pub use worker::{ShutdownFinished, ShutdownStarted, WorkerFailed, WorkerStarted};
