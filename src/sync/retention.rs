//! Retention: orders that are at their end, delivered and long untouched leave, each with the cut that says so.
//!
//! A pass goes through the store of one partition after another, in pages that another thread reads (`sweep.rs`), with a
//! wait behind each. What a page names is judged here, at the cut that it would leave with, against everything that is
//! known: it is gone from that cut's position on, and from nowhere else. Until that cut is committed, an event that the
//! removal would be felt by waits; if it fails, nothing has left.

use std::collections::VecDeque;
use std::time::Duration;

use super::engine::Engine;
use super::owed::OwedKey;
use super::partition::{EndProbe, Partition, PartitionId, Phase};
use super::ports::PortError;
use super::rules::{Now, RetentionRules};
use super::sweep::{self, SweepAsk, SweepPage, SweepPlace, Swept};
use crate::order::{EventTime, Identity, UpdateTime};
use crate::record::RecordOffset;
use crate::telemetry::event;

/// A page of which a tenth or more may leave is followed by the next without a wait: at the pace of the others a store
/// would grow for ever where more orders come in a second than are looked at.
const CROWDED: usize = 10;

/// Where the passes stand.
#[derive(Debug, Default)]
pub struct Retention {
    pass: Option<Pass>,
    stage: Stage,
    /// No page before.
    not_before: Duration,
}

#[derive(Debug, Default)]
enum Stage {
    /// Nothing is under way.
    #[default]
    Idle,
    /// A page is being looked through.
    Asked,
    /// What a page named is being judged.
    Judging { orders: VecDeque<Identity>, letters: VecDeque<RecordOffset> },
}

/// One pass over a partition.
#[derive(Debug)]
struct Pass {
    partition: PartitionId,
    /// Where the next page begins; `None` at the end.
    next: Option<SweepPlace>,
    seen: usize,
    removed: usize,
    forgotten: usize,
    began: Duration,
}

impl Retention {
    /// Whether something is to be judged at the next cut.
    pub(super) fn has_candidates(&self) -> bool {
        matches!(self.stage, Stage::Judging { .. })
    }
}

impl Engine {
    /// Asks for a page where one is due; says when to look again.
    pub(super) fn sweep_due(&mut self, now: Now) -> Option<Duration> {
        let rules = self.rules.retention.clone()?;
        if self.ports.sweeper.is_none() || !self.is_running() || !matches!(self.retention.stage, Stage::Idle) {
            return None;
        }
        if now.mono < self.retention.not_before {
            return Some(self.retention.not_before);
        }
        self.retention.not_before = now.mono + rules.page_every;
        self.ask_for_page(&rules, now);
        Some(self.retention.not_before)
    }

    fn ask_for_page(&mut self, rules: &RetentionRules, now: Now) {
        if self.retention.pass.as_ref().is_none_or(|pass| !self.partitions.contains_key(&pass.partition)) {
            self.retention.pass = self.next_pass(rules, now);
        }
        let Some(pass) = &self.retention.pass else { return };
        let Some(partition) = self.partitions.get(&pass.partition) else { return };
        let (Some(cutoff_ms), Some(place)) = (cutoff_ms(partition, rules.retain, now), pass.next.clone()) else {
            return;
        };
        let (epoch, source) = (partition.epoch, partition.source.clone());
        if let Some(sweeper) = &mut self.ports.sweeper {
            self.retention.stage = Stage::Asked;
            sweeper.ask(SweepAsk { epoch, source, place, cutoff_ms, rows: rules.page_rows });
        }
    }

    /// The partition whose turn it is: the one that was not looked through for the longest time.
    fn next_pass(&self, rules: &RetentionRules, now: Now) -> Option<Pass> {
        let rested = |p: &&Partition| p.swept.is_none_or(|at| now.mono >= at + rules.pass_every);
        let ready = |p: &&Partition| cutoff_ms(p, rules.retain, now).is_some();
        let next = self.partitions.values().filter(rested).filter(ready).min_by_key(|p| (p.swept, p.id))?;
        let place = SweepPlace::Orders(None);
        let (seen, removed, forgotten) = (0, 0, 0);
        Some(Pass { partition: next.id, next: Some(place), seen, removed, forgotten, began: now.mono })
    }

