//! `[kafka]`: where events come from, and what librdkafka is told. Which properties are refused is the Kafka room's
//! knowledge, not this one's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use secrecy::SecretString;

use super::Need;
use super::key::{Absent, Key, Kind, Section, Shape};
use super::origin::{Layer, Origin};
use super::properties::{self, Properties, Property};
use super::reader::Reader;
use crate::order::time;

/// `[kafka]`
#[derive(Clone, Debug)]
pub struct Kafka {
    /// `brokers`: bootstrap servers, `host:port` joined by commas.
    pub brokers: String,
    /// `group_id`
    pub group_id: String,
    /// `topics`: the source topics, at least one.
    pub topics: Vec<String>,
    /// `dead_letter_topic`, default `<group>.dead-letters`.
    pub dead_letter_topic: String,
    /// `changelog_topic`, default `<group>.changelog`.
    pub changelog_topic: String,
    /// `create_topics`: create the worker's own missing topics (true).
    pub create_topics: bool,
    /// `exactly_once`: commit by transactions, state in the changelog (true).
    pub exactly_once: bool,
    /// `revoke_timeout`: how long the last commit of partitions that are given back may take (10 s).
    pub revoke_timeout: Duration,
    /// `commit_interval`: at most one commit in this time (100 ms).
    pub commit_interval: Duration,
    /// `start_from`: where to start without a position (earliest).
    pub start_from: StartFrom,
    /// `properties` and `properties_file`, merged, passed through to librdkafka; passwords among them.
    pub properties: BTreeMap<String, SecretString>,
}

impl Kafka {
    /// The topic through which the group's workers share tokens.
    pub fn token_topic(&self) -> String {
        format!("{}.tokens", self.group_id)
    }

    /// The topic of operator commands.
    pub fn commands_topic(&self) -> String {
        format!("{}.commands", self.group_id)
    }
}

/// `kafka.start_from`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// The oldest record there is.
    Earliest,
    /// The end at the first assignment.
    Latest,
    /// The first record at or after this time, milliseconds since the epoch.
    Time(i64),
}

