//! The in-memory twin of the sled store: the same contract, deterministic, for tests and simulation.
//!
//! It survives nothing but [`MemoryStore::crash`], which keeps what was flushed and drops what was not.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::units::{self, Units};
use crate::order::{AppId, Identity, OrderState};
use crate::record::{RecordOffset, TopicPartition};
use crate::sync::changelog::LetterStatus;
use crate::sync::command::CommandDone;
use crate::sync::log_ports::{CacheStore, CacheWrite, Checkpoint};
use crate::sync::ports::{
    OrderCount, OwedEntry, PartitionCut, PortError, Position, StateReader, StateWriter, UnitLedger,
};
use crate::sync::statuses::{OpenLetters, Statuses};
use crate::sync::{Owed, OwedKey};

/// A store in memory. Clones share one content, as reader and writer of a worker do.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    content: Arc<Mutex<Content>>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    partitions: BTreeMap<TopicPartition, Partition>,
    units: Units,
    staged: Vec<PartitionCut>,
}

#[derive(Clone, Debug, Default)]
struct Partition {
    position: Option<Position>,
    checkpoint: Option<Checkpoint>,
    states: BTreeMap<Identity, Arc<OrderState>>,
    owed: BTreeMap<OwedKey, Owed>,
    letters: Statuses,
    commands: BTreeMap<Box<str>, CommandDone>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first half of a commit: the cuts are written, but not on disk. Readers do not see them yet.
    pub fn stage(&self, cuts: &[PartitionCut]) {
        self.content().staged.extend_from_slice(cuts);
    }

    /// The second half of a commit: everything staged is on disk.
    pub fn flush(&self) {
        let mut content = self.content();
        let staged = std::mem::take(&mut content.staged);
        content.apply(staged);
    }

    /// The process dies while a commit is under way: the first `survivors` staged cuts had reached the disk, whole;
    /// the others are gone. (The store is atomic within a partition, not across partitions.) Returns the store as the
    /// next process finds it; handles of the old process keep a content of their own, which leads nowhere.
    #[must_use]
    pub fn crash(&self, survivors: usize) -> Self {
        let mut content = self.content().clone();
        let mut staged = std::mem::take(&mut content.staged);
        staged.truncate(survivors);
        content.apply(staged);
        Self { content: Arc::new(Mutex::new(content)) }
    }

    /// Up to `rows` states behind `after`.
    pub(super) fn states_behind(
        &self,
        source: &TopicPartition,
        after: Option<&Identity>,
        rows: usize,
    ) -> Vec<(Identity, Arc<OrderState>)> {
        let content = self.content();
        let Some(partition) = content.partitions.get(source) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = partition.states.range::<Identity, _>((from, Bound::Unbounded));
        behind.take(rows).map(|(identity, state)| (identity.clone(), Arc::clone(state))).collect()
    }

    /// The same for the statuses of dead letters.
    pub(super) fn letters_behind(
        &self,
        source: &TopicPartition,
        after: Option<RecordOffset>,
        rows: usize,
    ) -> Vec<(RecordOffset, LetterStatus)> {
        let content = self.content();
        let letters = content.partitions.get(source).into_iter().flat_map(|partition| partition.letters.iter());
        let behind = letters.filter(|(offset, _)| after.is_none_or(|after| *offset > after));
        behind.filter_map(|(offset, status)| Some((offset, status?.clone()))).take(rows).collect()
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // Every change under the lock is whole or not begun, so a panic elsewhere leaves the content sound.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn apply(&mut self, cuts: Vec<PartitionCut>) {
        for cut in cuts {
            let partition = self.partitions.entry(cut.source).or_default();
            partition.states.extend(cut.states);
            for key in &cut.settled {
                partition.owed.remove(key);
            }
            partition.owed.extend(cut.owed);
            for (offset, status) in cut.letters {
                partition.letters.put(offset, status);
            }
            for identity in &cut.removed {
                partition.states.remove(identity);
            }
            partition.position = Some(cut.position);
        }
    }
}

impl Partition {
    fn has_milliseconds(&self, app_id: &AppId) -> bool {
        let removed = self.position.iter().filter_map(|position| position.removed_stamps.get(app_id));
        let states = self.states.iter().filter(|(identity, _)| identity.app_id == *app_id);
        removed.chain(states.map(|(_, state)| &state.update_time)).any(|stamp| stamp.is_milliseconds())
    }
}

