//! What a worker does with a partition's records, reduced to its pure part: decode, fold, store and read back.

use std::collections::BTreeMap;

use order_sync::douyin::{AppSettings, GoodsEntryType, MapSettings, Mapper, TextPolicy, TicketLists};
use order_sync::order::event::{EventRules, decode};
use order_sync::order::fold::{Advanced, FoldRules, fold};
use order_sync::order::{AppId, Identity, OrderState, OrderType, TimeUnit, Transition, UpdateTime};
use serde_json::Value;

use super::events::Record;
use crate::reference::{Folded, Outcome, Push, Settings};

/// Folds `records` with the library, each state through its stored form.
pub(super) fn fold_records(records: &[Record], settings: &Settings) -> Folded {
    let rules = EventRules {
        apps: settings.apps.iter().map(|app| AppId::new(&*app.app_id)).collect(),
        max_clock_skew_ms: settings.max_clock_skew_ms,
    };
    let mapper = mapper(settings);
    let mut states: BTreeMap<Identity, Vec<u8>> = BTreeMap::new();
    let mut folded = Folded::default();
    for (offset, value) in records {
        let Some(value) = value else {
            folded.outcomes.push(Outcome::Tombstone);
            continue;
        };
        let event = match decode(value, &rules, settings.now_ms) {
            Ok(event) => event,
            Err(fault) => {
                folded.outcomes.push(Outcome::DeadLetter(fault.reason.as_str()));
                continue;
            }
        };
        let identity = Identity::new(event.app_id.clone(), &*event.order_id);
        let app = settings.apps.iter().find(|app| app.app_id == identity.app_id.as_str()).unwrap();
        let unit = if app.is_in_milliseconds { TimeUnit::Milliseconds } else { TimeUnit::Seconds };
        let fold_rules = FoldRules { unit, removed_stamp: UpdateTime(settings.removed_stamp) };
        let state = states.get(&identity).map(|stored| OrderState::decode(stored).unwrap());
        let (outcome, advanced) = match fold(state.as_ref(), &event, *offset, fold_rules, &mapper) {
            Ok(Transition::Advanced(advanced)) => (Outcome::Advanced, Some(advanced)),
            Ok(Transition::Unchanged(advanced)) => (Outcome::Unchanged, Some(advanced)),
            Ok(Transition::Duplicate) => (Outcome::Duplicate, None),
            Ok(Transition::Stale) => (Outcome::Stale, None),
            Err(fault) => {
                assert!(!fault.message.is_empty());
                (Outcome::DeadLetter(fault.reason.as_str()), None)
            }
        };
        if let Some(Advanced { state, request, .. }) = advanced {
            let mut stored = Vec::new();
            state.encode(&mut stored);
            if outcome == Outcome::Advanced {
                let key = (app.app_id.clone(), identity.order_id.to_string());
                folded.pushes.entry(key).or_default().push(push(*offset, &request));
            }
            states.insert(identity, stored);
        }
        folded.outcomes.push(outcome);
    }
    folded
}

fn mapper(settings: &Settings) -> Mapper {
    let apps = settings.apps.iter().map(|app| AppSettings {
        app_id: AppId::new(&*app.app_id),
        client_key: app.client_key.clone(),
        order_types: OrderType::ALL.to_vec(),
    });
    Mapper::new(MapSettings {
        apps: apps.collect(),
        text: if settings.is_text_strict { TextPolicy::Strict } else { TextPolicy::Truncate },
        ticket_lists: TicketLists::Text,
        goods_entry_type: GoodsEntryType::String,
    })
}

/// A request's bytes in the reference's form.
fn push(offset: i64, request: &[u8]) -> Push {
    let mut request: Value = serde_json::from_slice(request).unwrap();
    let members = request.as_object_mut().unwrap();
    let stamp = members.remove("update_time").unwrap().as_i64().unwrap();
    let detail = members.remove("order_detail").unwrap();
    Push { offset, stamp, order_detail: serde_json::from_str(detail.as_str().unwrap()).unwrap(), request }
}
