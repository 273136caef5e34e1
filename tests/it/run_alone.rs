//! One worker per group without transactions: a second one is refused, before it joins and after.

use std::sync::Arc;
use std::time::Duration;

use order_sync::kafka::consumer::Consumer;

use crate::run::{Site, produce, sandbox, terminate};
use crate::support::fake_engine::FakeEngine;
use crate::support::kafka::{eventually, property, settings};
use crate::support::real_kafka::RealKafka;

/// A short session, so that a member that was killed is soon gone.
const LINES: &str = "exactly_once = false\n[kafka.properties]\nsession.timeout.ms = 6000\n";

#[test]
fn real_kafka_a_second_worker_without_transactions_is_refused_before_it_joins() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("alone", 2, &[]);
    let pushes = u64::try_from(produce(kafka, &topic, 50)).unwrap();
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::with(&kafka.brokers, &topic, &sandbox.base_url(), LINES);
    let mut first = site.spawn(&[]);
    eventually("everything is applied", || sandbox.report().applied == pushes);
    let group = format!("kafka.group_id={}", site.group());
    let other = Site::with(&kafka.brokers, &topic, &sandbox.base_url(), LINES);
    let mut second = other.spawn(&["--set", &group]);
    eventually("the second one is refused", || second.try_wait().unwrap().is_some());
    assert_eq!(second.wait().unwrap().code(), Some(7), "{}", other.log());
    let log = other.log();
    assert!(log.contains("has a member, order-sync at /127.0.0.1") && log.contains("stop it first"), "{log}");
    assert!(!log.contains("joining the group"), "{log}");

    // The first one was not disturbed. After a kill its own ghost is waited for.
    assert!(!site.log().contains("the group takes partitions"), "{}", site.log());
    first.kill().unwrap();
    first.wait().unwrap();
    let mut first = site.spawn(&[]);
    eventually("its ghost is said", || site.log().contains("waiting for it to leave"));
    eventually("it goes on", || site.log().matches("\"assigned a partition\"").count() == 4);
    let held = format!("\norder_sync_store_orders {}\n", sandbox.orders().len());
    let metrics = site.get("/metrics").unwrap().1;
    assert!(metrics.contains(&held), "without a commit of this process: {metrics}");
    assert_eq!(terminate(&mut first), Some(0), "{}", site.log());
    assert_eq!((sandbox.report().received, sandbox.report().violations_total), (pushes, 0));
}

/// Both were past the look at the start: the later one sees that it does not get everything.
fn check(kafka: &RealKafka, strategy: &str, partitions: i32) {
    let topic = kafka.topic("alone", partitions, &[]);
    let mut config = settings(&kafka.brokers, &RealKafka::name("alone"), &[&topic]);
    config.exactly_once = false;
    property(&mut config, "partition.assignment.strategy", strategy);
    property(&mut config, "heartbeat.interval.ms", "300");
    let all = usize::try_from(partitions).unwrap();
    let consume = |engine: &FakeEngine| Consumer::start(&config, engine.inbox(), Arc::clone(&engine.budget)).unwrap();
    let (first, second) = (FakeEngine::start(1 << 20), FakeEngine::start(1 << 20));
    let one = consume(&first);
    let case = format!("{strategy} with {partitions}");
    eventually(&format!("{case}: all at the first"), || first.holds() == all);
    let two = consume(&second);
    eventually(&format!("{case}: the later one stops"), || !second.failures().is_empty());
    let words = second.failures().remove(0);
    assert!(words.contains(&format!("of {partitions} partitions")) && words.contains("Stop one of them"), "{words}");
    two.stop();
    second.look(|seen| assert!(seen.assigned.is_empty(), "nothing of it began"));
    eventually(&format!("{case}: all at the first again"), || first.holds() == all);
    assert!(first.failures().is_empty());
    one.stop();
}

#[test]
fn real_kafka_whoever_is_not_given_everything_without_transactions_is_refused() {
    let Some(kafka) = RealKafka::shared() else { return };
    check(kafka, "cooperative-sticky", 4);
    check(kafka, "range", 4);
    // Not range with one partition: it goes to the member whose random id is the smaller one, which may be the later one's.
    check(kafka, "cooperative-sticky", 1);
}
