//! The consumer over librdkafka's mock cluster: order, contents, rebalances, bounds, missing topics and brokers.

use std::sync::Arc;

use order_sync::config::{Kafka, StartFrom};
use order_sync::kafka::consumer::Consumer;
use order_sync::kafka::embedded::EmbeddedBroker;
use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::record::{Header, NextOffset};
use order_sync::sync::ports::{Intake as _, OffsetCommits as _};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::support::fake_engine::FakeEngine;
use crate::support::kafka::{at, eventually, property, settings};

const ROOMY: usize = 64 * 1024 * 1024;

fn consume(config: &Kafka, engine: &FakeEngine) -> Consumer {
    Consumer::start(config, engine.inbox(), Arc::clone(&engine.budget)).unwrap()
}

fn produce(brokers: &str, topic: &str, partition: i32, from: usize, count: usize) {
    let producer = Producer::connect(brokers).unwrap();
    for n in from..from + count {
        let value = n.to_string();
        let outgoing = Outgoing {
            partition: Some(partition),
            key: Some(b"k"),
            value: Some(value.as_bytes()),
            ..Outgoing::default()
        };
        producer.send(topic, outgoing).unwrap();
    }
    producer.flush().unwrap();
}

#[test]
fn records_come_in_order_and_whole() {
    let broker = EmbeddedBroker::start(&[("orders", 1)]).unwrap();
    let headers = [
        Header { name: "trace".into(), value: Some(Box::from(&b"1"[..])) },
        Header { name: "trace".into(), value: None },
        Header { name: "trace".into(), value: Some(Box::from(&b""[..])) },
    ];
    let large = vec![b'x'; 2 * 1024 * 1024];
    let outgoing = [
        Outgoing {
            key: Some(b"a"),
            value: Some(b"1"),
            headers: &headers,
            timestamp_ms: Some(77),
            ..Outgoing::default()
        },
        Outgoing { key: Some(b"a"), value: None, ..Outgoing::default() },
        Outgoing { key: None, value: Some(b""), ..Outgoing::default() },
        Outgoing { key: Some(b""), value: Some(&large[..1024 * 1024]), ..Outgoing::default() },
        Outgoing { key: Some(b"b"), value: Some(&large), ..Outgoing::default() },
    ];
    let producer = Producer::connect(broker.brokers()).unwrap();
    for one in outgoing {
        producer.send("orders", one).unwrap();
    }
    producer.flush().unwrap();

    let engine = FakeEngine::start(ROOMY);
    let consumer = consume(&settings(broker.brokers(), "whole", &["orders"]), &engine);
    eventually("five records", || engine.count() == 5);
    engine.look(|seen| {
        assert_eq!(seen.assigned.len(), 1);
        assert_eq!(seen.assigned[0].2, 1, "partitions of the topic");
        assert_eq!(seen.started, [(at("orders", 0), NextOffset::new(0), NextOffset::new(5))]);
        for (n, ((_, _, record), sent)) in seen.records.iter().zip(outgoing).enumerate() {
            assert_eq!(record.offset.get(), i64::try_from(n).unwrap());
            assert_eq!(record.key.as_deref(), sent.key);
            assert_eq!(record.value.as_deref(), sent.value);
            assert_eq!(record.headers, sent.headers);
        }
        assert_eq!(seen.records[0].2.timestamp_ms, Some(77));
    });
    eventually("the end for the lag", || engine.look(|s| s.ends.get(&at("orders", 0)) == Some(&NextOffset::new(5))));
    assert!(consumer.status().joined() && consumer.status().problems().is_empty());
    consumer.stop();
    engine.look(|seen| assert_eq!(seen.revoked, [(at("orders", 0), false)]));
    engine.check();
}

/// A second member takes some partitions; after the first has left, it has them all. Nothing comes twice or is lost.
fn check_rebalance(strategy: &str) {
    let broker = EmbeddedBroker::start(&[("orders", 4)]).unwrap();
    for partition in 0..4 {
        produce(broker.brokers(), "orders", partition, 0, 50);
    }
    let mut config = settings(broker.brokers(), "moving", &["orders"]);
    property(&mut config, "partition.assignment.strategy", strategy);
    // The mock cluster takes a second less than the session timeout for each rebalance, and 3 s for the first join.
    property(&mut config, "session.timeout.ms", "4000");
    property(&mut config, "heartbeat.interval.ms", "300");
    let (first, second) = (FakeEngine::start(ROOMY), FakeEngine::start(ROOMY));
    let one = consume(&config, &first);
    eventually("all four at the first", || first.holds() == 4 && first.count() == 200);
    for partition in 0..4 {
        second.position(at("orders", partition), 50);
    }
    let two = consume(&config, &second);
    eventually("two each", || first.holds() == 2 && second.holds() == 2);
    for partition in 0..4 {
        produce(broker.brokers(), "orders", partition, 50, 50);
    }
    eventually("the rest", || first.count() + second.count() == 400);
    one.stop();
    eventually("all four at the second", || second.holds() == 4);
    first.look(|seen| {
        assert!(seen.assigned.windows(2).all(|w| w[0].0 <= w[1].0), "epochs never go back");
        assert!(seen.revoked.iter().all(|(_, lost)| !lost));
    });
    two.stop();
    first.check();
    second.check();
}

