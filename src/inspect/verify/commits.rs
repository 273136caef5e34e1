//! The commits that an account goes by, and what in them cannot be.
//!
//! Those that no compaction has touched are told by their numbers: every commit writes the position under the same key, so
//! that compaction leaves of a stretch that it has cleaned the last position alone. Where the positions of two commits stand
//! one after the other, all that was written between them is still there: it may have gone through the first of the two and
//! some records of the second, and not as far as what could take their place. Of the very first commit only its offsets tell.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::account::Account;
use super::debts::{Place, owes};
use super::evidence::{Brief, OwedSeen};
use super::facts::Facts;
use super::outcome::Reason;
use crate::record::NextOffset;
use crate::sync::command::{CommandDone, Outcome};
use crate::sync::ports::Position;

/// So many of each kind are told.
const DOUBTS_MAX: usize = 1000;
/// Transactions of workers that share a partition of the changelog may lie in one another, and what is read may end in the
/// middle of one; none stays open for so long, by whichever of their clocks.
const OPEN_MS_MAX: i64 = 120_000;

/// A commit whose position still stands in the changelog.
#[derive(Clone, Copy, Debug)]
pub(super) struct Commit {
    /// Everything before it has an outcome with this commit.
    pub(super) next: i64,
    /// Whether every record of it is still there.
    pub(super) whole: bool,
}

/// Records behind the last position.
#[derive(Default)]
pub(super) struct Group {
    pub(super) owed: Vec<(u64, OwedSeen)>,
    pub(super) states: Vec<(u64, Option<Brief>)>,
    pub(super) commands: Vec<Place>,
    pub(super) acted: Vec<Acted>,
    pub(super) reborn_ms: Option<i64>,
    /// When the last of them was written, where there is one.
    pub(super) newest_ms: Option<i64>,
}

/// Where a command lay that changes an order, and where the source stood when it acted.
pub(super) struct Acted {
    command: Box<str>,
    command_offset: i64,
    about: Option<i64>,
    next: i64,
}

impl Acted {
    /// `None` for a command that waits for no turn, and so may be read again behind others.
    pub(super) fn of(done: &CommandDone) -> Option<Self> {
        matches!(&*done.command, "redrive" | "fold" | "resync").then(|| Self {
            command: done.command.clone(),
            command_offset: done.command_offset.get(),
            about: done.offset.map(crate::record::RecordOffset::get),
            next: done.next.get(),
        })
    }
}

/// What cannot be.
#[derive(Default)]
pub(super) struct Doubts {
    /// Whether the changelog's partition is that of other source topics, too.
    pub(super) is_shared: bool,
    /// Whether records stand behind the last position; the greatest offset that is applied in a state of them.
    open: Option<i64>,
    /// Deliveries of whole commits that hold no state of their order: the order, the offset of the event, the stamp.
    stateless: Vec<(u64, i64, i64)>,
    /// Commands that say to have acted elsewhere than their commit ends.
    misplaced: Vec<(i64, String)>,
}

impl Facts {
    /// A commit ends here.
    pub(super) fn position(&mut self, position: Position, offset: i64) {
        let number = position.commit_number;
        let whole = match &self.position {
            Some(before) => before.commit_number + 1 == number,
            None => number == 1 && self.gapless == offset + 1,
        };
        let group = std::mem::take(&mut self.group);
        if group.reborn_ms.is_some() {
            // What was said of the earlier topic's records says nothing of this one's.
            let alive = std::mem::take(&mut self.alive);
            let states = std::mem::take(&mut self.states);
            let (apps, read) = (std::mem::take(&mut self.apps), (self.document_bytes, self.states_read));
            let (document_bytes, states_read) = read;
            *self = Self {
                alive,
                states,
                apps,
                document_bytes,
                states_read,
                reborn_ms: group.reborn_ms,
                doubts: Doubts { is_shared: self.doubts.is_shared, ..Doubts::default() },
                ..Self::default()
            };
        }
        self.eras.pass(&position);
        let whole = whole && group.reborn_ms.is_none();
        if whole {
            let before = self.position.as_ref().map(|before| (before.next.get(), before.commands));
            self.keep_debts(&group, before);
            self.doubts.take(&group, before.filter(|_| position.settings.is_some()), position.next.get());
            self.keep(group);
        }
        self.commits.push(Commit { next: position.next.get(), whole });
        if let Some(last) = position.last {
            self.last_records.insert(last.offset, last);
        }
        self.position = Some(position);
    }

