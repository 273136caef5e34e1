//! One pass over a source partition: every record gets its outcome, by folding and by what the log says of it.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::close::NO_LETTER;
use super::eras::Eras;
use super::evidence::{Brief, order_key};
use super::facts::{Facts, StatusSeen};
use super::given::Lost;
use super::letters::{LetterSeen, LettersSeen};
use super::outcome::{Kind, Reason};
use super::rules::VerifyRules;
use super::step::{Candidate, Step, What};
use super::tally::{Finding, Findings, Report};
use super::worlds::{Track, World};
use crate::order::fold::FoldAs;
use crate::order::{DeadLetterReason, Identity, OrderEvent, OrderState};
use crate::record::Record;
use crate::sync::changelog::LetterState;
use crate::sync::rules::RECORD_BYTES_MAX;

/// A pass under way.
pub(super) struct Account<'a> {
    pub(super) rules: &'a VerifyRules<'a>,
    pub(super) eras: &'a Eras,
    pub(super) facts: &'a mut Facts,
    pub(super) letters: &'a LettersSeen,
    /// Commands that have no outcome, or that of another one.
    pub(super) lost: &'a [Lost],
    pub(super) partitions_of_topic: i32,
    /// The oldest offset of the source.
    pub(super) low: i64,
    /// The offsets that are asked about.
    pub(super) range: (i64, i64),
    /// Before it the group has read nothing.
    pub(super) begin: i64,
    /// The part of the orders that this pass looks at, and how many parts there are.
    pub(super) part: (u64, u64),
    /// Orders for which all settings count that may ever have been in force.
    pub(super) ever: &'a HashSet<u64, RandomState>,
    /// States that gone events have left.
    pub(super) bases: HashMap<u64, OrderState, RandomState>,
    /// Records that commands fold later on.
    pub(super) needed: &'a HashSet<i64, RandomState>,
    pub(super) originals: HashMap<i64, Record, RandomState>,
    /// Deliveries of commands of which nothing can be said, by order and stamp.
    pub(super) excused: HashSet<(u64, i64), RandomState>,
    pub(super) tracks: HashMap<u64, Track, RandomState>,
    pub(super) findings: Findings,
    pub(super) report: Report,
    /// How many commits, states of commits and commands are behind us.
    pub(super) passed: (usize, usize, usize),
    /// The offset behind the last record.
    pub(super) expected: i64,
}

impl<'a> Account<'a> {
    /// Takes the next record of the source.
    pub(super) fn take(&mut self, record: &Record) {
        let offset = record.offset.get();
        self.count_gap(offset);
        // A command may have folded what lies before the start, too.
        if self.needed.contains(&offset) {
            self.originals.insert(offset, record.clone());
        }
        if offset < self.begin {
            return self.count(offset, Kind::BeforeStart);
        }
        if self.facts.next().is_none_or(|next| offset >= next) {
            return self.count(offset, Kind::Pending);
        }
        self.pass(offset);
        if self.part.0 == 0 {
            self.compare(record);
        }
        self.judge(record);
    }

    /// Offsets between two records.
    pub(super) fn count_gap(&mut self, offset: i64) {
        if self.part.0 == 0 {
            let (from, until) = (self.expected.max(self.range.0), offset.min(self.range.1));
            self.report.no_record += u64::try_from(until - from).unwrap_or(0);
        }
        self.expected = offset + 1;
    }

    fn count(&mut self, offset: i64, kind: Kind) {
        if self.part.0 == 0 {
            self.count_of_order(offset, kind);
        }
    }

    fn count_of_order(&mut self, offset: i64, kind: Kind) {
        if (self.range.0..self.range.1).contains(&offset) {
            self.report.count(kind);
        }
    }

    /// Holds the record against its letters, and against what a position says of it.
    fn compare(&mut self, record: &Record) {
        let offset = record.offset.get();
        if self.facts.last_records.get(&offset).is_some_and(|last| last.is_contradicted_by(record)) {
            let words = "the changelog's position remembers another record at this offset";
            self.find(offset, Reason::RecordChanged, words.to_owned(), None);
        }
        if self.letters.of(offset).iter().any(|letter| !letter.is_of(record)) {
            let words = "the original in its dead letter is not the record in the source";
            self.find(offset, Reason::LetterDiffers, words.to_owned(), None);
        }
    }

    fn judge(&mut self, record: &Record) {
        let offset = record.offset.get();
        if record.content_bytes() > RECORD_BYTES_MAX {
            return self.set_aside(offset, DeadLetterReason::RecordTooLarge);
        }
        let Some(value) = record.value.as_deref() else { return self.count(offset, Kind::Tombstone) };
        if record.key.is_none() && self.partitions_of_topic > 1 {
            return self.set_aside(offset, DeadLetterReason::MissingKey);
        }
        match self.decode(value, self.eras.at(offset)) {
            Ok(event) => self.fold(offset, &event),
            Err(fault) => {
                self.set_aside(offset, fault.reason);
                if let Some(order_id) = fault.order_id.as_deref().filter(|_| self.part.0 == 0) {
                    self.hold_names(offset, fault.app_id.as_deref(), order_id);
                }
            }
        }
    }

