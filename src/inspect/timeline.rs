//! One order's life: its events, each judged again by folding, what was set aside, every attempt that is known, the commands
//! about it, and what is still owed; the oldest first.

use serde::Serialize;

use super::detail::{AttemptLine, LetterDetail};
use super::order_log::{Accepted, Executed, OrderLog};
use crate::order::event::{EventRules, decode};
use crate::order::fold::{FoldRules, fold};
use crate::order::{DeadLetterReason, Identity, MapOrder, OrderState, Transition, UpdateTime};
use crate::record::{Record, RecordOffset};
use crate::sync::LastError;
use crate::sync::changelog::LetterState;
use crate::sync::command::Command;

/// One thing that happened. `at_ms` is the record's own timestamp, or that of the attempt or letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// What it was.
    #[serde(flatten)]
    pub what: Happened,
}

/// What can happen to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Happened {
    /// An event of it in the source topic.
    Event {
        /// Where it lies.
        offset: i64,
        /// As the event says; absent where it cannot be read.
        event_id: Option<String>,
        /// The status that it brought.
        status: Option<&'static str>,
        /// When it happened, by the merchant's clock.
        occurred_at_ms: Option<i64>,
        /// What became of it when it was folded again; absent where that cannot be told.
        outcome: Option<&'static str>,
        /// The record's key, where it is not the order's id: its events may lie in several partitions.
        #[serde(skip_serializing_if = "Option::is_none")]
        other_key: Option<String>,
        /// The stamp that it got.
        update_time: Option<i64>,
        /// Why it was set aside.
        reason: Option<String>,
    },
    /// An attempt to push, as a dead letter tells it.
    Attempt {
        /// The stamp.
        update_time: Option<i64>,
        /// How long it took.
        latency: String,
        /// The HTTP status, or how it broke.
        status: String,
        /// The platform's code.
        err_code: Option<i64>,
        /// Of which of its record's letters, counted from 1.
        times: u32,
    },
    /// It was set aside.
    DeadLetter {
        /// topic/partition/offset of the original record.
        id: String,
        /// The reason code.
        reason: String,
        /// What has become of it.
        status: &'static str,
        /// The stamp of its delivery.
        update_time: Option<i64>,
        /// The platform's code.
        err_code: Option<i64>,
        /// How often the record has been dead-lettered.
        times: u32,
    },
    /// A command that was executed, or waits for it.
    Command {
        /// The command's id.
        id: String,
        /// `redrive`, `resync`, `pause`, …
        command: String,
        /// What it came to; `waiting` where no worker has executed it yet.
        outcome: &'static str,
        /// The offset of the original record, for a command about one.
        offset: Option<i64>,
        /// The stamp of the delivery that it owes.
        update_time: Option<i64>,
        /// Who gave it.
        who: String,
        /// Why.
        why: String,
    },
    /// A delivery that Douyin has accepted.
    Accepted {
        /// The stamp.
        update_time: i64,
        /// Attempts since the worker took it up, the accepted one included.
        attempts: u32,
        /// What the last one before that came to.
        last_error: Option<String>,
        /// The platform's name for its answer.
        log_id: Option<String>,
    },
    /// A delivery that is committed and not yet settled.
    Owed {
        /// The stamp.
        update_time: i64,
        /// The record that it belongs to.
        offset: i64,
    },
}

/// How the order's events are judged again.
pub struct Judge<'m> {
    /// As the worker decodes.
    pub events: EventRules,
    /// As the worker folds.
    pub rules: FoldRules,
    /// As the worker maps.
    pub mapper: &'m dyn MapOrder,
}

/// Whether folding the events again gives what the changelog says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// The same state, stamp and content.
    Agrees,
    /// Another one: events outside of what was read, a command, or other settings then.
    Differs,
    /// There is no state to compare with, or no event was read.
    Unknown,
}

/// A letter of the order with what has become of it.
pub type Judged = (LetterDetail, LetterState);

