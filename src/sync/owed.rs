//! What is owed: exactly one record per delivery that was committed and is not yet settled, with its stored form.

use bytes::Bytes;

use crate::order::{Identity, UpdateTime};

/// Names one owed delivery within its source partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwedKey {
    /// The order.
    pub identity: Identity,
    /// The stamp under which it is pushed.
    pub stamp: UpdateTime,
}

/// One owed delivery as committed: a new release or setting never maps it anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The request's bytes without the token; `update_time` is in them.
    pub request: Bytes,
    /// Offset of the record that the delivery belongs to; a dead letter of it has that record's id.
    pub offset: i64,
    /// That record's timestamp, milliseconds since the epoch, for the event-to-accepted histogram.
    pub timestamp_ms: Option<i64>,
}

/// An owed entry cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum OwedError {
    /// Written by a newer release, or not by us.
    #[error("unknown owed format {0}")]
    Format(u64),
    /// Not what this release writes.
    #[error("unreadable owed delivery: {0}")]
    Json(#[from] serde_json::Error),
}

impl Owed {
    /// Writes the stored form: one JSON object, `format` first, the request embedded byte for byte.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let _ = out;
        unimplemented!()
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, OwedError> {
        let _ = bytes;
        unimplemented!()
    }
}
