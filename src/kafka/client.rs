//! Builds librdkafka's configuration from `[kafka]`: our promises first, the user's properties over our defaults.
//!
//! It opens no connection. Properties at fault are told with the settings; here they are refused once more, for callers
//! that made their settings themselves.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use secrecy::ExposeSecret;

use super::consumer::TOPIC_ID_CONTEXT;
use super::properties::RECORD_BYTES_MAX;
use super::property_faults;
use crate::config;
use crate::sync::ports::PortError;

/// How long one question to a broker may take before it is asked again.
pub(super) const ASK_TIMEOUT: Duration = Duration::from_secs(3);

/// What every client has in common.
pub(super) fn common(config: &config::Kafka) -> Result<ClientConfig, PortError> {
    let faults = property_faults::faults(&config.properties);
    if !faults.is_empty() {
        let told = faults.iter().map(|(name, what)| format!("kafka.properties.{name}: {what}"));
        return Err(PortError::Fatal(told.collect::<Vec<_>>().join("; ")));
    }
    let mut client = ClientConfig::new();
    client
        .set("client.id", "order-sync")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "2000")
        .set("topic.metadata.refresh.interval.ms", "60000")
        .set_log_level(RDKafkaLogLevel::Info);
    for (name, value) in &config.properties {
        client.set(name.as_str(), value.expose_secret());
    }
    client.set("bootstrap.servers", &config.brokers);
    Ok(client)
}

/// The group's consumer. Buffers hold 128 KiB per partition (and one fetch more), as partitions are read from
/// queues of their own.
pub(super) fn consumer(config: &config::Kafka) -> Result<ClientConfig, PortError> {
    let mut client = common(config)?;
    let default = |client: &mut ClientConfig, name: &str, value: &str| {
        if client.get(name).is_none() {
            client.set(name, value);
        }
    };
    if client.get("group.protocol").is_none_or(|p| p.eq_ignore_ascii_case("classic")) {
        default(&mut client, "partition.assignment.strategy", "cooperative-sticky");
    }
    // A fetch is limited as it lies at the broker; unpacked it is several times that, and stays until its last record
    // is taken.
    default(&mut client, "fetch.message.max.bytes", "262144");
    default(&mut client, "queued.max.messages.kbytes", "128");
    // Without it a full queue is looked at again after a whole second.
    default(&mut client, "fetch.queue.backoff.ms", "5");
    default(&mut client, "check.crcs", "true");
    client
        .set("group.id", &config.group_id)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("allow.auto.create.topics", "false");
    Ok(client)
}

/// The group's member: the consumer, with the lines of the library's log that tell of topics made anew
/// ([`TOPIC_ID_CONTEXT`]). What the user wants to see besides stays.
pub(super) fn member(config: &config::Kafka) -> Result<ClientConfig, PortError> {
    let mut client = consumer(config)?;
    let debug = client.get("debug").filter(|contexts| !contexts.trim().is_empty());
    let debug = debug.map_or(TOPIC_ID_CONTEXT.to_owned(), |contexts| format!("{contexts},{TOPIC_ID_CONTEXT}"));
    client.set("debug", debug).set_log_level(RDKafkaLogLevel::Debug);
    Ok(client)
}

/// A reader of single partitions: it never joins the group, whose name the library asks for all the same.
pub(super) fn reader(config: &config::Kafka) -> Result<ClientConfig, PortError> {
    let mut client = consumer(config)?;
    client
        .remove("partition.assignment.strategy")
        .remove("group.protocol")
        .remove("group.remote.assignor")
        .remove("group.instance.id")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "50");
    Ok(client)
}

/// The producer of dead letters.
pub(super) fn producer(config: &config::Kafka) -> Result<ClientConfig, PortError> {
    let mut client = common(config)?;
    for (name, value) in [
        // A tenth of a worker's CPU time less than zstd at its fastest, for twice its bytes in the log; those who would
        // rather have the room set another (docs/scaling.md).
        ("compression.codec", "lz4".to_owned()),
        ("message.max.bytes", (RECORD_BYTES_MAX + 64 * 1024).to_string()),
        ("linger.ms", "1".to_owned()),
        ("message.timeout.ms", "30000".to_owned()),
    ] {
        if client.get(name).is_none() {
            client.set(name, value);
        }
    }
    client.set("enable.idempotence", "true").set("acks", "all").set("allow.auto.create.topics", "false");
    Ok(client)
}

/// The producer of commits by transaction: what a record may take must not outlast the transaction.
pub(super) fn transactions(config: &config::Kafka, id: &str, timeout: Duration) -> Result<ClientConfig, PortError> {
    let mut client = producer(config)?;
    let timeout_ms = timeout.as_millis().to_string();
    client
        .set("transactional.id", id)
        .set("transaction.timeout.ms", &timeout_ms)
        .set("message.timeout.ms", &timeout_ms)
        .set("socket.timeout.ms", &timeout_ms);
    Ok(client)
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;
    use std::time::Instant;

    use secrecy::SecretString;

    use super::*;

    /// Settings as a test needs them.
    pub(crate) fn settings(brokers: &str) -> config::Kafka {
        config::Kafka {
            brokers: brokers.to_owned(),
            group_id: "group".to_owned(),
            topics: vec!["orders".to_owned()],
            dead_letter_topic: "group.dead-letters".to_owned(),
            create_topics: true,
            changelog_topic: "group.changelog".to_owned(),
            exactly_once: true,
            revoke_timeout: Duration::from_secs(10),
            commit_interval: Duration::from_millis(100),
            start_from: config::StartFrom::Earliest,
            properties: BTreeMap::new(),
        }
    }

    /// Waits for what other threads bring about.
    pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds() {
            assert!(Instant::now() < deadline, "not within 60 s: {what}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn with(name: &str, value: &str) -> config::Kafka {
        let mut config = settings("127.0.0.1:1");
        config.properties.insert(name.to_owned(), SecretString::from(value.to_owned()));
        config
    }

    #[test]
    fn a_users_property_wins_over_a_default_and_never_over_a_promise() {
        let client = consumer(&with("partition.assignment.strategy", "range")).unwrap();
        assert_eq!(client.get("partition.assignment.strategy"), Some("range"));
        assert_eq!(client.get("auto.offset.reset"), Some("error"));
        assert_eq!(client.get("isolation.level"), Some("read_committed"));
        let client = member(&with("debug", "cgrp,fetch")).unwrap();
        assert_eq!(client.get("debug"), Some("cgrp,fetch,metadata"));
        client.create_native_config().unwrap();
        let client = consumer(&with("group.protocol", "consumer")).unwrap();
        assert_eq!(client.get("partition.assignment.strategy"), None);
        let refused = consumer(&with("enable.auto.commit", "true")).unwrap_err().to_string();
        assert!(refused.contains("kafka.properties.enable.auto.commit: is refused: "), "{refused}");
    }

    #[test]
    fn every_kind_of_client_is_understood_by_the_library() {
        let config = settings("127.0.0.1:1");
        let commits = transactions(&config, "id", Duration::from_secs(10));
        for client in [consumer(&config), member(&config), reader(&config), producer(&config), commits] {
            client.unwrap().create_native_config().unwrap();
        }
    }
}