/// The timeline, and whether the events explain the state.
pub fn timeline(
    identity: &Identity,
    log: &OrderLog,
    records: &[Record],
    letters: &[Judged],
    (commands, waiting): (&[&Executed], &[&Command]),
    judge: &Judge<'_>,
) -> (Vec<Entry>, Agreement) {
    let (mut entries, folded) = events(identity, records, letters, commands, judge);
    for (letter, state) in letters {
        entries.extend(letter.attempt_log().iter().map(|line| attempt(line, letter)));
        entries.push(dead_letter(letter, *state));
    }
    entries.extend(commands.iter().map(|executed| command(executed)).chain(waiting.iter().map(|given| waits(given))));
    for (stamp, owed) in &log.owed {
        let what = Happened::Owed { update_time: stamp.0, offset: owed.offset };
        entries.push(Entry { at_ms: owed.timestamp_ms.unwrap_or_default(), what });
    }
    entries.extend(log.accepted.iter().map(accepted));
    let rank = |entry: &Entry| match entry.what {
        Happened::Event { .. } => 0,
        Happened::Command { .. } => 1,
        Happened::Owed { .. } => 2,
        Happened::Attempt { .. } => 3,
        Happened::DeadLetter { .. } => 4,
        Happened::Accepted { .. } => 5,
    };
    entries.sort_by_key(|entry| (entry.at_ms, rank(entry)));
    let agreement = match (&log.state, &folded) {
        (Some(state), Some(folded)) if same(state, folded) => Agreement::Agrees,
        (Some(_), Some(_)) => Agreement::Differs,
        (None, _) | (_, None) => Agreement::Unknown,
    };
    (entries, agreement)
}

fn same(state: &OrderState, folded: &OrderState) -> bool {
    let of = |state: &OrderState| (state.applied_offset, state.update_time, state.digest);
    of(state) == of(folded)
}

/// The events in log order, and the state that they leave.
fn events(
    identity: &Identity,
    records: &[Record],
    letters: &[Judged],
    commands: &[&Executed],
    judge: &Judge<'_>,
) -> (Vec<Entry>, Option<OrderState>) {
    let (mut state, mut entries): (Option<OrderState>, _) = (None, Vec::new());
    for record in records {
        let (at_ms, offset) = (record.timestamp_ms.unwrap_or_default(), record.offset.get());
        let value = record.value.as_deref().unwrap_or_default();
        let letter = letters.iter().map(|(letter, _)| letter).find(|letter| letter.row.id.offset == record.offset);
        // A letter of a delivery belongs to an event that was folded.
        let aside = letter.filter(|letter| letter.text("__connect.errors.stage") != Some("deliver"));
        let aside = aside.map(|letter| letter.row.reason.to_string());
        // The clock of then: what lay in the future lies in the past by now.
        let decoded = decode(value, &judge.events, at_ms);
        let key = record.key.as_deref().unwrap_or_default();
        let is_keyed = key == identity.order_id.as_bytes();
        let is_its = decoded
            .as_ref()
            .map_or(is_keyed, |event| event.app_id == identity.app_id && *event.order_id == *identity.order_id);
        if !is_its {
            continue;
        }
        let other_key = (!is_keyed).then(|| String::from_utf8_lossy(key).into_owned());
        let mut entry = Happened::Event {
            offset,
            event_id: None,
            status: None,
            occurred_at_ms: None,
            outcome: aside.is_some().then_some("dead_letter"),
            other_key,
            update_time: None,
            reason: aside.clone(),
        };
        if let (Ok(event), Happened::Event { event_id, status, occurred_at_ms, outcome, update_time, reason, .. }) =
            (&decoded, &mut entry)
        {
            *event_id = Some(event.event_id.to_string());
            *status = Some(event.status.as_str());
            *occurred_at_ms = Some(event.occurred_at.0);
            if aside.is_none() {
                resynced(&mut state, commands, offset);
                let transition = fold(state.as_ref(), event, offset, judge.rules, judge.mapper);
                let (word, stamp, why) = settle(transition, &mut state);
                (*outcome, *update_time) = (word, stamp.map(|stamp| stamp.0));
                *reason = why.map(|why| why.as_str().to_owned());
            }
        }
        if let (Err(_), Happened::Event { event_id, occurred_at_ms, .. }) = (&decoded, &mut entry) {
            (*event_id, *occurred_at_ms) = readable(value);
        }
        entries.push(Entry { at_ms, what: entry });
    }
    resynced(&mut state, commands, i64::MAX);
    (entries, state)
}

