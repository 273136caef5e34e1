//! Writes records and returns when every in-sync replica has them: an idempotent producer, `acks=all`.
//!
//! What is written and what its failure means is for the callers to say.

use std::sync::{Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};

use super::chatter::Chatter;
use super::client;
use super::failure::port_error;
use super::producer::Outgoing;
use super::spans::Spans;
use super::status::Status;
use super::wait::{drain_producer, serve};
use crate::config;
use crate::sync::ports::PortError;

/// The producer.
pub(super) struct Acknowledged(BaseProducer<Receipts>);

/// Counts what is still under way, and keeps the first failure of a write.
struct Receipts {
    chatter: Chatter,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    under_way: usize,
    failed: Option<KafkaError>,
    written: Spans,
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
            match result {
                Ok(message) => tally.written.take(message.partition(), message.offset()),
                Err((error, _)) => {
                    tally.failed.get_or_insert_with(|| error.clone());
                }
            }
        });
    }
}

impl Acknowledged {
    /// Makes the producer; talks to nobody yet.
    pub(super) fn open(config: &config::Kafka) -> Result<Self, PortError> {
        let receipts = Receipts { chatter: Chatter::new(config, Status::new()), tally: Mutex::default() };
        let made = client::producer(config)?.create_with_context(receipts);
        made.map(Self).map_err(|e| port_error("cannot make a producer", &e))
    }

    /// Nothing is under way: takes in what it was told meanwhile.
    pub(super) fn rest(&self) {
        drain_producer(&self.0);
    }

    /// Whether the producer has lost track of its sequence: a new one is to be made.
    pub(super) fn is_broken(&self) -> bool {
        self.0.client().fatal_error().is_some()
    }

    /// Returns when all are acknowledged, with the offsets that they got, or with the first failure when none is under way any
    /// more: some may be there then. Blocks at most `message.timeout.ms` (30 s unless set) beyond the queueing.
    pub(super) fn write<'a>(
        &self,
        topic: &str,
        mut records: impl Iterator<Item = Outgoing<'a>>,
    ) -> Result<Spans, KafkaError> {
        self.0.context().with(|tally| *tally = Tally::default());
        let queued = records.try_for_each(|record| self.queue(topic, record));
        // Also after a failure: what is under way must not be counted into the next write.
        while self.0.context().with(|tally| tally.under_way) > 0 {
            serve(&self.0);
        }
        let Tally { failed, written, .. } = self.0.context().with(std::mem::take);
        queued.err().or(failed).map_or(Ok(written), Err)
    }

    fn queue(&self, topic: &str, outgoing: Outgoing<'_>) -> Result<(), KafkaError> {
        let mut record = outgoing.record(topic);
        loop {
            self.0.context().with(|tally| tally.under_way += 1);
            let Err((error, back)) = self.0.send(record) else { return Ok(()) };
            self.0.context().with(|tally| tally.under_way = tally.under_way.saturating_sub(1));
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error);
            }
            record = back;
            serve(&self.0);
        }
    }
}
