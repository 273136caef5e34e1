//! What is folded but not yet committed, per partition: two layers over the store, and the cut between them.
//!
//! Pure. It decides nothing about when to commit; it only keeps a cut whole: state, debt, letter and position of a
//! record are in the same layer, always.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::acceptance::Acceptance;
use super::changelog::LetterStatus;
use super::command::CommandDone;
use super::dead_letter::DeadLetter;
use super::debts::{Debts, Settled};
use super::last_record::LastRecord;
use super::owed::{Owed, OwedKey};
use super::statuses::{OpenLetters, STATUS_BYTES, Statuses};
use crate::order::{AppId, Identity, OrderState, UpdateTime};
use crate::record::{NextOffset, RecordOffset};

/// Rough cost of a state beside its document: struct, ids, map entry.
const STATE_OVERHEAD: usize = 400;
/// Rough cost of a debt beside its request.
const OWED_OVERHEAD: usize = 150;
/// Rough cost of an order that leaves.
const REMOVED_OVERHEAD: usize = 150;

/// The changes between two cuts.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    states: HashMap<Identity, Arc<OrderState>, RandomState>,
    owed: Debts,
    settled: Vec<Settled>,
    letters: Vec<DeadLetter>,
    statuses: Statuses,
    removed: BTreeMap<Identity, UpdateTime>,
    commands: BTreeMap<Box<str>, CommandDone>,
    told: BTreeMap<Box<str>, CommandDone>,
    next: Option<NextOffset>,
    last: Option<LastRecord>,
    bytes: usize,
}

impl Layer {
    /// Whether a commit of this layer would change nothing.
    pub fn is_empty(&self) -> bool {
        self.next.is_none()
            && self.states.is_empty()
            && self.owed.is_empty()
            && self.settled.is_empty()
            && self.letters.is_empty()
            && self.statuses.is_empty()
            && self.removed.is_empty()
            && self.commands.is_empty()
            && self.told.is_empty()
    }

    /// The changed states, each order once.
    pub fn states(&self) -> impl Iterator<Item = (&Identity, &Arc<OrderState>)> {
        self.states.iter()
    }

    /// The new debts, in fold order.
    pub fn owed(&self) -> &[(OwedKey, Owed)] {
        self.owed.all()
    }

    /// How many of them are of this app.
    pub fn owed_of(&self, app_id: &AppId) -> usize {
        self.owed.of(app_id)
    }

    /// The settled debts.
    pub fn settled(&self) -> &[Settled] {
        &self.settled
    }

    /// The dead letters.
    pub fn letters(&self) -> &[DeadLetter] {
        &self.letters
    }

    /// The changed statuses of dead letters, those of the new ones among them.
    pub fn statuses(&self) -> &Statuses {
        &self.statuses
    }

    /// The orders that leave with this layer, with the stamps that no first event may come up to any more.
    pub fn removed(&self) -> &BTreeMap<Identity, UpdateTime> {
        &self.removed
    }

    /// The commands that were executed, with what they came to.
    pub fn commands(&self) -> &BTreeMap<Box<str>, CommandDone> {
        &self.commands
    }

    /// Outcomes of commands that are told once more; they are committed already, or with this layer.
    pub fn told(&self) -> &BTreeMap<Box<str>, CommandDone> {
        &self.told
    }

    /// Where the partition stands after this layer, where it moved.
    pub fn next(&self) -> Option<NextOffset> {
        self.next
    }

    /// The last record before that place, where it was noted.
    pub fn last(&self) -> Option<LastRecord> {
        self.last
    }

