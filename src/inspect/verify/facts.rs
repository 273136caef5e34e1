//! What a partition of the changelog says of one source partition, each thing in short: the last word on every order,
//! delivery and letter, what commands came to, and of the commits that no compaction has touched every record.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;

use foldhash::fast::RandomState;

use super::commits::{Acted, Commit, Doubts, Group};
use super::debts::{Debt, Place};
use super::eras::Eras;
use super::evidence::{Brief, OwedSeen, names_key, order_key, short};
use super::given::Outcomes;
use super::rules::VerifyRules;
use super::unread::Unread;
use crate::order::state::DeadLetterMark;
use crate::order::{AppId, DeadLetterReason, Identity, OrderState, UpdateTime};
use crate::record::TopicPartition;
use crate::sync::changelog::{ChangelogKey, LetterState, LetterStatus, SettingsFrom};
use crate::sync::command::CommandDone;
use crate::sync::last_record::LastRecord;
use crate::sync::ports::{PortError, Position};
use crate::sync::position::PositionError;
use crate::sync::scan::{LogScan, ScanError, Seen, Span};
use crate::sync::{Owed, OwedKey};

/// The last word on an order.
#[derive(Clone, Debug)]
pub(super) struct LastState {
    pub(super) identity: Identity,
    /// `None`: it cannot be read.
    pub(super) state: Option<Brief>,
    /// Whether its document gives its request, where that was asked.
    pub(super) is_sound: bool,
    /// The dead letter as which its last delivery stands.
    pub(super) mark: Option<DeadLetterMark>,
}

/// The last word on a dead letter.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatusSeen {
    pub(super) state: LetterState,
    pub(super) reason: DeadLetterReason,
    pub(super) times: u32,
    pub(super) stamp: Option<i64>,
    /// App and order in short, each as far as it is known.
    pub(super) order: u64,
    /// Whether it may be of a letter of the source topic before this one.
    pub(super) may_be_older: bool,
}

impl StatusSeen {
    fn of(status: &LetterStatus) -> Self {
        let LetterStatus { state, reason, times, stamp, .. } = *status;
        let order = names_key(status.app_id.as_ref().map(AppId::as_str), status.order_id.as_deref());
        Self { state, reason, times, stamp: stamp.map(|stamp| stamp.0), order, may_be_older: false }
    }
}

/// Everything that the changelog says.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) position: Option<Position>,
    pub(super) states: HashMap<u64, LastState, RandomState>,
    /// Orders that have had a state and have none any more.
    pub(super) left: HashSet<u64, RandomState>,
    /// By order and offset of the event: deliveries that are owed now, and those of whole commits.
    pub(super) owed: HashMap<(u64, i64), Vec<OwedSeen>, RandomState>,
    /// What is owed now.
    pub(super) alive: HashMap<(u64, i64), OwedSeen, RandomState>,
    pub(super) statuses: BTreeMap<i64, StatusSeen>,
    /// Letters whose status was removed last, as far as that still stands there.
    pub(super) forgotten: HashSet<i64, RandomState>,
    /// The newest time of a record.
    pub(super) newest_ms: Option<i64>,
    pub(super) commands: Vec<CommandDone>,
    /// Which commands have an outcome.
    pub(super) outcomes: Outcomes,
    /// How often a command has made a letter of the record at an offset.
    pub(super) failed: HashMap<i64, usize, RandomState>,
    /// By the places of commands that owe one: what the commits say of it that hold everything which they ever held.
    pub(super) debts: HashMap<(u64, i64), Debt, RandomState>,
    /// Stamps that commands have made.
    pub(super) commanded: HashSet<(u64, i64), RandomState>,
    pub(super) commits: Vec<Commit>,
    /// States of whole commits: the place of the commit, the order, the state.
    pub(super) written: Vec<(usize, u64, Option<Brief>)>,
    pub(super) last_records: HashMap<i64, LastRecord, RandomState>,
    pub(super) apps: BTreeSet<AppId>,
    /// By which settings the log was folded.
    pub(super) eras: Eras,
    /// When states were written on for a source topic that was made anew, by the clock of who did it.
    pub(super) reborn_ms: Option<i64>,
    /// What cannot be read of all this; bounded.
    pub(super) unread: Vec<Unread>,
    /// Bytes of all documents that were read, and how many.
    pub(super) document_bytes: u64,
    pub(super) states_read: u64,
    /// What the log says of itself that cannot be.
    pub(super) doubts: Doubts,
    /// No offset before this one lacks its record.
    pub(super) gapless: i64,
    /// Where the commands lay.
    pub(super) executed: HashSet<i64, RandomState>,
    /// Several lay at one place, as their topic was made anew: only the clock then says which came first.
    pub(super) is_anew: bool,
    pub(super) group: Group,
}

