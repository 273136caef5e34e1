//! Reading over a real Apache Kafka: what the mock cluster cannot show.

use std::sync::Arc;

use order_sync::config::{Kafka, StartFrom};
use order_sync::kafka::consumer::Consumer;
use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::kafka::source::SourceTopics;
use order_sync::kafka::topics::Topics;
use order_sync::record::{Header, NextOffset, RecordOffset};
use order_sync::sync::ports::{PortError, SourceReader as _};

use crate::support::fake_engine::FakeEngine;
use crate::support::kafka::{at, eventually, property, settings};
use crate::support::real_kafka::RealKafka;

const ROOMY: usize = 64 * 1024 * 1024;

fn consume(config: &Kafka, engine: &FakeEngine) -> Consumer {
    Consumer::start(config, engine.inbox(), Arc::clone(&engine.budget)).unwrap()
}

/// Writes `values` to a partition; the timestamp of a record is 1000 times its number.
fn write(producer: &Producer, topic: &str, partition: i32, values: std::ops::Range<i64>) {
    for n in values {
        let value = n.to_string();
        let outgoing = Outgoing {
            partition: Some(partition),
            key: Some(b"k"),
            value: Some(value.as_bytes()),
            timestamp_ms: Some(n * 1000),
            ..Outgoing::default()
        };
        producer.send(topic, outgoing).unwrap();
    }
}

fn written(kafka: &RealKafka, topic: &str, partition: i32, values: std::ops::Range<i64>) {
    let producer = Producer::connect(&kafka.brokers).unwrap();
    write(&producer, topic, partition, values);
    producer.flush().unwrap();
}

/// Retention must leave timestamps of 1970 alone.
const KEEP: &[(&str, &str)] = &[("retention.ms", "-1"), ("max.message.bytes", "4259840")];

#[test]
fn real_kafka_records_come_in_order_and_whole() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("whole", 1, KEEP);
    let headers = [
        Header { name: "trace".into(), value: Some(Box::from(&b"1"[..])) },
        Header { name: "trace".into(), value: None },
    ];
    let large = vec![b'x'; 2 * 1024 * 1024];
    let outgoing = [
        Outgoing { key: Some(b"a"), value: Some(b"1"), headers: &headers, ..Outgoing::default() },
        Outgoing { key: Some(b"a"), value: None, ..Outgoing::default() },
        Outgoing { key: None, value: Some(b""), ..Outgoing::default() },
        Outgoing { key: Some(b"b"), value: Some(&large[..1024 * 1024]), ..Outgoing::default() },
        Outgoing { key: Some(b"b"), value: Some(&large), ..Outgoing::default() },
    ];
    let producer = Producer::connect(&kafka.brokers).unwrap();
    for one in outgoing {
        producer.send(&topic, one).unwrap();
    }
    producer.flush().unwrap();
    let engine = FakeEngine::start(ROOMY);
    let consumer = consume(&settings(&kafka.brokers, &RealKafka::name("whole"), &[&topic]), &engine);
    eventually("five records", || engine.count() == 5);
    engine.look(|seen| {
        for ((_, _, record), sent) in seen.records.iter().zip(outgoing) {
            assert_eq!(record.key.as_deref(), sent.key);
            assert_eq!(record.value.as_deref(), sent.value);
            assert_eq!(record.headers, sent.headers);
        }
    });
    consumer.stop();
    engine.check();
}

fn check_rebalance(property_name: &str, value: &str) {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("moving", 4, KEEP);
    for partition in 0..4 {
        written(kafka, &topic, partition, 0..50);
    }
    let mut config = settings(&kafka.brokers, &RealKafka::name("moving"), &[&topic]);
    if value == "consumer" {
        config.properties.clear();
    }
    property(&mut config, property_name, value);
    let (first, second) = (FakeEngine::start(ROOMY), FakeEngine::start(ROOMY));
    let one = consume(&config, &first);
    eventually("all four at the first", || first.holds() == 4 && first.count() == 200);
    for partition in 0..4 {
        second.position(at(&topic, partition), 50);
    }
    let two = consume(&config, &second);
    eventually("two each", || first.holds() == 2 && second.holds() == 2);
    for partition in 0..4 {
        written(kafka, &topic, partition, 50..100);
    }
    eventually("the rest", || first.count() + second.count() == 400);
    let revoked = first.look(|seen| seen.revoked.len());
    assert_eq!(revoked, if value == "range" { 4 } else { 2 }, "cooperative protocols take only what moves");
    one.stop();
    eventually("all four at the second", || second.holds() == 4);
    second.look(|seen| assert!(seen.assigned.windows(2).all(|w| w[0].0 <= w[1].0), "epochs never go back"));
    two.stop();
    first.check();
    second.check();
}

#[test]
fn real_kafka_partitions_move_cooperatively() {
    check_rebalance("partition.assignment.strategy", "cooperative-sticky");
}