    /// Rough memory of the layer.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn put_state(&mut self, identity: Identity, state: Arc<OrderState>) {
        self.bytes += state.document.len() + STATE_OVERHEAD;
        if let Some(old) = self.states.insert(identity, state) {
            self.bytes -= old.document.len() + STATE_OVERHEAD;
        }
    }

    fn put_command(&mut self, id: Box<str>, done: CommandDone) {
        self.bytes += id.len() + done.bytes();
        if let Some(old) = self.commands.get(&id) {
            self.bytes -= id.len() + old.bytes();
        }
        self.commands.insert(id, done);
    }

    fn tell_command(&mut self, id: Box<str>, done: CommandDone) {
        if !self.commands.contains_key(&id) && !self.told.contains_key(&id) {
            self.bytes += id.len() + done.bytes();
            self.told.insert(id, done);
        }
    }

    /// Lays `newer` over `self`.
    fn absorb(&mut self, newer: Self) {
        self.bytes += newer.statuses.len() * STATUS_BYTES;
        for (identity, state) in newer.states {
            self.put_state(identity, state);
        }
        self.bytes += newer.owed.all().iter().map(|(_, o)| o.request.len() + OWED_OVERHEAD).sum::<usize>();
        self.owed.extend(newer.owed);
        self.bytes += newer.settled.iter().map(Settled::bytes).sum::<usize>();
        self.settled.extend(newer.settled);
        self.bytes += newer.letters.iter().map(letter_bytes).sum::<usize>();
        self.letters.extend(newer.letters);
        self.statuses.absorb(newer.statuses);
        self.bytes += newer.removed.len() * REMOVED_OVERHEAD;
        self.removed.extend(newer.removed);
        for (id, done) in newer.commands {
            self.put_command(id, done);
        }
        for (id, done) in newer.told {
            self.tell_command(id, done);
        }
        self.next = newer.next.or(self.next);
        self.last = newer.last.or(self.last);
    }
}

fn letter_bytes(letter: &DeadLetter) -> usize {
    letter.record.as_ref().map_or(0, crate::record::Record::content_bytes) + 1024
}

/// The two layers of one partition: what is folded, and what is being committed.
#[derive(Debug, Default)]
pub struct Overlay {
    pending: Layer,
    committing: Option<Arc<Layer>>,
}

impl Overlay {
    /// The order's state, where a layer holds it; else the store's is the truth.
    pub fn state(&self, identity: &Identity) -> Option<&Arc<OrderState>> {
        self.pending
            .states
            .get(identity)
            .or_else(|| self.committing.as_ref().and_then(|layer| layer.states.get(identity)))
    }

    /// Replaces the order's state.
    pub fn put_state(&mut self, identity: Identity, state: Arc<OrderState>) {
        self.pending.put_state(identity, state);
    }

    /// Adds a debt.
    pub fn owe(&mut self, key: OwedKey, owed: Owed) {
        self.pending.bytes += owed.request.len() + OWED_OVERHEAD;
        self.pending.owed.push(key, owed);
    }

    /// Settles a debt that was committed: it was accepted, or becomes a dead letter.
    pub fn settle(&mut self, key: OwedKey, acceptance: Option<Acceptance>) {
        let settled = Settled { key, acceptance };
        self.pending.bytes += settled.bytes();
        self.pending.settled.push(settled);
    }

    /// The debts that were settled since the last cut.
    pub fn settled(&self) -> impl Iterator<Item = &OwedKey> {
        self.pending.settled.iter().map(|settled| &settled.key)
    }

    /// Adds a dead letter, and its status.
    pub fn put_letter(&mut self, letter: DeadLetter) {
        self.put_status(letter.offset, Some(LetterStatus::open(&letter)));
        self.pending.bytes += letter_bytes(&letter);
        self.pending.letters.push(letter);
    }

    /// Changes the status of a dead letter; `None` removes it.
    pub fn put_status(&mut self, offset: RecordOffset, status: Option<LetterStatus>) {
        self.pending.bytes += STATUS_BYTES;
        self.pending.statuses.put(offset, status);
    }

    /// The newest word on a letter's status; `None` where the store's is the truth.
    pub fn status(&self, offset: RecordOffset) -> Option<Option<&LetterStatus>> {
        let committing = || self.committing.as_ref().and_then(|layer| layer.statuses.get(offset));
        self.pending.statuses.get(offset).or_else(committing)
    }

