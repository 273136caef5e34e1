//! One order as JSON for a script: docs/cli-json.md has its names.

use serde_json::json;

use super::show::{Shown, delivery};
use crate::cli::times;
use crate::inspect::Entry;

/// The order on one line.
pub(super) fn line(shown: &Shown, document: Option<&serde_json::Value>) -> serde_json::Value {
    let Shown { place, identity, log, .. } = shown;
    let state = log.state.as_ref();
    let is_delivered = delivery(shown) == "delivered";
    let span = shown.events.within.map(|span| json!({"from": span.from.get(), "until": span.until.get()}));
    json!({
        "app_id": Some(identity.app_id.as_str()).filter(|app| !app.is_empty()),
        "order_id": &*identity.order_id,
        "order_type": state.map(|state| state.order_type.as_str()),
        "status": state.map(|state| state.status.as_str()),
        "update_time": state.map(|state| state.update_time.0),
        "delivery": delivery(shown),
        "held_update_time": state.filter(|_| is_delivered).map(|state| state.update_time.0),
        "owed": log.owed.keys().map(|stamp| stamp.0).collect::<Vec<_>>(),
        "topic": &*place.topic,
        "partition": place.partition,
        "applied_offset": state.map(|state| state.applied_offset),
        "occurred_at": state.map(|state| times::rfc3339(state.occurred_at.0)),
        "sequence": state.and_then(|state| state.sequence).map(|sequence| sequence.0),
        "document": document,
        "dead_letters": shown.letters,
        "events_read": span,
        "events_cut": shown.events.is_cut,
        "folded_again": shown.agreement,
        "left_out": shown.left_out,
        "timeline": shown.timeline.iter().map(entry_json).collect::<Vec<_>>(),
    })
}

/// The entry, its time first in words.
fn entry_json(entry: &Entry) -> serde_json::Value {
    let mut value = json!(entry);
    if let Some(members) = value.as_object_mut() {
        members.insert("at".to_owned(), times::rfc3339(entry.at_ms).into());
    }
    value
}
