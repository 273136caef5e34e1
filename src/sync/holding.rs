//! What intake is held back by: memory that is not committed, and what is owed of `delivery.max_owed`.

use super::desk::Desk;
use super::engine::Engine;
use super::partition::{Partition, PartitionId, Phase};
use crate::telemetry::meters::IntakeLimit;
use crate::telemetry::{Meters, event};

impl Engine {
    /// Whether the consumer is held back: it hands on what may be gone from its topic all the same.
    pub(super) fn holds_consumer(&self) -> bool {
        self.held_by_bytes || self.held_by_owed
    }

    /// Holds the consumer back while too much is buffered or owed, and lets it go on well below that.
    pub(super) fn hold_intake(&mut self) {
        let buffered = self.buffered_bytes();
        let owed = self.count_owed();
        let restoring = self.partitions.values().any(|partition| partition.phase == Phase::Restoring);
        let (max_owed, max_bytes) = (self.rules.max_owed, self.rules.max_buffered_bytes);
        hold(&mut self.held_by_bytes, IntakeLimit::Bytes, buffered, max_bytes, max_bytes / 2, &self.meters);
        hold(&mut self.held_by_owed, IntakeLimit::Owed, owed, max_owed, well_below(max_owed), &self.meters);
        self.hold_to_shares(restoring && !self.held_by_owed);
        let all = self.holds_consumer();
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for partition in self.partitions.values_mut() {
            let holds = all || partition.over_share;
            if std::mem::replace(&mut partition.paused, holds) != holds {
                if holds { &mut pause } else { &mut resume }.push(partition.source.clone());
            }
        }
        if !pause.is_empty() {
            self.ports.intake.pause(&pause);
        }
        if !resume.is_empty() {
            self.ports.intake.resume(&resume);
        }
    }

    /// What a partition owes is known when it is restored: until all are, none of those that run may come to owe more than its
    /// share. Else each start in an outage would go beyond `max_owed` by what it takes in before it knows. One that owes its
    /// share holds no other back.
    fn hold_to_shares(&mut self, restoring: bool) {
        let share = (self.rules.max_owed / self.partitions.len().max(1)).max(1);
        let change = |(id, partition): (&PartitionId, &Partition)| {
            let bound = if partition.over_share { well_below(share) + 1 } else { share };
            let owed = if restoring { partition.counted } else { 0 };
            ((owed >= bound) != partition.over_share).then_some((*id, owed))
        };
        let changed: Vec<(PartitionId, usize)> = self.partitions.iter().filter_map(change).collect();
        for (id, owed) in changed {
            if let Some(partition) = self.partitions.get_mut(&id) {
                partition.over_share = !partition.over_share;
                event::ShareOwed { source: &partition.source, owed, share, holds: partition.over_share }.emit();
            }
        }
    }

    /// Counts what each partition owes of `delivery.max_owed`, committed or not; says what that comes to. What an app owes that
    /// waits for a person, or is paused, counts against disk alone: it must not stand in the way of the others. Nor must it
    /// when the app is back: until it is paid, what was owed then does not count. It only becomes less, so that what is owed
    /// never grows by more than `max_owed`.
    fn count_owed(&mut self) -> usize {
        let mut all = 0;
        for partition in self.partitions.values_mut() {
            partition.counted = 0;
            for (app, desk) in self.desks.iter().enumerate() {
                let owed = partition.owes(app, &desk.app_id);
                let rests = waits_for_a_person(desk) || partition.commanded.paused.contains(&desk.app_id);
                let uncounted = &mut partition.uncounted[app];
                *uncounted = if rests { owed } else { owed.min(*uncounted) };
                partition.counted += owed - *uncounted;
            }
            all += partition.counted;
        }
        all
    }

    /// What is found to be owed beyond `delivery.max_owed` when a partition is taken up does not count: it came of apps that
    /// waited for a person in an earlier run, or from another worker.
    pub(super) fn leave_excess_out(&mut self, id: PartitionId) {
        let mut excess = self.count_owed().saturating_sub(self.rules.max_owed);
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        for (app, desk) in self.desks.iter().enumerate() {
            let more = excess.min(partition.owes(app, &desk.app_id) - partition.uncounted[app]);
            partition.uncounted[app] += more;
            excess -= more;
        }
    }
}

/// Whether an app waits for a person, or is about to: since the start nothing of it was accepted, and its token is refused.
fn waits_for_a_person(desk: &Desk) -> bool {
    desk.circuit.cause().is_some() || (desk.acceptances == 0 && desk.token.is_doubted())
}

/// Where intake goes on that was held back at `max`.
fn well_below(max: usize) -> usize {
    max - max.div_ceil(10)
}

/// Holds at `max` and lets go below `low`, saying so on each change.
fn hold(held: &mut bool, limit: IntakeLimit, amount: usize, max: usize, low: usize, meters: &Meters) {
    if !*held && amount >= max {
        *held = true;
        event::IntakePaused { limit, held: amount, max }.emit(meters);
    } else if *held && amount <= low {
        *held = false;
        event::IntakeResumed { limit }.emit(meters);
    }
}