#[test]
fn partitions_move_cooperatively() {
    check_rebalance("cooperative-sticky");
}

#[test]
fn partitions_move_eagerly() {
    check_rebalance("range");
}

#[test]
fn a_paused_partition_delivers_nothing_and_the_other_goes_on() {
    let broker = EmbeddedBroker::start(&[("orders", 2)]).unwrap();
    let engine = FakeEngine::start(ROOMY);
    let consumer = consume(&settings(broker.brokers(), "paused", &["orders"]), &engine);
    eventually("both partitions", || engine.look(|seen| seen.started.len() == 2));
    let mut intake = consumer.intake();
    intake.pause(&[at("orders", 0)]);
    produce(broker.brokers(), "orders", 0, 0, 10);
    produce(broker.brokers(), "orders", 1, 0, 10);
    eventually("the other partition", || engine.offsets(&at("orders", 1)).len() == 10);
    assert_eq!(engine.offsets(&at("orders", 0)), [0; 0]);
    intake.resume(&[at("orders", 0)]);
    eventually("the paused one", || engine.offsets(&at("orders", 0)).len() == 10);
    consumer.stop();
    engine.check();
}

#[test]
fn what_is_not_folded_is_bounded_in_bytes_and_the_group_is_still_served() {
    let broker = EmbeddedBroker::start(&[("orders", 1)]).unwrap();
    let value = vec![b'x'; 10_000];
    let producer = Producer::connect(broker.brokers()).unwrap();
    for _ in 0..200 {
        producer.send("orders", Outgoing { value: Some(&value), ..Outgoing::default() }).unwrap();
    }
    producer.flush().unwrap();
    let engine = FakeEngine::start(600_000);
    engine.fold(false);
    let consumer = consume(&settings(broker.brokers(), "bounded", &["orders"]), &engine);
    eventually("a full budget", || engine.budget.used() > 300_000);
    eventually("a probe of the ends while starved", || engine.look(|seen| !seen.ends.is_empty()));
    assert!(engine.count() <= 60, "{} records are out", engine.count());
    engine.fold(true);
    eventually("all", || engine.count() == 200);
    consumer.stop();
    engine.check();
}

#[test]
fn a_position_beyond_the_end_stops_with_both_numbers() {
    let broker = EmbeddedBroker::start(&[("orders", 1)]).unwrap();
    produce(broker.brokers(), "orders", 0, 0, 5);
    let engine = FakeEngine::start(ROOMY);
    engine.position(at("orders", 0), 9);
    let consumer = consume(&settings(broker.brokers(), "beyond", &["orders"]), &engine);
    eventually("a refusal", || !engine.failures().is_empty());
    let words = engine.failures().remove(0);
    assert!(words.contains("orders/0") && words.contains('5') && words.contains('9'), "{words}");
    assert_eq!(engine.count(), 0);
    consumer.stop();
}

#[test]
fn latest_starts_at_the_end_and_a_position_wins_over_it() {
    let broker = EmbeddedBroker::start(&[("orders", 2)]).unwrap();
    produce(broker.brokers(), "orders", 0, 0, 5);
    produce(broker.brokers(), "orders", 1, 0, 5);
    let engine = FakeEngine::start(ROOMY);
    engine.position(at("orders", 1), 2);
    let mut config = settings(broker.brokers(), "latest", &["orders"]);
    config.start_from = StartFrom::Latest;
    let consumer = consume(&config, &engine);
    eventually("both started", || engine.look(|seen| seen.started.len() == 2));
    produce(broker.brokers(), "orders", 0, 5, 1);
    eventually("the new and the unread", || engine.count() == 4);
    assert_eq!(engine.offsets(&at("orders", 0)), [5]);
    assert_eq!(engine.offsets(&at("orders", 1)), [2, 3, 4]);
    consumer.stop();
}

