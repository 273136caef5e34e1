//! Whether this user may write what a commit writes: asked at the start, so that a right that is missing is told then, and not
//! by the first commit, or months later by the first dead letter.
//!
//! Brokers tell by adding a topic to a transaction, which they do before anything is written. The transaction is thrown away,
//! and leaves no record: that for the dead letters is held back, and one without a key is refused by a compacted topic.

use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use secrecy::ExposeSecret as _;

use super::chatter::Chatter;
use super::client;
use super::failure::port_error;
use super::status::Status;
use super::transaction_start::start;
use super::transactions::TRANSACTION_TIMEOUT;
use super::wait::serve;
use crate::config;
use crate::sync::ports::{By, PortError};

/// One question.
const ASK: Duration = Duration::from_secs(5);
/// A record that is alone in its partition waits for longer than the question takes; two do not wait.
const HELD_BACK_MS: &str = "8000";
const BATCH: usize = 2;

/// Begins a transaction of `id` that would write the changelog and dead letters, and drops it. [`PortError::Refused`] where it
/// may not. What the brokers do not answer is no refusal: the first commit will tell.
pub fn ask(config: &config::Kafka, id: &str) -> Result<(), PortError> {
    if !is_denied(config, id, &[&config.dead_letter_topic])? {
        return Ok(());
    }
    let changelog_alone = is_denied(config, id, &[])?;
    let topic = if changelog_alone { &config.changelog_topic } else { &config.dead_letter_topic };
    Err(denied(config, "the worker cannot start", &[topic]))
}

/// Says which right is missing, on one of `topics`, and to whom.
pub(super) fn denied(config: &config::Kafka, doing: &str, topics: &[&str]) -> PortError {
    let user = config.properties.get("sasl.username").map(|name| format!("User:{}", name.expose_secret()));
    let grants = topics.iter().map(|topic| {
        let user = user.as_deref().unwrap_or("User:<this worker's>");
        format!("kafka-acls.sh --add --allow-principal {user} --operation Write --operation Describe --topic {topic}")
    });
    PortError::Refused(
        By::Kafka,
        format!(
            "{doing}: the brokers deny {} the operation Write on topic {}; nothing is lost. Grant Write and Describe on it, and \
             start again: {}",
            user.as_deref().unwrap_or("this worker's user"),
            topics.join(" or "),
            grants.collect::<Vec<_>>().join("; ")
        ),
    )
}

/// The same for the id of its transactions.
pub(super) fn denied_id(config: &config::Kafka, doing: &str) -> PortError {
    PortError::Refused(
        By::Kafka,
        format!(
            "{doing}: grant this user Write and Describe on the transactional ids that begin with {}",
            config.group_id
        ),
    )
}

/// Whether the changelog, or one of the `others`, may not be written.
fn is_denied(config: &config::Kafka, id: &str, others: &[&str]) -> Result<bool, PortError> {
    let mut client = client::transactions(config, id, TRANSACTION_TIMEOUT)?;
    client.remove("queue.buffering.max.ms");
    // That its transaction fails is the answer.
    client.set_log_level(RDKafkaLogLevel::Emerg);
    client.set("linger.ms", HELD_BACK_MS).set("batch.num.messages", BATCH.to_string());
    let producer: BaseProducer<Chatter> = client
        .create_with_context(Chatter::new(config, Status::new()))
        .map_err(|e| port_error("cannot make a client that asks about rights", &e))?;
    start(&producer, &config.changelog_topic, ASK).map_err(|e| port_error("transactions cannot begin", &e))?;
    producer.begin_transaction().map_err(|e| port_error("a transaction cannot begin", &e))?;
    let denied = topics_are_denied(config, &producer, others);
    // The next producer of this id ends it where this one does not.
    drop(producer.abort_transaction(ASK));
    Ok(denied)
}

/// The others come first: by the time that the changelog's records are answered, theirs has been decided.
fn topics_are_denied(config: &config::Kafka, producer: &BaseProducer<Chatter>, others: &[&str]) -> bool {
    let changelog = [config.changelog_topic.as_str(); BATCH];
    for topic in others.iter().copied().chain(changelog) {
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(0).payload(b"{}");
        if let Err((error, _)) = producer.send(record) {
            return is_refusal(&error);
        }
    }
    let began = Instant::now();
    while producer.in_flight_count() > i32::try_from(others.len()).unwrap_or(i32::MAX) && began.elapsed() < ASK {
        // It has begun; asked to begin again, it says what has become of it.
        if producer.begin_transaction().is_err_and(|error| is_refusal(&error)) {
            return true;
        }
        serve(producer);
    }
    producer.begin_transaction().is_err_and(|error| is_refusal(&error))
}

fn is_refusal(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed)
}