pub(super) const SECTION: Section = Section {
    path: "kafka",
    shape: Shape::Table,
    doc: "Where the order events come from.",
    keys: &[
        Key {
            name: "brokers",
            kind: Kind::CommaTexts,
            absent: Absent::FaultToRun("\"kafka-1:9092,kafka-2:9092\""),
            doc: "Bootstrap servers, host:port. Two or three are enough; the client learns the others.",
        },
        Key {
            name: "group_id",
            kind: Kind::Text,
            absent: Absent::FaultToRun("\"order-sync\""),
            doc: "The consumer group, and the beginning of the names of the worker's own topics. Never change it for a \
                  running installation: another group has no position and starts anew.",
        },
        Key {
            name: "topics",
            kind: Kind::Texts,
            absent: Absent::FaultToRun("[\"order-events\"]"),
            doc: "The topics with the order events. All events of one order must lie in one partition of one topic.",
        },
        Key {
            name: "dead_letter_topic",
            kind: Kind::Text,
            absent: Absent::Nothing("\"order-sync.dead-letters\""),
            doc: "Where events go that cannot be delivered. When left out: the group's name and `.dead-letters`.",
        },
        Key {
            name: "changelog_topic",
            kind: Kind::Text,
            absent: Absent::Nothing("\"order-sync.changelog\""),
            doc: "Where state lives with exactly_once: compacted, with the partition count of the source topics. When left \
                  out: the group's name and `.changelog`. To change it later takes `order-sync store rebase`.",
        },
        Key {
            name: "create_topics",
            kind: Kind::Switch,
            absent: Absent::Default("true"),
            doc: "Create the worker's own topics when they are missing, with the source's partition count. Set it to \
                  false where topics are made by somebody else; the worker then names the command and stops.",
        },
        Key {
            name: "exactly_once",
            kind: Kind::Switch,
            absent: Absent::Default("true"),
            doc: "Commit by Kafka transactions: states, owed deliveries, dead letters and offsets go to Kafka at once or not \
                  at all, the store is a cache that may be lost, and any number of workers of one group share the partitions. \
                  Needs brokers with transactions, and the rights for them. Set it to false for brokers without: the store is \
                  the only copy then, and one worker runs per group. A group that has run with one cannot be run with the \
                  other.",
        },
        Key {
            name: "revoke_timeout",
            kind: Kind::Span(Duration::from_millis(100), Duration::from_secs(120)),
            absent: Absent::Default("\"10s\""),
            doc: "How long the last commit of partitions that the group takes back may take. What is not committed by then is \
                  dropped, and the next owner repeats it identically.",
        },
        Key {
            name: "commit_interval",
            kind: Kind::Span(Duration::from_millis(1), Duration::from_secs(10)),
            absent: Absent::Default("\"100ms\""),
            doc: "The shortest time between two commits. Nothing is pushed before its commit: longer means fewer disk \
                  flushes and a later push.",
        },
        Key {
            name: "start_from",
            kind: Kind::Start,
            absent: Absent::Default("\"earliest\""),
            doc: "Where a partition starts that has no position yet: \"earliest\", \"latest\", or a time as RFC 3339 or \
                  13-digit milliseconds.",
        },
        Key {
            name: "properties_file",
            kind: Kind::Text,
            absent: Absent::Nothing("\"/run/secrets/kafka.properties\""),
            doc: "A file of name=value lines for librdkafka, for passwords that shall not stand here. `properties` wins \
                  where both name a property.",
        },
        Key {
            name: "properties",
            kind: Kind::Properties,
            absent: Absent::Nothing(
                "{ \"security.protocol\" = \"SASL_SSL\", \"sasl.mechanism\" = \"SCRAM-SHA-512\", \"sasl.username\" = \"order-sync\" }",
            ),
            doc: "librdkafka properties, also as a table [kafka.properties]: TLS, SASL, session.timeout.ms and the like. \
                  partition.assignment.strategy is cooperative-sticky; range, roundrobin and group.protocol = \
                  \"consumer\" work too. Those that would break the worker's promises (acks, enable.auto.commit, \
                  group.id, …) are refused: docs/configuration.md names each, and why.",
        },
    ],
};

/// Reads `[kafka]`.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Kafka {
    let brokers = brokers(reader);
    let group_id = reader.text("group_id");
    let topics = topics(reader);
    let given = all_properties(reader);
    let kafka = Kafka {
        brokers,
        dead_letter_topic: own_topic(reader, "dead_letter_topic", ".dead-letters", &group_id),
        changelog_topic: own_topic(reader, "changelog_topic", ".changelog", &group_id),
        group_id,
        topics,
        create_topics: reader.switch("create_topics"),
        exactly_once: reader.switch("exactly_once"),
        revoke_timeout: reader.span("revoke_timeout"),
        commit_interval: reader.span("commit_interval"),
        start_from: start_from(reader),
        properties: plain(&given),
    };
    // Mapping needs no Kafka, and what its clients need may lie on another machine.
    if matches!(reader.context.need, Need::Run | Need::Inspect) {
        for (name, what) in (reader.context.judge_kafka)(&kafka) {
            tell(reader, &given, name.as_deref(), what);
        }
    }
    kafka
}

fn brokers(reader: &mut Reader<'_, '_>) -> String {
    let brokers = reader.texts("brokers");
    if brokers.is_empty() && reader.given("brokers") && !reader.faulty("brokers") {
        reader.fault("brokers", "names no broker; write host:port");
    }
    for broker in &brokers {
        let port =
            broker.rsplit_once(':').map(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0));
        if port == Some(false) || broker.contains(char::is_whitespace) {
            reader.fault("brokers", format!("\"{broker}\" is no broker; write host:port, for example kafka-1:9092"));
        }
    }
    brokers.join(",")
}

