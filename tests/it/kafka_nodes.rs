//! Reading from a cluster of three while one of its nodes is away.

use std::sync::Arc;

use order_sync::kafka::consumer::Consumer;
use order_sync::kafka::producer::{Outgoing, Producer};
use rdkafka::admin::TopicReplication;

use crate::support::fake_engine::FakeEngine;
use crate::support::kafka::{at, eventually, settings};
use crate::support::real_kafka::RealKafka;

const AWAY: i32 = 3;

#[test]
fn real_kafka_a_partition_without_a_leader_is_said_and_waited_for() {
    let Some(kafka) = RealKafka::three() else { return };
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
