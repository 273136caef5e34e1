//! Cuts that the store alone makes durable: the commit without transactions.

use super::disk::{Writes, fatal};
use super::keys;
use super::order_count::changed;
use super::sled_store::{Partition, SledStore};
use crate::sync::ports::{PartitionCut, PortError, StateWriter};

impl Partition {
    /// Applies the cut in one batch; it is on disk after the next flush.
    fn apply(&self, cut: &PartitionCut) -> Result<(), PortError> {
        self.counted(self.apply_at_once(cut))
    }

    fn apply_at_once(&self, cut: &PartitionCut) -> Result<u64, PortError> {
        let mut writes = Writes::default();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let mut orders = self.orders()?;
        for (identity, state) in &cut.states {
            keys::state(identity, &mut key);
            value.clear();
            state.encode(&mut value);
            orders = changed(orders, self.tree().get(&key)?.is_some(), true);
            writes.put(&key, &value);
        }
        for identity in &cut.removed {
            keys::state(identity, &mut key);
            orders = changed(orders, self.tree().get(&key)?.is_some(), false);
            writes.remove(&key);
        }
        writes.put(keys::ORDERS, &orders.to_le_bytes());
        writes.put(keys::POSITION, &cut.position.encode().map_err(fatal)?);
        self.apply_with(writes, &cut.letters, &cut.settled, &cut.owed)?;
        Ok(orders)
    }
}

impl StateWriter for SledStore {
    fn commit(&mut self, cuts: &[PartitionCut]) -> Result<(), PortError> {
        for cut in cuts {
            self.partition_to_write(&cut.source)?.apply(cut)?;
        }
        self.flush()
    }
}
