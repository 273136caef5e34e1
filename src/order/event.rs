//! The order event, version 1: decoded from a record's value, borrowing from it, and judged (§2 of the contract).
//!
//! The order's state is not known here; what depends on it is judged by the fold.

use std::borrow::Cow;

use super::envelope::Envelope;
use super::fault::{DeadLetterReason, Fault};
use super::json::Json;
use super::time::{self, TIME_RULE};
use super::value::{AppId, EventTime, OrderType, Sequence, Status};

/// The greatest length of an `event_id` in bytes; the least is 1.
pub const EVENT_ID_BYTES_MAX: usize = 128;
/// The greatest length of an `order_id` in bytes; the least is 1.
pub const ORDER_ID_BYTES_MAX: usize = 64;
/// The greatest length of an app's id in bytes, as the settings take it.
const APP_ID_BYTES_MAX: usize = 64;

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
    let mut envelope = Envelope::read(value).map_err(malformed)?;
    envelope.judge(rules, now_ms).map_err(|fault| envelope.name(fault, rules))
}

/// The app that a value names, whether it is configured or not; `None` where none can be read, or it is too long for one.
pub fn named_app(value: &[u8]) -> Option<String> {
    let envelope = Envelope::read(value).ok()?;
    text(envelope.app_id.as_ref()?, APP_ID_BYTES_MAX).map(Cow::into_owned)
}

impl<'a> Envelope<'a> {
    fn judge(&mut self, rules: &EventRules, now_ms: i64) -> Result<OrderEvent<'a>, Fault> {
        let mut faults = Faults::default();
        let version =
            faults.optional("schema_version", self.schema_version.as_ref(), "must be an integer", Json::as_integer);
        if version.is_some_and(|version| version != 1) {
            let message = "schema_version is not 1, the only version that this release reads";
            return Err(Fault::new(DeadLetterReason::UnsupportedSchemaVersion, message));
        }
        let event_id =
            faults.required("event_id", self.event_id.as_ref(), EVENT_ID_RULE, |id| text(id, EVENT_ID_BYTES_MAX));
        let order_id =
            faults.required("order_id", self.order_id.as_ref(), ORDER_ID_RULE, |id| text(id, ORDER_ID_BYTES_MAX));
        faults.optional("app_id", self.app_id.as_ref(), "must be a string", Json::as_str);
        let order_type = faults.optional("order_type", self.order_type.as_ref(), ORDER_TYPE_RULE, order_type_of);
        let status = faults.required("status", self.status.as_ref(), STATUS_RULE, status_of);
        let occurred_at = faults.required("occurred_at", self.occurred_at.as_ref(), TIME_RULE, time::from_json);
        let sequence = faults.optional("sequence", self.sequence.as_ref(), SEQUENCE_RULE, sequence_of);
        faults.optional("order", self.order.as_ref(), "must be an object", Json::as_object);
        let (Some(event_id), Some(order_id), Some(status), Some(occurred_at), true) =
            (event_id, order_id, status, occurred_at, faults.0.is_empty())
        else {
            return Err(malformed(faults.0.join("; ")));
        };
        let app_id = self.app_id(rules)?;
        if occurred_at.0 > now_ms.saturating_add(rules.max_clock_skew_ms) {
            let seconds = rules.max_clock_skew_ms / 1000;
            let message = format!("occurred_at lies more than {seconds} s (limits.max_clock_skew) ahead of the clock");
            return Err(Fault::new(DeadLetterReason::TimeInFuture, message));
        }
        let order = self.order.take();
        Ok(OrderEvent { event_id, order_id, app_id, order_type, status, occurred_at, sequence, order })
    }

    fn app_id(&self, rules: &EventRules) -> Result<AppId, Fault> {
        let unknown = |message| Fault::new(DeadLetterReason::UnknownApp, message);
        match (&self.app_id, rules.apps.as_slice()) {
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(unknown("app_id is missing, and more than one app is configured")),
            (Some(named), apps) => {
                let named = named.as_str().unwrap_or_default();
                let known = apps.iter().find(|app| app.as_str() == named).cloned();
                known.ok_or_else(|| unknown("app_id is not one of the configured apps"))
            }
        }
    }

    /// Adds the ids that could be read.
    fn name(&self, fault: Fault, rules: &EventRules) -> Fault {
        let order_id = self.order_id.as_ref().and_then(|id| text(id, ORDER_ID_BYTES_MAX)).map(Cow::into_owned);
        let app_id = self.app_id(rules).ok().map(|app_id| app_id.as_str().to_owned());
        Fault { order_id, app_id, ..fault }
    }
}

const EVENT_ID_RULE: &str = "must be a string of 1 to 128 bytes";
const ORDER_ID_RULE: &str = "must be a string of 1 to 64 bytes";
const ORDER_TYPE_RULE: &str = "must be one of normal, group_coupon, ticket";
const STATUS_RULE: &str = "must be one of pending_payment, paid, awaiting_confirmation, booked, redeemed, cancelled, \
                           timed_out, refunding, refunded, refund_failed";
const SEQUENCE_RULE: &str = "must be an integer, 0 or greater";

/// The faulty fields of one envelope, all to be named at once.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn optional<'s, 'a, T>(
        &mut self,
        field: &str,
        slot: Option<&'s Json<'a>>,
        rule: &str,
        read: impl Fn(&'s Json<'a>) -> Option<T>,
    ) -> Option<T> {
        let value = slot?;
        let read = read(value);
        if read.is_none() {
            self.0.push(format!("{field} {rule}"));
        }
        read
    }

    fn required<'s, 'a, T>(
        &mut self,
        field: &str,
        slot: Option<&'s Json<'a>>,
        rule: &str,
        read: impl Fn(&'s Json<'a>) -> Option<T>,
    ) -> Option<T> {
        if slot.is_none() {
            self.0.push(format!("{field} is missing"));
        }
        self.optional(field, slot, rule, read)
    }
}

fn order_type_of(word: &Json<'_>) -> Option<OrderType> {
    word.as_str().and_then(OrderType::from_word)
}

fn status_of(word: &Json<'_>) -> Option<Status> {
    word.as_str().and_then(Status::from_word)
}

fn sequence_of(number: &Json<'_>) -> Option<Sequence> {
    number.as_integer().filter(|number| *number >= 0).map(Sequence)
}

fn malformed(message: impl Into<String>) -> Fault {
    Fault::new(DeadLetterReason::MalformedEvent, message)
}

/// A string of 1 to `bytes_max` bytes.
fn text<'a>(value: &Json<'a>, bytes_max: usize) -> Option<Cow<'a, str>> {
    match value {
        Json::Str(text) if (1..=bytes_max).contains(&text.len()) => Some(text.clone()),
        Json::Null
        | Json::Bool(_)
        | Json::Int(_)
        | Json::UInt(_)
        | Json::Float(_)
        | Json::Str(_)
        | Json::Array(_)
        | Json::Object(_) => None,
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
