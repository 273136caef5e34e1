//! The envelope (§2), from bytes to an event or a reason.

use serde_json::{Map, Value};

use super::json::{integer, parse};
use super::log::Settings;
use super::time::millis;

pub(super) const TYPES: [&str; 3] = ["normal", "group_coupon", "ticket"];
pub(super) const STATUSES: [&str; 10] = [
    "pending_payment",
    "paid",
    "awaiting_confirmation",
    "booked",
    "redeemed",
    "cancelled",
    "timed_out",
    "refunding",
    "refunded",
    "refund_failed",
];

#[derive(Debug)]
pub(super) struct Event {
    pub(super) event_id: String,
    pub(super) order_id: String,
    pub(super) app_id: String,
    pub(super) order_type: Option<String>,
    pub(super) status: String,
    pub(super) occurred_at: i64,
    pub(super) sequence: Option<i64>,
    pub(super) order: Option<Value>,
}

pub(super) fn decode(bytes: &[u8], settings: &Settings) -> Result<Event, &'static str> {
    let Some(Value::Object(mut fields)) = parse(bytes) else { return Err("malformed_event") };
    fields.retain(|_, value| !value.is_null());
    if let Some(version) = fields.get("schema_version") {
        match integer(version) {
            Some(1) => {}
            Some(_) => return Err("unsupported_schema_version"),
            None => return Err("malformed_event"),
        }
    }
    let event = fields_of(&fields).ok_or("malformed_event")?;
    let app_id = match (&event.app_id, settings.apps.as_slice()) {
        (Some(named), apps) => apps.iter().find(|app| app.app_id == *named),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let app_id = app_id.ok_or("unknown_app")?.app_id.clone();
    if event.event.occurred_at > settings.now_ms + settings.max_clock_skew_ms {
        return Err("time_in_future");
    }
    Ok(Event { app_id, ..event.event })
}

struct Fields {
    event: Event,
    app_id: Option<String>,
}

fn fields_of(fields: &Map<String, Value>) -> Option<Fields> {
    let word = |name: &str, words: &[&str]| match fields.get(name) {
        None => Some(None),
        Some(Value::String(word)) if words.contains(&word.as_str()) => Some(Some(word.clone())),
        Some(_) => None,
    };
    let id = |name: &str, most: usize| {
        Some(fields.get(name)?.as_str()?.to_owned()).filter(|id| !id.is_empty() && id.len() <= most)
    };
    let app_id = match fields.get("app_id") {
        None => None,
        Some(app_id) => Some(app_id.as_str()?.to_owned()),
    };
    let sequence = match fields.get("sequence") {
        None => None,
        Some(sequence) => Some(integer(sequence).filter(|n| *n >= 0)?),
    };
    if fields.get("order").is_some_and(|order| !order.is_object()) {
        return None;
    }
    let event = Event {
        event_id: id("event_id", 128)?,
        order_id: id("order_id", 64)?,
        app_id: String::new(),
        order_type: word("order_type", &TYPES)?,
        status: word("status", &STATUSES)??,
        occurred_at: millis(fields.get("occurred_at")?)?,
        sequence,
        order: fields.get("order").cloned(),
    };
    Some(Fields { event, app_id })
}
