//! What the engine asks of the edges: small traits; what they send back is [`Input`].
//!
//! Every port that waits is blocking and is called from the commit thread or says so; the engine thread itself only
//! calls what answers at once.

use std::sync::Arc;

use bytes::Bytes;

use super::changelog::LetterStatus;
use super::command::CommandDone;
pub use super::input::Input;
use super::last_record::LastRecord;
use super::letter::Letter;
use super::owed::{Owed, OwedKey};
pub use super::port_error::{By, PortError};
pub use super::position::Position;
use super::statuses::OpenLetters;
use super::units::Units;
use crate::order::{AppId, Identity, OrderState};
use crate::record::{NextOffset, Record, RecordOffset, TopicPartition};

/// Counts assignments of this process: work of an older epoch is dropped wherever it turns up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

/// Names one attempt of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Names one fetched token of an app, counting from 1; the token itself never leaves the HTTP edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TokenGeneration(pub u64);

/// Who fetched a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFrom {
    /// This worker, from where tokens are given out.
    Platform,
    /// Another worker of the group, which shared it.
    Group,
    /// This worker, from a file or a server of the company's own.
    Company {
        /// Whether its text is another one than before.
        is_other: bool,
    },
}

/// Everything of one partition that one commit makes durable together.
#[derive(Clone, Debug)]
pub struct PartitionCut {
    /// The source partition.
    pub source: TopicPartition,
    /// The changed states; each order once.
    pub states: Vec<(Identity, Arc<OrderState>)>,
    /// The new debts.
    pub owed: Vec<(OwedKey, Owed)>,
    /// The debts that are settled: accepted or dead-lettered.
    pub settled: Vec<OwedKey>,
    /// The changed statuses of dead letters; `None` removes one.
    pub letters: Vec<(RecordOffset, Option<LetterStatus>)>,
    /// The orders that leave.
    pub removed: Vec<Identity>,
    /// Where the partition stands after this cut.
    pub position: Position,
}

/// What the store knows without being asked about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwedEntry {
    /// Offset of the record it belongs to.
    pub offset: i64,
    /// Length of the request in bytes.
    pub request_bytes: usize,
    /// The record's timestamp, milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
}

/// Reads committed cuts. Called from the engine thread: it answers from cache or one disk read.
pub trait StateReader: Send + Sync {
    /// Where the partition stands; `None` for a partition that this store has never seen.
    fn position(&self, source: &TopicPartition) -> Result<Option<Position>, PortError>;
    /// The order's state.
    fn state(&self, source: &TopicPartition, identity: &Identity) -> Result<Option<Arc<OrderState>>, PortError>;
    /// Calls `visit` for every owed delivery of the partition, in whatever order they lie.
    fn scan_owed(&self, source: &TopicPartition, visit: &mut dyn FnMut(OwedKey, OwedEntry)) -> Result<(), PortError>;
    /// One owed delivery, when its turn comes.
    fn owed(&self, source: &TopicPartition, key: &OwedKey) -> Result<Option<Owed>, PortError>;
    /// The status of the dead letter of the record at `offset`.
    fn letter(&self, source: &TopicPartition, offset: RecordOffset) -> Result<Option<LetterStatus>, PortError>;
    /// The open letters of an order. Asked at every acceptance: an order that has none costs no look at the disk.
    fn open_letters(&self, source: &TopicPartition, identity: &Identity) -> Result<OpenLetters, PortError>;
    /// How many letters of the partition are open.
    fn open_letter_count(&self, source: &TopicPartition) -> Result<u64, PortError>;
    /// What the command with this id came to; `None` where none was executed.
    fn command(&self, source: &TopicPartition, id: &str) -> Result<Option<CommandDone>, PortError>;
}

/// Says how much is held.
pub trait OrderCount {
    /// How many orders the store holds, of all partitions.
    fn orders(&self) -> Result<u64, PortError>;
}

/// Writes committed cuts. Called from the commit thread.
pub trait StateWriter: OrderCount + Send {
    /// Applies every cut (each atomically) and returns when all are on disk.
    fn commit(&mut self, cuts: &[PartitionCut]) -> Result<(), PortError>;
}

/// The apps' units, remembered by the store.
pub trait UnitLedger: Send {
    /// Checks the configured units against the stamps in the store, and remembers them. A change that would make a
    /// stamp go back (milliseconds to seconds, where one in milliseconds is there) is refused with words. Gives back the
    /// units that were remembered.
    fn agree_units(&mut self, units: &Units) -> Result<Units, PortError>;
}

