//! By which settings each stretch of a partition was folded, as far as its log says: in the records that workers write where
//! settings have changed, which every position names by their fingerprint.
//!
//! A record that is missing, or is not what was written, is told, and its stretch is guessed at as that of a log without
//! such records is.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::rules::{MakeMapping, Variant, VerifyRules};
use crate::order::again::last_request;
use crate::order::event::{EventRules, decode};
use crate::order::{AppId, Fault, Identity, MapOrder, OrderEvent, OrderState, TimeUnit};
use crate::record::NextOffset;
use crate::sync::changelog::SettingsFrom;
use crate::sync::command::CommandDone;
use crate::sync::fold_settings::{Fingerprint, FoldSettings};
use crate::sync::ports::Position;

const UNREADABLE: &str = "the record of the settings by which the log was folded from here on is not what was written";
const MISSING: &str = "the log lacks the record of the settings by which it was folded from here on";
const ELSEWHERE: &str = "the record of the settings begins elsewhere than with the commit that wrote it";

/// Settings that were in force.
pub(in crate::inspect) struct InForce {
    fingerprint: Fingerprint,
    /// The release that folded.
    pub(in crate::inspect) release: Box<str>,
    events: EventRules,
    units: BTreeMap<AppId, TimeUnit>,
    mapper: Box<dyn MapOrder>,
}

impl InForce {
    fn new(fingerprint: Fingerprint, settings: &FoldSettings, mapping: MakeMapping) -> Self {
        Self {
            fingerprint,
            release: settings.release.clone(),
            events: settings.event_rules(),
            units: settings.units(),
            mapper: mapping(settings),
        }
    }

    /// Decodes a value by this clock.
    pub(in crate::inspect) fn decode<'v>(&self, value: &'v [u8], now_ms: i64) -> Result<OrderEvent<'v>, Fault> {
        decode(value, &self.events, now_ms)
    }

    pub(in crate::inspect) fn variant(&self, app_id: &AppId) -> Variant<'_> {
        Variant { mapper: &*self.mapper, unit: self.units.get(app_id).copied().unwrap_or(TimeUnit::Seconds) }
    }
}

/// A stretch of commits under the same settings.
struct Era {
    /// The first of them.
    number: u64,
    /// The first source offset, and the first offset of the commands topic.
    next: i64,
    commands: i64,
    /// As positions name them.
    fingerprint: Option<Fingerprint>,
    /// `None`: the log does not say.
    settings: Option<Rc<InForce>>,
    fault: Option<&'static str>,
}

/// All of them, in the order of the log.
#[derive(Default)]
pub struct Eras {
    stretches: Vec<Era>,
    /// The settings, each once.
    known: Vec<Rc<InForce>>,
    /// The newest commit: its number, and where it and its commands end.
    last: Option<(u64, i64, i64)>,
    /// Where the commands topic stood when the newest record was written that follows none.
    begun: Option<i64>,
}

impl Eras {
    /// Takes the record of the commit with this number; `None`: it cannot be read.
    pub(in crate::inspect) fn take(&mut self, number: u64, record: Option<SettingsFrom>, mapping: MakeMapping) {
        let Some(SettingsFrom { next, commands, before, by }) = record else {
            return self.begin(number, None, Some(UNREADABLE));
        };
        if before.is_none() {
            self.begun = Some(commands.map_or(0, NextOffset::get));
        }
        let fault = self.follows(number, next.get(), before);
        let settings = match self.known.iter().find(|known| known.fingerprint == by.fingerprint) {
            Some(known) => Rc::clone(known),
            None => Rc::new(InForce::new(by.fingerprint, &by.settings, mapping)),
        };
        if !self.known.iter().any(|known| Rc::ptr_eq(known, &settings)) {
            self.known.push(Rc::clone(&settings));
        }
        self.put(Era {
            number,
            next: next.get(),
            commands: commands.map_or(0, NextOffset::get),
            fingerprint: Some(by.fingerprint),
            settings: Some(settings),
            fault,
        });
    }

