//! Commits by transaction and the restore that reads them, over a real Apache Kafka.

use std::sync::Arc;
use std::time::{Duration, Instant};

use order_sync::config::Kafka;
use order_sync::kafka::changelog::Changelog;
use order_sync::kafka::consumer::{Consumer, GroupFence};
use order_sync::kafka::topics::Topics;
use order_sync::kafka::transactions::Transactions;
use order_sync::record::{NextOffset, TopicPartition};
use order_sync::store::MemoryStore;
use order_sync::sync::Letter;
use order_sync::sync::cache::Cache;
use order_sync::sync::changelog::{ChangelogKey, ChangelogRecord};
use order_sync::sync::commit::CutPart;
use order_sync::sync::log_ports::{CacheStore as _, ChangelogSource as _, TransactError, Transaction, TransactionLog};
use order_sync::sync::overlay::Overlay;
use order_sync::sync::ports::{By, Epoch, PortError, Position, StateReader as _};
use order_sync::sync::restore::{BATCH_BYTES, Restore, RestoreNow, RestoreSite, Step};
use order_sync::telemetry::Meters;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::support::fake_engine::FakeEngine;
use crate::support::kafka::{at, committed, eventually, settings};
use crate::support::real_kafka::RealKafka;

const ROOMY: usize = 64 * 1024 * 1024;

/// A group of one worker that holds every partition of a topic, and has its own topics.
pub struct Site {
    pub config: Kafka,
    pub source: TopicPartition,
    engine: FakeEngine,
    pub consumer: Consumer,
}

impl Site {
    pub fn new(kafka: &RealKafka, partitions: i32) -> Self {
        Self::after(kafka, partitions, |_| ())
    }

    fn after(kafka: &RealKafka, partitions: i32, before: impl FnOnce(&Kafka)) -> Self {
        let topic = kafka.topic("commits", partitions, &[]);
        let config = settings(&kafka.brokers, &RealKafka::name("commits"), &[&topic]);
        before(&config);
        let topics = Topics::connect(&config).unwrap();
        eventually("the worker's topics", || {
            topics.ensure_changelog(&config, || Ok(None)).is_ok() && topics.ensure_dead_letters(&config).is_ok()
        });
        Self::holding(config, at(&topic, 0), partitions)
    }

    /// The group's next worker, when the one before has left; the topic has one partition.
    pub fn of(config: Kafka, source: TopicPartition) -> Self {
        Self::holding(config, source, 1)
    }

    fn holding(config: Kafka, source: TopicPartition, partitions: i32) -> Self {
        let engine = FakeEngine::start(ROOMY);
        let consumer = Consumer::start(&config, engine.inbox(), Arc::clone(&engine.budget)).unwrap();
        let held = usize::try_from(partitions).unwrap();
        eventually("every partition", || engine.holds() == held);
        Self { config, source, engine, consumer }
    }

    pub fn epoch(&self) -> Epoch {
        self.held().unwrap()
    }

    pub fn held(&self) -> Option<Epoch> {
        self.engine.look(|seen| seen.holding.get(&self.source).copied())
    }

    pub fn transactions(&self, store: &str, fence: GroupFence) -> Transactions {
        Transactions::new(&self.config, store, fence, Meters::default())
    }

    pub fn transaction(&self, epoch: Epoch, number: u64, next: i64) -> Transaction {
        let letter = Letter { partition: 0, key: None, value: Some(b"v".to_vec()), headers: Vec::new() };
        let mut overlay = Overlay::default();
        overlay.advance(NextOffset::new(next));
        let position = Position { commit_number: number, ..Position::before(NextOffset::new(next)) };
        let part =
            CutPart { source: self.source.clone(), epoch, layer: overlay.cut().unwrap(), position, settings: None };
        Transaction { parts: vec![part], letters: vec![letter], ..Transaction::default() }
    }

    pub fn offset(&self) -> Option<i64> {
        committed(&self.config, &self.source.topic, 0)
    }

    fn restore_site(&self) -> (RestoreSite, MemoryStore) {
        let store = MemoryStore::new();
        let site = RestoreSite {
            changelog: Box::new(Changelog::connect(&self.config).unwrap()),
            cache: Cache::new(Arc::new(store.clone()), Meters::default()),
            meters: Meters::default(),
            topic: self.config.changelog_topic.clone(),
            group: self.config.group_id.as_str().into(),
            tombstones_kept: Duration::from_secs(3600),
            batch_bytes: BATCH_BYTES,
            units: Arc::default(),
        };
        (site, store)
    }
}

