//! What the commit by transactions and the restore ask of the edges: the changelog, and a store that is its cache.
//!
//! All of it waits and is called from threads of its own, never from the engine's.

use std::sync::Arc;
use std::time::Duration;

use super::changelog::{ChangelogRecord, LetterStatus};
use super::command::CommandDone;
use super::commit::CutPart;
use super::letter::Letter;
use super::owed::{Owed, OwedKey};
use super::ports::{Closed, OrderCount, PortError, Position, StateReader};
use crate::order::{Identity, OrderState};
use crate::record::{NextOffset, RecordOffset, TopicPartition};

/// Everything of one commit, to be written by one transaction.
#[derive(Debug, Default)]
pub struct Transaction {
    /// The partitions that it is written for, never empty: the records that each part of a cut becomes go to the changelog
    /// partition of the source's number, and the group is told the offset of each, changed or not.
    pub parts: Vec<CutPart>,
    /// The dead letters.
    pub letters: Vec<Letter>,
    /// How far the changelog reaches at least, of the parts of which that is known.
    pub behind: Vec<Receipt>,
}

/// A transaction has not succeeded for certain.
#[derive(Debug, thiserror::Error)]
pub enum TransactError {
    /// Nothing of it is there, and nothing will be.
    #[error(transparent)]
    Aborted(#[from] PortError),
    /// It was to be committed, and the answer is neither yes nor no.
    #[error("{0}")]
    Unknown(String),
}

/// Where the changelog stands behind a partition's last record, once its transaction is committed.
pub type Receipt = (TopicPartition, NextOffset);

/// The transactions of this worker, one at a time.
pub trait TransactionLog: Send {
    /// Nothing is asked of it for a while. What its clients were told meanwhile is taken in, so that it does not pile up.
    fn rest(&mut self) {}
    /// Writes records, letters and the offset of every part in one transaction, and commits it. Refused where a part's
    /// partition is not owned in its epoch, and where the changelog is found to end before it was known to reach: that is
    /// another log, and nothing of this may be the first that it holds. A partition whose end is not told has no receipt.
    fn transact(&mut self, transaction: &Transaction) -> Result<Vec<Receipt>, TransactError>;
    /// Begins anew: afterwards every earlier transaction of this worker is either committed or aborted.
    fn recover(&mut self) -> Result<(), PortError>;
}

/// How far a partition of the changelog reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangelogExtent {
    /// The oldest offset that it still has.
    pub low: NextOffset,
    /// Its high watermark: behind it nothing was written yet, committed or not.
    pub high: NextOffset,
}

/// Reads the changelog, and the group's offsets.
pub trait ChangelogSource: Send {
    /// The group's committed offset of a source partition, with no transaction under way that would change it;
    /// `None` where there is none.
    fn committed(&mut self, source: &TopicPartition) -> Result<Option<NextOffset>, PortError>;
    /// How far the changelog partition reaches, uncommitted records included.
    fn extent(&mut self, partition: i32) -> Result<ChangelogExtent, PortError>;
    /// Visits the committed records from `from` on, up to where they are decided just now: everything committed before that
    /// place was visited. An open transaction holds it back. It does not go on for long, and where nothing more comes for a
    /// while, it pauses behind what has come; where nothing has come at all, that is an error. An error of `visit` ends it.
    fn read(
        &mut self,
        partition: i32,
        from: NextOffset,
        visit: &mut dyn FnMut(&ChangelogRecord) -> Result<(), PortError>,
    ) -> Result<ReadTo, PortError>;
    /// Nothing is read for a while: what was fetched ahead of the last reading is let go, and what its clients were told meanwhile
    /// is taken in, so that it does not pile up.
    fn rest(&mut self) {}

    /// Reads on through all pauses, and returns the place up to which everything is decided.
    fn read_through(
        &mut self,
        partition: i32,
        from: NextOffset,
        visit: &mut dyn FnMut(&ChangelogRecord) -> Result<(), PortError>,
    ) -> Result<NextOffset, PortError> {
        let mut at = from;
        loop {
            match self.read(partition, at, visit)? {
                ReadTo::End(end) => return Ok(end),
                ReadTo::Part(so_far) | ReadTo::Pause(so_far, _) => at = so_far,
            }
        }
    }
}

/// How far a read of the changelog has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadTo {
    /// As far as everything is decided.
    End(NextOffset),
    /// So far, and there is more: asked for it next, the reader goes on at once.
    Part(NextOffset),
    /// So far, and then nothing came for a while: why.
    Pause(NextOffset, String),
}

/// Where in the changelog a store stands with one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything before it in the changelog is in the store.
    pub changelog: NextOffset,
    /// Wall clock of the writing, milliseconds since the epoch: tombstones older than their retention are gone.
    pub written_ms: i64,
}

/// What a cache is given of one partition; applied together or not at all.
#[derive(Clone, Debug)]
pub struct CacheWrite {
    /// The source partition.
    pub source: TopicPartition,
    /// The changed states, each order once; `None` removes one.
    pub states: Vec<(Identity, Option<Arc<OrderState>>)>,
    /// The debts; one that is there already is replaced.
    pub owed: Vec<(OwedKey, Owed)>,
    /// Debts that are settled; they need not be there.
    pub settled: Vec<OwedKey>,
    /// The changed statuses of dead letters; `None` removes one.
    pub letters: Vec<(RecordOffset, Option<LetterStatus>)>,
    /// What commands came to, by their ids.
    pub commands: Vec<(Box<str>, CommandDone)>,
    /// Where the partition stands, where that is known.
    pub position: Option<Position>,
    /// Where in the changelog the store stands afterwards; `None` keeps what it had.
    pub checkpoint: Option<Checkpoint>,
}

/// A store as a cache of the changelog: it may be behind, never ahead.
pub trait CacheStore: StateReader + OrderCount {
    /// Where it stands; `None` for a partition that it does not hold, or holds in part only.
    fn checkpoint(&self, source: &TopicPartition) -> Result<Option<Checkpoint>, PortError>;
    /// Forgets everything of the partition.
    fn forget(&self, source: &TopicPartition) -> Result<(), PortError>;
    /// Applies the writes, and returns when they are on disk.
    fn write(&self, writes: Vec<CacheWrite>) -> Result<(), PortError>;
    /// Takes what a restore has read. A crash may leave any part of it, under the checkpoint that was there before: so a
    /// restore that begins again reads all of it once more. It is on disk afterwards where it has a checkpoint.
    fn fill(&self, write: CacheWrite) -> Result<(), PortError> {
        self.write(vec![write])
    }
}

/// Lets a thread wait, unless the worker ends.
pub trait Patience: Send {
    /// Waits so long; `Err` at once when the worker ends.
    fn pause(&self, wait: Duration) -> Result<(), Closed>;
    /// The wall clock, milliseconds since the epoch.
    fn wall_ms(&self) -> i64;
}
