//! Reads single records of a source topic again, by offset, and tells whether a position is the end.
//!
//! It assigns partitions by itself: it never joins the group, commits nothing and disturbs nobody.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use super::chatter::Chatter;
use super::consumer::lookup;
use super::failure::port_error;
use super::status::Status;
use super::unjoined::Unjoined;
use super::wait::drain;
use super::{client, convert};
use crate::config::{self, StartFrom};
use crate::record::{NextOffset, Record, RecordOffset, TopicPartition};
use crate::sync::ports::{PortError, SourceReader};

/// How long one read may take before it is a passing failure.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The reader. Records of one partition in ascending order are read without starting anew each time.
pub struct SourceTopics {
    consumer: Unjoined,
    /// What is being read, and the offset that comes next.
    at: Option<(TopicPartition, NextOffset)>,
    /// Ends a read early.
    stop: CancellationToken,
}

/// What stands at an offset or behind it.
enum Found {
    Record(Record),
    End,
    /// The broker no longer has this offset, or never had it.
    OutOfRange,
}

impl SourceTopics {
    /// Makes the consumer; talks to nobody yet.
    pub fn connect(config: &config::Kafka) -> Result<Self, PortError> {
        Self::connect_until(config, CancellationToken::new())
    }

    /// The same, whose reads end with a passing failure once it is to stop.
    pub fn connect_until(config: &config::Kafka, stop: CancellationToken) -> Result<Self, PortError> {
        let consumer = client::reader(config)?
            .create_with_context(Chatter::new(config, Status::new()))
            .map_err(|e| port_error("cannot make a reader of source topics", &e))?;
        Ok(Self { consumer, at: None, stop })
    }

    /// The first record at or behind `next` that a reader of committed records sees.
    fn first_from(&mut self, source: &TopicPartition, next: NextOffset) -> Result<Found, PortError> {
        let deadline = Instant::now() + READ_TIMEOUT;
        let doing = || format!("cannot read {source} at offset {next}");
        if self.at.as_ref() != Some(&(source.clone(), next)) {
            self.assign(source, next).map_err(|e| port_error(&doing(), &e))?;
        }
        // Until the answer is clear the next read starts anew.
        self.at = None;
        let mut last = None;
        while Instant::now() < deadline && !self.stop.is_cancelled() {
            let Some(answer) = self.consumer.poll(Duration::from_millis(100)) else { continue };
            match answer {
                Ok(message) => {
                    let record = convert::record(&message);
                    let here = message.topic() == &*source.topic && message.partition() == source.partition;
                    if here && !next.covers(record.offset) {
                        self.at = Some((source.clone(), record.offset.next()));
                        return Ok(Found::Record(record));
                    }
                }
                Err(KafkaError::PartitionEOF(partition)) if partition == source.partition => return Ok(Found::End),
                Err(error) => match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                        return Ok(Found::OutOfRange);
                    }
                    Some(_) | None => last = Some(error),
                },
            }
        }
        let words = last.map_or_else(|| "no answer".to_owned(), |e| super::failure::describe(&e));
        Err(PortError::Passing(format!("{}: {words}", doing())))
    }

    /// Whether a record stands at `from` or behind it, and before `to`.
    pub fn has_record(&mut self, source: &TopicPartition, from: NextOffset, to: NextOffset) -> Result<bool, PortError> {
        Ok(match self.first_from(source, from)? {
            Found::Record(record) => to.covers(record.offset),
            Found::End | Found::OutOfRange => false,
        })
    }

    fn assign(&self, source: &TopicPartition, next: NextOffset) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&source.topic, source.partition, Offset::Offset(next.get()))?;
        self.consumer.unassign()?;
        self.consumer.assign(&list)
    }

    /// An offset that the broker does not have was taken by retention, unless it lies beyond the end.
    fn must_be_retention(&self, source: &TopicPartition, offset: i64) -> Result<(), PortError> {
        let extents = lookup::extents(&self.consumer, std::slice::from_ref(source), StartFrom::Earliest)
            .map_err(|e| port_error(&format!("cannot ask how far {source} reaches"), &e))?;
        match extents.get(source) {
            Some(extent) if offset > extent.high => Err(PortError::Fatal(format!(
                "{source} ends at offset {}, before {offset}: the topic was deleted and created again, or has lost records",
                extent.high
            ))),
            Some(_) | None => Ok(()),
        }
    }
}

impl SourceReader for SourceTopics {
    fn rest(&mut self) {
        if self.at.take().is_some() {
            // Whatever stays assigned is put right by the next read.
            self.consumer.unassign().unwrap_or(());
        }
        drain(&self.consumer);
    }

    fn read(&mut self, source: &TopicPartition, offset: RecordOffset) -> Result<Option<Record>, PortError> {
        match self.first_from(source, NextOffset::new(offset.get()))? {
            Found::Record(record) if record.offset == offset => return Ok(Some(record)),
            Found::Record(_) => self.at = None,
            Found::End => {}
            Found::OutOfRange => self.must_be_retention(source, offset.get())?,
        }
        Ok(None)
    }

    fn is_at_end(&mut self, source: &TopicPartition, next: NextOffset) -> Result<bool, PortError> {
        match self.first_from(source, next)? {
            Found::Record(_) => return Ok(false),
            Found::End => return Ok(true),
            Found::OutOfRange => self.must_be_retention(source, next.get())?,
        }
        // Retention removed something behind `next`; what is left decides.
        let extents = lookup::extents(&self.consumer, std::slice::from_ref(source), StartFrom::Earliest)
            .map_err(|e| port_error(&format!("cannot ask how far {source} reaches"), &e))?;
        match extents.get(source) {
            Some(extent) if extent.low > next.get() => self.is_at_end(source, NextOffset::new(extent.low)),
            Some(_) | None => Ok(false),
        }
    }
}
