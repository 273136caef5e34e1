//! Partitions come and go: what is read from the store when one comes, what is made durable before one goes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use super::commanded::Commanded;
use super::deliver::Whose;
use super::engine::{Engine, Leaving, Mode};
use super::intake::IntakeBudget;
use super::lane::{LanePhase, Waiting};
use super::overlay::Overlay;
use super::partition::{EndProbe, Partition, PartitionId, Phase};
use super::ports::{Assigned, Epoch, Input, PortError, Position, StartAt};
use super::rules::Now;
use crate::order::AppId;
use crate::record::{NextOffset, Record, TopicPartition};
use crate::telemetry::event;

impl Engine {
    /// The group gave us partitions: their position and debts are read, and the consumer is told where to start.
    pub(super) fn assigned(&mut self, input: Input, now: Now) {
        if self.ports.restore.is_none() && self.cycle.is_under_way() {
            // A partition that comes back at once may still be in the cut under way; the store must hold it first.
            // (A restore reads the changelog, where a transaction under way is waited for.)
            self.deferred.push(input);
            return;
        }
        let Input::Assigned { epoch, partitions, reply } = input else { return };
        let mut starts = Vec::with_capacity(partitions.len());
        for assigned in partitions {
            match self.take_partition(epoch, &assigned, now) {
                Ok(start) => starts.push(start),
                Err(error) => {
                    let words = PortError::Fatal(error.to_string());
                    answer(&reply, Err(error));
                    self.fail(words);
                    return;
                }
            }
        }
        answer(&reply, Ok(starts));
    }

    fn take_partition(&mut self, epoch: Epoch, assigned: &Assigned, now: Now) -> Result<StartAt, PortError> {
        if let Some(old) = self.by_source.get(&assigned.source).copied() {
            self.drop_partition(old);
        }
        let id = PartitionId(self.next_partition);
        self.next_partition += 1;
        self.by_source.insert(assigned.source.clone(), id);
        let position = Position::before(NextOffset::new(0));
        self.partitions.insert(
            id,
            Partition {
                id,
                source: assigned.source.clone(),
                epoch,
                partitions_of_topic: assigned.partitions_of_topic,
                partitions_of_group: assigned.partitions_of_group,
                folded: position.next,
                position,
                inbox: VecDeque::new(),
                overlay: Overlay::default(),
                owed: BTreeMap::new(),
                left: BTreeMap::new(),
                stranded: BTreeMap::new(),
                commanded: Commanded::default(),
                open_letters: 0,
                newest: None,
                swept: None,
                held: false,
                counted: 0,
                uncounted: vec![0; self.desks.len()],
                over_share: false,
                paused: false,
                end_at_start: None,
                high_watermark: None,
                end_probe: EndProbe::Idle,
                phase: Phase::Restoring,
            },
        );
        self.share_out();
        self.ever_assigned = true;
        self.next_status = now.mono;
        if let Some(restore) = &mut self.ports.restore {
            restore.begin(epoch, &assigned.source);
            return Ok(StartAt::Later);
        }
        self.stand_up(id)
    }

    /// A partition is as the changelog says, or cannot be made so.
    pub(super) fn restored(&mut self, epoch: Epoch, source: &TopicPartition, result: Result<(), PortError>, now: Now) {
        let waiting = |p: &&mut Partition| p.epoch == epoch && p.phase == Phase::Restoring;
        let Some(id) = self.partition_of(source).filter(waiting).map(|partition| partition.id) else { return };
        match result.and_then(|()| self.stand_up(id)) {
            Ok(start) => self.ports.intake.begin(epoch, source, start),
            Err(error) => self.fail(error),
        }
        self.next_status = now.mono;
    }

    /// The store holds the partition as it was committed last: its position and debts are read, and it runs.
    fn stand_up(&mut self, id: PartitionId) -> Result<StartAt, PortError> {
        let Some(partition) = self.partitions.get_mut(&id) else { return Ok(StartAt::Later) };
        let source = partition.source.clone();
        let stored = self.ports.reader.position(&source)?;
        let start = stored.as_ref().map_or(StartAt::Fresh, |position| match position.last {
            Some(last) => StartAt::Behind(position.next, last),
            None => StartAt::Position(position.next),
        });
        if let Some(position) = stored {
            position.check_partitions(&source.topic, partition.partitions_of_topic).map_err(PortError::Fatal)?;
            partition.folded = position.next;
            partition.commanded = Commanded::of(&position);
            partition.position = position;
        }
        let (epoch, commands) = (partition.epoch, partition.commanded.next);
        partition.open_letters = self.ports.reader.open_letter_count(&source)?;
        partition.phase = Phase::Running;
        let owed = self.take_debts(id, &source)?;
        if let Some(feed) = &mut self.ports.commands {
            feed.follow(epoch, &source, commands);
        }
        self.take_accepted_codes();
        self.tell_pauses(id);
        // What it owes counts before anything more is folded.
        self.leave_excess_out(id);
        self.hold_intake();
        event::PartitionAssigned { source: &source, position: start.position(), owed }.emit();
        Ok(start)
    }

