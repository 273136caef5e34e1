//! The commit cycle: when a cut is taken, what it holds, and what follows when it is durable.

use std::sync::Arc;
use std::time::Duration;

use super::changelog::SettingsFrom;
use super::changelog_id::ChangelogId;
use super::commit::{CommitCut, CutPart};
use super::cut_size::CutSize;
use super::engine::Engine;
use super::fold_settings::FoldedBy;
use super::lane::Waiting;
use super::partition::{Partition, PartitionId, Phase};
use super::ports::{PortError, Position};
use super::rules::Now;
use crate::record::{NextOffset, TopicPartition};
use crate::telemetry::event;

/// Wait after a failed commit; doubled up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(200);
/// The longest wait after failed commits.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// The longest while partitions are given back, or the worker winds up: little time is left for it.
const RETRY_MAX_URGENT: Duration = Duration::from_secs(1);

/// One commit at a time.
#[derive(Debug)]
pub struct CommitCycle {
    size: CutSize,
    under_way: Option<UnderWay>,
    not_before: Duration,
    failures: u32,
    /// Whether partitions were being given back when it was last looked at, or the worker was winding up.
    is_urgent: bool,
    doubt: Doubt,
}

/// Whether it has to be proven that our partitions are still ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Doubt {
    #[default]
    None,
    /// A commit has to begin and succeed.
    Raised,
    /// It is under way.
    BeingResolved,
}

#[derive(Debug)]
struct UnderWay {
    parts: Vec<(PartitionId, Position)>,
    started: Duration,
    records: u64,
    bytes: usize,
}

impl CommitCycle {
    /// None under way, and none larger than `largest_cut` bytes of memory where that can be helped.
    pub fn new(largest_cut: usize) -> Self {
        let (not_before, doubt) = (Duration::ZERO, Doubt::None);
        Self { size: CutSize::new(largest_cut), under_way: None, not_before, failures: 0, is_urgent: false, doubt }
    }

    /// How large the next cut may be.
    pub(super) fn size(&self) -> &CutSize {
        &self.size
    }

    /// Whether a commit is under way.
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// How long the commit has taken that is under way.
    pub(super) fn under_way_for(&self, now: Now) -> Option<Duration> {
        self.under_way.as_ref().map(|under_way| now.mono.saturating_sub(under_way.started))
    }

    /// Whether our partitions may be somebody else's by now: no attempt starts until a commit has succeeded.
    pub fn is_in_doubt(&self) -> bool {
        self.doubt != Doubt::None
    }

    /// Whether the last commit failed.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }
}

/// What a commit behind `position` has to say of the settings: nothing where they are as they were.
fn settings_from(by: Option<&FoldedBy>, position: &Position) -> Option<SettingsFrom> {
    let by = by.filter(|by| position.settings != Some(by.fingerprint))?;
    let Position { next, commands, settings: before, .. } = *position;
    Some(SettingsFrom { next, commands, before, by: by.clone() })
}

impl Engine {
    /// After a silence of half a session a commit has to prove that we are still a member: one is made at once, of
    /// positions alone if there is nothing else.
    pub(super) fn doubt_membership(&mut self, now: Now) {
        let Some(membership) = &mut self.ports.membership else { return };
        match self.cycle.doubt {
            Doubt::BeingResolved => return,
            Doubt::None if !membership.is_in_doubt() => return,
            Doubt::None => {
                event::MembershipDoubted.emit();
                self.cycle.doubt = Doubt::Raised;
                if !self.cycle.is_failing() {
                    self.cycle.not_before = now.mono;
                }
            }
            // The partitions that it was raised over may have left since; those that came are as good a proof.
            Doubt::Raised => {}
        }
        let running = |p: &&mut Partition| p.phase == Phase::Running;
        for partition in self.partitions.values_mut().filter(running) {
            // One whose start is not known yet has no position to commit; that is told soon.
            if partition.end_at_start.is_some() && !partition.overlay.is_dirty() {
                partition.overlay.advance(partition.folded);
            }
        }
        // One that is being restored pushes nothing yet; once it runs, it proves it by the commit of its position.
        if self.partitions.values().all(|partition| partition.phase == Phase::Leaving) {
            // Nothing is held that could be pushed, and what comes is given by the group.
            self.cycle.doubt = Doubt::None;
            membership.take_up();
        }
    }

