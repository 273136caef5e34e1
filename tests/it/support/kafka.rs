//! Settings and small values of the Kafka tests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use order_sync::config::{self, StartFrom};
use order_sync::record::TopicPartition;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use secrecy::SecretString;

/// `[kafka]` for a test: a group of its own unless given.
pub fn settings(brokers: &str, group: &str, topics: &[&str]) -> config::Kafka {
    config::Kafka {
        brokers: brokers.to_owned(),
        group_id: group.to_owned(),
        topics: topics.iter().map(|t| (*t).to_owned()).collect(),
        dead_letter_topic: format!("{group}.dead-letters"),
        create_topics: true,
        changelog_topic: format!("{group}.changelog"),
        exactly_once: true,
        revoke_timeout: Duration::from_secs(10),
        commit_interval: Duration::from_millis(100),
        start_from: StartFrom::Earliest,
        properties: BTreeMap::from([("session.timeout.ms".to_owned(), SecretString::from("6000"))]),
    }
}

/// Adds a librdkafka property.
pub fn property(config: &mut config::Kafka, name: &str, value: &str) {
    config.properties.insert(name.to_owned(), SecretString::from(value.to_owned()));
}

pub fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

/// Waits for a condition; the only sleep of the Kafka tests.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 40 s: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Closes a consumer at once; its end by the binding takes a tenth of a second.
pub fn close(consumer: &BaseConsumer) {
    if consumer.close_queue().is_ok() {
        while !consumer.closed() {
            consumer.poll(Duration::ZERO);
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}

/// The group's committed offset, asked of the broker.
pub fn committed(config: &config::Kafka, topic: &str, partition: i32) -> Option<i64> {
    let consumer: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &config.brokers)
        .set("group.id", &config.group_id)
        .create()
        .unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition(topic, partition);
    let found = consumer.committed_offsets(list, Duration::from_secs(10)).unwrap();
    close(&consumer);
    if let rdkafka::Offset::Offset(offset) = found.elements()[0].offset() { Some(offset) } else { None }
}