    /// A record that no state is asked about: it must have its letter.
    fn set_aside(&mut self, offset: i64, reason: DeadLetterReason) {
        if self.part.0 != 0 {
            return;
        }
        let found = match self.letter(offset).map(|letter| letter.reason) {
            Some(Some(other)) if other == reason || self.letters_of(offset).is_empty() => None,
            // A field that is faulty besides.
            Some(_) => Some((Reason::LetterUnexplained, format!("its dead letter has another reason than {reason}"))),
            None => Some((Reason::LetterMissing, format!("it is to be the dead letter {reason}, and there is none"))),
        };
        let kind = Kind::DeadLetter(reason, self.status(offset));
        self.count_of_order(offset, kind);
        match found {
            Some((reason, words)) => self.put(offset, reason, words, None, Some(kind)),
            None => self.check_status(offset, kind, None),
        }
    }

    fn fold(&mut self, offset: i64, event: &OrderEvent<'_>) {
        let identity = Identity::new(event.app_id.clone(), event.order_id.as_ref());
        let key = order_key(&identity);
        if !self.wants(key) {
            return;
        }
        let (variants, letter) = (self.variants(&identity, self.eras.at(offset)), self.letter(offset));
        let owed = self.facts.owed.get(&(key, offset)).cloned().unwrap_or_default();
        self.track(&identity);
        let commanded = &self.facts.commanded;
        let step = Step {
            event,
            offset,
            way: FoldAs::Event,
            variants: &variants,
            removed: self.facts.removed(&identity.app_id),
            removed_then: 0,
            letter: letter.as_ref(),
            owed: &owed,
            is_commanded: &|stamp| commanded.contains(&(key, stamp)),
            is_whole: self.facts.is_whole_at(offset),
        };
        let candidates = self.tracks.get(&key).map(|track| step.candidates(&track.worlds)).unwrap_or_default();
        let judged: Vec<_> = candidates.iter().map(|candidate| step.judge(candidate)).collect();
        let accepted: Vec<World> = judged.iter().filter_map(|judged| judged.as_ref().ok()).cloned().collect();
        let chosen = judged.iter().position(Result::is_ok).unwrap_or(0);
        let Some(what) = candidates.get(chosen).map(|candidate| candidate.what) else { return };
        let kind = self.kind(key, offset, what, letter.as_ref());
        self.count_of_order(offset, kind);
        let is_wrong = accepted.is_empty();
        let next: Vec<World> = if is_wrong { both(&candidates) } else { accepted };
        if let Some(track) = self.tracks.get_mut(&key) {
            track.go_on(next);
            track.note(offset, kind);
        }
        self.use_up(key, offset, &candidates);
        if letter.is_some() && self.letters_of(offset).is_empty() {
            self.check_status(offset, kind, Some(&identity));
        } else if is_wrong && let Some(Err((reason, words))) = judged.into_iter().next() {
            self.put(offset, reason, words, Some(&identity), Some(kind));
        } else if letter.is_some() {
            self.check_status(offset, kind, Some(&identity));
        }
        self.hold_letters(&identity, offset, &candidates);
        self.hold_names(offset, Some(identity.app_id.as_str()), &identity.order_id);
        self.forget_unknown(key);
    }

    /// What the record came to, where folding and log agree on `what`.
    fn kind(&self, key: u64, offset: i64, what: What, letter: Option<&LetterSeen>) -> Kind {
        if let Some(reason) = letter.and_then(|letter| letter.reason) {
            return Kind::DeadLetter(reason, self.status(offset));
        }
        let settled = |settled: Kind, stamp: Option<i64>| {
            let of_delivery = self.letters_of(offset).iter().rev().find(|letter| letter.is_of_delivery);
            let is_it = |stamp| self.facts.alive.get(&(key, stamp)).is_some_and(|seen| seen.offset == offset);
            if stamp.is_some_and(is_it) {
                Kind::Owed
            } else if let Some(reason) = of_delivery.and_then(|letter| letter.reason) {
                Kind::DeadLetter(reason, self.status(offset))
            } else {
                settled
            }
        };
        match what {
            What::Advanced { stamp, .. } => settled(Kind::Delivered, Some(stamp)),
            What::Unchanged { stamp } => settled(Kind::Unchanged, Some(stamp)),
            What::Duplicate => Kind::Duplicate,
            What::Stale => Kind::Stale,
            What::Aside(reason) => Kind::DeadLetter(reason, self.status(offset)),
            What::Unknown => settled(Kind::Unproven, None),
        }
    }

