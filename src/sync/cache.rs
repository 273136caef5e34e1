//! The store as a cache of the changelog: committed cuts are gathered in memory and written in larger batches, so that
//! a delivery which is settled soon never touches the disk, and no commit waits for it.
//!
//! Readers see every committed cut at once. What is lost with the process is in the changelog: the checkpoint that is
//! written with each batch says where to read on.

use std::collections::HashMap;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::changelog::{Gathered, LetterStatus};
use super::command::CommandDone;
use super::commit::CommitCut;
use super::log_ports::{CacheStore, CacheWrite, Receipt};
use super::owed::{Owed, OwedKey};
use super::ports::{Epoch, Inbox, Input, OwedEntry, PortError, Position, StateReader};
use super::recent::Recent;
use super::statuses::OpenLetters;
use crate::order::{Identity, OrderState};
use crate::record::{NextOffset, RecordOffset, TopicPartition};
use crate::telemetry::Meters;

/// Memory of what is gathered before it is written. As much may be on its way to the store meanwhile.
const GATHER_BYTES: usize = 64 << 20;
/// The longest time that anything is gathered.
const GATHER_TIME: Duration = Duration::from_secs(10);
/// What is gathered is looked at this often, as no commit may come that finds it old; little is written then.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// From here on it is much: orders that change again and again are then written once for many changes, which takes 6 % off
/// the worker's CPU time in a catch-up, so it waits for its time.
const MUCH_BYTES: usize = 16 << 20;
/// The look that writes it however much it is.
const LAST_LOOK: u32 = 3;

/// The cache in front of a store. Clones share it.
#[derive(Clone)]
pub struct Cache {
    store: Arc<dyn CacheStore>,
    meters: Meters,
    partitions: Arc<Mutex<HashMap<TopicPartition, Recent>>>,
    /// Held while the store is written: what is older never comes behind what is newer.
    writing: Arc<Mutex<()>>,
}

/// When what is gathered has to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Enough may still come.
    Later,
    /// Enough is gathered, or the oldest of it is old enough; more may come while it is written.
    Soon,
    /// So much is gathered that nothing more may come before it is written.
    Now,
}

/// Wakes the thread that writes a cache out. The thread ends with this.
pub struct CacheWriter(SyncSender<()>);

impl CacheWriter {
    /// The waker, and the loop that the caller runs on a thread of its own. A store that does not take a write ends the
    /// worker.
    pub fn new(cache: Cache, inbox: Arc<dyn Inbox>) -> (Self, impl FnOnce() + Send) {
        Self::with_looks(cache, inbox, LOOK_EVERY)
    }

    /// Looks by itself `every` so often, be it that no commit comes that would ask for it.
    fn with_looks(cache: Cache, inbox: Arc<dyn Inbox>, every: Duration) -> (Self, impl FnOnce() + Send) {
        let (wake, woken) = sync_channel(1);
        let run = move || {
            let mut looks = 0;
            loop {
                match woken.recv_timeout(every) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Timeout) => {
                        looks += 1;
                        if !is_written_at(looks, gathered_bytes(&cache.lock())) {
                            continue;
                        }
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                looks = 0;
                if let Err(error) = cache.write_out() {
                    inbox.send(Input::Failed(error)).unwrap_or(());
                    return;
                }
            }
        };
        (Self(wake), run)
    }

    /// Has everything that is gathered by now written; does not wait.
    pub fn wake(&self) {
        // A full queue says the same already. A closed one is that of a writer that has told the engine why it ended.
        self.0.try_send(()).unwrap_or(());
    }
}

fn gathered_bytes(partitions: &HashMap<TopicPartition, Recent>) -> usize {
    partitions.values().map(Recent::gathered_bytes).sum()
}

