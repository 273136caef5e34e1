//! The settings that a fold depends on, in one small value: a worker writes them into the changelog where they change, so
//! that whoever folds the log again does it by the settings of then.
//!
//! Which of them a worker goes by is said here; that events are decoded and mapped by nothing else is the shell's doing,
//! which makes decoder and mapping of this value alone. No secret is among them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::douyin::{AppSettings, GoodsEntryType, MapSettings, TextPolicy, TicketLists};
use crate::order::event::EventRules;
use crate::order::{AppId, OrderType, TimeUnit};

/// What states, stamps, requests and dead letters follow from, beside the log itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FoldSettings {
    /// The release that folds.
    #[schemars(with = "String")]
    pub release: Box<str>,
    /// `limits.max_clock_skew` in milliseconds.
    pub max_clock_skew_ms: i64,
    /// `limits.text`
    pub text: TextPolicy,
    /// `douyin.ticket_lists`
    pub ticket_lists: TicketLists,
    /// `douyin.goods_entry_type`
    pub goods_entry_type: GoodsEntryType,
    /// The configured apps, by their ids.
    #[schemars(with = "BTreeMap<String, AppFolding>")]
    pub apps: BTreeMap<AppId, AppFolding>,
}

/// What the fold of an app's orders depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppFolding {
    /// `update_time_unit`
    pub update_time_unit: TimeUnit,
    /// `client_key`; left out where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub client_key: Option<Box<str>>,
    /// `order_types`
    pub order_types: Vec<OrderType>,
}

/// The settings in short: the first eight bytes of the SHA-256 of their JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Fingerprint(u64);

impl FoldSettings {
    /// What tells these settings from others.
    pub fn fingerprint(&self) -> Fingerprint {
        // Texts and numbers, which always make JSON.
        let digest = Sha256::digest(serde_json::to_vec(self).unwrap_or_default());
        Fingerprint(digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// How events are decoded.
    pub fn event_rules(&self) -> EventRules {
        EventRules { apps: self.apps.keys().cloned().collect(), max_clock_skew_ms: self.max_clock_skew_ms }
    }

    /// The unit of each app's stamps.
    pub fn units(&self) -> BTreeMap<AppId, TimeUnit> {
        self.apps.iter().map(|(app_id, app)| (app_id.clone(), app.update_time_unit)).collect()
    }

    /// What the mapping depends on.
    pub fn map_settings(&self) -> MapSettings {
        let apps = self.apps.iter().map(|(app_id, app)| AppSettings {
            app_id: app_id.clone(),
            client_key: app.client_key.as_deref().map(str::to_owned),
            order_types: app.order_types.clone(),
        });
        MapSettings {
            apps: apps.collect(),
            text: self.text,
            ticket_lists: self.ticket_lists,
            goods_entry_type: self.goods_entry_type,
        }
    }
}

/// The settings by which a worker folds, and their fingerprint, which is compared at each commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoldedBy {
    /// In short.
    pub fingerprint: Fingerprint,
    /// In full.
    pub settings: Arc<FoldSettings>,
}

impl FoldedBy {
    /// Takes the fingerprint.
    pub fn new(settings: FoldSettings) -> Self {
        Self { fingerprint: settings.fingerprint(), settings: Arc::new(settings) }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        sixteen_digits(&text).map(Self).ok_or_else(|| "a fingerprint has sixteen digits of 0-9 and a-f".to_owned())
    }
}

/// A number in sixteen digits of 0-9 and a-f: the one way to write it, so that what is read is written again as it was.
pub(super) fn sixteen_digits(text: &str) -> Option<u64> {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let digits = Some(text).filter(|text| text.len() == 16 && text.chars().all(is_hex))?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> FoldSettings {
        let app = AppFolding {
            update_time_unit: TimeUnit::Seconds,
            client_key: Some("ck".into()),
            order_types: vec![OrderType::Normal, OrderType::Ticket],
        };
        FoldSettings {
            release: "1.2.3".into(),
            max_clock_skew_ms: 600_000,
            text: TextPolicy::Truncate,
            ticket_lists: TicketLists::Text,
            goods_entry_type: GoodsEntryType::String,
            apps: [(AppId::new("tt2"), app.clone()), (AppId::new("tt1"), app)].into(),
        }
    }

    #[test]
    fn the_stored_form_is_fixed_and_comes_back() {
        let stored = serde_json::to_string(&settings()).unwrap();
        let app = r#"{"update_time_unit":"seconds","client_key":"ck","order_types":["normal","ticket"]}"#;
        let expect = format!(
            r#"{{"release":"1.2.3","max_clock_skew_ms":600000,"text":"truncate","ticket_lists":"text","goods_entry_type":"string","apps":{{"tt1":{app},"tt2":{app}}}}}"#
        );
        assert_eq!(stored, expect);
        assert_eq!(serde_json::from_str::<FoldSettings>(&stored).unwrap(), settings());
        let fingerprint = settings().fingerprint();
        assert_eq!(Fingerprint::try_from(fingerprint.to_string()), Ok(fingerprint));
        for text in ["", "0123456789abcde", "0123456789abcdeF", "+123456789abcdef", "0123456789abcdef0"] {
            assert!(Fingerprint::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn every_setting_has_a_say_in_the_fingerprint() {
        let fingerprint = settings().fingerprint();
        let check = |change: &dyn Fn(&mut FoldSettings)| {
            let mut other = settings();
            change(&mut other);
            assert_ne!(other.fingerprint(), fingerprint, "{other:?}");
        };
        let app = |settings: &mut FoldSettings, change: &dyn Fn(&mut AppFolding)| {
            change(settings.apps.get_mut(&AppId::new("tt1")).unwrap());
        };
        check(&|it| it.release = "1.2.4".into());
        check(&|it| it.max_clock_skew_ms += 1);
        check(&|it| it.text = TextPolicy::Strict);
        check(&|it| it.ticket_lists = TicketLists::Array);
        check(&|it| it.goods_entry_type = GoodsEntryType::Integer);
        check(&|it| drop(it.apps.remove(&AppId::new("tt2"))));
        check(&|it| app(it, &|app| app.update_time_unit = TimeUnit::Milliseconds));
        check(&|it| app(it, &|app| app.client_key = None));
        check(&|it| app(it, &|app| app.order_types.truncate(1)));
    }
}
