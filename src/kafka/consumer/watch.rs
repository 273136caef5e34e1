//! Watches the brokers and the source topics: says once what is missing, waits, and says when it is there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;

use super::lookup;
use super::worker::{Ended, Worker};
use crate::kafka::failure::describe;
use crate::kafka::status::Problem;
use crate::record::TopicPartition;
use crate::sync::ports::Input;
use crate::sync::position;

/// How often the brokers are asked while something is amiss.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How often the ends of the partitions are asked for, for the lag.
const ENDS_EVERY: Duration = Duration::from_secs(5);

/// How often positions go behind what nobody reads: what a stop comes before may be refused after a long rest.
const PASS_EVERY: Duration = Duration::from_secs(1);

/// When to ask what.
pub(super) struct Watch {
    subscribed: Vec<String>,
    suspicious: bool,
    probe_at: Instant,
    ends_at: Instant,
    pass_at: Instant,
    /// How many partitions each topic had when it was first looked at.
    counts: BTreeMap<String, i32>,
}

/// What the question for a topic's partitions came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Unchanged,
    /// Another number than before; the engine has been told.
    Grown,
    /// Nobody answered.
    Unknown,
}

impl Watch {
    pub(super) fn new(now: Instant) -> Self {
        let (subscribed, counts) = (Vec::new(), BTreeMap::new());
        Self {
            subscribed,
            suspicious: true,
            probe_at: now,
            ends_at: now + ENDS_EVERY,
            pass_at: now + PASS_EVERY,
            counts,
        }
    }

    /// How many partitions the topics have that we have subscribed to.
    pub(super) fn partitions(&self) -> usize {
        let counts = self.subscribed.iter().filter_map(|topic| self.counts.get(topic));
        counts.map(|count| usize::try_from(*count).unwrap_or_default()).sum()
    }

    /// How many partitions the topic had when it was first looked at.
    pub(super) fn count(&self, topic: &str) -> Option<i32> {
        self.counts.get(topic).copied()
    }

    /// Something went wrong somewhere: look at the brokers and topics.
    pub(super) fn suspect(&mut self) {
        self.suspicious = true;
    }
}

impl Worker {
    pub(super) fn watch_brokers(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        let amiss = self.watch.suspicious || self.status.stands(&Problem::Brokers);
        if amiss && now >= self.watch.probe_at {
            self.probe();
            self.watch.probe_at = Instant::now() + PROBE_EVERY;
        }
        if now >= self.watch.ends_at && !self.status.stands(&Problem::Brokers) {
            self.report_ends()?;
            self.watch.ends_at = Instant::now() + ENDS_EVERY;
        }
        if now >= self.watch.pass_at {
            self.pass_unread_by_anyone()?;
            self.watch.pass_at = now + PASS_EVERY;
        }
        Ok(())
    }

    /// Asks for every source topic; subscribes to those that are there.
    fn probe(&mut self) {
        let mut there = Vec::new();
        for topic in &self.topics {
            let problem = Problem::Topic(topic.clone());
            match lookup::partition_count(self.consumer.client(), topic) {
                Ok(Some(count)) => {
                    self.watch.counts.entry(topic.clone()).or_insert(count);
                    self.status.clear(&Problem::Brokers);
                    self.status.clear(&problem);
                    there.push(topic.clone());
                }
                Ok(None) => {
                    self.status.clear(&Problem::Brokers);
                    self.status.raise(problem, format!("topic {topic} does not exist; waiting for it to be created"));
                }
                Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                    let words = format!("topic {topic} may not be read: grant this user Read and Describe on it");
                    self.status.raise(problem, words);
                }
                Err(error) => {
                    if !self.status.stands(&Problem::Brokers) {
                        let words = format!("no broker answers: {}; see kafka.brokers", describe(&error));
                        self.status.raise(Problem::Brokers, words);
                    }
                    return;
                }
            }
        }
        self.watch.suspicious = there.len() < self.topics.len();
        self.subscribe(there);
    }

    fn subscribe(&mut self, mut there: Vec<String>) {
        // A topic that is away for a moment keeps its place: unsubscribing would move every partition.
        there.extend(self.watch.subscribed.iter().filter(|t| !there.contains(*t)).cloned().collect::<Vec<_>>());
        there.sort_unstable();
        if there == self.watch.subscribed {
            return;
        }
        let names: Vec<&str> = there.iter().map(String::as_str).collect();
        match self.consumer.subscribe(&names) {
            Ok(()) => {
                tracing::info!(topics = %there.join(", "), "joining the group");
                self.watch.subscribed = there;
            }
            Err(error) => {
                self.watch.suspicious = true;
                tracing::warn!(%error, "could not subscribe");
            }
        }
    }

    /// A topic that has grown keys its orders to other partitions: what is folded there would begin without the states that
    /// lie here. The worker stops before that; where keys tell of it (`keying`), sooner than these questions do.
    fn watch_growth(&mut self) -> Result<(), Ended> {
        for topic in self.topics.clone() {
            match self.count_partitions(&topic)? {
                Counted::Grown => break,
                Counted::Unchanged | Counted::Unknown => {}
            }
        }
        Ok(())
    }

    /// Asks how many partitions a topic has; another number than before stops the worker.
    pub(super) fn count_partitions(&mut self, topic: &str) -> Result<Counted, Ended> {
        // No answer is no growth; the ends, asked with it, say that nobody answers.
        let Ok(Some(count)) = lookup::partition_count(self.consumer.client(), topic) else {
            return Ok(Counted::Unknown);
        };
        self.hold_count(topic, count)
    }

    /// Holds an answer against the number that was seen first.
    pub(super) fn hold_count(&mut self, topic: &str, count: i32) -> Result<Counted, Ended> {
        let known = *self.watch.counts.entry(topic.to_owned()).or_insert(count);
        if count == known {
            return Ok(Counted::Unchanged);
        }
        self.give_up_topic(topic, position::grown(topic, known, count))?;
        Ok(Counted::Grown)
    }

    fn report_ends(&mut self) -> Result<(), Ended> {
        let sources: Vec<TopicPartition> = self.reading().map(|(source, _)| source.clone()).collect();
        if sources.is_empty() {
            return Ok(());
        }
        self.watch_growth()?;
        self.look_for_removed(&self.held_back());
        match lookup::ends(&self.consumer, &sources) {
            Ok(ends) => {
                for (source, high_watermark) in ends {
                    self.status.clear(&Problem::Partition(source.to_string()));
                    self.tell(Input::HighWatermark { source, high_watermark })?;
                }
            }
            Err(error) => {
                tracing::debug!(error = %describe(&error), "the partitions' ends are unknown just now");
                self.watch.suspect();
            }
        }
        Ok(())
    }
}
