//! What is produced, and what must become of it: a log per partition, made up from a seed, and its fold by the contract
//! (§6) from the made-up events themselves, with orders leaving where a commit says so. Nothing of the library is used here.

use std::collections::BTreeMap;

/// The time of the first event, milliseconds since the epoch; long before the workers' clocks.
const FIRST_MS: i64 = 1_700_000_000_000;

/// How long an order stays that is at its end, where orders leave.
pub(crate) const RETAIN_MS: i64 = 1000;

/// What kind of record stands at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An event that can be sent.
    Good,
    /// An event that can be sent and that the platform will never take.
    Poison,
    /// An event that cannot be mapped.
    Unmappable,
    /// No JSON.
    Garbage,
    /// A record without a value.
    Tombstone,
    /// An event of a time that has not come.
    Future,
}

/// One record.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) kind: Kind,
    pub(crate) order: String,
    id: String,
    /// What the order's document holds after it.
    content: i64,
    at_ms: i64,
    is_final: bool,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// To be pushed under this stamp.
    Advanced(i64),
    /// Nothing is to be pushed.
    Quiet,
    /// To be set aside before anything is pushed.
    SetAside(&'static str),
}

/// The last state of an order: its stamp, and the offset that was applied last.
pub(crate) type Stand = (i64, i64);

/// One partition's log.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) events: Vec<Event>,
}

/// What a partition's log has come to, as far as it is committed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fold {
    pub(crate) outcomes: Vec<Outcome>,
    states: BTreeMap<String, State>,
    /// The greatest stamp that has left.
    pub(crate) removed: i64,
    newest_ms: i64,
}

#[derive(Clone, Debug)]
struct State {
    ids: Vec<String>,
    at_ms: i64,
    content: (i64, Kind),
    stand: Stand,
    is_final: bool,
}

impl Event {
    /// The record's value.
    pub(crate) fn value(&self) -> Option<String> {
        let (content, poison, bad, at_ms) = match self.kind {
            Kind::Tombstone => return None,
            Kind::Garbage => return Some("{garbage".to_owned()),
            Kind::Good => (self.content, false, false, self.at_ms),
            Kind::Poison => (self.content, true, false, self.at_ms),
            Kind::Unmappable => (self.content, false, true, self.at_ms),
            Kind::Future => (self.content, false, false, 4_000_000_000_000),
        };
        let (id, order, status) = (&self.id, &self.order, if self.is_final { "redeemed" } else { "paid" });
        Some(format!(
            r#"{{"event_id":"{id}","order_id":"{order}","order_type":"normal","status":"{status}","occurred_at":{at_ms},"order":{{"n":{content},"poison":{poison},"bad":{bad}}}}}"#
        ))
    }
}

impl Log {
    /// A log of `length` records of the orders of one partition. `repeats` says whether the same content may come twice.
    pub(crate) fn new(rng: &mut fastrand::Rng, partition: usize, length: usize, repeats: Repeats) -> Self {
        let mut log = Self::default();
        let (mut time, mut content) = (0, 0);
        for n in 0..length {
            let order = format!("P{partition}-{}", rng.u8(..2));
            let last = log.events.iter().rev().find(|e| e.order == order && e.kind == Kind::Good).cloned();
            content += 1;
            time += rng.i64(0..3);
            let kind = match rng.u8(..40) {
                0 => Kind::Poison,
                1 => Kind::Unmappable,
                2 => Kind::Garbage,
                3 => Kind::Tombstone,
                4 => Kind::Future,
                _ => Kind::Good,
            };
            let at_ms = FIRST_MS + if rng.u8(..12) == 0 { time - 5 } else { time } * 1000;
            let (id, is_final) = (format!("{partition}-{n}"), rng.u8(..3) > 0);
            let mut event = Event { kind, order, id, content, at_ms, is_final };
            match (last, rng.u8(..12)) {
                (Some(last), 0) if kind == Kind::Good => event = last,
                (Some(last), 1) if kind == Kind::Good && repeats == Repeats::Come => event.content = last.content,
                _ => {}
            }
            log.events.push(event);
        }
        log
    }

