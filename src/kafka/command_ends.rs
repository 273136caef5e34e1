//! Whether somebody answers for every partition of the commands topic that is read: of one node that is away while others are
//! there, the client library says nothing.

use std::time::{Duration, Instant};

use rdkafka::consumer::BaseConsumer;

use super::chatter::Chatter;
use super::consumer::lookup;
use super::failure::describe;
use super::status::{Problem, Status};
use crate::record::TopicPartition;
use crate::sync::followers::Followers;

/// How often it is asked. A partition gets another leader within seconds, where it can: only what fails twice is told.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Asks now and then.
pub(super) struct EndsWatch {
    next: Instant,
    failed: bool,
}

impl EndsWatch {
    pub(super) fn new() -> Self {
        Self { next: Instant::now() + LOOK_EVERY, failed: false }
    }

    /// Asks for the ends of what is followed, where it is time; bounded by a few seconds.
    pub(super) fn look(
        &mut self,
        consumer: &BaseConsumer<Chatter>,
        topic: &str,
        followers: &Followers,
        status: &Status,
    ) {
        // Where nobody answers at all, that is told.
        if Instant::now() < self.next || status.stands(&Problem::Brokers) {
            return;
        }
        let partitions = followers.places().into_keys();
        let places: Vec<TopicPartition> = partitions.map(|partition| TopicPartition::new(topic, partition)).collect();
        let asked = if places.is_empty() { Ok(()) } else { lookup::ends(consumer, &places).map(drop) };
        let problem = Problem::Partition(topic.to_owned());
        let failed_before = std::mem::replace(&mut self.failed, asked.is_err());
        match asked {
            Ok(()) => status.clear(&problem),
            Err(error) if failed_before => {
                let why = describe(&error);
                status.raise(problem, format!("nobody answers for a partition of {topic}; its commands wait: {why}"));
            }
            Err(_) => {}
        }
        self.next = Instant::now() + LOOK_EVERY;
    }
}