/// Writes dead letters. Called from the commit thread.
pub trait DeadLetterSink: Send {
    /// Nothing is asked of it for a while. What its clients were told meanwhile is taken in, so that it does not pile up.
    fn rest(&mut self) {}
    /// Returns when every letter is acknowledged by the broker (all in-sync replicas).
    fn write(&mut self, letters: Vec<Letter>) -> Result<(), PortError>;
}

/// Reads single records of a source topic again. Called from the commit thread.
pub trait SourceReader: Send {
    /// Nothing is asked of it for a while. What its clients were told meanwhile is taken in, so that it does not pile up.
    fn rest(&mut self) {}
    /// The record at `offset`; `None` where retention or compaction has taken it.
    fn read(&mut self, source: &TopicPartition, offset: RecordOffset) -> Result<Option<Record>, PortError>;
    /// Whether no record stands at or behind `next` (the last offsets may be transaction markers).
    fn is_at_end(&mut self, source: &TopicPartition, next: NextOffset) -> Result<bool, PortError>;
}

/// Tells the consumer group where we stand; a courtesy, as the store's position decides. Never waits.
pub trait OffsetCommits: Send {
    /// Commits the positions in the background; a failure is logged by the edge.
    fn commit(&mut self, positions: &[(TopicPartition, NextOffset)]);
}

/// Holds intake back. Never waits; called from the engine thread.
pub trait Intake: Send {
    /// Deliver no more records of these partitions until resumed. Records already on their way may still come.
    fn pause(&mut self, sources: &[TopicPartition]);
    /// A partition that is restored is to be read from here on. Without effect where its assignment is over.
    fn begin(&mut self, epoch: Epoch, source: &TopicPartition, start: StartAt);
    /// Go on.
    fn resume(&mut self, sources: &[TopicPartition]);
}

/// Whether the group may have given our partitions away without our having noticed. Never waits; called from the engine
/// thread.
pub trait Membership: Send {
    /// Nobody has polled for more than half the session: true from then on, until the doubt is taken up.
    fn is_in_doubt(&self) -> bool;
    /// A commit begins that is to prove that we are a member: of a silence from here on it proves nothing.
    fn take_up(&mut self);
}

/// Restores partitions from the changelog. Never waits; called from the engine thread.
pub trait Restorer: Send {
    /// Brings the store up to the changelog's end; the answer comes as [`Input::Restored`].
    fn begin(&mut self, epoch: Epoch, source: &TopicPartition);
    /// The partition has left: its restore is not needed any more.
    fn cancel(&mut self, source: &TopicPartition);
}

/// Starts attempts. Never waits; called from the engine thread.
pub trait Attempts: Send {
    /// Sends one request with the app's current token; the answer comes as [`Input::Attempted`].
    fn start(&mut self, attempt: AttemptStart);
    /// Sees to a token for the app that is newer than the one held (0: none); the answer comes as
    /// [`Input::TokenFetched`], or as [`Input::TokenRefused`]. The engine asks for one at a time per app; tokens may
    /// come unasked, too.
    fn fetch_token(&mut self, app_id: &AppId, held: TokenGeneration);
}

/// One attempt.
#[derive(Clone, Debug)]
pub struct AttemptStart {
    /// Names it in the answer.
    pub ticket: Ticket,
    /// Whose token, whose limits.
    pub app_id: AppId,
    /// The request without the token.
    pub request: Bytes,
}

/// A partition that the group gave to this worker.
#[derive(Clone, Debug)]
pub struct Assigned {
    /// The source partition.
    pub source: TopicPartition,
    /// How many partitions its topic has: a record without a key is only legal in a topic of one.
    pub partitions_of_topic: i32,
    /// How many all source topics of the group have, as far as is known: what share of them this worker has decides how
    /// many failing orders are many.
    pub partitions_of_group: usize,
}

/// Where a partition is to be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// The store's position, of which nothing else is known.
    Position(NextOffset),
    /// The store's position, behind this record: another one at its offset is another topic.
    Behind(NextOffset, LastRecord),
    /// Nobody has ever committed anything for it: `kafka.start_from` decides.
    Fresh,
    /// It is being restored; [`Intake::begin`] will say.
    Later,
}

impl StartAt {
    /// The store's position, where there is one.
    pub fn position(self) -> Option<NextOffset> {
        match self {
            Self::Position(next) | Self::Behind(next, _) => Some(next),
            Self::Fresh | Self::Later => None,
        }
    }
}

/// Carries inputs to the engine: a bounded queue behind it.
pub trait Inbox: Send + Sync {
    /// Waits while the queue is full. The engine never waits for a sender, so this ends; `Err` once it is gone.
    fn send(&self, input: Input) -> Result<(), Closed>;
}

/// The engine has ended; nothing more is to be told to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has ended")]
pub struct Closed;
