//! What a command-line tool needs of operator commands: to write them, and to hear what became of them.
//!
//! It needs no worker: commands wait in their topic until the owner of their partition executes them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::acknowledged::Acknowledged;
use super::chatter::Chatter;
use super::client;
use super::consumer::lookup;
use super::failure::{describe, port_error};
use super::own_topics;
use super::producer::Outgoing;
use super::status::Status;
use super::unjoined::Unjoined;
use crate::config;
use crate::record::TopicPartition;
use crate::sync::changelog::ChangelogKey;
use crate::sync::command::{Command, CommandDone};
use crate::sync::ports::PortError;

/// Writes commands to the commands topic.
pub struct CommandWriter {
    topic: String,
    producer: Acknowledged,
}

impl CommandWriter {
    /// Makes the producer; talks to nobody yet. See [`super::topics::Topics::ensure_commands`] for the topic. Without
    /// transactions nobody reads commands, and this says so.
    pub fn connect(config: &config::Kafka) -> Result<Self, PortError> {
        if !config.exactly_once {
            return Err(PortError::Fatal(
                "commands need kafka.exactly_once = true: without transactions no worker reads them".to_owned(),
            ));
        }
        Ok(Self { topic: config.commands_topic(), producer: Acknowledged::open(config)? })
    }

    /// Returns when every command is acknowledged by all in-sync replicas, each in the partition of its source's number
    /// and in the order given. After an error some may be there: written again under the same ids they act once.
    pub fn write(&self, commands: &[Command]) -> Result<(), PortError> {
        let mut values = Vec::with_capacity(commands.len());
        for command in commands {
            let value = command.encode();
            values.push(value.map_err(|error| PortError::Fatal(format!("a command cannot be encoded: {error}")))?);
        }
        let outgoing = commands.iter().zip(&values).map(|(command, value)| Outgoing {
            partition: Some(command.source.partition),
            key: Some(command.id.as_bytes()),
            value: Some(value),
            ..Outgoing::default()
        });
        self.producer.write(&self.topic, outgoing).map(drop).map_err(|error| self.judge(&error))
    }

    fn judge(&self, error: &KafkaError) -> PortError {
        let topic = &self.topic;
        let doing = format!("commands cannot be written to {topic}");
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition) => {
                PortError::Fatal(format!("{doing}: it does not exist. Create it: order-sync topics create"))
            }
            Some(RDKafkaErrorCode::UnknownPartition) => {
                PortError::Fatal(format!("{doing}: it has fewer partitions than the source topic; add partitions"))
            }
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => own_topics::too_large(&doing, topic),
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                PortError::Fatal(format!("{doing}: grant this user Write and Describe on it"))
            }
            _ => port_error(&doing, error),
        }
    }
}

/// What became of one command.
#[derive(Clone, Debug)]
pub struct Told {
    /// The source partition.
    pub source: TopicPartition,
    /// The command's id.
    pub id: Box<str>,
    /// What it came to.
    pub done: CommandDone,
}

/// Hears the outcomes of commands, from the changelog: those committed after it began, whoever gave them. A command that
/// was executed before tells its outcome again when it is given again.
pub struct OutcomeWatch {
    topic: String,
    sources: Vec<String>,
    consumer: Unjoined,
}

impl OutcomeWatch {
    /// Begins at the end of these partitions of the changelog: before the commands are written.
    pub fn begin(config: &config::Kafka, partitions: &BTreeSet<i32>) -> Result<Self, PortError> {
        let topic = config.changelog_topic.clone();
        let doing = |e: &KafkaError| port_error(&format!("cannot read {topic}"), e);
        let made = client::reader(config)?.create_with_context(Chatter::new(config, Status::new()));
        let consumer: Unjoined = made.map_err(|e| doing(&e))?;
        let places: Vec<_> = partitions.iter().map(|n| TopicPartition::new(topic.as_str(), *n)).collect();
        // The last stable offset: the transaction that executes a command begins behind it.
        let ends = lookup::ends(&consumer, &places).map_err(|e| doing(&e))?;
        let mut list = TopicPartitionList::new();
        for place in &places {
            let Some(end) = ends.get(place) else {
                return Err(PortError::Passing(format!("{place}: no answer")));
            };
            list.add_partition_offset(&topic, place.partition, Offset::Offset(end.get())).map_err(|e| doing(&e))?;
        }
        consumer.assign(&list).map_err(|e| doing(&e))?;
        Ok(Self { sources: config.topics.clone(), topic, consumer })
    }

    /// The outcomes that come within `wait`; returns with the first ones. Empty when none has come.
    pub fn hear(&mut self, wait: Duration) -> Result<Vec<Told>, PortError> {
        let until = Instant::now() + wait;
        let mut told = Vec::new();
        loop {
            let left = if told.is_empty() { until.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            match self.consumer.poll(left) {
                Some(Ok(message)) => told.extend(self.told(&message)?),
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => {
                    let code = error.rdkafka_error_code();
                    if code.is_some_and(super::failure::never_passes) {
                        return Err(port_error(&format!("cannot read {}", self.topic), &error));
                    }
                    tracing::debug!(topic = self.topic, error = describe(&error), "the changelog cannot be read");
                }
                None => return Ok(told),
            }
            if !told.is_empty() && until <= Instant::now() {
                return Ok(told);
            }
        }
    }

    fn told(&self, message: &BorrowedMessage<'_>) -> Result<Option<Told>, PortError> {
        let (Some(key), Some(value)) = (message.key(), message.payload()) else { return Ok(None) };
        for topic in &self.sources {
            if let Ok(Some(ChangelogKey::Command(id))) = ChangelogKey::decode(key, topic) {
                let done = CommandDone::decode(value).map_err(|error| {
                    PortError::Fatal(format!("{error}; use the release of order-sync that the workers run"))
                })?;
                return Ok(Some(Told { source: TopicPartition::new(topic.as_str(), message.partition()), id, done }));
            }
        }
        Ok(None)
    }
}
