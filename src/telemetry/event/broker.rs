//! What happens between the worker and its brokers, topics included.

use tracing::{info, warn};

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

/// A topic of the worker's own has a setting that costs something, or its settings cannot be looked at.
#[derive(Debug)]
pub struct TopicFitsBadly<'a> {
    /// Its name.
    pub topic: &'a str,
    /// What it is, and what to do.
    pub words: &'a str,
}

impl TopicFitsBadly<'_> {
    /// Says so. Emit it once.
    pub fn emit(self) {
        warn!(
            topic = self.topic,
            found = self.words,
            "a topic of the worker's own does not fit; see order-sync topics check"
        );
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
