//! A log in memory, and a worker in short that writes it: it folds, cuts where it likes, and lets orders leave.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;

use super::rules::{Start, VerifyRules};
use crate::order::event::{EventRules, decode};
use crate::order::fold::{FoldAs, FoldRules, fold_as};
use crate::order::{AppId, Fault, Identity, MapInput, MapOrder, Mapped, OrderState, TimeUnit, Transition, UpdateTime};
use crate::record::{NextOffset, Record, RecordOffset};
use crate::sync::changelog::{ChangelogKey, LetterStatus, SettingsFrom};
use crate::sync::fold_settings::{Fingerprint, FoldSettings, FoldedBy};
use crate::sync::last_record::LastRecord;
use crate::sync::ports::Position;
use crate::sync::scan::{LogScan, ScanError, Span, Visit};
use crate::sync::{Owed, OwedKey};

/// Sends the status and the client key, and nothing of the document.
#[derive(Default)]
pub(super) struct Statuses {
    client_key: String,
}

/// The mapping by these settings.
fn statuses(by: &FoldSettings) -> Statuses {
    Statuses { client_key: by.apps[&app()].client_key.as_deref().unwrap_or_default().to_owned() }
}

impl MapOrder for Statuses {
    fn map(&self, input: &MapInput<'_>) -> Result<Mapped, Fault> {
        let (order, status, key) = (input.order_id, input.status.as_str(), &self.client_key);
        let draft = format!(r#"{{"order":"{order}","status":"{status}","client_key":"{key}"}}"#);
        Ok(Mapped { draft: draft.into_bytes(), ..Mapped::default() })
    }
}

pub(super) fn app() -> AppId {
    AppId::new("tt1")
}

pub(super) fn rules(mapper: &dyn MapOrder) -> VerifyRules<'_> {
    VerifyRules {
        events: EventRules { apps: vec![app()], max_clock_skew_ms: 0 },
        units: [(app(), TimeUnit::Seconds)].into(),
        mappers: vec![mapper],
        mapping: |by| Box::new(statuses(by)),
        start: Start::Beginning,
        statuses_stay_ms: i64::MIN,
    }
}

/// Topics of one partition; records keep their offsets when others go.
#[derive(Clone, Default)]
pub(super) struct FakeLog {
    pub(super) topics: HashMap<String, Vec<Record>>,
    pub(super) low: HashMap<String, i64>,
}

impl FakeLog {
    pub(super) fn put(&mut self, topic: &str, key: &[u8], value: Option<Vec<u8>>) -> i64 {
        let records = self.topics.entry(topic.to_owned()).or_default();
        let offset = records.last().map_or(0, |last| last.offset.get() + 1);
        records.push(Record {
            offset: RecordOffset::new(offset),
            timestamp_ms: Some(offset),
            key: Some(key.into()),
            value: value.map(Into::into),
            headers: Vec::new(),
        });
        offset
    }

    /// Compaction goes through the first records.
    pub(super) fn compact(&mut self, topic: &str, cleaned: usize) {
        let Some(records) = self.topics.get_mut(topic) else { return };
        let last: HashMap<_, _> =
            records.iter().take(cleaned).map(|record| (record.key.clone(), record.offset)).collect();
        let mut at = 0;
        records.retain(|record| {
            at += 1;
            at > cleaned || (last[&record.key] == record.offset && record.value.is_some())
        });
    }
}

impl LogScan for FakeLog {
    fn partitions(&mut self, topic: &str) -> Result<Option<i32>, ScanError> {
        Ok(self.topics.contains_key(topic).then_some(1))
    }

    fn extents(&mut self, topic: &str, _: &[i32]) -> Result<Vec<Span>, ScanError> {
        let end = self.topics[topic].last().map_or(0, |last| last.offset.get() + 1);
        let low = self.low.get(topic).copied().unwrap_or(0);
        Ok(vec![Span { partition: 0, from: NextOffset::new(low), until: NextOffset::new(end) }])
    }

    fn at_time(&mut self, _: &str, _: &[i32], _: i64) -> Result<Vec<Option<NextOffset>>, ScanError> {
        Ok(vec![None])
    }

    fn read(&mut self, topic: &str, spans: &[Span], visit: &mut Visit<'_>) -> Result<(), ScanError> {
        let within =
            |record: &&Record| spans[0].from.get() <= record.offset.get() && spans[0].until.covers(record.offset);
        for record in self.topics[topic].iter().filter(within) {
            if visit(&(0, record.clone())) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }
}

/// A worker in short.
#[derive(Default)]
pub(super) struct FakeWorker {
    pub(super) log: FakeLog,
    pub(super) states: BTreeMap<Identity, OrderState>,
    pub(super) dirty: BTreeSet<Identity>,
    pub(super) fresh: Vec<(OwedKey, Owed)>,
    pub(super) owed: Vec<OwedKey>,
    /// What else the next cut holds: statuses of letters and outcomes of commands.
    pub(super) besides: Vec<(ChangelogKey, Vec<u8>)>,
    /// The statuses of letters.
    pub(super) letters: BTreeMap<i64, LetterStatus>,
    /// What was given up since the last cut.
    pub(super) given_up: Vec<OwedKey>,
    /// How many commands were executed.
    pub(super) commands: i64,
    /// How many of them before their topic was made anew.
    pub(super) commands_begin: i64,
    /// Where the group began to read, where its positions say so.
    pub(super) begun: Option<i64>,
    removed: i64,
    commit_number: u64,
    last: Option<LastRecord>,
    /// The settings that are recorded.
    by: Option<FoldedBy>,
    recorded: Option<Fingerprint>,
    /// Where the last cut ended.
    next: i64,
}

impl FakeWorker {
    /// Goes on by settings with this client key, and records them with the next cut.
    pub(super) fn set(&mut self, client_key: &str) {
        let settings = serde_json::json!({
            "release": env!("CARGO_PKG_VERSION"), "max_clock_skew_ms": 0,
            "text": "truncate", "ticket_lists": "text", "goods_entry_type": "string",
            "apps": {"tt1": {"update_time_unit": "seconds", "client_key": client_key, "order_types": ["normal"]}},
        });
        self.by = Some(FoldedBy::new(serde_json::from_value(settings).unwrap()));
    }

