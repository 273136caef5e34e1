//! What a log must come to: every order's states in order, every record's outcome, judged without broker, store or
//! network. The demo compares what the sandbox holds with this.

use std::collections::{BTreeMap, BTreeSet};

use crate::app::memory_fold::{Folded, MemoryFold};
use crate::app::settings;
use crate::config::Config;
use crate::douyin::Mapper;
use crate::order::event::{EventRules, decode};
use crate::order::{DeadLetterReason, Identity};

use super::log::LogRecord;

/// One state of an order, as it must be pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedPush {
    /// The stamp.
    pub update_time: i64,
    /// The request without the token.
    pub request: Vec<u8>,
    /// Which record of the log it belongs to.
    pub record: usize,
}

/// What a log must come to.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Every order's pushes, in stamp order.
    pub orders: BTreeMap<Identity, Vec<ExpectedPush>>,
    /// Orders with an event that changed nothing that is sent.
    pub unchanged: BTreeSet<Identity>,
    /// How many records come to what, by the words of the contract; `delivered` stands for what is to be.
    pub outcomes: BTreeMap<&'static str, usize>,
    /// How many dead letters there must be, by reason, of those that are judged before delivery.
    pub reasons: BTreeMap<&'static str, usize>,
}

impl Expected {
    /// How many pushes there must be.
    pub fn pushes(&self) -> usize {
        self.orders.values().map(Vec::len).sum()
    }
}

/// Folds a log in memory. `now_ms` is the wall clock that `time_in_future` is judged by.
pub fn expect(config: &Config, log: &[LogRecord], now_ms: i64) -> Expected {
    let mut judge = Judge {
        events: settings::event_rules(config),
        orders: MemoryFold::new(settings::units(config), settings::mapper(config)),
        now_ms,
    };
    let mut expected = Expected::default();
    for (number, record) in log.iter().enumerate() {
        let word = match judge.record(number, record, &mut expected) {
            Ok(word) => word,
            Err(reason) => {
                *expected.reasons.entry(reason.as_str()).or_default() += 1;
                "dead_letter"
            }
        };
        *expected.outcomes.entry(word).or_default() += 1;
    }
    expected
}

struct Judge {
    events: EventRules,
    orders: MemoryFold<Mapper>,
    now_ms: i64,
}

impl Judge {
    fn record(
        &mut self,
        number: usize,
        record: &LogRecord,
        expected: &mut Expected,
    ) -> Result<&'static str, DeadLetterReason> {
        let Some(value) = &record.value else { return Ok("tombstone") };
        if record.key.is_none() {
            return Err(DeadLetterReason::MissingKey);
        }
        let event = decode(value, &self.events, self.now_ms).map_err(|fault| fault.reason)?;
        let identity = Identity::new(event.app_id.clone(), event.order_id.as_ref());
        let offset = i64::try_from(number).unwrap_or(i64::MAX);
        match self.orders.fold(&identity, &event, offset).map_err(|fault| fault.reason)? {
            Folded::Duplicate => Ok("duplicate"),
            Folded::Stale => Ok("stale"),
            Folded::Unchanged { .. } => {
                expected.unchanged.insert(identity);
                Ok("unchanged")
            }
            Folded::Advanced { update_time, request } => {
                let push = ExpectedPush { update_time: update_time.0, request, record: number };
                expected.orders.entry(identity).or_default().push(push);
                Ok("delivered")
            }
        }
    }
}
