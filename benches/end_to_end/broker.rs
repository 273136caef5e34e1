//! Where the records lie: a real Kafka through tests/kafka/kafka.sh, one that is there already, or the embedded broker.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use order_sync::kafka::embedded::EmbeddedBroker;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

pub(crate) const PARTITIONS: i32 = 12;
/// The embedded broker keeps 5 MiB of each partition and drops older records in silence.
const EMBEDDED_RECORDS: usize = 60_000;

pub(crate) enum Broker {
    /// Started here, and stopped by its name.
    Started {
        brokers: String,
        name: String,
    },
    Given(String),
    Embedded(EmbeddedBroker),
}

impl Broker {
    #[expect(clippy::disallowed_methods, reason = "the one setting that tests and benches take from outside")]
    pub(crate) fn start(kind: Option<&str>) -> Self {
        if kind == Some("embedded") {
            return Self::Embedded(EmbeddedBroker::start(&[]).unwrap());
        }
        if let Ok(brokers) = std::env::var("KAFKA_BROKERS") {
            return Self::Given(brokers);
        }
        let process = std::process::id().to_string();
        let name = format!("bench-{process}");
        let ran = script(&["up", "--name", &name, "--until-exit", &process]);
        let said = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
        match ran.status.code() {
            Some(0) => Self::Started { brokers: String::from_utf8_lossy(&ran.stdout).trim().to_owned(), name },
            Some(3) if kind.is_none() => {
                println!("no real Kafka here ({said}): the embedded broker, with fewer records, stands in");
                Self::Embedded(EmbeddedBroker::start(&[]).unwrap())
            }
            _ => panic!("tests/kafka/kafka.sh up failed: {said}"),
        }
    }

    pub(crate) fn brokers(&self) -> &str {
        match self {
            Self::Started { brokers, .. } | Self::Given(brokers) => brokers,
            Self::Embedded(broker) => broker.brokers(),
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Started { .. } => "a real Kafka on this machine",
            Self::Given(_) => "the Kafka of KAFKA_BROKERS",
            Self::Embedded(_) => "the embedded broker",
        }
    }

    /// Lines of `[kafka]` that it needs: the embedded broker keeps no changelog.
    pub(crate) fn settings(&self) -> &'static str {
        match self {
            Self::Started { .. } | Self::Given(_) => "",
            Self::Embedded(_) => "exactly_once = false\n",
        }
    }

    /// How many records a topic can hold.
    pub(crate) fn room(&self) -> usize {
        match self {
            Self::Started { .. } | Self::Given(_) => usize::MAX,
            Self::Embedded(_) => EMBEDDED_RECORDS,
        }
    }

    /// Creates a topic that no other setup has, and its dead-letter topic.
    pub(crate) fn topic(&self, latency: &str, in_flight: usize) -> String {
        let topic = format!("bench-{}-{latency}-{in_flight}", std::process::id());
        let letters = dead_letters(&topic);
        match self {
            Self::Embedded(broker) => {
                broker.create_topic(&topic, PARTITIONS).unwrap();
                broker.create_topic(&letters, PARTITIONS).unwrap();
            }
            Self::Started { .. } | Self::Given(_) => create(self.brokers(), &[&topic, &letters]),
        }
        topic
    }
}

/// The dead-letter topic that belongs to a topic of the bench.
pub(crate) fn dead_letters(topic: &str) -> String {
    format!("{topic}.dead-letters")
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Self::Started { name, .. } = self {
            script(&["down", "--name", name]);
        }
    }
}

fn script(arguments: &[&str]) -> std::process::Output {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/kafka.sh");
    Command::new(script).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn create(brokers: &str, topics: &[&str]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let topics: Vec<NewTopic<'_>> =
        topics.iter().map(|topic| NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1))).collect();
    let timeout = Some(Duration::from_secs(20));
    let options = AdminOptions::new().request_timeout(timeout).operation_timeout(timeout);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let made = runtime.block_on(admin.create_topics(&topics, &options)).unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
}
