//! Lanes: the owed deliveries of each order, one after another in stamp order; different orders side by side.
//!
//! A lane decides nothing about when to try; `deliver` does. Few requests stand in memory, the rest in the store.

use std::collections::VecDeque;
use std::hash::BuildHasher as _;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::owed::{Owed, OwedKey};
use super::partition::PartitionId;
use super::ports::Ticket;
use super::rules::{LANE_BYTES_MAX, LANE_REQUESTS_MAX, LANES_DETAILED_MAX, Now};
use super::trouble::{Detail, Trouble};
use crate::douyin::verdict::{Exchange, Judgement};
use crate::order::{Identity, UpdateTime};

/// Names a lane while it lives; a number may be used again by a later lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(u32);

/// One delivery that waits in its lane.
#[derive(Debug)]
pub struct Waiting {
    /// The stamp under which it is pushed.
    pub stamp: UpdateTime,
    /// The record's timestamp, milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    /// The delivery itself, where it is in memory.
    pub owed: Option<Box<Owed>>,
}

/// Where a lane stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LanePhase {
    /// Its head may be tried: it stands in its app's queue.
    Ready,
    /// Its head is being tried.
    InFlight(Ticket),
    /// Its head failed and waits; the number tells its timer from older ones.
    Backoff(u64),
}

/// The owed deliveries of one order; never empty.
#[derive(Debug)]
pub struct Lane {
    /// The order.
    pub identity: Identity,
    /// The source partition.
    pub partition: PartitionId,
    /// The app's place in the config.
    pub app: usize,
    /// Where it stands.
    pub phase: LanePhase,
    /// What its head has been through; `None` until it fails.
    pub trouble: Option<Box<Trouble>>,
    queue: VecDeque<Waiting>,
}

impl Lane {
    /// The delivery whose turn it is.
    pub fn head(&self) -> Option<&Waiting> {
        self.queue.front()
    }

    /// What it owes, in stamp order.
    pub fn waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.queue.iter()
    }

    /// The key of the head.
    pub fn head_key(&self) -> Option<OwedKey> {
        self.head().map(|w| OwedKey { identity: self.identity.clone(), stamp: w.stamp })
    }

    /// Stamps of a lane grow. What the store lists at an assignment comes in any order, before anything is tried.
    fn take_in(&mut self, waiting: Waiting) {
        let at = match self.queue.back() {
            Some(last) if last.stamp > waiting.stamp => self.queue.partition_point(|w| w.stamp < waiting.stamp),
            Some(_) | None => self.queue.len(),
        };
        debug_assert!(at > 0 || self.phase == LanePhase::Ready, "the head is not replaced while it is tried");
        self.queue.insert(at, waiting);
    }

    fn hash(&self, hasher: &RandomState) -> u64 {
        hasher.hash_one((self.partition, &self.identity))
    }

    /// How many deliveries it owes.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether its head has failed, but for refused tokens and as a probe.
    pub fn is_failing(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.failures > 0)
    }

    fn is_detailed(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.detail == Detail::Full)
    }

    /// A lane is never empty.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// What became of a lane when its head was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterHead {
    /// The next delivery's turn has come.
    Next,
    /// Nothing is owed any more; the lane is gone.
    Empty,
}

/// All lanes of the worker.
#[derive(Debug, Default)]
pub struct Lanes {
    slots: Vec<Option<Lane>>,
    free: Vec<u32>,
    /// By the order's identity, which stands in the lane alone.
    by_order: HashTable<LaneId>,
    hasher: RandomState,
    bytes: usize,
    detailed: usize,
}

impl Lanes {
    /// Bytes of the requests in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the order has a lane.
    pub fn has(&self, partition: PartitionId, identity: &Identity) -> bool {
        let hash = self.hasher.hash_one((partition, identity));
        self.by_order.find(hash, |id| self.is(*id, partition, identity)).is_some()
    }

