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
    Token { origin: Origin, access_token: String, lifetime_seconds: u64 },
}

impl Note {
    pub(super) fn claim(origin: Origin, on: Option<RecordOffset>) -> Self {
        Self::Claim { origin, on: on.map(RecordOffset::get) }
    }

    pub(super) fn token(origin: Origin, token: &SecretString, lifetime: std::time::Duration) -> Self {
        let access_token = token.expose_secret().to_owned();
        Self::Token { origin, access_token, lifetime_seconds: lifetime.as_secs() }
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