fn position(source: &TopicPartition, number: u64, next: i64) -> ChangelogRecord {
    let position = Position { commit_number: number, ..Position::before(NextOffset::new(next)) };
    ChangelogRecord { key: ChangelogKey::Position.encode(&source.topic), value: Some(position.encode().unwrap()) }
}

/// A transaction that somebody else holds open on the changelog.
fn open_transaction(config: &Kafka, id: &str, record: &ChangelogRecord) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &config.brokers)
        .set("transactional.id", id)
        .set("transaction.timeout.ms", "60000")
        .create()
        .unwrap();
    producer.init_transactions(Duration::from_secs(20)).unwrap();
    producer.begin_transaction().unwrap();
    let mut sent: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&config.changelog_topic).partition(0).key(&record.key);
    sent.payload = record.value.as_deref();
    producer.send(sent).unwrap();
    producer.flush(Duration::from_secs(20)).unwrap();
    producer
}

fn step(restore: &mut Restore, site: &mut RestoreSite) -> Result<Step, PortError> {
    loop {
        match restore.step(site, RestoreNow { mono: Duration::ZERO, wall_ms: 1_800_000_000_000 })? {
            Step::More => {}
            step @ (Step::Done | Step::Waits) => return Ok(step),
        }
    }
}

#[test]
fn real_kafka_a_commit_writes_everything_at_once_and_says_where_it_ends() {
    let Some(kafka) = RealKafka::shared() else { return };
    let site = Site::new(kafka, 1);
    let mut transactions = site.transactions("store-1", site.consumer.fence());
    let receipts = transactions.transact(&site.transaction(site.epoch(), 1, 5)).unwrap();
    assert_eq!(site.offset(), Some(5));
    let receipts2 = transactions.transact(&site.transaction(site.epoch(), 2, 5)).unwrap();
    assert_eq!(kafka.read_all(&site.config.changelog_topic).len(), 2);
    assert_eq!(kafka.read_all(&site.config.dead_letter_topic).len(), 2);
    assert!(receipts2[0].1 > receipts[0].1, "{receipts2:?}");
    let mut changelog = Changelog::connect(&site.config).unwrap();
    let mut numbers = Vec::new();
    let mut visit = |record: &ChangelogRecord| {
        numbers.push(Position::decode(record.value.as_ref().unwrap()).unwrap().commit_number);
        Ok(())
    };
    let end = changelog.read_through(0, receipts[0].1, &mut visit).unwrap();
    assert_eq!(numbers, [2], "behind the first receipt stands the second commit only");
    assert_eq!(end, changelog.extent(0).unwrap().high, "markers are passed");
    site.consumer.stop();
}

#[test]
fn real_kafka_what_is_not_owned_in_its_epoch_is_not_committed() {
    let Some(kafka) = RealKafka::shared() else { return };
    let site = Site::new(kafka, 1);
    let mut transactions = site.transactions("store-1", site.consumer.fence());
    let older = Epoch(site.epoch().0 - 1);
    let refused = transactions.transact(&site.transaction(older, 1, 5));
    assert!(matches!(refused, Err(TransactError::Aborted(PortError::Passing(_)))), "{refused:?}");
    let mut strange = site.transaction(site.epoch(), 1, 5);
    strange.parts[0].source.partition = 7;
    assert!(transactions.transact(&strange).is_err());
    assert!(kafka.read_all(&site.config.changelog_topic).is_empty());
    let fence = site.consumer.fence();
    site.consumer.stop();
    let mut transactions = Transactions::new(&site.config, "store-1", fence, Meters::default());
    let gone = transactions.transact(&Transaction::default());
    assert!(matches!(gone, Err(TransactError::Aborted(PortError::Passing(_)))), "one who has left commits nothing");
}

#[test]
fn real_kafka_a_commit_that_cannot_be_written_is_aborted_at_once_and_the_next_one_is_made() {
    let Some(kafka) = RealKafka::shared() else { return };
    let site = Site::new(kafka, 1);
    let mut transactions = site.transactions("store-1", site.consumer.fence());
    transactions.transact(&site.transaction(site.epoch(), 1, 5)).unwrap();
    let began = Instant::now();
    let mut unwritable = site.transaction(site.epoch(), 2, 6);
    unwritable.letters[0].partition = 99;
    assert!(matches!(transactions.transact(&unwritable), Err(TransactError::Aborted(_))));
    transactions.transact(&site.transaction(site.epoch(), 2, 7)).unwrap();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!((site.offset(), kafka.read_all(&site.config.changelog_topic).len()), (Some(7), 2));
    assert_eq!(kafka.read_all(&site.config.dead_letter_topic).len(), 2);
    site.consumer.stop();
}

