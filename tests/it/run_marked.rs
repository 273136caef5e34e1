//! Events that are written in transactions: each ends with a marker, an offset that nobody reads, and retention takes both.

use std::time::Duration;

use order_sync::app::worker::wall_ms;
use order_sync::kafka::producer::{Outgoing, Producer};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::run::{Site, sandbox, terminate};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

/// One event of each order, in a transaction.
fn write(producer: &Producer, topic: &str, orders: &[&str], commits: bool) {
    let now = wall_ms();
    producer.begin().unwrap();
    for order in orders {
        let event = serde_json::json!({
            "event_id": format!("e-{order}"), "order_id": order, "order_type": "normal", "status": "paid", "occurred_at": now,
            "order": {
                "open_id": "o", "created_at": now, "total_price": 100, "page": {"path": "p/a"},
                "items": [{"code": "1", "title": "t", "image_url": "https://e.example/i.png", "price": 100}],
            },
        });
        let event = event.to_string();
        let (key, value) = (Some(order.as_bytes()), Some(event.as_bytes()));
        producer.send(topic, Outgoing { partition: Some(0), key, value, ..Outgoing::default() }).unwrap();
    }
    if commits { producer.commit() } else { producer.abort() }.unwrap();
}

fn producer(kafka: &RealKafka) -> Producer {
    Producer::with(&kafka.brokers, &[("transactional.id", &RealKafka::name("marked"))]).unwrap()
}

fn check(kafka: &RealKafka, lines: &str) {
    let (topic, producer) = (kafka.topic("marked", 1, &[]), producer(kafka));
    write(&producer, &topic, &["n1"], true);
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::with(&kafka.brokers, &topic, &sandbox.base_url(), lines);
    let position = || kafka.committed(site.group(), &topic).get(&0).copied();

    let mut worker = site.spawn(&[]);
    eventually("the position is behind the marker", || position() == Some(2));
    write(&producer, &topic, &["never"], false);
    eventually("the position is behind what was aborted", || position() == Some(4));
    assert_eq!(terminate(&mut worker), Some(0), "{}", site.log());

    // As retention does with what is old: nothing is left, and nothing that anybody would have read is lost.
    kafka.delete_records(&topic, 0, 4);
    for (order, behind) in [("n2", 6), ("n3", 8)] {
        write(&producer, &topic, &[order], true);
        assert_eq!(site.run(&["--until-caught-up"]), Some(0), "{}", site.log());
        assert_eq!(position(), Some(behind), "who leaves when all is read has seen that a marker is all that is left");
        kafka.delete_records(&topic, 0, behind);
    }
    let report = sandbox.report();
    assert_eq!((report.applied, report.violations_total), (3, 0), "{}", site.log());
}

#[test]
fn real_kafka_a_position_goes_behind_markers_so_that_retention_takes_nothing_unread() {
    let Some(kafka) = RealKafka::shared() else { return };
    check(kafka, "");
    check(kafka, "exactly_once = false");
}

/// The topic is made anew under the stopped worker, and has a marker where the last record was; more lies before the position.
fn check_anew(kafka: &RealKafka, lines: &str, policy: &str, code: i32) {
    let (topic, producer) = (kafka.topic("marked-anew", 1, &[]), producer(kafka));
    for order in ["n0", "n1", "n2"] {
        write(&producer, &topic, &[order], true);
    }
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::with(&kafka.brokers, &topic, &sandbox.base_url(), lines);
    assert_eq!(site.run(&["--until-caught-up"]), Some(0), "{}", site.log());
    assert_eq!(kafka.committed(site.group(), &topic).get(&0), Some(&6));

    kafka.delete(&topic);
    kafka.create(&topic, 1, &[("cleanup.policy", policy)]);
    write(&producer, &topic, &["n4", "n5", "n6", "n7"], true);
    write(&producer, &topic, &["never"], false);
    let words = format!("{topic}/0 has no record at offset 4, ");
    if code != 0 {
        let mut worker = site.spawn(&[]);
        eventually("the marker alone tells it", || worker.try_wait().unwrap().is_some());
        assert_eq!(worker.wait().unwrap().code(), Some(code), "{}", site.log());
        assert!(site.log().contains(&words), "{}", site.log());
    }
    write(&producer, &topic, &["n8"], true);
    assert_eq!(site.run(&["--until-caught-up"]), Some(code), "{}", site.log());
    if code == 0 {
        // Where records are taken one by one, that one is missing tells nothing.
        assert!(site.log().contains("compaction has taken the last record that was read"), "{}", site.log());
        assert_eq!(sandbox.report().received, 4);
        return;
    }
    assert!(site.log().contains(&words), "{}", site.log());
    assert_eq!(sandbox.report().received, 3, "an event of the new topic was folded");
    if !lines.is_empty() {
        return;
    }
    let (code, said) = site.tool(&["store", "rebase"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(site.run(&["--until-caught-up"]), Some(0), "{}", site.log());
    let report = sandbox.report();
    assert_eq!((report.applied, report.violations_total), (8, 0), "{}", site.log());
}

#[test]
fn real_kafka_a_topic_made_anew_with_a_marker_where_the_last_record_was_is_refused() {
    let Some(kafka) = RealKafka::shared() else { return };
    check_anew(kafka, "", "delete", 1);
    check_anew(kafka, "exactly_once = false", "delete", 1);
    check_anew(kafka, "", "compact", 0);
}

/// A copy of what the topic held, without the marker behind which the position lies.
#[test]
fn real_kafka_a_copy_that_has_an_event_where_a_marker_was_is_refused() {
    let Some(kafka) = RealKafka::shared() else { return };
    let (topic, producer) = (kafka.topic("marked-copy", 1, &[]), producer(kafka));
    write(&producer, &topic, &["n0", "n1"], true);
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(&kafka.brokers, &topic, &sandbox.base_url());
    assert_eq!(site.run(&["--until-caught-up"]), Some(0), "{}", site.log());

    let copied = kafka.read_all(&topic);
    kafka.delete(&topic);
    kafka.create(&topic, 1, &[]);
    let plain: BaseProducer = ClientConfig::new().set("bootstrap.servers", &kafka.brokers).create().unwrap();
    for (_, record) in &copied {
        let (key, value) = (record.key.as_deref().unwrap(), record.value.as_deref().unwrap());
        let copy = BaseRecord::to(&topic).partition(0).key(key).payload(value).timestamp(record.timestamp_ms.unwrap());
        plain.send(copy).map_err(|(error, _)| error).unwrap();
    }
    plain.flush(Duration::from_secs(30)).unwrap();
    write(&producer, &topic, &["n2"], true);
    assert_eq!(site.run(&["--until-caught-up"]), Some(1), "{}", site.log());
    assert!(site.log().contains(&format!("{topic}/0 has a record at offset 2, ")), "{}", site.log());
    let (code, said) = site.tool(&["store", "rebase"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(site.run(&["--until-caught-up"]), Some(0), "{}", site.log());
    let report = sandbox.report();
    assert_eq!((report.applied, report.violations_total), (3, 0), "{}", site.log());
}
