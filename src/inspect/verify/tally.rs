//! What an account comes to: counts by outcome, and the offsets that are not accounted for, bounded.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use foldhash::fast::RandomState;

use super::evidence::order_key;
use super::outcome::{Kind, Reason};
use crate::order::Identity;
use crate::record::TopicPartition;
use crate::sync::changelog::LetterState;

/// So many offsets are kept in full; the others are counted.
const KEPT_MAX: usize = 10_000;

/// One offset that is not accounted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unaccounted {
    /// The source partition.
    pub source: TopicPartition,
    /// The offset in it.
    pub offset: i64,
    /// Why.
    pub reason: Reason,
    /// In words; names no value of the document.
    pub message: String,
    /// The order, where it is known.
    pub order: Option<Identity>,
}

/// What came of one or more partitions.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Records of the range.
    pub records: u64,
    /// How many of each outcome; they add up to `records`.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Dead letters by reason and status.
    pub letters: BTreeMap<(&'static str, &'static str), u64>,
    /// Offsets of the range that hold no record: markers of transactions, aborted records, what compaction took.
    pub no_record: u64,
    /// Offsets of the range that retention of the source topic has taken.
    pub gone: u64,
    /// Orders that are explained by other settings of mapping or unit than today's.
    pub other_settings: u64,
    /// What is not accounted for, in the order of the source; bounded.
    pub unaccounted: Vec<Unaccounted>,
    /// How many there are beyond those.
    pub more: u64,
}

impl Report {
    /// Counts a record.
    pub(super) fn count(&mut self, kind: Kind) {
        self.records += 1;
        self.add(kind);
    }

    fn add(&mut self, kind: Kind) {
        *self.outcomes.entry(kind.name()).or_default() += 1;
        if let Kind::DeadLetter(reason, status) = kind {
            *self.letters.entry((reason.as_str(), word(status))).or_default() += 1;
        }
    }

    /// A record that was counted as `old` is a `new` one.
    pub(super) fn recount(&mut self, old: Kind, new: Kind) {
        if let Some(count) = self.outcomes.get_mut(old.name()) {
            *count = count.saturating_sub(1);
        }
        if let Kind::DeadLetter(reason, status) = old
            && let Some(count) = self.letters.get_mut(&(reason.as_str(), word(status)))
        {
            *count = count.saturating_sub(1);
        }
        self.add(new);
    }

    /// Lays another partition's report beside this one.
    pub fn absorb(&mut self, other: Self) {
        self.records += other.records;
        self.no_record += other.no_record;
        self.gone += other.gone;
        self.other_settings += other.other_settings;
        self.more += other.more;
        for (name, count) in other.outcomes {
            *self.outcomes.entry(name).or_default() += count;
        }
        for (key, count) in other.letters {
            *self.letters.entry(key).or_default() += count;
        }
        for found in other.unaccounted {
            if self.unaccounted.len() < KEPT_MAX {
                self.unaccounted.push(found);
            } else {
                self.more += 1;
            }
        }
    }

    /// How many offsets are not accounted for.
    pub fn unaccounted_count(&self) -> u64 {
        self.unaccounted.len() as u64 + self.more
    }
}

const fn word(status: LetterState) -> &'static str {
    status.as_str()
}

/// What was found wrong, one word per offset: the first says the most.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) found: BTreeMap<i64, Finding>,
    /// The orders that something is wrong with.
    pub(super) suspects: HashSet<u64, RandomState>,
    /// Offsets beyond the bound.
    beyond: BTreeSet<i64>,
}

/// What is wrong with one offset.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) reason: Reason,
    pub(super) message: String,
    pub(super) order: Option<Identity>,
    /// What the record was counted as, where it was.
    pub(super) counted: Option<Kind>,
}

impl Findings {
    /// Puts one down.
    pub(super) fn put(&mut self, offset: i64, finding: Finding) {
        self.suspects.extend(finding.order.as_ref().map(order_key));
        let is_full = self.found.len() >= KEPT_MAX;
        match self.found.entry(offset) {
            Entry::Occupied(mut held) => held.get_mut().counted = held.get().counted.or(finding.counted),
            Entry::Vacant(_) if is_full => drop(self.beyond.insert(offset)),
            Entry::Vacant(place) => drop(place.insert(finding)),
        }
    }

    /// Moves all of it into a report: those of `range`.
    pub(super) fn tell(self, source: &TopicPartition, range: (i64, i64), report: &mut Report) {
        let within = |offset: &i64| (range.0..range.1).contains(offset);
        for (offset, finding) in self.found.into_iter().filter(|(offset, _)| within(offset)) {
            if let Some(old) = finding.counted {
                report.recount(old, Kind::Unaccounted);
            }
            let Finding { reason, message, order, .. } = finding;
            report.unaccounted.push(Unaccounted { source: source.clone(), offset, reason, message, order });
        }
        report.more += self.beyond.iter().filter(|offset| within(offset)).count() as u64;
    }
}
