//! Writes many records fast: for the demo, for benchmarks and for tests. The worker itself never uses it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use super::failure::{describe, port_error};
use crate::record::Header;
use crate::sync::Acceptance;
use crate::sync::ports::PortError;

const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(30);

/// A producer with acknowledgements counted, not kept.
pub struct Producer {
    producer: BaseProducer<Tally>,
}

/// One record to write; everything borrowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing<'a> {
    /// The partition; none lets the key's hash decide, as Java's producer does.
    pub partition: Option<i32>,
    /// The key; `None` is a record without one.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers in order.
    pub headers: &'a [Header],
    /// Milliseconds since the epoch; none is now.
    pub timestamp_ms: Option<i64>,
}

#[derive(Default)]
struct Tally {
    failed: AtomicUsize,
}

impl ClientContext for Tally {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "producer");
    }
}

impl ProducerContext for Tally {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            tracing::warn!(error = %describe(error), "a record was not written");
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<'a> Outgoing<'a> {
    /// The record as librdkafka takes it.
    pub(super) fn record(self, topic: &'a str) -> BaseRecord<'a, [u8], [u8]> {
        let mut record = BaseRecord::to(topic);
        record.partition = self.partition;
        record.key = self.key;
        record.payload = self.value;
        record.timestamp = self.timestamp_ms;
        if self.headers.is_empty() { record } else { record.headers(headers(self.headers)) }
    }
}

impl Producer {
    /// Connects to `brokers` (`host:port`, joined by commas); records may have up to 8 MiB.
    pub fn connect(brokers: &str) -> Result<Self, PortError> {
        Self::with(brokers, &[])
    }

    /// The same with further librdkafka properties.
    pub fn with(brokers: &str, properties: &[(&str, &str)]) -> Result<Self, PortError> {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("message.max.bytes", "8388608")
            .set("linger.ms", "5")
            .set("compression.codec", "lz4")
            .set("queue.buffering.max.messages", "500000")
            .set("queue.buffering.max.kbytes", "65536");
        for (name, value) in properties {
            client.set(*name, *value);
        }
        let producer =
            client.create_with_context(Tally::default()).map_err(|e| port_error("cannot make a producer", &e))?;
        Ok(Self { producer })
    }

    /// Queues a record; waits while the queue is full.
    pub fn send(&self, topic: &str, outgoing: Outgoing<'_>) -> Result<(), PortError> {
        let mut record = outgoing.record(topic);
        loop {
            match self.producer.send(record) {
                Ok(()) => {
                    self.producer.poll(Duration::ZERO);
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(Duration::from_millis(10));
                }
                Err((error, _)) => return Err(port_error("cannot write a record", &error)),
            }
        }
    }

    /// Waits until every record is acknowledged; an error says how many were not.
    pub fn flush(&self) -> Result<(), PortError> {
        self.producer.flush(Duration::from_secs(60)).map_err(|e| port_error("records are not acknowledged", &e))?;
        match self.producer.context().failed.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            failed => Err(PortError::Passing(format!("{failed} records were not written"))),
        }
    }

    /// Begins a transaction; `transactional.id` must be among the properties. The first call takes the id over.
    pub fn begin(&self) -> Result<(), PortError> {
        if self.producer.begin_transaction().is_ok() {
            return Ok(());
        }
        self.producer.init_transactions(TRANSACTION_TIMEOUT).map_err(|e| port_error("no transactions", &e))?;
        self.producer.begin_transaction().map_err(|e| port_error("no transaction", &e))
    }

    /// Commits the transaction.
    pub fn commit(&self) -> Result<(), PortError> {
        self.flush()?;
        self.producer.commit_transaction(TRANSACTION_TIMEOUT).map_err(|e| port_error("not committed", &e))
    }

    /// Aborts the transaction: readers of committed records never see its records.
    pub fn abort(&self) -> Result<(), PortError> {
        self.flush()?;
        self.producer.abort_transaction(TRANSACTION_TIMEOUT).map_err(|e| port_error("not aborted", &e))
    }
}

/// Headers as librdkafka takes them, nulls and repeated names included.
fn headers(headers: &[Header]) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |all, header| {
        all.insert(rdkafka::message::Header { key: &header.name, value: header.value.as_deref() })
    })
}

/// What an accepted delivery's tombstone tells people.
pub(super) fn acceptance_headers(acceptance: &Acceptance) -> OwnedHeaders {
    let mut headers = Some(OwnedHeaders::new_with_capacity(1));
    acceptance.write(&mut |key, value| {
        let header = rdkafka::message::Header { key, value: Some(value) };
        headers = headers.take().map(|headers| headers.insert(header));
    });
    headers.unwrap_or_default()
}