    fn keep(&mut self, group: Group) {
        let at = self.commits.len();
        for (order, seen) in group.owed {
            self.owed.entry((order, seen.offset)).or_default().push(seen);
        }
        self.written.extend(group.states.into_iter().map(|(order, state)| (at, order, state)));
    }

    /// Brings what was gathered into the order in which it is asked for.
    pub(super) fn seal(&mut self) {
        // Behind the last position no commit ends: what stands there is the last word all the same.
        let group = std::mem::take(&mut self.group);
        let is_open = group.newest_ms.is_some_and(|tail_ms| {
            let is_old = || self.newest_ms.is_some_and(|newest_ms| newest_ms.saturating_sub(tail_ms) > OPEN_MS_MAX);
            // States are written on in several transactions for a topic that was made anew.
            group.reborn_ms.is_none() && (!self.doubts.is_shared || is_old())
        });
        let applied = group.states.iter().filter_map(|(_, state)| state.as_ref().map(|state| state.applied_offset));
        self.doubts.open = is_open.then(|| applied.max().unwrap_or(i64::MIN));
        if let Some(position) = &self.position {
            self.eras.pass(position);
        }
        for (&(order, _), seen) in &self.alive {
            let all = self.owed.entry((order, seen.offset)).or_default();
            if !all.contains(seen) {
                all.push(*seen);
            }
        }
        self.commands.sort_by_key(|done| (done.next, self.is_anew.then_some(done.at_ms), done.command_offset));
        for done in &self.commands {
            if let (Outcome::DeadLetter, Some(offset)) = (done.outcome, done.offset) {
                *self.failed.entry(offset.get()).or_default() += 1;
            }
            self.commanded.extend(owes(done));
        }
    }
}

impl Doubts {
    /// Looks at a commit that is whole; `before` is where the one before it and its commands ended, where that can be asked.
    fn take(&mut self, group: &Group, before: Option<(i64, Option<NextOffset>)>, next: i64) {
        // What owes a delivery changes the order's state, too, and a cut holds the last of its states.
        let held: HashSet<u64, RandomState> = group.states.iter().map(|(order, _)| *order).collect();
        let stateless = group.owed.iter().filter(|(order, _)| !held.contains(order));
        for (order, seen) in stateless.take(DOUBTS_MAX.saturating_sub(self.stateless.len())) {
            self.stateless.push((*order, seen.offset, seen.stamp));
        }
        let Some((begun, commands)) = before else { return };
        // One that was told again lies before that.
        let commands = commands.map_or(0, NextOffset::get);
        for acted in group.acted.iter().filter(|acted| acted.command_offset >= commands) {
            if !(begun..=next).contains(&acted.next) && self.misplaced.len() < DOUBTS_MAX {
                let Acted { command, next: said, about, .. } = acted;
                let words = format!(
                    "the outcome of a {command} says that it acted at offset {said}, and stands in the commit from offset \
                     {begun} to {next}"
                );
                self.misplaced.push((about.unwrap_or(*said), words));
            }
        }
    }
}

impl Account<'_> {
    /// Tells what says the most, before anything that follows from it.
    pub(super) fn tell_doubts(&mut self) {
        let (begin, next) = (self.low.max(self.begin), self.facts.next().unwrap_or(0));
        if self.facts.doubts.open.is_some_and(|applied| applied >= next) {
            self.tell_open();
        }
        for (about, words) in self.facts.doubts.misplaced.clone() {
            self.find(about.clamp(begin, (next - 1).max(begin)), Reason::CommandDiffers, words, None);
        }
    }

    /// What stands behind the last position and is wrong in itself is told already, and says more.
    pub(super) fn close_open_end(&mut self) {
        if self.facts.doubts.open.is_some() && self.findings.found.is_empty() {
            self.tell_open();
        }
    }

    fn tell_open(&mut self) {
        let begin = self.low.max(self.begin);
        let words = match self.facts.position {
            Some(_) => "the changelog has records behind its last position, and each commit ends with one",
            None => "the changelog has records and no position, and each commit ends with one",
        };
        self.find((self.facts.next().unwrap_or(0) - 1).max(begin), Reason::PositionMissing, words.to_owned(), None);
    }

    /// States of which nothing is left but the deliveries that were owed with them.
    pub(super) fn close_stateless(&mut self) {
        let begin = self.low.max(self.begin);
        for (order, offset, stamp) in self.facts.doubts.stateless.clone() {
            if !self.wants(order) || offset < begin {
                continue;
            }
            let words = format!("a commit owes a delivery of it under stamp {stamp}, and holds no state of the order");
            let identity = self.identity(order);
            self.find(offset, Reason::StateMissing, words, identity.as_ref());
        }
    }
}
