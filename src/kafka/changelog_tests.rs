//! A changelog whose brokers fall silent for a while, and one that is read in part.

use std::sync::{Arc, Mutex};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::kafka::client::tests::settings;
use crate::kafka::embedded::EmbeddedBroker;
use crate::kafka::producer::{Outgoing, Producer};
use crate::store::MemoryStore;
use crate::sync::cache::Cache;
use crate::sync::changelog::ChangelogKey;
use crate::sync::ports::{Epoch, Position, StateReader as _};
use crate::sync::restore::{BATCH_BYTES, Restore, RestoreNow, RestoreSite, Step};
use crate::telemetry::Meters;

/// The library says so about three times a second that no broker answers, to clients that nobody asks anything of, too.
#[test]
fn what_its_clients_are_told_while_nobody_asks_does_not_pile_up() {
    let mut changelog = Changelog::connect(&settings("127.0.0.1:1")).unwrap();
    let [busy, rested] = [false, true].map(|rests| {
        for _ in 0..20 {
            std::thread::park_timeout(Duration::from_millis(100));
            if rests {
                changelog.rest();
            }
        }
        let told = [&changelog.committed, &changelog.uncommitted]
            .map(|reader| (0..500).filter_map(|_| reader.poll(Duration::ZERO)).count());
        told.into_iter().sum::<usize>()
    });
    assert!(rested <= 2 && busy > 4, "{rested} where it rests, {busy} where not");
}

/// Longer than one reading goes on for.
const SHORT_SILENCE: Duration = Duration::from_millis(1500);
const COMMITS: u64 = 30;

/// What a reader has come to: the commit numbers that were read, and how its readings ended.
#[derive(Default)]
struct Seen {
    numbers: Vec<u64>,
    ends: Vec<Result<ReadTo, PortError>>,
}

/// A changelog at brokers that are away from the first record on until the reader has paused.
struct Away {
    changelog: Changelog,
    broker: Arc<EmbeddedBroker>,
    seen: Arc<Mutex<Seen>>,
}

impl ChangelogSource for Away {
    fn committed(&mut self, source: &TopicPartition) -> Result<Option<NextOffset>, PortError> {
        self.changelog.committed(source)
    }

    fn extent(&mut self, partition: i32) -> Result<ChangelogExtent, PortError> {
        self.changelog.extent(partition)
    }

    fn read(
        &mut self,
        partition: i32,
        from: NextOffset,
        visit: &mut dyn FnMut(&ChangelogRecord) -> Result<(), PortError>,
    ) -> Result<ReadTo, PortError> {
        let Self { changelog, broker, seen } = self;
        let read = changelog.read(partition, from, &mut |record| {
            let mut seen = seen.lock().unwrap();
            if seen.numbers.is_empty() {
                broker.down()?;
            }
            seen.numbers.push(Position::decode(record.value.as_ref().unwrap()).unwrap().commit_number);
            visit(record)
        });
        if matches!(read, Ok(ReadTo::Pause(..))) {
            broker.up()?;
        }
        let told = match &read {
            Ok(to) => Ok(to.clone()),
            Err(error) => Err(PortError::Passing(error.to_string())),
        };
        seen.lock().unwrap().ends.push(told);
        read
    }
}

/// One commit to a batch, so that they do not come all at once.
fn write_positions(broker: &EmbeddedBroker, topic: &str, source: &TopicPartition) {
    let producer = Producer::connect(broker.brokers()).unwrap();
    let key = ChangelogKey::Position.encode(&source.topic);
    for commit_number in 1..=COMMITS {
        let position = Position { commit_number, ..Position::before(NextOffset::new(5)) };
        let value = position.encode().unwrap();
        let outgoing = Outgoing { partition: Some(0), key: Some(&key), value: Some(&value), ..Outgoing::default() };
        producer.send(topic, outgoing).unwrap();
        producer.flush().unwrap();
    }
}

