//! Where each owed delivery of a partition lies: an index in memory over chunks on disk, and the plan of each commit.
//!
//! It does no I/O: a chunk is read through the function it is given. One delivery takes 16 bytes of index. A chunk
//! goes when all of it is settled; one that is settled but for a quarter is written anew, so that what is owed for
//! long takes at most four times its size.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher as _;
use std::ops::Deref;

use foldhash::fast::FixedState;

use super::chunk::{self, ChunkError, ChunkWriter, Entry};
use super::disk::fatal;
use crate::sync::ports::PortError;
use crate::sync::{Owed, OwedKey};

/// Chunk number and place in the chunk, packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place(u64);

const PLACE_BITS: u32 = 20;
const MARKS_FORMAT: u8 = 1;

impl Place {
    const FIRST: Self = Self(0);
    const LAST: Self = Self(u64::MAX);

    fn new(chunk: u64, at: u32) -> Self {
        Self(chunk << PLACE_BITS | u64::from(at))
    }

    pub(super) fn chunk(self) -> u64 {
        self.0 >> PLACE_BITS
    }

    pub(super) fn at(self) -> u32 {
        u32::try_from(self.0 & ((1 << PLACE_BITS) - 1)).unwrap_or(u32::MAX)
    }
}

/// How much of a chunk is still owed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ChunkUse {
    entries: u32,
    settled: BTreeSet<u32>,
}

/// The index of one partition.
#[derive(Debug, Default)]
pub(super) struct OwedLog {
    next_chunk: u64,
    places: BTreeSet<(u64, Place)>,
    chunks: BTreeMap<u64, ChunkUse>,
}

/// What a commit changes, on disk and then here.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// New chunks; some have the number of a removed one, so that these rows are written after those are removed.
    pub(super) chunks: Vec<(u64, Vec<u8>)>,
    /// Settled places of chunks that stay, as the row's bytes.
    pub(super) marks: Vec<(u64, Vec<u8>)>,
    /// Chunks that go, with their marks.
    pub(super) removed: Vec<u64>,
    gone: Vec<(u64, Place)>,
    added: Vec<(u64, Place)>,
    uses: Vec<(u64, ChunkUse)>,
    next_chunk: u64,
}

impl OwedLog {
    /// Takes up a chunk found on disk.
    pub(super) fn load(&mut self, number: u64, bytes: &[u8], settled: BTreeSet<u32>) -> Result<(), ChunkError> {
        let mut entries = 0;
        for entry in chunk::entries(bytes)? {
            let entry = entry?;
            if !settled.contains(&entries) {
                self.places.insert((hash_of(&entry), Place::new(number, entries)));
            }
            entries += 1;
        }
        self.chunks.insert(number, ChunkUse { entries, settled });
        self.next_chunk = self.next_chunk.max(number + 1);
        Ok(())
    }

    /// How many deliveries are owed.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether the delivery at this place is still owed.
    pub(super) fn is_owed(&self, number: u64, at: u32) -> bool {
        self.chunks.get(&number).is_some_and(|found| !found.settled.contains(&at))
    }

    /// Where a delivery with this key's hash may lie; as a rule one place, and that is the one.
    pub(super) fn candidates(&self, key: &OwedKey) -> impl Iterator<Item = Place> + '_ {
        let hash = hash_of_key(key);
        self.places.range((hash, Place::FIRST)..=(hash, Place::LAST)).map(|(_, place)| *place)
    }

    /// What committing these changes takes. Settling comes first: a delivery that is settled and owed again in one
    /// commit is owed. What is not owed is settled already.
    pub(super) fn plan<R: Deref<Target = [u8]>>(
        &self,
        settled: &[OwedKey],
        owed: &[(OwedKey, Owed)],
        read: impl Fn(u64) -> Result<R, PortError>,
    ) -> Result<Plan, PortError> {
        let plan = Plan { next_chunk: self.next_chunk, ..Plan::default() };
        let mut planner = Planner { log: self, read, plan, gone: BTreeMap::new(), reused: 0, open: None };
        for key in settled {
            planner.settle(key)?;
        }
        for (key, _) in owed {
            planner.replace(key)?;
        }
        planner.tidy()?;
        for (key, owed) in owed {
            planner.add(hash_of_key(key), |chunk| chunk.push(key, owed));
        }
        planner.close();
        Ok(planner.plan)
    }

    /// Takes a plan over, once it is on disk.
    pub(super) fn apply(&mut self, plan: Plan) {
        for place in &plan.gone {
            self.places.remove(place);
        }
        self.places.extend(plan.added);
        for number in &plan.removed {
            self.chunks.remove(number);
        }
        self.chunks.extend(plan.uses);
        self.next_chunk = plan.next_chunk;
    }
}

struct Planner<'a, F> {
    log: &'a OwedLog,
    read: F,
    plan: Plan,
    /// What this commit settles, by chunk.
    gone: BTreeMap<u64, BTreeSet<u32>>,
    /// How many of the removed chunks' numbers serve again. The row of a settled chunk is overwritten by a new one:
    /// removing one row and adding another makes sled merge and split its leaves.
    reused: usize,
    open: Option<(u64, ChunkWriter)>,
}

