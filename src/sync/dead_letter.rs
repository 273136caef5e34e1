//! The dead letter (§8 of the contract): what is known when an event is set aside, and the record it becomes.

use bytes::Bytes;

use crate::order::{DeadLetterReason, Stage};
use crate::record::{Header, Record, RecordOffset, TopicPartition};

/// An event set aside, before it is turned into a record.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The source partition.
    pub source: TopicPartition,
    /// The offset of the original record; with `source` it is the letter's id.
    pub offset: RecordOffset,
    /// The original record, where it is at hand; a delivery's is read again from the source when it is written.
    pub record: Option<Record>,
    /// The stable code.
    pub reason: DeadLetterReason,
    /// Where it was judged.
    pub stage: Stage,
    /// For people: names fields, never values.
    pub message: String,
    /// Where the event could be read so far.
    pub order_id: Option<String>,
    /// Where it is one of ours.
    pub app_id: Option<String>,
    /// The stamp, for a letter of a delivery.
    pub update_time: Option<i64>,
    /// What the attempts came to, for a letter of a delivery.
    pub delivery: Option<DeliveryRecord>,
    /// How often this record has been dead-lettered, this time included.
    pub times: u32,
    /// Wall clock of the first failure, milliseconds since the epoch.
    pub first_failed_ms: i64,
    /// Wall clock of the last failure, milliseconds since the epoch.
    pub last_failed_ms: i64,
}

/// The attempts of a delivery that was given up.
#[derive(Clone, Debug)]
pub struct DeliveryRecord {
    /// How many attempts were made.
    pub attempts: u32,
    /// The last attempts, one line each: time, latency, status, code; at most 4 KiB.
    pub attempt_log: String,
    /// The platform's code that decided.
    pub err_code: Option<i64>,
    /// The platform's last answer, at most 4 KiB.
    pub response: Option<Vec<u8>>,
    /// What was sent, without the token; at most 64 KiB.
    pub request: Bytes,
}

/// What a letter says of the worker that wrote it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The consumer group.
    pub group: String,
    /// The release, for example `0.1.0`.
    pub version: String,
}

/// A dead letter as it goes to the dead-letter topic, in the partition of the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The partition's number, that of the source.
    pub partition: i32,
    /// The original key, but for a record that is too large.
    pub key: Option<Vec<u8>>,
    /// The original value; empty for a record that is too large.
    pub value: Option<Vec<u8>>,
    /// The original headers, then ours.
    pub headers: Vec<Header>,
}

impl DeadLetter {
    /// The record of §8. Headers that have nothing to say are left out.
    pub fn into_letter(self, origin: &Origin) -> Letter {
        let _ = origin;
        unimplemented!()
    }
}