    /// The lane, while it lives.
    pub fn get(&self, id: LaneId) -> Option<&Lane> {
        self.slots.get(index(id)).and_then(Option::as_ref)
    }

    /// The lane, while it lives.
    pub fn get_mut(&mut self, id: LaneId) -> Option<&mut Lane> {
        self.slots.get_mut(index(id)).and_then(Option::as_mut)
    }

    /// All lanes.
    pub fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.slots.iter().flatten()
    }

    /// Puts a delivery into its order's lane, at the end but for what is read from the store. `Some` where the lane is new, and so ready.
    pub fn push(
        &mut self,
        partition: PartitionId,
        app: usize,
        identity: Identity,
        mut waiting: Waiting,
    ) -> Option<LaneId> {
        let hash = self.hasher.hash_one((partition, &identity));
        let known = self.by_order.find(hash, |id| self.is(*id, partition, &identity)).copied();
        let lane = known.and_then(|id| self.slots.get_mut(index(id)).and_then(Option::as_mut));
        let ahead = lane.as_ref().map_or(0, |lane| lane.queue.len());
        if self.bytes >= LANE_BYTES_MAX || ahead >= LANE_REQUESTS_MAX {
            waiting.owed = None;
        }
        self.bytes += request_bytes(&waiting);
        if let Some(lane) = lane {
            lane.take_in(waiting);
            return None;
        }
        let lane =
            Lane { identity, partition, app, phase: LanePhase::Ready, trouble: None, queue: VecDeque::from([waiting]) };
        let id = self.insert(lane);
        let Self { slots, hasher, by_order, .. } = self;
        by_order
            .insert_unique(hash, id, |id| slots.get(index(*id)).and_then(Option::as_ref).map_or(0, |l| l.hash(hasher)));
        Some(id)
    }

    /// Takes the head off its lane: it is settled.
    pub fn settle_head(&mut self, id: LaneId) -> Option<(Waiting, AfterHead)> {
        let lane = self.slots.get_mut(index(id)).and_then(Option::as_mut)?;
        let head = lane.queue.pop_front()?;
        self.detailed -= usize::from(lane.is_detailed());
        lane.trouble = None;
        let after = if lane.queue.is_empty() { AfterHead::Empty } else { AfterHead::Next };
        self.bytes -= request_bytes(&head);
        if after == AfterHead::Empty {
            self.remove(id);
        }
        Some((head, after))
    }

    /// Keeps a request that was loaded from the store with its head.
    pub fn put_head(&mut self, id: LaneId, owed: Owed) {
        let Some(lane) = self.slots.get_mut(index(id)).and_then(Option::as_mut) else { return };
        if let Some(head) = lane.queue.front_mut() {
            self.bytes -= request_bytes(head);
            head.owed = Some(Box::new(owed));
            self.bytes += request_bytes(head);
        }
    }

    /// Lets the requests of a lane go; the store has them. A lane that waits long costs no memory to speak of.
    pub fn drop_requests(&mut self, id: LaneId) {
        let Some(lane) = self.slots.get_mut(index(id)).and_then(Option::as_mut) else { return };
        for waiting in &mut lane.queue {
            self.bytes -= request_bytes(waiting);
            waiting.owed = None;
        }
    }

    /// Lets the requests of all lanes of an app go.
    pub fn drop_requests_of(&mut self, app: usize) {
        for lane in self.slots.iter_mut().flatten().filter(|lane| lane.app == app) {
            for waiting in &mut lane.queue {
                self.bytes -= request_bytes(waiting);
                waiting.owed = None;
            }
        }
    }

    /// Notes an attempt of the head that was not accepted: in full for so many lanes, in brief for the others.
    pub fn note(&mut self, id: LaneId, exchange: &Exchange, judgement: &Judgement, latency: Duration, now: Now) {
        let Some(lane) = self.slots.get_mut(index(id)).and_then(Option::as_mut) else { return };
        let trouble = lane.trouble.get_or_insert_default();
        if trouble.detail == Detail::Brief && self.detailed < LANES_DETAILED_MAX {
            trouble.detail = Detail::Full;
            self.detailed += 1;
        }
        trouble.note(exchange, judgement, latency, now);
    }

    /// The lanes of which this is true.
    pub fn ids_where<C: FromIterator<LaneId>>(&self, is: impl Fn(&Lane) -> bool) -> C {
        self.by_order.iter().copied().filter(|id| self.get(*id).is_some_and(&is)).collect()
    }

    /// Takes a lane away, with what it owes.
    pub fn take(&mut self, id: LaneId) -> Option<Lane> {
        let lane = self.remove(id)?;
        self.bytes -= lane.queue.iter().map(request_bytes).sum::<usize>();
        Some(lane)
    }

    /// Removes every lane of a partition and gives them back.
    pub fn remove_partition(&mut self, partition: PartitionId) -> Vec<(LaneId, Lane)> {
        let ids: Vec<LaneId> = self.ids_where(|lane| lane.partition == partition);
        ids.into_iter().filter_map(|id| Some((id, self.take(id)?))).collect()
    }

    fn is(&self, id: LaneId, partition: PartitionId, identity: &Identity) -> bool {
        self.get(id).is_some_and(|lane| lane.partition == partition && lane.identity == *identity)
    }

    fn insert(&mut self, lane: Lane) -> LaneId {
        if let Some(slot) = self.free.pop() {
            let id = LaneId(slot);
            self.slots[index(id)] = Some(lane);
            return id;
        }
        let id = LaneId(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        self.slots.push(Some(lane));
        id
    }

    fn remove(&mut self, id: LaneId) -> Option<Lane> {
        let lane = self.slots.get_mut(index(id))?.take()?;
        self.detailed -= usize::from(lane.is_detailed());
        if let Ok(entry) = self.by_order.find_entry(lane.hash(&self.hasher), |known| *known == id) {
            entry.remove();
        }
        self.free.push(id.0);
        Some(lane)
    }
}

