//! A partition that an eager rebalance takes from a worker and gives back to it, over a real Kafka.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::run::{Site, produce, sandbox, terminate};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

/// The sandbox answers slowly, so that attempts outlive the rebalance: it sees no two of one order at once.
#[test]
fn real_kafka_a_partition_that_comes_back_at_once_pushes_no_order_beside_itself() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("given-back", 2, &[]);
    produce(kafka, &topic, 400);
    let sandbox = sandbox(Duration::from_millis(1500));
    let lines = "[kafka.properties]\n\"partition.assignment.strategy\" = \"range\"\n";
    let site = Site::with(&kafka.brokers, &topic, &sandbox.base_url(), lines);
    let mut worker = site.spawn(&["--set", "delivery.max_in_flight=32"]);
    eventually("some pushes are applied", || sandbox.report().applied > 60);
    // A member that reads another topic: the worker gives everything back and gets it again.
    let elsewhere = kafka.topic("elsewhere", 1, &[]);
    let stranger: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.brokers)
        .set("group.id", site.group())
        .set("partition.assignment.strategy", "range")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    stranger.subscribe(&[&elsewhere]).unwrap();
    let (mut taken, mut came_back) = (0, Instant::now());
    let began = Instant::now();
    // Until pushes have gone on for a while behind the last revoke.
    while came_back.elapsed() < Duration::from_secs(4) && began.elapsed() < Duration::from_secs(60) {
        drop(stranger.poll(Duration::from_millis(200)));
        let revokes = site.log().matches("taken away").count();
        if revokes != taken {
            (taken, came_back) = (revokes, Instant::now());
        }
    }
    assert!(taken >= 2, "both partitions were taken away: {}", site.log());
    let report = sandbox.report();
    let _ = terminate(&mut worker);
    assert!(report.applied > 100, "it pushes again: {}", report.applied);
    assert_eq!(report.violations_total, 0, "{:?}", report.violations);
}
