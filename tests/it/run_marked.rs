//! Events that are written in transactions: each ends with a marker, an offset that nobody reads, and retention takes both.

use std::time::Duration;

use order_sync::app::worker::wall_ms;
use order_sync::kafka::producer::{Outgoing, Producer};

use crate::run::{Site, sandbox, terminate};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

/// One event of an order, in a transaction.
fn write(producer: &Producer, topic: &str, order: &str, commits: bool) {
    let now = wall_ms();
    let event = serde_json::json!({
        "event_id": format!("e-{order}"), "order_id": order, "order_type": "normal", "status": "paid", "occurred_at": now,
        "order": {
            "open_id": "o", "created_at": now, "total_price": 100, "page": {"path": "p/a"},
            "items": [{"code": "1", "title": "t", "image_url": "https://e.example/i.png", "price": 100}],
        },
    });
    let event = event.to_string();
    let (key, value) = (Some(order.as_bytes()), Some(event.as_bytes()));
    producer.begin().unwrap();
    producer.send(topic, Outgoing { partition: Some(0), key, value, ..Outgoing::default() }).unwrap();
    if commits { producer.commit() } else { producer.abort() }.unwrap();
}

fn check(kafka: &RealKafka, lines: &str) {
    let topic = kafka.topic("marked", 1, &[]);
    let id = RealKafka::name("marked");
    let producer = Producer::with(&kafka.brokers, &[("transactional.id", &id)]).unwrap();
    write(&producer, &topic, "n1", true);
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::with(&kafka.brokers, &topic, &sandbox.base_url(), lines);
    let position = || kafka.committed(site.group(), &topic).get(&0).copied();

    let mut worker = site.spawn(&[]);
    eventually("the position is behind the marker", || position() == Some(2));
    write(&producer, &topic, "never", false);
    eventually("the position is behind what was aborted", || position() == Some(4));
    assert_eq!(terminate(&mut worker), Some(0), "{}", site.log());

    // As retention does with what is old: nothing is left, and nothing that anybody would have read is lost.
    kafka.delete_records(&topic, 0, 4);
    write(&producer, &topic, "n2", true);
    assert_eq!(site.run(&["--until-caught-up"]), Some(0), "{}", site.log());
    let report = sandbox.report();
    assert_eq!((report.applied, report.violations_total), (2, 0), "{}", site.log());
}

#[test]
fn real_kafka_a_position_goes_behind_markers_so_that_retention_takes_nothing_unread() {
    let Some(kafka) = RealKafka::shared() else { return };
    check(kafka, "");
    check(kafka, "exactly_once = false");
}
