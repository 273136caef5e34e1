//! Holds everything that is committed or sent against the script, at the very moment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use order_sync::sync::changelog::{ChangelogRecord, Gathered};
use order_sync::sync::letter::Letter;

use super::script::{Kind, Log, Outcome, Stand};

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
}

/// Everything that was ever committed or taken.
pub(crate) struct Audit {
    pub(crate) script: Arc<Vec<Log>>,
    pub(crate) partitions: Vec<Committed>,
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
        Self {
            script,
            partitions,
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
        for (identity, state) in gathered.states {
            let state = state.unwrap();
            new.states.insert(identity.order_id.to_string(), (state.update_time.0, state.applied_offset));
        }
        if new.states != *script[partition].stands(new.next) {
            self.fault(format!("states of {partition} at {} are {:?}", new.next, new.states));
        }
        let mut due: BTreeSet<Push> =
            script[partition].pushes(old.next..new.next).map(|(e, stamp, _)| (e.order.clone(), stamp)).collect();
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
                if !new.owed.remove(&push) || !(is_taken || is_poison(&script, &push)) {
                    self.fault(format!("{push:?} is settled, and was not owed or not taken"));
                }
                settled.insert(push);
            }
        }
        if !due.is_empty() {
            self.fault(format!("the position of {partition} passes {due:?}, which are not owed"));
        }
        new
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
            let log = &self.script[*partition];
            for (offset, outcome) in (0..).zip(&log.outcomes).filter(|(offset, _)| range.contains(offset)) {
                if let Outcome::SetAside(reason) = outcome {
                    expected.insert((*partition, offset), *reason);
                }
            }
            for (event, stamp, offset) in log.pushes(0..log.end()) {
                if event.kind == Kind::Poison && settled.contains(&(event.order.clone(), stamp)) {
                    expected.insert((*partition, offset), "rejected_by_platform");
                }
            }
        }
        for letter in letters {
            let header = |name: &str| {
                let found = letter.headers.iter().find(|header| &*header.name == name);
                found.and_then(|header| header.value.as_deref()).map(String::from_utf8_lossy).unwrap_or_default()
            };
            let id = (usize::try_from(letter.partition).unwrap(), header("__connect.errors.offset").parse().unwrap());
            let reason = header("order-sync.reason");
            if expected.remove(&id) != Some(reason.as_ref()) || !self.letters.insert(id) {
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

    /// Whether everything has come to its end.
    pub(crate) fn is_finished(&self) -> bool {
        let pairs = self.partitions.iter().zip(self.script.iter());
        pairs.clone().all(|(committed, log)| committed.next == log.end() && committed.owed.is_empty())
    }

    /// The platform has taken what the script says, in its order.
    pub(crate) fn history(&mut self) {
        let mut expected: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for log in self.script.iter() {
            for (event, stamp, _) in log.pushes(0..log.end()).filter(|(event, ..)| event.kind != Kind::Poison) {
                expected.entry(event.order.clone()).or_default().push(stamp);
            }
        }
        if self.taken != expected {
            self.fault(format!("the platform took {:?}, not {expected:?}", self.taken));
        }
    }
}

/// Whether the platform never takes the push.
pub(crate) fn is_poison(script: &[Log], push: &Push) -> bool {
    let mut pushes = script.iter().flat_map(|log| log.pushes(0..log.end()));
    pushes.any(|(event, stamp, _)| event.kind == Kind::Poison && event.order == push.0 && stamp == push.1)
}
