//! The order centre: every order by app and number, spread over shards with a lock each.
//!
//! It knows neither HTTP nor tokens.

use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;

use super::history::{OrderView, Received};
use super::order_record::{Arrival, Ending, Fate, OrderRecord, Receipt};
use super::shard::{AnsweredLater, Bounds, Counts, Shard};
use super::violation::Violation;

/// Enough that two threads seldom meet.
const SHARDS: usize = 64;

/// All orders.
pub(super) struct Centre {
    shards: Vec<Mutex<Shard>>,
    bounds: Bounds,
}

/// An order's name: the app by place and id, and the order's number.
#[derive(Clone, Debug)]
pub(super) struct OrderName {
    pub(super) app: usize,
    pub(super) app_id: Arc<str>,
    pub(super) order_id: Arc<str>,
}

/// What the report takes from the centre.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) counts: Counts,
    pub(super) violations: Vec<Violation>,
    pub(super) orders: u64,
    pub(super) bytes: usize,
}

impl Centre {
    pub(super) fn new(entries_per_order: usize, bytes: usize) -> Self {
        let bounds = Bounds { entries_per_order: entries_per_order.max(1), bytes: bytes / SHARDS };
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), bounds }
    }

    fn shard(&self, app: usize, order_id: &str) -> MutexGuard<'_, Shard> {
        let hash = FixedState::with_seed(0x5eed).hash_one((app, order_id));
        let place = usize::try_from(hash % SHARDS as u64).unwrap_or_default();
        lock(&self.shards[place])
    }

    /// Files a push; `decide` draws its fate from how often the order was pushed before.
    pub(super) fn receive(
        &self,
        name: &OrderName,
        arrival: Arrival,
        decide: impl FnOnce(u64) -> (Fate, AnsweredLater),
    ) -> (Receipt, Option<u64>) {
        let key = (name.app, name.order_id.clone());
        let mut shard = self.shard(name.app, &name.order_id);
        let (fate, later) = decide(shard.received(&key));
        shard.receive(&key, &name.app_id, arrival, fate, self.bounds, later)
    }

    /// Ends a push in flight.
    pub(super) fn finish(&self, name: &OrderName, number: u64, ending: Ending, now_ms: u64) {
        let key = (name.app, name.order_id.clone());
        self.shard(name.app, &name.order_id).finish(&key, &name.app_id, number, ending, now_ms);
    }

    /// One order.
    pub(super) fn order(&self, name: &OrderName) -> Option<OrderView> {
        let shard = self.shard(name.app, &name.order_id);
        shard.orders.get(&(name.app, name.order_id.clone())).map(|record| view(&name.app_id, &name.order_id, record))
    }

    /// What is remembered of an order's pushes, oldest first.
    pub(super) fn history(&self, name: &OrderName) -> Vec<Received> {
        let shard = self.shard(name.app, &name.order_id);
        let record = shard.orders.get(&(name.app, name.order_id.clone()));
        record.map(|record| record.history.iter().cloned().collect()).unwrap_or_default()
    }

    /// Every order for which `wanted` says so, in no order; the app ids are looked up by place.
    pub(super) fn orders(&self, app_id: impl Fn(usize) -> Arc<str>) -> Vec<OrderView> {
        let mut views = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            views.extend(shard.orders.iter().map(|((app, order_id), record)| view(&app_id(*app), order_id, record)));
        }
        views
    }

    /// Counts and violations of all shards.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for shard in &self.shards {
            let shard = lock(shard);
            totals.orders += shard.orders.len() as u64;
            totals.bytes += shard.bytes;
            totals.violations.extend(shard.violations.iter().cloned());
            totals.counts.add(&shard.counts);
        }
        totals.violations.sort_by_key(|violation| violation.at_ms);
        totals
    }

    /// Forgets everything.
    pub(super) fn reset(&self) {
        for shard in &self.shards {
            *lock(shard) = Shard::default();
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn view(app_id: &Arc<str>, order_id: &Arc<str>, record: &OrderRecord) -> OrderView {
    let state = record.state.as_ref();
    OrderView {
        app_id: app_id.clone(),
        order_id: order_id.clone(),
        order_type: record.order_type,
        stamp: state.map(|state| state.stamp),
        order_status: state.and_then(|state| state.order_status),
        applied_at_ms: state.map(|state| state.at_ms),
        received: record.received,
        body: state.map(|state| state.body.clone()).unwrap_or_default(),
    }
}
