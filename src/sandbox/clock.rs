//! The sandbox's time: the machine's, plus what a test or an operator moved it ahead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tokens, outages and history go by this clock; delays of answers go by the machine's.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    started_unix_ms: u64,
    ahead_ms: AtomicU64,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the sandbox is an edge; it reads the wall clock once")]
    pub(super) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_unix_ms: millis(since_epoch), ahead_ms: AtomicU64::new(0) }
    }

    /// Milliseconds since the Unix epoch; never goes back.
    pub(super) fn now_ms(&self) -> u64 {
        self.started_unix_ms + millis(self.started.elapsed()) + self.ahead_ms.load(Ordering::Relaxed)
    }

    /// Moves the clock ahead.
    pub(super) fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(millis(by), Ordering::Relaxed);
    }
}

/// Whole milliseconds, at most a hundred years, so that sums stay far from overflow.
pub(super) fn millis(duration: Duration) -> u64 {
    const CENTURY_MS: u64 = 100 * 366 * 24 * 3600 * 1000;
    u64::try_from(duration.as_millis()).unwrap_or(CENTURY_MS).min(CENTURY_MS)
}
