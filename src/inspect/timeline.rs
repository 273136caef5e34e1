//! One order's life: its events, each judged again by folding (`refold`), what was set aside, every attempt that is known, the
//! commands about it and those about its app that fall into its time (`own_time`), and what is still owed; the oldest first.

use serde::Serialize;

use super::detail::{AttemptLine, LetterDetail};
use super::order_log::{Accepted, Executed, OrderLog};
use super::own_time::OwnTime;
use super::refold::Refold;
use super::verify::Eras;
use crate::order::event::EventRules;
use crate::order::fold::FoldRules;
use crate::order::{Identity, MapOrder, OrderState};
use crate::record::{Record, RecordOffset};
use crate::sync::LastError;
use crate::sync::changelog::LetterState;
use crate::sync::command::{Action, Command};

/// One thing that happened. `at_ms` is the record's own timestamp, or that of the attempt or letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// What it was.
    #[serde(flatten)]
    pub what: Happened,
}

impl Entry {
    /// When the event occurred, where it is that of this offset.
    pub fn occurred_ms(&self, of_offset: i64) -> Option<i64> {
        match &self.what {
            Happened::Event { offset, occurred_at_ms, .. } if *offset == of_offset => *occurred_at_ms,
            Happened::Event { .. }
            | Happened::Attempt { .. }
            | Happened::DeadLetter { .. }
            | Happened::Command { .. }
            | Happened::Accepted { .. }
            | Happened::Owed { .. } => None,
        }
    }
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

/// How the order's events are judged again: by the settings of then, and where the log does not say them, by today's.
pub struct Judge<'m> {
    /// The settings of then.
    pub then: Eras,
    /// As a worker decodes today.
    pub events: EventRules,
    /// As a worker folds today.
    pub rules: FoldRules,
    /// As a worker maps today.
    pub mapper: &'m dyn MapOrder,
}

/// Whether folding the events again gives what the changelog says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// The same state, stamp and content.
    Agrees,
    /// Another one: events outside of what was read, a command, or other settings then, which the log does not say.
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
    let (of_app, of_order): (Vec<&Executed>, Vec<&Executed>) =
        commands.iter().partition(|executed| executed.is_of_app());
    let (mut entries, folded) = Refold::new(identity, letters, &of_order, judge).run(records);
    for (letter, state) in letters {
        entries.extend(letter.attempt_log().iter().map(|line| attempt(line, letter)));
        entries.push(dead_letter(letter, *state));
    }
    entries.extend(of_order.iter().map(|executed| command(executed)));
    for (stamp, debt) in &log.owed {
        let what = Happened::Owed { update_time: stamp.0, offset: debt.offset };
        entries.push(Entry { at_ms: debt.at_ms, what });
    }
    entries.extend(log.accepted.iter().map(accepted));
    let (for_app, for_order): (Vec<&Command>, Vec<&Command>) =
        waiting.iter().partition(|given| is_app_wide(&given.action));
    entries.extend(for_order.iter().map(|given| waits(given)));
    let own = OwnTime::of(&entries, log);
    entries.extend(own.holding(&of_app).into_iter().map(command));
    entries.extend(for_app.iter().filter(|given| own.covers(given.at_ms)).map(|given| waits(given)));
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

fn is_app_wide(action: &Action) -> bool {
    match action {
        Action::Pause { .. } | Action::Resume { .. } | Action::AcceptRejections { .. } => true,
        Action::Redrive { .. } | Action::Discard { .. } | Action::Resync { .. } | Action::Fold { .. } => false,
    }
}

fn same(state: &OrderState, folded: &OrderState) -> bool {
    let of = |state: &OrderState| (state.applied_offset, state.update_time, state.digest);
    of(state) == of(folded)
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
