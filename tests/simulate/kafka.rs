//! A Kafka in memory: changelog, dead letters and offsets under transactions. A transaction is decided at one moment and
//! seen at later ones, partition by partition, as its markers arrive; until then it holds readers back.

use std::collections::BTreeMap;
use std::time::Duration;

use order_sync::sync::changelog::ChangelogRecord;
use order_sync::sync::letter::Letter;

use super::audit::{Audit, Written};
use super::group::{Group, Protocol};

/// The broker ends what has been open for longer.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the broker refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A newer producer has the id, or the broker ended the transaction.
    Fenced,
    /// An earlier transaction of the id is not seen everywhere yet.
    Concurrent,
    /// Not a member, or of another generation.
    NoMember,
    /// An offset is about to change.
    Unstable,
}

/// A place where a transaction is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Changelog(usize),
    Offsets,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Committed,
    Aborted,
}

struct Transaction {
    store: u64,
    began: Duration,
    fate: Fate,
    /// When that was decided.
    decided: Duration,
    /// Where it is not seen yet, and from when it will be.
    unseen: BTreeMap<Target, Option<Duration>>,
    written: Written,
}

/// One offset of the changelog: a record, or a marker.
struct Place {
    transaction: usize,
    record: Option<ChangelogRecord>,
}

#[derive(Default)]
struct Producer {
    epoch: u32,
    open: Option<usize>,
}

/// The brokers.
pub(crate) struct Kafka {
    pub(crate) now: Duration,
    pub(crate) rng: fastrand::Rng,
    /// One in so many markers is late; none where the weather is fair.
    pub(crate) late_markers: Option<u32>,
    pub(crate) group: Group,
    pub(crate) audit: Audit,
    /// A commit has just lost its coordinator.
    pub(crate) ambushed: bool,
    changelog: Vec<Vec<Place>>,
    transactions: Vec<Transaction>,
    /// Transactions that are open or not seen everywhere.
    live: Vec<usize>,
    producers: BTreeMap<u64, Producer>,
    offsets: BTreeMap<usize, i64>,
    /// Requests to commit that are still on their way: when they arrive, and with which epoch.
    on_their_way: Vec<(Duration, u64, u32)>,
}

impl Kafka {
    pub(crate) fn new(partitions: usize, protocol: Protocol, rng: fastrand::Rng, audit: Audit) -> Self {
        Self {
            now: Duration::ZERO,
            rng,
            late_markers: None,
            group: Group::new(partitions, protocol),
            audit,
            ambushed: false,
            changelog: (0..partitions).map(|_| Vec::new()).collect(),
            transactions: Vec::new(),
            live: Vec::new(),
            producers: BTreeMap::new(),
            offsets: BTreeMap::new(),
            on_their_way: Vec::new(),
        }
    }

    /// Everything that is due by `now` happens.
    pub(crate) fn tick(&mut self, now: Duration) {
        self.now = now;
        let due: Vec<(Duration, u64, u32)> = self.on_their_way.extract_if(.., |(at, ..)| *at <= now).collect();
        for (_, store, epoch) in due {
            self.end(store, epoch, Fate::Committed).ok();
        }
        for index in self.live.clone() {
            if self.transactions[index].fate == Fate::Open
                && now >= self.transactions[index].began + TRANSACTION_TIMEOUT
            {
                let store = self.transactions[index].store;
                if let Some(producer) = self.producers.get_mut(&store) {
                    producer.epoch += 1;
                    producer.open = None;
                }
                self.decide(index, Fate::Aborted);
            }
            self.show(index);
        }
        let transactions = &self.transactions;
        self.live.retain(|index| transactions[*index].fate == Fate::Open || !transactions[*index].unseen.is_empty());
    }

    fn show(&mut self, index: usize) {
        let due: Vec<Target> = self.transactions[index]
            .unseen
            .iter()
            .filter(|(_, at)| at.is_some_and(|at| at <= self.now))
            .map(|(target, _)| *target)
            .collect();
        for target in due {
            let transaction = &mut self.transactions[index];
            transaction.unseen.remove(&target);
            match target {
                Target::Changelog(partition) => {
                    self.changelog[partition].push(Place { transaction: index, record: None });
                }
                Target::Offsets if transaction.fate == Fate::Committed => {
                    self.offsets.extend(transaction.written.offsets.iter().copied());
                }
                Target::Offsets => {}
            }
        }
    }

