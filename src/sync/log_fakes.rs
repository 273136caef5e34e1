//! A changelog with transactions, in memory, for the tests of commit and restore: what is open holds readers back, and a
//! commit may answer anything.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::changelog::{ChangelogRecord, records};
use super::commit::{CommitCut, CutPart, LetterDesk};
use super::letter::{Letter, Origin};
use super::log_ports::{
    ChangelogExtent, ChangelogSource, Patience, ReadTo, Receipt, TransactError, Transaction, TransactionLog,
};
use super::overlay::Overlay;
use super::ports::{By, Closed, Epoch, PortError, Position, SourceReader};
use crate::order::{AppId, Digest, EventTime, Identity, OrderState, OrderType, Status, UpdateTime};
use crate::record::{NextOffset, Record, RecordOffset, TopicPartition};
use crate::sync::{Owed, OwedKey};

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Yes,
    Abort,
    UnknownCommitted,
    UnknownAborted,
}

/// One offset of the changelog: a record, or a marker.
struct Place {
    partition: i32,
    record: Option<ChangelogRecord>,
    is_committed: bool,
}

#[derive(Default)]
pub(super) struct Content {
    log: Vec<Place>,
    /// Where the oldest open transaction begins.
    pub(super) open_from: Option<i64>,
    pub(super) low: i64,
    pub(super) offsets: HashMap<TopicPartition, i64>,
    pub(super) letters: Vec<Letter>,
    pub(super) plans: VecDeque<Plan>,
    /// Nothing can be read from here on.
    pub(super) broken_from: Option<i64>,
    /// A read comes no further than so many offsets at once.
    pub(super) slow: Option<i64>,
    /// Fails so many recoveries first.
    pub(super) deaf: usize,
    pub(super) asked: Vec<&'static str>,
}

/// One changelog, seen by every handle; offsets count through all partitions.
#[derive(Clone, Default)]
pub(super) struct FakeLog(Arc<Mutex<Content>>);

impl FakeLog {
    pub(super) fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap()
    }

    pub(super) fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.content().asked)
    }
}

impl Content {
    pub(super) fn write(&mut self, transaction: &Transaction, is_committed: bool) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        for part in &transaction.parts {
            let partition = part.source.partition;
            for record in records(part).unwrap() {
                self.log.push(Place { partition, record: Some(record), is_committed });
            }
            receipts.push((part.source.clone(), NextOffset::new(self.end())));
            if is_committed {
                self.offsets.insert(part.source.clone(), part.position.next.get());
            }
        }
        self.log.push(Place { partition: -1, record: None, is_committed });
        if is_committed {
            self.letters.extend(transaction.letters.iter().cloned());
        }
        receipts
    }

    /// Deleted, and created again.
    pub(super) fn make_anew(&mut self) {
        self.log.clear();
    }

    /// Long after: what has a tombstone is gone, and the tombstone too. Markers stand in their places.
    pub(super) fn compact(&mut self) {
        let dead = |record: &ChangelogRecord| record.value.is_none().then(|| record.key.clone());
        let dead: Vec<_> = self.log.iter().filter_map(|place| place.record.as_ref().and_then(dead)).collect();
        for place in &mut self.log {
            place.record = place.record.take().filter(|record| !dead.contains(&record.key));
        }
    }

    pub(super) fn end(&self) -> i64 {
        i64::try_from(self.log.len()).unwrap()
    }
}

impl TransactionLog for FakeLog {
    fn transact(&mut self, transaction: &Transaction) -> Result<Vec<Receipt>, TransactError> {
        let mut content = self.content();
        content.asked.push("transact");
        let lost = || TransactError::Unknown("no answer".to_owned());
        if transaction.behind.iter().any(|(_, place)| place.get() > content.end()) {
            content.write(transaction, false);
            return Err(PortError::Refused(By::Kafka, "another log".to_owned()).into());
        }
        match content.plans.pop_front().unwrap_or(Plan::Yes) {
            Plan::Yes => Ok(content.write(transaction, true)),
            Plan::Abort => {
                content.write(transaction, false);
                Err(PortError::Passing("aborted".to_owned()).into())
            }
            Plan::UnknownCommitted => {
                content.write(transaction, true);
                Err(lost())
            }
            Plan::UnknownAborted => {
                content.write(transaction, false);
                Err(lost())
            }
        }
    }

    fn recover(&mut self) -> Result<(), PortError> {
        let mut content = self.content();
        content.asked.push("recover");
        if content.deaf > 0 {
            content.deaf -= 1;
            return Err(PortError::Passing("nobody there".to_owned()));
        }
        Ok(())
    }
}

