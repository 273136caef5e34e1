//! Holds everything that is committed or sent against the script, at the very moment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use order_sync::sync::changelog::{ChangelogRecord, Gathered};
use order_sync::sync::letter::Letter;

use super::script::{Fold, Kind, Log, Outcome, Stand};
use super::statuses::Status;

/// The source topic.
pub(crate) const TOPIC: &str = "orders";

/// What one transaction writes.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) records: BTreeMap<usize, Vec<ChangelogRecord>>,
    pub(crate) letters: Vec<Letter>,
    pub(crate) offsets: Vec<(usize, i64)>,
}

/// One push: an order and a stamp.
pub(crate) type Push = (String, i64);

/// A partition as it was committed last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) next: i64,
    pub(crate) number: u64,
    pub(crate) states: BTreeMap<String, Stand>,
    pub(crate) owed: BTreeSet<Push>,
    /// The greatest stamp that has left.
    pub(crate) removed: i64,
    /// The statuses of its letters.
    pub(crate) letters: BTreeMap<i64, Status>,
}

/// Everything that was ever committed or taken.
pub(crate) struct Audit {
    pub(crate) script: Arc<Vec<Log>>,
    pub(crate) partitions: Vec<Committed>,
    folds: Vec<Fold>,
    /// Pushes that the platform never takes.
    poison: BTreeSet<Push>,
    /// The one body of each committed push.
    bodies: HashMap<Push, Vec<u8>>,
    /// What the platform took of each order, in its order.
    pub(crate) taken: BTreeMap<String, Vec<i64>>,
    /// Offsets with a committed dead letter.
    letters: BTreeSet<(usize, i64)>,
    /// What must not be, in words.
    pub(crate) faults: Vec<String>,
    /// What happened since it was last asked.
    pub(crate) news: Vec<String>,
}

impl Audit {
    pub(crate) fn new(script: Arc<Vec<Log>>) -> Self {
        let partitions = vec![Committed::default(); script.len()];
        let folds = vec![Fold::default(); script.len()];
        Self {
            script,
            partitions,
            folds,
            poison: BTreeSet::new(),
            bodies: HashMap::new(),
            taken: BTreeMap::new(),
            letters: BTreeSet::new(),
            faults: Vec::new(),
            news: Vec::new(),
        }
    }

    pub(crate) fn fault(&mut self, words: String) {
        self.faults.push(words);
    }

    /// A transaction is committed.
    pub(crate) fn committed(&mut self, written: &Written) {
        let mut settled = BTreeSet::new();
        let mut ranges = BTreeMap::new();
        for (partition, records) in &written.records {
            let mut gathered = Gathered::default();
            for record in records {
                gathered.take(TOPIC, record).unwrap();
            }
            let old = self.partitions[*partition].clone();
            let new = self.advance(*partition, &old, gathered, &mut settled);
            let offset = written.offsets.iter().find(|(p, _)| p == partition).map(|(_, next)| *next);
            if offset != Some(new.next) {
                self.fault(format!("position {} of {partition} committed with offset {offset:?}", new.next));
            }
            for letter in written.letters.iter().filter(|letter| usize::try_from(letter.partition) == Ok(*partition)) {
                if !new.letters.contains_key(&offset_of(letter)) {
                    self.fault(format!("a letter of {partition} has no status beside it"));
                }
            }
            ranges.insert(*partition, old.next..new.next);
            let (next, number, owed) = (new.next, new.number, new.owed.len());
            self.news.push(format!("commit {number} of {partition}: at {next}, {owed} owed"));
            self.partitions[*partition] = new;
        }
        self.letters(&written.letters, &ranges, &settled);
    }

    /// What a partition comes to, which must be what the script says.
    fn advance(
        &mut self,
        partition: usize,
        old: &Committed,
        gathered: Gathered,
        settled: &mut BTreeSet<Push>,
    ) -> Committed {
        let script = Arc::clone(&self.script);
        let mut new = old.clone();
        let Some(position) = gathered.position else {
            self.fault(format!("a commit of {partition} without a position"));
            return new;
        };
        (new.next, new.number) = (position.next.get(), position.commit_number);
        if new.number != old.number + 1 || new.next < old.next {
            self.fault(format!("commit {} at {} of {partition} follows {old:?}", new.number, new.next));
            return new;
        }
        let log = &script[partition];
        let mut due = BTreeSet::new();
        self.folds[partition].fold_on(log, new.next);
        for (event, stamp, _) in self.folds[partition].pushes(log, old.next..new.next) {
            due.insert((event.order.clone(), stamp));
            if event.kind == Kind::Poison {
                self.poison.insert((event.order.clone(), stamp));
            }
        }
        let mut leaving = Vec::new();
        for (identity, state) in gathered.states {
            let order = identity.order_id.to_string();
            match state {
                Some(state) => drop(new.states.insert(order, (state.update_time.0, state.applied_offset))),
                None => leaving.push(order),
            }
        }
        for (key, debt) in gathered.owed {
            let push = (key.identity.order_id.to_string(), key.stamp.0);
            if let Some(owed) = debt.owed() {
                if !due.remove(&push) {
                    self.fault(format!("{push:?} is owed and should not be"));
                }
                new.owed.insert(push.clone());
                self.bodies.insert(push, owed.request.to_vec());
            } else {
                let is_taken = self.taken.get(&push.0).is_some_and(|stamps| stamps.contains(&push.1));
                if !new.owed.remove(&push) || !(is_taken || self.poison.contains(&push)) {
                    self.fault(format!("{push:?} is settled, and was not owed or not taken"));
                }
                settled.insert(push);
            }
        }
        if !due.is_empty() {
            self.fault(format!("the position of {partition} passes {due:?}, which are not owed"));
        }
        self.statuses(&mut new, &gathered.letters, settled);
        for order in leaving {
            self.leaves(partition, &mut new, &order);
        }
        new.removed = position.removed_stamps.values().map(|stamp| stamp.0).max().unwrap_or(0);
        if new.states != self.folds[partition].stands() || new.removed != self.folds[partition].removed {
            self.fault(format!("{partition} at {} is {new:?}", new.next));
        }
        new
    }