/// The group forgets the worker, and its coordinator takes nobody in for a while.
#[test]
fn a_place_in_the_group_that_is_lost_is_said_until_it_is_back() {
    let cluster: MockCluster<'static, DefaultProducerContext> = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    let mut config = settings(&cluster.bootstrap_servers(), "expelled", &["orders"]);
    property(&mut config, "heartbeat.interval.ms", "200");
    let engine = FakeEngine::start(ROOMY);
    let consumer = consume(&config, &engine);
    let status = consumer.status();
    eventually("a place in the group", || engine.holds() == 1);
    cluster.request_errors(
        RDKafkaApiKey::JoinGroup,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS; 1000],
    );
    cluster.request_errors(RDKafkaApiKey::Heartbeat, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID]);
    let is_said = || status.problems().iter().any(|words| words.contains("lost its place in the group"));
    eventually("it is said", || engine.holds() == 0 && is_said());
    cluster.clear_request_errors(RDKafkaApiKey::JoinGroup);
    eventually("a place again", || engine.holds() == 1 && !is_said());
    consumer.stop();
}

/// Without transactions a store that was lost leaves nobody but the group to know what was not read yet.
#[test]
fn a_lost_store_passes_over_nothing_that_the_group_has_not_read() {
    let broker = EmbeddedBroker::start(&[("orders", 1)]).unwrap();
    produce(broker.brokers(), "orders", 0, 0, 5);
    let mut config = settings(broker.brokers(), "lost", &["orders"]);
    (config.start_from, config.exactly_once) = (StartFrom::Latest, false);
    let mut client = ClientConfig::new();
    let group: BaseConsumer =
        client.set("bootstrap.servers", broker.brokers()).set("group.id", &config.group_id).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("orders", 0, Offset::Offset(3)).unwrap();
    group.commit(&list, CommitMode::Sync).unwrap();
    let engine = FakeEngine::start(ROOMY);
    let consumer = consume(&config, &engine);
    eventually("what was not read", || engine.offsets(&at("orders", 0)) == [3, 4]);
    consumer.stop();
}

#[test]
fn a_missing_topic_is_said_and_waited_for_while_another_is_read() {
    let broker = EmbeddedBroker::start(&[("orders", 1)]).unwrap();
    let engine = FakeEngine::start(ROOMY);
    let consumer = consume(&settings(broker.brokers(), "missing", &["orders", "tickets"]), &engine);
    let status = consumer.status();
    eventually("the other topic", || engine.holds() == 1);
    assert_eq!(status.problems(), ["topic tickets does not exist; waiting for it to be created"]);
    broker.create_topic("tickets", 1).unwrap();
    eventually("the topic", || engine.holds() == 2);
    produce(broker.brokers(), "tickets", 0, 0, 3);
    eventually("its records", || engine.offsets(&at("tickets", 0)) == [0, 1, 2]);
    assert_eq!(status.problems(), [""; 0]);
    consumer.stop();
    engine.check();
}

#[test]
fn a_broker_that_is_away_is_said_and_waited_for() {
    let broker = EmbeddedBroker::start(&[("orders", 1)]).unwrap();
    produce(broker.brokers(), "orders", 0, 0, 3);
    broker.down().unwrap();
    let engine = FakeEngine::start(ROOMY);
    let consumer = consume(&settings(broker.brokers(), "away", &["orders"]), &engine);
    let status = consumer.status();
    eventually("words about it", || !status.problems().is_empty());
    assert_eq!(status.problems().len(), 1);
    broker.up().unwrap();
    eventually("records", || engine.count() == 3);
    eventually("no problem", || status.problems().is_empty());
    broker.down().unwrap();
    eventually("words again", || !status.problems().is_empty());
    broker.up().unwrap();
    eventually("no problem again", || status.problems().is_empty());
    produce(broker.brokers(), "orders", 0, 3, 1);
    eventually("the next record", || engine.count() == 4);
    consumer.stop();
    engine.check();
}

#[test]
fn offsets_are_committed_as_given() {
    let broker = EmbeddedBroker::start(&[("orders", 1)]).unwrap();
    produce(broker.brokers(), "orders", 0, 0, 10);
    let config = settings(broker.brokers(), "commits", &["orders"]);
    let engine = FakeEngine::start(ROOMY);
    let consumer = consume(&config, &engine);
    eventually("all", || engine.count() == 10);
    consumer.commits().commit(&[(at("orders", 0), NextOffset::new(4))]);
    consumer.commits().commit(&[(at("orders", 0), NextOffset::new(7))]);
    consumer.stop();
    assert_eq!(crate::support::kafka::committed(&config, "orders", 0), Some(7));
}
