//! `orders show` among very many orders: the candidate partitions alone are read, and where the order is elsewhere, all.

use std::process::Command;
use std::time::{Duration, Instant};

use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::order::{AppId, Digest, EventTime, Identity, OrderState, OrderType, Status, UpdateTime};
use order_sync::sync::changelog::ChangelogKey;

use super::fixture::Told;
use crate::run::Site;
use crate::support::real_kafka::RealKafka;

const PARTITIONS: i32 = 6;

struct Many {
    site: Site,
    producer: Producer,
    changelog: String,
    topic: String,
}

impl Many {
    fn new(kafka: &RealKafka) -> Self {
        let topic = kafka.topic("many-orders", PARTITIONS, &[]);
        let site = Site::new(&kafka.brokers, &topic, "http://127.0.0.1:9");
        let changelog = format!("{}.changelog", site.group());
        kafka.create(&changelog, PARTITIONS, &[("retention.ms", "-1")]);
        kafka.create(&format!("{}.dead-letters", site.group()), PARTITIONS, &[]);
        Self { site, producer: Producer::connect(&kafka.brokers).unwrap(), changelog, topic }
    }

    /// Writes a state where `partition` says, or where its record would lie that the given client has written.
    fn put(&self, order: &str, stamp: i64, partition: i32) {
        let state = OrderState {
            order_type: OrderType::Normal,
            status: Status::Paid,
            document: format!(r#"{{"description":"{}"}}"#, "x".repeat(200)).into(),
            applied_offset: stamp,
            event_ids: vec!["e".into()],
            sequence: None,
            occurred_at: EventTime(1_760_000_000_000),
            update_time: UpdateTime(stamp),
            digest: Digest([7; 32]),
            dead_letter: None,
        };
        let mut value = Vec::new();
        state.encode(&mut value);
        let key = ChangelogKey::State(Identity::new(AppId::new("tt1"), order)).encode(&self.topic);
        let outgoing =
            Outgoing { partition: Some(partition), key: Some(&key), value: Some(&value), ..Outgoing::default() };
        self.producer.send(&self.changelog, outgoing).unwrap();
    }

    fn show(&self, order: &str) -> (serde_json::Value, String) {
        let (mut told, said) = self.show_all(order, &[]);
        (told.remove(0), said)
    }

    fn show_all(&self, order: &str, further: &[&str]) -> (Vec<serde_json::Value>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_order-sync"))
            .args(["orders", "show", order, "--output", "json", "--config"])
            .arg(self.site.config_file())
            .args(further)
            .output()
            .unwrap();
        let told = Told::of(output);
        let said = told.err.clone();
        (told.lines(), said)
    }
}

#[test]
fn real_kafka_an_order_is_found_where_clients_put_it_and_elsewhere() {
    let Some(kafka) = RealKafka::shared() else { return };
    let many = Many::new(kafka);
    // Of "A7" the Java client's hash names partition 0 of 6, librdkafka's CRC-32 names 2; nobody puts "A7" into 5.
    let candidates = order_sync::sync::partitioner::candidates(b"A7", PARTITIONS);
    let elsewhere = (0..PARTITIONS).find(|partition| !candidates.contains(partition)).unwrap();
    for (stamp, partition) in [(1, candidates[0]), (2, candidates[0])] {
        many.put("A7", stamp, partition);
    }
    many.put("B7", 5, order_sync::sync::partitioner::candidates(b"B7", PARTITIONS)[0]);
    many.producer.flush().unwrap();
    let (order, said) = many.show("A7");
    assert_eq!((&order["update_time"], &order["delivery"]), (&2.into(), &"delivered".into()));
    let read: Vec<String> =
        order_sync::sync::partitioner::candidates(b"A7", PARTITIONS).iter().map(ToString::to_string).collect();
    let mut read_sorted = read;
    read_sorted.sort();
    assert!(said.contains(&format!("note: read partitions {}; --all-partitions", read_sorted.join(", "))), "{said}");
    many.put("C7", 9, {
        let candidates = order_sync::sync::partitioner::candidates(b"C7", PARTITIONS);
        (0..PARTITIONS).find(|partition| !candidates.contains(partition)).unwrap()
    });
    many.producer.flush().unwrap();
    let (order, said) = many.show("C7");
    assert_eq!(order["update_time"], 9);
    let all = said.lines().find(|line| line.contains("read partitions")).unwrap();
    assert_eq!(all.matches(", ").count(), usize::try_from(PARTITIONS).unwrap() - 1, "{said}");
    // Under another key some of its events lie elsewhere: nobody sees it who is not told to look there.
    many.put("A7", 4, elsewhere);
    many.producer.flush().unwrap();
    let places = |(told, said): (Vec<serde_json::Value>, String)| {
        let places: Vec<_> =
            told.iter().map(|order| (order["partition"].clone(), order["update_time"].clone())).collect();
        (places, said.contains("are spread over"))
    };
    let [near, far] = [(candidates[0], 2), (elsewhere, 4)].map(|(at, stamp)| (at.into(), stamp.into()));
    assert_eq!(places(many.show_all("A7", &[])), (vec![near.clone()], false));
    let mut both = vec![near, far];
    both.sort_by_key(|(at, _): &(serde_json::Value, serde_json::Value)| at.as_i64());
    let told = many.show_all("A7", &["--all-partitions"]);
    assert!(told.1.contains(&format!("{}/{elsewhere}", many.topic)), "{}", told.1);
    assert_eq!(places(told), (both, true));
}

#[test]
#[ignore = "a million orders take a minute to write"]
fn real_kafka_an_order_is_found_among_a_million_within_two_seconds() {
    let Some(kafka) = RealKafka::shared() else { return };
    let many = Many::new(kafka);
    for number in 0..1_500_000_i64 {
        let order = format!("order-{:07}", number % 1_000_000);
        let partition = order_sync::sync::partitioner::candidates(order.as_bytes(), PARTITIONS)[0];
        many.put(&order, number + 1, partition);
    }
    many.producer.flush().unwrap();
    for order in ["order-0000007", "order-0499999", "order-0999999"] {
        let began = Instant::now();
        let (shown, said) = many.show(order);
        let took = began.elapsed();
        eprintln!("{order}: {took:?}; {}", said.lines().last().unwrap_or_default());
        assert_eq!(shown["order_id"], order);
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
}
