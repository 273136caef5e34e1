//! A chunk: many owed deliveries of one commit in one row, because a row of its own for each costs sled three times
//! the work.
//!
//! Layout: the format (1), then entries. An entry: the length of its rest (u32), the lengths of app id and order id
//! (u16 each), the stamp (i64), app id, order id, and the delivery as [`Owed::encode`] writes it. Integers are
//! little-endian.

use crate::order::{AppId, Identity, UpdateTime};
use crate::sync::{Owed, OwedKey};

/// The format that this release writes; it reads no other.
const CHUNK_FORMAT: u8 = 1;
const LENGTH_BYTES: usize = 4;
const FIXED_BYTES: usize = 2 + 2 + 8;
/// A chunk is closed when it is this long. Sixteen of them, a leaf of sled, stay below a quarter of a segment.
const CHUNK_BYTES: usize = 13 * 1000;

/// Why a chunk cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChunkError {
    /// Written by a newer release, or not by us.
    #[error("unknown format {0} of a chunk of owed deliveries")]
    Format(u8),
    /// Its lengths do not add up.
    #[error("a chunk of owed deliveries is cut off")]
    CutOff,
}

/// One entry of a chunk, as it lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) app_id: &'a str,
    pub(super) order_id: &'a str,
    pub(super) stamp: UpdateTime,
    /// The delivery's stored form.
    pub(super) owed: &'a [u8],
    /// The whole entry, to be moved to another chunk.
    pub(super) raw: &'a [u8],
}

impl Entry<'_> {
    /// Whether it is the delivery that `key` names.
    pub(super) fn is(&self, key: &OwedKey) -> bool {
        self.stamp == key.stamp
            && self.order_id == &*key.identity.order_id
            && self.app_id == key.identity.app_id.as_str()
    }

    /// The delivery's name.
    pub(super) fn key(&self) -> OwedKey {
        OwedKey { identity: Identity::new(AppId::new(self.app_id), self.order_id), stamp: self.stamp }
    }
}

/// A chunk under construction.
#[derive(Debug)]
pub(super) struct ChunkWriter {
    bytes: Vec<u8>,
    entries: u32,
}

impl ChunkWriter {
    /// An empty chunk.
    pub(super) fn new() -> Self {
        let mut bytes = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8);
        bytes.push(CHUNK_FORMAT);
        Self { bytes, entries: 0 }
    }

    /// Appends a delivery; returns its place in the chunk. Ids are far below 64 KiB: the contract allows 64 bytes.
    pub(super) fn push(&mut self, key: &OwedKey, owed: &Owed) -> u32 {
        let (app_id, order_id) = (key.identity.app_id.as_str(), &*key.identity.order_id);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; LENGTH_BYTES]);
        self.bytes.extend_from_slice(&short(app_id).to_le_bytes());
        self.bytes.extend_from_slice(&short(order_id).to_le_bytes());
        self.bytes.extend_from_slice(&key.stamp.0.to_le_bytes());
        self.bytes.extend_from_slice(app_id.as_bytes());
        self.bytes.extend_from_slice(order_id.as_bytes());
        owed.encode(&mut self.bytes);
        let length = u32::try_from(self.bytes.len() - start - LENGTH_BYTES).unwrap_or(u32::MAX);
        self.bytes[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        self.count()
    }

    /// Appends an entry of another chunk; returns its place in this one.
    pub(super) fn push_raw(&mut self, raw: &[u8]) -> u32 {
        self.bytes.extend_from_slice(raw);
        self.count()
    }

    fn count(&mut self) -> u32 {
        self.entries += 1;
        self.entries - 1
    }

    /// How many entries it has.
    pub(super) fn entries(&self) -> u32 {
        self.entries
    }

    /// Whether another chunk should be begun.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= CHUNK_BYTES
    }

    /// The row's bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

fn short(id: &str) -> u16 {
    u16::try_from(id.len()).unwrap_or(u16::MAX)
}

/// The entries of a chunk in their order.
pub(super) fn entries(chunk: &[u8]) -> Result<impl Iterator<Item = Result<Entry<'_>, ChunkError>>, ChunkError> {
    let (format, mut rest) = chunk.split_first().ok_or(ChunkError::CutOff)?;
    if *format != CHUNK_FORMAT {
        return Err(ChunkError::Format(*format));
    }
    Ok(std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((entry, behind)) = first(rest) else {
            rest = &[];
            return Some(Err(ChunkError::CutOff));
        };
        rest = behind;
        Some(Ok(entry))
    }))
}

/// The entry at a place of a chunk.
pub(super) fn entry(chunk: &[u8], at: u32) -> Result<Option<Entry<'_>>, ChunkError> {
    (0..).zip(entries(chunk)?).find(|(place, _)| *place == at).map(|(_, entry)| entry).transpose()
}

fn first(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (body, behind) = rest.split_at_checked(length)?;
    let (fixed, ids) = body.split_first_chunk::<FIXED_BYTES>()?;
    let (app_length, order_length) =
        (u16::from_le_bytes([fixed[0], fixed[1]]), u16::from_le_bytes([fixed[2], fixed[3]]));
    let stamp = i64::from_le_bytes(*fixed.last_chunk()?);
    let (app_id, ids) = ids.split_at_checked(app_length.into())?;
    let (order_id, owed) = ids.split_at_checked(order_length.into())?;
    let entry = Entry {
        app_id: std::str::from_utf8(app_id).ok()?,
        order_id: std::str::from_utf8(order_id).ok()?,
        stamp: UpdateTime(stamp),
        owed,
        raw: &bytes[..LENGTH_BYTES + length],
    };
    Some((entry, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(app: &str, order: &str, stamp: i64) -> OwedKey {
        OwedKey { identity: Identity::new(AppId::new(app), order), stamp: UpdateTime(stamp) }
    }

    #[test]
    fn entries_come_back_in_order_and_can_be_moved() {
        let owed = Owed { request: br#"{"a":1}"#.as_slice().into(), offset: 7, timestamp_ms: None };
        let keys = [key("tt1", "A", -1), key("", "", 0), key("tt", "1A\0单", i64::MAX)];
        let mut chunk = ChunkWriter::new();
        for (at, key) in (0..).zip(&keys) {
            assert_eq!(chunk.push(key, &owed), at);
        }
        let bytes = chunk.into_bytes();
        let mut moved = ChunkWriter::new();
        for (entry, key) in entries(&bytes).unwrap().map(Result::unwrap).zip(&keys) {
            assert!(entry.is(key) && entry.key() == *key, "{entry:?}");
            assert_eq!(Owed::decode(entry.owed).unwrap(), owed);
            moved.push_raw(entry.raw);
        }
        assert_eq!(moved.entries(), 3);
        assert_eq!(moved.into_bytes(), bytes);
    }

    #[test]
    fn what_is_not_ours_is_an_error_and_never_a_panic() {
        let owed = Owed { request: b"{}".as_slice().into(), offset: 7, timestamp_ms: None };
        let mut chunk = ChunkWriter::new();
        chunk.push(&key("tt1", "A", 1), &owed);
        let bytes = chunk.into_bytes();
        for end in 2..bytes.len() {
            let read: Result<Vec<_>, _> = entries(&bytes[..end]).unwrap().collect();
            assert!(matches!(read, Err(ChunkError::CutOff)), "{end}");
        }
        assert!(matches!(entries(&[]).map(Iterator::count), Err(ChunkError::CutOff)));
        assert!(matches!(entries(&[2, 0]).map(Iterator::count), Err(ChunkError::Format(2))));
    }
}
