//! The durable store: one tree per source partition, one batch per cut, on disk before a commit returns.
//!
//! It keeps what it is given and decides nothing. Words for what lies where are in `keys`, `chunk` and `owed_log`.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::chunk::{self, ChunkError};
use super::disk::{self, Disk, Row, Tree, Writes, damaged};
use super::keys;
use super::letters::{self, LetterIndex, LetterPlan};
use super::meta::{Meta, Owner};
use super::owed_log::{self, OwedLog};
use super::units::{self, Units};
use crate::config;
use crate::order::{AppId, Identity, OrderState, TimeUnit, UpdateTime};
use crate::record::{RecordOffset, TopicPartition};
use crate::sync::changelog::LetterStatus;
use crate::sync::command::CommandDone;
use crate::sync::ports::{OwedEntry, PortError, Position, StateReader, UnitLedger};
use crate::sync::statuses::OpenLetters;
use crate::sync::{Owed, OwedKey};

/// The store in its directory. Clones share it, as reader and writer of a worker do; commits come from one of them.
#[derive(Clone, Debug)]
pub struct SledStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    disk: Disk,
    path: PathBuf,
    meta: Mutex<Meta>,
    partitions: RwLock<HashMap<TopicPartition, Arc<Partition>>>,
}

#[derive(Debug)]
pub(super) struct Partition {
    tree: Tree,
    /// Held while a batch is applied: a reader finds the index and the chunks that go with it.
    owed: Mutex<OwedLog>,
    /// The same for the statuses of dead letters; taken behind `owed` where both are.
    letters: Mutex<LetterIndex>,
    /// How many orders the tree holds, once that was asked for; held for a moment only.
    orders: Mutex<Option<u64>>,
}

impl SledStore {
    /// Opens the directory of `[store] path`, or makes it. Refused with words: a directory that another process has
    /// open, that belongs to another group or cluster, that another format wrote, or that cannot be read. The index
    /// of what is owed is read here: about a second per million of deliveries.
    pub fn open(config: &config::Store, owner: &Owner) -> Result<Self, PortError> {
        let store = Self::open_as_is(config, owner)?;
        let used = store.has_positions()?;
        let shared = &store.shared;
        lock(&shared.meta).agree_changelog(&shared.disk, &shared.path, owner, used)?;
        Ok(store)
    }

    /// The same for one who looks on only: the store may be the only copy or a cache, whatever the settings say.
    pub fn open_as_is(config: &config::Store, owner: &Owner) -> Result<Self, PortError> {
        let path = config.path.clone();
        let disk = Disk::open(&path, config.cache_bytes)?;
        let meta = Meta::open(&disk, &path, owner)?;
        let mut partitions = HashMap::new();
        for name in disk.tree_names() {
            if let Some(source) = keys::source(&name) {
                partitions.insert(source, Arc::new(Partition::open(&disk, &name)?));
            }
        }
        Ok(Self {
            shared: Arc::new(Shared { disk, path, meta: Mutex::new(meta), partitions: RwLock::new(partitions) }),
        })
    }

    /// The store's own id: 32 hexadecimal digits, drawn when it was made; a copy of the directory has the same.
    pub fn store_id(&self) -> String {
        lock(&self.shared.meta).store_id().to_owned()
    }

    /// Whether [`UnitLedger::agree_units`] would take these units; gives back what it would. Nothing is remembered by asking.
    pub fn check_units(&self, units: &Units) -> Result<Units, PortError> {
        let meta = lock(&self.shared.meta);
        units::agree(meta.units(), units, |app_id| self.has_milliseconds(app_id))?;
        Ok(meta.units().clone())
    }

    /// The changelog that it is a cache of; `None` where it is the only copy.
    pub fn changelog(&self) -> Option<String> {
        lock(&self.shared.meta).changelog().map(str::to_owned)
    }

    /// Whether [`SledStore::open`] would take it for this regime. Nothing is remembered by asking.
    pub fn check_changelog(&self, owner: &Owner) -> Result<(), PortError> {
        let used = self.has_positions()?;
        lock(&self.shared.meta).check_changelog(&self.shared.path, owner, used)
    }

    /// From now on the store is a cache of this changelog, which holds all that it holds. Places in an earlier one mean
    /// nothing there: what the store has is read anew from this one.
    pub fn adopt_changelog(&self, topic: &str) -> Result<(), PortError> {
        self.drop_checkpoints()?;
        lock(&self.shared.meta).set_changelog(&self.shared.disk, Some(topic))
    }

    /// The store is about to become the only copy of what its changelog has. Until it is, nobody takes it for one, also where it
    /// has lost its positions.
    pub fn begin_detaching(&self) -> Result<(), PortError> {
        lock(&self.shared.meta).begin_detaching(&self.shared.disk)
    }

