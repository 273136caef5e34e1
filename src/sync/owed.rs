//! What is owed: exactly one record per delivery that was committed and is not yet settled, with its stored form.
//!
//! The stored form is JSON with its members in a fixed order, so that our own entries are read by position: a start
//! with a million of them looks at the first bytes of each and parses no request.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::ports::{OwedEntry, PortError, StateReader};
use crate::order::{Identity, UpdateTime};
use crate::record::TopicPartition;

/// The format that this release writes; it reads no other.
pub const OWED_FORMAT: u64 = 1;

/// Behind every offset of Kafka's: what lies there is the offset of a record whose topic is gone.
const GONE: i64 = 1 << 62;

/// The offset by which a record is known whose topic was deleted. The topic of that name has other records now: it is never
/// asked for this one.
pub fn gone(offset: i64) -> i64 {
    if is_gone(offset) { offset } else { GONE.saturating_add(offset) }
}

/// Whether the record's topic was deleted.
pub fn is_gone(offset: i64) -> bool {
    offset >= GONE
}

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
    /// The request's bytes without the token, one JSON object; `update_time` is in them.
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
    /// What a store tells of it unasked.
    pub fn entry(&self) -> OwedEntry {
        OwedEntry { offset: self.offset, request_bytes: self.request.len(), timestamp_ms: self.timestamp_ms }
    }

    /// Appends the stored form: one JSON object, `format` first, the request embedded byte for byte.
    /// `request` must be one JSON object, as the mapping makes it; here it is not looked at.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut digits = itoa::Buffer::new();
        out.reserve(self.request.len() + 96);
        out.extend_from_slice(FORMAT);
        out.extend_from_slice(OFFSET);
        out.extend_from_slice(digits.format(self.offset).as_bytes());
        if let Some(timestamp_ms) = self.timestamp_ms {
            out.extend_from_slice(TIMESTAMP);
            out.extend_from_slice(digits.format(timestamp_ms).as_bytes());
        }
        out.extend_from_slice(REQUEST);
        out.extend_from_slice(&self.request);
        out.push(b'}');
    }

    /// Reads the stored form; the request comes back byte for byte.
    pub fn decode(bytes: &[u8]) -> Result<Self, OwedError> {
        let (entry, request) = read(bytes)?;
        Ok(Self { request: Bytes::copy_from_slice(request), offset: entry.offset, timestamp_ms: entry.timestamp_ms })
    }

    /// Reads all but the request, whose length alone is told. Our own entries cost no JSON parsing.
    pub fn peek(bytes: &[u8]) -> Result<OwedEntry, OwedError> {
        read(bytes).map(|(entry, _)| entry)
    }
}

const FORMAT: &[u8] = br#"{"format":1"#;
const OFFSET: &[u8] = br#","offset":"#;
const TIMESTAMP: &[u8] = br#","timestamp_ms":"#;
const REQUEST: &[u8] = br#","request":"#;

/// The members by name, for an entry whose white space or order is not ours.
#[derive(Deserialize)]
struct Stored<'a> {
    offset: i64,
    timestamp_ms: Option<i64>,
    #[serde(borrow)]
    request: &'a RawValue,
}

#[derive(Deserialize)]
struct Format {
    format: u64,
}

fn read(bytes: &[u8]) -> Result<(OwedEntry, &[u8]), OwedError> {
    if let Some(found) = read_own(bytes) {
        return Ok(found);
    }
    let format = serde_json::from_slice::<Format>(bytes)?.format;
    if format != OWED_FORMAT {
        return Err(OwedError::Format(format));
    }
    let stored: Stored<'_> = serde_json::from_slice(bytes)?;
    let request = stored.request.get().as_bytes();
    let entry = OwedEntry { offset: stored.offset, request_bytes: request.len(), timestamp_ms: stored.timestamp_ms };
    Ok((entry, request))
}

