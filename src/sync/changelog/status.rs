//! The status of a dead letter: one small record beside the letter, so that what is still open can be told without
//! reading every letter. The commands of issue 5 change it; this release writes `open` only.

use serde::{Deserialize, Serialize};

use crate::order::DeadLetterReason;

/// The format that this release writes; it reads no other.
const FORMAT: u64 = 1;

/// What has become of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LetterState {
    /// Nobody has dealt with it.
    Open,
    /// Its event was folded again, or its delivery is owed again.
    Redriven,
    /// A later state of its order was accepted, and holds what it said.
    Superseded,
    /// An operator has decided against it.
    Discarded,
}

/// The status of one dead letter, named by the offset of its original record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterStatus {
    /// What has become of it.
    pub state: LetterState,
    /// Why the record was set aside.
    pub reason: DeadLetterReason,
    /// Wall clock of this status, milliseconds since the epoch.
    pub at_ms: i64,
}

/// A stored status cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Written by a newer release, or not by us.
    #[error("unknown format {0} of a dead letter's status")]
    Format(u64),
    /// Not the JSON that this release writes.
    #[error("unreadable status of a dead letter: {0}")]
    Json(#[from] serde_json::Error),
}

/// The stored form of a dead letter's status.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LetterStatus")]
pub(super) struct StoredStatus {
    /// The format's number.
    #[schemars(range(min = 1, max = 1))]
    format: u64,
    /// What has become of the letter.
    state: LetterState,
    /// The stable reason code.
    reason: DeadLetterReason,
    /// Wall clock of this status, milliseconds since the epoch.
    at_ms: i64,
}

#[derive(Deserialize)]
struct Format {
    format: u64,
}

impl LetterStatus {
    /// The stored form: one JSON object, `format` first.
    pub fn encode(&self) -> Result<Vec<u8>, StatusError> {
        let stored = StoredStatus { format: FORMAT, state: self.state, reason: self.reason, at_ms: self.at_ms };
        Ok(serde_json::to_vec(&stored)?)
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, StatusError> {
        let format = serde_json::from_slice::<Format>(bytes)?.format;
        if format != FORMAT {
            return Err(StatusError::Format(format));
        }
        let stored: StoredStatus = serde_json::from_slice(bytes)?;
        Ok(Self { state: stored.state, reason: stored.reason, at_ms: stored.at_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_fixed_and_comes_back() {
        let status = LetterStatus { state: LetterState::Open, reason: DeadLetterReason::UnknownApp, at_ms: 7 };
        let stored = status.encode().unwrap();
        let expect = r#"{"format":1,"state":"open","reason":"unknown_app","at_ms":7}"#;
        assert_eq!(std::str::from_utf8(&stored).unwrap(), expect);
        assert_eq!(LetterStatus::decode(&stored).unwrap(), status);
        let error = LetterStatus::decode(br#"{"format":2}"#).unwrap_err();
        assert_eq!(error.to_string(), "unknown format 2 of a dead letter's status");
    }
}
