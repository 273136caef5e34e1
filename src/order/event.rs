//! The order event, version 1: decoded from a record's value, borrowing from it.

use std::borrow::Cow;

use super::fault::Fault;
use super::json::Json;
use super::value::{AppId, EventTime, OrderType, Sequence, Status};

/// One immutable fact about one order.
#[derive(Clone, Debug)]
pub struct OrderEvent<'a> {
    /// 1..=128 bytes, unique per event.
    pub event_id: Cow<'a, str>,
    /// 1..=64 bytes.
    pub order_id: Cow<'a, str>,
    /// The app, resolved: named by the event, or the only one configured.
    pub app_id: AppId,
    /// Required on an order's first event; later it must agree.
    pub order_type: Option<OrderType>,
    /// What became of the order.
    pub status: Status,
    /// When it happened.
    pub occurred_at: EventTime,
    /// The order's own event number.
    pub sequence: Option<Sequence>,
    /// A merge patch on the order document; an object where present.
    pub order: Option<Json<'a>>,
}

/// What decoding needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct EventRules {
    /// The configured apps; never empty.
    pub apps: Vec<AppId>,
    /// How far ahead of the worker's clock an event may lie, in milliseconds (default 10 min).
    pub max_clock_skew_ms: i64,
}

/// Decodes and checks one record's value against §1–§3 of the contract, in its order of judgement, from
/// `malformed_event` to `time_in_future`. `now_ms` is the worker's wall clock in milliseconds since the epoch.
pub fn decode<'a>(value: &'a [u8], rules: &EventRules, now_ms: i64) -> Result<OrderEvent<'a>, Fault> {
    let _ = (value, rules, now_ms);
    unimplemented!()
}