    /// Puts what the store says is owed into lanes, as it comes, up to the app's share of memory. Returns how many there
    /// are.
    fn take_debts(&mut self, id: PartitionId, source: &TopicPartition) -> Result<usize, PortError> {
        let reader = Arc::clone(&self.ports.reader);
        let mut count = 0;
        let mut stranded: BTreeMap<AppId, usize> = BTreeMap::new();
        reader.scan_owed(source, &mut |key, entry| {
            count += 1;
            let mut identity = key.identity;
            match self.desks.iter().find(|desk| desk.app_id == identity.app_id) {
                // The id of all the app's orders stands in memory once.
                Some(desk) => identity.app_id = desk.app_id.clone(),
                None => *stranded.entry(identity.app_id.clone()).or_default() += 1,
            }
            self.owe(id, identity, Waiting { stamp: key.stamp, timestamp_ms: entry.timestamp_ms, owed: None });
        })?;
        for (app_id, owed) in &stranded {
            event::OwedByUnknownApp { source, app_id, owed: *owed }.emit();
        }
        if let Some(partition) = self.partitions.get_mut(&id) {
            partition.stranded = stranded;
        }
        Ok(count)
    }

    /// Reading has started: for a partition without a position this is the first one.
    pub(super) fn started(&mut self, epoch: Epoch, source: &TopicPartition, at: NextOffset, end: NextOffset) {
        let held = self.holds_consumer();
        let running = |p: &&mut Partition| p.epoch == epoch && p.phase == Phase::Running;
        let Some(partition) = self.partition_of(source).filter(running) else { return };
        if partition.folded < at || partition.position.commit_number == 0 {
            partition.folded = at;
            partition.overlay.advance(at);
        }
        if partition.position.commit_number == 0 {
            partition.position.begun = Some(at);
        }
        partition.end_at_start = Some(end);
        partition.high_watermark = Some(end);
        // What was said of it before it was read may be forgotten.
        partition.paused = held || partition.over_share;
        if partition.paused {
            self.ports.intake.pause(std::slice::from_ref(source));
        }
    }

    /// Records came. Those of an assignment that is over are dropped: the next owner reads them again.
    pub(super) fn records(&mut self, epoch: Epoch, source: &TopicPartition, records: Vec<Record>) {
        let cost: usize = records.iter().map(IntakeBudget::cost).sum();
        let running = self.is_running();
        let known = self.partition_of(source).filter(|p| p.epoch == epoch && p.phase == Phase::Running && running);
        let Some(partition) = known else {
            self.ports.budget.refill(cost);
            return;
        };
        let idle = partition.inbox.is_empty();
        partition.inbox.extend(records);
        partition.end_probe = EndProbe::Idle;
        let id = partition.id;
        if idle {
            self.fold_queue.push_back(id);
        }
    }

    /// Nothing is left to read before `next`. The position goes there with the next commit, as retention may take what stands
    /// between, and a position before the topic's beginning means lost records to whoever starts from it.
    pub(super) fn passed(&mut self, epoch: Epoch, source: &TopicPartition, next: NextOffset) {
        let running = self.is_running();
        let Some(partition) = self.partition_of(source).filter(|p| p.epoch == epoch && p.phase == Phase::Running)
        else {
            return;
        };
        // What waits to be folded lies before `next`; it is said again when that is done.
        if running && partition.inbox.is_empty() {
            partition.pass_to(next);
        }
    }

    /// The group takes partitions back.
    pub(super) fn revoked(&mut self, sources: &[TopicPartition], lost: bool, reply: SyncSender<()>, now: Now) {
        let ids: Vec<PartitionId> = sources.iter().filter_map(|source| self.by_source.get(source).copied()).collect();
        if lost {
            for id in ids {
                self.drop_partition(id);
            }
            answer(&reply, ());
            return;
        }
        for id in &ids {
            if let Some(partition) = self.partitions.get_mut(id) {
                partition.phase = Phase::Leaving;
                self.ports.budget.refill(partition.inbox_bytes());
                partition.inbox.clear();
            }
            self.drop_commands(*id);
        }
        let deadline = now.mono + self.rules.revoke_timeout;
        self.leaving.push(Leaving { partitions: ids, deadline, reply });
    }

