//! What happens between the worker and its brokers, topics included.

use tracing::{error, info, warn};

use crate::telemetry::Meters;

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

/// The dead-letter topic is another than this worker has written to: what was in it before is gone.
#[derive(Debug)]
pub struct LettersLost<'a> {
    /// Its name.
    pub topic: &'a str,
    /// The partition that told.
    pub partition: i32,
    /// How far it was known to reach.
    pub known: i64,
    /// Where a letter was written now.
    pub written: i64,
}

impl LettersLost<'_> {
    /// Says so and counts it. Emit it once for each time.
    pub fn emit(self, meters: &Meters) {
        meters.letters_lost();
        let Self { topic, partition, known, written } = self;
        error!(
            topic,
            partition,
            known,
            written,
            "the dead-letter topic was deleted and created again, or has lost its end, under this worker: a letter was written \
             below those that it wrote before. The worker goes on; letters written before now are gone. `order-sync verify` \
             names them (letter_missing), and `order-sync dead-letters import` writes those of a copy again"
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
