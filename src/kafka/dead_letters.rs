//! Writes dead letters and returns when every in-sync replica has them.
//!
//! A write that failed in part is written again whole by its caller: a letter may then stand there twice, as §8 allows
//! without transactions.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::acknowledged::Acknowledged;
use super::failure::{describe, port_error};
use super::own_topics;
use super::producer::Outgoing;
use super::spans::{Fallen, Reach, Spans};
use crate::config;
use crate::record::Record;
use crate::sync::Letter;
use crate::sync::ports::{By, DeadLetterSink, PortError};
use crate::telemetry::{Meters, event};

/// The dead-letter topic's writer: an idempotent producer with `acks=all`.
pub struct DeadLetterTopic {
    config: config::Kafka,
    /// None after a fatal error of the producer, until the next write makes a new one.
    producer: Option<Acknowledged>,
    watch: LetterWatch,
}

/// Notices that the topic is another than the one that letters were written to, and says so. The worker goes on: its letters
/// are as much worth in the topic that is there now.
pub(super) struct LetterWatch {
    topic: String,
    reach: Reach,
    meters: Meters,
}

impl LetterWatch {
    pub(super) fn new(topic: &str, meters: Meters) -> Self {
        Self { topic: topic.to_owned(), reach: Reach::default(), meters }
    }

    /// Takes the offsets of letters that are written for certain.
    pub(super) fn take(&mut self, written: &Spans) {
        if let Some(Fallen { partition, known, written }) = self.reach.take(written) {
            event::LettersLost { topic: &self.topic, partition, known, written }.emit(&self.meters);
        }
    }
}

impl DeadLetterTopic {
    /// Makes the producer; talks to nobody yet. See [`super::topics::Topics::ensure_dead_letters`] for the topic.
    pub fn connect(config: &config::Kafka, meters: Meters) -> Result<Self, PortError> {
        let producer = Some(Acknowledged::open(config)?);
        let watch = LetterWatch::new(&config.dead_letter_topic, meters);
        Ok(Self { config: config.clone(), producer, watch })
    }

    fn judge(&mut self, error: &KafkaError) -> PortError {
        let topic = &self.config.dead_letter_topic;
        let doing = format!("dead letters cannot be written to {topic}");
        if self.producer.as_ref().is_some_and(Acknowledged::is_broken) {
            // The idempotent producer lost track of its sequence; a new one starts a new sequence.
            self.producer = None;
            return PortError::Passing(format!("{doing}: {}", describe(error)));
        }
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => own_topics::too_large(&doing, topic),
            Some(RDKafkaErrorCode::UnknownPartition) => PortError::Refused(
                By::Kafka,
                format!("{doing}: it has fewer partitions than the source topic; add partitions, then start again"),
            ),
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                PortError::Passing(format!("{doing}: grant this user Write and Describe on it"))
            }
            _ => port_error(&doing, error),
        }
    }
}

impl DeadLetterTopic {
    /// Writes letters again that the topic has lost, each with its partition and with the timestamp that it had: what
    /// reads letters goes by that. Blocks at most `message.timeout.ms` (30 s unless set) beyond the queueing; after an
    /// error some may be there.
    pub fn put_back(&mut self, letters: &[(i32, Record)]) -> Result<(), PortError> {
        self.put(letters.iter().map(|(partition, record)| Outgoing {
            partition: Some(*partition),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
            timestamp_ms: record.timestamp_ms,
        }))
    }

    fn put<'a>(&mut self, letters: impl Iterator<Item = Outgoing<'a>>) -> Result<(), PortError> {
        if self.producer.is_none() {
            self.producer = Some(Acknowledged::open(&self.config)?);
        }
        let Some(producer) = &self.producer else { return Err(PortError::Passing("no producer".to_owned())) };
        let written = producer.write(&self.config.dead_letter_topic, letters).map_err(|error| self.judge(&error))?;
        self.watch.take(&written);
        Ok(())
    }
}

impl DeadLetterSink for DeadLetterTopic {
    fn rest(&mut self) {
        if let Some(producer) = &self.producer {
            producer.rest();
        }
    }

    /// Blocks at most `message.timeout.ms` (30 s unless set) beyond the queueing.
    fn write(&mut self, letters: Vec<Letter>) -> Result<(), PortError> {
        if letters.is_empty() {
            return Ok(());
        }
        self.put(letters.iter().map(outgoing))
    }
}

/// The letter as a record.
pub(super) fn outgoing(letter: &Letter) -> Outgoing<'_> {
    Outgoing {
        partition: Some(letter.partition),
        key: letter.key.as_deref(),
        value: letter.value.as_deref(),
        headers: &letter.headers,
        timestamp_ms: None,
    }
}
