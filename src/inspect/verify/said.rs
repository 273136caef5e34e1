//! What dead letters and their statuses say, held against one another, against folding, and against commands.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::account::Account;
use super::evidence::{names_key, order_key, short};
use super::facts::StatusSeen;
use super::letters::LetterSeen;
use super::outcome::Reason;
use super::step::{Candidate, What};
use crate::order::again::last_request;
use crate::order::{AppId, DeadLetterReason, Identity};
use crate::sync::changelog::LetterState;
use crate::sync::command::Outcome;

/// What commands have done with the letters of one record.
#[derive(Clone, Copy, Debug, Default)]
struct Deeds {
    /// How often a redrive has sent or folded it.
    redriven: u32,
    /// How often one has folded it and changed nothing that is sent, or found its delivery owed already.
    unchanged: u32,
    folded: bool,
    discarded: bool,
    /// Whether it may have come back without a redrive: a command made another letter of it, or its order was sent again, as what
    /// a resync owes is the delivery of the record that was applied last.
    came_back: bool,
}

impl Account<'_> {
    /// Holds the letters of an event's deliveries against what folding has given it.
    pub(super) fn hold_letters(&mut self, identity: &Identity, offset: i64, candidates: &[Candidate]) {
        if candidates.iter().any(|candidate| candidate.what == What::Unknown) {
            return;
        }
        let key = order_key(identity);
        let variants = self.variants(identity, self.eras.at(offset));
        let request_of = |candidate: &Candidate, stamp: i64| match candidate.what {
            What::Advanced { stamp: given, request } if given == stamp => Some(Some(request)),
            What::Unchanged { stamp: given } if given == stamp => {
                let state = candidate.after.state();
                let sent = |state| variants.iter().find_map(|variant| last_request(state, identity, variant.mapper));
                Some(state.and_then(sent).as_deref().map(short))
            }
            What::Advanced { .. }
            | What::Unchanged { .. }
            | What::Duplicate
            | What::Stale
            | What::Aside(_)
            | What::Unknown => None,
        };
        for letter in self.letters.of(offset).iter().filter(|letter| letter.is_of_delivery) {
            let Some(stamp) = letter.stamp() else { continue };
            let given: Vec<Option<u64>> =
                candidates.iter().filter_map(|candidate| request_of(candidate, stamp)).collect();
            if given.is_empty() && !self.facts.commanded.contains(&(key, stamp)) {
                let words =
                    format!("its dead letter is of a delivery under stamp {stamp}, which folding does not give");
                self.find(offset, Reason::LetterDiffers, words, Some(identity));
            } else if !given.is_empty() && given.iter().all(|request| !letter.has_sent(*request)) {
                self.other_request(offset, stamp, identity);
            }
        }
    }

    /// The same for a delivery that a command owes.
    pub(super) fn hold_letters_of(&mut self, identity: &Identity, stamp: i64, offset: i64, request: Option<u64>) {
        let letters = self.letters.of(offset).iter();
        let mut wrong = letters.filter(|letter| letter.stamp() == Some(stamp) && !letter.has_sent(request));
        if wrong.next().is_some() {
            self.other_request(offset, stamp, identity);
        }
    }

    fn other_request(&mut self, offset: i64, stamp: i64, identity: &Identity) {
        let words = format!("the request in its dead letter under stamp {stamp} is another one than folding gives");
        self.find(offset, Reason::LetterDiffers, words, Some(identity));
    }

    /// Every letter of a record that has several names its order, and an app of the group's. Those of deliveries name the very
    /// app, or that of the command that has owed them.
    pub(super) fn hold_names(&mut self, offset: i64, app: Option<&str>, order: &str) {
        let letters = self.letters.of(offset);
        if letters.len() < 2 {
            // The status says the same of a single one.
            return;
        }
        let key = |app: Option<&str>| names_key(app, Some(order));
        let known = self.rules.events.apps.iter().chain(&self.facts.apps).chain(self.eras.apps());
        let known: HashSet<u64, RandomState> =
            known.map(|app| key(Some(app.as_str()))).chain([key(app), key(None)]).collect();
        let is_named = |letter: &LetterSeen| match (letter.reason, letter.stamp()) {
            // What is not decoded has no names.
            (Some(DeadLetterReason::RecordTooLarge | DeadLetterReason::MissingKey), _) => true,
            (_, Some(stamp)) => letter.names() == key(app) || self.facts.commanded.contains(&(letter.names(), stamp)),
            (_, None) => known.contains(&letter.names()),
        };
        if !letters.iter().all(is_named) {
            let words = "one of its dead letters names another app or order than the record".to_owned();
            self.find(offset, Reason::LetterDiffers, words, None);
        }
    }

    /// Every letter says what fits together, and what its status says; and a status is what commands have left.
    pub(super) fn close_letters(&mut self) {
        let begin = self.low.max(self.begin);
        let within = begin..self.facts.next().unwrap_or(0).max(begin);
        let letters = self.letters;
        for offset in letters.offsets().filter(|offset| within.contains(offset)) {
            if let Some(words) = letters.of(offset).iter().find_map(contradiction) {
                self.find(offset, Reason::LetterDiffers, words, None);
            }
        }
        let (deeds, resynced) = (self.deeds(), self.resynced());
        let statuses: Vec<(i64, StatusSeen)> =
            self.facts.statuses.range(within).map(|(at, seen)| (*at, *seen)).collect();
        for (offset, status) in statuses {
            if status.may_be_older && letters.of(offset).is_empty() {
                continue;
            }
            let identity = self.identity(status.order);
            if let Some((reason, words)) = self.lost_times(letters.of(offset), Some(status.times)) {
                self.find(offset, reason, words, identity.as_ref());
                continue;
            }
            if let Some(words) = differs(letters.of(offset), &status) {
                self.find(offset, Reason::LetterDiffers, words, identity.as_ref());
                continue;
            }
            let mut deeds = deeds.get(&offset).copied().unwrap_or_default();
            deeds.came_back |= resynced.contains(&status.order);
            if let Some(words) = disobeys(&status, deeds) {
                self.find(offset, Reason::CommandDiffers, words.to_owned(), identity.as_ref());
            }
        }
    }

    /// The orders that a command has sent again.
    fn resynced(&self) -> HashSet<u64, RandomState> {
        let sent =
            self.facts.commands.iter().filter(|done| &*done.command == "resync" && done.outcome == Outcome::Sent);
        sent.map(|done| names_key(done.app_id.as_ref().map(AppId::as_str), done.order_id.as_deref())).collect()
    }

    fn deeds(&self) -> HashMap<i64, Deeds, RandomState> {
        let mut all: HashMap<i64, Deeds, RandomState> = HashMap::default();
        for done in &self.facts.commands {
            let Some(offset) = done.offset else { continue };
            let deeds = all.entry(offset.get()).or_default();
            match (&*done.command, done.outcome) {
                ("redrive", Outcome::Sent | Outcome::Folded) => deeds.redriven += 1,
                ("redrive", Outcome::Unchanged) => deeds.unchanged += 1,
                ("fold", Outcome::Folded | Outcome::Unchanged) => deeds.folded = true,
                ("discard", Outcome::Done) => deeds.discarded = true,
                (_, Outcome::DeadLetter) => deeds.came_back = true,
                _ => {}
            }
        }
        all
    }
}

