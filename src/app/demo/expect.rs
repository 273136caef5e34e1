//! What a log must come to: every order's states in order, every record's outcome, judged without broker, store or
//! network. The demo compares what the sandbox holds with this.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::app::settings;
use crate::config::Config;
use crate::douyin::Mapper;
use crate::order::event::{EventRules, decode};
use crate::order::fold::{FoldRules, fold};
use crate::order::{AppId, DeadLetterReason, Identity, OrderState, TimeUnit, Transition, UpdateTime};

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
        mapper: settings::mapper(config),
        units: settings::units(config),
        states: HashMap::new(),
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
    mapper: Mapper,
    units: BTreeMap<AppId, TimeUnit>,
    states: HashMap<Identity, OrderState>,
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
        let unit = self.units.get(&identity.app_id).copied().unwrap_or(TimeUnit::Seconds);
        let rules = FoldRules { unit, removed_stamp: UpdateTime::ZERO };
        let offset = i64::try_from(number).unwrap_or(i64::MAX);
        let state = self.states.get(&identity);
        let transition = fold(state, &event, offset, rules, &self.mapper).map_err(|fault| fault.reason)?;
        match transition {
            Transition::Duplicate => Ok("duplicate"),
            Transition::Stale => Ok("stale"),
            Transition::Unchanged(advanced) => {
                expected.unchanged.insert(identity.clone());
                self.states.insert(identity, advanced.state);
                Ok("unchanged")
            }
            Transition::Advanced(advanced) => {
                let update_time = advanced.state.update_time.0;
                let push = ExpectedPush { update_time, request: advanced.request, record: number };
                expected.orders.entry(identity.clone()).or_default().push(push);
                self.states.insert(identity, advanced.state);
                Ok("delivered")
            }
        }
    }
}
