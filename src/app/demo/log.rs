//! A seeded log of order events: whole lives of many orders, interleaved, with the dirt of real producers in it.
//!
//! The same seed gives the same log, byte for byte. The demo shows it; the storms run on it.

use serde_json::{Value, json};

use super::dirt::{Dirt, dirty};
use super::documents::document;
use super::lifecycle::lifecycle;
use crate::order::{AppId, OrderType, Status};

/// What a log is made of.
#[derive(Clone, Debug)]
pub struct LogSpec {
    /// The same seed gives the same log.
    pub seed: u64,
    /// How many orders live in it.
    pub orders: usize,
    /// The apps they belong to; with one app, events name none.
    pub apps: Vec<AppId>,
    /// One event in so many is followed by a dirty record; 0 is a clean log.
    pub one_dirty_in: usize,
    /// When the log begins, milliseconds since the epoch. It must lie in the past: the log spans about a day.
    pub begins_at: i64,
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// The key; `None` only in dirt.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// The partition's choice: all records of one order have the same.
    pub partition_hint: u64,
}

/// One order on its way through its life.
pub(super) struct Life {
    pub(super) number: usize,
    pub(super) order_id: String,
    pub(super) app: AppId,
    pub(super) order_type: OrderType,
    pub(super) document: Value,
    steps: std::vec::IntoIter<Status>,
    pub(super) occurred_at: i64,
    pub(super) events: usize,
    sequenced: bool,
    pub(super) last_event: Option<Value>,
}

/// Writes the log.
pub fn generate(spec: &LogSpec) -> Vec<LogRecord> {
    let mut rng = fastrand::Rng::with_seed(spec.seed);
    let mut waiting: Vec<Life> = (0..spec.orders).map(|number| Life::begin(number, spec, &mut rng)).collect();
    waiting.reverse();
    let mut living: Vec<Life> = Vec::new();
    let mut records = Vec::with_capacity(spec.orders * 5);
    loop {
        while living.len() < 200.min(spec.orders) {
            let Some(life) = waiting.pop() else { break };
            living.push(life);
        }
        if living.is_empty() {
            return records;
        }
        let chosen = rng.usize(..living.len());
        let life = &mut living[chosen];
        let Some(event) = life.step(spec, &mut rng) else {
            living.swap_remove(chosen);
            continue;
        };
        records.push(life.record(&event));
        life.last_event = Some(event);
        if spec.one_dirty_in > 0 && rng.usize(..spec.one_dirty_in) == 0 {
            let kind = Dirt::ALL[rng.usize(..Dirt::ALL.len())];
            records.extend(dirty(kind, life, spec, &mut rng));
        }
    }
}

impl Life {
    fn begin(number: usize, spec: &LogSpec, rng: &mut fastrand::Rng) -> Self {
        let order_type = OrderType::ALL[rng.usize(..3)];
        let order_id = format!("D{:08x}-{number:06}", spec.seed);
        let span = i64::try_from(spec.orders).unwrap_or(i64::MAX).max(1);
        let born = spec.begins_at + 43_200_000 * i64::try_from(number).unwrap_or(0) / span;
        let steps = lifecycle(order_type, rng).into_iter();
        Self {
            number,
            document: document(order_type, &order_id, born, rng),
            app: spec.apps[number % spec.apps.len()].clone(),
            order_id,
            order_type,
            steps,
            occurred_at: born,
            events: 0,
            sequenced: rng.bool(),
            last_event: None,
        }
    }

    fn step(&mut self, spec: &LogSpec, rng: &mut fastrand::Rng) -> Option<Value> {
        let status = self.steps.next()?;
        let first = self.events == 0;
        // Some steps lie in the same second, some in the same millisecond: the stamp has to grow all the same.
        self.occurred_at += [0, 300, 700, 60_000, 600_000][rng.usize(..5)];
        self.events += 1;
        let mut event = json!({
            "event_id": format!("{}-e{}", self.order_id, self.events),
            "order_id": self.order_id,
            "status": status,
            "occurred_at": self.occurred_at,
            "producer": "demo",
        });
        if self.sequenced {
            event["sequence"] = json!(self.events);
        }
        if spec.apps.len() > 1 {
            event["app_id"] = json!(self.app.as_str());
        }
        if first {
            event["order_type"] = json!(self.order_type);
            event["order"] = self.document.clone();
        } else {
            self.later(&mut event, status, rng);
        }
        Some(event)
    }

    /// A later event carries the whole order, only what changed, or nothing.
    fn later(&mut self, event: &mut Value, status: Status, rng: &mut fastrand::Rng) {
        let mut change = json!({});
        if status == Status::Paid {
            change["paid_at"] = json!(self.occurred_at);
        }
        if status == Status::Redeemed && self.order_type != OrderType::Normal {
            change["redemption"] = json!({"shop_id": "shop-1", "poi_id": "6601136811005274119"});
        }
        if rng.u8(..4) == 0 {
            change["merchant_note"] = Value::Null;
        }
        if let (Some(document), Some(change)) = (self.document.as_object_mut(), change.as_object()) {
            document.extend(change.clone());
        }
        match rng.u8(..3) {
            0 => event["order"] = self.document.clone(),
            1 => event["order"] = change,
            _ if change.as_object().is_some_and(|change| !change.is_empty()) => event["order"] = change,
            _ => {}
        }
    }

    pub(super) fn record(&self, event: &Value) -> LogRecord {
        LogRecord {
            key: Some(self.order_id.clone().into_bytes()),
            value: Some(event.to_string().into_bytes()),
            partition_hint: u64::try_from(self.number).unwrap_or(0),
        }
    }
}
