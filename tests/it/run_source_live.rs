//! Topics that change under a running worker: a source topic that is deleted and made anew, or grows, and own topics that are
//! made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::process::{Child, Command};
use std::time::Duration;

use order_sync::app::worker::wall_ms;
use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::sandbox::SandboxHandle;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::run::{Site, sandbox};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

/// One event of each order, the `round`th, keyed as a producer with this partitioner keys it.
fn events(kafka: &RealKafka, topic: &str, partitioner: &str, orders: Range<u32>, round: u32) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.brokers)
        .set("partitioner", partitioner)
        .set("linger.ms", "5")
        .create()
        .unwrap();
    let began = wall_ms() - 3_600_000;
    for order in orders {
        let id = format!("n{order}");
        let event = serde_json::json!({
            "event_id": format!("e-{id}-{round}"), "order_id": id, "order_type": "normal",
            "status": if round == 1 { "paid" } else { "redeemed" }, "occurred_at": began + i64::from(round) * 1000,
            "order": {
                "open_id": "o", "created_at": began, "total_price": 100, "page": {"path": "p/a"},
                "items": [{"code": "1", "title": format!("t{round}"), "image_url": "https://e.example/i.png", "price": 100}],
            },
        });
        let value = event.to_string();
        producer.send(BaseRecord::to(topic).key(&id).payload(&value)).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
}

fn caught_up(sandbox: &SandboxHandle, site: &Site, pushes: u64) {
    eventually("every order is there", || sandbox.report().applied >= pushes);
    assert_eq!(sandbox.report().received, pushes, "{}", site.log());
}

fn ends_with(worker: &mut Child, site: &Site, code: i32) {
    eventually("the worker ends", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(code), "{}", site.log());
}

/// The new topic has more events than were read of the old one, so that its offsets fit.
fn check_anew(kafka: &RealKafka, lines: &str) {
    let topic = kafka.topic("anew", 1, &[]);
    events(kafka, &topic, "murmur2_random", 0..30, 1);
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::with(&kafka.brokers, &topic, &sandbox.base_url(), lines);
    let mut worker = site.spawn(&[]);
    caught_up(&sandbox, &site, 30);

    kafka.delete(&topic);
    kafka.create(&topic, 1, &[]);
    events(kafka, &topic, "murmur2_random", 0..60, 2);
    ends_with(&mut worker, &site, 1);
    let words = format!("topic {topic} was deleted and created again while this worker read it");
    assert!(site.log().contains(&words), "{}", site.log());

    // Nothing of the new topic is committed: the check at the start finds it, too.
    ends_with(&mut site.spawn(&[]), &site, 1);
    let words = format!("{topic}/0 has another record at offset 29 ");
    assert!(site.log().contains(&words), "{}", site.log());
    let report = sandbox.report();
    assert_eq!((report.received, report.violations_total), (30, 0), "an event of the new topic was folded");
}

/// The library tells that a topic has another id in a line of its log alone. This test is what notices it when an upgrade
/// changes the words, the facility or the context of that line (`src/kafka/consumer/topic_ids.rs`), or that it comes before
/// the new topic's records: the worker would read on.
#[test]
fn real_kafka_a_source_topic_made_anew_under_a_worker_stops_it() {
    let Some(kafka) = RealKafka::shared() else { return };
    check_anew(kafka, "");
    check_anew(kafka, "exactly_once = false");
}

fn garbage(kafka: &RealKafka, topic: &str) {
    let producer = Producer::connect(&kafka.brokers).unwrap();
    let garbage = Outgoing { partition: Some(0), key: Some(b"k"), value: Some(b"none"), ..Outgoing::default() };
    producer.send(topic, garbage).unwrap();
    producer.flush().unwrap();
}

