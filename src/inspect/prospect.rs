//! What a redrive, or a fold on an operator's word, will come to by what the changelog says now. The worker decides anew when
//! it executes the command: an event that comes meanwhile may change it, and never to an older state over a newer one.

use std::collections::BTreeMap;

use super::letters::Listed;
use super::standing::Standing;
use super::statuses::Word;
use crate::order::event::{EventRules, decode};
use crate::order::fold::{FoldAs, FoldRules, fold_as};
use crate::order::{AppId, Identity, MapOrder, TimeUnit, Transition, UpdateTime};
use crate::record::{Record, RecordOffset, TopicPartition};
use crate::sync::changelog::LetterState;

/// What will be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Will {
    /// The letter's delivery is owed again.
    Send,
    /// The event is folded, and its delivery owed.
    FoldAgain,
    /// Nothing: a later state of the order holds what it says.
    Superseded,
    /// Nothing: the order is past the event.
    Stale,
    /// Nothing: the event is applied, or its delivery is owed already.
    Unchanged,
    /// Nothing: a command about it waits already, and no worker has executed it yet.
    Waiting,
    /// Nothing: it would be refused.
    Refused,
}

impl Will {
    /// The word for people and scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::FoldAgain => "fold again",
            Self::Superseded => "superseded",
            Self::Stale => "stale",
            Self::Unchanged => "unchanged",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
        }
    }

    /// Whether what was asked for cannot come about: what a worker would end with as refused or stale.
    pub fn fails(self) -> bool {
        match self {
            Self::Stale | Self::Refused => true,
            Self::Send | Self::FoldAgain | Self::Superseded | Self::Unchanged | Self::Waiting => false,
        }
    }

    /// Whether a command is given for it.
    pub fn acts(self) -> bool {
        match self {
            Self::Send | Self::FoldAgain => true,
            Self::Superseded | Self::Stale | Self::Unchanged | Self::Waiting | Self::Refused => false,
        }
    }
}

/// What will be done, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prospect {
    /// What.
    pub will: Will,
    /// In words.
    pub words: String,
}

impl Prospect {
    fn new(will: Will, words: impl Into<String>) -> Self {
        Self { will, words: words.into() }
    }
}

/// The record that a fold needs, as far as it was looked for.
#[derive(Clone, Copy, Debug)]
pub enum Original<'r> {
    /// It is there.
    Here(&'r Record),
    /// A worker will not find it either.
    Gone,
    /// It could not be looked at; a worker may.
    Unseen,
}

/// Judges commands in the order in which they will be executed: what one changes, the next one finds changed.
pub struct Foresight<'m> {
    /// What the changelog says.
    pub standing: Standing,
    /// As the worker decodes.
    pub events: EventRules,
    /// The units of the apps' stamps.
    pub units: BTreeMap<AppId, TimeUnit>,
    /// As the worker maps.
    pub mapper: &'m dyn MapOrder,
    /// The wall clock, milliseconds since the epoch.
    pub now_ms: i64,
}

/// The order of a record's event, where it can be read that far.
pub fn identity_of(record: &Record, events: &EventRules, now_ms: i64) -> Option<Identity> {
    let event = decode(record.value.as_deref()?, events, now_ms).ok()?;
    Some(Identity::new(event.app_id.clone(), event.order_id.as_ref()))
}

/// What a redrive comes to by the letter's status alone; `None` where it is open, or discarded: a worker takes up both.
fn unless_open(word: &Word) -> Option<Prospect> {
    let (will, words) = match word {
        Word::Status(told) => match told.state {
            LetterState::Open | LetterState::Discarded => return None,
            LetterState::Redriven => (Will::Refused, "it is redriven already; nothing of it is open"),
            LetterState::Superseded => {
                (Will::Superseded, "a later state of the order was accepted, and holds what it says")
            }
        },
        Word::Forgotten => (Will::Refused, "it is closed, and so old that nothing is known of it"),
        Word::CameBack => (Will::Refused, "its record has come to a later letter"),
        Word::Unreadable => (Will::Refused, "its status in the changelog cannot be read"),
        Word::Unknown => (Will::Refused, "no worker with transactions has committed it: it has no status"),
    };
    Some(Prospect::new(will, words))
}

