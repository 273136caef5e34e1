//! Facts in short: what is kept of a state, of a delivery and of a record, so that millions of them fit into memory.

use crate::order::{Digest, Identity, OrderState};
use crate::record::Record;
use sha2::{Digest as _, Sha256};

/// A delivery that the log has owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OwedSeen {
    pub(super) stamp: i64,
    /// Of the record that it belongs to.
    pub(super) offset: i64,
    /// Of its bytes.
    pub(super) request: u64,
    /// Whether an event explains it.
    pub(super) used: bool,
}

impl OwedSeen {
    /// The offset of one that cannot be read.
    pub(super) const UNREADABLE: i64 = i64::MIN;
}

/// A state in short. Whether its delivery is a dead letter is no part of it: that follows from what the platform said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Brief {
    pub(super) applied_offset: i64,
    pub(super) stamp: i64,
    document: u64,
    request: u64,
    rest: u64,
}

impl Brief {
    pub(super) fn of(state: &OrderState) -> Self {
        let OrderState { order_type, status, event_ids, sequence, occurred_at, .. } = state;
        let rest = format!("{order_type:?} {status:?} {event_ids:?} {sequence:?} {occurred_at:?}");
        Self {
            applied_offset: state.applied_offset,
            stamp: state.update_time.0,
            document: short(state.document.as_bytes()),
            request: short(&state.digest.0),
            rest: short(rest.as_bytes()),
        }
    }

    /// What is another one, in words.
    pub(super) fn differences(&self, other: &Self) -> String {
        let parts = [
            (self.document != other.document, "the document"),
            (self.request != other.request, "the request's digest"),
            (self.stamp != other.stamp, "the stamp"),
            (self.rest != other.rest, "type, status, time, sequence or event ids"),
            (self.applied_offset != other.applied_offset, "the last applied offset"),
        ];
        let words: Vec<&str> = parts.iter().filter(|(differs, _)| *differs).map(|(_, words)| *words).collect();
        words.join(", ")
    }

    /// Whether nothing but the stamp is another one.
    pub(super) fn differs_by_stamp_alone(&self, other: &Self) -> bool {
        self.stamp != other.stamp && Self { stamp: other.stamp, ..self.clone() } == *other
    }
}

/// The first eight bytes of the SHA-256.
pub(super) fn short(bytes: &[u8]) -> u64 {
    first(Digest::of(bytes))
}

fn first(Digest(bytes): Digest) -> u64 {
    bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// An order in short.
pub(super) fn order_key(identity: &Identity) -> u64 {
    names_key(Some(identity.app_id.as_str()), Some(&identity.order_id))
}

/// The same of names of which one may not be known.
pub(super) fn names_key(app_id: Option<&str>, order_id: Option<&str>) -> u64 {
    short([app_id.unwrap_or_default(), "\0", order_id.unwrap_or_default()].concat().as_bytes())
}

/// A record as its letter must have it: key, value, headers and timestamp.
pub(super) fn record_key(record: &Record) -> u64 {
    let mut sha256 = Sha256::new();
    let mut part = |bytes: Option<&[u8]>| {
        sha256.update(bytes.map_or(u64::MAX, |bytes| bytes.len() as u64).to_be_bytes());
        sha256.update(bytes.unwrap_or_default());
    };
    part(record.timestamp_ms.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
    part(record.key.as_deref());
    part(record.value.as_deref());
    for header in &record.headers {
        part(Some(header.name.as_bytes()));
        part(header.value.as_deref());
    }
    first(Digest(sha256.finalize().into()))
}
