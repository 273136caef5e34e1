//! The worker's own life: start and end.

use std::time::Duration;

use tracing::{error, info, warn};

/// The worker runs.
#[derive(Debug)]
pub struct WorkerStarted<'a> {
    /// The consumer group.
    pub group_id: &'a str,
    /// The source topics.
    pub topics: &'a [String],
    /// How many apps it serves.
    pub apps: usize,
    /// Where the platform is: the base URL, which holds no secret.
    pub platform: &'a str,
}

impl WorkerStarted<'_> {
    /// Says so.
    pub fn emit(self) {
        info!(
            version = env!("CARGO_PKG_VERSION"),
            group_id = self.group_id,
            topics = self.topics.join(","),
            apps = self.apps,
            platform = self.platform,
            "the worker has started"
        );
    }
}

/// Shutdown has begun: no new records, no new attempts.
#[derive(Debug)]
pub struct ShutdownStarted<'a> {
    /// What asked for it (`SIGTERM`, `caught up`, …).
    pub cause: &'a str,
    /// How long draining may take.
    pub deadline: Duration,
}

impl ShutdownStarted<'_> {
    /// Says so.
    pub fn emit(self) {
        info!(cause = self.cause, deadline_seconds = self.deadline.as_secs(), "draining");
    }
}

/// Shutdown has ended.
#[derive(Debug)]
pub struct ShutdownFinished {
    /// Attempts without an answer at the deadline; they are repeated identically after the next start.
    pub abandoned_attempts: usize,
    /// Partitions with results that were not committed; their records are read again.
    pub uncommitted_partitions: usize,
    /// Deliveries that are committed and wait for the next start.
    pub owed: usize,
}

impl ShutdownFinished {
    /// Says so. WARN where something is abandoned.
    pub fn emit(self) {
        if self.abandoned_attempts == 0 && self.uncommitted_partitions == 0 {
            info!(owed = self.owed, "drained; the worker stops");
        } else {
            warn!(
                abandoned_attempts = self.abandoned_attempts,
                uncommitted_partitions = self.uncommitted_partitions,
                owed = self.owed,
                "the worker stops before all was drained; the rest is repeated, by the next owner or after the next start"
            );
        }
    }
}

/// The worker cannot go on.
#[derive(Debug)]
pub struct WorkerFailed<'a> {
    /// Why, with its causes, and what to do.
    pub error: &'a str,
}

impl WorkerFailed<'_> {
    /// Says so.
    pub fn emit(self) {
        error!(error = self.error, "the worker cannot go on and stops");
    }
}
