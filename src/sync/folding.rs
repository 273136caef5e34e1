//! One record after another within a partition: judged, folded, laid over the store. CPU only.

use std::sync::Arc;
use std::time::Duration;

use super::desk::Desk;
use super::engine::Engine;
use super::intake::IntakeBudget;
use super::last_record::LastRecord;
use super::partition::{Partition, PartitionId};
use super::ports::PortError;
use super::rules::{FOLD_SLICE, Now};
use crate::order::fold::FoldAs;
use crate::record::Record;
use crate::telemetry::Outcome;

/// What came of folding a record.
pub(super) enum Folding<T> {
    /// It has its outcome.
    Done(T),
    /// It has to wait for the commit under way, with which an order leaves that it is about.
    Held(Record),
}

impl Engine {
    /// Folds up to [`FOLD_SLICE`] records, partitions in turn. True where more waits and may be folded at once.
    pub(super) fn fold_slice(&mut self, now: Now) -> bool {
        if self.nothing_to_fold() || self.intake_is_full() || self.next_cut_is_full() || !self.is_running() {
            return false;
        }
        let allowed = if self.gone.is_some() || self.pressed {
            FOLD_SLICE
        } else {
            self.feed.allowance(self.ahead(), self.rules.max_in_flight, now.mono)
        };
        let folded = self.fold_some(allowed, now);
        self.feed.spend(folded);
        folded == FOLD_SLICE && !self.nothing_to_fold()
    }

    /// When folding wants another look: where what waits may not be folded just yet.
    pub(super) fn fold_look(&self, now: Now) -> Option<Duration> {
        let waits = !self.nothing_to_fold() && !self.intake_is_full() && self.is_running();
        waits.then(|| self.feed.look(now.mono))
    }

    /// Orders whose delivery could start if there were permits, or could once it is committed. A hot order counts once,
    /// however much it owes: it feeds one permit.
    fn ahead(&self) -> usize {
        let ready: usize = self.desks.iter().filter(|desk| !desk.circuit.state().is_waiting()).map(Desk::ready).sum();
        ready + self.partitions.values().map(|p| p.overlay.changed_orders()).sum::<usize>()
    }

    /// Folds up to `most` records; says how many.
    fn fold_some(&mut self, most: usize, now: Now) -> usize {
        let mut left = most;
        while left > 0 {
            let Some(id) = self.take_next() else { return most - left };
            let Some(record) = self.partitions.get_mut(&id).and_then(|p| p.inbox.pop_front()) else { continue };
            let cost = IntakeBudget::cost(&record);
            // Only what a cut may end with is noted: a cut is taken between two slices, and behind it nothing is left out, but
            // for what nobody reads. While orders leave, the next record may have to wait.
            let goes_on = |p: &Partition| !p.inbox.is_empty() && p.overlay.leaving().is_none();
            let more = left > 1 && self.partitions.get(&id).is_some_and(goes_on);
            let last = (!more).then(|| LastRecord::of(&record));
            match self.fold_record(id, record, now) {
                Ok(Folding::Done(())) => {
                    self.ports.budget.refill(cost);
                    self.note_last(id, last);
                }
                Ok(Folding::Held(record)) => {
                    self.hold(id, record);
                    continue;
                }
                Err(error) => {
                    self.fail(error);
                    return most - left;
                }
            }
            self.progress += 1;
            self.folded += 1;
            if self.partitions.get(&id).is_some_and(|p| !p.inbox.is_empty()) {
                self.fold_queue.push_front(id);
            }
            left -= 1;
        }
        // Whoever had this slice goes to the end, so that no partition starves another.
        self.fold_queue.rotate_left(1.min(self.fold_queue.len()));
        most
    }

    /// Puts a record back until the commit under way has ended: [`Engine::committed`] goes on with its partition.
    fn hold(&mut self, id: PartitionId, record: Record) {
        if let Some(partition) = self.partitions.get_mut(&id) {
            partition.inbox.push_front(record);
            partition.held = true;
        }
    }

    fn note_last(&mut self, id: PartitionId, last: Option<LastRecord>) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        // One that was dropped as folded already is not the last.
        if let Some(last) = last.filter(|last| last.offset + 1 == partition.folded.get()) {
            partition.overlay.note_last(last);
        }
    }

    fn fold_record(&mut self, id: PartitionId, record: Record, now: Now) -> Result<Folding<()>, PortError> {
        let Some(partition) = self.partitions.get_mut(&id) else { return Ok(Folding::Done(())) };
        if partition.folded.covers(record.offset) {
            return Ok(Folding::Done(()));
        }
        let next = record.offset.next();
        let topic = Arc::clone(&partition.source.topic);
        let outcome = match self.judge(id, record, FoldAs::Event, now)? {
            Folding::Done(judged) => judged.outcome,
            Folding::Held(record) => return Ok(Folding::Held(record)),
        };
        if let Some(partition) = self.partitions.get_mut(&id) {
            partition.folded = next;
            partition.overlay.advance(next);
        }
        if outcome != Outcome::Delivered {
            self.meters.records(&topic, outcome, 1);
        }
        Ok(Folding::Done(()))
    }

    /// Whether nothing more may be folded: too much memory is not committed, or too much is owed. What may be gone from its
    /// topic is folded whatever is owed.
    pub(super) fn intake_is_full(&self) -> bool {
        self.held_by_bytes || (self.held_by_owed && self.gone.is_none() && !self.pressed)
    }

    /// Whether a partition's records may be folded: it owes no more than it may, or they may be gone from its topic.
    fn may_fold(&self, id: PartitionId) -> bool {
        let is_over = self.partitions.get(&id).is_some_and(|partition| partition.over_share);
        !is_over || self.gone.is_some() || self.pressed
    }

    fn nothing_to_fold(&self) -> bool {
        !self.fold_queue.iter().any(|id| self.may_fold(*id))
    }

    /// The next partition to fold records of.
    fn take_next(&mut self) -> Option<PartitionId> {
        let place = self.fold_queue.iter().position(|id| self.may_fold(*id))?;
        self.fold_queue.remove(place)
    }

    /// Whether the next cut is as large as it should be, and has to wait for the one under way or for a way to the brokers
    /// that takes no larger ones.
    pub(super) fn next_cut_is_full(&self) -> bool {
        let size = self.cycle.size();
        (self.cycle.is_under_way() || size.is_bounded())
            && self.partitions.values().map(|p| p.overlay.pending_bytes()).sum::<usize>() >= size.bytes()
    }

    /// Memory of what is folded and not committed.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.partitions.values().map(|p| p.overlay.bytes()).sum()
    }
}
