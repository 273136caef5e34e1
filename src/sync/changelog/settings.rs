//! By which settings a partition is folded, and from where on: one record wherever they have changed, never removed.
//!
//! It stands in the commit that is the first one under them, before everything else of it. No worker needs it: it is for
//! those who fold the log again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::record::NextOffset;
use crate::sync::fold_settings::{Fingerprint, FoldSettings, FoldedBy};

/// The format that this release writes; it reads no other.
const FORMAT: u64 = 1;

/// The settings of all commits from one on, which its key names, until the next such record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsFrom {
    /// The first source offset that is folded by them.
    pub next: NextOffset,
    /// The first offset of the commands topic that is executed under them; `None` while no command was read.
    pub commands: Option<NextOffset>,
    /// The settings before them; `None` where none were recorded.
    pub before: Option<Fingerprint>,
    /// The settings.
    pub by: FoldedBy,
}

/// Stored settings cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Written by a newer release, or not by us.
    #[error("unknown format {0} of the settings")]
    Format(u64),
    /// Not the JSON that this release writes.
    #[error("unreadable settings: {0}")]
    Json(#[from] serde_json::Error),
    /// They are not those that were written.
    #[error("the settings do not give their fingerprint")]
    Changed,
}

/// The stored form of the settings by which a source partition is folded from an offset on.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SettingsFrom")]
pub(super) struct StoredSettings {
    /// The format's number.
    #[schemars(range(min = 1, max = 1))]
    format: u64,
    /// The first source offset that is folded by them.
    #[schemars(range(min = 0))]
    next: i64,
    /// The first offset of the commands topic that is executed under them; left out while no command was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 0))]
    commands: Option<i64>,
    /// The fingerprint of the record before this one; left out where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Fingerprint")]
    before: Option<Fingerprint>,
    /// The first eight bytes of the SHA-256 of `settings` as it stands here, in hexadecimal digits; positions name it.
    fingerprint: Fingerprint,
    /// The settings.
    settings: Arc<FoldSettings>,
}

#[derive(Deserialize)]
struct Format {
    format: u64,
}

impl SettingsFrom {
    /// The stored form: one JSON object, `format` first.
    pub fn encode(&self) -> Result<Vec<u8>, SettingsError> {
        Ok(serde_json::to_vec(&StoredSettings {
            format: FORMAT,
            next: self.next.get(),
            commands: self.commands.map(NextOffset::get),
            before: self.before,
            fingerprint: self.by.fingerprint,
            settings: Arc::clone(&self.by.settings),
        })?)
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, SettingsError> {
        let format = serde_json::from_slice::<Format>(bytes)?.format;
        if format != FORMAT {
            return Err(SettingsError::Format(format));
        }
        let stored: StoredSettings = serde_json::from_slice(bytes)?;
        let StoredSettings { next, commands, before, fingerprint, settings, .. } = stored;
        if settings.fingerprint() != fingerprint {
            return Err(SettingsError::Changed);
        }
        let by = FoldedBy { fingerprint, settings };
        Ok(Self { next: NextOffset::new(next), commands: commands.map(NextOffset::new), before, by })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::douyin::{GoodsEntryType, TextPolicy, TicketLists};

    #[test]
    fn the_stored_form_comes_back_and_a_changed_one_is_refused() {
        let settings = FoldSettings {
            release: "1.2.3".into(),
            max_clock_skew_ms: 1,
            text: TextPolicy::Strict,
            ticket_lists: TicketLists::Array,
            goods_entry_type: GoodsEntryType::Integer,
            apps: std::collections::BTreeMap::new(),
        };
        let by = FoldedBy::new(settings);
        let (next, commands) = (NextOffset::new(7), Some(NextOffset::new(2)));
        let from = SettingsFrom { next, commands, before: Some(by.fingerprint), by };
        let stored = String::from_utf8(from.encode().unwrap()).unwrap();
        assert!(stored.starts_with(r#"{"format":1,"next":7,"commands":2,"before":""#), "{stored}");
        assert_eq!(SettingsFrom::decode(stored.as_bytes()).unwrap(), from);
        let check = |from: &str, to: &str, expect: &str| {
            let changed = stored.replacen(from, to, 1);
            assert_ne!(changed, stored);
            let error = SettingsFrom::decode(changed.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check("1.2.3", "1.2.4", "do not give their fingerprint");
        check("\"format\":1", "\"format\":2", "unknown format 2");
        check("\"text\"", "\"texts\"", "unreadable");
    }
}