    /// A page was looked through.
    pub(super) fn swept(&mut self, swept: Swept, now: Now) {
        self.retention.stage = Stage::Idle;
        let id = self.by_source.get(&swept.source).copied();
        let page = match swept.page {
            Ok(page) => page,
            Err(PortError::Passing(_)) => return,
            Err(error @ (PortError::Fatal(_) | PortError::Damaged(_) | PortError::Refused(..))) => {
                return self.fail(error);
            }
        };
        let is_same = |p: &Partition| p.epoch == swept.epoch;
        let Some(pass) = self.retention.pass.as_mut().filter(|pass| Some(pass.partition) == id) else { return };
        if !self.partitions.get(&pass.partition).is_some_and(is_same) {
            return;
        }
        let SweepPage { orders, letters, seen, next } = page;
        pass.seen += seen;
        pass.next = next;
        if orders.is_empty() && letters.is_empty() {
            self.end_page(now);
        } else {
            let rows = self.rules.retention.as_ref().map_or(0, |rules| rules.page_rows);
            if (orders.len() + letters.len()) * CROWDED >= rows {
                self.retention.not_before = now.mono;
            }
            self.retention.stage = Stage::Judging { orders: orders.into(), letters: letters.into() };
        }
    }

    /// Everything that the page named is judged.
    fn end_page(&mut self, now: Now) {
        self.retention.stage = Stage::Idle;
        let Some(pass) = self.retention.pass.take_if(|pass| pass.next.is_none()) else { return };
        let Some(partition) = self.partitions.get_mut(&pass.partition) else { return };
        partition.swept = Some(now.mono);
        event::RetentionPass {
            source: &partition.source,
            seen: pass.seen,
            removed: pass.removed,
            forgotten: pass.forgotten,
            took: now.mono.saturating_sub(pass.began),
        }
        .emit();
    }

    /// Judges some of what the page named; what may leave leaves with the cut that is taken next.
    pub(super) fn let_leave(&mut self, now: Now) {
        if let Err(error) = self.try_let_leave(now) {
            self.fail(error);
        }
    }

    fn try_let_leave(&mut self, now: Now) -> Result<(), PortError> {
        let (Some(rules), Some(pass)) = (self.rules.retention.clone(), &self.retention.pass) else { return Ok(()) };
        let id = pass.partition;
        let Stage::Judging { mut orders, mut letters } = std::mem::take(&mut self.retention.stage) else {
            return Ok(());
        };
        let cutoff = self.partitions.get(&id).and_then(|partition| cutoff_ms(partition, rules.retain, now));
        let Some(cutoff_ms) = cutoff else {
            self.end_page(now);
            return Ok(());
        };
        let (mut removed, mut forgotten) = (0, 0);
        for _ in 0..rules.judged_per_cut {
            if let Some(identity) = orders.pop_front() {
                removed += usize::from(self.leave(id, identity, cutoff_ms)?);
            } else if let Some(offset) = letters.pop_front() {
                forgotten += usize::from(self.forget(id, offset, cutoff_ms)?);
            } else {
                break;
            }
        }
        if let Some(pass) = &mut self.retention.pass {
            pass.removed += removed;
            pass.forgotten += forgotten;
        }
        if orders.is_empty() && letters.is_empty() {
            self.end_page(now);
        } else {
            self.retention.stage = Stage::Judging { orders, letters };
        }
        Ok(())
    }

