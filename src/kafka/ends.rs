//! The producer of transactions tells what has become of each record.

use std::sync::{Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::ProducerContext;

use super::chatter::Chatter;
use super::spans::Spans;
use super::status::Status;
use crate::config;

/// Notes which offsets the records of a transaction got.
pub(super) struct Ends {
    chatter: Chatter,
    changelog: String,
    written: Mutex<Written>,
}

/// The offsets, of each topic.
#[derive(Default)]
pub(super) struct Written {
    pub(super) changelog: Spans,
    pub(super) letters: Spans,
}

impl Ends {
    pub(super) fn new(config: &config::Kafka) -> Self {
        Self {
            chatter: Chatter::new(config, Status::new()),
            changelog: config.changelog_topic.clone(),
            written: Mutex::default(),
        }
    }

    pub(super) fn with<T>(&self, f: impl FnOnce(&mut Written) -> T) -> T {
        f(&mut self.written.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Ends {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.chatter.log(level, facility, message);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.chatter.error(error, reason);
    }
}

impl ProducerContext for Ends {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        // A record that was not written makes the transaction fail as a whole; librdkafka sees to that.
        if let Ok(message) = result {
            let is_state = message.topic() == self.changelog;
            self.with(|Written { changelog, letters }| {
                let spans = if is_state { changelog } else { letters };
                spans.take(message.partition(), message.offset());
            });
        }
    }
}
