//! Apps that an operator has paused: nothing of a paused partition is started, and what it owes is left to the store.
//!
//! So a pause of days costs a count, and stands in nobody's way: neither for memory nor for intake. What is in flight when
//! the pause comes is answered, and rests then.

use std::collections::HashSet;

use super::engine::Engine;
use super::lane::{LaneId, LanePhase};
use super::partition::PartitionId;
use crate::telemetry::event;

impl Engine {
    /// Whether nothing of this app and partition is to be started.
    pub(super) fn is_paused(&self, partition: PartitionId, app: usize) -> bool {
        let (Some(partition), Some(desk)) = (self.partitions.get(&partition), self.desks.get(app)) else {
            return false;
        };
        partition.commanded.paused.contains(&desk.app_id)
    }

    /// The app's pause of this partition has begun: what waits is left to the store.
    pub(super) fn rest_all(&mut self, partition: PartitionId, app: usize) {
        let may_rest = |phase: LanePhase| !matches!(phase, LanePhase::InFlight(_));
        let ids: HashSet<LaneId> =
            self.lanes.ids_where(|l| l.partition == partition && l.app == app && may_rest(l.phase));
        self.desks[app].retain_ready(|lane| !ids.contains(lane));
        for id in ids {
            self.leave_lane(id);
        }
    }

    /// Where the lane's app is paused it rests, and holds nothing; true then. Its attempt has ended, if it had one.
    pub(super) fn rests_now(&mut self, id: LaneId) -> bool {
        let Some(lane) = self.lanes.get(id) else { return false };
        if !self.is_paused(lane.partition, lane.app) {
            return false;
        }
        self.leave_lane(id);
        true
    }

    /// Leaves an order that no queue names to the store, with all that it owes.
    fn leave_lane(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.take(id) else { return };
        let desk = &mut self.desks[lane.app];
        desk.lanes -= 1;
        desk.failing -= usize::from(lane.is_failing());
        desk.left += lane.len();
        if let Some(partition) = self.partitions.get_mut(&lane.partition) {
            let left = partition.left.entry(lane.app).or_default();
            lane.waiting().for_each(|waiting| left.add(waiting.timestamp_ms));
        }
    }

    /// Deliveries that rest, of all paused apps.
    pub(super) fn rests(&self) -> usize {
        let left = self.partitions.values().flat_map(|p| p.left.iter().map(|(app, left)| (p.id, *app, left.count)));
        left.filter(|(id, app, _)| self.is_paused(*id, *app)).map(|(_, _, count)| count).sum()
    }

    /// In how many partitions an app is paused.
    pub(super) fn paused_partitions(&self, app: usize) -> usize {
        let app_id = &self.desks[app].app_id;
        self.partitions.values().filter(|partition| partition.commanded.paused.contains(app_id)).count()
    }

    /// Codes count as accepted as soon as one partition of this worker says so: a storm is the whole app's.
    pub(super) fn take_accepted_codes(&mut self) {
        for desk in &mut self.desks {
            let of_app = |p: &super::partition::Partition| p.commanded.accepted.get(&desk.app_id).cloned();
            let codes: std::collections::BTreeSet<i64> =
                self.partitions.values().filter_map(of_app).flatten().collect();
            desk.accepted_codes = codes.into_iter().collect();
        }
    }

    /// A partition came with pauses: people should know why it pushes nothing.
    pub(super) fn tell_pauses(&self, id: PartitionId) {
        let Some(partition) = self.partitions.get(&id) else { return };
        for app_id in &partition.commanded.paused {
            event::AppPaused { source: &partition.source, app_id }.emit();
        }
    }
}