#[test]
fn real_kafka_own_topics_made_anew_under_a_worker_are_told_before_a_state_is_lost() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("own-anew", 1, &[]);
    events(kafka, &topic, "murmur2_random", 0..30, 1);
    garbage(kafka, &topic);
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(&kafka.brokers, &topic, &sandbox.base_url());
    let [letters, changelog] = ["dead-letters", "changelog"].map(|what| format!("{}.{what}", site.group()));
    let mut worker = site.spawn(&[]);
    caught_up(&sandbox, &site, 30);
    eventually("a letter", || kafka.read_all(&letters).len() == 1);

    let room = ("max.message.bytes", "4259840");
    kafka.delete(&letters);
    kafka.create(&letters, 1, &[room, ("retention.ms", "-1")]);
    for written in 1..3 {
        garbage(kafka, &topic);
        eventually("a letter in the new topic", || kafka.read_all(&letters).len() == written);
    }
    events(kafka, &topic, "murmur2_random", 30..40, 1);
    caught_up(&sandbox, &site, 40);
    assert_eq!(site.log().matches("the dead-letter topic was deleted and created again").count(), 1, "{}", site.log());
    let metrics = site.get("/metrics").unwrap().1;
    assert!(metrics.contains("order_sync_dead_letter_topic_lost_total 1"), "{metrics}");

    kafka.delete(&changelog);
    kafka.create(&changelog, 1, &[room, ("cleanup.policy", "compact"), ("delete.retention.ms", "604800000")]);
    events(kafka, &topic, "murmur2_random", 0..30, 2);
    ends_with(&mut worker, &site, 7);
    let words = format!("the changelog {changelog}/0 reached to offset ");
    assert!(site.log().contains(&words), "{}", site.log());
    assert!(kafka.read_all(&changelog).is_empty(), "something was committed to the new changelog");
    assert_eq!(sandbox.report().received, 40);
    // With its own directory it does not begin on the new one either.
    ends_with(&mut site.spawn(&[]), &site, 1);
    assert!(site.log().contains("the store stands at offset "), "{}", site.log());

    let mut rebase = Command::new(env!("CARGO_BIN_EXE_order-sync"));
    let rebase = rebase.args(["store", "rebase", "--config"]).arg(site.config_file()).output().unwrap();
    assert!(rebase.status.success(), "{rebase:?}");
    ends_with(&mut site.spawn(&["--until-caught-up"]), &site, 0);
    let report = sandbox.report();
    assert_eq!((report.applied, report.violations_total), (70, 0), "{}", site.log());
    assert_eq!(states(kafka, &changelog).len(), 40);
}

/// In which partitions of the changelog each order has states.
fn states(kafka: &RealKafka, changelog: &str) -> BTreeMap<String, BTreeSet<i32>> {
    let states = kafka.read_all(changelog).into_iter().filter_map(|(partition, entry)| {
        let key: serde_json::Value = serde_json::from_slice(&entry.key.unwrap()).unwrap();
        (key[1] == "state").then(|| (partition, key[4].as_str().unwrap().to_owned()))
    });
    partitions_by_order(states)
}

/// In which partitions something of each order lies.
fn partitions_by_order(records: impl Iterator<Item = (i32, String)>) -> BTreeMap<String, BTreeSet<i32>> {
    let mut found: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    for (partition, order) in records {
        found.entry(order).or_default().insert(partition);
    }
    found
}

/// Events of all orders come all the time, while the topic grows from two partitions to three: a third of the keys moves from
/// one of the old partitions to the other. The changelog has room for the new one, too.
fn check_growth(kafka: &RealKafka, partitioner: &str) {
    let (wide, topic) = (kafka.topic("wide", 4, &[]), kafka.topic("grown", 2, &[]));
    events(kafka, &topic, partitioner, 0..60, 1);
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(&kafka.brokers, &format!("{wide}\", \"{topic}"), &sandbox.base_url());
    let mut worker = site.spawn(&[]);
    caught_up(&sandbox, &site, 60);

    kafka.grow(&topic, 3);
    let mut round = 1;
    eventually("the worker ends", || {
        round += 1;
        events(kafka, &topic, partitioner, 0..60, round);
        worker.try_wait().unwrap().is_some()
    });
    ends_with(&mut worker, &site, 1);
    let words = format!("topic {topic} had 2 partitions and has 3 now");
    assert!(site.log().contains(&words), "{}", site.log());

    let text = |bytes: Option<Box<[u8]>>| String::from_utf8(bytes.unwrap_or_default().into_vec()).unwrap();
    let log = kafka.read_all(&topic).into_iter();
    let keyed = partitions_by_order(log.map(|(partition, event)| (partition, text(event.key))));
    assert!(keyed.values().any(|partitions| partitions.is_superset(&[0, 1].into())), "no key has moved: {keyed:?}");
    let states = states(kafka, &format!("{}.changelog", site.group()));
    assert_eq!(states.len(), 60);
    let split: Vec<_> = states.iter().filter(|(_, partitions)| partitions.len() > 1).collect();
    assert!(split.is_empty(), "orders with states in two partitions: {split:?}");
}

#[test]
fn real_kafka_a_source_topic_that_grows_under_a_worker_splits_no_order() {
    let Some(kafka) = RealKafka::shared() else { return };
    check_growth(kafka, "murmur2_random");
    check_growth(kafka, "consistent_random");
}
