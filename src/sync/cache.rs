//! The store as a cache of the changelog: committed cuts are gathered in memory and written in larger batches, so that
//! a delivery which is settled soon never touches the disk.
//!
//! Readers see every committed cut at once. What is lost with the process is in the changelog: the checkpoint that is
//! written with each batch says where to read on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::changelog::{Debt, Gathered, LetterStatus};
use super::command::CommandDone;
use super::commit::CommitCut;
use super::log_ports::{CacheStore, CacheWrite, Checkpoint, Receipt};
use super::owed::{Owed, OwedKey};
use super::ports::{Epoch, OwedEntry, PortError, Position, StateReader};
use super::statuses::OpenLetters;
use crate::order::{Identity, OrderState};
use crate::record::{NextOffset, RecordOffset, TopicPartition};
use crate::telemetry::Meters;

/// Memory of what is gathered before it is written.
const GATHER_BYTES: usize = 40 << 20;
/// The longest time that anything is gathered while commits go on.
const GATHER_TIME: Duration = Duration::from_secs(5);

/// The cache in front of a store. Clones share it.
#[derive(Clone)]
pub struct Cache {
    store: Arc<dyn CacheStore>,
    meters: Meters,
    partitions: Arc<Mutex<HashMap<TopicPartition, Recent>>>,
    /// Held while the store is written: what is older never comes behind what is newer.
    writing: Arc<Mutex<()>>,
}

/// What is committed of one partition and not yet in the store.
#[derive(Default)]
struct Recent {
    /// The assignment whose commits are taken.
    epoch: Epoch,
    gathered: Gathered,
    /// Where the changelog stands behind what is gathered.
    changelog: Option<NextOffset>,
    /// When the first of it was gathered, milliseconds since the epoch.
    since_ms: i64,
    /// When the changelog stood there: what it has got since is not in here, however much later this is written.
    until_ms: i64,
}

impl Cache {
    /// A cache in front of `store`.
    pub fn new(store: Arc<dyn CacheStore>, meters: Meters) -> Self {
        Self { store, meters, partitions: Arc::default(), writing: Arc::default() }
    }

    /// The store behind it.
    pub fn store(&self) -> &dyn CacheStore {
        self.store.as_ref()
    }