/// Reads by position what [`Owed::encode`] writes; `None` for anything else.
fn read_own(bytes: &[u8]) -> Option<(OwedEntry, &[u8])> {
    let rest = bytes.strip_prefix(FORMAT)?.strip_prefix(OFFSET)?;
    let (offset, rest) = integer(rest)?;
    let (timestamp_ms, rest) = match rest.strip_prefix(TIMESTAMP) {
        Some(rest) => integer(rest).map(|(n, rest)| (Some(n), rest))?,
        None => (None, rest),
    };
    let request = rest.strip_prefix(REQUEST)?.strip_suffix(b"}")?;
    if !(request.starts_with(b"{") && request.ends_with(b"}")) {
        return None;
    }
    Some((OwedEntry { offset, request_bytes: request.len(), timestamp_ms }, request))
}

fn integer(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let end = bytes.iter().position(|b| *b == b',')?;
    let (digits, rest) = bytes.split_at(end);
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

/// An owed delivery that the store listed. One that is gone since is damage: nobody else settles.
pub fn listed_owed(reader: &dyn StateReader, source: &TopicPartition, key: &OwedKey) -> Result<Owed, PortError> {
    reader.owed(source, key)?.ok_or_else(|| {
        PortError::Fatal(format!("the store does not hold the owed delivery of {source} that it listed"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owed(request: &'static str, offset: i64, timestamp_ms: Option<i64>) -> Owed {
        Owed { request: Bytes::from_static(request.as_bytes()), offset, timestamp_ms }
    }

    fn encoded(owed: &Owed) -> String {
        let mut out = Vec::new();
        owed.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_stored_form_is_fixed() {
        let request = r#"{"title":"面 \"x\"", "update_time":1700000000}"#;
        assert_eq!(
            encoded(&owed(request, 41, Some(1_700_000_000_123))),
            format!(r#"{{"format":1,"offset":41,"timestamp_ms":1700000000123,"request":{request}}}"#)
        );
        assert_eq!(encoded(&owed("{}", 0, None)), r#"{"format":1,"offset":0,"request":{}}"#);
    }

    #[test]
    fn another_order_and_white_space_are_read_too() {
        let text = r#" { "format": 1, "request": {"a": [1, 2]}, "timestamp_ms": null, "offset": 7, "new": 1 } "#;
        assert_eq!(Owed::decode(text.as_bytes()).unwrap(), owed(r#"{"a": [1, 2]}"#, 7, None));
        assert_eq!(Owed::peek(text.as_bytes()).unwrap().request_bytes, 13);
    }

    #[test]
    fn what_is_not_ours_is_refused_with_words() {
        let check = |text: &str, expect: &str| {
            let error = Owed::decode(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expect), "{text}: {error}");
        };
        check(r#"{"format":2,"offset":1,"request":{}}"#, "unknown owed format 2");
        check(r#"{"format":12,"offset":1,"request":{}}"#, "unknown owed format 12");
        check(r#"{"format":1,"offset":1"#, "unreadable owed delivery");
        check(r#"{"format":1,"request":{}}"#, "missing field `offset`");
        check(r#"{"format":1,"offset":1,"request":{"a":1}"#, "unreadable owed delivery");
        check("", "unreadable owed delivery");
    }

    proptest! {
        #[test]
        fn what_was_written_comes_back(
            text in ".{0,200}", offset in any::<i64>(), timestamp_ms in any::<Option<i64>>(),
        ) {
            let request = serde_json::json!({ "text": text, "offset": [","] }).to_string();
            let owed = Owed { request: request.clone().into(), offset, timestamp_ms };
            let stored = encoded(&owed);
            prop_assert_eq!(&Owed::decode(stored.as_bytes()).unwrap(), &owed);
            let by_name: Stored<'_> = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(by_name.request.get(), request.as_str());
            prop_assert_eq!(by_name.offset, offset);
            let entry = Owed::peek(stored.as_bytes()).unwrap();
            prop_assert_eq!(entry, OwedEntry { offset, request_bytes: request.len(), timestamp_ms });
        }
    }
}