#[test]
fn real_kafka_a_record_that_one_topic_does_not_take_is_refused_with_that_topics_name() {
    let Some(kafka) = RealKafka::shared() else { return };
    let changelog = |config: &Kafka| [config.changelog_topic.clone(), config.dead_letter_topic.clone()];
    let letters = |config: &Kafka| [config.dead_letter_topic.clone(), config.changelog_topic.clone()];
    let (room, time) = ("max.message.bytes", "message.timestamp.before.max.ms");
    for (names, policy, setting, value) in [
        (changelog as fn(&Kafka) -> _, "compact", room, "60"),
        (letters, "delete", room, "60"),
        (changelog, "compact", time, "0"),
    ] {
        let make = |config: &Kafka| {
            kafka.create(&names(config)[0], 1, &[("cleanup.policy", policy), (setting, value)]);
        };
        let site = Site::after(kafka, 1, make);
        let mut transactions = site.transactions("store-1", site.consumer.fence());
        let refused = transactions.transact(&site.transaction(site.epoch(), 1, 5)).unwrap_err();
        let TransactError::Aborted(PortError::Refused(By::Kafka, words)) = refused else { panic!("{refused:?}") };
        let [topic, other] = names(&site.config);
        assert!(words.contains(&format!("{setting} of {topic} ")) && !words.contains(&other), "{words}");
        site.consumer.stop();
    }
}

#[test]
fn real_kafka_two_workers_on_copies_of_a_store_get_a_clear_error() {
    let Some(kafka) = RealKafka::shared() else { return };
    let site = Site::new(kafka, 1);
    let mut both = [(); 2].map(|()| site.transactions("store-1", site.consumer.fence()));
    let mut words = String::new();
    for number in 1..40 {
        let which = usize::try_from(number % 2).unwrap();
        match both[which].transact(&site.transaction(site.epoch(), number, 5)) {
            Ok(_) | Err(TransactError::Unknown(_) | TransactError::Aborted(PortError::Passing(_))) => {}
            Err(TransactError::Aborted(
                PortError::Fatal(fatal) | PortError::Damaged(fatal) | PortError::Refused(_, fatal),
            )) => {
                words = fatal;
                break;
            }
        }
    }
    assert!(words.contains("copy of this store directory"), "{words:?}");
    site.consumer.stop();
}

#[test]
fn real_kafka_an_open_transaction_holds_a_restore_until_it_is_decided() {
    let Some(kafka) = RealKafka::shared() else { return };
    let site = Site::new(kafka, 1);
    let mut transactions = site.transactions("store-1", site.consumer.fence());
    transactions.transact(&site.transaction(site.epoch(), 1, 5)).unwrap();
    let open = open_transaction(&site.config, &RealKafka::name("other"), &position(&site.source, 2, 5));
    let (mut restore_site, store) = site.restore_site();
    let mut restore = Restore::new(Epoch(1), site.source.clone());
    for _ in 0..3 {
        assert!(matches!(step(&mut restore, &mut restore_site), Ok(Step::Waits)), "its outcome may be a state");
    }
    open.commit_transaction(Duration::from_secs(20)).unwrap();
    eventually("the restore", || matches!(step(&mut restore, &mut restore_site), Ok(Step::Done)));
    assert_eq!(store.position(&site.source).unwrap().unwrap().commit_number, 2);

    let open = open_transaction(&site.config, &RealKafka::name("other"), &position(&site.source, 3, 5));
    open.abort_transaction(Duration::from_secs(20)).unwrap();
    let (mut restore_site, store) = site.restore_site();
    let mut restore = Restore::new(Epoch(1), site.source.clone());
    eventually("another restore", || matches!(step(&mut restore, &mut restore_site), Ok(Step::Done)));
    assert_eq!(store.position(&site.source).unwrap().unwrap().commit_number, 2, "aborted is as if it never was");
    let high = Changelog::connect(&site.config).unwrap().extent(0).unwrap().high;
    assert_eq!(store.checkpoint(&site.source).unwrap().unwrap().changelog, high, "the last offset is a marker");
    site.consumer.stop();
}

