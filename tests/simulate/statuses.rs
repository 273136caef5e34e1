//! The statuses of dead letters, held against what the platform took and what operators have decided.

use std::collections::BTreeSet;

use order_sync::sync::changelog::LetterState;

use super::audit::{Audit, Committed, Push};
use super::orders::Due;

/// What is known of one letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) state: LetterState,
    order: Option<String>,
    stamp: Option<i64>,
}

impl Status {
    pub(crate) fn new(status: &order_sync::sync::changelog::LetterStatus) -> Self {
        Self {
            state: status.state,
            order: status.identity().map(|identity| identity.order_id.to_string()),
            stamp: status.stamp.map(|stamp| stamp.0),
        }
    }

    pub(crate) fn is_open_of(&self, order: &str) -> bool {
        self.state == LetterState::Open && self.order.as_deref() == Some(order)
    }
}

impl Audit {
    /// Statuses change: what is superseded was taken, what was taken is superseded, what is redriven or discarded was so by
    /// a command, and what is forgotten was superseded. `due` has what commands of this commit did.
    pub(crate) fn statuses(
        &mut self,
        partition: usize,
        new: &mut Committed,
        changed: &order_sync::sync::statuses::Statuses,
        settled: &BTreeSet<Push>,
        due: &Due,
    ) {
        for (offset, status) in changed.iter() {
            let offset = offset.get();
            let Some(status) = status.map(Status::new) else {
                let old = new.letters.remove(&offset);
                let order = old.as_ref().and_then(|status| status.order.as_ref());
                if order.is_some_and(|order| self.orders[partition].stands().contains_key(order)) {
                    self.fault(format!("the status of letter {offset} is forgotten, and its order is still there"));
                }
                if old.is_none_or(|status| status.state != LetterState::Superseded) {
                    self.fault(format!("the status of letter {offset} is forgotten and was not superseded"));
                }
                continue;
            };
            if !self.may_be(partition, offset, &status) {
                self.fault(format!("letter {offset} of {partition} may not be {status:?}"));
            }
            new.letters.insert(offset, status);
        }
        // What was discarded before stays as it is.
        let is_written = |at: &i64, state: &LetterState| {
            changed.iter().any(|(offset, _)| offset.get() == *at)
                || new.letters.get(at).is_some_and(|status| status.state == *state)
        };
        if let Some((offset, _)) = due.dealt_with.iter().find(|(at, state)| !is_written(at, state)) {
            self.fault(format!(
                "a command has dealt with letter {offset} of {partition}, and its status does not say so"
            ));
        }
        for offset in &due.perhaps_open {
            if new.letters.get(offset).is_some_and(|status| status.state == LetterState::Open) {
                self.orders[partition].aside.insert(*offset, LetterState::Open);
            }
        }
        // Where the event was never folded, nothing but commands can change it.
        for (offset, state) in &self.orders[partition].aside {
            let is_same = match new.letters.get(offset) {
                Some(Status { stamp: None, state: written, .. }) => written == state,
                // A push of it was rejected since, and that may be superseded and forgotten.
                Some(_) | None => *state == LetterState::Redriven,
            };
            if !is_same {
                self.faults
                    .push(format!("letter {offset} of {partition} is {state:?}, not {:?}", new.letters.get(offset)));
            }
        }
        let taken: Vec<&Push> = settled.iter().filter(|push| self.never(push).is_none()).collect();
        for (order, stamp) in taken {
            let covered = |status: &Status| status.is_open_of(order) && status.stamp.is_some_and(|of| of <= *stamp);
            if new.letters.values().any(covered) {
                self.fault(format!("a letter of {order} is open, and {stamp} was taken"));
            }
        }
    }

    /// Whether anything has made a letter of a rejected push what it is.
    fn may_be(&self, partition: usize, offset: i64, status: &Status) -> bool {
        let orders = &self.orders[partition];
        let (Some(order), Some(stamp)) = (&status.order, status.stamp) else {
            return orders.aside.contains_key(&offset);
        };
        let push = (order.clone(), stamp);
        match status.state {
            LetterState::Open => self.never(&push).is_some(),
            LetterState::Redriven => orders.sent_again.contains(&(offset, stamp)),
            LetterState::Discarded => orders.discarded.contains(&offset),
            LetterState::Superseded => {
                let last = self.taken.get(order).and_then(|stamps| stamps.last());
                last.is_some_and(|last| stamp <= *last)
            }
        }
    }
}
