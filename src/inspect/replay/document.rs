//! Two states of an order side by side: whether they are sent alike, and where they differ, field by field.

use serde::Serialize;
use serde_json::Value;

use crate::inspect::{Mask, Personal};
use crate::order::{DeadLetterReason, OrderType, Status};
use crate::order::{Digest, Fault, Identity, Json, MapInput, MapOrder, OrderState};

/// Fields of one order that are told, at most.
const FIELDS_MAX: usize = 32;
/// Characters of a value that are told.
const VALUE_CHARS_MAX: usize = 120;

/// One field that differs. A value that is not there is `null`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `status`, `order_type`, the way to a member of the document, `items[0].price`, or to one of the mapped request:
    /// `request.order_detail.total_price`.
    pub field: String,
    /// What the log gives, of a request what these settings do.
    pub log: Value,
    /// What the changelog holds, of a request what was sent then.
    pub changelog: Value,
}

/// The digest of what is sent of this order by these settings.
pub(super) fn digest_of(
    identity: &Identity,
    (order_type, status): (OrderType, Status),
    document: &str,
    mapper: &dyn MapOrder,
) -> Result<Digest, Fault> {
    Ok(Digest::of(&draft_of(identity, (order_type, status), document, mapper)?))
}

/// What is sent of this order by these settings, without its stamp.
pub(super) fn draft_of(
    identity: &Identity,
    (order_type, status): (OrderType, Status),
    document: &str,
    mapper: &dyn MapOrder,
) -> Result<Vec<u8>, Fault> {
    let unreadable =
        |error| Fault::new(DeadLetterReason::MalformedOrder, format!("the document is unreadable: {error}"));
    let document = Json::parse(document).map_err(unreadable)?;
    let input =
        MapInput { app_id: &identity.app_id, order_id: &identity.order_id, order_type, status, document: &document };
    Ok(mapper.map(&input)?.draft)
}

/// Whether the document holds everything that an event has set in it.
pub(super) fn holds(document: &str, patch: &str) -> bool {
    match (Json::parse(document), Json::parse(patch)) {
        (Ok(document), Ok(patch)) => contains(&document, &patch),
        (Ok(_) | Err(_), _) => false,
    }
}

fn contains(whole: &Json<'_>, part: &Json<'_>) -> bool {
    match part.as_object() {
        Some(members) => {
            whole.as_object().is_some()
                && members.iter().all(|(key, value)| whole.get(key).is_some_and(|held| contains(held, value)))
        }
        None => whole == part,
    }
}

/// Which members of the log's document are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Members {
    /// All, and what the changelog has besides.
    All,
    /// Those that the log's side has.
    OfLog,
}

/// Where the two states differ.
pub(super) fn differences(
    log: &OrderState,
    held: &OrderState,
    members: Members,
    personal: Personal,
) -> Vec<Difference> {
    let mut mask = Mask::new(personal);
    let mut tree = |document: &str| {
        (serde_json::from_str(document).unwrap_or_default(), mask.json(document.as_bytes()).unwrap_or_default())
    };
    let (log_tree, held_tree): ((Value, Value), (Value, Value)) = (tree(&log.document), tree(&held.document));
    let mut found = Vec::new();
    let mut word = |field: &str, log: &str, held: &str| {
        if log != held {
            found.push(Difference { field: field.to_owned(), log: log.into(), changelog: held.into() });
        }
    };
    word("status", log.status.as_str(), held.status.as_str());
    if members == Members::All {
        word("order_type", log.order_type.as_str(), held.order_type.as_str());
    }
    let log_side = Side { raw: Some(&log_tree.0), shown: Some(&log_tree.1) };
    let held_side = Side { raw: Some(&held_tree.0), shown: Some(&held_tree.1) };
    compare("", log_side, held_side, members, &mask, &mut found);
    found
}

/// Where two trees differ, each with what is shown of it.
pub(super) fn differences_of(
    field: &str,
    ours: (&Value, &Value),
    theirs: (&Value, &Value),
    mask: &Mask,
) -> Vec<Difference> {
    let (mut found, side) = (Vec::new(), |(raw, shown)| Side { raw: Some(raw), shown: Some(shown) });
    compare(field, side(ours), side(theirs), Members::All, mask, &mut found);
    found
}

/// A value, and what is shown of it; what a mask covers as a whole is not shown in parts.
#[derive(Clone, Copy)]
struct Side<'v> {
    raw: Option<&'v Value>,
    shown: Option<&'v Value>,
}