/// What was read is paid for: where the brokers mind a quota, a restore that began anew after each silence would never end.
#[test]
fn a_restore_pauses_where_nothing_more_comes_and_goes_on_from_there() {
    let source = TopicPartition::new("orders", 0);
    let broker = Arc::new(EmbeddedBroker::start(&[("group.changelog", 1), ("orders", 1)]).unwrap());
    write_positions(&broker, "group.changelog", &source);
    let mut config = settings(broker.brokers());
    config.properties.insert("queued.min.messages".to_owned(), "1".into());
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut changelog = Changelog::connect(&config).unwrap();
    changelog.silence = SHORT_SILENCE;
    let cache = Cache::new(Arc::new(MemoryStore::new()), Meters::default());
    let mut site = RestoreSite {
        changelog: Box::new(Away { changelog, broker: Arc::clone(&broker), seen: Arc::clone(&seen) }),
        cache: cache.clone(),
        meters: Meters::default(),
        topic: config.changelog_topic.clone(),
        group: "group".into(),
        tombstones_kept: Duration::from_secs(3600),
        batch_bytes: BATCH_BYTES,
        units: Arc::default(),
    };
    let (mut restore, began) = (Restore::new(Epoch(1), source.clone()), Instant::now());
    loop {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", seen.lock().unwrap().ends);
        match restore.step(&mut site, RestoreNow { mono: began.elapsed(), wall_ms: 1 }).unwrap() {
            Step::Done => break,
            Step::More => {}
            Step::Waits => std::thread::park_timeout(LOOK),
        }
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.numbers, (1..=COMMITS).collect::<Vec<_>>(), "each once: {:?}", seen.ends);
    let paused: Vec<_> = seen.ends.iter().filter(|end| matches!(end, Ok(ReadTo::Pause(..)))).collect();
    assert_eq!(paused.len(), 1, "{:?}", seen.ends);
    assert_eq!(cache.position(&source).unwrap().unwrap().commit_number, COMMITS);
}

/// What was fetched ahead, some megabytes, is of no use when its restore was taken back.
#[test]
fn what_is_read_in_part_is_let_go_where_it_is_left() {
    let broker = EmbeddedBroker::start(&[("group.changelog", 2)]).unwrap();
    write_positions(&broker, "group.changelog", &TopicPartition::new("orders", 0));
    let mut changelog = Changelog::connect(&settings(broker.brokers())).unwrap();
    let assigned = |changelog: &Changelog| changelog.committed.assignment().unwrap().count();
    let slow = &mut |_: &ChangelogRecord| {
        std::thread::park_timeout(AT_ONCE);
        Ok(())
    };
    let start = NextOffset::new(0);
    let leave: [&mut dyn FnMut(&mut Changelog); 2] = [&mut Changelog::rest, &mut |changelog| {
        assert_eq!(changelog.read(1, start, &mut |_| panic!("nothing is there")).unwrap(), ReadTo::End(start));
    }];
    for leave in leave {
        let part = changelog.read(0, start, slow).unwrap();
        assert!(matches!(part, ReadTo::Part(_)), "{part:?}");
        assert_eq!(assigned(&changelog), 1, "it goes on at once");
        leave(&mut changelog);
        assert_eq!(assigned(&changelog), 0);
    }
}

/// Where a topic's existence hangs on whether the group has offsets, "may not be asked" is no "has none". Brokers answer for each
/// partition; of the older way, which tells of no error beside them, one is enough to be an error of the question.
#[test]
fn an_offset_that_is_not_told_is_not_taken_for_none() {
    use RDKafkaRespErr::*;
    let cluster: MockCluster<'static, DefaultProducerContext> = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 2, 1).unwrap();
    cluster.apiversion(RDKafkaApiKey::OffsetFetch, Some(1), Some(1)).unwrap();
    let changelog = Changelog::connect(&settings(&cluster.bootstrap_servers())).unwrap();
    let after = |answers: &[RDKafkaRespErr]| {
        cluster.request_errors(RDKafkaApiKey::OffsetFetch, answers);
        changelog.group_offsets(&[("orders".to_owned(), Some(2))].into())
    };
    let denied = after(&[RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]).unwrap_err();
    assert!(matches!(denied, PortError::Passing(_)), "{denied:?}");
    let words = denied.to_string();
    assert!(words.starts_with("cannot learn the group's offset of orders/0: Topic"), "{words}");
    for passing in [RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS] {
        assert_eq!(after(&[passing; 5]).unwrap(), GroupOffsets::default(), "{passing:?}: it is asked again");
    }
}
