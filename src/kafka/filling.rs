//! What a transaction is filled with: the records of its parts for the changelog, and its dead letters.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord};

use super::dead_letters::outgoing;
use super::ends::Ends;
use super::producer::acceptance_headers;
use super::wait::serve;
use crate::config;
use crate::sync::changelog::write_records;
use crate::sync::log_ports::Transaction;
use crate::sync::ports::PortError;

/// Why a transaction could not be filled.
pub(super) enum FillError {
    /// The client.
    Kafka(KafkaError),
    /// The content itself.
    Content(PortError),
}

impl FillError {
    /// Whether it says no more than that the producer is in no state for what it was asked to do.
    pub(super) fn is_of_state(&self) -> bool {
        matches!(self, Self::Kafka(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::State))
    }
}

impl From<KafkaError> for FillError {
    fn from(error: KafkaError) -> Self {
        Self::Kafka(error)
    }
}

impl From<PortError> for FillError {
    fn from(error: PortError) -> Self {
        Self::Content(error)
    }
}

/// Queues the records of a transaction; what has become of them is told when it is committed.
pub(super) fn fill(
    producer: &BaseProducer<Ends>,
    config: &config::Kafka,
    transaction: &Transaction,
) -> Result<(), FillError> {
    for part in &transaction.parts {
        write_records(part, &mut |key, value, acceptance| {
            let mut record: BaseRecord<'_, [u8], [u8]> =
                BaseRecord::to(&config.changelog_topic).partition(part.source.partition).key(key);
            record.payload = value;
            record.headers = acceptance.map(acceptance_headers);
            queue(producer, record).map_err(FillError::Kafka)
        })?;
    }
    for letter in &transaction.letters {
        queue(producer, outgoing(letter).record(&config.dead_letter_topic))?;
    }
    Ok(())
}

fn queue(producer: &BaseProducer<Ends>, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<(), KafkaError> {
    loop {
        let Err((error, back)) = producer.send(record) else { return Ok(()) };
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
            return Err(error);
        }
        record = back;
        serve(producer);
    }
}
