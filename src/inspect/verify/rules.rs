//! By what settings records are folded again where the log does not say by which they were folded.

use std::collections::{BTreeMap, BTreeSet};

use super::account::Account;
use super::eras::{Eras, InForce};
use super::evidence::order_key;
use super::outcome::Reason;
use crate::order::event::{EventRules, decode};
use crate::order::{AppId, DeadLetterReason, Fault, Identity, MapOrder, OrderEvent, TimeUnit};
use crate::sync::fold_settings::FoldSettings;

/// The release that folds again.
const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// Where the group has begun to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the first record.
    Beginning,
    /// Somewhere later (`kafka.start_from`): with the first record that the log knows of.
    Later,
}

/// Makes the mapping of settings that the log has recorded.
pub type MakeMapping = fn(&FoldSettings) -> Box<dyn MapOrder>;

/// The settings of an account.
pub struct VerifyRules<'m> {
    /// How events are decoded.
    pub events: EventRules,
    /// The units of the apps' stamps.
    pub units: BTreeMap<AppId, TimeUnit>,
    /// The mapping as configured, and behind it those that other settings give, which may have been in force.
    pub mappers: Vec<&'m dyn MapOrder>,
    /// Where the log has recorded settings, nothing is guessed at.
    pub mapping: MakeMapping,
    /// Where the group has begun.
    pub start: Start,
    /// The status of a superseded letter stays for so long at least, in milliseconds.
    pub statuses_stay_ms: i64,
}

/// One setting under which an event may have been folded.
#[derive(Clone, Copy)]
pub(in crate::inspect) struct Variant<'m> {
    pub(in crate::inspect) mapper: &'m dyn MapOrder,
    pub(in crate::inspect) unit: TimeUnit,
}

impl<'m> VerifyRules<'m> {
    /// Today's settings.
    pub(super) fn today(&self, app_id: &AppId) -> Vec<Variant<'m>> {
        let unit = self.units.get(app_id).copied().unwrap_or(TimeUnit::Seconds);
        self.mappers.first().map(|mapper| Variant { mapper: *mapper, unit }).into_iter().collect()
    }

    /// All that may ever have been in force, today's first.
    pub(super) fn ever(&self, app_id: &AppId) -> Vec<Variant<'m>> {
        let today = self.units.get(app_id).copied().unwrap_or(TimeUnit::Seconds);
        let other = match today {
            TimeUnit::Seconds => TimeUnit::Milliseconds,
            TimeUnit::Milliseconds => TimeUnit::Seconds,
        };
        let of_unit = |unit| self.mappers.iter().map(move |mapper| Variant { mapper: *mapper, unit });
        of_unit(today).chain(of_unit(other)).collect()
    }

    /// Decodes a value without a clock. An app that is configured no more is known from the states that it left.
    pub(super) fn decode<'a>(&self, value: &'a [u8], apps: &BTreeSet<AppId>) -> Result<OrderEvent<'a>, Fault> {
        match decode(value, &self.events, i64::MAX) {
            Err(fault) if fault.reason == DeadLetterReason::UnknownApp => {
                let once = |apps: Vec<AppId>| {
                    let rules = EventRules { apps, max_clock_skew_ms: 0 };
                    decode(value, &rules, i64::MAX).ok()
                };
                once(apps.iter().cloned().collect()).ok_or(fault)
            }
            decoded => decoded,
        }
    }
}

impl<'a> Account<'a> {
    /// Decodes a value by these settings; where the log does not say which they were, by today's.
    pub(super) fn decode<'v>(&self, value: &'v [u8], by: Option<&InForce>) -> Result<OrderEvent<'v>, Fault> {
        match by {
            Some(by) => by.decode(value, i64::MAX),
            None => self.rules.decode(value, &self.facts.apps),
        }
    }

    /// The settings under which an event of the order may have been folded: these, where the log has them.
    pub(super) fn variants(&self, identity: &Identity, by: Option<&'a InForce>) -> Vec<Variant<'a>> {
        if let Some(by) = by {
            vec![by.variant(&identity.app_id)]
        } else if self.ever.contains(&order_key(identity)) {
            self.rules.ever(&identity.app_id)
        } else {
            self.rules.today(&identity.app_id)
        }
    }

    /// All settings that may ever have been in force.
    pub(super) fn all_variants(&self, identity: &Identity) -> Vec<Variant<'a>> {
        let eras: &'a Eras = self.eras;
        let recorded = eras.known().map(|by| by.variant(&identity.app_id));
        let guessed = if eras.is_whole() { Vec::new() } else { self.variants(identity, None) };
        recorded.chain(guessed).collect()
    }

    /// Tells of records of settings that cannot be gone by.
    pub(super) fn tell_of_settings(&mut self) {
        for (offset, words) in self.eras.faults() {
            self.find(offset, Reason::SettingsDiffer, words.to_owned(), None);
        }
    }

    /// What is to be asked before anything else, where the fold may have gone by what is not at hand.
    pub(super) fn with_suspicion(&self, offset: i64, reason: Reason, words: String) -> String {
        if !reason.is_of_the_fold() {
            return words;
        }
        match self.eras.at(offset) {
            None => format!(
                "was a setting changed (client_key, order_types, an app)? The log does not say by which it was folded here. \
                 {words}"
            ),
            Some(by) if *by.release != *RELEASE => {
                format!("release {} has folded this, and {RELEASE} may fold otherwise: {words}", by.release)
            }
            Some(_) => words,
        }
    }
}
