//! What workers tell each other about an app's tokens, in the form that is sealed.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::record::RecordOffset;

/// The key of the record by which a worker finds that it has read everything before it.
pub(super) const HELLO: &str = "hello";

/// Which of an app's two records it is; each is compacted for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Claim,
    Token,
}

impl Topic {
    /// The record's key.
    pub(super) fn key(self, app_id: &str) -> String {
        match self {
            Self::Claim => format!("{app_id}/claim"),
            Self::Token => format!("{app_id}/token"),
        }
    }

    /// App and topic of a key; `None` for what is not ours.
    pub(super) fn of(key: &str) -> Option<(&str, Self)> {
        match key.rsplit_once('/')? {
            (app_id, "claim") => Some((app_id, Self::Claim)),
            (app_id, "token") => Some((app_id, Self::Token)),
            _ => None,
        }
    }
}

/// Names one fetch or claim: the process that made it, and its number there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub(super) member: String,
    pub(super) number: u64,
}

/// The content of a record.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Note {
    /// Its writer wants to fetch.
    Claim { origin: Origin, on: Option<i64> },
    /// Its writer has fetched.
    Token(TokenNote),
}

/// A token. Releases that do not know a member pass over it.
#[derive(Serialize, Deserialize)]
pub(super) struct TokenNote {
    pub(super) origin: Origin,
    pub(super) access_token: String,
    pub(super) lifetime_seconds: u64,
    /// Where the claim lies under which it was fetched. By this a copy that somebody appends later is known.
    #[serde(default)]
    pub(super) claim: Option<i64>,
    /// When it was fetched, by the log's clock: the record's own time would make every copy young.
    #[serde(default)]
    pub(super) fetched_ms: Option<i64>,
}

impl Note {
    pub(super) fn claim(origin: Origin, on: Option<RecordOffset>) -> Self {
        Self::Claim { origin, on: on.map(RecordOffset::get) }
    }

    /// Only to be sealed.
    pub(super) fn text(&self) -> SecretString {
        // Texts and numbers always have a JSON form.
        SecretString::from(serde_json::to_string(self).unwrap_or_default())
    }

    pub(super) fn read(text: &SecretString) -> Option<Self> {
        serde_json::from_str(text.expose_secret()).ok()
    }
}
