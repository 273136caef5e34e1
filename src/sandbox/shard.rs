//! One part of the order centre, behind one lock: orders of some hash values, their counts, and the bounds on memory.
//!
//! Over its budget it drops the oldest history entries, then the oldest orders, and counts both.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::history::{Outcome, Received};
use super::order_record::{Arrival, Ending, Fate, OrderRecord, Receipt};
use super::violation::{Violation, ViolationKind};

/// Violations of which a shard keeps the details.
const VIOLATIONS_KEPT: usize = 100;
/// What an order costs beside its texts.
const ORDER_BYTES: usize = size_of::<OrderRecord>() + 96;
/// What a history entry costs beside its body.
const ENTRY_BYTES: usize = size_of::<Received>() + size_of::<(Key, u64)>();

/// An order's place: the app, and the order's number.
type Key = (usize, Arc<str>);

/// Counts that are kept under the shard's lock, and added up for the report.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) received: u64,
    pub(super) applied: u64,
    pub(super) ignored: u64,
    pub(super) refused: u64,
    pub(super) repeats: u64,
    pub(super) err_codes: BTreeMap<i64, u64>,
    pub(super) faults: BTreeMap<Arc<str>, u64>,
    pub(super) violations: BTreeMap<ViolationKind, u64>,
    pub(super) entries_dropped: u64,
    pub(super) orders_dropped: u64,
}

/// One part of the centre.
#[derive(Default)]
pub(super) struct Shard {
    pub(super) orders: HashMap<Key, OrderRecord, FixedState>,
    pub(super) counts: Counts,
    pub(super) violations: Vec<Violation>,
    pub(super) bytes: usize,
    /// Every history entry in the order of arrival, by its order and number.
    arrivals: VecDeque<(Key, u64)>,
    births: VecDeque<Key>,
}

/// The bounds of one shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) entries_per_order: usize,
    pub(super) bytes: usize,
}

impl Shard {
    /// How often this order was pushed before.
    pub(super) fn received(&self, key: &Key) -> u64 {
        self.orders.get(key).map_or(0, |order| order.received)
    }

    /// Files a push, and keeps the bounds. The number is the push's place in flight, where it is answered later.
    pub(super) fn receive(
        &mut self,
        key: &Key,
        app_id: &Arc<str>,
        arrival: Arrival,
        fate: Fate,
        bounds: Bounds,
        later: AnsweredLater,
    ) -> (Receipt, Option<u64>) {
        let (at_ms, stamp, body_len) = (arrival.at_ms, arrival.stamp, arrival.body.len());
        if let Some(fault) = &fate.name {
            *self.counts.faults.entry(fault.clone()).or_default() += 1;
        }
        let bytes = &mut self.bytes;
        let order = self.orders.entry(key.clone()).or_insert_with(|| {
            *bytes += ORDER_BYTES + key.1.len();
            self.births.push_back(key.clone());
            OrderRecord::default()
        });
        let state_before = order.state.as_ref().map_or(0, |state| state.body.len());
        let receipt = order.receive(arrival, fate);
        let number = order.received - 1;
        let entry = order.history.back().map_or(0, |entry| entry.body.len());
        self.bytes += ENTRY_BYTES + entry;
        if receipt.outcome == Outcome::Applied {
            self.bytes = self.bytes + body_len - state_before;
        }
        self.arrivals.push_back((key.clone(), number));
        if order.history.len() > bounds.entries_per_order
            && let Some(freed) = order.forget_oldest()
        {
            self.bytes -= freed + ENTRY_BYTES;
            // The entry in `arrivals` stays until its turn comes, and is paid for.
            self.bytes += size_of::<(Key, u64)>();
            self.counts.entries_dropped += 1;
        }
        let in_flight = matches!(later, AnsweredLater::Yes).then(|| order.begin());
        let err_code = order.history.back().map_or(0, |entry| entry.err_code);
        self.count(&receipt, err_code);
        if let Some((kind, other_stamp)) = receipt.violation {
            let order_id = key.1.clone();
            self.violate(Violation { kind, at_ms, app_id: app_id.clone(), order_id, stamp, other_stamp });
        }
        self.keep_within(bounds.bytes);
        (receipt, in_flight)
    }

    fn count(&mut self, receipt: &Receipt, err_code: i64) {
        let counts = &mut self.counts;
        counts.received += 1;
        *counts.err_codes.entry(err_code).or_default() += 1;
        counts.repeats += u64::from(receipt.repeat);
        match receipt.outcome {
            Outcome::Applied => counts.applied += 1,
            Outcome::Ignored => counts.ignored += 1,
            Outcome::Refused => counts.refused += 1,
        }
    }

