//! A real Apache Kafka for the tests of this binary: each kind is started once, when the first test wants it, through
//! tests/kafka/kafka.sh, or is `KAFKA_BROKERS`.
//!
//! The script stops it when this process has ended, however it ends. Topics and groups get names of their own, so that
//! one broker serves every test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use order_sync::record::{Header, Record, RecordOffset};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::kafka::{close, eventually};

/// No answer for so long is a failure, and nothing that a busy machine, or a broker that starts again, comes to.
const SILENCE_MAX: Duration = Duration::from_secs(300);

/// A running cluster.
pub struct RealKafka {
    pub brokers: String,
    /// The address of its `SASL_SSL` listeners, and the file of the certificate to trust; empty where it has none.
    pub secured: (String, String),
    name: String,
    admin: OnceLock<AdminClient<DefaultClientContext>>,
}

type Started = Result<RealKafka, String>;

impl RealKafka {
    /// The broker of this test binary. `None` where there can be none: that is printed, and is a failure under
    /// `ORDER_SYNC_REQUIRE_KAFKA=1`.
    #[expect(clippy::disallowed_methods, reason = "the one setting that tests take from outside")]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Started> = OnceLock::new();
        Self::or_say(SHARED.get_or_init(|| match std::env::var("KAFKA_BROKERS") {
            Ok(brokers) => Ok(Self { brokers, secured: <_>::default(), name: String::new(), admin: OnceLock::new() }),
            Err(_) => start("shared", &[]),
        }))
    }

    /// A broker with TLS and SASL, see the script's head.
    pub fn secured() -> Option<&'static Self> {
        static SECURED: OnceLock<Started> = OnceLock::new();
        Self::or_say(SECURED.get_or_init(|| start("secured", &["--secure"])))
    }

    /// A cluster of three, whose nodes a test may stop and start.
    pub fn three() -> Option<&'static Self> {
        static THREE: OnceLock<Started> = OnceLock::new();
        Self::or_say(THREE.get_or_init(|| start("three", &["--nodes", "3"])))
    }

    #[expect(clippy::disallowed_methods, clippy::print_stderr, reason = "a test that is skipped must say so")]
    fn or_say(started: &'static Started) -> Option<&'static Self> {
        match started {
            Ok(kafka) => Some(kafka),
            Err(why) => {
                let test = std::thread::current().name().unwrap_or("a test").to_owned();
                let required = std::env::var_os("ORDER_SYNC_REQUIRE_KAFKA").is_some_and(|v| v == "1");
                assert!(!required, "{test} needs a real Kafka (ORDER_SYNC_REQUIRE_KAFKA=1): {why}");
                eprintln!("SKIPPED {test}: no real Kafka: {why}");
                None
            }
        }
    }

    /// `deny` or `allow`: whether the user of the secured listeners may write the topic.
    pub fn acl(&self, action: &str, topic: &str) {
        let ran = Command::new(script()).args([action, "--topic", topic, "--name", &self.name]).status().unwrap();
        assert!(ran.success(), "{action} {topic}");
    }

    /// A name that no other test has.
    pub fn name(what: &str) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        format!("{what}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// `stop-node` or `restart-node`; the nodes count from 1.
    pub fn node(&self, action: &str, node: i32) {
        let ran = Command::new(script()).args([action, &node.to_string(), "--name", &self.name]).status().unwrap();
        assert!(ran.success(), "{action} {node}");
    }

    /// Creates a topic and waits until it is known. Returns its name.
    pub fn topic(&self, what: &str, partitions: i32, config: &[(&str, &str)]) -> String {
        let topic = Self::name(what);
        self.create(&topic, partitions, config);
        topic
    }

    /// Creates a topic of this name, and waits until it is known.
    pub fn create(&self, topic: &str, partitions: i32, config: &[(&str, &str)]) {
        self.create_on(topic, partitions, TopicReplication::Fixed(-1), config);
    }

    /// The same with the nodes on which each partition lies.
    pub fn create_on(&self, topic: &str, partitions: i32, on: TopicReplication<'_>, config: &[(&str, &str)]) {
        let mut new = NewTopic::new(topic, partitions, on);
        for (name, value) in config {
            new = new.set(name, value);
        }
        let made = wait(self.admin().create_topics([&new], &options())).unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        // The controller has it; the broker that clients ask hears of it a little later, and leads it later still.
        let client = self.admin().inner();
        eventually("a topic that was created", || {
            let known = client.fetch_metadata(Some(topic), Duration::from_secs(10));
            known.is_ok_and(|m| m.topics()[0].error().is_none() && !m.topics()[0].partitions().is_empty())
        });
        let is_led = |partition| client.fetch_watermarks(topic, partition, Duration::from_secs(10)).is_ok();
        eventually("a leader of each partition", || (0..partitions).all(is_led));
    }

    /// Gives a topic more partitions.
    pub fn grow(&self, topic: &str, partitions: usize) {
        let more = rdkafka::admin::NewPartitions::new(topic, partitions);
        wait(self.admin().create_partitions([&more], &options())).unwrap();
    }

    /// Gives a topic these settings, and no others.
    pub fn set(&self, topic: &str, settings: &[(&str, &str)]) {
        let none = AlterConfig::new(ResourceSpecifier::Topic(topic));
        let all = settings.iter().fold(none, |all, (name, value)| all.set(name, value));
        wait(self.admin().alter_configs([&all], &options())).unwrap().remove(0).unwrap();
    }

    /// Deletes a topic, and waits until it is known to be gone: what is written to one that is made anew at once could still
    /// go into the old one.
    pub fn delete(&self, topic: &str) {
        wait(self.admin().delete_topics(&[topic], &options())).unwrap();
        let client = self.admin().inner();
        eventually("a topic that was deleted", || {
            let known = client.fetch_metadata(Some(topic), Duration::from_secs(10));
            known.is_ok_and(|m| m.topics()[0].error().is_some() || m.topics()[0].partitions().is_empty())
        });
    }

    /// Deletes a group that has no members, and its offsets with it.
    pub fn delete_group(&self, group: &str) {
        for done in wait(self.admin().delete_groups(&[group], &options())).unwrap() {
            done.unwrap();
        }
    }

    /// Does retention's work: removes every record before `before`.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(before)).unwrap();
        let done = wait(self.admin().delete_records(&list, &options())).unwrap();
        done.elements().iter().for_each(|e| e.error().unwrap());
    }

    /// Every committed record of a topic, partition by partition, as `(partition, record)`.
    pub fn read_all(&self, topic: &str) -> Vec<(i32, Record)> {
        let mut records = Vec::new();
        self.read_each(topic, |partition, record| records.push((partition, record)));
        records.sort_by_key(|(partition, record)| (*partition, record.offset));
        records
    }

    /// Takes every committed record of a topic, those of one partition in their order.
    pub fn read_each(&self, topic: &str, take: impl FnMut(i32, Record)) {
        self.read_as("read_committed", topic, take);
    }

    /// How many records a topic holds, those of aborted transactions included.
    pub fn count_uncommitted(&self, topic: &str) -> usize {
        let mut count = 0;
        self.read_as("read_uncommitted", topic, |_, _| count += 1);
        count
    }

    fn read_as(&self, isolation: &str, topic: &str, mut take: impl FnMut(i32, Record)) {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", Self::name("reader"))
            .set("isolation.level", isolation)
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        let partitions = Self::partitions(&consumer, topic);
        list.add_partition_range(topic, 0, partitions - 1);
        list.set_all_offsets(Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let (mut ended, mut reached, mut heard) = (BTreeSet::new(), BTreeMap::new(), Instant::now());
        while ended.len() < usize::try_from(partitions).unwrap() {
            // An event that is no record, such as the answer to a commit of offsets, ends a poll early.
            let Some(told) = consumer.poll(Duration::from_secs(1)) else {
                let (since, where_at) = (heard.elapsed(), (&ended, &reached));
                assert!(since < SILENCE_MAX, "nothing of {topic} for {since:?}, and not through: {where_at:?}");
                continue;
            };
            match told {
                Ok(message) => {
                    heard = Instant::now();
                    reached.insert(message.partition(), message.offset());
                    let headers = message.headers().map_or_else(Vec::new, |headers| {
                        headers
                            .iter()
                            .map(|h| Header { name: h.key.to_owned(), value: h.value.map(Box::from) })
                            .collect()
                    });
                    let record = Record {
                        offset: RecordOffset::new(message.offset()),
                        timestamp_ms: message.timestamp().to_millis(),
                        key: message.key().map(Box::from),
                        value: message.payload().map(Box::from),
                        headers,
                    };
                    take(message.partition(), record);
                }
                Err(KafkaError::PartitionEOF(partition)) => drop(ended.insert(partition)),
                // A connection that is lost on a busy machine is made again.
                Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::OperationTimedOut,
                )) => {}
                Err(error) => panic!("{error}"),
            }
        }
        close(&consumer);
    }

    /// A group's committed offsets in a topic, by partition.
    pub fn committed(&self, group: &str, topic: &str) -> BTreeMap<i32, i64> {
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", &self.brokers).set("group.id", group).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, Self::partitions(&consumer, topic) - 1);
        let found = consumer.committed_offsets(list, SILENCE_MAX).unwrap();
        close(&consumer);
        let elements = found.elements();
        let known = elements.iter().map(|element| (element.partition(), element.offset()));
        known.filter_map(|(partition, offset)| Some((partition, offset.to_raw().filter(|at| *at >= 0)?))).collect()
    }

    fn partitions(consumer: &BaseConsumer, topic: &str) -> i32 {
        let metadata = consumer.fetch_metadata(Some(topic), SILENCE_MAX).unwrap();
        i32::try_from(metadata.topics()[0].partitions().len()).unwrap()
    }

    /// One for all tests: it takes a tenth of a second to end.
    fn admin(&self) -> &AdminClient<DefaultClientContext> {
        self.admin.get_or_init(|| ClientConfig::new().set("bootstrap.servers", &self.brokers).create().unwrap())
    }
}

fn options() -> AdminOptions {
    let timeout = Some(Duration::from_secs(20));
    AdminOptions::new().request_timeout(timeout).operation_timeout(timeout)
}

fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/kafka.sh")
}

fn start(what: &str, options: &[&str]) -> Started {
    let script = script();
    let process = std::process::id().to_string();
    let name = format!("test-{process}-{what}");
    let ran = Command::new(&script)
        .args(["up", "--name", &name, "--until-exit", &process])
        .args(options)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{} does not run: {e}", script.display()))?;
    let words = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    let mut lines = told.lines().map(str::to_owned);
    let mut line = || lines.next().unwrap_or_default();
    match ran.status.code() {
        Some(0) => Ok(RealKafka { brokers: line(), secured: (line(), line()), name, admin: OnceLock::new() }),
        Some(3) => Err(words),
        _ => panic!("tests/kafka/kafka.sh up failed: {words}"),
    }
}
