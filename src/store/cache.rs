//! The durable store as a cache of the changelog: writes that name their place in it, and partitions that are forgotten.

use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};

use super::disk::{Writes, fatal};
use super::keys;
use super::order_count::changed;
use super::sled_store::{Partition, SledStore, lock};
use crate::order::{Identity, OrderState};
use crate::record::{NextOffset, RecordOffset, TopicPartition};
use crate::sync::OwedKey;
use crate::sync::changelog::LetterStatus;
use crate::sync::command::CommandDone;
use crate::sync::log_ports::{CacheStore, CacheWrite, Checkpoint};
use crate::sync::ports::{PortError, StateReader as _};

/// The format of a checkpoint that this release writes; it reads no other.
const FORMAT: u64 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u64,
    changelog: i64,
    written_ms: i64,
}

fn encode(checkpoint: Checkpoint) -> Result<Vec<u8>, PortError> {
    let Checkpoint { changelog, written_ms } = checkpoint;
    serde_json::to_vec(&Stored { format: FORMAT, changelog: changelog.get(), written_ms }).map_err(fatal)
}

/// Where a row of a state stands, and its stored form; `None` removes it.
type StateRow = (Vec<u8>, Option<Vec<u8>>);

impl Partition {
    fn write(&self, write: CacheWrite) -> Result<(), PortError> {
        self.counted(self.write_at_once(write))
    }

    fn write_at_once(&self, mut write: CacheWrite) -> Result<u64, PortError> {
        let mut writes = Writes::default();
        let mut orders = self.orders()?;
        for (key, value) in state_rows(std::mem::take(&mut write.states)) {
            let was_there = self.tree().get(&key)?.is_some();
            orders = changed(orders, was_there, value.is_some());
            match value {
                Some(value) => writes.put(&key, &value),
                None => writes.remove(&key),
            }
        }
        self.write_rest(writes, write, orders)
    }

    fn fill(&self, write: CacheWrite) -> Result<(), PortError> {
        self.counted(self.fill_row_by_row(write))
    }

    /// States one after another in the order of their keys, which are neighbours in sled's pages; all that says how far
    /// the store has come behind them.
    fn fill_row_by_row(&self, mut write: CacheWrite) -> Result<u64, PortError> {
        let mut orders = self.orders()?;
        self.tree().replace(keys::ORDERS, None)?;
        for (key, value) in state_rows(std::mem::take(&mut write.states)) {
            let was_there = self.tree().replace(&key, value.as_deref())?;
            orders = changed(orders, was_there, value.is_some());
        }
        self.write_rest(Writes::default(), write, orders)
    }

    /// Writes everything but the states by one batch, with `writes`.
    fn write_rest(&self, mut writes: Writes, write: CacheWrite, orders: u64) -> Result<u64, PortError> {
        writes.put(keys::ORDERS, &orders.to_le_bytes());
        if let Some(position) = &write.position {
            writes.put(keys::POSITION, &position.encode().map_err(fatal)?);
        }
        if let Some(checkpoint) = write.checkpoint {
            writes.put(keys::CHECKPOINT, &encode(checkpoint)?);
        }
        for (id, done) in &write.commands {
            writes.put(&keys::command(id), &done.encode().map_err(fatal)?);
        }
        // What is read a second time is there already: it is replaced.
        let mut settled: Vec<OwedKey> = write.owed.iter().map(|(key, _)| key.clone()).collect();
        settled.extend(write.settled);
        self.apply_with(writes, &write.letters, &settled, &write.owed)?;
        Ok(orders)
    }
}

/// The rows of states in the order of their keys.
fn state_rows(states: Vec<(Identity, Option<Arc<OrderState>>)>) -> Vec<StateRow> {
    let row = |(identity, state): (Identity, Option<Arc<OrderState>>)| {
        let mut key = Vec::with_capacity(64);
        keys::state(&identity, &mut key);
        let value = state.map(|state| {
            let mut value = Vec::new();
            state.encode(&mut value);
            value
        });
        (key, value)
    };
    let mut rows: Vec<StateRow> = states.into_iter().map(row).collect();
    rows.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    rows
}

impl CacheStore for SledStore {
    fn checkpoint(&self, source: &TopicPartition) -> Result<Option<Checkpoint>, PortError> {
        let Some(partition) = self.partition(source) else { return Ok(None) };
        let Some(row) = partition.tree().get(keys::CHECKPOINT)? else { return Ok(None) };
        let stored: Stored = serde_json::from_slice(&row).map_err(|error| self.unreadable(source, &error))?;
        if stored.format != FORMAT {
            return Err(self.unreadable(source, &format!("unknown format {} of a checkpoint", stored.format)));
        }
        Ok(Some(Checkpoint { changelog: NextOffset::new(stored.changelog), written_ms: stored.written_ms }))
    }