    /// Lets an order leave, unless something has come of it since, or is still to come.
    fn leave(&mut self, id: PartitionId, identity: Identity, cutoff_ms: i64) -> Result<bool, PortError> {
        let reader = self.ports.reader.as_ref();
        let Some(partition) = self.partitions.get_mut(&id) else { return Ok(false) };
        // What has changed and is not committed is touched, whatever its stamp says.
        if partition.overlay.state(&identity).is_some() || self.lanes.has(id, &identity) {
            return Ok(false);
        }
        let Some(state) = reader.state(&partition.source, &identity)? else { return Ok(false) };
        if !sweep::may_leave(&state, cutoff_ms) {
            return Ok(false);
        }
        // Debts of an order are settled in the order of their stamps: where the last is not owed, none is, be it left to
        // the store or of an app that is not configured.
        let key = OwedKey { identity, stamp: state.update_time };
        if reader.owed(&partition.source, &key)?.is_some()
            || !partition.open_letters_of(reader, &key.identity)?.is_empty()
        {
            return Ok(false);
        }
        let unit = self.rules.apps.iter().find(|app| app.app_id == key.identity.app_id).map(|app| app.unit);
        partition.overlay.remove(key.identity, unit.map_or(key.stamp, |unit| key.stamp.in_unit(unit)));
        Ok(true)
    }

    /// Forgets the status of a letter that is superseded and whose order is gone. A letter without a status is superseded:
    /// every letter had one, and no other is ever forgotten.
    fn forget(&mut self, id: PartitionId, offset: RecordOffset, cutoff_ms: i64) -> Result<bool, PortError> {
        let reader = self.ports.reader.as_ref();
        let Some(partition) = self.partitions.get_mut(&id) else { return Ok(false) };
        if partition.overlay.status(offset).is_some() {
            return Ok(false);
        }
        let Some(status) = reader.letter(&partition.source, offset)? else { return Ok(false) };
        if !sweep::may_be_forgotten(&status, cutoff_ms) {
            return Ok(false);
        }
        if let Some(identity) = status.identity()
            && (partition.overlay.state(&identity).is_some() || reader.state(&partition.source, &identity)?.is_some())
        {
            return Ok(false);
        }
        partition.overlay.put_status(offset, None);
        Ok(true)
    }
}

impl Partition {
    /// Whether an event has to wait for the cut that is being committed, as orders leave with it: its own, or one whose
    /// stamp says whether it may be an unknown order's first.
    pub(super) fn waits_for_leavers(&self, identity: &Identity, is_known: bool, stamp: i64) -> bool {
        let Some(leaving) = self.overlay.leaving() else { return false };
        let is_below = |(other, last): (&Identity, &UpdateTime)| other.app_id == identity.app_id && stamp <= last.0;
        leaving.contains_key(identity) || (!is_known && leaving.iter().any(is_below))
    }
}

/// What was touched at this time or later stays. `None`: nothing leaves for now.
///
/// A worker's clock alone must not decide: one that is a year ahead would empty the store. So the newest event that this
/// assignment has folded counts, too, and the earlier of both decides. An event lies at most `limits.max_clock_skew` ahead
/// of the worker that folds it, so that two clocks would have to be wrong, the producer's and ours; and where no events
/// come, the store does not grow either. The same bound, and the wait for the end that the log had at the start, keep a
/// worker that reads old events (a new group, a replayed topic) from removing orders whose next events it has yet to read.
fn cutoff_ms(partition: &Partition, retain: Duration, now: Now) -> Option<i64> {
    let reached = partition.end_at_start.is_some_and(|end| partition.folded >= end);
    if partition.phase != Phase::Running || !(reached || partition.end_probe == EndProbe::AtEnd) {
        return None;
    }
    let newest_ms = partition.newest?.0.min(now.wall_ms);
    Some(newest_ms.saturating_sub(i64::try_from(retain.as_millis()).unwrap_or(i64::MAX)))
}

/// The newer of two times.
pub(super) fn newer(old: Option<EventTime>, new: EventTime) -> EventTime {
    old.map_or(new, |old| old.max(new))
}
