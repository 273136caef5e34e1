//! Wakes the consumer thread: rung by librdkafka when a queue fills, and by the engine when it wants something.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A ring is remembered until somebody waits.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    waiting: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.waiting.notify_one();
    }

    /// Returns at once when it has been rung since the last wait, and after `longest` at the latest.
    pub(super) fn wait(&self, longest: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.waiting.wait_timeout_while(rung, longest, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}