    fn decide(&mut self, index: usize, fate: Fate) {
        (self.transactions[index].fate, self.transactions[index].decided) = (fate, self.now);
        let targets: Vec<Target> = self.transactions[index].unseen.keys().copied().collect();
        for target in targets {
            let is_late = self.late_markers.is_some_and(|one_in| self.rng.u32(..one_in) == 0);
            let delay = if is_late { Duration::from_millis(self.rng.u64(20..4000)) } else { Duration::ZERO };
            self.transactions[index].unseen.insert(target, Some(self.now + delay));
        }
        if fate == Fate::Committed {
            self.audit.committed(&self.transactions[index].written);
        }
        self.show(index);
    }

    /// Begins anew for a store: earlier producers of it are fenced, and what they left open is aborted.
    pub(crate) fn init_producer(&mut self, store: u64) -> Result<u32, Refused> {
        let producer = self.producers.entry(store).or_default();
        if let Some(open) = producer.open.take() {
            producer.epoch += 1;
            self.decide(open, Fate::Aborted);
        }
        if self.is_unseen(store) {
            return Err(Refused::Concurrent);
        }
        let producer = self.producers.entry(store).or_default();
        producer.epoch += 1;
        Ok(producer.epoch)
    }

    fn is_unseen(&self, store: u64) -> bool {
        let unseen = |t: &Transaction| t.store == store && t.fate != Fate::Open && !t.unseen.is_empty();
        self.live.iter().any(|index| unseen(&self.transactions[*index]))
    }

    /// The open transaction of a producer, where it still is the producer.
    fn open(&mut self, store: u64, epoch: u32) -> Result<usize, Refused> {
        let producer = self.producers.get(&store).filter(|producer| producer.epoch == epoch).ok_or(Refused::Fenced)?;
        if let Some(open) = producer.open {
            return Ok(open);
        }
        if self.is_unseen(store) {
            return Err(Refused::Concurrent);
        }
        let index = self.transactions.len();
        let (unseen, written) = (BTreeMap::new(), Written::default());
        self.transactions.push(Transaction {
            store,
            began: self.now,
            fate: Fate::Open,
            decided: self.now,
            unseen,
            written,
        });
        self.live.push(index);
        self.producers.entry(store).or_default().open = Some(index);
        Ok(index)
    }

    /// Writes the records of one partition; says where the changelog stands behind them.
    pub(crate) fn append(
        &mut self,
        store: u64,
        epoch: u32,
        partition: usize,
        records: &[ChangelogRecord],
    ) -> Result<i64, Refused> {
        let index = self.open(store, epoch)?;
        let transaction = &mut self.transactions[index];
        transaction.unseen.insert(Target::Changelog(partition), None);
        transaction.written.records.entry(partition).or_default().extend_from_slice(records);
        let places = records.iter().map(|record| Place { transaction: index, record: Some(record.clone()) });
        self.changelog[partition].extend(places);
        Ok(self.end_of(partition))
    }

    /// Writes dead letters.
    pub(crate) fn append_letters(&mut self, store: u64, epoch: u32, letters: &[Letter]) -> Result<(), Refused> {
        let index = self.open(store, epoch)?;
        self.transactions[index].written.letters.extend_from_slice(letters);
        Ok(())
    }

    /// Adds the group's offsets. An empty list is not checked.
    pub(crate) fn add_offsets(
        &mut self,
        store: u64,
        epoch: u32,
        member: (u64, u32),
        offsets: &[(usize, i64)],
    ) -> Result<(), Refused> {
        let index = self.open(store, epoch)?;
        if offsets.is_empty() {
            return Ok(());
        }
        if !self.group.is_member(member) {
            return Err(Refused::NoMember);
        }
        let transaction = &mut self.transactions[index];
        transaction.unseen.insert(Target::Offsets, None);
        transaction.written.offsets.extend_from_slice(offsets);
        Ok(())
    }

