//! The stored form of a partition's position: the same bytes for the store and the changelog.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ports::Position;
use crate::order::{AppId, UpdateTime};
use crate::record::NextOffset;

/// The format that this release writes; it reads no other.
pub const POSITION_FORMAT: u64 = 1;

/// A stored position cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum PositionError {
    /// Written by a newer release, or not by us.
    #[error("unknown position format {0}")]
    Format(u64),
    /// Not the JSON that this release writes.
    #[error("unreadable position: {0}")]
    Json(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Format {
    format: u64,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u64,
    next: i64,
    commit_number: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    removed_stamps: BTreeMap<AppId, UpdateTime>,
}

impl Position {
    /// The stored form: one JSON object, `format` first.
    pub fn encode(&self) -> Result<Vec<u8>, PositionError> {
        let stored = Stored {
            format: POSITION_FORMAT,
            next: self.next.get(),
            commit_number: self.commit_number,
            removed_stamps: self.removed_stamps.clone(),
        };
        Ok(serde_json::to_vec(&stored)?)
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, PositionError> {
        let format = serde_json::from_slice::<Format>(bytes)?.format;
        if format != POSITION_FORMAT {
            return Err(PositionError::Format(format));
        }
        let stored: Stored = serde_json::from_slice(bytes)?;
        Ok(Self {
            next: NextOffset::new(stored.next),
            commit_number: stored.commit_number,
            removed_stamps: stored.removed_stamps,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_fixed_and_comes_back() {
        let check = |stamps: &[(&str, i64)], expect: &str| {
            let removed_stamps = stamps.iter().map(|(app, n)| (AppId::new(*app), UpdateTime(*n))).collect();
            let position = Position { next: NextOffset::new(42), commit_number: 7, removed_stamps };
            let stored = position.encode().unwrap();
            assert_eq!(std::str::from_utf8(&stored).unwrap(), expect);
            assert_eq!(Position::decode(&stored).unwrap(), position);
        };
        check(&[], r#"{"format":1,"next":42,"commit_number":7}"#);
        check(
            &[("tt2", 5), ("tt1", 1_700_000_000)],
            r#"{"format":1,"next":42,"commit_number":7,"removed_stamps":{"tt1":1700000000,"tt2":5}}"#,
        );
    }

    #[test]
    fn another_format_is_refused() {
        let error = Position::decode(br#"{"format":2,"at":1}"#).unwrap_err();
        assert_eq!(error.to_string(), "unknown position format 2");
        assert!(Position::decode(b"").is_err());
    }
}
