//! What is counted of the store and of what it remembers: orders, and dead letters that are open.

use metrics::{Counter, Gauge};

use super::metric;
use super::registry::{Registry, as_f64};

/// The meters of what is stored.
pub struct StoreMeters {
    orders: Gauge,
    restored: Counter,
    open_letters: Gauge,
    removed: Counter,
}

impl StoreMeters {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            orders: registry.gauge(&metric::STORE_ORDERS, &[]),
            restored: registry.counter(&metric::RESTORED_ORDERS, &[]),
            open_letters: registry.gauge(&metric::DEAD_LETTERS_OPEN, &[]),
            removed: registry.counter(&metric::REMOVED_ORDERS, &[]),
        }
    }

    /// The store holds `n` orders.
    pub fn orders(&self, n: u64) {
        self.orders.set(as_f64(usize::try_from(n).unwrap_or(usize::MAX)));
    }

    /// `n` orders were read back from the changelog.
    pub fn restored(&self, n: u64) {
        self.restored.increment(n);
    }

    /// `n` orders have left, as retention has it.
    pub fn removed(&self, n: u64) {
        self.removed.increment(n);
    }

    /// So many dead letters are open, of the partitions that run.
    pub fn open_letters(&self, n: u64) {
        self.open_letters.set(as_f64(usize::try_from(n).unwrap_or(usize::MAX)));
    }
}
