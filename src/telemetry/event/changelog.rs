//! The changelog and the store as its cache: commits in doubt, restores, stores that are rebuilt.

use std::path::Path;
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::record::{NextOffset, TopicPartition};

/// A commit answered neither yes nor no, or the question what became of it did.
#[derive(Debug)]
pub struct CommitUnknown<'a> {
    /// What happened.
    pub error: &'a str,
}

impl CommitUnknown<'_> {
    /// Says so.
    pub fn emit(self) {
        warn!(error = self.error, "the outcome of a commit is not known yet; nothing of it is delivered until it is");
    }
}

/// This worker was silent for so long that the group may have given its partitions away.
#[derive(Debug)]
pub struct MembershipDoubted;

impl MembershipDoubted {
    /// Says so.
    pub fn emit(self) {
        warn!(
            "this worker was silent for half its session; nothing is pushed until a commit proves that it is a member"
        );
    }
}

/// The store did not take what is committed.
#[derive(Debug)]
pub struct CacheNotWritten<'a> {
    /// Why.
    pub error: &'a str,
}

impl CacheNotWritten<'_> {
    /// Says so.
    pub fn emit(self) {
        warn!(error = self.error, "the store was not written at the end; the next start reads it from the changelog");
    }
}

/// What the store holds of a partition cannot be gone on from; the changelog has everything.
#[derive(Debug)]
pub struct CacheForgotten<'a> {
    /// Which partition.
    pub source: &'a TopicPartition,
    /// Why.
    pub reason: &'a str,
}

impl CacheForgotten<'_> {
    /// Says so.
    pub fn emit(self) {
        info!(
            topic = %self.source.topic,
            partition = self.source.partition,
            reason = self.reason,
            "the store does not have this partition; it is rebuilt from the changelog"
        );
    }
}

/// The brokers do not tell how long the changelog keeps tombstones.
#[derive(Debug)]
pub struct TombstonesAssumed<'a> {
    /// Why not.
    pub reason: &'a str,
}

impl TombstonesAssumed<'_> {
    /// Says so.
    pub fn emit(self) {
        debug!(reason = self.reason, "the changelog is taken to keep tombstones for as long as order-sync makes it");
    }
}

/// A store that cannot be read was moved out of the way; the changelog has everything.
#[derive(Debug)]
pub struct StoreSetAside<'a> {
    /// Where it lies now.
    pub to: &'a Path,
    /// What was wrong.
    pub reason: &'a str,
}

impl StoreSetAside<'_> {
    /// Says so.
    pub fn emit(self) {
        warn!(
            to = %self.to.display(),
            reason = self.reason,
            "the store could not be read and was moved aside; a new one is rebuilt from the changelog"
        );
    }
}

/// A restore waits or goes on.
#[derive(Debug)]
pub struct RestoreProgress<'a> {
    /// Which partition.
    pub source: &'a TopicPartition,
    /// How far the changelog is read.
    pub at: NextOffset,
    /// How far it has to be read.
    pub until: NextOffset,
    /// Orders that were read so far.
    pub orders: u64,
}

impl RestoreProgress<'_> {
    /// Says so.
    pub fn emit(self) {
        info!(
            topic = %self.source.topic,
            partition = self.source.partition,
            at = self.at.get(),
            until = self.until.get(),
            orders = self.orders,
            "restoring a partition from the changelog"
        );
    }
}

/// A restore cannot go on just now.
#[derive(Debug)]
pub struct RestoreWaits<'a> {
    /// Which partition.
    pub source: &'a TopicPartition,
    /// What it waits for.
    pub reason: &'a str,
}

impl RestoreWaits<'_> {
    /// Says so.
    pub fn emit(self) {
        info!(
            topic = %self.source.topic,
            partition = self.source.partition,
            reason = self.reason,
            "a restore waits"
        );
    }
}

/// A partition is as the changelog says.
#[derive(Debug)]
pub struct Restored<'a> {
    /// Which partition.
    pub source: &'a TopicPartition,
    /// Orders that were read.
    pub orders: u64,
    /// How long it took, waiting included.
    pub took: Duration,
}

impl Restored<'_> {
    /// Says so.
    pub fn emit(self) {
        info!(
            topic = %self.source.topic,
            partition = self.source.partition,
            orders = self.orders,
            took_ms = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "a partition is restored from the changelog"
        );
    }
}
