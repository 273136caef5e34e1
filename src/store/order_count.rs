//! How many orders each partition holds: a row of its own, written with every batch that changes it.

use std::sync::PoisonError;

use super::keys;
use super::sled_store::{Partition, SledStore, lock};
use crate::sync::ports::{OrderCount, PortError};

impl Partition {
    /// How many orders the tree holds. The row of it is missing while a restore fills the tree, and after a crash in the
    /// middle of that: then they are counted.
    pub(super) fn orders(&self) -> Result<u64, PortError> {
        if let Some(orders) = *lock(self.order_count()) {
            return Ok(orders);
        }
        let row = self.tree().get(keys::ORDERS)?;
        let mut orders = row.and_then(|row| row.first_chunk().copied()).map(u64::from_le_bytes);
        if orders.is_none() {
            let mut count = 0;
            self.tree().scan(keys::STATES, |_, _| {
                count += 1;
                Ok(())
            })?;
            orders = Some(count);
        }
        *lock(self.order_count()) = orders;
        Ok(orders.unwrap_or_default())
    }

    /// Remembers the count after a write; one that has failed half-way leaves it open.
    pub(super) fn counted(&self, written: Result<u64, PortError>) -> Result<(), PortError> {
        *lock(self.order_count()) = written.as_ref().ok().copied();
        written.map(drop)
    }
}

/// The count after a row was set or removed.
pub(super) fn changed(orders: u64, was_there: bool, is_there: bool) -> u64 {
    match (was_there, is_there) {
        (false, true) => orders + 1,
        (true, false) => orders.saturating_sub(1),
        (true, true) | (false, false) => orders,
    }
}

impl OrderCount for SledStore {
    fn orders(&self) -> Result<u64, PortError> {
        let partitions = self.partitions().read().unwrap_or_else(PoisonError::into_inner);
        partitions.values().map(|partition| partition.orders()).sum()
    }
}
