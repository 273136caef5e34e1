//! One partition that the group gave us: how far its start has come, and the queue that it is read from.

use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError;
use std::time::{Duration, Instant};

use super::context::GroupContext;
use super::keying::{Doubt, Placing};
use crate::kafka::convert;
use crate::record::{NextOffset, Record, TopicPartition};
use crate::sync::intake::IntakeBudget;
use crate::sync::last_record::LastRecord;
use crate::sync::ports::{Epoch, StartAt};

pub(super) type GroupConsumer = BaseConsumer<GroupContext>;

/// Records of one batch at most.
const BATCH_RECORDS: usize = 256;
/// A batch ends with the record that brings it here; one record may be larger (256 KiB).
const BATCH_BYTES: usize = 256 * 1024;

/// How far a partition has come.
pub(super) enum Stage {
    /// The engine has not been told yet.
    Given,
    /// The engine will say where to start when it has restored the partition.
    Restoring { epoch: Epoch },
    /// The engine said where to start; the brokers have yet to say what is there.
    Told { epoch: Epoch, start: StartAt, doubts: u8 },
    /// Being read.
    Reading(Reading),
    /// It cannot be read, and the engine has been told why.
    Broken,
}

/// A partition that is being read, through a queue of its own: not polling it is what pauses it.
pub(super) struct Reading {
    pub(super) epoch: Epoch,
    pub(super) next: NextOffset,
    pub(super) queue: PartitionQueue<GroupContext>,
    /// Where the engine goes on: what it was handed lies before, and what it was told of that nobody reads.
    pub(super) handed: NextOffset,
    /// Whether offsets that nobody reads stand behind the last record.
    pub(super) has_passed: bool,
    /// That record's offset, until the first one behind the position is taken: nothing stood between.
    pub(super) last: Option<i64>,
    /// Where the record is missing behind which it goes on, until it is known whether that can be: nothing is handed over.
    pub(super) missing: Option<i64>,
    /// Whether it was sent back and has taken nothing since: the client's position may be that of a record beyond.
    pub(super) is_sent_back: bool,
    /// The record behind which it goes on, until that has been seen: it is not handed over.
    pub(super) proof: Option<LastRecord>,
    /// A batch that the budget had no room for, or that waits for an answer.
    pub(super) held: Option<Batch>,
    pub(super) removed: Removed,
}

/// Whether the topic has lost records that had not been handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removed {
    /// Not as far as is known.
    Nothing,
    /// Those below this offset: what was fetched of them is nowhere else.
    Below(i64),
    /// The brokers refuse the position, and are asked why: nothing more is fetched.
    Refused,
    /// There is nothing more to take before those that were never fetched.
    Unread,
}

/// Records taken from librdkafka and not handed over yet.
pub(super) struct Batch {
    pub(super) epoch: Epoch,
    pub(super) source: TopicPartition,
    pub(super) records: Vec<Record>,
    /// What they draw from the intake budget.
    pub(super) cost: usize,
    /// Where a record does not lie where its key says.
    pub(super) doubt: Option<Doubt>,
}

/// Why taking ended.
pub(super) enum Trouble {
    /// The client says so.
    Kafka(KafkaError),
    /// Another record stands where the position's last one was.
    AnotherTopic {
        /// Where.
        offset: i64,
    },
    /// A record stands between that one and the position, where there was none.
    OneMore {
        /// Where.
        offset: i64,
    },
}

impl Reading {
    /// It is read from its position again, whatever the client has come to.
    pub(super) fn send_back(&mut self) {
        (self.is_sent_back, self.proof) = (true, None);
    }

    /// Where it is to be read from.
    pub(super) fn from(&self) -> i64 {
        self.proof.map_or(self.next.get(), |last| last.offset.min(self.next.get()))
    }

    /// Whether it has records, or may get some, that are in the topic no more: nobody holds those back.
    pub(super) fn is_pressed(&self) -> bool {
        match self.removed {
            Removed::Nothing => false,
            Removed::Below(low) => self.handed.get() < low,
            Removed::Refused | Removed::Unread => self.held.is_some(),
        }
    }

    /// Takes what is there, up to the limits of a batch, without waiting.
    pub(super) fn take(&mut self, source: &TopicPartition, placing: Placing) -> (Option<Batch>, Option<Trouble>) {
        let mut batch = Batch { epoch: self.epoch, source: source.clone(), records: Vec::new(), cost: 0, doubt: None };
        let mut stranger = None;
        let mut error = None;
        while batch.records.len() < BATCH_RECORDS && batch.cost < BATCH_BYTES {
            match self.queue.poll(Duration::ZERO) {
                None => break,
                Some(Err(e)) => {
                    error = Some(Trouble::Kafka(e));
                    break;
                }
                Some(Ok(message)) => {
                    let record = convert::record(&message);
                    self.is_sent_back = false;
                    if let Some(last) = self.proof.take() {
                        if last.is_contradicted_by(&record) {
                            return (None, Some(Trouble::AnotherTopic { offset: last.offset }));
                        }
                        self.missing = (record.offset.get() > last.offset).then_some(last.offset);
                    }
                    // What was fetched before a new start of the same partition is librdkafka's to drop; make sure.
                    if self.next.covers(record.offset) {
                        if self.last.is_some_and(|last| record.offset.get() > last) {
                            return (None, Some(Trouble::OneMore { offset: record.offset.get() }));
                        }
                        continue;
                    }
                    self.last = None;
                    self.next = record.offset.next();
                    batch.cost += IntakeBudget::cost(&record);
                    if stranger.is_none() && !placing.explains(&record, source.partition) {
                        stranger = Some(batch.records.len());
                    }
                    batch.records.push(record);
                    if self.missing.is_some() {
                        break;
                    }
                }
            }
        }
        batch.doubt = stranger.map(|at| Doubt::of(at, Instant::now()));
        ((!batch.records.is_empty()).then_some(batch), error)
    }
}