    /// Lets go of the partitions whose last commit is durable, or whose time is up.
    pub(super) fn finish_leaving(&mut self, now: Now) {
        let mut waiting = Vec::new();
        for leaving in std::mem::take(&mut self.leaving) {
            let clean = leaving.partitions.iter().all(|id| self.is_clean(*id));
            if !clean && now.mono < leaving.deadline {
                waiting.push(leaving);
                continue;
            }
            leaving.partitions.iter().for_each(|id| self.drop_partition(*id));
            answer(&leaving.reply, ());
        }
        self.leaving = waiting;
    }

    /// Whether nothing of the partition is uncommitted.
    pub(super) fn is_clean(&self, id: PartitionId) -> bool {
        self.partitions.get(&id).is_none_or(|p| !p.overlay.is_dirty() && !p.overlay.is_committing())
    }

    /// Tells the apps how much of the group's partitions this worker has.
    fn share_out(&mut self) {
        // Those of topics too of which this worker has none.
        let total = self.partitions.values().map(|p| p.partitions_of_group).max().unwrap_or(0);
        for desk in &mut self.desks {
            desk.patience.share(self.partitions.len(), total);
        }
    }

    /// Forgets a partition: what is not committed is dropped, and the next owner repeats it identically.
    pub(super) fn drop_partition(&mut self, id: PartitionId) {
        self.drop_commands(id);
        let is_clean = self.is_clean(id);
        let Some(partition) = self.partitions.remove(&id) else { return };
        self.share_out();
        self.by_source.remove(&partition.source);
        if let Some(restore) = &mut self.ports.restore {
            restore.cancel(&partition.source);
        }
        self.ports.budget.refill(partition.inbox_bytes());
        let lanes = self.lanes.remove_partition(id);
        let mut abandoned = 0;
        for (_, lane) in &lanes {
            if let LanePhase::InFlight(ticket) = lane.phase
                && let Some(flight) = self.flights.get_mut(&ticket)
            {
                flight.whose = Whose::Orphan(lane.identity.clone());
                self.orphans.add(lane.identity.clone());
                abandoned += 1;
            }
            self.desks[lane.app].owed -= lane.len();
            self.desks[lane.app].lanes -= 1;
            self.desks[lane.app].failing -= usize::from(lane.is_failing());
        }
        for (app, left) in &partition.left {
            self.desks[*app].owed -= left.count;
            self.desks[*app].left -= left.count;
        }
        let gone: std::collections::HashSet<_> = lanes.iter().map(|(lane, _)| *lane).collect();
        for desk in &mut self.desks {
            desk.retain_ready(|lane| !gone.contains(lane));
        }
        if matches!(self.mode, Mode::Draining { .. }) && (!is_clean || abandoned > 0) {
            self.left_undrained += 1;
        }
        self.timers.retain(|timer| !gone.contains(&timer.lane));
        self.take_accepted_codes();
        event::PartitionRevoked {
            source: &partition.source,
            position: Some(partition.position.next),
            dropped_records: usize::try_from(partition.folded.get() - partition.position.next.get()).unwrap_or(0),
            abandoned_attempts: abandoned,
            dropped_results: partition.overlay.layers().map(|layer| layer.settled().len()).sum(),
            dropped_commands: partition.overlay.layers().map(|layer| layer.commands().len()).sum(),
        }
        .emit(&self.meters);
    }

    /// Follows the partition's commands no more; those that wait are read again by its next owner.
    fn drop_commands(&mut self, id: PartitionId) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let cost = partition.commanded.cost();
        partition.commanded.queue.clear();
        if let Some(feed) = &mut self.ports.commands {
            feed.leave(&partition.source);
            feed.refill(cost);
        }
    }

    /// The answer to whether only markers are left.
    pub(super) fn end_probed(&mut self, source: &TopicPartition, next: NextOffset, at_end: Result<bool, PortError>) {
        let Some(partition) = self.partition_of(source) else { return };
        let still = partition.folded == next && partition.inbox.is_empty();
        partition.end_probe = match at_end {
            Ok(true) if still => {
                if let Some(end) = partition.end_at_start {
                    partition.pass_to(end);
                }
                EndProbe::AtEnd
            }
            Ok(_) | Err(PortError::Passing(_)) => EndProbe::Idle,
            Err(error @ (PortError::Fatal(_) | PortError::Damaged(_) | PortError::Refused(..))) => {
                return self.fail(error);
            }
        };
    }
}

/// Answers the consumer thread. One that no longer waits needs no answer: its deadline has passed, and it says so.
fn answer<T>(reply: &SyncSender<T>, value: T) {
    reply.try_send(value).ok();
}