    /// Commits the open transaction.
    pub(crate) fn commit(&mut self, store: u64, epoch: u32) -> Result<(), Refused> {
        self.end(store, epoch, Fate::Committed)
    }

    fn end(&mut self, store: u64, epoch: u32, fate: Fate) -> Result<(), Refused> {
        let producer = self.producers.get_mut(&store).filter(|p| p.epoch == epoch).ok_or(Refused::Fenced)?;
        if let Some(open) = producer.open.take() {
            self.decide(open, fate);
        }
        Ok(())
    }

    /// A commit that arrives later, whatever its sender does meanwhile.
    pub(crate) fn commit_later(&mut self, store: u64, epoch: u32, delay: Duration) {
        self.on_their_way.push((self.now + delay, store, epoch));
    }

    /// The group's offset, where no transaction is about to change it.
    pub(crate) fn stable_offset(&self, partition: usize) -> Result<Option<i64>, Refused> {
        let pending = |t: &Transaction| {
            t.unseen.contains_key(&Target::Offsets) && t.written.offsets.iter().any(|(p, _)| *p == partition)
        };
        if self.live.iter().any(|index| pending(&self.transactions[*index])) {
            return Err(Refused::Unstable);
        }
        Ok(self.offset(partition))
    }

    /// The group's offset as it is seen now.
    pub(crate) fn offset(&self, partition: usize) -> Option<i64> {
        self.offsets.get(&partition).copied()
    }

    /// The changelog's end, uncommitted records included.
    pub(crate) fn end_of(&self, partition: usize) -> i64 {
        i64::try_from(self.changelog[partition].len()).unwrap()
    }

    /// Before this place everything is decided.
    pub(crate) fn last_stable(&self, partition: usize) -> i64 {
        let undecided =
            |place: &Place| self.transactions[place.transaction].unseen.contains_key(&Target::Changelog(partition));
        let first = self.changelog[partition].iter().position(undecided);
        first.map_or_else(|| self.end_of(partition), |at| i64::try_from(at).unwrap())
    }

    /// Keeps the last word on each key, and of tombstones those that are younger than `kept`.
    pub(crate) fn compact(&mut self, partition: usize, kept: Duration) {
        let stable = usize::try_from(self.last_stable(partition)).unwrap();
        let (transactions, now) = (&self.transactions, self.now);
        let mut later = std::collections::BTreeSet::new();
        for place in self.changelog[partition][..stable].iter_mut().rev() {
            let transaction = &transactions[place.transaction];
            let Some(record) = &place.record else { continue };
            let is_last = transaction.fate == Fate::Committed && later.insert(record.key.clone());
            if !is_last || (record.value.is_none() && now >= transaction.decided + kept) {
                place.record = None;
            }
        }
    }

    /// The committed records of a stretch of the changelog.
    pub(crate) fn committed(&self, partition: usize, from: i64, until: i64) -> Vec<ChangelogRecord> {
        let range = usize::try_from(from).unwrap()..usize::try_from(until.max(from)).unwrap();
        let seen = |place: &&Place| self.transactions[place.transaction].fate == Fate::Committed;
        self.changelog[partition][range].iter().filter(seen).filter_map(|place| place.record.clone()).collect()
    }

    /// What is committed and was not compacted away, each with its place.
    pub(crate) fn standing(&self, partition: usize) -> Vec<(i64, ChangelogRecord)> {
        let seen = |place: &Place| self.transactions[place.transaction].fate == Fate::Committed;
        let places = self.changelog[partition].iter().zip(0..).filter(|(place, _)| seen(place));
        places.filter_map(|(place, offset)| Some((offset, place.record.clone()?))).collect()
    }

    /// The dead letters of a partition, in the order in which they were committed.
    pub(crate) fn letters(&self, partition: usize) -> Vec<Letter> {
        let mut committed: Vec<&Transaction> =
            self.transactions.iter().filter(|transaction| transaction.fate == Fate::Committed).collect();
        committed.sort_by_key(|transaction| transaction.decided);
        let letters = committed.into_iter().flat_map(|transaction| &transaction.written.letters);
        letters.filter(|letter| usize::try_from(letter.partition) == Ok(partition)).cloned().collect()
    }
}