#[test]
fn real_kafka_a_changelog_without_its_beginning_is_told_and_a_store_that_has_it_goes_on() {
    let Some(kafka) = RealKafka::shared() else { return };
    // A broker deletes no records by command where the policy is compact alone.
    let delete = [("cleanup.policy", "delete"), ("max.message.bytes", "4259840")];
    let site = Site::after(kafka, 1, |config| kafka.create(&config.changelog_topic, 1, &delete));
    let mut transactions = site.transactions("store-1", site.consumer.fence());
    transactions.transact(&site.transaction(site.epoch(), 1, 5)).unwrap();
    let (mut knows, store) = site.restore_site();
    eventually("a restore", || {
        matches!(step(&mut Restore::new(Epoch(1), site.source.clone()), &mut knows), Ok(Step::Done))
    });
    let stands = store.checkpoint(&site.source).unwrap().unwrap().changelog.get();
    transactions.transact(&site.transaction(site.epoch(), 2, 6)).unwrap();
    kafka.delete_records(&site.config.changelog_topic, 0, stands);

    let (mut empty, _) = site.restore_site();
    let Err(PortError::Refused(By::Kafka, words)) = step(&mut Restore::new(Epoch(1), site.source.clone()), &mut empty)
    else {
        panic!("taken for the whole")
    };
    assert!(words.contains(&format!("/0 begins at offset {stands}")) && words.contains("store rebase"), "{words}");
    eventually("the store goes on", || {
        matches!(step(&mut Restore::new(Epoch(2), site.source.clone()), &mut knows), Ok(Step::Done))
    });
    assert_eq!(store.position(&site.source).unwrap().unwrap().commit_number, 2);
    site.consumer.stop();
}

#[test]
fn real_kafka_an_offset_that_a_transaction_is_about_to_change_is_not_told() {
    let Some(kafka) = RealKafka::shared() else { return };
    let site = Site::new(kafka, 1);
    let mut transactions = site.transactions("store-1", site.consumer.fence());
    transactions.transact(&site.transaction(site.epoch(), 1, 5)).unwrap();
    let mut changelog = Changelog::connect(&site.config).unwrap();
    assert_eq!(changelog.committed(&site.source).unwrap(), Some(NextOffset::new(5)));
    assert_eq!(changelog.committed(&at(&site.source.topic, 0)).unwrap(), Some(NextOffset::new(5)));

    let open = open_transaction(&site.config, &RealKafka::name("other"), &position(&site.source, 2, 8));
    let consumer: rdkafka::consumer::BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &site.config.brokers)
        .set("group.id", &site.config.group_id)
        .create()
        .unwrap();
    let metadata = rdkafka::consumer::Consumer::group_metadata(&consumer).unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(&site.source.topic, 0, rdkafka::Offset::Offset(8)).unwrap();
    // One who is no member is not fenced at all: that is why the metadata is looked at before it is used.
    open.send_offsets_to_transaction(&list, &metadata, Duration::from_secs(20)).unwrap();
    assert!(matches!(changelog.committed(&site.source), Err(PortError::Passing(_))), "5 and 8 may both be wrong");
    open.commit_transaction(Duration::from_secs(20)).unwrap();
    eventually("the offset", || matches!(changelog.committed(&site.source), Ok(Some(next)) if next.get() == 8));
    site.consumer.stop();
}

#[test]
fn real_kafka_an_earlier_run_s_open_transaction_ends_with_the_next_start() {
    let Some(kafka) = RealKafka::shared() else { return };
    let site = Site::new(kafka, 1);
    let id = format!("{}.store-1", site.config.group_id);
    let _open = open_transaction(&site.config, &id, &position(&site.source, 1, 5));
    let mut changelog = Changelog::connect(&site.config).unwrap();
    let high = changelog.extent(0).unwrap().high;
    assert!(changelog.read_through(0, NextOffset::new(0), &mut |_| Ok(())).unwrap() < high, "held back");
    let mut transactions = site.transactions("store-1", site.consumer.fence());
    transactions.recover().unwrap();
    let high = changelog.extent(0).unwrap().high;
    assert_eq!(changelog.read_through(0, NextOffset::new(0), &mut |_| panic!("aborted")).unwrap(), high);
    site.consumer.stop();
}