    /// An order leaves with a commit.
    fn leaves(&mut self, partition: usize, new: &mut Committed, order: &str) {
        new.states.remove(order);
        if let Err(words) = self.folds[partition].remove(order) {
            self.fault(words);
        }
        if new.owed.iter().any(|(owed, _)| owed == order) || new.letters.values().any(|letter| letter.is_open_of(order))
        {
            self.fault(format!("{order} leaves, and is owed or stands as a dead letter"));
        }
        self.news.push(format!("{order} leaves"));
    }

    /// Dead letters are those that the script says, each once, with the position or the debt that they belong to.
    fn letters(
        &mut self,
        letters: &[Letter],
        ranges: &BTreeMap<usize, std::ops::Range<i64>>,
        settled: &BTreeSet<Push>,
    ) {
        let mut expected: BTreeMap<(usize, i64), &'static str> = BTreeMap::new();
        for (partition, range) in ranges {
            let (log, fold) = (&self.script[*partition], &self.folds[*partition]);
            for (offset, outcome) in (0..).zip(&fold.outcomes).filter(|(offset, _)| range.contains(offset)) {
                if let Outcome::SetAside(reason) = outcome {
                    expected.insert((*partition, offset), *reason);
                }
            }
            for (event, stamp, offset) in fold.pushes(log, 0..log.end()) {
                if event.kind == Kind::Poison && settled.contains(&(event.order.clone(), stamp)) {
                    expected.insert((*partition, offset), "rejected_by_platform");
                }
            }
        }
        for letter in letters {
            let id = (usize::try_from(letter.partition).unwrap(), offset_of(letter));
            let reason = header(letter, "order-sync.reason");
            if expected.remove(&id) != Some(reason.as_str()) || !self.letters.insert(id) {
                let words = format!("dead letter {id:?} {reason} is not called for, or is there already");
                self.faults.push(words);
            }
        }
        if !expected.is_empty() {
            self.fault(format!("dead letters are missing: {expected:?}"));
        }
    }

    /// A worker sends a push: it must be committed, and be what was committed.
    pub(crate) fn sent(&mut self, worker: usize, push: &Push, body: &[u8]) {
        self.news.push(format!("{worker} sends {push:?}"));
        match self.bodies.get(push) {
            None => self.fault(format!("{push:?} is sent before it is committed")),
            Some(committed) if committed != body => self.fault(format!("{push:?} has two bodies")),
            Some(_) => {}
        }
    }

    /// A push arrives and is taken, or ignored in silence where its stamp is not greater.
    pub(crate) fn taken(&mut self, push: &Push) {
        let stamps = self.taken.entry(push.0.clone()).or_default();
        if stamps.last().is_none_or(|last| *last < push.1) {
            stamps.push(push.1);
        }
    }

    /// Whether the platform never takes the push.
    pub(crate) fn is_poison(&self, push: &Push) -> bool {
        self.poison.contains(push)
    }

    /// Whether everything has come to its end.
    pub(crate) fn is_finished(&self, produced: &[usize]) -> bool {
        let mut pairs = self.partitions.iter().zip(produced);
        pairs.all(|(committed, end)| usize::try_from(committed.next) == Ok(*end) && committed.owed.is_empty())
    }

    /// The platform has taken what the script says, in its order.
    pub(crate) fn history(&mut self) {
        let mut expected: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for (log, fold) in self.script.iter().zip(&self.folds) {
            for (event, stamp, _) in fold.pushes(log, 0..log.end()).filter(|(event, ..)| event.kind != Kind::Poison) {
                expected.entry(event.order.clone()).or_default().push(stamp);
            }
        }
        if self.taken != expected {
            self.fault(format!("the platform took {:?}, not {expected:?}", self.taken));
        }
    }
}

fn header(letter: &Letter, name: &str) -> String {
    let found = letter.headers.iter().find(|header| &*header.name == name).and_then(|header| header.value.as_deref());
    found.map(String::from_utf8_lossy).unwrap_or_default().into_owned()
}

fn offset_of(letter: &Letter) -> i64 {
    header(letter, "__connect.errors.offset").parse().unwrap()
}