    /// The mapping of now.
    pub(super) fn mapper(&self) -> Statuses {
        self.by.as_ref().map_or_else(Statuses::default, |by| statuses(&by.settings))
    }

    /// An event comes and is folded.
    pub(super) fn event(&mut self, order: &str, event_id: &str, status: &str, at_s: i64) -> i64 {
        let offset = self.record(order, event_id, status, at_s);
        self.fold(offset, FoldAs::Event);
        offset
    }

    /// An event comes.
    pub(super) fn record(&mut self, order: &str, event_id: &str, status: &str, at_s: i64) -> i64 {
        let value = format!(
            r#"{{"event_id":"{event_id}","order_id":"{order}","app_id":"tt1","order_type":"normal","status":"{status}","occurred_at":{},"order":{{"{event_id}":1}}}}"#,
            at_s * 1000
        );
        let offset = self.log.put("orders", order.as_bytes(), Some(value.into_bytes()));
        self.last = self.log.topics["orders"].last().map(LastRecord::of);
        offset
    }

    /// The event at this offset is folded; gives the stamp of what is owed then.
    pub(super) fn fold(&mut self, offset: i64, way: FoldAs) -> Option<i64> {
        let found = self.log.topics["orders"].iter().find(|record| record.offset.get() == offset).unwrap();
        let value = found.value.clone().unwrap();
        let event_rules = EventRules { apps: vec![app()], max_clock_skew_ms: 0 };
        let event = decode(&value, &event_rules, i64::MAX).unwrap();
        let identity = Identity::new(app(), event.order_id.as_ref());
        let fold_rules = FoldRules { unit: TimeUnit::Seconds, removed_stamp: UpdateTime(self.removed) };
        let mapper = self.mapper();
        let state = self.states.get(&identity);
        let (state, request) = match fold_as(way, state, &event, offset, fold_rules, &mapper).unwrap() {
            Transition::Advanced(advanced) => (advanced.state, Some(advanced.request)),
            Transition::Unchanged(unchanged) => {
                // What stands as a dead letter is owed again.
                let (mut state, request) = (unchanged.state, unchanged.request);
                let is_dead = state.dead_letter.take().is_some();
                (state, is_dead.then_some(request))
            }
            Transition::Duplicate | Transition::Stale => return None,
        };
        let stamp = request.as_ref().map(|_| state.update_time.0);
        if let Some(request) = request {
            let key = OwedKey { identity: identity.clone(), stamp: state.update_time };
            self.fresh.push((key, Owed { request: request.into(), offset, timestamp_ms: None }));
        }
        self.states.insert(identity.clone(), state);
        self.dirty.insert(identity);
        stamp
    }

    /// An order leaves with the next cut.
    pub(super) fn leave(&mut self, order: &str) {
        let identity = Identity::new(app(), order);
        let settled = !self.owed.iter().any(|key| key.identity == identity) && !self.dirty.contains(&identity);
        if settled && let Some(state) = self.states.remove(&identity) {
            self.removed = self.removed.max(state.update_time.0);
            self.log.put("changelog", &ChangelogKey::State(identity).encode("orders"), None);
        }
    }

    /// A cut: what is owed since the last one, what is settled of it, the states, the position.
    pub(super) fn cut(&mut self) {
        self.supersede();
        let mut put = |key: ChangelogKey, value| {
            self.log.put("changelog", &key.encode("orders"), value);
        };
        if let Some(by) = self.by.clone().filter(|by| self.recorded != Some(by.fingerprint)) {
            let before = self.recorded.replace(by.fingerprint);
            let from = SettingsFrom { next: NextOffset::new(self.next), commands: None, before, by };
            put(ChangelogKey::Settings(self.commit_number + 1), Some(from.encode().unwrap()));
        }
        for identity in std::mem::take(&mut self.dirty) {
            let mut value = Vec::new();
            self.states[&identity].encode(&mut value);
            put(ChangelogKey::State(identity), Some(value));
        }
        for key in std::mem::take(&mut self.owed) {
            put(ChangelogKey::Owed(key), None);
        }
        for (key, owed) in std::mem::take(&mut self.fresh) {
            let mut value = Vec::new();
            owed.encode(&mut value);
            put(ChangelogKey::Owed(key.clone()), Some(value));
            self.owed.push(key);
        }
        for (key, value) in std::mem::take(&mut self.besides) {
            put(key, Some(value));
        }
        self.commit_number += 1;
        let next =
            self.log.topics.get("orders").and_then(|records| records.last()).map_or(0, |last| last.offset.get() + 1);
        let mut position = Position { commit_number: self.commit_number, ..Position::before(NextOffset::new(next)) };
        position.last = self.last;
        position.begun = self.begun.map(NextOffset::new);
        position.settings = self.recorded;
        position.commands = (self.commands > 0).then(|| NextOffset::new(self.commands - self.commands_begin));
        self.next = next;
        if self.removed > 0 {
            position.removed_stamps = [(app(), UpdateTime(self.removed))].into();
        }
        let value = position.encode().unwrap();
        self.log.put("changelog", &ChangelogKey::Position.encode("orders"), Some(value));
    }
}
