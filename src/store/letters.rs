//! The statuses of dead letters: one small row each, and in memory an index of those that are open, by their order.
//!
//! An open letter of a known order takes about 25 bytes of index: 25 MB for a million of them. What is closed, and what
//! belongs to no known order, is in its row alone.

use std::collections::BTreeSet;
use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;

use super::disk::{Tree, Writes, damaged, fatal};
use super::keys;
use crate::order::Identity;
use crate::record::RecordOffset;
use crate::sync::changelog::LetterStatus;
use crate::sync::ports::PortError;
use crate::sync::statuses::OpenLetters;

/// The index of one partition.
#[derive(Debug, Default)]
pub(super) struct LetterIndex {
    /// The hash of an order, and the offset of an open letter of it.
    open: BTreeSet<(u64, i64)>,
    /// Open letters without a known order.
    nameless: u64,
}

/// What a write changes here, once it is on disk: each status as it was, and as it will be.
#[derive(Debug, Default)]
pub(super) struct LetterPlan(Vec<(i64, Place, Place)>);

/// Where the index has a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It is closed, or there is none.
    Nowhere,
    /// Open, of an order with this hash.
    Order(u64),
    /// Open, of no known order.
    Nameless,
}

impl Place {
    fn of(status: Option<&LetterStatus>) -> Self {
        match status.filter(|status| status.is_open()).map(LetterStatus::identity) {
            None => Self::Nowhere,
            Some(None) => Self::Nameless,
            Some(Some(identity)) => Self::Order(hash(&identity)),
        }
    }
}

impl LetterIndex {
    /// Reads the rows of a partition.
    pub(super) fn load(tree: &Tree) -> Result<Self, PortError> {
        let mut index = Self::default();
        tree.scan(keys::LETTERS, |key, row| {
            let offset = keys::letter_offset(key).ok_or_else(|| damaged("a row is no letter's"))?;
            index.put(offset.get(), Place::of(Some(&LetterStatus::decode(row).map_err(damaged)?)));
            Ok(())
        })?;
        Ok(index)
    }

    /// How many letters are open.
    pub(super) fn open(&self) -> u64 {
        self.nameless + u64::try_from(self.open.len()).unwrap_or(u64::MAX)
    }

    /// The open letters of an order: none costs no look at the disk.
    pub(super) fn of_order(&self, tree: &Tree, identity: &Identity) -> Result<OpenLetters, PortError> {
        let mut found = OpenLetters::new();
        if self.open.is_empty() {
            return Ok(found);
        }
        let hash = hash(identity);
        for (_, offset) in self.open.range((hash, i64::MIN)..=(hash, i64::MAX)) {
            let offset = RecordOffset::new(*offset);
            // Another order may have the same hash.
            if let Some(status) = read(tree, offset)?.filter(|status| status.identity().as_ref() == Some(identity)) {
                found.insert(offset, status);
            }
        }
        Ok(found)
    }

    /// Takes a plan over, once it is on disk.
    pub(super) fn apply(&mut self, plan: LetterPlan) {
        for (offset, was, is) in plan.0 {
            match was {
                Place::Nowhere => {}
                Place::Order(hash) => drop(self.open.remove(&(hash, offset))),
                Place::Nameless => self.nameless -= 1,
            }
            self.put(offset, is);
        }
    }

    fn put(&mut self, offset: i64, place: Place) {
        match place {
            Place::Nowhere => {}
            Place::Order(hash) => drop(self.open.insert((hash, offset))),
            Place::Nameless => self.nameless += 1,
        }
    }
}

impl LetterPlan {
    /// Adds changed statuses, each letter once, to what is written.
    pub(super) fn new(
        tree: &Tree,
        letters: &[(RecordOffset, Option<LetterStatus>)],
        writes: &mut Writes,
    ) -> Result<Self, PortError> {
        let mut plan = Self::default();
        for (offset, status) in letters {
            let was = read(tree, *offset)?;
            let key = keys::letter(*offset);
            match status {
                Some(status) => writes.put(&key, &status.encode().map_err(fatal)?),
                None => writes.remove(&key),
            }
            plan.0.push((offset.get(), Place::of(was.as_ref()), Place::of(status.as_ref())));
        }
        Ok(plan)
    }
}

/// The status of one letter.
pub(super) fn read(tree: &Tree, offset: RecordOffset) -> Result<Option<LetterStatus>, PortError> {
    tree.get(&keys::letter(offset))?.map(|row| LetterStatus::decode(&row)).transpose().map_err(damaged)
}

/// In memory only: another release may hash otherwise.
fn hash(identity: &Identity) -> u64 {
    FixedState::with_seed(0x6c65_7474_6572).hash_one((identity.app_id.as_str(), &*identity.order_id))
}
