//! What was sent of an order then, beside what these settings send of the same state, field by field.
//!
//! Of a request that Douyin has accepted the changelog keeps the digest alone. Its bytes are found where another choice of the
//! settings that change requests gives that digest, or where the delivery still stands in the changelog: while it is owed, and
//! until compaction comes by. Both are proven by the digest.

use std::collections::HashMap;
use std::ops::ControlFlow;

use foldhash::fast::RandomState;
use serde_json::Value;

use super::document::{Difference, differences_of, draft_of};
use crate::inspect::{Mask, Personal};
use crate::order::again::{is_last_request, last_request};
use crate::order::{Identity, MapOrder, OrderState};
use crate::sync::changelog::ChangelogKey;
use crate::sync::scan::{LogScan, ScanError, Span};
use crate::sync::{Owed, OwedKey};

/// Requests that are looked for in one reading of the changelog.
pub(super) const WANTED_MAX: usize = 200;

/// The request of then, where one of these mappings gives it.
pub(super) fn by_other_settings(identity: &Identity, stored: &OrderState, others: &[&dyn MapOrder]) -> Option<Vec<u8>> {
    others.iter().find_map(|other| last_request(stored, identity, *other))
}

/// Those of these orders' last requests whose deliveries the changelog still has.
pub(super) fn in_changelog<'w>(
    scan: &mut dyn LogScan,
    (changelog, within): (&str, Span),
    topic: &str,
    wanted: impl Iterator<Item = (&'w Identity, &'w OrderState)>,
) -> Result<HashMap<Identity, Vec<u8>, RandomState>, ScanError> {
    let key = |(identity, stored): (&Identity, &'w OrderState)| {
        let key = OwedKey { identity: identity.clone(), stamp: stored.update_time };
        (ChangelogKey::Owed(key.clone()).encode(topic), (key.identity, stored))
    };
    let wanted: HashMap<Vec<u8>, (Identity, &OrderState), RandomState> = wanted.map(key).collect();
    let mut found = HashMap::default();
    if wanted.is_empty() {
        return Ok(found);
    }
    scan.read(changelog, &[within], &mut |seen| {
        let Some((key, value)) = seen.key().zip(seen.value()) else { return ControlFlow::Continue(()) };
        if let Some((identity, stored)) = wanted.get(key)
            && let Ok(owed) = Owed::decode(value)
            && is_last_request(stored, &owed.request)
        {
            found.insert(identity.clone(), owed.request.to_vec());
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Where the request of now and that of then differ. Empty where the one of now cannot be made.
pub(super) fn differences(
    identity: &Identity,
    stored: &OrderState,
    mapper: &dyn MapOrder,
    then: &[u8],
    personal: Personal,
) -> Vec<Difference> {
    let Ok(now) = draft_of(identity, (stored.order_type, stored.status), &stored.document, mapper) else {
        return Vec::new();
    };
    let mut mask = Mask::new(personal);
    let mut tree = |request: &[u8]| {
        let raw = serde_json::from_slice(request).unwrap_or_default();
        (unfolded(raw), unfolded(mask.json(request).unwrap_or_default()))
    };
    let (now, then) = (tree(&now), tree(then));
    differences_of("request", (&now.0, &now.1), (&then.0, &then.1), &mask)
}

/// Without its stamp, and with the detail, which is JSON in a text, as the object that it is.
fn unfolded(mut request: Value) -> Value {
    if let Some(members) = request.as_object_mut() {
        members.remove("update_time");
        if let Some(detail) = members.get_mut("order_detail")
            && let Some(Ok(object)) = detail.as_str().map(serde_json::from_str::<Value>)
        {
            *detail = object;
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::order::{Digest, EventTime, Fault, MapInput, Mapped, OrderType, Status, UpdateTime};

    /// Sends the document as it is.
    struct AsIs;

    impl MapOrder for AsIs {
        fn map(&self, order: &MapInput<'_>) -> Result<Mapped, Fault> {
            let detail = format!(r#"{{"total_price":{}}}"#, order.document.get("price").map_or(0, |_| 7));
            let draft = json!({"open_id": "_000canaryOPENID0042", "order_detail": detail, "ext_shop_id": "s"});
            Ok(Mapped { draft: draft.to_string().into_bytes(), ..Mapped::default() })
        }
    }

    #[test]
    fn requests_are_told_by_their_fields_without_stamp_and_customers() {
        let stored = OrderState {
            order_type: OrderType::Normal,
            status: Status::Paid,
            document: r#"{"price":7}"#.into(),
            applied_offset: 1,
            event_ids: vec!["e".into()],
            sequence: None,
            occurred_at: EventTime(1_760_000_000_000),
            update_time: UpdateTime(9),
            digest: Digest([0; 32]),
            dead_letter: None,
        };
        let identity = Identity::new(crate::order::AppId::new("tt1"), "A1");
        let then = json!({
            "open_id": "_000canaryOPENID0043", "order_detail": r#"{"total_price":8}"#, "client_key": "k", "update_time": 9
        });
        let told = differences(&identity, &stored, &AsIs, then.to_string().as_bytes(), Personal::Masked);
        let mut told: Vec<_> = told.iter().map(|d| format!("{} {} {}", d.field, d.log, d.changelog)).collect();
        told.sort();
        let expect = [
            r#"request.client_key null "k""#,
            r#"request.ext_shop_id "s" null"#,
            r#"request.open_id "***0042" "***0043""#,
            "request.order_detail.total_price 7 8",
        ];
        assert_eq!(told, expect);
    }
}
