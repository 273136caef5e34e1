//! Commits whose answer is lost, over a real Apache Kafka.

use std::collections::HashMap;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use order_sync::kafka::changelog::Changelog;
use order_sync::kafka::transactions::Transactions;
use order_sync::record::{NextOffset, Record, RecordOffset, TopicPartition};
use order_sync::store::MemoryStore;
use order_sync::sync::cache::Cache;
use order_sync::sync::commit::{CommitCut, CutCommit as _, CutPart, LetterDesk};
use order_sync::sync::letter::Origin;
use order_sync::sync::log_commit::LogCommit;
use order_sync::sync::log_ports::{Patience, Receipt, TransactError, Transaction, TransactionLog};
use order_sync::sync::overlay::Overlay;
use order_sync::sync::ports::{Closed, PortError, Position, SourceReader, StateReader as _};

use crate::kafka_commits::Site;
use crate::support::real_kafka::RealKafka;

/// Performs transactions for real and loses the answer.
struct Deaf<T>(T, Arc<Mutex<HashMap<&'static str, usize>>>);

impl<T: TransactionLog> TransactionLog for Deaf<T> {
    fn transact(&mut self, transaction: &Transaction) -> Result<Vec<Receipt>, TransactError> {
        *self.1.lock().unwrap().entry("transact").or_default() += 1;
        self.0.transact(transaction)?;
        Err(TransactError::Unknown("the answer was lost".to_owned()))
    }

    fn recover(&mut self) -> Result<(), PortError> {
        *self.1.lock().unwrap().entry("recover").or_default() += 1;
        self.0.recover()
    }
}

struct Gone;

impl SourceReader for Gone {
    fn read(&mut self, _: &TopicPartition, _: RecordOffset) -> Result<Option<Record>, PortError> {
        Ok(None)
    }

    fn is_at_end(&mut self, _: &TopicPartition, _: NextOffset) -> Result<bool, PortError> {
        Ok(true)
    }
}

struct Patient;

impl Patience for Patient {
    fn pause(&self, wait: Duration) -> Result<(), Closed> {
        std::thread::park_timeout(wait);
        Ok(())
    }

    fn wall_ms(&self) -> i64 {
        1
    }
}

/// The commit of a worker that has just begun, and its cache.
fn worker(site: &Site, log: impl TransactionLog + 'static) -> (LogCommit, Cache) {
    let cache = Cache::new(Arc::new(MemoryStore::new()), order_sync::telemetry::Meters::default());
    cache.begin(&site.source, site.epoch()).unwrap();
    let commit = LogCommit {
        log: Box::new(log),
        changelog: Box::new(Changelog::connect(&site.config).unwrap()),
        cache: cache.clone(),
        writer: None,
        letters: LetterDesk {
            source: Box::new(Gone),
            origin: Origin { group: "g".to_owned(), version: "0".to_owned() },
        },
        patience: Box::new(Patient),
    };
    (commit, cache)
}

fn cut(site: &Site, number: u64, next: i64) -> CommitCut {
    let (mut overlay, next) = (Overlay::default(), NextOffset::new(next));
    overlay.advance(next);
    let position = Position { commit_number: number, ..Position::before(next) };
    let (source, epoch, layer) = (site.source.clone(), site.epoch(), overlay.cut().unwrap());
    CommitCut { parts: vec![CutPart { source, epoch, layer, position, settings: None }] }
}

#[test]
fn real_kafka_a_commit_whose_answer_is_lost_is_found_and_not_made_twice() {
    let Some(kafka) = RealKafka::shared() else { return };
    let site = Site::new(kafka, 1);
    let calls = Arc::default();
    let log = Deaf(site.transactions("store-1", site.consumer.fence()), Arc::clone(&calls));
    let (mut commit, cache) = worker(&site, log);
    for (number, next) in [(1, 10), (2, 20), (3, 30)] {
        commit.commit(&cut(&site, number, next)).unwrap();
    }
    assert_eq!(calls.lock().unwrap()["transact"], 3);
    assert_eq!(calls.lock().unwrap()["recover"], 3);
    assert_eq!(kafka.read_all(&site.config.changelog_topic).len(), 3);
    assert_eq!(site.offset(), Some(30));
    assert_eq!(cache.position(&site.source).unwrap().unwrap().commit_number, 3);
    site.consumer.stop();
}

/// What happens between a commit and the news that nobody knows what became of it.
type Meanwhile = Box<dyn FnOnce() + Send>;

/// Makes the first transaction, or does not, and loses the answer; those behind it are as ever.
struct Lost {
    log: Transactions,
    is_made: bool,
    meanwhile: Option<Meanwhile>,
}

impl TransactionLog for Lost {
    fn transact(&mut self, transaction: &Transaction) -> Result<Vec<Receipt>, TransactError> {
        let Some(meanwhile) = self.meanwhile.take() else { return self.log.transact(transaction) };
        if self.is_made {
            self.log.transact(transaction)?;
        }
        meanwhile();
        Err(TransactError::Unknown("the answer was lost".to_owned()))
    }

    fn recover(&mut self) -> Result<(), PortError> {
        self.log.recover()
    }
}

/// Whether it was made, and whether the next owner has committed; then the positions that are there, and whether it counts as made.
type Case = (bool, bool, &'static [(u64, i64)], bool);

/// The partition is taken back while nobody knows whether its last commit was made, and given to another worker, which may have
/// gone on with it by the time that it is found out. The changelog holds what was committed once, and nothing of who has left.
#[test]
fn real_kafka_a_commit_whose_answer_is_lost_over_a_revoke_is_found_out_and_spoils_nothing() {
    let Some(kafka) = RealKafka::shared() else { return };
    let cases: [Case; 4] = [
        (true, true, &[(1, 10), (2, 20)], true),
        (true, false, &[(1, 10)], true),
        (false, true, &[(1, 20)], true),
        (false, false, &[], false),
    ];
    for (is_made, goes_on, there, counts) in cases {
        let site = Site::new(kafka, 1);
        let (log, cut) = (site.transactions("store-1", site.consumer.fence()), cut(&site, 1, 10));
        let (tell, told) = sync_channel(1);
        let (config, source) = (site.config.clone(), site.source.clone());
        let (mut commit, cache) = worker(&site, site.transactions("store-1", site.consumer.fence()));
        let consumer = site.consumer;
        let meanwhile = move || {
            consumer.stop();
            let next = Site::of(config, source);
            if goes_on {
                let mut transactions = next.transactions("store-2", next.consumer.fence());
                let number = if is_made { 2 } else { 1 };
                transactions.transact(&next.transaction(next.epoch(), number, 20)).unwrap();
            }
            tell.send(next).unwrap();
        };
        commit.log = Box::new(Lost { log, is_made, meanwhile: Some(Box::new(meanwhile)) });
        let done = commit.commit(&cut);
        assert_eq!(done.is_ok(), counts, "{is_made} {goes_on}: {done:?}");
        let next = told.recv().unwrap();
        let positions: Vec<(u64, i64)> = kafka
            .read_all(&next.config.changelog_topic)
            .iter()
            .map(|(_, record)| Position::decode(record.value.as_ref().unwrap()).unwrap())
            .map(|position| (position.commit_number, position.next.get()))
            .collect();
        assert_eq!(positions, there, "{is_made} {goes_on}");
        assert_eq!(next.offset(), there.last().map(|(_, next)| *next), "{is_made} {goes_on}");
        let held = cache.position(&next.source).unwrap().map(|position| position.next.get());
        assert_eq!(held, (is_made && !goes_on).then_some(10), "{is_made} {goes_on}: what is held of it");
        next.consumer.stop();
    }
}
