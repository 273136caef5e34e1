//! Notes when this worker has been silent for so long that the group may have given its partitions away.
//!
//! A process that was stopped, or starved, goes on where it was: it must learn what time it is before it pushes anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;

use super::shared::Shared;
use crate::config;
use crate::sync::ports::Membership;

/// The group's patience where `session.timeout.ms` is not set.
const SESSION: Duration = Duration::from_secs(45);

/// When the consumer thread was last at work.
#[derive(Debug)]
pub(super) struct Silence {
    began: Instant,
    heard_ms: AtomicU64,
    limit_ms: u64,
    noted: AtomicBool,
}

impl Silence {
    pub(super) fn new(config: &config::Kafka) -> Self {
        let set = config.properties.get("session.timeout.ms");
        let session = set.and_then(|value| value.expose_secret().parse().ok()).map_or(SESSION, Duration::from_millis);
        let limit_ms = u64::try_from(session.as_millis() / 2).unwrap_or(u64::MAX);
        Self { began: Instant::now(), heard_ms: AtomicU64::new(0), limit_ms, noted: AtomicBool::new(false) }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn look(&self) -> bool {
        let silent = self.now_ms().saturating_sub(self.heard_ms.load(Ordering::Acquire)) > self.limit_ms;
        if silent {
            self.noted.store(true, Ordering::Release);
        }
        silent || self.noted.load(Ordering::Acquire)
    }

    /// The consumer thread is at work. A silence that ends here stays noted.
    pub(super) fn heard(&self) {
        self.look();
        self.heard_ms.store(self.now_ms(), Ordering::Release);
    }
}

/// Whether this worker can be sure of its partitions, for the engine.
#[derive(Clone, Debug)]
pub struct GroupMembership(pub(super) Arc<Shared>);

impl Membership for GroupMembership {
    fn is_in_doubt(&self) -> bool {
        self.0.silence.look()
    }

    fn take_up(&mut self) {
        self.0.silence.noted.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::kafka::client::tests::settings;

    #[test]
    fn a_silence_stays_noted_until_it_is_taken_up() {
        let mut config = settings("127.0.0.1:1");
        config.properties.insert("session.timeout.ms".to_owned(), SecretString::from("6000"));
        let mut silence = Silence::new(&config);
        assert_eq!(silence.limit_ms, 3000);
        silence.heard();
        assert!(!silence.look());
        silence.limit_ms = 0;
        std::thread::park_timeout(Duration::from_millis(5));
        silence.heard();
        silence.limit_ms = 3000;
        assert!(silence.look(), "it was over before anybody asked");
        silence.noted.store(false, Ordering::Release);
        assert!(!silence.look());
    }
}