impl<'v> Side<'v> {
    fn member(self, key: &str) -> Self {
        let within = |value: Option<&'v Value>| value.and_then(|value| value.get(key));
        Self { raw: within(self.raw), shown: within(self.shown) }
    }

    fn element(self, at: usize) -> Self {
        let within = |value: Option<&'v Value>| value.and_then(|value| value.get(at));
        Self { raw: within(self.raw), shown: within(self.shown) }
    }

    fn told(self, mask: &Mask) -> Value {
        let covered = || Value::from("***");
        match (self.raw, self.shown) {
            (None, _) => Value::Null,
            (Some(_), None) => covered(),
            (Some(_), Some(shown @ (Value::Null | Value::Bool(_) | Value::Number(_)))) => shown.clone(),
            (Some(_), Some(Value::String(text))) => cut(&mask.text(text)).into(),
            (Some(_), Some(shown @ (Value::Array(_) | Value::Object(_)))) => cut(&mask.text(&shown.to_string())).into(),
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn compare(field: &str, log: Side<'_>, held: Side<'_>, members: Members, mask: &Mask, found: &mut Vec<Difference>) {
    if log.raw == held.raw || found.len() >= FIELDS_MAX {
        return;
    }
    match (log.raw, held.raw) {
        (Some(Value::Object(ours)), Some(Value::Object(theirs))) => {
            let others = theirs.keys().filter(|key| members == Members::All && !ours.contains_key(*key));
            for key in ours.keys().chain(others) {
                let way = if field.is_empty() { key.clone() } else { format!("{field}.{key}") };
                compare(&way, log.member(key), held.member(key), members, mask, found);
            }
        }
        (Some(Value::Array(ours)), Some(Value::Array(theirs))) if ours.len() == theirs.len() => {
            for at in 0..ours.len() {
                let way = format!("{field}[{at}]");
                compare(&way, log.element(at), held.element(at), Members::All, mask, found);
            }
        }
        _ => found.push(Difference { field: field.to_owned(), log: log.told(mask), changelog: held.told(mask) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_holds_what_an_event_has_set_in_it() {
        let check = |document: &str, patch: &str, expect: bool| assert_eq!(holds(document, patch), expect, "{patch}");
        check(r#"{"a":1,"b":{"c":[1],"d":2}}"#, r#"{"b":{"c":[1]}}"#, true);
        check(r#"{"a":1}"#, "{}", true);
        check(r#"{"a":1}"#, r#"{"a":2}"#, false);
        check(r#"{"a":1}"#, r#"{"b":1}"#, false);
        check(r#"{"a":[1,2]}"#, r#"{"a":[1]}"#, false);
        check(r#"{"a":1}"#, r#"{"a":{}}"#, false);
    }

    #[test]
    fn fields_are_told_by_their_way_and_customers_are_not_told() {
        let open_id = |tail: &str| format!("_000canaryOPENID{tail}");
        let state = |document: String| OrderState {
            order_type: OrderType::Normal,
            status: Status::Paid,
            document: document.into(),
            applied_offset: 1,
            event_ids: vec!["e".into()],
            sequence: None,
            occurred_at: crate::order::EventTime(1_760_000_000_000),
            update_time: crate::order::UpdateTime(1),
            digest: Digest([0; 32]),
            dead_letter: None,
        };
        let log = state(format!(r#"{{"open_id":"{}","items":[{{"price":5}}],"x":1}}"#, open_id("0042")));
        let mut held = state(format!(r#"{{"open_id":"{}","items":[{{"price":6}}],"y":2}}"#, open_id("0043")));
        held.status = Status::Refunded;
        let tell = |members, personal| {
            let told = differences(&log, &held, members, personal);
            told.iter().map(|d| format!("{} {} {}", d.field, d.log, d.changelog)).collect::<Vec<_>>()
        };
        let told = tell(Members::All, Personal::Masked);
        let expect = [
            r#"status "paid" "refunded""#,
            "items[0].price 5 6",
            r#"open_id "***0042" "***0043""#,
            "x 1 null",
            "y null 2",
        ];
        assert_eq!(told, expect);
        assert_eq!(tell(Members::OfLog, Personal::Masked).len(), 4);
        assert!(tell(Members::All, Personal::Shown)[2].contains(&open_id("0042")));
    }
}
