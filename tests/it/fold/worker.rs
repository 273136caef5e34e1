//! What a worker does with a partition's records, reduced to its pure part: decode, fold, store and read back.

use std::collections::BTreeMap;

use order_sync::douyin::{AppSettings, GoodsEntryType, MapSettings, Mapper, TextPolicy, TicketLists};
use order_sync::order::again::{is_last_request, last_request, resync};
use order_sync::order::event::{EventRules, decode};
use order_sync::order::fold::{Advanced, FoldAs, FoldRules, fold_as};
use order_sync::order::{AppId, Identity, OrderState, OrderType, TimeUnit, Transition, UpdateTime};
use serde_json::Value;

use super::events::Record;
use crate::reference::{Command, Folded, Outcome, Push, Settings};

/// Folds `records` and `commands`, each behind so many records, with the library, each state through its stored form.
pub(super) fn fold_records(records: &[Record], commands: &[(usize, Command)], settings: &Settings) -> Folded {
    let mut worker = Worker { states: BTreeMap::new(), settings, mapper: mapper(settings) };
    let mut folded = Folded::default();
    let mut commands = commands.iter().peekable();
    for at in 0..=records.len() {
        while let Some((_, command)) = commands.next_if(|(behind, _)| *behind == at) {
            let outcome = match command {
                Command::Redrive(index) => worker.judge(&records[*index], FoldAs::Redrive, &mut folded),
                Command::Fold(index) => worker.judge(&records[*index], FoldAs::Word, &mut folded),
                Command::Resync { app_id, order_id, at_ms } => {
                    worker.resync(&Identity::new(AppId::new(&**app_id), &**order_id), *at_ms, &mut folded)
                }
            };
            folded.commands.push(outcome);
        }
        if let Some(record) = records.get(at) {
            let outcome = worker.judge(record, FoldAs::Event, &mut folded);
            folded.outcomes.push(outcome);
        }
    }
    folded
}

struct Worker<'a> {
    states: BTreeMap<Identity, Vec<u8>>,
    settings: &'a Settings,
    mapper: Mapper,
}

impl Worker<'_> {
    fn judge(&mut self, (offset, value): &Record, way: FoldAs, folded: &mut Folded) -> Outcome {
        let rules = EventRules {
            apps: self.settings.apps.iter().map(|app| AppId::new(&*app.app_id)).collect(),
            max_clock_skew_ms: self.settings.max_clock_skew_ms,
        };
        let Some(value) = value else { return Outcome::Tombstone };
        let event = match decode(value, &rules, self.settings.now_ms) {
            Ok(event) => event,
            Err(fault) => return Outcome::DeadLetter(fault.reason.as_str()),
        };
        let identity = Identity::new(event.app_id.clone(), &*event.order_id);
        let removed_stamp = UpdateTime(self.settings.removed_stamp);
        let fold_rules = FoldRules { unit: self.unit(&identity), removed_stamp };
        let state = self.states.get(&identity).map(|stored| OrderState::decode(stored).unwrap());
        let (outcome, advanced) = match fold_as(way, state.as_ref(), &event, *offset, fold_rules, &self.mapper) {
            Ok(Transition::Advanced(advanced)) => (Outcome::Advanced, advanced),
            Ok(Transition::Unchanged(advanced)) => (Outcome::Unchanged, advanced),
            Ok(Transition::Duplicate) => return Outcome::Duplicate,
            Ok(Transition::Stale) => return Outcome::Stale,
            Err(fault) => {
                assert!(!fault.message.is_empty());
                return Outcome::DeadLetter(fault.reason.as_str());
            }
        };
        if outcome == Outcome::Advanced {
            owe(&identity, *offset, &advanced, folded);
        }
        self.keep(identity, &advanced.state);
        outcome
    }

    fn resync(&mut self, identity: &Identity, at_ms: i64, folded: &mut Folded) -> Outcome {
        let Some(stored) = self.states.get(identity) else { return Outcome::Stale };
        let state = OrderState::decode(stored).unwrap();
        let last = last_request(&state, identity, &self.mapper).unwrap();
        assert!(is_last_request(&state, &last) && !is_last_request(&state, &last[1..]));
        let advanced = resync(&state, identity, at_ms, self.unit(identity), &self.mapper).unwrap();
        assert!(is_last_request(&advanced.state, &advanced.request) && !is_last_request(&advanced.state, &last));
        owe(identity, state.applied_offset, &advanced, folded);
        self.keep(identity.clone(), &advanced.state);
        Outcome::Advanced
    }

    fn unit(&self, identity: &Identity) -> TimeUnit {
        let app = self.settings.apps.iter().find(|app| app.app_id == identity.app_id.as_str()).unwrap();
        if app.is_in_milliseconds { TimeUnit::Milliseconds } else { TimeUnit::Seconds }
    }

    fn keep(&mut self, identity: Identity, state: &OrderState) {
        let mut stored = Vec::new();
        state.encode(&mut stored);
        self.states.insert(identity, stored);
    }
}

fn owe(identity: &Identity, offset: i64, advanced: &Advanced, folded: &mut Folded) {
    let key = (identity.app_id.to_string(), identity.order_id.to_string());
    folded.pushes.entry(key).or_default().push(push(offset, &advanced.request));
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