    /// Its length.
    pub(crate) fn end(&self) -> i64 {
        i64::try_from(self.events.len()).unwrap()
    }
}

impl Fold {
    /// Folds everything before `next`.
    pub(crate) fn fold_on(&mut self, log: &Log, next: i64) {
        let from = self.outcomes.len();
        for (offset, event) in (0..).zip(&log.events).take(usize::try_from(next).unwrap()).skip(from) {
            if matches!(event.kind, Kind::Good | Kind::Poison | Kind::Unmappable) {
                self.newest_ms = self.newest_ms.max(event.at_ms);
            }
            let outcome = apply(&mut self.states, event, offset, self.removed);
            self.outcomes.push(outcome);
        }
    }

    /// The states of all orders.
    pub(crate) fn stands(&self) -> BTreeMap<String, Stand> {
        self.states.iter().map(|(order, state)| (order.clone(), state.stand)).collect()
    }

    /// An order leaves: an error where it may not, by its state and its age.
    pub(crate) fn remove(&mut self, order: &str) -> Result<(), String> {
        let Some(state) = self.states.remove(order) else { return Err(format!("{order} leaves and was not there")) };
        self.removed = self.removed.max(state.stand.0);
        let is_old = state.stand.0 * 1000 < self.newest_ms - RETAIN_MS;
        if state.is_final && is_old { Ok(()) } else { Err(format!("{order} leaves, at its end or not, old or not")) }
    }

    /// What is to be pushed, as (order, stamp), and whether the platform takes it; for the offsets of `range`.
    pub(crate) fn pushes<'a>(
        &'a self,
        log: &'a Log,
        range: std::ops::Range<i64>,
    ) -> impl Iterator<Item = (&'a Event, i64, i64)> {
        let outcomes = (0..).zip(log.events.iter().zip(&self.outcomes));
        outcomes.filter(move |(offset, _)| range.contains(offset)).filter_map(
            |(offset, (event, outcome))| match outcome {
                Outcome::Advanced(stamp) => Some((event, *stamp, offset)),
                Outcome::Quiet | Outcome::SetAside(_) => None,
            },
        )
    }
}

/// Whether the same content may come twice in an order's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeats {
    Come,
    DoNotCome,
}

fn apply(states: &mut BTreeMap<String, State>, event: &Event, offset: i64, removed: i64) -> Outcome {
    match event.kind {
        Kind::Garbage => return Outcome::SetAside("malformed_event"),
        Kind::Tombstone => return Outcome::Quiet,
        Kind::Future => return Outcome::SetAside("time_in_future"),
        Kind::Good | Kind::Poison | Kind::Unmappable => {}
    }
    let old = states.get(&event.order);
    if old.is_some_and(|state| state.ids.contains(&event.id) || event.at_ms < state.at_ms) {
        return Outcome::Quiet;
    }
    if old.is_none() && event.at_ms / 1000 <= removed {
        return Outcome::SetAside("older_than_retained");
    }
    if event.kind == Kind::Unmappable {
        return Outcome::SetAside("incomplete_order");
    }
    let content = (event.content, event.kind);
    let last = old.map_or(removed, |state| state.stand.0);
    let is_unchanged = old.is_some_and(|state| state.content == content);
    let stamp = if is_unchanged { last } else { (event.at_ms / 1000).max(last + 1) };
    let mut ids = old.filter(|state| state.at_ms == event.at_ms).map_or(Vec::new(), |state| state.ids.clone());
    ids.push(event.id.clone());
    let state = State { ids, at_ms: event.at_ms, content, stand: (stamp, offset), is_final: event.is_final };
    states.insert(event.order.clone(), state);
    if is_unchanged { Outcome::Quiet } else { Outcome::Advanced(stamp) }
}
