//! Attempts whose partition is gone, and whose answers nobody waits for any more.
//!
//! Where the group gives the partition back meanwhile, as an eager rebalance does, its orders begin anew; an order that still has
//! such an attempt under way waits until that has ended, so that no two of its pushes are under way at once.

use std::collections::HashMap;

use crate::order::Identity;

/// How many such attempts each order has. Bounded by the attempts under way, each of which ends with its time-out.
#[derive(Debug, Default)]
pub struct Orphans {
    by_order: HashMap<Identity, usize>,
}

impl Orphans {
    /// An attempt of the order has lost its partition.
    pub fn add(&mut self, order: Identity) {
        *self.by_order.entry(order).or_default() += 1;
    }

    /// It has ended.
    pub fn ended(&mut self, order: &Identity) {
        if let Some(count) = self.by_order.get_mut(order) {
            *count -= 1;
            if *count == 0 {
                self.by_order.remove(order);
            }
        }
    }

    /// Whether the order has one under way.
    pub fn has(&self, order: &Identity) -> bool {
        self.by_order.contains_key(order)
    }

    /// Whether no order has any.
    pub fn is_empty(&self) -> bool {
        self.by_order.is_empty()
    }
}
