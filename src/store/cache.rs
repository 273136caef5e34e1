//! The durable store as a cache of the changelog: writes that name their place in it, and partitions that are forgotten.

use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use super::disk::{Writes, fatal};
use super::keys;
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

impl Partition {
    fn orders(&self) -> Result<u64, PortError> {
        let row = self.tree().get(keys::ORDERS)?;
        Ok(row.and_then(|row| row.first_chunk().copied()).map_or(0, u64::from_le_bytes))
    }

    fn write(&self, write: CacheWrite) -> Result<(), PortError> {
        let mut writes = Writes::default();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let mut orders = self.orders()?;
        for (identity, state) in &write.states {
            keys::state(identity, &mut key);
            let is_there = self.tree().get(&key)?.is_some();
            match (state.is_some(), is_there) {
                (true, false) => orders += 1,
                (false, true) => orders = orders.saturating_sub(1),
                (true, true) | (false, false) => {}
            }
            match state {
                Some(state) => {
                    value.clear();
                    state.encode(&mut value);
                    writes.put(&key, &value);
                }
                None => writes.remove(&key),
            }
        }
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
        self.apply_with(writes, &write.letters, &settled, &write.owed)
    }
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
        partition.tree().apply(writes)?;
        self.flush()?;
        let mut owed = lock(partition.debts());
        partition.tree().clear()?;
        *owed = super::owed_log::OwedLog::default();
        *lock(partition.letters()) = super::letters::LetterIndex::default();
        drop(owed);
        self.flush()
    }

    fn orders(&self) -> Result<u64, PortError> {
        let partitions = self.partitions().read().unwrap_or_else(PoisonError::into_inner);
        partitions.values().map(|partition| partition.orders()).sum()
    }

    fn write(&self, writes: Vec<CacheWrite>) -> Result<(), PortError> {
        for write in writes {
            self.partition_to_write(&write.source)?.write(write)?;
        }
        self.flush()
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
