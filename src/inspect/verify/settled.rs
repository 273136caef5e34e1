//! What must have come of deliveries by what stands beside them. An order's deliveries are settled one after another in the
//! order of their stamps, and with one that is given up go its letter's status and the mark on its order's state: all of it
//! in one commit, so that each of these tells what the others must be.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::account::Account;
use super::evidence::OwedSeen;
use super::facts::{Facts, StatusSeen};
use super::letters::LetterSeen;
use super::outcome::Reason;
use crate::sync::changelog::LetterState;
use crate::sync::command::Outcome;

/// The greatest stamps of an order that are known to be settled, and to have been accepted; 0 where none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Newest {
    settled: i64,
    pub(super) accepted: i64,
}

impl Facts {
    /// Whether a delivery is owed.
    pub(super) fn is_owed(&self, order: u64, stamp: i64) -> bool {
        self.alive.contains_key(&(order, stamp))
    }
}

impl Account<'_> {
    /// Holds what is owed, what stands as a dead letter and the statuses of letters against one another.
    pub(super) fn close_settled(&mut self) {
        let newest = self.newest();
        self.close_unsettled(&newest);
        self.close_marks();
        self.close_open(&newest);
    }

    /// Of each order that something is owed of, or that has an open letter.
    fn newest(&self) -> HashMap<u64, Newest, RandomState> {
        let facts = &*self.facts;
        let owed = facts.alive.keys().map(|(order, _)| *order);
        let open =
            facts.statuses.values().filter(|status| status.state == LetterState::Open).map(|status| status.order);
        let mut newest: HashMap<u64, Newest, RandomState> =
            owed.chain(open).filter(|order| self.wants(*order)).map(|order| (order, Newest::default())).collect();
        let given_up: HashSet<(u64, i64), RandomState> =
            facts.statuses.values().filter_map(|status| Some((status.order, status.stamp?))).collect();
        // A state that folding does not give says nothing of what was owed.
        let sound = facts.states.iter().filter(|(order, _)| !self.findings.suspects.contains(*order));
        let last = sound.filter_map(|(order, last)| Some((*order, last.state.as_ref()?.stamp)));
        let lossy = self.with_lost_letters();
        let ever = facts.owed.iter().flat_map(|((order, _), seen)| seen.iter().map(|seen| (*order, seen.stamp)));
        for (order, stamp) in last.chain(ever).chain(given_up.iter().copied()) {
            let Some(of_order) = newest.get_mut(&order).filter(|_| !facts.is_owed(order, stamp)) else { continue };
            of_order.settled = of_order.settled.max(stamp);
            let is_given_up = given_up.contains(&(order, stamp)) || self.letters.has_given_up(order, stamp);
            // One without a letter may have had one that is lost.
            if !is_given_up && !lossy.contains(&order) {
                of_order.accepted = of_order.accepted.max(stamp);
            }
        }
        for (offset, status) in &facts.statuses {
            if let (Some(stamp), Some(of_order)) = (status.stamp, newest.get_mut(&status.order))
                && self.is_taken(*offset, status, stamp)
            {
                of_order.accepted = of_order.accepted.max(stamp);
            }
        }
        newest
    }

    /// Orders of which letters are known to be missing.
    fn with_lost_letters(&self) -> HashSet<u64, RandomState> {
        let statuses = &self.facts.statuses;
        let by_status = statuses.iter().filter(|(offset, status)| {
            let seen = self.letters.of(**offset);
            seen.is_empty() || self.lost_times(seen, Some(status.times)).is_some()
        });
        let forgotten = self.letters.offsets().filter(|offset| !statuses.contains_key(offset));
        let by_letters = forgotten.map(|offset| self.letters.of(offset));
        let by_letters = by_letters.filter(|seen| self.lost_times(seen, None).is_some());
        by_status.map(|(_, status)| status.order).chain(by_letters.flatten().map(LetterSeen::names)).collect()
    }

    /// Whether the status says that a push with the stamp of its letter or a later one was accepted: it is superseded, or
    /// was sent again and has not come back.
    fn is_taken(&self, offset: i64, status: &StatusSeen, stamp: i64) -> bool {
        let has_come_back = || self.letters.of(offset).iter().any(|letter| letter.times() > status.times);
        match status.state {
            LetterState::Superseded => true,
            LetterState::Redriven => !self.facts.is_owed(status.order, stamp) && !has_come_back(),
            LetterState::Open | LetterState::Discarded => false,
        }
    }

    /// What stands as owed and cannot be: its tombstone is lost.
    fn close_unsettled(&mut self, newest: &HashMap<u64, Newest, RandomState>) {
        let mut found = Vec::new();
        let ours = self.facts.alive.iter().filter(|((order, _), _)| self.wants(*order));
        for (&(order, stamp), seen) in ours.filter(|(_, seen)| seen.offset != OwedSeen::UNREADABLE) {
            let settled = newest.get(&order).map_or(0, |newest| newest.settled);
            let words = if settled > stamp {
                format!("a later delivery of the order, under stamp {settled}, is settled")
            } else if self.is_marked(order, stamp) {
                "the order's state says that it was given up".to_owned()
            } else if self.has_letter_of(order, stamp, seen) {
                "the status of its dead letter says that it was given up, or is said".to_owned()
            } else {
                continue;
            };
            found.push((seen.offset, order, format!("a delivery under stamp {stamp} stands as owed, and {words}")));
        }
        for (offset, order, words) in found {
            let identity = self.identity(order);
            self.find(offset.max(self.low.max(self.begin)), Reason::TombstoneMissing, words, identity.as_ref());
        }
    }

    fn is_marked(&self, order: u64, stamp: i64) -> bool {
        let last = self.facts.states.get(&order);
        last.is_some_and(|last| last.mark.is_some() && last.state.as_ref().is_some_and(|state| state.stamp == stamp))
    }

    /// Whether the status of the letter at the delivery's record is of this very delivery, and nothing has owed it again
    /// since: an event that does is another record, and a redrive leaves another status. A fold on an operator's word may.
    fn has_letter_of(&self, order: u64, stamp: i64, seen: &OwedSeen) -> bool {
        let status = self.facts.statuses.get(&seen.offset);
        let Some(status) = status.filter(|status| status.order == order && status.stamp == Some(stamp)) else {
            return false;
        };
        let is_folded = || {
            let about = self.facts.commands.iter().filter(|done| done.offset.is_some_and(|at| at.get() == seen.offset));
            about.into_iter().any(|done| &*done.command == "fold" && done.outcome == Outcome::Folded)
        };
        match status.state {
            LetterState::Superseded => true,
            LetterState::Open | LetterState::Discarded => !is_folded(),
            LetterState::Redriven => false,
        }
    }

    /// A state whose delivery stands as a dead letter has that letter's status beside it.
    fn close_marks(&mut self) {
        let mut found = Vec::new();
        for (order, last) in self.facts.states.iter().filter(|(order, _)| self.wants(**order)) {
            let (Some(mark), Some(state)) = (last.mark, &last.state) else { continue };
            let Some(status) = self.facts.statuses.get(&mark.offset).filter(|status| status.stamp.is_some()) else {
                continue;
            };
            let stands = matches!(status.state, LetterState::Open | LetterState::Discarded);
            let is_it = status.order == *order && status.stamp == Some(state.stamp) && status.times == mark.times;
            if !(is_it && stands || self.facts.is_owed(*order, state.stamp)) {
                found.push((mark.offset, last.identity.clone()));
            }
        }
        for (offset, identity) in found {
            let words =
                "the order's state says that its delivery stands as a dead letter, and the letter's status does not";
            self.find(offset, Reason::StateDiffers, words.to_owned(), Some(&identity));
        }
    }

    /// Letters that stand as open and must be superseded.
    fn close_open(&mut self, newest: &HashMap<u64, Newest, RandomState>) {
        let within = self.low.max(self.begin)..self.facts.next().unwrap_or(0).max(self.low.max(self.begin));
        let mut found = Vec::new();
        let open = self.facts.statuses.range(within).filter(|(_, status)| status.state == LetterState::Open);
        for (offset, status) in open.filter(|(_, status)| self.wants(status.order)) {
            let Some(stamp) = status.stamp else { continue };
            let accepted = newest.get(&status.order).map_or(0, |newest| newest.accepted);
            let words = if accepted > stamp {
                format!(
                    "its dead letter stands as open, and a later push of the order, under stamp {accepted}, was accepted"
                )
            } else if self.was_said(status, stamp) {
                "its dead letter stands as open, and neither is its delivery owed nor does the order's state say that it \
                 was given up: it was sent again and accepted"
                    .to_owned()
            } else {
                continue;
            };
            found.push((*offset, status.order, words));
        }
        for (offset, order, words) in found {
            let identity = self.identity(order);
            self.find(offset, Reason::StatusDiffers, words, identity.as_ref());
        }
    }

    /// Whether the letter's delivery is the order's last, is settled, and does not stand as a dead letter.
    fn was_said(&self, status: &StatusSeen, stamp: i64) -> bool {
        let Some(last) = self.facts.states.get(&status.order) else { return false };
        let is_last = last.state.as_ref().is_some_and(|state| state.stamp == stamp);
        is_last && last.mark.is_none() && !self.facts.is_owed(status.order, stamp)
    }
}
