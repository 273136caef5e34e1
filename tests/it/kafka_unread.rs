//! Records that Kafka removes while the engine holds intake back: what was fetched is handed on, and the rest is named.

use std::sync::Arc;
use std::time::{Duration, Instant};

use order_sync::kafka::consumer::Consumer;
use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::sync::ports::Intake as _;

use crate::support::fake_engine::FakeEngine;
use crate::support::kafka::{at, eventually, settings};
use crate::support::real_kafka::RealKafka;

#[test]
fn real_kafka_what_was_fetched_before_removed_records_is_handed_on_and_the_words_name_the_others() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("unread", 2, &[("retention.ms", "-1"), ("max.message.bytes", "4259840")]);
    let sources = [at(&topic, 0), at(&topic, 1)];
    // One batch of compressed records would come whole, however large: here every record is a fetch.
    let large = vec![b'x'; 900_000];
    let producer = Producer::with(&kafka.brokers, &[("compression.codec", "none"), ("batch.size", "1000")]).unwrap();
    for n in 0..40 {
        let outgoing = Outgoing { partition: Some(n % 2), value: Some(&large), ..Outgoing::default() };
        producer.send(&topic, outgoing).unwrap();
    }
    producer.flush().unwrap();
    // Nothing is folded, and both partitions are paused, as by an outage.
    let engine = FakeEngine::start(1_000_000);
    engine.fold(false);
    let consumer = Consumer::start(
        &settings(&kafka.brokers, &RealKafka::name("unread"), &[&topic]),
        engine.inbox(),
        Arc::clone(&engine.budget),
    )
    .unwrap();
    eventually("the first record", || engine.count() == 1);
    consumer.intake().pause(&sources);
    let paused = Instant::now();
    eventually("as much is fetched as there is room for", || paused.elapsed() > Duration::from_secs(2));
    for source in &sources {
        kafka.delete_records(&topic, source.partition, 20);
    }
    eventually("the engine is told to make room", || engine.look(|seen| seen.pressed == [true]));
    assert!(engine.failures().is_empty());
    assert!(engine.budget.used() <= 1_000_000, "not beyond the room that there is");
    engine.fold(true);
    eventually("a refusal", || !engine.failures().is_empty());
    eventually("nothing presses any more", || engine.look(|seen| seen.pressed == [true, false]));
    let words = engine.failures().remove(0);
    for source in &sources {
        let read = engine.offsets(source).len();
        let named = format!("{source} begins at offset 20, but this worker's position is {read}: ");
        assert!(words.contains(&named) && words.contains(&format!("never read, {read} to 19")), "{words}");
        assert!(read > 0, "{source} had a record at hand: {words}");
    }
    assert!(engine.count() > 2, "one was handed over before, and one of each at least was at hand");
    consumer.stop();
    engine.check();
    assert_eq!(engine.failures().len(), 1);
}

#[test]
fn real_kafka_a_marker_that_is_removed_while_its_partition_is_held_back_is_no_lost_record() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("held-marker", 1, &[("retention.ms", "-1")]);
    let source = at(&topic, 0);
    let id = RealKafka::name("held-marker");
    let producer = Producer::with(&kafka.brokers, &[("transactional.id", &id)]).unwrap();
    producer.begin().unwrap();
    producer.send(&topic, Outgoing { partition: Some(0), value: Some(b"1"), ..Outgoing::default() }).unwrap();
    let engine = FakeEngine::start(1_000_000);
    let config = settings(&kafka.brokers, &RealKafka::name("held-marker"), &[&topic]);
    let consumer = Consumer::start(&config, engine.inbox(), Arc::clone(&engine.budget)).unwrap();
    eventually("the partition is read", || engine.look(|seen| seen.started.len() == 1));
    // Held back before the record and its marker can be taken: both are removed unread.
    consumer.intake().pause(std::slice::from_ref(&source));
    producer.commit().unwrap();
    let committed = Instant::now();
    eventually("both are fetched", || committed.elapsed() > Duration::from_secs(2));
    kafka.delete_records(&topic, 0, 2);
    eventually("it goes on behind the marker", || engine.next(&source) == Some(2));
    assert_eq!(engine.offsets(&source), [0]);
    eventually("nothing presses", || engine.look(|seen| seen.pressed.last() != Some(&true)));
    consumer.stop();
    engine.check();
    assert!(engine.failures().is_empty(), "{:?}", engine.failures());
}