impl ChangelogSource for FakeLog {
    fn committed(&mut self, source: &TopicPartition) -> Result<Option<NextOffset>, PortError> {
        let mut content = self.content();
        content.asked.push("committed");
        Ok(content.offsets.get(source).copied().map(NextOffset::new))
    }

    fn extent(&mut self, _partition: i32) -> Result<ChangelogExtent, PortError> {
        let mut content = self.content();
        content.asked.push("extent");
        Ok(ChangelogExtent { low: NextOffset::new(content.low), high: NextOffset::new(content.end()) })
    }

    fn read(
        &mut self,
        partition: i32,
        from: NextOffset,
        visit: &mut dyn FnMut(&ChangelogRecord) -> Result<(), PortError>,
    ) -> Result<ReadTo, PortError> {
        let mut content = self.content();
        content.asked.push("read");
        if from.get() < content.low {
            return Err(PortError::Passing(format!("no longer has offset {from}")));
        }
        let decided = content.open_from.unwrap_or(content.end()).max(from.get());
        let stable = content.slow.map_or(decided, |most| decided.min(from.get() + most));
        for (offset, place) in (0..).zip(&content.log) {
            if content.broken_from == Some(offset) {
                return Err(PortError::Fatal("the end of this process".to_owned()));
            }
            let seen = (from.get()..stable).contains(&offset) && place.is_committed && place.partition == partition;
            if let (true, Some(record)) = (seen, &place.record) {
                visit(record)?;
            }
        }
        let at = NextOffset::new(stable);
        Ok(match stable < decided {
            true if stable % 2 == 0 => ReadTo::Part(at),
            true => ReadTo::Pause(at, "no answer".to_owned()),
            false => ReadTo::End(at),
        })
    }
}

/// Ends after so many pauses.
pub(super) struct Patient(pub(super) Mutex<usize>);

impl Patience for Patient {
    fn pause(&self, _wait: Duration) -> Result<(), Closed> {
        let mut left = self.0.lock().unwrap();
        *left = left.checked_sub(1).ok_or(Closed)?;
        Ok(())
    }

    fn wall_ms(&self) -> i64 {
        1_000_000
    }
}

/// A source topic without records.
struct Gone;

impl SourceReader for Gone {
    fn read(&mut self, _source: &TopicPartition, _offset: RecordOffset) -> Result<Option<Record>, PortError> {
        Ok(None)
    }

    fn is_at_end(&mut self, _source: &TopicPartition, _next: NextOffset) -> Result<bool, PortError> {
        Ok(true)
    }
}

pub(super) fn letter_desk() -> LetterDesk {
    let origin = Origin { group: "g".to_owned(), version: "0".to_owned() };
    LetterDesk { source: Box::new(Gone), origin }
}

pub(super) fn source(partition: i32) -> TopicPartition {
    TopicPartition::new("orders", partition)
}

pub(super) fn identity(order: &str) -> Identity {
    Identity::new(AppId::new("tt1"), order)
}

pub(super) fn key(order: &str, stamp: i64) -> OwedKey {
    OwedKey { identity: identity(order), stamp: UpdateTime(stamp) }
}

/// A part in which `order` has come to `stamp`, and that delivery is owed; these debts are settled.
pub(super) fn part(partition: i32, epoch: u64, number: u64, order: &str, stamp: i64, settled: &[OwedKey]) -> CutPart {
    let mut overlay = Overlay::default();
    let state = OrderState {
        order_type: OrderType::Normal,
        status: Status::Paid,
        document: "{}".into(),
        applied_offset: stamp,
        event_ids: vec!["e".into()],
        sequence: None,
        occurred_at: EventTime(1_700_000_000_000),
        update_time: UpdateTime(stamp),
        digest: Digest([1; 32]),
        dead_letter: None,
    };
    for key in settled {
        overlay.settle(key.clone(), None);
    }
    let request = format!(r#"{{"update_time":{stamp}}}"#);
    overlay.owe(key(order, stamp), Owed { request: request.into(), offset: stamp, timestamp_ms: None });
    overlay.put_state(identity(order), Arc::new(state));
    overlay.advance(NextOffset::new(stamp));
    CutPart {
        source: source(partition),
        epoch: Epoch(epoch),
        layer: overlay.cut().unwrap(),
        position: Position { commit_number: number, ..Position::before(NextOffset::new(stamp)) },
        settings: None,
    }
}

pub(super) fn cut(parts: Vec<CutPart>) -> CommitCut {
    CommitCut { parts }
}