/// Whether this look since the last write, counted from 1, writes what is gathered.
fn is_written_at(look: u32, gathered_bytes: usize) -> bool {
    look >= LAST_LOOK || gathered_bytes < MUCH_BYTES
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
        let old = self.lock().insert(source.clone(), Recent::new(epoch));
        for write in old.into_iter().flat_map(|old| old.into_writes(source)) {
            self.write(vec![write])?;
        }
        self.count()
    }

    /// A place in the changelog up to which the partition is known here.
    pub fn changelog(&self, source: &TopicPartition) -> Result<Option<NextOffset>, PortError> {
        match self.lock().get(source).and_then(Recent::changelog) {
            Some(place) => Ok(Some(place)),
            None => Ok(self.store.checkpoint(source)?.map(|checkpoint| checkpoint.changelog)),
        }
    }

    /// Somebody else has gone on with the partition since it was assigned in `epoch`: what is gathered of it is not kept,
    /// and nothing more is taken. A newer assignment of it has begun with what the changelog says, and stays.
    pub fn leave(&self, source: &TopicPartition, epoch: Epoch) {
        let mut partitions = self.lock();
        if partitions.get(source).is_some_and(|recent| recent.is_of(epoch)) {
            partitions.remove(source);
        }
    }

    /// Takes a committed cut, and says when what is gathered has to be written.
    pub fn commit(&self, cut: &CommitCut, receipts: &[Receipt], now_ms: i64) -> Due {
        let mut partitions = self.lock();
        for part in &cut.parts {
            if let Some(recent) = partitions.get_mut(&part.source).filter(|recent| recent.is_of(part.epoch)) {
                let receipt = receipts.iter().find(|(source, _)| *source == part.source);
                recent.take(part, receipt.map(|(_, next)| *next), now_ms);
            }
        }
        let bytes = gathered_bytes(&partitions);
        let old_ms = now_ms - i64::try_from(GATHER_TIME.as_millis()).unwrap_or(i64::MAX);
        let is_old = partitions.values().any(|recent| recent.is_older_than(old_ms));
        let is_leaving = || partitions.values().any(Recent::is_leaving);
        match bytes {
            enough if enough >= 2 * GATHER_BYTES || enough >= GATHER_BYTES && is_leaving() => Due::Now,
            enough if enough >= GATHER_BYTES || is_old => Due::Soon,
            _ => Due::Later,
        }
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

    /// Writes everything that is gathered. Waits for a write that goes on already. Commits may go on meanwhile.
    pub fn write_out(&self) -> Result<(), PortError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // A write that has failed has left what it was to write; it is older.
        if self.lock().values().any(Recent::is_leaving) {
            self.write_leaving()?;
        }
        self.lock().values_mut().for_each(Recent::depart);
        self.write_leaving()
    }

    /// Readers keep seeing what is being written: it is taken away only when the store has it.
    fn write_leaving(&self) -> Result<(), PortError> {
        let writes: Vec<CacheWrite> =
            self.lock().iter().filter_map(|(source, recent)| recent.leaving_write(source)).collect();
        if writes.is_empty() {
            return Ok(());
        }
        self.write(writes)?;
        self.lock().values_mut().for_each(Recent::arrived);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TopicPartition, Recent>> {
        // Every change under the lock is whole, so a panic elsewhere leaves it sound.
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest that is known beyond the store.
    fn recent<T>(&self, source: &TopicPartition, look: impl Fn(&Gathered) -> Option<T>) -> Option<T> {
        self.lock().get(source).and_then(|recent| recent.newest_first().find_map(look))
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
        let Some(recent) = partitions.get(source) else { return self.store.scan_owed(source, visit) };
        self.store.scan_owed(source, &mut |key, entry| {
            if recent.newest_first().all(|known| !known.owed.contains_key(&key)) {
                visit(key, entry);
            }
        })?;
        recent.scan_owed(visit);
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
        for known in partitions.get(source).into_iter().flat_map(Recent::oldest_first) {
            known.letters.lay_over(identity, &mut open);
        }
        Ok(open)
    }

    fn open_letter_count(&self, source: &TopicPartition) -> Result<u64, PortError> {
        let partitions = self.lock();
        let mut count = self.store.open_letter_count(source)?;
        for (offset, status) in partitions.get(source).into_iter().flat_map(Recent::statuses) {
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