fn index(id: LaneId) -> usize {
    usize::try_from(id.0).unwrap_or(usize::MAX)
}

fn request_bytes(waiting: &Waiting) -> usize {
    waiting.owed.as_ref().map_or(0, |owed| owed.request.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::douyin::verdict::{Break, Verdict};
    use crate::order::AppId;

    #[test]
    fn attempts_are_kept_in_detail_for_so_many_lanes_and_in_brief_for_the_others() {
        let mut lanes = Lanes::default();
        let judgement =
            Judgement { verdict: Verdict::Retry, rule: "timeout".into(), err_code: None, retry_after: None };
        let (exchange, now) = (Exchange::Broken(Break::Timeout), Now { mono: Duration::ZERO, wall_ms: 0 });
        let mut ids = Vec::new();
        for order in 0..LANES_DETAILED_MAX + 10 {
            let waiting = Waiting { stamp: UpdateTime(1), timestamp_ms: None, owed: None };
            let identity = Identity::new(AppId::new("tt1"), order.to_string().as_str());
            ids.extend(lanes.push(PartitionId(1), 0, identity, waiting));
        }
        for id in &ids {
            (0..3).for_each(|_| lanes.note(*id, &exchange, &judgement, Duration::ZERO, now));
        }
        let kept = |lanes: &Lanes, id| lanes.get(id).unwrap().trouble.as_ref().unwrap().log_text().lines().count();
        assert_eq!(ids.iter().filter(|id| kept(&lanes, **id) == 3).count(), LANES_DETAILED_MAX);
        let (first, last) = (ids[0], ids[ids.len() - 1]);
        assert_eq!(kept(&lanes, last), 1);
        lanes.settle_head(first).unwrap();
        lanes.note(last, &exchange, &judgement, Duration::ZERO, now);
        assert_eq!(kept(&lanes, last), 2, "there is room for it now");
    }
}