    /// What is wrong with the place of a record, which says where it begins and what was before it.
    fn follows(&mut self, number: u64, next: i64, named: Option<Fingerprint>) -> Option<&'static str> {
        let before = self.stretches.iter().rev().find(|era| era.number < number);
        let is_told = before.is_some_and(|era| era.fingerprint.is_none() && era.fault.is_some());
        let (begins, found) = before.map_or((1, None), |era| (era.number + 1, era.fingerprint));
        let is_elsewhere = |(last, end, _): (u64, i64, i64)| last + 1 == number && end != next;
        if named.is_some() && found != named && !is_told {
            if begins == number {
                return Some(MISSING);
            }
            self.begin(begins, named, Some(MISSING));
        }
        self.last.is_some_and(is_elsewhere).then_some(ELSEWHERE)
    }

    /// Settings that are not known, from this commit on.
    fn begin(&mut self, number: u64, fingerprint: Option<Fingerprint>, fault: Option<&'static str>) {
        let before = self.stretches.iter().rev().find(|era| era.number < number);
        let (next, commands) = before.map_or((0, 0), |era| (era.next, era.commands));
        // Numbers go on where offsets begin again, as in a topic that was made anew.
        let (next, commands) = match self.last.filter(|(last, ..)| *last < number) {
            Some((_, end, commands)) if before.is_none_or(|era| era.next <= end) => (end, commands),
            Some(_) | None => (next, commands),
        };
        self.put(Era { number, next, commands, fingerprint, settings: None, fault });
    }

    /// The last word on a commit counts.
    fn put(&mut self, era: Era) {
        match self.stretches.binary_search_by_key(&era.number, |other| other.number) {
            Ok(at) => self.stretches[at] = era,
            Err(at) => self.stretches.insert(at, era),
        }
    }

    /// Holds what is known against the position of a commit, which stands behind its record.
    pub(super) fn pass(&mut self, position: &Position) {
        let number = position.commit_number;
        let era = self.stretches.iter_mut().rev().find(|era| era.number <= number);
        let named = position.settings;
        match era {
            Some(era) if era.fingerprint == named => {}
            // It is told already.
            Some(era) if era.fingerprint.is_none() && era.fault.is_some() => era.fingerprint = named,
            None if named.is_none() => {}
            Some(_) | None => self.begin(number, named, named.map(|_| MISSING)),
        }
        self.last = Some((number, position.next.get(), position.commands.map_or(0, NextOffset::get)));
    }

    /// The place in the commands topic from which on each command that the log has passed was executed; `None` where the log
    /// does not say it.
    pub(super) fn executed_from(&self, position: &Position) -> Option<i64> {
        position.settings.and(self.begun)
    }

    /// Whether the log says of every commit by which settings it folded.
    pub(super) fn is_whole(&self) -> bool {
        self.stretches.first().is_some_and(|era| era.number == 1)
            && self.stretches.iter().all(|era| era.settings.is_some())
    }

    /// The settings that the log records, the newest first.
    pub(super) fn known(&self) -> impl Iterator<Item = &InForce> {
        self.known.iter().rev().map(|known| &**known)
    }

    /// The apps that were ever configured, as far as the log says.
    pub(super) fn apps(&self) -> impl Iterator<Item = &AppId> {
        self.known.iter().flat_map(|known| &known.events.apps)
    }

    /// By which the record at this offset was folded; `None` where the log does not say.
    pub(in crate::inspect) fn at(&self, offset: i64) -> Option<&InForce> {
        let era = self.stretches.iter().rev().find(|era| era.next <= offset)?;
        era.settings.as_deref()
    }

    /// By which a command that changes an order was executed. Such commands take their turns: the position says which of
    /// those that acted at one place were before it.
    pub(in crate::inspect) fn of(&self, done: &CommandDone) -> Option<&InForce> {
        let (next, command) = (done.next.get(), done.command_offset.get());
        let is_before = |era: &&Era| era.next < next || (era.next == next && era.commands <= command);
        self.stretches.iter().rev().find(is_before)?.settings.as_deref()
    }

    /// Whether some settings that may have been in force make of a state the request that it says was sent.
    pub(super) fn explain(&self, state: &OrderState, identity: &Identity, rules: &VerifyRules<'_>) -> bool {
        let gives = |mapper: &dyn MapOrder| last_request(state, identity, mapper).is_some();
        self.known.iter().rev().any(|known| gives(&*known.mapper))
            || (!self.is_whole() && rules.mappers.iter().any(|mapper| gives(*mapper)))
    }

    /// What is wrong with the records, and from which offset on.
    pub(super) fn faults(&self) -> impl Iterator<Item = (i64, &'static str)> {
        self.stretches.iter().filter_map(|era| Some((era.next, era.fault?)))
    }
}
