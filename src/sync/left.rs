//! What is left to the store: orders beyond those that an app may have in memory, such as an app that was suspended for
//! days piles up. They cost a count; they are taken up again, whole orders at a time, when there is room.
//!
//! An order is either in memory with all that it owes, or left with all that it owes: an order that has a lane gets its
//! further debts there, and while anything of an app and partition is left, orders without a lane join it. So no
//! debt ever overtakes an older one of its order. Orders that fail do not count against the room: they wait for long,
//! and must not keep the others out.

use std::collections::HashSet;

use super::engine::Engine;
use super::lane::Waiting;
use super::partition::PartitionId;
use super::ports::PortError;
use crate::order::Identity;

/// What one app has left of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Deliveries.
    pub count: usize,
    /// The oldest one's record, milliseconds since the epoch.
    pub oldest_ms: Option<i64>,
}

impl Left {
    pub(super) fn add(&mut self, timestamp_ms: Option<i64>) {
        self.count += 1;
        self.oldest_ms = self.oldest_ms.into_iter().chain(timestamp_ms).min();
    }
}

impl Engine {
    /// Puts a committed debt into its lane, or leaves it to the store.
    pub(super) fn owe(&mut self, partition: PartitionId, identity: Identity, waiting: Waiting) {
        // What an app owes that is no longer configured stays in the store; the assignment has said so.
        let Some(app) = self.desks.iter().position(|desk| desk.app_id == identity.app_id) else { return };
        self.desks[app].owed += 1;
        if let Some(held) = self.partitions.get_mut(&partition) {
            *held.owed.entry(app).or_default() += 1;
        }
        let desk = &self.desks[app];
        let full = desk.room(self.rules.max_lanes) == 0;
        if (full || desk.left > 0 || self.is_paused(partition, app))
            && !self.lanes.has(partition, &identity)
            && let Some(held) = self.partitions.get_mut(&partition)
            && (full || held.left.contains_key(&app) || held.commanded.paused.contains(&identity.app_id))
        {
            held.left.entry(app).or_default().add(waiting.timestamp_ms);
            self.desks[app].left += 1;
            return;
        }
        self.put_into_lane(partition, app, identity, waiting);
    }

    fn put_into_lane(&mut self, partition: PartitionId, app: usize, identity: Identity, mut waiting: Waiting) {
        let desk = &mut self.desks[app];
        if desk.circuit.cause().is_some() {
            // It waits for a person; the memory is for the others.
            waiting.owed = None;
        }
        if let Some(lane) = self.lanes.push(partition, app, identity, waiting) {
            desk.lanes += 1;
            desk.enqueue(lane);
        }
    }

    /// Takes up what is left, where an app has room for three quarters of what it may hold: each time the store is
    /// read through.
    pub(super) fn take_up_left(&mut self) {
        if self.desks.iter().all(|desk| desk.left == 0) || !self.is_running() {
            return;
        }
        // The store may hold what a commit has written that is under way, or has failed half way.
        if self.cycle.is_under_way() || self.cycle.is_failing() {
            return;
        }
        let most = self.rules.max_lanes;
        let due: Vec<(PartitionId, usize)> = self
            .partitions
            .values()
            .flat_map(|partition| partition.left.keys().map(|app| (partition.id, *app)))
            .filter(|(id, app)| self.desks[*app].room(most) >= most - most / 4 && !self.is_paused(*id, *app))
            .collect();
        for (partition, app) in due {
            if self.desks[app].room(most) > 0
                && let Err(error) = self.take_up(partition, app)
            {
                return self.fail(error);
            }
        }
    }

    fn take_up(&mut self, id: PartitionId, app: usize) -> Result<(), PortError> {
        let Some(partition) = self.partitions.get_mut(&id) else { return Ok(()) };
        self.desks[app].left -= partition.left.remove(&app).unwrap_or_default().count;
        let app_id = &self.desks[app].app_id;
        // What was settled since the last commit still stands in the store.
        let settled: HashSet<_> = partition.overlay.settled().collect();
        let (mut found, mut taken, mut left) = (Vec::new(), HashSet::new(), Left::default());
        let room = self.desks[app].room(self.rules.max_lanes);
        let lanes = &self.lanes;
        self.ports.reader.scan_owed(&partition.source, &mut |key, entry| {
            if key.identity.app_id != *app_id || settled.contains(&key) || lanes.has(id, &key.identity) {
                return;
            }
            // The store lists debts in any order: an order is taken or left where it is first seen, with all it owes.
            if taken.len() < room && !taken.contains(&key.identity) {
                let order_id = key.identity.order_id.clone();
                taken.insert(Identity { app_id: app_id.clone(), order_id });
            }
            match taken.get(&key.identity) {
                Some(identity) => found.push((identity.clone(), key.stamp, entry.timestamp_ms)),
                None => left.add(entry.timestamp_ms),
            }
        })?;
        drop(settled);
        if left.count > 0 {
            self.desks[app].left += left.count;
            partition.left.insert(app, left);
        }
        for (identity, stamp, timestamp_ms) in found {
            self.put_into_lane(id, app, identity, Waiting { stamp, timestamp_ms, owed: None });
        }
        Ok(())
    }

    /// Deliveries owed, in memory and left to the store.
    pub(super) fn owed(&self) -> usize {
        self.desks.iter().map(|desk| desk.owed).sum()
    }
}