impl Facts {
    /// Reads them. `progress` is told how many records were read.
    pub(super) fn read(
        reader: &mut dyn LogScan,
        changelog: &str,
        span: Span,
        source: &TopicPartition,
        low: i64,
        rules: &VerifyRules<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, ScanError> {
        let (mut facts, mut failed, mut read) = (Self::default(), None, 0_u64);
        reader.read(changelog, &[span], &mut |seen| {
            read += 1;
            if read.is_multiple_of(4096) {
                progress(read);
            }
            match facts.take(seen, &source.topic, low, rules) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        progress(read);
        if let Some(error) = failed {
            return Err(error.into());
        }
        facts.seal();
        Ok(facts)
    }

    fn take(&mut self, seen: &dyn Seen, topic: &str, low: i64, rules: &VerifyRules<'_>) -> Result<(), PortError> {
        let offset = seen.offset().get();
        self.gapless += i64::from(offset == self.gapless);
        self.newest_ms = self.newest_ms.max(seen.timestamp_ms());
        let Ok(key) = ChangelogKey::decode(seen.key().unwrap_or_default(), topic) else {
            self.cannot_read("the key of a record", None, seen);
            return Ok(());
        };
        match &key {
            None => self.doubts.is_shared = true,
            Some(ChangelogKey::Position) => {}
            Some(_) => self.group.newest_ms = Some(seen.timestamp_ms().unwrap_or(i64::MAX)),
        }
        match (key, seen.value()) {
            (None, _) | (Some(ChangelogKey::Position | ChangelogKey::Command(_) | ChangelogKey::Settings(_)), None) => {
            }
            (Some(ChangelogKey::Settings(number)), Some(value)) => {
                self.eras.take(number, SettingsFrom::decode(value).ok(), rules.mapping);
            }
            (Some(ChangelogKey::State(identity)), value) => {
                self.state(identity, value, low, rules, seen.timestamp_ms());
            }
            (Some(ChangelogKey::Owed(key)), value) => self.debt(&key, value),
            (Some(ChangelogKey::Letter(offset)), None) => {
                self.statuses.remove(&offset.get());
                self.forgotten.insert(offset.get());
            }
            (Some(ChangelogKey::Letter(offset)), Some(value)) => {
                self.statuses.remove(&offset.get());
                self.forgotten.remove(&offset.get());
                match LetterStatus::decode(value) {
                    Ok(status) => {
                        let may_be_older = self.is_of_the_topic_before(&status);
                        self.statuses.insert(offset.get(), StatusSeen { may_be_older, ..StatusSeen::of(&status) });
                    }
                    Err(_) => self.cannot_read("the status of its dead letter", Some(offset.get()), seen),
                }
            }
            (Some(ChangelogKey::Command(id)), Some(value)) => {
                let done = CommandDone::decode(value).ok();
                let is_new = self.outcomes.put(&id, done.as_ref());
                let Some(done) = done else {
                    self.cannot_read("the outcome of a command", None, seen);
                    return Ok(());
                };
                self.group.acted.extend(Acted::of(&done));
                // One that is told again stands there again.
                if is_new {
                    self.is_anew |= !self.executed.insert(done.command_offset.get());
                    self.group.commands.extend(Place::of(&done));
                    self.commands.push(done);
                }
            }
            (Some(ChangelogKey::Position), Some(value)) => match Position::decode(value) {
                Ok(position) => self.position(position, offset),
                Err(error @ PositionError::Format(_)) => {
                    let words = format!("{error}: it was written by another release; use that one's tools");
                    return Err(PortError::Fatal(words));
                }
                Err(_) => self.cannot_read("a position", None, seen),
            },
        }
        Ok(())
    }

    /// Of a record that failed first in the source topic before this one: a command may be about its letter still, and where it
    /// has none of this topic, what lies at its offset now has nothing to do with it.
    fn is_of_the_topic_before(&self, status: &LetterStatus) -> bool {
        self.reborn_ms.is_some_and(|reborn_ms| status.first_failed_ms.unwrap_or(status.at_ms) < reborn_ms)
    }

    fn state(
        &mut self,
        identity: Identity,
        value: Option<&[u8]>,
        low: i64,
        rules: &VerifyRules<'_>,
        at_ms: Option<i64>,
    ) {
        let key = order_key(&identity);
        let Some(value) = value else {
            self.states.remove(&key);
            self.left.insert(key);
            return;
        };
        self.apps.insert(identity.app_id.clone());
        let state = OrderState::decode(value).ok();
        let brief = state.as_ref().map(Brief::of);
        if brief.as_ref().is_some_and(|state| state.applied_offset < 0) {
            self.group.reborn_ms = Some(at_ms.unwrap_or(i64::MIN));
        }
        self.states_read += 1;
        self.document_bytes += state.as_ref().map_or(0, |state| state.document.len() as u64);
        let gives_its_request = |state: &OrderState| self.eras.explain(state, &identity, rules);
        // Only where events may be gone is it all that can be said of a state.
        let is_asked = low > 0 || self.group.reborn_ms.or(self.reborn_ms).is_some();
        let is_sound = !is_asked || state.as_ref().is_some_and(gives_its_request);
        self.group.states.push((key, brief.clone()));
        let mark = state.as_ref().and_then(|state| state.dead_letter);
        self.states.insert(key, LastState { identity, state: brief, is_sound, mark });
    }

    fn debt(&mut self, key: &OwedKey, value: Option<&[u8]>) {
        let (order, UpdateTime(stamp)) = (order_key(&key.identity), key.stamp);
        let Some(value) = value else {
            self.alive.remove(&(order, stamp));
            return;
        };
        // What cannot be read matches nothing.
        let (offset, request) =
            Owed::decode(value).map_or((OwedSeen::UNREADABLE, 0), |owed| (owed.offset, short(&owed.request)));
        let seen = OwedSeen { stamp, offset, request, used: false };
        self.alive.insert((order, stamp), seen);
        self.group.owed.push((order, seen));
    }

    /// Before a new pass.
    pub(super) fn forget_use(&mut self) {
        self.owed.values_mut().flatten().for_each(|seen| seen.used = false);
    }

    /// The first offset that has no outcome; `None` where nothing was ever committed.
    pub(super) fn next(&self) -> Option<i64> {
        self.position.as_ref().map(|position| position.next.get())
    }

    /// Whether the changelog has ever had a state of the order.
    pub(super) fn knows(&self, order: u64) -> bool {
        self.states.contains_key(&order) || self.left.contains(&order)
    }

    /// Whether every record of the commit that this offset belongs to is still there.
    pub(super) fn is_whole_at(&self, offset: i64) -> bool {
        let at = self.commits.partition_point(|commit| commit.next <= offset);
        self.commits.get(at).is_some_and(|commit| commit.whole)
    }

    /// Whether every record of every commit is still there.
    pub(super) fn is_untouched(&self) -> bool {
        self.commits.iter().all(|commit| commit.whole)
    }

    /// The greatest stamp of the app that retention has removed; 0 where none.
    pub(super) fn removed(&self, app_id: &AppId) -> i64 {
        let removed = self.position.as_ref().and_then(|position| position.removed_stamps.get(app_id));
        removed.map_or(0, |stamp| stamp.0)
    }
}
