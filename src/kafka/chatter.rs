//! Routes what librdkafka says into tracing, without secrets and without repeating itself.

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::ProducerContext;
use secrecy::{ExposeSecret, SecretString};

use super::properties;
use super::status::{Problem, Status};
use crate::config;

/// The context of every client: logs, and errors that concern no single request.
#[derive(Clone)]
pub(super) struct Chatter {
    secrets: Vec<SecretString>,
    status: Status,
}

impl Chatter {
    pub(super) fn new(config: &config::Kafka, status: Status) -> Self {
        let secrets = config.properties.iter().filter(|(name, _)| properties::is_secret(name));
        Self { secrets: secrets.map(|(_, value)| value.clone()).collect(), status }
    }

    /// The text with every secret value blotted out.
    pub(super) fn blot(&self, text: &str) -> String {
        let secrets = self.secrets.iter().map(ExposeSecret::expose_secret).filter(|s| !s.is_empty());
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }

    pub(super) fn status(&self) -> &Status {
        &self.status
    }
}

impl ClientContext for Chatter {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let message = self.blot(message);
        // Connection failures come once per broker and attempt; `error` below says the same once per change. What fails a
        // transaction is told with the commit, and what keeps a producer from its id where transactions begin.
        let noisy = matches!(
            facility,
            "CONFWARN" | "FAIL" | "ERROR" | "MAXPOLL" | "REQTMOUT" | "TXNERR" | "ADDPARTS" | "GETPID"
        );
        match level {
            _ if noisy => tracing::debug!(target: "librdkafka", facility, %message, "librdkafka"),
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::error!(target: "librdkafka", facility, %message, "librdkafka");
            }
            RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, %message, "librdkafka"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(target: "librdkafka", facility, %message, "librdkafka");
            }
        }
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = self.blot(reason);
        match error.rdkafka_error_code() {
            // It follows on a cause that was told already, and knows none.
            Some(RDKafkaErrorCode::AllBrokersDown) if self.status.stands(&Problem::Brokers) => {}
            Some(
                RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::SSL,
            ) => self.status.raise(Problem::Brokers, reason),
            Some(RDKafkaErrorCode::GroupAuthorizationFailed) => self.status.raise(Problem::Group, reason),
            _ => tracing::debug!(target: "librdkafka", %error, %reason, "librdkafka"),
        }
    }
}

impl ConsumerContext for Chatter {}

impl ProducerContext for Chatter {
    type DeliveryOpaque = ();

    fn delivery(&self, _result: &rdkafka::message::DeliveryResult<'_>, _opaque: Self::DeliveryOpaque) {}
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::kafka::client::tests::settings;

    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Said {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_told_elsewhere_or_many_times_is_no_warning() {
        let lines = [
            (
                "GETPID",
                "Failed to acquire transactional PID from broker 1: Broker: Coordinator load in progress: retrying",
            ),
            ("FAIL", "127.0.0.1:1: Connect failed"),
            ("TXNERR", "current transaction failed"),
            ("PARTCNT", "what nobody else tells"),
        ];
        let (said, chatter) = (Said::default(), Chatter::new(&settings("127.0.0.1:1"), Status::new()));
        let writer = said.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        // Where only one subscriber lives, a thread that has none switches an event off for all.
        let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
        tracing::subscriber::with_default(subscriber, || {
            for (facility, message) in lines {
                chatter.log(RDKafkaLogLevel::Warning, facility, message);
            }
        });
        let text = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
        assert!(text.lines().count() == 1 && text.contains("PARTCNT"), "{text}");
    }

    #[test]
    fn blots_passwords_out_of_log_lines() {
        let mut config = settings("127.0.0.1:1");
        config.properties = BTreeMap::from([
            ("sasl.password".to_owned(), SecretString::from("hunter2")),
            ("sasl.username".to_owned(), SecretString::from("alice")),
        ]);
        let chatter = Chatter::new(&config, Status::new());
        assert_eq!(chatter.blot("alice used hunter2, hunter2!"), "alice used ***, ***!");
    }
}