#[test]
fn real_kafka_partitions_move_eagerly() {
    check_rebalance("partition.assignment.strategy", "range");
}

#[test]
fn real_kafka_partitions_move_under_the_consumer_protocol() {
    check_rebalance("group.protocol", "consumer");
}

#[test]
fn real_kafka_a_member_with_another_assignor_says_why_it_waits() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("assignors", 2, KEEP);
    let mut config = settings(&kafka.brokers, &RealKafka::name("assignors"), &[&topic]);
    let (first, second) = (FakeEngine::start(ROOMY), FakeEngine::start(ROOMY));
    let one = consume(&config, &first);
    eventually("both at the first", || first.holds() == 2);
    property(&mut config, "partition.assignment.strategy", "range");
    let two = consume(&config, &second);
    eventually("words about it", || !two.status().problems().is_empty());
    let words = two.status().problems().remove(0);
    assert!(words.contains("by another rule") && words.contains("partition.assignment.strategy"), "{words}");
    assert!(!two.status().joined());
    one.stop();
    eventually("both at the second", || second.holds() == 2);
    assert_eq!(two.status().problems(), [""; 0]);
    two.stop();
    first.check();
    second.check();
}

#[test]
fn real_kafka_a_fresh_partition_starts_at_a_time() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("time", 2, KEEP);
    written(kafka, &topic, 0, 1..11);
    written(kafka, &topic, 1, 1..4);
    let mut config = settings(&kafka.brokers, &RealKafka::name("time"), &[&topic]);
    config.start_from = StartFrom::Time(6500);
    let engine = FakeEngine::start(ROOMY);
    let consumer = consume(&config, &engine);
    eventually("both started", || engine.look(|seen| seen.started.len() == 2));
    eventually("what is newer", || engine.count() == 4);
    assert_eq!(engine.offsets(&at(&topic, 0)), [6, 7, 8, 9]);
    engine.look(|seen| {
        let started = seen.started.iter().find(|s| s.0 == at(&topic, 1)).unwrap();
        assert_eq!(started.1, NextOffset::new(3), "nothing that late: the end");
    });
    consumer.stop();
}

#[test]
fn real_kafka_a_position_that_retention_took_stops_with_both_numbers() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("retention", 1, KEEP);
    written(kafka, &topic, 0, 0..20);
    kafka.delete_records(&topic, 0, 12);
    let engine = FakeEngine::start(ROOMY);
    engine.position(at(&topic, 0), 7);
    let consumer = consume(&settings(&kafka.brokers, &RealKafka::name("retention"), &[&topic]), &engine);
    eventually("a refusal", || !engine.failures().is_empty());
    let words = engine.failures().remove(0);
    assert!(
        words.contains(&format!("{topic}/0")) && words.contains("12") && words.contains("position is 7"),
        "{words}"
    );
    assert_eq!(engine.count(), 0);
    consumer.stop();
}

#[test]
fn real_kafka_a_topic_that_was_made_anew_stops_with_both_numbers() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("anew", 1, KEEP);
    written(kafka, &topic, 0, 0..20);
    let config = settings(&kafka.brokers, &RealKafka::name("anew"), &[&topic]);
    let engine = FakeEngine::start(ROOMY);
    let consumer = consume(&config, &engine);
    eventually("all", || engine.count() == 20);
    consumer.stop();
    kafka.delete(&topic);
    let topics = Topics::connect(&config).unwrap();
    eventually("the topic's end", || topics.partition_count(&topic).is_ok_and(|count| count.is_none()));
    kafka.create(&topic, 1, KEEP);
    written(kafka, &topic, 0, 0..3);
    let consumer = consume(&config, &engine);
    eventually("a refusal", || !engine.failures().is_empty());
    let words = engine.failures().remove(0);
    assert!(words.contains("ends at offset 3") && words.contains("position is 20"), "{words}");
    assert_eq!(engine.count(), 20, "no new event was taken for an old one");
    consumer.stop();
}

#[test]
fn real_kafka_retention_under_way_stops_with_words() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("overtaken", 1, KEEP);
    // One batch of compressed records would come whole, however large: here every record is a fetch.
    let large = vec![b'x'; 900_000];
    let producer = Producer::with(&kafka.brokers, &[("compression.codec", "none"), ("batch.size", "1000")]).unwrap();
    for _ in 0..20 {
        producer.send(&topic, Outgoing { value: Some(&large), ..Outgoing::default() }).unwrap();
    }
    producer.flush().unwrap();
    // Nothing is folded, so intake stands still while retention passes it.
    let engine = FakeEngine::start(1_000_000);
    engine.fold(false);
    let consumer = consume(&settings(&kafka.brokers, &RealKafka::name("overtaken"), &[&topic]), &engine);
    eventually("the first record", || engine.count() == 1);
    kafka.delete_records(&topic, 0, 20);
    engine.fold(true);
    eventually("a refusal", || !engine.failures().is_empty());
    let words = engine.failures().remove(0);
    assert!(words.contains("retention removed") && words.contains("begins at offset 20"), "{words}");
    consumer.stop();
}

