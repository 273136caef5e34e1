//! Commits whose answer is lost, over a real Apache Kafka.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use order_sync::kafka::changelog::Changelog;
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

#[test]
fn real_kafka_a_commit_whose_answer_is_lost_is_found_and_not_made_twice() {
    let Some(kafka) = RealKafka::shared() else { return };
    let site = Site::new(kafka, 1);
    let calls = Arc::default();
    let (store, epoch) = (MemoryStore::new(), site.epoch());
    let cache = Cache::new(Arc::new(store), order_sync::telemetry::Meters::default());
    cache.begin(&site.source, epoch).unwrap();
    let mut commit = LogCommit {
        log: Box::new(Deaf(site.transactions("store-1", site.consumer.fence()), Arc::clone(&calls))),
        changelog: Box::new(Changelog::connect(&site.config).unwrap()),
        cache: cache.clone(),
        writer: None,
        letters: LetterDesk {
            source: Box::new(Gone),
            origin: Origin { group: "g".to_owned(), version: "0".to_owned() },
        },
        patience: Box::new(Patient),
    };
    for number in 1..4 {
        let mut overlay = Overlay::default();
        let next = NextOffset::new(i64::try_from(number).unwrap() * 10);
        overlay.advance(next);
        let position = Position { commit_number: number, ..Position::before(next) };
        let layer = overlay.cut().unwrap();
        let part = CutPart { source: site.source.clone(), epoch, layer, position, settings: None };
        commit.commit(&CommitCut { parts: vec![part] }).unwrap();
    }
    assert_eq!(calls.lock().unwrap()["transact"], 3);
    assert_eq!(calls.lock().unwrap()["recover"], 3);
    assert_eq!(kafka.read_all(&site.config.changelog_topic).len(), 3);
    assert_eq!(site.offset(), Some(30));
    assert_eq!(cache.position(&site.source).unwrap().unwrap().commit_number, 3);
    site.consumer.stop();
}
