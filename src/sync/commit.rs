//! The commit: what a cut is, who makes it durable, and the thread on which that happens, so that folding and delivering
//! go on meanwhile.
//!
//! Here is the commit without transactions: letters acknowledged, then one batch on disk, then the group is told. That by
//! a transaction is in `log_commit.rs`.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::changelog::SettingsFrom;
use super::dead_letter::DeadLetter;
use super::letter::{Letter, Origin};
use super::overlay::Layer;
use super::ports::{
    DeadLetterSink, Epoch, Inbox, Input, OffsetCommits, PartitionCut, PortError, Position, SourceReader, StateWriter,
};
use crate::record::{NextOffset, TopicPartition};
use crate::telemetry::Meters;

/// One consistent cut: per partition everything up to the same record.
#[derive(Clone, Debug, Default)]
pub struct CommitCut {
    /// The partitions that changed.
    pub parts: Vec<CutPart>,
}

/// The part of one partition in a cut.
#[derive(Clone, Debug)]
pub struct CutPart {
    /// The source partition.
    pub source: TopicPartition,
    /// The assignment that it belongs to: a commit holds nothing of a partition that has left since.
    pub epoch: Epoch,
    /// What changed.
    pub layer: Arc<Layer>,
    /// Where the partition stands after it.
    pub position: Position,
    /// By which settings this and what follows is folded, where they were others before.
    pub settings: Option<SettingsFrom>,
}

/// Takes cuts from the engine. Never waits; one cut at a time.
pub trait CommitQueue: Send {
    /// Starts a commit; the answer comes as [`Input::Committed`].
    fn begin(&mut self, cut: CommitCut);
    /// Asks whether any record stands at or behind `next`; the answer comes as [`Input::EndProbed`].
    fn probe_end(&mut self, source: TopicPartition, next: NextOffset);
}

/// Makes cuts durable. Called from the commit thread; waits.
pub trait CutCommit: Send {
    /// Makes the cut durable as a whole, or changes nothing that a reader would see.
    fn commit(&mut self, cut: &CommitCut) -> Result<(), PortError>;
    /// Whether no record of the source stands at or behind `next`.
    fn is_at_end(&mut self, source: &TopicPartition, next: NextOffset) -> Result<bool, PortError>;
    /// Nothing is asked of it for a while. What its clients were told meanwhile is taken in, so that it does not pile up.
    fn rest(&mut self) {}
    /// The worker ends; nothing more comes.
    fn close(&mut self);
}

/// Turns the dead letters of a cut into records.
pub struct LetterDesk {
    /// The source topics, for the original records of rejected deliveries.
    pub source: Box<dyn SourceReader>,
    /// What a letter says of its writer.
    pub origin: Origin,
}

impl LetterDesk {
    /// The letters of the cut as records.
    pub fn letters(&mut self, cut: &CommitCut) -> Result<Vec<Letter>, PortError> {
        let mut letters = Vec::new();
        for letter in cut.parts.iter().flat_map(|part| part.layer.letters()) {
            letters.push(self.with_record(letter.clone())?.into_letter(&self.origin));
        }
        Ok(letters)
    }

    /// A delivery's letter has no record at hand: it is read again from the source.
    fn with_record(&mut self, mut letter: DeadLetter) -> Result<DeadLetter, PortError> {
        if letter.record.is_none() {
            if !super::owed::is_gone(letter.offset.get()) {
                letter.record = self.source.read(&letter.source, letter.offset)?;
            }
            if letter.record.is_none() {
                letter.message.push_str("; the original record is no longer in the source topic, the request is below");
            }
        }
        Ok(letter)
    }
}

/// The commit without transactions.
pub struct LocalCommit {
    /// The store.
    pub writer: Box<dyn StateWriter>,
    /// The dead-letter topic.
    pub sink: Box<dyn DeadLetterSink>,
    /// Makes the letters.
    pub letters: LetterDesk,
    /// The group.
    pub offsets: Box<dyn OffsetCommits>,
    /// Is told how many orders the store holds.
    pub meters: Meters,
}

impl CutCommit for LocalCommit {
    /// Makes the cut durable, in the order that the promises need.
    fn commit(&mut self, cut: &CommitCut) -> Result<(), PortError> {
        let letters = self.letters.letters(cut)?;
        if !letters.is_empty() {
            self.sink.write(letters)?;
        }
        let cuts: Vec<PartitionCut> = cut.parts.iter().map(partition_cut).collect();
        self.writer.commit(&cuts)?;
        self.meters.store().orders(self.writer.orders()?);
        let positions: Vec<_> = cut.parts.iter().map(|part| (part.source.clone(), part.position.next)).collect();
        self.offsets.commit(&positions);
        Ok(())
    }

    fn is_at_end(&mut self, source: &TopicPartition, next: NextOffset) -> Result<bool, PortError> {
        self.letters.source.is_at_end(source, next)
    }

    fn rest(&mut self) {
        self.sink.rest();
        self.letters.source.rest();
    }

    fn close(&mut self) {}
}

fn partition_cut(part: &CutPart) -> PartitionCut {
    PartitionCut {
        source: part.source.clone(),
        states: part.layer.states().map(|(identity, state)| (identity.clone(), Arc::clone(state))).collect(),
        owed: part.layer.owed().to_vec(),
        settled: part.layer.settled().iter().map(|settled| settled.key.clone()).collect(),
        letters: part.layer.statuses().iter().map(|(offset, status)| (offset, status.cloned())).collect(),
        removed: part.layer.removed().keys().cloned().collect(),
        position: part.position.clone(),
    }
}

enum Job {
    Commit(CommitCut),
    ProbeEnd(TopicPartition, NextOffset),
}

/// The engine's end of the commit thread.
pub struct CommitThread {
    jobs: SyncSender<Job>,
}

/// How often a thread that has nothing to do looks after its clients.
pub const REST_EVERY: Duration = Duration::from_secs(1);

/// Jobs that may wait for the commit thread: one commit, and one probe per partition.
const JOBS_MAX: usize = 4096;

impl CommitThread {
    /// The queue, and the loop that the caller runs on a thread of its own: it ends when the queue is dropped.
    pub fn new(mut commit: Box<dyn CutCommit>, inbox: Arc<dyn Inbox>) -> (Self, impl FnOnce() + Send) {
        let (jobs, queue): (_, Receiver<Job>) = sync_channel(JOBS_MAX);
        let run = move || {
            loop {
                let answer = match queue.recv_timeout(REST_EVERY) {
                    Ok(Job::Commit(cut)) => Input::Committed(commit.commit(&cut)),
                    Ok(Job::ProbeEnd(source, next)) => {
                        let at_end = commit.is_at_end(&source, next);
                        Input::EndProbed { source, next, at_end }
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        commit.rest();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                };
                if inbox.send(answer).is_err() {
                    break;
                }
            }
            commit.close();
        };
        (Self { jobs }, run)
    }
}

impl CommitQueue for CommitThread {
    fn begin(&mut self, cut: CommitCut) {
        // A full or closed queue means that the thread has died; the supervisor sees that and ends the process.
        drop(self.jobs.try_send(Job::Commit(cut)));
    }

    fn probe_end(&mut self, source: TopicPartition, next: NextOffset) {
        drop(self.jobs.try_send(Job::ProbeEnd(source, next)));
    }
}

#[cfg(test)]
#[path = "commit_tests.rs"]
mod tests;