#[test]
fn real_kafka_the_source_is_read_again_by_offset() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("again", 2, KEEP);
    written(kafka, &topic, 0, 0..10);
    let config = settings(&kafka.brokers, &RealKafka::name("again"), &[&topic]);
    let mut reader = SourceTopics::connect(&config).unwrap();
    let (full, empty) = (at(&topic, 0), at(&topic, 1));
    let mut value = |offset| {
        reader
            .read(&full, RecordOffset::new(offset))
            .unwrap()
            .map(|r| String::from_utf8(r.value.unwrap().to_vec()).unwrap())
    };
    assert_eq!([value(3), value(4), value(1)].map(Option::unwrap), ["3", "4", "1"]);
    assert_eq!(value(10), None, "nothing there yet");
    kafka.delete_records(&topic, 0, 6);
    assert_eq!(value(4), None, "retention took it");
    assert_eq!(value(6).as_deref(), Some("6"));
    assert!(matches!(reader.read(&full, RecordOffset::new(99)), Err(PortError::Fatal(_))), "never was there");
    assert!(reader.is_at_end(&full, NextOffset::new(10)).unwrap());
    assert!(!reader.is_at_end(&full, NextOffset::new(9)).unwrap());
    assert!(!reader.is_at_end(&full, NextOffset::new(2)).unwrap(), "below the start, with records behind it");
    assert!(reader.is_at_end(&empty, NextOffset::new(0)).unwrap());
}

#[test]
fn real_kafka_a_trailing_marker_is_no_record() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("marker", 1, KEEP);
    let id = RealKafka::name("transaction");
    let producer = Producer::with(&kafka.brokers, &[("transactional.id", &id)]).unwrap();
    producer.begin().unwrap();
    write(&producer, &topic, 0, 0..3);
    producer.commit().unwrap();
    producer.begin().unwrap();
    write(&producer, &topic, 0, 3..5);
    producer.abort().unwrap();

    let config = settings(&kafka.brokers, &RealKafka::name("marker"), &[&topic]);
    let engine = FakeEngine::start(ROOMY);
    let consumer = consume(&config, &engine);
    eventually("the committed ones", || engine.count() == 3);
    let mut reader = SourceTopics::connect(&config).unwrap();
    let source = at(&topic, 0);
    assert!(reader.is_at_end(&source, NextOffset::new(3)).unwrap(), "a marker, aborted records and their marker");
    assert!(!reader.is_at_end(&source, NextOffset::new(2)).unwrap());
    assert_eq!(reader.read(&source, RecordOffset::new(4)).unwrap(), None, "aborted");
    engine.look(|seen| assert!(seen.started[0].2.get() >= 7, "the end counts markers"));
    eventually("the engine is told that nothing is left", || engine.next(&source) == Some(7));
    producer.begin().unwrap();
    write(&producer, &topic, 0, 5..6);
    producer.commit().unwrap();
    eventually("the next one", || engine.count() == 4);
    assert_eq!(engine.offsets(&source), [0, 1, 2, 7]);
    consumer.stop();
    engine.check();
}

#[test]
fn real_kafka_a_missing_topic_is_waited_for() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = RealKafka::name("late");
    let config = settings(&kafka.brokers, &RealKafka::name("late"), &[&topic]);
    let engine = FakeEngine::start(ROOMY);
    let consumer = consume(&config, &engine);
    eventually("words about it", || !consumer.status().problems().is_empty());
    kafka.create(&topic, 2, KEEP);
    eventually("both partitions", || engine.holds() == 2);
    written(kafka, &topic, 1, 0..2);
    eventually("records", || engine.count() == 2);
    assert_eq!(consumer.status().problems(), [""; 0]);
    consumer.stop();
    engine.check();
}

#[test]
fn real_kafka_a_topic_that_grows_stops_the_worker_with_words() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("grows", 2, KEEP);
    let mut config = settings(&kafka.brokers, &RealKafka::name("grows"), &[&topic]);
    // The group hears of it before the watch does, and gives the new partition.
    property(&mut config, "topic.metadata.refresh.interval.ms", "50");
    let engine = FakeEngine::start(ROOMY);
    let consumer = consume(&config, &engine);
    eventually("both partitions", || engine.holds() == 2);
    kafka.grow(&topic, 3);
    eventually("it is said", || !engine.failures().is_empty());
    let words = engine.failures().remove(0);
    assert!(words.contains("had 2 partitions and has 3") && words.contains(&topic), "{words}");
    let assigned = engine.look(|seen| seen.assigned.clone());
    assert!(assigned.iter().all(|(_, source, _)| source.partition < 2), "{assigned:?}");
    consumer.stop();
}