    /// All that is not committed for all that is known: the cut under way, if there is one, and what came since.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.committing.as_deref().into_iter().chain([&self.pending])
    }

    /// Lays both layers over an order's open letters in the store.
    pub fn lay_over(&self, identity: &Identity, open: &mut OpenLetters) {
        for layer in self.layers() {
            layer.statuses.lay_over(identity, open);
        }
    }

    /// Lets an order leave with the next cut, which is to be taken before anything more is folded: so the order is gone
    /// from that cut's position on, and no event of the cut was judged without it. `stamp` is the least that its app's
    /// unit knows behind the order's last.
    pub fn remove(&mut self, identity: Identity, stamp: UpdateTime) {
        debug_assert!(!self.pending.states.contains_key(&identity), "an order that has just changed does not leave");
        self.pending.bytes += REMOVED_OVERHEAD;
        self.pending.removed.insert(identity, stamp);
    }

    /// The orders that leave with the cut that is being committed.
    pub fn leaving(&self) -> Option<&BTreeMap<Identity, UpdateTime>> {
        self.committing.as_ref().map(|layer| &layer.removed).filter(|removed| !removed.is_empty())
    }

    /// A command is executed: its outcome goes with what it has changed.
    pub fn put_command(&mut self, id: Box<str>, done: CommandDone) {
        self.pending.put_command(id, done);
    }

    /// A command was given again: its outcome is written once more, and nothing else is done.
    pub fn tell_command(&mut self, id: Box<str>, done: CommandDone) {
        self.pending.tell_command(id, done);
    }

    /// What a command came to; `None` where the store's word is the truth.
    pub fn command(&self, id: &str) -> Option<&CommandDone> {
        let committing = || self.committing.as_ref().and_then(|layer| layer.commands.get(id));
        self.pending.commands.get(id).or_else(committing)
    }

    /// Moves the position: everything before `next` has its outcome in this layer or below.
    pub fn advance(&mut self, next: NextOffset) {
        debug_assert!(self.pending.next.is_none_or(|old| old <= next), "a position never goes back");
        self.pending.next = Some(next);
    }

    /// Notes the last record that was folded.
    pub fn note_last(&mut self, last: LastRecord) {
        self.pending.last = Some(last);
    }

    /// Whether there is anything to commit that is not being committed.
    pub fn is_dirty(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether a commit of this partition is under way.
    pub fn is_committing(&self) -> bool {
        self.committing.is_some()
    }

    /// Orders that changed, in both layers; one in both counts twice.
    pub fn changed_orders(&self) -> usize {
        self.pending.states.len() + self.committing.as_ref().map_or(0, |layer| layer.states.len())
    }

    /// Rough memory of what the next cut holds so far.
    pub fn pending_bytes(&self) -> usize {
        self.pending.bytes
    }

    /// Rough memory of both layers.
    pub fn bytes(&self) -> usize {
        self.pending.bytes + self.committing.as_ref().map_or(0, |layer| layer.bytes)
    }

    /// Cuts: everything folded so far becomes the layer that is being committed. `None` where there is nothing, or
    /// where the previous cut is still under way.
    pub fn cut(&mut self) -> Option<Arc<Layer>> {
        if self.committing.is_some() || self.pending.is_empty() {
            return None;
        }
        let layer = Arc::new(std::mem::take(&mut self.pending));
        self.committing = Some(Arc::clone(&layer));
        Some(layer)
    }

    /// The commit succeeded: the store holds the cut now. Gives it back, for its debts are due.
    pub fn committed(&mut self) -> Option<Arc<Layer>> {
        self.committing.take()
    }

    /// The commit failed and changed nothing: the cut goes back under what was folded since. Its orders stay: the cut
    /// that is tried next ends elsewhere, and whether they may leave is judged anew.
    pub fn aborted(&mut self) {
        if let Some(layer) = self.committing.take() {
            let mut base = Arc::try_unwrap(layer).unwrap_or_else(|shared| shared.as_ref().clone());
            base.bytes -= base.removed.len() * REMOVED_OVERHEAD;
            base.removed.clear();
            base.absorb(std::mem::take(&mut self.pending));
            self.pending = base;
        }
    }
}

#[cfg(test)]
#[path = "overlay_tests.rs"]
mod tests;