    /// An assignment of the partition begins: what was gathered in an earlier one is written, and what an earlier one
    /// commits late is not taken, as another owner may have gone on in between.
    pub fn begin(&self, source: &TopicPartition, epoch: Epoch) -> Result<(), PortError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.lock().insert(source.clone(), Recent { epoch, ..Recent::default() });
        match old {
            Some(old) if !old.gathered.is_empty() => self.write(vec![old.into_write(source)]),
            Some(_) | None => Ok(()),
        }
    }

    /// A place in the changelog up to which the partition is known here.
    pub fn changelog(&self, source: &TopicPartition) -> Result<Option<NextOffset>, PortError> {
        match self.lock().get(source).and_then(|recent| recent.changelog) {
            Some(place) => Ok(Some(place)),
            None => Ok(self.store.checkpoint(source)?.map(|checkpoint| checkpoint.changelog)),
        }
    }

    /// Somebody else has gone on with the partition since it was assigned in `epoch`: what is gathered of it is not kept,
    /// and nothing more is taken. A newer assignment of it has begun with what the changelog says, and stays.
    pub fn leave(&self, source: &TopicPartition, epoch: Epoch) {
        let mut partitions = self.lock();
        if partitions.get(source).is_some_and(|recent| recent.epoch == epoch) {
            partitions.remove(source);
        }
    }

    /// Takes a committed cut. Writes when enough is gathered, or the oldest of it is old enough.
    pub fn commit(&self, cut: &CommitCut, receipts: &[Receipt], now_ms: i64) -> Result<(), PortError> {
        let mut partitions = self.lock();
        for part in &cut.parts {
            let Some(recent) = partitions.get_mut(&part.source).filter(|recent| recent.epoch == part.epoch) else {
                continue;
            };
            if recent.gathered.is_empty() {
                recent.since_ms = now_ms;
            }
            recent.take(part);
            // Without a receipt the older place stands: reading more than once changes nothing.
            if let Some((_, next)) = receipts.iter().find(|(source, _)| *source == part.source) {
                (recent.changelog, recent.until_ms) = (Some(*next), now_ms);
            }
        }
        let bytes: usize = partitions.values().map(|recent| recent.gathered.bytes()).sum();
        let old_ms = now_ms - i64::try_from(GATHER_TIME.as_millis()).unwrap_or(i64::MAX);
        let due = partitions.values().any(|recent| !recent.gathered.is_empty() && recent.since_ms <= old_ms);
        drop(partitions);
        if bytes >= GATHER_BYTES || due { self.write_out() } else { Ok(()) }
    }

    /// Writes what a restore has read to the store, past what is gathered.
    pub fn fill(&self, write: CacheWrite) -> Result<(), PortError> {
        self.store.fill(write)?;
        self.count()
    }

    fn write(&self, writes: Vec<CacheWrite>) -> Result<(), PortError> {
        self.store.write(writes)?;
        self.count()
    }

    fn count(&self) -> Result<(), PortError> {
        self.meters.store().orders(self.store.orders()?);
        Ok(())
    }

    /// Writes everything that is gathered.
    pub fn write_out(&self) -> Result<(), PortError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Readers keep seeing what is being written: it is taken away only when the store has it. Commits come from
        // the thread that calls this, so nothing is gathered meanwhile; a new assignment replaces what it finds.
        let writes: Vec<CacheWrite> = self
            .lock()
            .iter()
            .filter(|(_, recent)| !recent.gathered.is_empty())
            .map(|(source, recent)| recent.to_write(source))
            .collect();
        let written: Vec<TopicPartition> = writes.iter().map(|write| write.source.clone()).collect();
        self.write(writes)?;
        let mut partitions = self.lock();
        for source in written {
            if let Some(recent) = partitions.get_mut(&source) {
                *recent = Recent { epoch: recent.epoch, ..Recent::default() };
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TopicPartition, Recent>> {
        // Every change under the lock is whole, so a panic elsewhere leaves it sound.
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recent<T>(&self, source: &TopicPartition, look: impl FnOnce(&Gathered) -> Option<T>) -> Option<T> {
        self.lock().get(source).and_then(|recent| look(&recent.gathered))
    }
}

impl Recent {
    fn take(&mut self, part: &super::commit::CutPart) {
        for (identity, state) in part.layer.states() {
            self.gathered.put_state(identity.clone(), Some(Arc::clone(state)));
        }
        for key in part.layer.settled() {
            self.gathered.settle(key);
        }
        for (key, owed) in part.layer.owed() {
            self.gathered.owe(key.clone(), owed.clone());
        }
        for (offset, status) in part.layer.statuses().iter() {
            self.gathered.put_letter(offset, status.cloned());
        }
        for identity in part.layer.removed().keys() {
            self.gathered.put_state(identity.clone(), None);
        }
        for (id, done) in part.layer.commands() {
            self.gathered.put_command(id.clone(), done.clone());
        }
        self.gathered.position = Some(part.position.clone());
    }

    fn to_write(&self, source: &TopicPartition) -> CacheWrite {
        cache_write(source, self.gathered.clone(), self.changelog, self.until_ms)
    }

    fn into_write(self, source: &TopicPartition) -> CacheWrite {
        cache_write(source, self.gathered, self.changelog, self.until_ms)
    }
}

/// What is gathered as one write; its checkpoint is `changelog`, where that is known.
pub(super) fn cache_write(
    source: &TopicPartition,
    gathered: Gathered,
    changelog: Option<NextOffset>,
    now_ms: i64,
) -> CacheWrite {
    let (mut owed, mut settled) = (Vec::new(), Vec::new());
    for (key, entry) in gathered.owed {
        match entry {
            Debt::Owed(entry) | Debt::New(entry) => owed.push((key, entry)),
            Debt::Settled => settled.push(key),
        }
    }
    CacheWrite {
        source: source.clone(),
        states: gathered.states.into_iter().collect(),
        owed,
        settled,
        letters: gathered.letters.iter().map(|(offset, status)| (offset, status.cloned())).collect(),
        commands: gathered.commands.into_iter().collect(),
        position: gathered.position,
        checkpoint: changelog.map(|changelog| Checkpoint { changelog, written_ms: now_ms }),
    }
}

impl StateReader for Cache {
    fn position(&self, source: &TopicPartition) -> Result<Option<Position>, PortError> {
        match self.recent(source, |recent| recent.position.clone()) {
            Some(position) => Ok(Some(position)),
            None => self.store.position(source),
        }
    }

    fn state(&self, source: &TopicPartition, identity: &Identity) -> Result<Option<Arc<OrderState>>, PortError> {
        match self.recent(source, |recent| recent.states.get(identity).cloned()) {
            Some(state) => Ok(state),
            None => self.store.state(source, identity),
        }
    }

    fn scan_owed(&self, source: &TopicPartition, visit: &mut dyn FnMut(OwedKey, OwedEntry)) -> Result<(), PortError> {
        let partitions = self.lock();
        let recent = partitions.get(source).map(|recent| &recent.gathered.owed);
        self.store.scan_owed(source, &mut |key, entry| {
            if recent.is_none_or(|recent| !recent.contains_key(&key)) {
                visit(key, entry);
            }
        })?;
        for (key, debt) in recent.into_iter().flatten() {
            if let Some(owed) = debt.owed() {
                visit(key.clone(), owed.entry());
            }
        }
        Ok(())
    }

    fn owed(&self, source: &TopicPartition, key: &OwedKey) -> Result<Option<Owed>, PortError> {
        match self.recent(source, |recent| recent.owed.get(key).map(|debt| debt.owed().cloned())) {
            Some(owed) => Ok(owed),
            None => self.store.owed(source, key),
        }
    }

    fn letter(&self, source: &TopicPartition, offset: RecordOffset) -> Result<Option<LetterStatus>, PortError> {
        match self.recent(source, |recent| recent.letters.get(offset).map(Option::<&LetterStatus>::cloned)) {
            Some(status) => Ok(status),
            None => self.store.letter(source, offset),
        }
    }

    fn open_letters(&self, source: &TopicPartition, identity: &Identity) -> Result<OpenLetters, PortError> {
        let partitions = self.lock();
        let mut open = self.store.open_letters(source, identity)?;
        if let Some(recent) = partitions.get(source) {
            recent.gathered.letters.lay_over(identity, &mut open);
        }
        Ok(open)
    }

    fn open_letter_count(&self, source: &TopicPartition) -> Result<u64, PortError> {
        let partitions = self.lock();
        let mut count = self.store.open_letter_count(source)?;
        for (offset, status) in partitions.get(source).into_iter().flat_map(|recent| recent.gathered.letters.iter()) {
            count += u64::from(status.is_some_and(LetterStatus::is_open));
            let was_open = self.store.letter(source, offset)?.is_some_and(|status| status.is_open());
            count = count.saturating_sub(u64::from(was_open));
        }
        Ok(count)
    }

    fn command(&self, source: &TopicPartition, id: &str) -> Result<Option<CommandDone>, PortError> {
        match self.recent(source, |recent| recent.commands.get(id).cloned()) {
            Some(done) => Ok(Some(done)),
            None => self.store.command(source, id),
        }
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
