//! The deliveries that commands owe, held against those that the log has owed: each with its stamp, its bytes and its event.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::account::Account;
use super::commits::Group;
use super::evidence::{order_key, short};
use super::facts::Facts;
use super::outcome::Reason;
use super::rules::Variant;
use crate::order::again::last_request;
use crate::order::{Identity, OrderState};
use crate::record::NextOffset;
use crate::sync::command::CommandDone;

/// Whether a commit of which every record is there owes the delivery of a command that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Debt {
    Owed,
    Missing,
}

/// Where a command lay and acted, and the delivery that it owes.
pub(super) struct Place {
    command_offset: i64,
    next: i64,
    owes: (u64, i64),
}

impl Place {
    /// `None` where it owes nothing.
    pub(super) fn of(done: &CommandDone) -> Option<Self> {
        let (command_offset, next) = (done.command_offset.get(), done.next.get());
        owes(done).map(|owes| Self { command_offset, next, owes })
    }
}

/// A delivery that folding gives for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// Of the record that it belongs to.
    pub(super) offset: i64,
    /// Of its bytes; `None` where today's settings do not give them.
    pub(super) request: Option<u64>,
}

impl Due {
    /// What is sent of this state, by each of these settings that give it.
    pub(super) fn of(state: &OrderState, identity: &Identity, offset: i64, variants: &[Variant<'_>]) -> Self {
        let request = variants.iter().find_map(|variant| last_request(state, identity, variant.mapper));
        Self { offset, request: request.as_deref().map(short) }
    }
}

impl Facts {
    /// Of commands that were executed here: one that was given again has its outcome written again, and owes nothing.
    pub(super) fn keep_debts(&mut self, group: &Group, before: Option<(i64, Option<NextOffset>)>) {
        let owed: HashSet<(u64, i64), RandomState> =
            group.owed.iter().map(|(order, seen)| (*order, seen.stamp)).collect();
        for place in &group.commands {
            let is_new = before.is_none_or(|(next, commands)| {
                place.next >= next && commands.is_none_or(|commands| place.command_offset >= commands.get())
            });
            if is_new {
                let debt = if owed.contains(&place.owes) { Debt::Owed } else { Debt::Missing };
                self.debts.insert(place.owes, debt);
            }
        }
    }
}

impl Account<'_> {
    /// Holds the delivery of a command against the log: it is one of `due`. Where that is empty nothing can be said of it.
    pub(super) fn hold_debt(&mut self, done: &CommandDone, identity: &Identity, due: &[Due]) {
        let (key, Some(stamp)) = (order_key(identity), done.update_time.map(|stamp| stamp.0)) else { return };
        let Some(first) = due.first() else {
            self.excused.insert((key, stamp));
            return;
        };
        let mut wrong = None;
        for due in due {
            match self.contradiction(key, stamp, *due) {
                None => {
                    wrong = None;
                    break;
                }
                Some(found) => wrong = wrong.or(Some((due.offset, found))),
            }
        }
        for due in due {
            self.hold_letters_of(identity, stamp, due.offset, due.request);
            let owed = self.facts.owed.get_mut(&(key, due.offset));
            owed.into_iter().flatten().filter(|seen| seen.stamp == stamp).for_each(|seen| seen.used = true);
        }
        let is_missing = self.facts.debts.get(&(key, stamp)) == Some(&Debt::Missing);
        if let Some((offset, (reason, words))) = wrong {
            self.find(offset, reason, words, Some(identity));
        } else if is_missing {
            let words = format!("a {} owes a delivery under stamp {stamp}, and none was ever owed", done.command);
            self.find(first.offset, Reason::NeverOwed, words, Some(identity));
        }
    }

    /// What of the log contradicts that this is owed.
    fn contradiction(&self, key: u64, stamp: i64, due: Due) -> Option<(Reason, String)> {
        let owed = self.facts.owed.get(&(key, due.offset));
        let mut seen = owed.into_iter().flatten().filter(|seen| seen.stamp == stamp);
        if seen.any(|seen| due.request.is_some_and(|request| request != seen.request)) {
            return Some((
                Reason::RequestDiffers,
                format!("the request that a command owes under stamp {stamp} is another one"),
            ));
        }
        let alive = self.facts.alive.get(&(key, stamp)).filter(|alive| alive.offset != due.offset)?;
        let words = format!("a delivery that a command owes of it under stamp {stamp} names offset {}", alive.offset);
        Some((Reason::UnexplainedDelivery, words))
    }
}

/// The delivery that a command owes, by order and stamp.
pub(super) fn owes(done: &CommandDone) -> Option<(u64, i64)> {
    let identity = Identity::new(done.app_id.clone()?, done.order_id.as_deref()?);
    Some((order_key(&identity), done.update_time?.0))
}
