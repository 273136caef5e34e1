//! What the operators' tools ask of Kafka: bounded parts of a topic's partitions, read beside a running fleet or with none.
//!
//! A reader joins no group and commits nothing. Its records are lent for the time of a visit, so that a scan copies only
//! what it keeps.

use std::ops::ControlFlow;

use super::ports::PortError;
use crate::record::{Header, NextOffset, Record, RecordOffset};

/// A bounded part of one partition: the committed records at `from` and behind it, and before `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The partition's number.
    pub partition: i32,
    /// The first offset of it.
    pub from: NextOffset,
    /// The first offset behind it.
    pub until: NextOffset,
}

impl Span {
    /// How many offsets it has; some of them hold no record (markers of transactions, what compaction removed).
    pub fn offsets(&self) -> u64 {
        u64::try_from(self.until.get() - self.from.get()).unwrap_or(0)
    }
}

/// A record in the reader's memory.
pub trait Seen {
    /// The partition's number.
    fn partition(&self) -> i32;
    /// Where it lies.
    fn offset(&self) -> RecordOffset;
    /// The record's timestamp in milliseconds since the epoch, where it has one.
    fn timestamp_ms(&self) -> Option<i64>;
    /// The key's bytes.
    fn key(&self) -> Option<&[u8]>;
    /// The value's bytes.
    fn value(&self) -> Option<&[u8]>;
    /// Visits the headers in their order; one whose name is not UTF-8 is left out.
    fn headers(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>));
    /// A copy of all of it.
    fn record(&self) -> Record;
}

impl Seen for (i32, Record) {
    fn partition(&self) -> i32 {
        self.0
    }

    fn offset(&self) -> RecordOffset {
        self.1.offset
    }

    fn timestamp_ms(&self) -> Option<i64> {
        self.1.timestamp_ms
    }

    fn key(&self) -> Option<&[u8]> {
        self.1.key.as_deref()
    }

    fn value(&self) -> Option<&[u8]> {
        self.1.value.as_deref()
    }

    fn headers(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        self.1.headers.iter().for_each(|Header { name, value }| visit(name, value.as_deref()));
    }

    fn record(&self) -> Record {
        self.1.clone()
    }
}

/// A scan has not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Kafka, or what lies in it.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The person has ended it.
    #[error("interrupted")]
    Stopped,
}

/// Takes a record of a scan; [`ControlFlow::Break`] ends it.
pub type Visit<'v> = dyn FnMut(&dyn Seen) -> ControlFlow<()> + 'v;

/// Reads topics as one who sees committed records.
pub trait LogScan {
    /// How many partitions a topic has; `None` where it does not exist.
    fn partitions(&mut self, topic: &str) -> Result<Option<i32>, ScanError>;
    /// How far these partitions reach just now, in their order: from the oldest record to the last stable offset.
    fn extents(&mut self, topic: &str, partitions: &[i32]) -> Result<Vec<Span>, ScanError>;
    /// Of each partition the first offset whose record's timestamp is `at_ms` or later; `None` where there is none.
    fn at_time(&mut self, topic: &str, partitions: &[i32], at_ms: i64) -> Result<Vec<Option<NextOffset>>, ScanError>;
    /// Visits the records of the spans, those of one partition in their order. It ends where every span has been passed: by
    /// a record behind it, or by the partition's end, as the last offsets may hold no record.
    fn read(&mut self, topic: &str, spans: &[Span], visit: &mut Visit<'_>) -> Result<(), ScanError>;
}