impl<R: Deref<Target = [u8]>, F: Fn(u64) -> Result<R, PortError>> Planner<'_, F> {
    fn settle(&mut self, key: &OwedKey) -> Result<(), PortError> {
        let mut candidates = self.log.candidates(key);
        let found = match (candidates.next(), candidates.next()) {
            // What is settled was owed: of one place alone with this hash of 64 bits, nothing else can be meant.
            (Some(place), None) => Some(place),
            (None, _) => None,
            (Some(_), Some(_)) => self.find(key)?,
        };
        if let Some(place) = found {
            self.forget(hash_of_key(key), place);
        }
        Ok(())
    }

    /// A delivery that is owed already is replaced by one under the same key.
    fn replace(&mut self, key: &OwedKey) -> Result<(), PortError> {
        if let Some(place) = self.find(key)? {
            self.forget(hash_of_key(key), place);
        }
        Ok(())
    }

    /// Puts an entry into the open chunk by `push`, which tells its place there.
    fn add(&mut self, hash: u64, push: impl FnOnce(&mut ChunkWriter) -> u32) {
        let (number, mut chunk) = self.open.take().unwrap_or_else(|| (self.free_number(), ChunkWriter::new()));
        self.plan.added.push((hash, Place::new(number, push(&mut chunk))));
        let is_full = chunk.is_full();
        self.open = Some((number, chunk));
        if is_full {
            self.close();
        }
    }

    fn free_number(&mut self) -> u64 {
        if let Some(number) = self.plan.removed.get(self.reused) {
            self.reused += 1;
            return *number;
        }
        self.plan.next_chunk += 1;
        self.plan.next_chunk - 1
    }

    /// The place of `key` before this commit, by its name and not by its hash alone.
    fn find(&self, key: &OwedKey) -> Result<Option<Place>, PortError> {
        for place in self.log.candidates(key) {
            if self.gone.get(&place.chunk()).is_some_and(|settled| settled.contains(&place.at())) {
                continue;
            }
            let row = (self.read)(place.chunk())?;
            if chunk::entry(&row, place.at()).map_err(fatal)?.is_some_and(|entry| entry.is(key)) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn forget(&mut self, hash: u64, place: Place) {
        if self.gone.entry(place.chunk()).or_default().insert(place.at()) {
            self.plan.gone.push((hash, place));
        }
    }

    /// Drops the chunks that are settled, moves what little is left in others, marks the rest.
    fn tidy(&mut self) -> Result<(), PortError> {
        for (number, settled_now) in std::mem::take(&mut self.gone) {
            let Some(before) = self.log.chunks.get(&number) else { continue };
            let mut after = before.clone();
            after.settled.extend(settled_now);
            let left = after.left();
            if left == 0 || left * 4 <= after.entries {
                if left > 0 {
                    self.move_rest(number, &after.settled)?;
                }
                self.plan.removed.push(number);
            } else {
                self.plan.marks.push((number, marks_bytes(&after.settled)));
                self.plan.uses.push((number, after));
            }
        }
        Ok(())
    }

    fn move_rest(&mut self, number: u64, settled: &BTreeSet<u32>) -> Result<(), PortError> {
        let row = (self.read)(number)?;
        for (at, entry) in (0..).zip(chunk::entries(&row).map_err(fatal)?) {
            let entry = entry.map_err(fatal)?;
            if !settled.contains(&at) {
                let hash = hash_of(&entry);
                self.plan.gone.push((hash, Place::new(number, at)));
                self.add(hash, |chunk| chunk.push_raw(entry.raw));
            }
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some((number, chunk)) = self.open.take() {
            self.plan.uses.push((number, ChunkUse { entries: chunk.entries(), settled: BTreeSet::new() }));
            self.plan.chunks.push((number, chunk.into_bytes()));
        }
    }
}

impl ChunkUse {
    fn left(&self) -> u32 {
        self.entries - u32::try_from(self.settled.len()).unwrap_or(self.entries)
    }
}

/// The row of a chunk's settled places: the format (1), then the places, u32 little-endian.
fn marks_bytes(settled: &BTreeSet<u32>) -> Vec<u8> {
    std::iter::once(MARKS_FORMAT).chain(settled.iter().flat_map(|at| at.to_le_bytes())).collect()
}

/// Reads such a row.
pub(super) fn marks(row: &[u8]) -> Result<BTreeSet<u32>, ChunkError> {
    let (format, places) = row.split_first().ok_or(ChunkError::CutOff)?;
    if *format != MARKS_FORMAT {
        return Err(ChunkError::Format(*format));
    }
    let (places, rest) = places.as_chunks::<4>();
    if rest.is_empty() {
        Ok(places.iter().map(|at| u32::from_le_bytes(*at)).collect())
    } else {
        Err(ChunkError::CutOff)
    }
}

fn hash_of_key(key: &OwedKey) -> u64 {
    hash(key.identity.app_id.as_str(), &key.identity.order_id, key.stamp.0)
}

fn hash_of(entry: &Entry<'_>) -> u64 {
    hash(entry.app_id, entry.order_id, entry.stamp.0)
}

/// In memory only: another release may hash otherwise.
fn hash(app_id: &str, order_id: &str, stamp: i64) -> u64 {
    FixedState::with_seed(0x6f72_6465_7273).hash_one((app_id, order_id, stamp))
}

#[cfg(test)]
#[path = "owed_log_tests.rs"]
mod tests;