    /// Remembers which of these apps have stamps in milliseconds here: what is read from a changelog was agreed with no settings
    /// of this store.
    pub fn learn_milliseconds<'a>(&self, apps: impl Iterator<Item = &'a AppId>) -> Result<(), PortError> {
        let mut units = lock(&self.shared.meta).units().clone();
        for app_id in apps {
            if self.has_milliseconds(app_id)? {
                units.insert(app_id.clone(), TimeUnit::Milliseconds);
            }
        }
        lock(&self.shared.meta).set_units(&self.shared.disk, units)
    }

    /// From now on the store is no cache, but the only copy of what it holds.
    pub fn become_only_copy(&self) -> Result<(), PortError> {
        self.drop_checkpoints()?;
        lock(&self.shared.meta).set_changelog(&self.shared.disk, None)
    }

    /// Refuses the store where it belongs to another cluster; one that knew none remembers this one.
    pub fn agree_cluster(&self, cluster_id: &str) -> Result<(), PortError> {
        lock(&self.shared.meta).agree_cluster(&self.shared.disk, &self.shared.path, cluster_id)
    }

    /// Refuses the store where it belongs to another cluster; remembers nothing.
    pub fn check_cluster(&self, cluster_id: &str) -> Result<(), PortError> {
        lock(&self.shared.meta).check_cluster(&self.shared.path, cluster_id)
    }

    /// How many deliveries the partition owes.
    pub fn owed_count(&self, source: &TopicPartition) -> usize {
        self.partition(source).map_or(0, |partition| lock(&partition.owed).len())
    }

    pub(super) fn partition(&self, source: &TopicPartition) -> Option<Arc<Partition>> {
        self.shared.partitions.read().unwrap_or_else(PoisonError::into_inner).get(source).cloned()
    }

    pub(super) fn partition_to_write(&self, source: &TopicPartition) -> Result<Arc<Partition>, PortError> {
        if let Some(partition) = self.partition(source) {
            return Ok(partition);
        }
        let partition = Arc::new(Partition::open(&self.shared.disk, &keys::tree(source))?);
        let mut partitions = self.shared.partitions.write().unwrap_or_else(PoisonError::into_inner);
        Ok(partitions.entry(source.clone()).or_insert(partition).clone())
    }

    /// Names the directory in an error about one of its rows.
    pub(super) fn unreadable(&self, source: &TopicPartition, error: &impl ToString) -> PortError {
        disk::unreadable(&self.shared.path, &format!("partition {source}: {}", error.to_string()))
    }

    pub(super) fn partitions(&self) -> &RwLock<HashMap<TopicPartition, Arc<Partition>>> {
        &self.shared.partitions
    }

    pub(super) fn flush(&self) -> Result<(), PortError> {
        self.shared.disk.flush()
    }

    fn has_milliseconds(&self, app_id: &AppId) -> Result<bool, PortError> {
        let partitions = self.shared.partitions.read().unwrap_or_else(PoisonError::into_inner);
        for (source, partition) in partitions.iter() {
            if partition.has_milliseconds(app_id).map_err(|error| self.unreadable(source, &error))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Partition {
    fn open(disk: &Disk, name: &[u8]) -> Result<Self, PortError> {
        let tree = disk.tree(name)?;
        let mut marks: HashMap<u64, BTreeSet<u32>> = HashMap::new();
        tree.scan(keys::MARKS, |key, row| {
            let number = number(key)?;
            marks.insert(number, owed_log::marks(row).map_err(damaged)?);
            Ok(())
        })?;
        let mut owed = OwedLog::default();
        tree.scan(keys::CHUNKS, |key, row| {
            let number = number(key)?;
            owed.load(number, row, marks.remove(&number).unwrap_or_default()).map_err(damaged)
        })?;
        let letters = LetterIndex::load(&tree)?;
        Ok(Self { tree, owed: Mutex::new(owed), letters: Mutex::new(letters), orders: Mutex::new(None) })
    }

    /// Whether a stamp of the app is one of milliseconds: that of an order, or of one that retention has removed.
    fn has_milliseconds(&self, app_id: &AppId) -> Result<bool, PortError> {
        let position = self.tree.get(keys::POSITION)?;
        let position = position.map(|row| Position::decode(&row)).transpose().map_err(damaged)?;
        if position.and_then(|p| p.removed_stamps.get(app_id).copied()).is_some_and(UpdateTime::is_milliseconds) {
            return Ok(true);
        }
        let mut prefix = Vec::new();
        keys::states(app_id, &mut prefix);
        let test = |row: &[u8]| Ok(OrderState::decode(row).map_err(damaged)?.update_time.is_milliseconds());
        self.tree.any(&prefix, test)
    }

    fn chunk(&self, number: u64) -> Result<Row, PortError> {
        let row = self.tree.get(&keys::numbered(keys::CHUNKS, number))?;
        row.ok_or_else(|| PortError::Damaged(format!("chunk {number} of the owed deliveries is gone")))
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(super) fn debts(&self) -> &Mutex<OwedLog> {
        &self.owed
    }

    pub(super) fn letters(&self) -> &Mutex<LetterIndex> {
        &self.letters
    }

    pub(super) fn order_count(&self) -> &Mutex<Option<u64>> {
        &self.orders
    }

    /// Adds statuses, settled and new debts to what is written, and applies all of it in one batch.
    pub(super) fn apply_with(
        &self,
        mut writes: Writes,
        letters: &[(RecordOffset, Option<LetterStatus>)],
        settled: &[OwedKey],
        new: &[(OwedKey, Owed)],
    ) -> Result<(), PortError> {
        let mut owed = lock(&self.owed);
        let mut index = lock(&self.letters);
        let statuses = LetterPlan::new(&self.tree, letters, &mut writes)?;
        let plan = owed.plan(settled, new, |number| self.chunk(number))?;
        for number in &plan.removed {
            writes.remove(&keys::numbered(keys::CHUNKS, *number));
            writes.remove(&keys::numbered(keys::MARKS, *number));
        }
        for (number, bytes) in &plan.chunks {
            writes.put(&keys::numbered(keys::CHUNKS, *number), bytes);
        }
        for (number, bytes) in &plan.marks {
            writes.put(&keys::numbered(keys::MARKS, *number), bytes);
        }
        self.tree.apply(writes)?;
        owed.apply(plan);
        index.apply(statuses);
        Ok(())
    }
}

impl StateReader for SledStore {
    fn position(&self, source: &TopicPartition) -> Result<Option<Position>, PortError> {
        let Some(partition) = self.partition(source) else { return Ok(None) };
        let row = partition.tree.get(keys::POSITION)?;
        row.map(|row| Position::decode(&row)).transpose().map_err(|error| self.unreadable(source, &error))
    }

    fn state(&self, source: &TopicPartition, identity: &Identity) -> Result<Option<Arc<OrderState>>, PortError> {
        let Some(partition) = self.partition(source) else { return Ok(None) };
        let mut key = Vec::with_capacity(96);
        keys::state(identity, &mut key);
        let row = partition.tree.get(&key)?;
        row.map(|row| OrderState::decode(&row).map(Arc::new))
            .transpose()
            .map_err(|error| self.unreadable(source, &error))
    }

    fn scan_owed(&self, source: &TopicPartition, visit: &mut dyn FnMut(OwedKey, OwedEntry)) -> Result<(), PortError> {
        let Some(partition) = self.partition(source) else { return Ok(()) };
        let log = lock(&partition.owed);
        partition.tree.scan(keys::CHUNKS, |key, row| {
            let number = number(key)?;
            for (at, entry) in (0..).zip(chunk::entries(row).map_err(damaged)?) {
                let entry = entry.map_err(damaged)?;
                if log.is_owed(number, at) {
                    visit(entry.key(), Owed::peek(entry.owed).map_err(|error| self.unreadable(source, &error))?);
                }
            }
            Ok(())
        })
    }

    fn owed(&self, source: &TopicPartition, key: &OwedKey) -> Result<Option<Owed>, PortError> {
        let Some(partition) = self.partition(source) else { return Ok(None) };
        let log = lock(&partition.owed);
        for place in log.candidates(key) {
            let row = partition.chunk(place.chunk())?;
            if let Some(entry) = chunk::entry(&row, place.at()).map_err(damaged)?.filter(|entry| entry.is(key)) {
                return Owed::decode(entry.owed).map(Some).map_err(|error| self.unreadable(source, &error));
            }
        }
        Ok(None)
    }

    fn letter(&self, source: &TopicPartition, offset: RecordOffset) -> Result<Option<LetterStatus>, PortError> {
        let Some(partition) = self.partition(source) else { return Ok(None) };
        letters::read(&partition.tree, offset)
    }

    fn open_letters(&self, source: &TopicPartition, identity: &Identity) -> Result<OpenLetters, PortError> {
        let Some(partition) = self.partition(source) else { return Ok(OpenLetters::new()) };
        lock(&partition.letters).of_order(&partition.tree, identity)
    }

    fn open_letter_count(&self, source: &TopicPartition) -> Result<u64, PortError> {
        Ok(self.partition(source).map_or(0, |partition| lock(&partition.letters).open()))
    }

    fn command(&self, source: &TopicPartition, id: &str) -> Result<Option<CommandDone>, PortError> {
        let Some(partition) = self.partition(source) else { return Ok(None) };
        let row = partition.tree.get(&keys::command(id))?;
        row.map(|row| CommandDone::decode(&row)).transpose().map_err(|error| self.unreadable(source, &error))
    }
}

impl UnitLedger for SledStore {
    fn agree_units(&mut self, units: &Units) -> Result<Units, PortError> {
        let mut meta = lock(&self.shared.meta);
        let before = meta.units().clone();
        let agreed = units::agree(&before, units, |app_id| self.has_milliseconds(app_id))?;
        meta.set_units(&self.shared.disk, agreed)?;
        Ok(before)
    }
}

fn number(key: &[u8]) -> Result<u64, PortError> {
    keys::number(key).ok_or_else(|| damaged(ChunkError::CutOff))
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic under one of these locks ends the worker by the error that it becomes; no half change is read after it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
