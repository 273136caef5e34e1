//! The producer of shared tokens tells of a record that the topic does not take: nobody waits for its acknowledgement.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::ProducerContext;

use super::chatter::Chatter;
use super::own_topics;
use super::status::{Problem, Status};

/// Notes a refusal for the record's size in the status, until a record is taken.
pub(super) struct TokenWriting(pub(super) Chatter);

impl TokenWriting {
    pub(super) fn status(&self) -> &Status {
        self.0.status()
    }
}

impl ClientContext for TokenWriting {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for TokenWriting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let problem = |topic: &str| Problem::Topic(topic.to_owned());
        match result {
            Ok(message) => self.status().clear(&problem(message.topic())),
            Err((error, message)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                self.status().raise(problem(message.topic()), own_topics::token_too_large(message.topic()));
            }
            Err(_) => {}
        }
    }
}
