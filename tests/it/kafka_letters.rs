//! Dead letters and their topic over a real Apache Kafka.

use order_sync::kafka::dead_letters::DeadLetterTopic;
use order_sync::kafka::own_topics::{Looked, OwnTopic};
use order_sync::kafka::topics::{Ensured, Topics};
use order_sync::record::Header;
use order_sync::sync::Letter;
use order_sync::sync::ports::{By, DeadLetterSink as _, PortError};
use order_sync::telemetry::Meters;

use crate::support::kafka::{eventually, property, settings};
use crate::support::real_kafka::RealKafka;

#[test]
fn real_kafka_dead_letters_are_acknowledged_in_their_partition() {
    let Some(kafka) = RealKafka::shared() else { return };
    let (narrow, wide) = (kafka.topic("narrow", 1, &[]), kafka.topic("wide", 3, &[]));
    let mut config = settings(&kafka.brokers, &RealKafka::name("letters"), &[&narrow, &wide]);
    config.create_topics = false;
    let topics = Topics::connect(&config).unwrap();
    let refused = topics.ensure_dead_letters(&config).unwrap_err().to_string();
    assert!(refused.contains("kafka.create_topics is false") && refused.contains("--partitions 3"), "{refused}");
    let unseen = topics.look(&config, OwnTopic::DeadLetters).unwrap();
    assert!(matches!(&unseen, Looked::Unseen(why) if why.contains("DescribeConfigs")), "no settings are no right ones");
    config.create_topics = true;
    assert_eq!(topics.ensure_dead_letters(&config).unwrap(), Ensured::Created(3));
    eventually("the topic", || matches!(topics.ensure_dead_letters(&config), Ok(Ensured::Present(3))));

    let large = Letter {
        partition: 2,
        key: None,
        value: Some(vec![b'x'; 4 * 1024 * 1024 - 200]),
        headers: vec![
            Header { name: "a".into(), value: None },
            Header { name: "a".into(), value: Some(Box::from(&b"1"[..])) },
        ],
    };
    let tombstone = Letter { partition: 0, key: Some(b"k".to_vec()), value: None, headers: Vec::new() };
    let mut sink = DeadLetterTopic::connect(&config, Meters::default()).unwrap();
    sink.write(vec![large.clone(), tombstone.clone()]).unwrap();
    let found = kafka.read_all(&config.dead_letter_topic);
    assert_eq!(found.len(), 2);
    for (letter, (partition, record)) in [tombstone, large].iter().zip(&found) {
        assert_eq!(letter.partition, *partition);
        assert_eq!(letter.key.as_deref(), record.key.as_deref());
        assert_eq!(letter.value.as_deref(), record.value.as_deref());
        assert_eq!(letter.headers, record.headers);
    }
    let nowhere = Letter { partition: 9, key: None, value: None, headers: Vec::new() };
    let refused = sink.write(vec![nowhere]).unwrap_err();
    assert!(
        matches!(&refused, PortError::Refused(By::Kafka, words) if words.contains("fewer partitions")),
        "{refused}"
    );
}

#[test]
fn real_kafka_a_narrow_dead_letter_topic_is_refused_with_both_counts() {
    let Some(kafka) = RealKafka::shared() else { return };
    let source = kafka.topic("twelve", 12, &[]);
    let mut config = settings(&kafka.brokers, &RealKafka::name("narrow"), &[&source]);
    config.dead_letter_topic = kafka.topic("letters", 5, &[]);
    let topics = Topics::connect(&config).unwrap();
    let mut refused = None;
    eventually("a final word", || {
        refused = topics.ensure_dead_letters(&config).err();
        matches!(refused, Some(PortError::Fatal(_)))
    });
    let words = refused.unwrap().to_string();
    assert!(words.contains("has 5") && words.contains("has 12"), "{words}");
}

#[test]
fn real_kafka_a_dead_letter_that_the_topic_does_not_take_is_fatal() {
    let Some(kafka) = RealKafka::shared() else { return };
    let mut config = settings(&kafka.brokers, &RealKafka::name("small"), &["unused"]);
    config.dead_letter_topic = kafka.topic("small", 1, &[("max.message.bytes", "1000")]);
    property(&mut config, "compression.codec", "none");
    let letter = Letter { partition: 0, key: None, value: Some(vec![b'x'; 5000]), headers: Vec::new() };
    let refused = DeadLetterTopic::connect(&config, Meters::default()).unwrap().write(vec![letter]).unwrap_err();
    assert!(
        matches!(&refused, PortError::Refused(By::Kafka, words) if words.contains("max.message.bytes")),
        "{refused}"
    );
}
