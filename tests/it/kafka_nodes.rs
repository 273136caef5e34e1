//! Reading from a cluster of three while one of its nodes is away.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use order_sync::kafka::commands::CommandsTopic;
use order_sync::kafka::consumer::Consumer;
use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::kafka::status::Status;
use order_sync::store::MemoryStore;
use order_sync::sync::command_ports::{CommandFeed as _, CommandNews};
use order_sync::sync::log_ports::TransactionLog as _;
use order_sync::sync::ports::{Closed, Epoch, Inbox, Input};
use rdkafka::ClientConfig;
use rdkafka::admin::TopicReplication;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::metadata::MetadataPartition;

use crate::kafka_commits::Site;
use crate::support::fake_engine::FakeEngine;
use crate::support::kafka::{at, eventually, settings};
use crate::support::real_kafka::RealKafka;

pub const AWAY: i32 = 3;
/// A cluster of three does not go on without two of them.
pub static ONE_AWAY: Mutex<()> = Mutex::new(());
/// By then a client has all other connections that it wants: one that comes up lets it ask for the coordinator anew.
const SETTLED: Duration = Duration::from_secs(14);
/// A call that does not come back is given up after 20 s.
const GOES_ON: Duration = Duration::from_secs(60);

#[test]
fn real_kafka_a_partition_without_a_leader_is_said_and_waited_for() {
    let Some(kafka) = RealKafka::three() else { return };
    let _one = ONE_AWAY.lock().unwrap_or_else(PoisonError::into_inner);
    let topic = RealKafka::name("leader");
    // Partition 0 lies on one node alone.
    kafka.create_on(&topic, 2, TopicReplication::Variable(&[&[AWAY], &[1]]), &[]);
    let producer = Producer::connect(&kafka.brokers).unwrap();
    for partition in [0, 1] {
        for _ in 0..5 {
            let outgoing = Outgoing { partition: Some(partition), value: Some(b"x"), ..Outgoing::default() };
            producer.send(&topic, outgoing).unwrap();
        }
    }
    producer.flush().unwrap();
    kafka.node("stop-node", AWAY);

    let engine = FakeEngine::start(64 * 1024 * 1024);
    let config = settings(&kafka.brokers, &RealKafka::name("leader"), &[&topic]);
    let consumer = Consumer::start(&config, engine.inbox(), Arc::clone(&engine.budget)).unwrap();
    eventually("the other partition is read", || engine.offsets(&at(&topic, 1)).len() == 5);
    let words = format!("{topic}/0 cannot be started yet: ");
    eventually("the one without a leader is said", || {
        consumer.status().problems().iter().any(|problem| problem.starts_with(&words))
    });
    assert_eq!(engine.offsets(&at(&topic, 0)), [0; 0]);
    assert_eq!(engine.failures(), [""; 0], "it is waited for");

    kafka.node("restart-node", AWAY);
    eventually("its records", || engine.offsets(&at(&topic, 0)).len() == 5);
    eventually("no problem", || consumer.status().problems().is_empty());
    consumer.stop();
    engine.check();
}

/// How many partitions are followed.
#[derive(Default)]
struct Followed(AtomicUsize);

impl Inbox for Followed {
    fn send(&self, input: Input) -> Result<(), Closed> {
        if let Input::Commands(told) = input
            && let CommandNews::Followed(_) = told.news
        {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

#[test]
fn real_kafka_a_partition_of_commands_without_a_leader_is_said() {
    let Some(kafka) = RealKafka::three() else { return };
    let _one = ONE_AWAY.lock().unwrap_or_else(PoisonError::into_inner);
    let config = settings(&kafka.brokers, &RealKafka::name("commanded"), &["orders"]);
    let topic = config.commands_topic();
    // Partition 0 lies on one node alone.
    kafka.create_on(&topic, 2, TopicReplication::Variable(&[&[AWAY], &[1]]), &[]);
    let (followed, status) = (Arc::new(Followed::default()), Status::new());
    let inbox = Arc::clone(&followed) as Arc<dyn Inbox>;
    let reader = CommandsTopic::start(&config, Arc::new(MemoryStore::new()), inbox, status.clone()).unwrap();
    for partition in [0, 1] {
        reader.feed().follow(Epoch(1), &at("orders", partition), None);
    }
    eventually("both are followed", || followed.0.load(Ordering::SeqCst) == 2);
    assert_eq!(status.problems(), [""; 0]);

    kafka.node("stop-node", AWAY);
    let words = format!("nobody answers for a partition of {topic}");
    eventually("it is said", || status.problems().iter().any(|problem| problem.starts_with(&words)));
    kafka.node("restart-node", AWAY);
    eventually("no problem", || status.problems().is_empty());
}

/// librdkafka waits for a connection to the coordinator that it knows, for ever where that one is gone.
#[test]
fn real_kafka_commits_go_on_by_themselves_where_the_coordinator_of_the_group_was_stopped() {
    let Some(kafka) = RealKafka::three() else { return };
    let _one = ONE_AWAY.lock().unwrap_or_else(PoisonError::into_inner);
    let site = Site::new(kafka, 1);
    let mut transactions = site.transactions("store-1", site.consumer.fence());
    transactions.transact(&site.transaction(site.epoch(), 1, 5)).unwrap();
    let cluster: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &kafka.brokers).create().unwrap();
    let away = coordinator(&cluster, &site.config.group_id).unwrap();
    kafka.node("stop-node", away);
    eventually("another coordinator", || coordinator(&cluster, &site.config.group_id).is_some_and(|node| node != away));
    let stopped = Instant::now();
    eventually("nothing more that wakes the client", || stopped.elapsed() > SETTLED);

    let (tell, told) = sync_channel(1);
    std::thread::spawn(move || {
        let mut is_committed = false;
        while !is_committed {
            let done = site.held().map(|epoch| transactions.transact(&site.transaction(epoch, 2, 9)));
            is_committed = done.is_some_and(|done| done.is_ok());
            std::thread::park_timeout(Duration::from_millis(100));
        }
        tell.send(site).ok();
    });
    let site = told.recv_timeout(GOES_ON).expect("commits do not go on");
    assert_eq!(site.offset(), Some(9), "while the node is away");

    kafka.node("restart-node", away);
    eventually("all nodes", || {
        cluster.fetch_metadata(None, Duration::from_secs(10)).is_ok_and(|found| found.brokers().len() == 3)
    });
    site.consumer.stop();
}

/// The node that answers for a group: the leader of its partition of the groups' topic.
fn coordinator(cluster: &BaseConsumer, group: &str) -> Option<i32> {
    let found = cluster.fetch_metadata(Some("__consumer_offsets"), Duration::from_secs(10)).ok()?;
    let partitions = found.topics().first()?.partitions();
    let hash = group.bytes().fold(0_i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte)));
    let partition = (hash & i32::MAX) % i32::try_from(partitions.len()).ok()?;
    partitions.iter().find(|found| found.id() == partition).map(MetadataPartition::leader).filter(|node| *node > 0)
}