    /// Counts a broken rule.
    pub(super) fn violate(&mut self, violation: Violation) {
        *self.counts.violations.entry(violation.kind).or_default() += 1;
        if self.violations.len() < VIOLATIONS_KEPT {
            self.violations.push(violation);
        }
    }

    /// Ends a push in flight.
    pub(super) fn finish(&mut self, key: &Key, app_id: &Arc<str>, number: u64, ending: Ending, now_ms: u64) {
        let overlap = self.orders.get_mut(key).and_then(|order| order.finish(number, ending));
        if let Some((kind, stamp, other_stamp)) = overlap {
            let order_id = key.1.clone();
            self.violate(Violation { kind, at_ms: now_ms, app_id: app_id.clone(), order_id, stamp, other_stamp });
        }
    }

    fn keep_within(&mut self, budget: usize) {
        while self.bytes > budget {
            if let Some((key, number)) = self.arrivals.pop_front() {
                let order = self.orders.get_mut(&key);
                let order = order.filter(|order| order.history.front().is_some_and(|entry| entry.number == number));
                match order.and_then(OrderRecord::forget_oldest) {
                    Some(freed) => {
                        self.bytes -= freed + ENTRY_BYTES;
                        self.counts.entries_dropped += 1;
                    }
                    None => self.bytes = self.bytes.saturating_sub(size_of::<(Key, u64)>()),
                }
            } else if let Some(key) = self.births.pop_front() {
                if let Some(order) = self.orders.remove(&key) {
                    let state = order.state.map_or(0, |state| state.body.len());
                    self.bytes = self.bytes.saturating_sub(ORDER_BYTES + key.1.len() + state);
                    self.counts.orders_dropped += 1;
                }
            } else {
                return;
            }
        }
    }
}

/// Whether the answer waits, so that the push is in flight for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnsweredLater {
    Yes,
    No,
}

impl Counts {
    /// Adds another shard's counts.
    pub(super) fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.applied += other.applied;
        self.ignored += other.ignored;
        self.refused += other.refused;
        self.repeats += other.repeats;
        self.entries_dropped += other.entries_dropped;
        self.orders_dropped += other.orders_dropped;
        merge(&mut self.err_codes, &other.err_codes);
        merge(&mut self.faults, &other.faults);
        merge(&mut self.violations, &other.violations);
    }
}

fn merge<K: Ord + Clone>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, count) in from {
        *into.entry(key.clone()).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::super::refusal::Refusal;
    use super::*;

    fn receive(shard: &mut Shard, order: usize, stamp: i64, bounds: Bounds) {
        let body = bytes::Bytes::from(vec![0; 1000]);
        let checked: Result<(), Refusal> = Ok(());
        let (order_type, order_status, digest) = (0, None, [0; 32]);
        let arrival = Arrival { at_ms: 0, order_type, order_status, stamp: Some(stamp), digest, body, checked };
        let fate = Fate { name: None, lets_through: true, http_status: Some(200), err_code: None };
        let key = (0, order.to_string().into());
        shard.receive(&key, &"tt1".into(), arrival, fate, bounds, AnsweredLater::No);
    }

    #[test]
    fn a_hot_order_keeps_its_newest_entries() {
        let mut shard = Shard::default();
        let bounds = Bounds { entries_per_order: 3, bytes: 100_000 };
        for stamp in 0..5_000 {
            receive(&mut shard, 1, 1_694_761_400 + stamp, bounds);
        }
        let order = &shard.orders[&(0, "1".into())];
        assert_eq!(order.history.iter().map(|entry| entry.number).collect::<Vec<_>>(), [4997, 4998, 4999]);
        assert!(shard.bytes <= bounds.bytes && shard.arrivals.len() < 5_000);
        assert_eq!((shard.counts.entries_dropped, shard.counts.orders_dropped), (4997, 0));
    }

    #[test]
    fn many_orders_stay_within_the_budget() {
        let mut shard = Shard::default();
        let bounds = Bounds { entries_per_order: 3, bytes: 100_000 };
        for order in 0..500 {
            receive(&mut shard, order, 1_694_761_400, bounds);
        }
        assert!(shard.bytes <= bounds.bytes);
        assert!(shard.orders.contains_key(&(0, "499".into())) && !shard.orders.contains_key(&(0, "0".into())));
        assert_eq!(shard.counts.orders_dropped, 500 - shard.orders.len() as u64);
    }
}
