//! The fold (§6) over one partition's log.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::event::{Event, decode};
use super::json::merge_patch;
use super::mapping;

/// One app as configured.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) app_id: String,
    pub(crate) client_key: Option<String>,
    /// `update_time` in milliseconds, not seconds.
    pub(crate) is_in_milliseconds: bool,
}

/// What the log is folded under.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) apps: Vec<App>,
    pub(crate) is_text_strict: bool,
    pub(crate) now_ms: i64,
    pub(crate) max_clock_skew_ms: i64,
    /// The greatest stamp that retention removed.
    pub(crate) removed_stamp: i64,
    /// How many partitions the topic has.
    pub(crate) partitions: i32,
}

/// One record of the log.
#[derive(Clone, Debug)]
pub(crate) struct Input<'a> {
    pub(crate) offset: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    /// Names and values of the headers together.
    pub(crate) header_bytes: usize,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Advanced,
    Unchanged,
    Duplicate,
    Stale,
    Tombstone,
    DeadLetter(&'static str),
}

/// One push that an order owes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Push {
    pub(crate) offset: i64,
    /// `update_time`
    pub(crate) stamp: i64,
    /// The request without `access_token`, `update_time` and `order_detail`.
    pub(crate) request: Value,
    /// `order_detail`, read as JSON.
    pub(crate) order_detail: Value,
}

/// What a log comes to.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    /// One outcome per record.
    pub(crate) outcomes: Vec<Outcome>,
    /// One outcome per command.
    pub(crate) commands: Vec<Outcome>,
    /// The pushes of each (app id, order id), in log order.
    pub(crate) pushes: BTreeMap<(String, String), Vec<Push>>,
    /// The state in which each order is left.
    pub(crate) states: BTreeMap<(String, String), State>,
}

/// The state of one order.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) document: Value,
    pub(crate) order_type: String,
    pub(crate) status: String,
    pub(crate) offset: i64,
    pub(crate) event_ids: Vec<String>,
    pub(crate) sequence: Option<i64>,
    pub(crate) occurred_at: i64,
    pub(crate) update_time: i64,
    sent: (Value, Value),
}

/// A command that changes an order (§7).
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// The record at this index, which never was folded.
    Redrive(usize),
    /// The record at this index, on an operator's word.
    Fold(usize),
    /// The order's state again; the command's own time.
    Resync { app_id: String, order_id: String, at_ms: i64 },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Log,
    Redrive,
    Word,
}

/// Folds the records of one partition in their order.
pub(crate) fn fold_log(records: &[Input<'_>], settings: &Settings) -> Folded {
    fold_log_with(records, &[], settings)
}

/// The same with commands, each behind so many records; they are in order.
pub(crate) fn fold_log_with(records: &[Input<'_>], commands: &[(usize, Command)], settings: &Settings) -> Folded {
    let mut folded = Folded::default();
    let mut orders = Orders { states: BTreeMap::new(), settings };
    let mut commands = commands.iter().peekable();
    for at in 0..=records.len() {
        while let Some((_, command)) = commands.next_if(|(behind, _)| *behind == at) {
            let outcome = match command {
                Command::Redrive(index) => orders.judge(&records[*index], Way::Redrive, &mut folded.pushes),
                Command::Fold(index) => orders.judge(&records[*index], Way::Word, &mut folded.pushes),
                Command::Resync { app_id, order_id, at_ms } => {
                    orders.resync((app_id.clone(), order_id.clone()), *at_ms, &mut folded.pushes)
                }
            };
            folded.commands.push(outcome);
        }
        if let Some(record) = records.get(at) {
            let outcome = orders.judge(record, Way::Log, &mut folded.pushes);
            folded.outcomes.push(outcome);
        }
    }
    folded.states = orders.states;
    folded
}

type Pushes = BTreeMap<(String, String), Vec<Push>>;

struct Orders<'a> {
    states: BTreeMap<(String, String), State>,
    settings: &'a Settings,
}

impl Orders<'_> {
    fn judge(&mut self, record: &Input<'_>, way: Way, pushes: &mut Pushes) -> Outcome {
        let settings = self.settings;
        let read = readable(record, settings).and_then(|value| value.map(|value| decode(value, settings)).transpose());
        let event = match read {
            Err(reason) => return Outcome::DeadLetter(reason),
            Ok(None) => return Outcome::Tombstone,
            Ok(Some(event)) => event,
        };
        let identity = (event.app_id.clone(), event.order_id.clone());
        let (outcome, state) = apply(self.states.remove(&identity), &event, record.offset, way, settings);
        if let Some(state) = state {
            if outcome == Outcome::Advanced {
                pushes.entry(identity.clone()).or_default().push(push(record.offset, &state));
            }
            self.states.insert(identity, state);
        }
        outcome
    }

    fn resync(&mut self, identity: (String, String), at_ms: i64, pushes: &mut Pushes) -> Outcome {
        let Some(state) = self.states.get_mut(&identity) else { return Outcome::Stale };
        let app = self.settings.apps.iter().find(|app| app.app_id == identity.0).unwrap();
        let at = if app.is_in_milliseconds { at_ms } else { at_ms / 1000 };
        state.update_time = at.max(state.update_time + 1);
        pushes.entry(identity).or_default().push(push(state.offset, state));
        Outcome::Advanced
    }
}

