//! What happens between the worker and its brokers, topics included.

use tracing::{info, warn};

/// No broker can be reached.
#[derive(Debug)]
pub struct BrokerDown<'a> {
    /// The client's own words.
    pub error: &'a str,
}

impl BrokerDown<'_> {
    /// Says so. Emit it on the change, not on every poll.
    pub fn emit(self) {
        warn!(error = self.error, "no broker can be reached; waiting for one");
    }
}

/// Brokers answer (again).
#[derive(Debug)]
pub struct BrokerUp {
    /// How many brokers the cluster names.
    pub brokers: usize,
}

impl BrokerUp {
    /// Says so.
    pub fn emit(self) {
        info!(brokers = self.brokers, "brokers answer");
    }
}

/// A topic that is needed is not there.
#[derive(Debug)]
pub struct TopicMissing<'a> {
    /// Its name.
    pub topic: &'a str,
}

impl TopicMissing<'_> {
    /// Says so. Emit it on the change, not on every poll.
    pub fn emit(self) {
        warn!(topic = self.topic, "the topic is not there; waiting for it to be created");
    }
}

/// A topic that was missing is there.
#[derive(Debug)]
pub struct TopicFound<'a> {
    /// Its name.
    pub topic: &'a str,
    /// How many partitions it has.
    pub partitions: i32,
}

impl TopicFound<'_> {
    /// Says so.
    pub fn emit(self) {
        info!(topic = self.topic, partitions = self.partitions, "the topic is there");
    }
}

/// The worker created one of its own topics.
#[derive(Debug)]
pub struct TopicCreated<'a> {
    /// Its name.
    pub topic: &'a str,
    /// How many partitions it was given: the source's count.
    pub partitions: i32,
}

impl TopicCreated<'_> {
    /// Says so.
    pub fn emit(self) {
        info!(topic = self.topic, partitions = self.partitions, "created a topic of the worker's own");
    }
}

/// The worker cannot start to read yet.
#[derive(Debug)]
pub struct WaitingForKafka<'a> {
    /// What is missing, and what to do.
    pub reason: &'a str,
}

impl WaitingForKafka<'_> {
    /// Says so. Emit it on the change, not on every look.
    pub fn emit(self) {
        warn!(reason = self.reason, "waiting for Kafka");
    }
}