    fn forget(&self, source: &TopicPartition) -> Result<(), PortError> {
        let Some(partition) = self.partition(source) else { return Ok(()) };
        if self.position(source)?.is_none()
            && self.checkpoint(source)?.is_none()
            && !partition.tree().any(b"", |_| Ok(true))?
        {
            return Ok(());
        }
        // The checkpoint goes first, and for good: what a crash leaves of the rest is never taken for the whole.
        let mut writes = Writes::default();
        writes.remove(keys::CHECKPOINT);
        writes.remove(keys::POSITION);
        writes.remove(keys::ORDERS);
        partition.tree().apply(writes)?;
        *lock(partition.order_count()) = None;
        self.flush()?;
        let mut owed = lock(partition.debts());
        partition.tree().clear()?;
        *owed = super::owed_log::OwedLog::default();
        *lock(partition.letters()) = super::letters::LetterIndex::default();
        drop(owed);
        self.flush()
    }

    fn write(&self, writes: Vec<CacheWrite>) -> Result<(), PortError> {
        for write in writes {
            self.partition_to_write(&write.source)?.write(write)?;
        }
        self.flush()
    }

    fn fill(&self, write: CacheWrite) -> Result<(), PortError> {
        let has_checkpoint = write.checkpoint.is_some();
        self.partition_to_write(&write.source)?.fill(write)?;
        if has_checkpoint { self.flush() } else { Ok(()) }
    }
}

impl SledStore {
    /// Every source partition that the store has rows of, in order.
    pub fn sources(&self) -> Vec<TopicPartition> {
        let mut sources: Vec<TopicPartition> =
            self.partitions().read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        sources.sort_unstable();
        sources
    }

    pub(super) fn drop_checkpoints(&self) -> Result<(), PortError> {
        for source in self.sources() {
            let Some(partition) = self.partition(&source) else { continue };
            let mut writes = Writes::default();
            writes.remove(keys::CHECKPOINT);
            partition.tree().apply(writes)?;
        }
        self.flush()
    }

    /// Calls `visit` for every state of the partition.
    pub fn scan_states(
        &self,
        source: &TopicPartition,
        visit: &mut dyn FnMut(Identity, OrderState) -> Result<(), PortError>,
    ) -> Result<(), PortError> {
        let Some(partition) = self.partition(source) else { return Ok(()) };
        partition.tree().scan(keys::STATES, |key, row| {
            let (identity, state) = self.read_state(source, key, row)?;
            visit(identity, state)
        })
    }

    pub(super) fn read_state(
        &self,
        source: &TopicPartition,
        key: &[u8],
        row: &[u8],
    ) -> Result<(Identity, OrderState), PortError> {
        let identity = keys::identity(key).ok_or_else(|| self.unreadable(source, &"a row is no state's"))?;
        Ok((identity, OrderState::decode(row).map_err(|error| self.unreadable(source, &error))?))
    }

    pub(super) fn read_letter(
        &self,
        source: &TopicPartition,
        key: &[u8],
        row: &[u8],
    ) -> Result<(RecordOffset, LetterStatus), PortError> {
        let offset = keys::letter_offset(key).ok_or_else(|| self.unreadable(source, &"a row is no letter's"))?;
        Ok((offset, LetterStatus::decode(row).map_err(|error| self.unreadable(source, &error))?))
    }

    /// Calls `visit` for every status of a dead letter of the partition.
    pub fn scan_letters(
        &self,
        source: &TopicPartition,
        visit: &mut dyn FnMut(RecordOffset, LetterStatus) -> Result<(), PortError>,
    ) -> Result<(), PortError> {
        let Some(partition) = self.partition(source) else { return Ok(()) };
        partition.tree().scan(keys::LETTERS, |key, row| {
            let (offset, status) = self.read_letter(source, key, row)?;
            visit(offset, status)
        })
    }

    /// Calls `visit` for every outcome of a command of the partition.
    pub fn scan_commands(
        &self,
        source: &TopicPartition,
        visit: &mut dyn FnMut(Box<str>, CommandDone) -> Result<(), PortError>,
    ) -> Result<(), PortError> {
        let Some(partition) = self.partition(source) else { return Ok(()) };
        partition.tree().scan(keys::COMMANDS, |key, row| {
            let id = keys::command_id(key).ok_or_else(|| self.unreadable(source, &"a row is no command's"))?;
            let done = CommandDone::decode(row).map_err(|error| self.unreadable(source, &error))?;
            visit(id, done)
        })
    }

    /// Whether the store knows where any partition stands: its directory has been in use.
    pub fn has_positions(&self) -> Result<bool, PortError> {
        for source in self.sources() {
            if self.position(&source)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