fn push(offset: i64, state: &State) -> Push {
    let (request, order_detail) = state.sent.clone();
    Push { offset, stamp: state.update_time, request, order_detail }
}

fn readable<'a>(record: &Input<'a>, settings: &Settings) -> Result<Option<&'a [u8]>, &'static str> {
    let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + record.header_bytes;
    if bytes > 1_048_576 {
        return Err("record_too_large");
    }
    if record.value.is_some() && record.key.is_none() && settings.partitions > 1 {
        return Err("missing_key");
    }
    Ok(record.value)
}

fn apply(state: Option<State>, event: &Event, offset: i64, way: Way, settings: &Settings) -> (Outcome, Option<State>) {
    if let Some(state) = state {
        if state.event_ids.contains(&event.event_id) || (way == Way::Log && offset <= state.offset) {
            return (Outcome::Duplicate, Some(state));
        }
        let is_stale = match (event.sequence, state.sequence) {
            (Some(new), Some(last)) => new <= last,
            _ if way == Way::Redrive && event.occurred_at == state.occurred_at => offset <= state.offset,
            _ => event.occurred_at < state.occurred_at,
        };
        if is_stale && way != Way::Word {
            return (Outcome::Stale, Some(state));
        }
        return match advance(Some(&state), event, offset, way, settings) {
            Ok((outcome, next)) => (outcome, Some(next)),
            Err(reason) => (Outcome::DeadLetter(reason), Some(state)),
        };
    }
    match advance(None, event, offset, way, settings) {
        Ok((outcome, next)) => (outcome, Some(next)),
        Err(reason) => (Outcome::DeadLetter(reason), None),
    }
}

fn advance(
    state: Option<&State>,
    event: &Event,
    offset: i64,
    way: Way,
    settings: &Settings,
) -> Result<(Outcome, State), &'static str> {
    let app = settings.apps.iter().find(|app| app.app_id == event.app_id).unwrap();
    let occurred_at = if app.is_in_milliseconds { event.occurred_at } else { event.occurred_at / 1000 };
    // What left under a stamp in seconds holds back its whole second from an app that has milliseconds now.
    let removed_stamp = match settings.removed_stamp {
        seconds @ 1..1_000_000_000_000 if app.is_in_milliseconds => seconds * 1000 + 999,
        stamp => stamp,
    };
    if state.is_none() && way != Way::Word && occurred_at <= removed_stamp {
        return Err("older_than_retained");
    }
    let order_type = match (state, &event.order_type) {
        (Some(state), Some(named)) if *named != state.order_type => return Err("order_type_changed"),
        (Some(state), _) => state.order_type.clone(),
        (None, Some(named)) => named.clone(),
        (None, None) => return Err("incomplete_order"),
    };
    let old = state.map_or(json!({}), |state| state.document.clone());
    let document = merge_patch(&old, event.order.as_ref().unwrap_or(&Value::Object(Map::new())));
    let order = mapping::Order {
        app,
        order_id: &event.order_id,
        order_type: &order_type,
        status: &event.status,
        document: &document,
        is_text_strict: settings.is_text_strict,
    };
    let sent = mapping::map(&order)?;
    if serde_json::to_string(&document).unwrap().len() > 256 * 1024 {
        return Err("document_too_large");
    }
    let last = state.map_or(removed_stamp, |state| state.update_time);
    let is_unchanged = state.is_some_and(|state| state.sent == sent);
    let mut event_ids = match state {
        Some(state) if state.occurred_at == event.occurred_at => state.event_ids.clone(),
        _ => Vec::new(),
    };
    event_ids.push(event.event_id.clone());
    let newest = event_ids.len().saturating_sub(32);
    let mut next = State {
        document,
        order_type,
        status: event.status.clone(),
        offset,
        event_ids: event_ids.split_off(newest),
        sequence: event.sequence.or(state.and_then(|state| state.sequence)),
        occurred_at: event.occurred_at,
        update_time: if is_unchanged { last } else { occurred_at.max(last + 1) },
        sent,
    };
    if let (Way::Redrive | Way::Word, Some(state)) = (way, state) {
        next.offset = next.offset.max(state.offset);
        next.sequence = next.sequence.max(state.sequence);
        if event.occurred_at < state.occurred_at {
            next.occurred_at = state.occurred_at;
            next.event_ids.clone_from(&state.event_ids);
        }
    }
    Ok((if is_unchanged { Outcome::Unchanged } else { Outcome::Advanced }, next))
}
