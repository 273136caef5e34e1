//! What the changelog holds of one source partition, as far as a replay compares with it: no document and no request, some
//! 250 bytes for each order, 16 for each letter.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use foldhash::fast::RandomState;

use crate::inspect::unread::Unread;
use crate::order::{Digest, EventTime, Identity, OrderState, OrderType, Sequence, Status, UpdateTime};
use crate::sync::changelog::{ChangelogKey, LetterState, LetterStatus};
use crate::sync::command::{CommandDone, Outcome};
use crate::sync::position::Position;
use crate::sync::scan::{LogScan, ScanError, Seen, Span};

/// An order's state without its document.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldState {
    pub(super) order_type: OrderType,
    pub(super) status: Status,
    pub(super) applied_offset: i64,
    pub(super) occurred_at: EventTime,
    pub(super) sequence: Option<Sequence>,
    pub(super) digest: Digest,
    pub(super) stamp: UpdateTime,
    /// The record whose letter says that the last stamp was not delivered.
    pub(super) dead_letter: Option<i64>,
    /// Where the state lies in the changelog.
    pub(super) lies_at: i64,
}

/// What is told of a dead letter.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldLetter {
    pub(super) state: LetterState,
    /// Whether its event was folded, and only its delivery failed.
    pub(super) was_folded: bool,
}

/// An event that a command has folded, behind everything before `next`.
#[derive(Clone, Debug)]
pub(super) struct TakenUp {
    pub(super) offset: i64,
    pub(super) next: i64,
    pub(super) identity: Option<Identity>,
    /// A letter's event was never folded before; one that was folded on an operator's word may have been.
    pub(super) is_redrive: bool,
}

/// What the changelog holds of one source partition.
#[derive(Debug, Default)]
pub struct Held {
    /// Where the partition stands; `None` where nothing of it was ever committed.
    pub position: Option<Position>,
    pub(super) states: HashMap<Identity, HeldState, RandomState>,
    pub(super) letters: HashMap<i64, HeldLetter, RandomState>,
    /// By the place at which they acted.
    pub(super) taken_up: BTreeMap<(i64, i64), TakenUp>,
    /// What could not be read.
    pub unread: Unread,
    owed: HashSet<(Identity, UpdateTime), RandomState>,
    owing: HashMap<Identity, u32, RandomState>,
}

/// Reads one partition of the changelog for what it holds of `topic`. The changelog's committed end is the end of a cut: what
/// is read is of one position. `progress` is told of each further offset that was read, some at a time.
pub fn read_held(
    scan: &mut dyn LogScan,
    changelog: &str,
    within: Span,
    topic: &str,
    progress: &mut dyn FnMut(u64),
) -> Result<Held, ScanError> {
    let (mut held, mut told) = (Held::default(), within.from.get());
    scan.read(changelog, &[within], &mut |seen| {
        let offset = seen.offset().get();
        if offset - told >= 4096 {
            progress(u64::try_from(offset - told).unwrap_or_default());
            told = offset;
        }
        if held.take(seen, topic).is_none() {
            held.unread.put(seen);
        }
        ControlFlow::Continue(())
    })?;
    progress(u64::try_from(within.until.get() - told).unwrap_or_default());
    for (identity, _) in held.owed.drain() {
        *held.owing.entry(identity).or_default() += 1;
    }
    Ok(held)
}

impl Held {
    /// Of no partition: what retention has removed anywhere.
    pub(super) fn nothing(position: Position) -> Self {
        Self { position: Some(position), ..Self::default() }
    }

    /// How many deliveries of the order are not settled.
    pub(super) fn owed(&self, identity: &Identity) -> u32 {
        self.owing.get(identity).copied().unwrap_or_default()
    }

    /// Whether a state says that its topic was made anew under it: earlier events lie in none.
    pub(super) fn is_made_anew(&self) -> bool {
        self.states.values().any(|state| state.applied_offset < 0)
    }

    /// Takes a record; `None` where it cannot be read.
    fn take(&mut self, seen: &dyn Seen, topic: &str) -> Option<()> {
        let key = ChangelogKey::decode(seen.key().unwrap_or_default(), topic).ok()?;
        match key {
            None | Some(ChangelogKey::Settings(_)) => {}
            Some(ChangelogKey::Position) => {
                let position = seen.value().map(Position::decode).transpose().ok()?;
                self.position = position.or(self.position.take());
            }
            Some(ChangelogKey::State(identity)) => {
                let state = seen.value().map(OrderState::decode).transpose();
                match state.as_ref().map(Option::as_ref) {
                    Ok(Some(state)) => drop(self.states.insert(identity, brief(state, seen.offset().get()))),
                    Ok(None) | Err(_) => drop(self.states.remove(&identity)),
                }
                state.ok()?;
            }
            Some(ChangelogKey::Owed(key)) => {
                let key = (key.identity, key.stamp);
                match seen.value() {
                    Some(_) => drop(self.owed.insert(key)),
                    None => drop(self.owed.remove(&key)),
                }
            }
            Some(ChangelogKey::Letter(offset)) => {
                let Some(value) = seen.value() else {
                    self.letters.remove(&offset.get());
                    return Some(());
                };
                let status = LetterStatus::decode(value);
                let letter = match &status {
                    Ok(status) => HeldLetter { state: status.state, was_folded: status.stamp.is_some() },
                    Err(_) => HeldLetter { state: LetterState::Open, was_folded: has_stamp(value) },
                };
                self.letters.insert(offset.get(), letter);
                status.ok()?;
            }
            Some(ChangelogKey::Command(_)) => {
                let done = seen.value().map(CommandDone::decode).transpose().ok()?;
                if let Some(taken_up) = done.and_then(|done| taken_up(&done)) {
                    self.taken_up.insert(taken_up.0, taken_up.1);
                }
            }
        }
        Some(())
    }
}

/// Whether a status that cannot be read has a stamp all the same: only what was folded has one.
fn has_stamp(status: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(status).is_ok_and(|status| status.get("stamp").is_some())
}

fn brief(state: &OrderState, lies_at: i64) -> HeldState {
    HeldState {
        order_type: state.order_type,
        status: state.status,
        applied_offset: state.applied_offset,
        occurred_at: state.occurred_at,
        sequence: state.sequence,
        digest: state.digest,
        stamp: state.update_time,
        dead_letter: state.dead_letter.map(|mark| mark.offset),
        lies_at,
    }
}

/// What of a command's outcome has changed an order's content. `unchanged` may say as well that a delivery was owed already: to
/// fold such an event once more changes nothing.
fn taken_up(done: &CommandDone) -> Option<((i64, i64), TakenUp)> {
    let has_folded = match done.outcome {
        Outcome::Folded | Outcome::Unchanged => true,
        Outcome::Sent
        | Outcome::Duplicate
        | Outcome::Stale
        | Outcome::Superseded
        | Outcome::DeadLetter
        | Outcome::Done
        | Outcome::Refused => false,
    };
    let offset = done.offset.filter(|_| has_folded)?.get();
    let identity = done.app_id.clone().zip(done.order_id.as_deref());
    let taken_up = TakenUp {
        offset,
        next: done.next.get(),
        identity: identity.map(|(app, order)| Identity::new(app, order)),
        is_redrive: &*done.command == "redrive" && done.outcome == Outcome::Folded,
    };
    Some(((done.next.get(), done.command_offset.get()), taken_up))
}