fn topics(reader: &mut Reader<'_, '_>) -> Vec<String> {
    let topics = reader.texts("topics");
    if topics.is_empty() && reader.given("topics") && !reader.faulty("topics") {
        reader.fault("topics", "is empty; name at least one topic");
    }
    let mut seen = BTreeSet::new();
    for topic in &topics {
        if !is_topic(topic) {
            reader.fault("topics", format!("\"{topic}\" is no topic name; {TOPIC_RULE}"));
        } else if !seen.insert(topic) {
            reader.fault("topics", format!("\"{topic}\" stands there twice; name it once"));
        }
    }
    topics
}

/// A topic of the worker's own: as given, or the group's name and `suffix`. That none is another one is `topic_names`'
/// business.
fn own_topic(reader: &mut Reader<'_, '_>, key: &'static str, suffix: &str, group_id: &str) -> String {
    let given = reader.maybe_text(key);
    let topic = given.clone().unwrap_or_else(|| format!("{group_id}{suffix}"));
    if !is_topic(&topic) && given.is_some() {
        reader.fault(key, format!("\"{topic}\" is no topic name; {TOPIC_RULE}"));
    } else if !is_topic(&topic) && !group_id.is_empty() {
        reader.fault(
            key,
            format!(
                "\"{topic}\", made from kafka.group_id, is no topic name; set {key}, or another group_id; {TOPIC_RULE}"
            ),
        );
    }
    topic
}

pub(super) const TOPIC_RULE: &str = "1 to 249 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`";

pub(super) fn is_topic(name: &str) -> bool {
    let character = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=249).contains(&name.len()) && name.chars().all(character) && name != "." && name != ".."
}

fn start_from(reader: &mut Reader<'_, '_>) -> StartFrom {
    let text = reader.text("start_from");
    match text.as_str() {
        "earliest" | "" => return StartFrom::Earliest,
        "latest" => return StartFrom::Latest,
        _ => {}
    }
    let millis = text.parse::<i64>().ok().filter(|millis| (1_000_000_000_000..=9_999_999_999_999).contains(millis));
    let Some(millis) = millis.or_else(|| time::from_rfc3339(&text).map(|time| time.0)) else {
        reader.fault(
            "start_from",
            format!("\"{text}\" is neither \"earliest\" nor \"latest\" nor a time; write 2024-05-01T00:00:00+08:00 or 13-digit milliseconds"),
        );
        return StartFrom::Earliest;
    };
    StartFrom::Time(millis)
}

/// Both sources merged, and every fault of a property told where that property stands.
fn all_properties(reader: &mut Reader<'_, '_>) -> Properties {
    let mut merged = properties_file(reader);
    merged.extend(reader.properties("properties"));
    for (name, what) in (reader.context.judge_properties)(&plain(&merged)) {
        tell(reader, &merged, Some(&name), what);
    }
    merged
}

fn plain(given: &Properties) -> BTreeMap<String, SecretString> {
    given.iter().map(|(name, property)| (name.clone(), property.value.clone())).collect()
}

/// Tells a fault where the property stands that it is of, or where the properties do.
fn tell(reader: &mut Reader<'_, '_>, given: &Properties, name: Option<&str>, what: String) {
    let Some((name, Property { origin, .. })) = name.and_then(|name| Some((name, given.get(name)?))) else {
        let from_file = reader.given("properties_file") && !reader.given("properties");
        return reader.fault(if from_file { "properties_file" } else { "properties" }, what);
    };
    let path = if origin.layer == Layer::Named { name.to_owned() } else { format!("kafka.properties.{name}") };
    reader.context.findings.fault(origin, path, what);
}

fn properties_file(reader: &mut Reader<'_, '_>) -> Properties {
    let Some(path) = reader.path("properties_file") else { return Properties::new() };
    let Some(text) = reader.file("properties_file", &path) else { return Properties::new() };
    let file = Origin::new(Layer::Named, path.display().to_string());
    properties::parse(&text, &file, &mut reader.context.findings)
}
