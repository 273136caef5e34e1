//! By what settings records are folded again.

use std::collections::{BTreeMap, BTreeSet};

use crate::order::event::{EventRules, decode};
use crate::order::{AppId, DeadLetterReason, Fault, MapOrder, OrderEvent, TimeUnit};

/// Where the group has begun to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the first record.
    Beginning,
    /// Somewhere later (`kafka.start_from`): with the first record that the log knows of.
    Later,
}

/// The settings of an account.
pub struct VerifyRules<'m> {
    /// How events are decoded.
    pub events: EventRules,
    /// The units of the apps' stamps.
    pub units: BTreeMap<AppId, TimeUnit>,
    /// The mapping as configured, and behind it those that other settings give, which may have been in force.
    pub mappers: Vec<&'m dyn MapOrder>,
    /// Where the group has begun.
    pub start: Start,
}

/// One setting under which an event may have been folded.
#[derive(Clone, Copy)]
pub(super) struct Variant<'m> {
    pub(super) mapper: &'m dyn MapOrder,
    pub(super) unit: TimeUnit,
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
