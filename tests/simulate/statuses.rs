//! The statuses of dead letters, held against what the platform took.

use std::collections::BTreeSet;

use order_sync::sync::changelog::LetterState;

use super::audit::{Audit, Committed, Push};

/// What is known of one letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) is_open: bool,
    order: Option<String>,
    stamp: Option<i64>,
}

impl Status {
    pub(crate) fn new(status: &order_sync::sync::changelog::LetterStatus) -> Self {
        Self {
            is_open: status.state == LetterState::Open,
            order: status.identity().map(|identity| identity.order_id.to_string()),
            stamp: status.stamp.map(|stamp| stamp.0),
        }
    }

    pub(crate) fn is_open_of(&self, order: &str) -> bool {
        self.is_open && self.order.as_deref() == Some(order)
    }
}

impl Audit {
    /// Statuses change: what is superseded was taken, what was taken is superseded, and what is forgotten was superseded.
    pub(crate) fn statuses(
        &mut self,
        new: &mut Committed,
        changed: &order_sync::sync::statuses::Statuses,
        settled: &BTreeSet<Push>,
    ) {
        for (offset, status) in changed.iter() {
            let offset = offset.get();
            let Some(status) = status.map(Status::new) else {
                if new.letters.remove(&offset).is_none_or(|status| status.is_open) {
                    self.fault(format!("the status of letter {offset} is forgotten and was not superseded"));
                }
                continue;
            };
            let last = status.order.as_ref().and_then(|order| self.taken.get(order)).and_then(|stamps| stamps.last());
            let was_taken = status.stamp.is_some_and(|stamp| last.is_some_and(|last| stamp <= *last));
            if !status.is_open && !was_taken {
                self.fault(format!("letter {offset} is superseded by nothing: {status:?}"));
            }
            new.letters.insert(offset, status);
        }
        let taken: Vec<&Push> = settled.iter().filter(|push| !self.is_poison(push)).collect();
        for (order, stamp) in taken {
            let covered = |status: &Status| status.is_open_of(order) && status.stamp.is_some_and(|of| of <= *stamp);
            if new.letters.values().any(covered) {
                self.fault(format!("a letter of {order} is open, and {stamp} was taken"));
            }
        }
    }
}
