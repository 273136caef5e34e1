//! The last record that a position has passed, in short: a topic that was deleted and created again has another one there.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::record::Record;

/// What is remembered of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LastRecord {
    /// Its offset.
    #[schemars(range(min = 0))]
    pub offset: i64,
    /// Its timestamp, milliseconds since the epoch; left out where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub timestamp_ms: Option<i64>,
    /// The first four bytes of the SHA-256 of key and value.
    pub digest: u32,
}

impl LastRecord {
    /// What is remembered of this record.
    pub fn of(record: &Record) -> Self {
        let mut sha256 = Sha256::new();
        for part in [&record.key, &record.value] {
            let length = part.as_ref().map_or(u64::MAX, |bytes| bytes.len() as u64);
            sha256.update(length.to_be_bytes());
            sha256.update(part.as_deref().unwrap_or_default());
        }
        let [a, b, c, d, ..] = <[u8; 32]>::from(sha256.finalize());
        let digest = u32::from_be_bytes([a, b, c, d]);
        Self { offset: record.offset.get(), timestamp_ms: record.timestamp_ms, digest }
    }

    /// Whether this record tells that the topic is a new one: it stands at the same offset and is another one. A record that
    /// stands elsewhere tells nothing.
    pub fn is_contradicted_by(&self, record: &Record) -> bool {
        record.offset.get() == self.offset && *self != Self::of(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordOffset;

    fn record(offset: i64, timestamp_ms: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Record {
        let (key, value) = (key.map(Box::from), value.map(Box::from));
        Record { offset: RecordOffset::new(offset), timestamp_ms: Some(timestamp_ms), key, value, headers: Vec::new() }
    }

    #[test]
    fn another_record_at_its_offset_contradicts_and_one_elsewhere_does_not() {
        let last = LastRecord::of(&record(7, 1, Some(b"ab"), Some(b"c")));
        let check = |other: &Record, expect: bool| assert_eq!(last.is_contradicted_by(other), expect, "{other:?}");
        check(&record(7, 1, Some(b"ab"), Some(b"c")), false);
        check(&record(7, 2, Some(b"ab"), Some(b"c")), true);
        check(&record(7, 1, Some(b"a"), Some(b"bc")), true);
        check(&record(7, 1, Some(b"ab"), None), true);
        check(&record(7, 1, None, Some(b"c")), true);
        check(&record(8, 2, Some(b"x"), Some(b"y")), false);
    }
}
