//! Which of the commands about a whole app an order's timeline has: those that fall into the order's own time.
//!
//! An app is paused and resumed many times in the life of its other orders. What explains this one is what was said while it
//! had something to deliver, and the pause that stood when it came.

use super::order_log::{Executed, OrderLog};
use super::timeline::Entry;
use crate::sync::command::Outcome;

/// From an order's first entry to its last, and on while it owes something.
pub(super) struct OwnTime {
    from_ms: i64,
    until_ms: i64,
}

impl OwnTime {
    /// By what is known of the order alone. Without any entry it is the moment of its last event.
    pub(super) fn of(entries: &[Entry], log: &OrderLog) -> Self {
        let last_event = log.state.as_ref().map(|state| state.occurred_at.0);
        // A record without a time lies at no time.
        let times = || entries.iter().map(|entry| entry.at_ms).filter(|at| *at > 0);
        let from_ms = times().min().or(last_event).unwrap_or(i64::MAX);
        let last = times().max().or(last_event).unwrap_or(i64::MIN);
        Self { from_ms, until_ms: if log.owed.is_empty() { last } else { i64::MAX } }
    }

    /// Whether the moment lies in it.
    pub(super) fn covers(&self, at_ms: i64) -> bool {
        (self.from_ms..=self.until_ms).contains(&at_ms)
    }

    /// Of these, in the order of their execution, those that fall into it, and before them the pause that stood when it began.
    pub(super) fn holding<'e>(&self, of_app: &[&'e Executed]) -> Vec<&'e Executed> {
        let mut before = of_app.iter().filter(|executed| executed.done.at_ms < self.from_ms && is_pausing(executed));
        let pausing = before.next_back().filter(|executed| &*executed.done.command == "pause");
        let within = of_app.iter().filter(|executed| self.covers(executed.done.at_ms));
        pausing.into_iter().chain(within).copied().collect()
    }
}

/// Whether it has set how the app stands.
fn is_pausing(executed: &Executed) -> bool {
    matches!(&*executed.done.command, "pause" | "resume") && executed.done.outcome == Outcome::Done
}
