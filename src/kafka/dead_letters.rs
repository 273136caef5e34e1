//! Writes dead letters and returns when every in-sync replica has them.
//!
//! A write that failed in part is written again whole by its caller: a letter may then stand there twice, as §8 allows
//! without transactions.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use super::chatter::Chatter;
use super::client;
use super::failure::{describe, port_error};
use super::producer::headers;
use super::status::Status;
use crate::config;
use crate::sync::Letter;
use crate::sync::ports::{DeadLetterSink, PortError};

/// The producer's poll of this binding goes on until its time is up, whatever came: it is the granularity of waiting.
const POLL: Duration = Duration::from_millis(1);

/// The dead-letter topic's writer: an idempotent producer with `acks=all`.
pub struct DeadLetterTopic {
    config: config::Kafka,
    /// None after a fatal error of the producer, until the next write makes a new one.
    producer: Option<BaseProducer<Receipts>>,
}

/// Counts what is still under way, and keeps the first failure of a write.
struct Receipts {
    chatter: Chatter,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    under_way: usize,
    failed: Option<KafkaError>,
}

impl Receipts {
    fn with<T>(&self, f: impl FnOnce(&mut Tally) -> T) -> T {
        f(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Receipts {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.chatter.log(level, facility, message);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.chatter.error(error, reason);
    }
}

impl ProducerContext for Receipts {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.with(|tally| {
            tally.under_way = tally.under_way.saturating_sub(1);
            if let Err((error, _)) = result {
                tally.failed.get_or_insert_with(|| error.clone());
            }
        });
    }
}

impl DeadLetterTopic {
    /// Makes the producer; talks to nobody yet. See [`super::topics::Topics::ensure_dead_letters`] for the topic.
    pub fn connect(config: &config::Kafka) -> Result<Self, PortError> {
        let producer = Some(open(config)?);
        Ok(Self { config: config.clone(), producer })
    }

    fn judge(&mut self, error: &KafkaError) -> PortError {
        let topic = &self.config.dead_letter_topic;
        let doing = format!("dead letters cannot be written to {topic}");
        let fatal = self.producer.as_ref().is_some_and(|p| p.client().fatal_error().is_some());
        if fatal {
            // The idempotent producer lost track of its sequence; a new one starts a new sequence.
            self.producer = None;
            return PortError::Passing(format!("{doing}: {}", describe(error)));
        }
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => PortError::Fatal(format!(
                "{doing}: the broker takes no record of this size; set the topic's max.message.bytes to 4259840 or more"
            )),
            Some(RDKafkaErrorCode::UnknownPartition) => PortError::Fatal(format!(
                "{doing}: it has fewer partitions than the source topic; add partitions, then start again"
            )),
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                PortError::Passing(format!("{doing}: grant this user Write and Describe on it"))
            }
            _ => port_error(&doing, error),
        }
    }
}

impl DeadLetterSink for DeadLetterTopic {
    /// Blocks at most `message.timeout.ms` (30 s unless set) beyond the queueing.
    fn write(&mut self, letters: Vec<Letter>) -> Result<(), PortError> {
        if letters.is_empty() {
            return Ok(());
        }
        if self.producer.is_none() {
            self.producer = Some(open(&self.config)?);
        }
        let Some(producer) = &self.producer else { return Err(PortError::Passing("no producer".to_owned())) };
        producer.context().with(|tally| *tally = Tally::default());
        let queued = letters.iter().try_for_each(|letter| queue(producer, &self.config.dead_letter_topic, letter));
        // Also after a failure: what is under way must not be counted into the next write.
        while producer.context().with(|tally| tally.under_way) > 0 {
            producer.poll(POLL);
        }
        let failed = producer.context().with(|tally| tally.failed.take());
        match queued.err().or(failed) {
            None => Ok(()),
            Some(error) => Err(self.judge(&error)),
        }
    }
}

fn open(config: &config::Kafka) -> Result<BaseProducer<Receipts>, PortError> {
    let receipts = Receipts { chatter: Chatter::new(config, Status::new()), tally: Mutex::default() };
    client::producer(config)?
        .create_with_context(receipts)
        .map_err(|e| port_error("cannot make the producer of dead letters", &e))
}

fn queue(producer: &BaseProducer<Receipts>, topic: &str, letter: &Letter) -> Result<(), KafkaError> {
    let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(letter.partition);
    record.key = letter.key.as_deref();
    record.payload = letter.value.as_deref();
    if !letter.headers.is_empty() {
        record = record.headers(headers(&letter.headers));
    }
    loop {
        producer.context().with(|tally| tally.under_way += 1);
        let Err((error, back)) = producer.send(record) else { return Ok(()) };
        producer.context().with(|tally| tally.under_way = tally.under_way.saturating_sub(1));
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
            return Err(error);
        }
        record = back;
        producer.poll(POLL);
    }
}