impl Foresight<'_> {
    /// What a redrive of a letter comes to. `record` is the original, for an event that never was folded.
    pub fn redrive(&mut self, listed: &Listed, record: Option<&Record>) -> Prospect {
        if let Some(prospect) = unless_open(&listed.word) {
            return prospect;
        }
        let row = &listed.row;
        let Some(stamp) = row.update_time else {
            let original = record.map_or(Original::Unseen, Original::Here);
            let prospect = self.fold(&row.id.source, row.id.offset, original, FoldAs::Redrive);
            // What an operator has closed is not to be closed, nor folded, once more.
            if prospect.will == Will::Stale && listed.state() == LetterState::Discarded {
                return Prospect::new(Will::Stale, "the order is past this event, and its letter is discarded already");
            }
            return prospect;
        };
        let (Some(app), Some(order)) = (&row.app_id, &row.order_id) else {
            return Prospect::new(Will::Refused, "the letter names no order");
        };
        let key = (row.id.source.clone(), Identity::new(AppId::new(&**app), &**order));
        let Some(state) = self.standing.states.get_mut(&key) else {
            return Prospect::new(Will::Refused, "the order is not known in this partition any more");
        };
        if state.update_time != UpdateTime(stamp) {
            let words = format!("the order's last state has the stamp {} and holds what it says", state.update_time);
            return Prospect::new(Will::Superseded, words);
        }
        if state.dead_letter.take().is_none() {
            return Prospect::new(Will::Unchanged, "its delivery is owed or accepted already");
        }
        if let Some(words) = self.no_such_app(app) {
            return Prospect::new(Will::Refused, words);
        }
        Prospect::new(Will::Send, format!("the same request again, under its own stamp {stamp}"))
    }

    /// Why nothing is sent of this app; not where the settings name none, and a worker's may.
    fn no_such_app(&self, app: &str) -> Option<String> {
        let known: Vec<&str> = self.events.apps.iter().map(AppId::as_str).collect();
        let is_missing = !known.is_empty() && !known.contains(&app);
        is_missing.then(|| format!("there is no app {app:?} in the settings; there are {}", known.join(", ")))
    }

    /// What a fold of a record comes to.
    pub fn fold(
        &mut self,
        source: &TopicPartition,
        offset: RecordOffset,
        original: Original<'_>,
        way: FoldAs,
    ) -> Prospect {
        let position = self.standing.positions.get(source);
        if position.is_none_or(|position| position.next.get() <= offset.get()) {
            return Prospect::new(
                Will::Refused,
                "it lies at or beyond the partition's position: it is folded in its turn",
            );
        }
        let removed = position.map(|position| position.removed_stamps.clone()).unwrap_or_default();
        let record = match original {
            Original::Here(record) => record,
            Original::Gone => {
                return Prospect::new(Will::Refused, "neither the source nor a letter has the record any more");
            }
            Original::Unseen => {
                return Prospect::new(Will::FoldAgain, "the record could not be looked at from here");
            }
        };
        let Some(value) = record.value.as_deref() else {
            return Prospect::new(Will::Refused, "the record has no value; there is nothing to fold");
        };
        let again = |fault: &crate::order::Fault| {
            let words = format!("and by these settings set aside again: {}: {}", fault.reason, fault.message);
            Prospect::new(Will::FoldAgain, words)
        };
        let event = match decode(value, &self.events, self.now_ms) {
            Ok(event) => event,
            Err(fault) => return again(&fault),
        };
        let identity = Identity::new(event.app_id.clone(), event.order_id.as_ref());
        let unit = self.units.get(&identity.app_id).copied().unwrap_or(TimeUnit::Seconds);
        let removed_stamp = removed.get(&identity.app_id).copied().unwrap_or(UpdateTime::ZERO);
        let key = (source.clone(), identity);
        let state = self.standing.states.get(&key);
        // Without its document the state tells whether the event is stale, and no more.
        let is_brief = state.is_some_and(|state| state.document.is_empty());
        let rules = FoldRules { unit, removed_stamp };
        match fold_as(way, state, &event, offset.get(), rules, self.mapper) {
            Ok(Transition::Duplicate) => {
                Prospect::new(Will::Unchanged, "an event with its event_id is applied already")
            }
            Ok(Transition::Stale) => Prospect::new(
                Will::Stale,
                "the order is past this event: fold it on your word (`orders fold`), or discard it",
            ),
            Ok(Transition::Advanced(advanced) | Transition::Unchanged(advanced)) => {
                let words = format!("the order becomes {}", advanced.state.status.as_str());
                self.standing.states.insert(key, advanced.state);
                Prospect::new(Will::FoldAgain, words)
            }
            Err(_) if is_brief => Prospect::new(Will::FoldAgain, "the order's document was too much to be looked at"),
            Err(fault) => again(&fault),
        }
    }
}

#[cfg(test)]
#[path = "prospect_tests.rs"]
mod tests;