    /// Starts a commit where one is due; says when to look again.
    pub(super) fn commit_due(&mut self, now: Now) -> Option<Duration> {
        if self.cycle.is_under_way() {
            return None;
        }
        let is_dirty = self.partitions.values().any(|p| p.overlay.is_dirty());
        if !is_dirty {
            // What could not be committed has left with its partitions.
            self.cycle.failures = 0;
        }
        if !is_dirty && !self.retention.has_candidates() {
            return None;
        }
        let urgent = self.is_urgent();
        if urgent && !self.cycle.is_urgent {
            // What failed before says little of now, and this may be the last time that it can be tried.
            self.cycle.not_before = self.cycle.not_before.min(now.mono);
        }
        self.cycle.is_urgent = urgent;
        if now.mono < self.cycle.not_before && (!urgent || self.cycle.is_failing()) {
            return Some(self.cycle.not_before);
        }
        self.cycle.not_before = now.mono + self.rules.commit_interval;
        if !urgent && !self.cycle.is_failing() {
            self.let_leave(now);
        }
        let mut cut = CommitCut::default();
        let mut under_way = UnderWay { parts: Vec::new(), started: now.mono, records: 0, bytes: 0 };
        for partition in self.partitions.values_mut() {
            let Some(layer) = partition.overlay.cut() else { continue };
            let next = layer.next().unwrap_or(partition.position.next);
            under_way.bytes += layer.bytes();
            under_way.records += u64::try_from(next.get() - partition.position.next.get()).unwrap_or(0);
            let mut position = Position {
                next,
                commit_number: partition.position.commit_number + 1,
                partitions: Some(partition.partitions_of_topic),
                last: layer.last().or(partition.position.last),
                group: Some(Arc::clone(&self.rules.group)),
                settings: self.rules.settings.as_ref().map(|by| by.fingerprint),
                ..partition.position.clone()
            };
            for (identity, stamp) in layer.removed() {
                let last = position.removed_stamps.entry(identity.app_id.clone()).or_insert(*stamp);
                *last = (*last).max(*stamp);
            }
            if partition.position.commit_number == 0 && self.ports.restore.is_some() {
                position.changelog_id = Some(ChangelogId(self.rng.u64(..)));
            }
            partition.commanded.tell(&mut position);
            under_way.parts.push((partition.id, position.clone()));
            let settings = settings_from(self.rules.settings.as_ref(), &partition.position);
            let source = partition.source.clone();
            cut.parts.push(CutPart { source, epoch: partition.epoch, layer, position, settings });
        }
        if cut.parts.is_empty() {
            // What might have left stays.
            return self.retention.has_candidates().then_some(self.cycle.not_before);
        }
        self.cycle.under_way = Some(under_way);
        if self.cycle.doubt == Doubt::Raised {
            self.cycle.doubt = Doubt::BeingResolved;
            if let Some(membership) = &mut self.ports.membership {
                membership.take_up();
            }
        }
        self.ports.commits.begin(cut);
        None
    }

    /// Whether what is not committed soon will be dropped.
    fn is_urgent(&self) -> bool {
        !self.leaving.is_empty() || !self.is_running() || self.gone.is_some()
    }

    /// A commit has ended: its debts are due, or it is tried again.
    pub(super) fn committed(&mut self, result: Result<(), PortError>, now: Now) {
        let Some(under_way) = self.cycle.under_way.take() else { return };
        let took = now.mono.saturating_sub(under_way.started);
        self.cycle.size.ended(under_way.bytes, took);
        match result {
            Ok(()) => {
                self.progress += 1;
                self.cycle.failures = 0;
                if self.cycle.doubt == Doubt::BeingResolved {
                    // A silence that came meanwhile raises it again, before anything starts.
                    self.cycle.doubt = Doubt::None;
                }
                self.meters.committed(took, under_way.records);
                for (id, position) in under_way.parts {
                    self.part_committed(id, position);
                    self.fold_on(id);
                }
            }
            Err(error @ (PortError::Fatal(_) | PortError::Damaged(_) | PortError::Refused(..))) => self.fail(error),
            Err(PortError::Passing(error)) => {
                for (id, _) in under_way.parts {
                    if let Some(partition) = self.partitions.get_mut(&id) {
                        partition.overlay.aborted();
                    }
                    self.fold_on(id);
                }
                let longest = if self.is_urgent() { RETRY_MAX_URGENT } else { RETRY_MAX };
                let wait = RETRY_MIN.saturating_mul(1 << self.cycle.failures.min(8)).min(longest);
                self.cycle.failures = self.cycle.failures.saturating_add(1);
                if self.cycle.doubt == Doubt::BeingResolved {
                    self.cycle.doubt = Doubt::Raised;
                }
                self.cycle.not_before = now.mono + wait;
                event::CommitFailed { error: &error, took, in_a_row: self.cycle.failures }.emit(&self.meters);
            }
        }
        for input in std::mem::take(&mut self.deferred) {
            self.handle(input, now);
        }
    }

    /// A record that has waited for this commit need not wait any more, however it ended.
    fn fold_on(&mut self, id: PartitionId) {
        if self.partitions.get_mut(&id).is_some_and(|partition| std::mem::take(&mut partition.held)) {
            self.fold_queue.push_back(id);
        }
    }

    fn part_committed(&mut self, id: PartitionId, position: Position) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        partition.position = position;
        let Some(layer) = partition.overlay.committed() else { return };
        self.meters.lag(&partition.source, partition.lag());
        self.meters.store().removed(u64::try_from(layer.removed().len()).unwrap_or(u64::MAX));
        for letter in layer.letters() {
            event::DeadLettered {
                source: &letter.source,
                offset: letter.offset,
                reason: letter.reason.as_str(),
                order_id: letter.order_id.as_deref(),
                message: &letter.message,
            }
            .emit(&self.meters);
        }
        for (id, done) in layer.commands() {
            event::CommandExecuted {
                source: &partition.source,
                id,
                command: &done.command,
                outcome: done.outcome.as_str(),
                who: &done.who,
                detail: &done.message,
            }
            .emit(&self.meters);
        }
        for (key, owed) in layer.owed() {
            let waiting =
                Waiting { stamp: key.stamp, timestamp_ms: owed.timestamp_ms, owed: Some(Box::new(owed.clone())) };
            self.owe(id, key.identity.clone(), waiting);
        }
    }

    /// The broker said where a partition ends.
    pub(super) fn high_watermark(&mut self, source: &TopicPartition, end: NextOffset) {
        let Some(partition) = self.partition_of(source) else { return };
        partition.high_watermark = Some(end);
        let lag = partition.lag();
        self.meters.lag(source, lag);
    }
}
