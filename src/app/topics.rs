//! Before the worker reads: the topics it needs are looked up and waited for, and its own is made.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::config;
use crate::kafka::topics::{Ensured, Topics};
use crate::sync::ports::PortError;
use crate::telemetry::event;

/// The first wait between two looks.
const WAIT_MIN: Duration = Duration::from_millis(200);
/// The longest wait between two looks.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How often a stop is looked for while waiting.
const STOP_LOOK: Duration = Duration::from_millis(50);

/// How the preparation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// The topics are there.
    Ready,
    /// The worker was told to stop first.
    Stopped,
}

/// Waits until every source topic is there, and makes the dead-letter topic where it is missing and may be made.
/// `say` is told what is waited for, once per change.
pub fn prepare(config: &config::Kafka, stop: &CancellationToken, say: &dyn Fn(&str)) -> Result<Prepared, PortError> {
    let topics = Topics::connect(config)?;
    let (mut wait, mut told) = (WAIT_MIN, String::new());
    while !stop.is_cancelled() {
        match topics.ensure_dead_letters(config) {
            Ok(Ensured::Present(_)) => return Ok(Prepared::Ready),
            Ok(Ensured::Created(partitions)) => {
                event::TopicCreated { topic: &config.dead_letter_topic, partitions }.emit();
                return Ok(Prepared::Ready);
            }
            Err(PortError::Passing(words)) => {
                if words != told {
                    event::WaitingForKafka { reason: &words }.emit();
                    say(&format!("waiting for Kafka: {words}"));
                    told = words;
                }
                pause(wait, stop);
                wait = (wait * 2).min(WAIT_MAX);
            }
            Err(error @ PortError::Fatal(_)) => return Err(error),
        }
    }
    Ok(Prepared::Stopped)
}

fn pause(wait: Duration, stop: &CancellationToken) {
    let began = Instant::now();
    while began.elapsed() < wait && !stop.is_cancelled() {
        std::thread::park_timeout(STOP_LOOK);
    }
}
