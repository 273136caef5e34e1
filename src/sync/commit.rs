//! The commit without transactions: letters acknowledged, then one batch on disk, then the group is told.
//!
//! One place, one function; the commit of a transaction will be its second implementation. It runs on its own
//! thread, so that folding and delivering go on meanwhile.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::dead_letter::DeadLetter;
use super::letter::{Letter, Origin};
use super::overlay::Layer;
use super::ports::{
    DeadLetterSink, Inbox, Input, OffsetCommits, PartitionCut, PortError, Position, SourceReader, StateWriter,
};
use crate::record::{NextOffset, TopicPartition};

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
    /// What changed.
    pub layer: Arc<Layer>,
    /// Where the partition stands after it.
    pub position: Position,
}

/// Takes cuts from the engine. Never waits; one cut at a time.
pub trait CommitQueue: Send {
    /// Starts a commit; the answer comes as [`Input::Committed`].
    fn begin(&mut self, cut: CommitCut);
    /// Asks whether any record stands at or behind `next`; the answer comes as [`Input::EndProbed`].
    fn probe_end(&mut self, source: TopicPartition, next: NextOffset);
}

/// The commit without transactions.
pub struct LocalCommit {
    /// The store.
    pub writer: Box<dyn StateWriter>,
    /// The dead-letter topic.
    pub sink: Box<dyn DeadLetterSink>,
    /// The source topics, for the original records of rejected deliveries.
    pub source: Box<dyn SourceReader>,
    /// The group.
    pub offsets: Box<dyn OffsetCommits>,
    /// What a letter says of its writer.
    pub origin: Origin,
}

impl LocalCommit {
    /// Makes the cut durable, in the order that the promises need.
    pub fn commit(&mut self, cut: &CommitCut) -> Result<(), PortError> {
        let letters = self.letters(cut)?;
        if !letters.is_empty() {
            self.sink.write(letters)?;
        }
        let cuts: Vec<PartitionCut> = cut.parts.iter().map(partition_cut).collect();
        self.writer.commit(&cuts)?;
        let positions: Vec<_> = cut.parts.iter().map(|part| (part.source.clone(), part.position.next)).collect();
        self.offsets.commit(&positions);
        Ok(())
    }

    fn letters(&mut self, cut: &CommitCut) -> Result<Vec<Letter>, PortError> {
        let mut letters = Vec::new();
        for letter in cut.parts.iter().flat_map(|part| part.layer.letters()) {
            letters.push(self.with_record(letter.clone())?.into_letter(&self.origin));
        }
        Ok(letters)
    }

    /// A delivery's letter has no record at hand: it is read again from the source.
    fn with_record(&mut self, mut letter: DeadLetter) -> Result<DeadLetter, PortError> {
        if letter.record.is_none() {
            letter.record = self.source.read(&letter.source, letter.offset)?;
            if letter.record.is_none() {
                letter.message.push_str("; the original record is no longer in the source topic, the request is below");
            }
        }
        Ok(letter)
    }
}

fn partition_cut(part: &CutPart) -> PartitionCut {
    PartitionCut {
        source: part.source.clone(),
        states: part.layer.states().map(|(identity, state)| (identity.clone(), Arc::clone(state))).collect(),
        owed: part.layer.owed().to_vec(),
        settled: part.layer.settled().to_vec(),
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

/// Jobs that may wait for the commit thread: one commit, and one probe per partition.
const JOBS_MAX: usize = 4096;

impl CommitThread {
    /// The queue, and the loop that the caller runs on a thread of its own: it ends when the queue is dropped.
    pub fn new(mut commit: LocalCommit, inbox: Arc<dyn Inbox>) -> (Self, impl FnOnce() + Send) {
        let (jobs, queue): (_, Receiver<Job>) = sync_channel(JOBS_MAX);
        let run = move || {
            while let Ok(job) = queue.recv() {
                let answer = match job {
                    Job::Commit(cut) => Input::Committed(commit.commit(&cut)),
                    Job::ProbeEnd(source, next) => {
                        let at_end = commit.source.is_at_end(&source, next);
                        Input::EndProbed { source, next, at_end }
                    }
                };
                if inbox.send(answer).is_err() {
                    break;
                }
            }
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
