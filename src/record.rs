//! What Kafka handed over, in words that cannot be confused: a record, where it lay, and where to go on.
//!
//! Nothing here talks to a broker; `kafka/` makes these values and every other room only reads them.

use std::fmt;
use std::sync::Arc;

/// A topic and a partition number: the unit of assignment, of order and of storage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// Where one record lies in its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordOffset(i64);

/// The offset to resume at: everything before it has an outcome. This is what Kafka commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NextOffset(i64);

impl RecordOffset {
    /// The offset as Kafka counts it, from 0.
    pub const fn new(offset: i64) -> Self {
        Self(offset)
    }

    /// The bare number, for the wire and for people.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The position behind this record. The only `+ 1` between the two in the tree.
    pub const fn next(self) -> NextOffset {
        NextOffset(self.0 + 1)
    }
}

impl NextOffset {
    /// A position to resume at, from 0.
    pub const fn new(offset: i64) -> Self {
        Self(offset)
    }

    /// The bare number, for the wire and for people.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether the record at `offset` lies before this position, and so has an outcome already.
    pub const fn covers(self, offset: RecordOffset) -> bool {
        offset.0 < self.0
    }
}

impl fmt::Display for RecordOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for NextOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One header of a record. Kafka allows a name to repeat and a value to be absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The header's name.
    pub name: String,
    /// The header's bytes; `None` is Kafka's null.
    pub value: Option<Box<[u8]>>,
}

/// One Kafka record as it was consumed, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it lay.
    pub offset: RecordOffset,
    /// The record's timestamp in milliseconds since the Unix epoch, where it has one.
    pub timestamp_ms: Option<i64>,
    /// The key's bytes; `None` is a record without a key.
    pub key: Option<Box<[u8]>>,
    /// The value's bytes; `None` is a tombstone.
    pub value: Option<Box<[u8]>>,
    /// The headers in the order of the record.
    pub headers: Vec<Header>,
}

impl Record {
    /// Bytes of key, value and headers (names and values) together: what the 1 MiB limit of the contract counts.
    pub fn content_bytes(&self) -> usize {
        let opt = |b: &Option<Box<[u8]>>| b.as_ref().map_or(0, |b| b.len());
        let headers: usize = self.headers.iter().map(|h| h.name.len() + opt(&h.value)).sum();
        opt(&self.key) + opt(&self.value) + headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_covers_what_lies_before_it() {
        let offset = RecordOffset::new(41);
        assert_eq!(offset.next(), NextOffset::new(42));
        assert!(offset.next().covers(offset));
        assert!(!NextOffset::new(41).covers(offset));
    }
}