impl StateReader for MemoryStore {
    fn position(&self, source: &TopicPartition) -> Result<Option<Position>, PortError> {
        Ok(self.content().partitions.get(source).and_then(|p| p.position.clone()))
    }

    fn state(&self, source: &TopicPartition, identity: &Identity) -> Result<Option<Arc<OrderState>>, PortError> {
        let content = self.content();
        let state = content.partitions.get(source).and_then(|p| p.states.get(identity));
        Ok(state.cloned())
    }

    fn scan_owed(&self, source: &TopicPartition, visit: &mut dyn FnMut(OwedKey, OwedEntry)) -> Result<(), PortError> {
        let content = self.content();
        for (key, owed) in content.partitions.get(source).into_iter().flat_map(|p| &p.owed) {
            visit(key.clone(), owed.entry());
        }
        Ok(())
    }

    fn owed(&self, source: &TopicPartition, key: &OwedKey) -> Result<Option<Owed>, PortError> {
        Ok(self.content().partitions.get(source).and_then(|p| p.owed.get(key).cloned()))
    }

    fn letter(&self, source: &TopicPartition, offset: RecordOffset) -> Result<Option<LetterStatus>, PortError> {
        Ok(self.content().partitions.get(source).and_then(|p| p.letters.get(offset).flatten().cloned()))
    }

    fn open_letters(&self, source: &TopicPartition, identity: &Identity) -> Result<OpenLetters, PortError> {
        let mut open = OpenLetters::new();
        if let Some(partition) = self.content().partitions.get(source) {
            partition.letters.lay_over(identity, &mut open);
        }
        Ok(open)
    }

    fn open_letter_count(&self, source: &TopicPartition) -> Result<u64, PortError> {
        let content = self.content();
        let letters = content.partitions.get(source).into_iter().flat_map(|partition| partition.letters.iter());
        let open = letters.filter(|(_, status)| status.is_some_and(LetterStatus::is_open)).count();
        Ok(u64::try_from(open).unwrap_or(u64::MAX))
    }

    fn command(&self, source: &TopicPartition, id: &str) -> Result<Option<CommandDone>, PortError> {
        Ok(self.content().partitions.get(source).and_then(|p| p.commands.get(id).cloned()))
    }
}

impl OrderCount for MemoryStore {
    fn orders(&self) -> Result<u64, PortError> {
        Ok(self.content().partitions.values().map(|p| u64::try_from(p.states.len()).unwrap_or(u64::MAX)).sum())
    }
}

impl CacheStore for MemoryStore {
    fn checkpoint(&self, source: &TopicPartition) -> Result<Option<Checkpoint>, PortError> {
        Ok(self.content().partitions.get(source).and_then(|p| p.checkpoint))
    }

    fn forget(&self, source: &TopicPartition) -> Result<(), PortError> {
        self.content().partitions.remove(source);
        Ok(())
    }

    fn write(&self, writes: Vec<CacheWrite>) -> Result<(), PortError> {
        let mut content = self.content();
        for write in writes {
            let partition = content.partitions.entry(write.source).or_default();
            for (identity, state) in write.states {
                match state {
                    Some(state) => drop(partition.states.insert(identity, state)),
                    None => drop(partition.states.remove(&identity)),
                }
            }
            for key in &write.settled {
                partition.owed.remove(key);
            }
            partition.owed.extend(write.owed);
            for (offset, status) in write.letters {
                partition.letters.put(offset, status);
            }
            partition.commands.extend(write.commands);
            partition.position = write.position.or(partition.position.take());
            partition.checkpoint = write.checkpoint.or(partition.checkpoint);
        }
        Ok(())
    }
}

impl StateWriter for MemoryStore {
    fn commit(&mut self, cuts: &[PartitionCut]) -> Result<(), PortError> {
        self.stage(cuts);
        self.flush();
        Ok(())
    }
}

impl UnitLedger for MemoryStore {
    fn agree_units(&mut self, units: &Units) -> Result<Units, PortError> {
        let mut content = self.content();
        let has_milliseconds = |app_id: &AppId| Ok(content.partitions.values().any(|p| p.has_milliseconds(app_id)));
        let agreed = units::agree(&content.units, units, has_milliseconds)?;
        Ok(std::mem::replace(&mut content.units, agreed))
    }
}