/// What in a letter does not go together.
fn contradiction(letter: &LetterSeen) -> Option<String> {
    let Some(reason) = letter.reason else {
        return Some("its dead letter has a reason that this release does not know".to_owned());
    };
    let fits = letter.is_of_one_piece(reason);
    (!fits).then(|| format!("reason ({reason}), stage and stamp of its dead letter do not go together"))
}

/// What of the letter that a status is of is another thing there; letters of earlier times stand beside it.
fn differs(letters: &[LetterSeen], status: &StatusSeen) -> Option<String> {
    let members = |letter: &LetterSeen| {
        [
            (letter.reason != Some(status.reason), "reason"),
            (letter.stamp() != status.stamp, "stamp"),
            (letter.names() != status.order, "app or order"),
            (letter.times() != status.times, "number of times"),
        ]
    };
    // A status is written with each letter, and so is never behind the newest of them.
    if letters.iter().any(|letter| letter.times() > status.times) {
        return Some(format!(
            "its dead letter has come back since the changelog's status of it, of {} times",
            status.times
        ));
    }
    if letters.iter().any(|letter| members(letter).iter().all(|(differs, _)| !differs)) {
        return None;
    }
    let nearest = letters.iter().rev().find(|letter| letter.times() == status.times).or(letters.last())?;
    let differing = members(nearest).into_iter().filter(|(differs, _)| *differs).map(|(_, name)| name);
    Some(format!(
        "its dead letter and the changelog's status of it differ: {}",
        differing.collect::<Vec<_>>().join(", ")
    ))
}

/// Why a status is not what the commands have left. Outcomes of commands are never removed.
fn disobeys(status: &StatusSeen, deeds: Deeds) -> Option<&'static str> {
    // Each time that it came back has its letter. What never was a delivery cannot be found owed already.
    let redriven = deeds.redriven + if status.stamp.is_none() { deeds.unchanged } else { 0 };
    let is_touched = deeds.redriven > 0 || deeds.unchanged > 0 || deeds.folded || deeds.came_back;
    match status.state {
        LetterState::Redriven if deeds.redriven == 0 && deeds.unchanged == 0 && !deeds.folded => {
            Some("its dead letter is redriven, and the log has no command that did so")
        }
        LetterState::Discarded if !deeds.discarded => {
            Some("its dead letter is discarded, and the log has no command that did so")
        }
        LetterState::Open if status.times <= redriven => {
            Some("a command has redriven its dead letter, which stands as open and has not come back since")
        }
        LetterState::Open if deeds.discarded && !is_touched => {
            Some("a command has discarded its dead letter, which stands as open")
        }
        LetterState::Open | LetterState::Redriven | LetterState::Discarded | LetterState::Superseded => None,
    }
}