    /// Marks the deliveries that this event explains, or may explain.
    fn use_up(&mut self, key: u64, offset: i64, candidates: &[Candidate]) {
        let Some(owed) = self.facts.owed.get_mut(&(key, offset)) else { return };
        for seen in owed {
            seen.used |= candidates.iter().any(|candidate| match candidate.what {
                What::Advanced { stamp, .. } | What::Unchanged { stamp } => stamp == seen.stamp,
                What::Unknown => true,
                What::Duplicate | What::Stale | What::Aside(_) => false,
            });
        }
    }

    fn check_status(&mut self, offset: i64, kind: Kind, identity: Option<&Identity>) {
        if self.letters_of(offset).is_empty() {
            self.put(offset, Reason::LetterMissing, NO_LETTER.to_owned(), identity, Some(kind));
        } else if !self.facts.statuses.contains_key(&offset) {
            let words = "the changelog has no status of its dead letter".to_owned();
            self.put(offset, Reason::StatusMissing, words, identity, Some(kind));
        }
    }

    /// The letter that set the record aside in its place; not one that a command has made of it later. Where the topic has lost
    /// it, its status tells as much as is needed.
    fn letter(&self, offset: i64) -> Option<LetterSeen> {
        let (all, by_commands) = (self.letters_of(offset), self.facts.failed.get(&offset).copied().unwrap_or(0));
        if all.is_empty() {
            let is_it = |status: &&StatusSeen| status.times as usize > by_commands && !status.may_be_older;
            let status = self.facts.statuses.get(&offset).filter(is_it);
            return LetterSeen::lost(offset, status?);
        }
        let mut asides = all.iter().filter(|letter| !letter.is_of_delivery);
        let first = asides.next().copied()?;
        (1 + asides.count() > by_commands).then_some(first)
    }

    fn letters_of(&self, offset: i64) -> &'a [LetterSeen] {
        self.letters.of(offset)
    }

    fn status(&self, offset: i64) -> LetterState {
        // What is forgotten was superseded.
        self.facts.statuses.get(&offset).map_or(LetterState::Superseded, |status| status.state)
    }

    /// Whether this pass looks at the order.
    pub(super) fn wants(&self, key: u64) -> bool {
        key % self.part.1 == self.part.0
    }

    /// Puts down what is wrong with an offset.
    pub(super) fn find(&mut self, offset: i64, reason: Reason, words: String, order: Option<&Identity>) {
        let counted =
            order.and_then(|order| self.tracks.get(&order_key(order))).and_then(|track| track.counted(offset));
        self.put(offset, reason, words, order, counted);
    }

    pub(super) fn put(
        &mut self,
        offset: i64,
        reason: Reason,
        message: String,
        order: Option<&Identity>,
        counted: Option<Kind>,
    ) {
        let message = self.with_suspicion(offset, reason, message);
        self.findings.put(offset, Finding { reason, message, order: order.cloned(), counted });
    }

    /// Passes everything that is committed or commanded at this offset or before it.
    pub(super) fn pass(&mut self, offset: i64) {
        loop {
            let commit = self.facts.commits.get(self.passed.0).map(|commit| commit.next);
            let command = self.facts.commands.get(self.passed.2).map(|done| done.next.get());
            let Some(next) = commit.into_iter().chain(command).min().filter(|next| *next <= offset) else { return };
            let mut waiting = self.written_at(next);
            self.hold_against(&mut waiting);
            while let Some(done) =
                self.facts.commands.get(self.passed.2).filter(|done| done.next.get() == next).cloned()
            {
                self.passed.2 += 1;
                self.obey(&done);
                self.hold_against(&mut waiting);
            }
            for (key, state) in waiting {
                self.complain_of_written(key, state.as_ref());
            }
        }
    }

    /// The states of the commits that end here.
    fn written_at(&mut self, next: i64) -> Vec<(u64, Option<Brief>)> {
        let mut found = Vec::new();
        while self.facts.commits.get(self.passed.0).is_some_and(|commit| commit.next <= next) {
            let at = self.passed.0;
            while let Some((_, key, state)) = self.facts.written.get(self.passed.1).filter(|(of, ..)| *of == at) {
                found.push((*key, state.clone()));
                self.passed.1 += 1;
            }
            self.passed.0 += 1;
        }
        found.retain(|(key, _)| self.wants(*key));
        found
    }

    /// Takes away what folding gives, too.
    fn hold_against(&self, waiting: &mut Vec<(u64, Option<Brief>)>) {
        waiting.retain(|(key, state)| {
            let Some(state) = state else { return true };
            let is_before = state.applied_offset < self.low.max(self.begin);
            match self.tracks.get(key) {
                Some(track) => !(track.may_be(state) || track.is_unknown()),
                None => !is_before,
            }
        });
    }
}

/// Where an event is not accounted for, what comes behind it is judged as with it and as without it.
fn both(candidates: &[Candidate]) -> Vec<World> {
    candidates.iter().flat_map(|candidate| [candidate.after.clone(), candidate.before.clone()]).collect()
}
