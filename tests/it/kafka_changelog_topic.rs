//! The changelog as a topic: made once, as wide as its sources, and what it keeps.

use std::time::Duration;

use order_sync::kafka::changelog::{Changelog, GroupOffsets};
use order_sync::kafka::topics::{Ensured, Topics};
use order_sync::sync::ports::PortError;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::support::kafka::{eventually, settings};
use crate::support::real_kafka::RealKafka;

#[test]
fn real_kafka_tombstones_are_there_as_long_as_the_topic_keeps_them() {
    let Some(kafka) = RealKafka::shared() else { return };
    let mut config = settings(&kafka.brokers, "g", &["orders"]);
    let topics = Topics::connect(&config).unwrap();
    let mut check = |retention: &[(&str, &str)], expect_s: u64| {
        let policy = [("cleanup.policy", "compact"), ("max.message.bytes", "4259840")];
        config.changelog_topic = kafka.topic("tombstones", 1, &[&policy[..], retention].concat());
        assert_eq!(topics.tombstones_kept(&config).unwrap(), Duration::from_secs(expect_s), "{retention:?}");
    };
    check(&[("delete.retention.ms", "60000")], 60);
    check(&[("delete.retention.ms", "604800000")], 604_800);
    check(&[("delete.retention.ms", "9000000000")], 604_800);
    // The brokers' own.
    check(&[], 86_400);
}

#[test]
fn real_kafka_a_changelog_is_made_once_and_must_fit() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("fits", 3, &[]);
    let config = settings(&kafka.brokers, &RealKafka::name("fits"), &[&topic]);
    let topics = Topics::connect(&config).unwrap();
    let Err(PortError::Fatal(words)) = topics.ensure_changelog(&config, || Ok(Some("states were there".to_owned())))
    else {
        panic!("a lost changelog is not made anew")
    };
    assert!(words.contains("states were there") && words.contains(&config.changelog_topic), "{words}");
    assert_eq!(topics.ensure_changelog(&config, || Ok(None)).unwrap(), Ensured::Created(3));
    eventually("it is known", || matches!(topics.ensure_changelog(&config, || Ok(None)), Ok(Ensured::Present(3))));

    let mut other = config.clone();
    other.changelog_topic = kafka.topic("other", 2, &[("cleanup.policy", "compact")]);
    let Err(PortError::Fatal(words)) = topics.ensure_changelog(&other, || Ok(None)) else { panic!("it fits") };
    assert!(["has 2 partitions", "has 3", "grown"].iter().all(|part| words.contains(part)), "{words}");
    other.changelog_topic = kafka.topic("wider", 4, &[("cleanup.policy", "compact")]);
    let Err(PortError::Fatal(words)) = topics.ensure_changelog(&other, || Ok(None)) else { panic!("it fits") };
    assert!(["has 4 partitions", "has 3", "taken out"].iter().all(|part| words.contains(part)), "{words}");
    let mut forbidden = config.clone();
    forbidden.changelog_topic = RealKafka::name("missing");
    forbidden.create_topics = false;
    let Err(PortError::Fatal(words)) = topics.ensure_changelog(&forbidden, || Ok(None)) else { panic!("made") };
    assert!(words.contains("cleanup.policy=compact") && words.contains("--partitions 3"), "{words}");
}

/// A group at work has a transaction open at every moment: whoever starts beside it learns what was committed, and waits for none.
#[test]
fn real_kafka_what_a_group_has_committed_is_known_under_an_open_transaction() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("open", 1, &[]);
    let config = settings(&kafka.brokers, &RealKafka::name("open"), &[&topic]);
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &kafka.brokers).set("group.id", &config.group_id);
    let group: BaseConsumer = client.create().unwrap();
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &kafka.brokers).set("transactional.id", &config.group_id);
    let producer: BaseProducer = client.create().unwrap();
    let wait = Duration::from_secs(20);
    producer.init_transactions(wait).unwrap();
    let (changelog, topics) = (Changelog::connect(&config).unwrap(), [(topic.clone(), Some(1))].into());
    let found = || changelog.group_offsets(&topics).unwrap();
    for (next, then) in [(3, GroupOffsets::default()), (5, GroupOffsets { any: true, noted: Vec::new() })] {
        producer.begin_transaction().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topic, 0, Offset::Offset(next)).unwrap();
        producer.send_offsets_to_transaction(&list, &group.group_metadata().unwrap(), wait).unwrap();
        assert_eq!(found(), then, "it is not committed yet");
        producer.commit_transaction(wait).unwrap();
    }
}
