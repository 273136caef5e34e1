//! Retention of a worker as users run it: orders leave by tombstone, and what has left is known on an empty directory.

use std::process::Command;
use std::time::Duration;

use order_sync::app::worker::wall_ms;
use order_sync::kafka::producer::{Outgoing, Producer};

use crate::run::{Site, sandbox, terminate};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

const DAY_MS: i64 = 86_400_000;

struct Shop<'a> {
    kafka: &'a RealKafka,
    topic: String,
    now_ms: i64,
    events: usize,
}

impl Shop<'_> {
    fn at_ms(&self, days_ago: i64) -> i64 {
        self.now_ms - days_ago * DAY_MS
    }

    fn produce(&mut self, order: &str, status: &str, days_ago: i64) {
        self.events += 1;
        let event = serde_json::json!({
            "event_id": format!("e{}", self.events), "order_id": order, "order_type": "normal", "status": status,
            "occurred_at": self.at_ms(days_ago),
            "order": {
                "open_id": "o", "created_at": self.at_ms(days_ago), "total_price": 100, "page": {"path": "p/a"},
                "items": [{"code": "1", "title": "t", "image_url": "https://e.example/i.png", "price": 100}],
            },
        });
        let value = event.to_string();
        let producer = Producer::connect(&self.kafka.brokers).unwrap();
        let (key, value) = (Some(order.as_bytes()), Some(value.as_bytes()));
        producer.send(&self.topic, Outgoing { partition: Some(0), key, value, ..Outgoing::default() }).unwrap();
        producer.flush().unwrap();
    }
}

fn catch_up(site: &Site, mode: &str) {
    let mut worker = site.spawn(&["--until-caught-up", "--set", mode]);
    eventually("the worker has caught up", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(0), "{}", site.log());
}

fn store_check(site: &Site, mode: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_order-sync"));
    command.args(["store", "check", "--output", "json", "--set", mode, "--config"]).arg(site.config_file());
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

fn orders_leave(mode: &str) {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("retention", 1, &[]);
    let mut shop = Shop { kafka, topic: topic.clone(), now_ms: wall_ms(), events: 0 };
    for (order, status, days_ago) in
        [("A", "redeemed", 120), ("B", "paid", 120), ("C", "refunded", 100), ("D", "redeemed", 80), ("F", "paid", 0)]
    {
        shop.produce(order, status, days_ago);
    }
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(&kafka.brokers, &topic, &sandbox.base_url());
    catch_up(&site, mode);
    let mut worker = site.spawn(&["--set", mode]);
    shop.produce("F", "redeemed", 0);
    eventually("orders have left", || site.log().contains("orders that were at their end have left"));
    assert_eq!(terminate(&mut worker), Some(0), "{}", site.log());

    let is_log_mode = mode.ends_with("true");
    if is_log_mode {
        let changelog = kafka.read_all(&format!("{}.changelog", site.group()));
        let last = |key: String| {
            let found = changelog.iter().rev().find(|(_, record)| record.key.as_deref() == Some(key.as_bytes()));
            found.unwrap().1.value.as_deref().map(|value| String::from_utf8(value.to_vec()).unwrap())
        };
        let state = |order: &str| last(format!(r#"[1,"state","{topic}","tt1","{order}"]"#));
        assert_eq!((state("A"), state("C")), (None, None));
        assert!(state("B").is_some() && state("D").is_some());
        let stamp = format!(r#""removed_stamps":{{"tt1":{}}}"#, shop.at_ms(100) / 1000);
        assert!(last(format!(r#"[1,"position","{topic}"]"#)).unwrap().contains(&stamp));
        std::fs::remove_dir_all(site.home().join("store")).unwrap();
    }
    // A late event of one that left, and a new order above what has left.
    shop.produce("A", "refunded", 110);
    shop.produce("E", "paid", 99);
    catch_up(&site, mode);
    let letters = kafka.read_all(&format!("{}.dead-letters", site.group()));
    let [(0, letter)] = letters.as_slice() else { panic!("{} letters", letters.len()) };
    let reason = letter.headers.iter().find(|header| header.name == "order-sync.reason").unwrap();
    assert_eq!(reason.value.as_deref(), Some(&b"older_than_retained"[..]));
    let check = store_check(&site, mode);
    assert!(check.contains(r#""orders":4,"open_letters":1"#), "{check}");
    if is_log_mode {
        let mut command = Command::new(env!("CARGO_BIN_EXE_order-sync"));
        let told = command.args(["verify", "--config"]).arg(site.config_file()).output().unwrap();
        assert_eq!(told.status.code(), Some(0), "{told:?}");
        let told = String::from_utf8(told.stdout).unwrap();
        assert!(told.contains("every offset is accounted for") && told.contains("older_than_retained"), "{told}");
    }
    let report = sandbox.report();
    assert_eq!((report.applied, report.received, report.violations_total), (7, 7, 0), "{}", site.log());
}

#[test]
fn real_kafka_orders_leave_by_tombstone_and_an_empty_directory_knows() {
    orders_leave("kafka.exactly_once=true");
}

#[test]
fn real_kafka_orders_leave_the_only_copy_too() {
    orders_leave("kafka.exactly_once=false");
}
