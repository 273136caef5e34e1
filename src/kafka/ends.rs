//! The producer of transactions tells what has become of each record.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};

use super::chatter::Chatter;
use super::spans::Spans;
use super::status::Status;
use super::wait::serve;
use crate::config;

/// How long it is waited for which record was too large.
const TELLING: Duration = Duration::from_secs(1);

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
    /// The first record that was not written.
    pub(super) failed: Option<Failed>,
}

/// A record that was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) code: RDKafkaErrorCode,
    pub(super) topic: String,
    pub(super) partition: i32,
}

impl Failed {
    /// Whether it says why. Those that are given up because something else has failed do not.
    fn is_a_reason(&self) -> bool {
        use RDKafkaErrorCode::{PurgeInflight, PurgeQueue, State};
        !matches!(self.code, PurgeInflight | PurgeQueue | State)
    }
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

/// The record for which a transaction has failed with this error, where it is one. For one that is refused for itself the transaction
/// fails a moment before the record is told of, and only that names the topic.
pub(super) fn failed(producer: &BaseProducer<Ends>, error: &KafkaError) -> Option<Failed> {
    let is_its_own = matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::InvalidTimestamp
        )
    );
    let began = Instant::now();
    while is_its_own && producer.context().with(|written| written.failed.is_none()) && began.elapsed() < TELLING {
        serve(producer);
    }
    producer.context().with(|written| written.failed.take())
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
        match result {
            Ok(message) => {
                let is_state = message.topic() == self.changelog;
                self.with(|Written { changelog, letters, .. }| {
                    let spans = if is_state { changelog } else { letters };
                    spans.take(message.partition(), message.offset());
                });
            }
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                let failed = Failed { code, topic: message.topic().to_owned(), partition: message.partition() };
                if failed.is_a_reason() {
                    self.with(|written| {
                        written.failed.get_or_insert(failed);
                    });
                }
            }
        }
    }
}
