//! Holds everything that is committed or sent against the script, at the very moment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use order_sync::record::NextOffset;
use order_sync::sync::OwedKey;
use order_sync::sync::changelog::{ChangelogKey, ChangelogRecord, Debt, Gathered, SettingsFrom};
use order_sync::sync::letter::Letter;
use order_sync::sync::ports::Position;

use super::orders::{Due, Never, Orders};
use super::script::{Log, Stand};
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
    /// The offset that each push belongs to that was ever owed: its dead letter's.
    offsets: BTreeMap<Push, i64>,
    /// How far the commands topic is executed.
    pub(crate) commands: i64,
    /// The settings that were recorded last.
    pub(crate) settings: Option<SettingsFrom>,
}

/// What the debts of one commit come to.
#[derive(Default)]
struct Paid {
    settled: BTreeSet<Push>,
    /// Dead letters of pushes that were rejected.
    letters: Vec<(i64, &'static str)>,
}

/// A dead letter, by partition and offset, and why it is one.
type Called = ((usize, i64), &'static str);

/// Everything that was ever committed or taken.
pub(crate) struct Audit {
    pub(crate) script: Arc<Vec<Log>>,
    pub(crate) partitions: Vec<Committed>,
    /// The one body of each committed push.
    bodies: HashMap<Push, Vec<u8>>,
    /// What the platform took of each order, in its order.
    pub(crate) taken: BTreeMap<String, Vec<i64>>,
    /// What events and commands have made of each partition's orders.
    pub(crate) orders: Vec<Orders>,
    /// What must not be, in words.
    pub(crate) faults: Vec<String>,
    /// What happened since it was last asked.
    pub(crate) news: Vec<String>,
}

impl Audit {
    pub(crate) fn new(script: Arc<Vec<Log>>) -> Self {
        let partitions = vec![Committed::default(); script.len()];
        let orders = script.iter().map(|_| Orders::default()).collect();
        Self {
            script,
            partitions,
            bodies: HashMap::new(),
            taken: BTreeMap::new(),
            orders,
            faults: Vec::new(),
            news: Vec::new(),
        }
    }

    pub(crate) fn fault(&mut self, words: String) {
        self.faults.push(words);
    }

    /// A transaction is committed.
    pub(crate) fn committed(&mut self, written: &Written) {
        let mut called = Vec::new();
        for (partition, records) in &written.records {
            let mut gathered = Gathered::default();
            for record in records {
                gathered.take(TOPIC, record).unwrap();
            }
            let mut old = self.partitions[*partition].clone();
            self.record_settings(*partition, &mut old, records);
            let new = self.advance(*partition, &old, gathered, &mut called);
            let offset = written.offsets.iter().find(|(p, _)| p == partition).map(|(_, next)| *next);
            if offset != Some(new.next) {
                self.fault(format!("position {} of {partition} committed with offset {offset:?}", new.next));
            }
            for letter in written.letters.iter().filter(|letter| usize::try_from(letter.partition) == Ok(*partition)) {
                if !new.letters.contains_key(&offset_of(letter)) {
                    self.fault(format!("a letter of {partition} has no status beside it"));
                }
            }
            let (next, number, owed) = (new.next, new.number, new.owed.len());
            self.news.push(format!("commit {number} of {partition}: at {next}, {owed} owed"));
            self.partitions[*partition] = new;
        }
        self.letters(&written.letters, called);
    }

    /// What a partition comes to, which must be what the script says. `called` takes the dead letters that go with it.
    fn advance(
        &mut self,
        partition: usize,
        old: &Committed,
        gathered: Gathered,
        called: &mut Vec<Called>,
    ) -> Committed {
        let script = Arc::clone(&self.script);
        let mut new = old.clone();
        let Some(position) = gathered.position else {
            self.fault(format!("a commit of {partition} without a position"));
            return new;
        };
        (new.next, new.number) = (position.next.get(), position.commit_number);
        new.commands = position.commands.map_or(0, NextOffset::get);
        let is_past_the_end = new.next > script[partition].end();
        if new.number != old.number + 1 || new.next < old.next || new.commands < old.commands || is_past_the_end {
            self.fault(format!("commit {} at {} of {partition} follows {old:?}", new.number, new.next));
            return new;
        }
        let said = gathered.commands.into_iter().map(|(id, done)| (id.to_string(), done)).collect();
        let mut due = self.orders[partition].advance(&script[partition], old.next..new.next, said);
        self.faults.append(&mut due.faults);
        self.executed(partition, &new, &position);
        if position.settings != new.settings.as_ref().map(|from| from.by.fingerprint) {
            self.fault(format!("the position of {partition} names other settings than are recorded: {position:?}"));
        }
        let mut leaving = Vec::new();
        for (identity, state) in gathered.states {
            let order = identity.order_id.to_string();
            match state {
                Some(state) => drop(new.states.insert(order, (state.update_time.0, state.applied_offset))),
                None => leaving.push(order),
            }
        }
        let paid = self.debts(partition, &mut new, gathered.owed, &mut due);
        let letters = due.letters.iter().chain(&paid.letters);
        called.extend(letters.map(|(offset, reason)| ((partition, *offset), *reason)));
        self.statuses(partition, &mut new, &gathered.letters, &paid.settled, &due);
        leaving.sort();
        for order in leaving {
            self.leaves(partition, &mut new, &order);
        }
        new.removed = position.removed_stamps.values().map(|stamp| stamp.0).max().unwrap_or(0);
        let (stands, removed) = (self.orders[partition].stands(), self.orders[partition].removed);
        if new.states != stands || new.removed != removed {
            self.fault(format!("{partition} at {} is {new:?}, not {stands:?} above {removed}", new.next));
        }
        new
    }

    /// Settings are recorded with the commit that is the first one under them, and with no other.
    fn record_settings(&mut self, partition: usize, old: &mut Committed, records: &[ChangelogRecord]) {
        let (number, next, commands) = (old.number + 1, old.next, old.commands);
        for record in records {
            let Ok(Some(ChangelogKey::Settings(of))) = ChangelogKey::decode(&record.key, TOPIC) else { continue };
            let from = SettingsFrom::decode(record.value.as_deref().unwrap()).unwrap();
            let is_here = (of, from.next.get(), from.commands.map_or(0, NextOffset::get)) == (number, next, commands);
            let before = old.settings.as_ref().map(|old| old.by.fingerprint);
            if !is_here || before != from.before || before == Some(from.by.fingerprint) {
                self.fault(format!(
                    "commit {number} of {partition} at {next} records {from:?} behind {:?}",
                    old.settings
                ));
            }
            old.settings = Some(from);
        }
    }

    /// A request that is owed for the first time is of the release that is recorded.
    fn check_release(&mut self, push: &Push, body: &[u8], settings: Option<&SettingsFrom>) {
        let release = settings.map_or("none", |from| &*from.by.settings.release);
        if !String::from_utf8_lossy(body).contains(&format!("\"release\":{release},")) {
            self.fault(format!("{push:?} is owed, and is not of release {release}, which is recorded"));
        }
    }

    /// What is owed and settled with a commit, which must be what events and commands call for.
    fn debts(&mut self, partition: usize, new: &mut Committed, owed: BTreeMap<OwedKey, Debt>, due: &mut Due) -> Paid {
        let mut paid = Paid::default();
        for (key, debt) in owed {
            let push = (key.identity.order_id.to_string(), key.stamp.0);
            let never = self.orders[partition].never(&push);
            let letter = new.offsets.get(&push).copied().zip(never);
            if let Some(owed) = debt.owed() {
                let again = due.perhaps.remove(&push);
                if !due.pushes.remove(&push) && again.is_none() {
                    self.fault(format!("{push:?} is owed and should not be"));
                }
                // Settled and owed again is one record.
                if !new.owed.insert(push.clone()) {
                    paid.letters.extend(letter);
                }
                new.offsets.insert(push.clone(), owed.offset);
                match self.bodies.insert(push.clone(), owed.request.to_vec()) {
                    None => self.check_release(&push, &owed.request, new.settings.as_ref()),
                    Some(old) if old != owed.request => self.fault(format!("{push:?} is owed with two bodies")),
                    Some(_) => {}
                }
            } else {
                let is_taken = self.taken.get(&push.0).is_some_and(|stamps| stamps.contains(&push.1));
                if !new.owed.remove(&push) || !(is_taken || never.is_some()) {
                    self.fault(format!("{push:?} is settled, and was not owed or not taken"));
                }
                paid.letters.extend(letter);
                paid.settled.insert(push);
            }
        }
        if !due.pushes.is_empty() {
            self.fault(format!("the position of {partition} passes {:?}, which are not owed", due.pushes));
        }
        paid
    }

    /// What the position says of commands is what was executed.
    fn executed(&mut self, partition: usize, new: &Committed, position: &Position) {
        let orders = &self.orders[partition];
        let executed = self.script[partition].commands.iter().take(usize::try_from(new.commands).unwrap());
        let passed: Vec<&String> = executed.map(|(id, _)| id).filter(|id| !orders.done.contains_key(*id)).collect();
        if !passed.is_empty() {
            self.faults.push(format!("the position of {partition} passes commands {passed:?}, which are not executed"));
        }
        if orders.is_paused == position.paused_apps.is_empty() {
            let (is, says) = (orders.is_paused, &position.paused_apps);
            self.faults.push(format!("the position of {partition} says that {says:?} are paused; paused is {is}"));
        }
    }

    /// An order leaves with a commit.
    fn leaves(&mut self, partition: usize, new: &mut Committed, order: &str) {
        new.states.remove(order);
        if let Err(words) = self.orders[partition].remove(order) {
            self.fault(words);
        }
        if new.owed.iter().any(|(owed, _)| owed == order) || new.letters.values().any(|letter| letter.is_open_of(order))
        {
            self.fault(format!("{order} leaves, and is owed or stands as a dead letter"));
        }
        self.news.push(format!("{order} leaves"));
    }

    /// Dead letters are those that are called for, each as often as it is.
    fn letters(&mut self, letters: &[Letter], mut called: Vec<Called>) {
        for letter in letters {
            let id = (usize::try_from(letter.partition).unwrap(), offset_of(letter));
            let reason = header(letter, "order-sync.reason");
            match called.iter().position(|called| *called == (id, reason.as_str())) {
                Some(index) => drop(called.swap_remove(index)),
                None => self.fault(format!("dead letter {id:?} {reason} is not called for, or is there already")),
            }
        }
        if !called.is_empty() {
            self.fault(format!("dead letters are missing: {called:?}"));
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

    /// Why the push is a dead letter in the end, where the platform never takes it.
    pub(crate) fn never(&self, push: &Push) -> Never {
        self.orders.iter().find_map(|orders| orders.never(push))
    }

    /// Whether everything that is produced and given has come to its end, but for what this order owes.
    pub(crate) fn is_finished(&self, produced: &[usize], given: &[usize], but: Option<&str>) -> bool {
        self.partitions.iter().zip(produced.iter().zip(given)).all(|(committed, (end, given))| {
            let is_read =
                usize::try_from(committed.next) == Ok(*end) && usize::try_from(committed.commands) == Ok(*given);
            is_read && committed.owed.iter().all(|(order, _)| Some(order.as_str()) == but)
        })
    }

    /// The platform has taken what events and commands call for, in its order.
    pub(crate) fn history(&mut self) {
        let mut expected: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        let pushes = self.orders.iter().flat_map(|orders| &orders.pushes);
        for ((order, stamp), _) in pushes.filter(|(_, (_, never))| never.is_none()) {
            expected.entry(order.clone()).or_default().push(*stamp);
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
