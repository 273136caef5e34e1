//! The dirt of real producers: repeats, old events, broken ones, tombstones. One record of each kind for every reason
//! that can be judged without the platform.

use serde_json::{Value, json};

use super::log::{Life, LogRecord, LogSpec};

/// The kinds of dirt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dirt {
    /// The same event again.
    Repeat,
    /// An event that happened before the last one.
    Old,
    /// An event that changes nothing that is sent.
    Same,
    /// No value.
    Tombstone,
    /// Not JSON.
    NotJson,
    /// A field of the envelope is missing.
    NoEventId,
    /// A schema that nobody knows.
    NewSchema,
    /// An app that nobody knows.
    StrangeApp,
    /// Tomorrow's event.
    Future,
    /// No key, in a topic of several partitions.
    NoKey,
    /// Another type than the order has.
    OtherType,
    /// A status that the type does not know.
    WrongStatus,
    /// A first event without its document.
    Incomplete,
    /// A price that is text.
    WrongType,
    /// A URL over its limit.
    TooLong,
    /// A document over 256 KiB.
    HugeDocument,
}

impl Dirt {
    /// All kinds.
    pub const ALL: [Self; 16] = [
        Self::Repeat,
        Self::Old,
        Self::Same,
        Self::Tombstone,
        Self::NotJson,
        Self::NoEventId,
        Self::NewSchema,
        Self::StrangeApp,
        Self::Future,
        Self::NoKey,
        Self::OtherType,
        Self::WrongStatus,
        Self::Incomplete,
        Self::WrongType,
        Self::TooLong,
        Self::HugeDocument,
    ];
}

/// A dirty record beside the life of an order.
pub(super) fn dirty(kind: Dirt, life: &Life, spec: &LogSpec, rng: &mut fastrand::Rng) -> Option<LogRecord> {
    let mut event = json!({
        "event_id": format!("{}-dirt-{:08x}", life.order_id, rng.u32(..)),
        "order_id": life.order_id,
        "status": "paid",
        "occurred_at": life.occurred_at,
    });
    if spec.apps.len() > 1 {
        event["app_id"] = json!(life.app.as_str());
    }
    let set = |event: &mut Value, field: &str, value: Value| event[field] = value;
    match kind {
        Dirt::Repeat => return Some(life.record(life.last_event.as_ref()?)),
        Dirt::Old => set(&mut event, "occurred_at", json!(life.occurred_at - 3_600_000)),
        Dirt::Same => {
            let last = life.last_event.as_ref()?;
            set(&mut event, "status", last["status"].clone());
            set(&mut event, "order", json!({"internal_flag": rng.bool()}));
        }
        Dirt::Tombstone => return Some(LogRecord { value: None, ..life.record(&event) }),
        Dirt::NotJson => {
            return Some(LogRecord { value: Some(b"{\"event_id\": oops".to_vec()), ..life.record(&event) });
        }
        Dirt::NoEventId => set(&mut event, "event_id", Value::Null),
        Dirt::NewSchema => set(&mut event, "schema_version", json!(7)),
        Dirt::StrangeApp => set(&mut event, "app_id", json!("tt-of-somebody-else")),
        Dirt::Future => set(&mut event, "occurred_at", json!("2199-01-01T00:00:00+08:00")),
        Dirt::NoKey => return Some(LogRecord { key: None, ..life.record(&event) }),
        Dirt::OtherType => {
            let other = if life.order_type == crate::order::OrderType::Normal { "ticket" } else { "normal" };
            set(&mut event, "order_type", json!(other));
        }
        Dirt::WrongStatus => {
            set(&mut event, "status", json!("booked"));
            if life.order_type == crate::order::OrderType::Ticket {
                return None;
            }
        }
        Dirt::Incomplete => {
            set(&mut event, "order_id", json!(format!("{}-half", life.order_id)));
            set(&mut event, "order_type", json!("normal"));
            set(&mut event, "order", json!({"total_price": 100}));
        }
        Dirt::WrongType => set(&mut event, "order", json!({"total_price": "19.80"})),
        Dirt::TooLong => {
            let page = json!({"path": "pages/order/detail", "params": {"id": "x".repeat(1100)}});
            set(&mut event, "order", json!({"page": page}));
        }
        Dirt::HugeDocument => set(&mut event, "order", json!({"blob": "z".repeat(262_144)})),
    }
    Some(life.record(&event))
}