/// A resync before this offset has given the state a stamp of its own: what comes behind goes on from there.
fn resynced(state: &mut Option<OrderState>, commands: &[&Executed], offset: i64) {
    let done = commands.iter().map(|executed| &executed.done);
    let resyncs = done.filter(|done| &*done.command == "resync" && done.next.get() <= offset);
    if let (Some(state), Some(stamp)) = (state, resyncs.filter_map(|done| done.update_time).max()) {
        state.update_time = state.update_time.max(stamp);
    }
}

/// What can be told of an event that cannot be folded: its id and its time.
fn readable(value: &[u8]) -> (Option<String>, Option<i64>) {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(value) else { return (None, None) };
    (value["event_id"].as_str().map(str::to_owned), value["occurred_at"].as_i64())
}

/// The word, the stamp and the reason of a transition; the state moves on.
fn settle(
    transition: Result<Transition, crate::order::Fault>,
    state: &mut Option<OrderState>,
) -> (Option<&'static str>, Option<UpdateTime>, Option<DeadLetterReason>) {
    match transition {
        Ok(Transition::Advanced(advanced)) => {
            let stamp = advanced.state.update_time;
            *state = Some(advanced.state);
            (Some("advanced"), Some(stamp), None)
        }
        Ok(Transition::Unchanged(unchanged)) => {
            let stamp = unchanged.state.update_time;
            *state = Some(unchanged.state);
            (Some("unchanged"), Some(stamp), None)
        }
        Ok(Transition::Duplicate) => (Some("duplicate"), None, None),
        Ok(Transition::Stale) => (Some("stale"), None, None),
        // No letter says so: it was folded into a state that is not among what was read.
        Err(fault) => (None, None, Some(fault.reason)),
    }
}

fn attempt(line: &AttemptLine, letter: &LetterDetail) -> Entry {
    let at = line.at.parse::<jiff::Timestamp>();
    Entry {
        at_ms: at.map_or(letter.row.written_ms, jiff::Timestamp::as_millisecond),
        what: Happened::Attempt {
            update_time: letter.row.update_time,
            latency: line.latency.clone(),
            status: line.status.clone(),
            err_code: line.code,
            times: letter.row.times,
        },
    }
}

fn dead_letter(letter: &LetterDetail, state: LetterState) -> Entry {
    let row = &letter.row;
    Entry {
        at_ms: row.last_failed_ms(),
        what: Happened::DeadLetter {
            id: row.id.to_string(),
            reason: row.reason.to_string(),
            status: state.as_str(),
            update_time: row.update_time,
            err_code: row.err_code,
            times: row.times,
        },
    }
}

fn accepted(accepted: &Accepted) -> Entry {
    let Accepted { at_ms, stamp, how } = accepted;
    let what = Happened::Accepted {
        update_time: stamp.0,
        attempts: how.attempts,
        last_error: how.last_error.map(LastError::text),
        log_id: how.log_id.as_deref().map(str::to_owned),
    };
    Entry { at_ms: *at_ms, what }
}

/// A command that lies in its topic, and that no worker has executed yet.
fn waits(given: &Command) -> Entry {
    Entry {
        at_ms: given.at_ms,
        what: Happened::Command {
            id: given.id.to_string(),
            command: given.action.as_str().to_owned(),
            outcome: "waiting",
            offset: given.action.offset().map(RecordOffset::get),
            update_time: None,
            who: given.who.to_string(),
            why: given.why.to_string(),
        },
    }
}

fn command(executed: &Executed) -> Entry {
    let done = &executed.done;
    Entry {
        at_ms: done.at_ms,
        what: Happened::Command {
            id: executed.id.to_string(),
            command: done.command.to_string(),
            outcome: done.outcome.as_str(),
            offset: done.offset.map(RecordOffset::get),
            update_time: done.update_time.map(|stamp| stamp.0),
            who: done.who.to_string(),
            why: done.why.to_string(),
        },
    }
}
