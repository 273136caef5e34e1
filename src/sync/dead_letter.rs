//! The dead letter (§8 of the contract): what is known when an event is set aside. `letter` makes the record of it.

use bytes::Bytes;

use crate::order::{DeadLetterReason, Stage};
use crate::record::{Record, RecordOffset, TopicPartition};

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
    /// Wall clock of the first failure, milliseconds since the epoch; of a record that comes to a letter once more, that of all
    /// its times.
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
