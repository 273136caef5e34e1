//! The worker's own life: start, store, refusal of a request, end.

use std::path::Path;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use crate::order::AppId;

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

/// The store is open.
#[derive(Debug)]
pub struct StoreOpened<'a> {
    /// Its directory.
    pub path: &'a Path,
    /// How many partitions it knows.
    pub partitions: usize,
    /// How long opening took.
    pub took: Duration,
}

impl StoreOpened<'_> {
    /// Says so.
    pub fn emit(self) {
        info!(
            path = %self.path.display(),
            partitions = self.partitions,
            took_ms = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "the store is open"
        );
    }
}

/// The platform refused one request for good. Its answer stands in the dead letter, never in the log: it may quote
/// what was sent.
#[derive(Debug)]
pub struct RequestRejected<'a> {
    /// The app.
    pub app_id: &'a AppId,
    /// The order.
    pub order_id: &'a str,
    /// The stamp.
    pub update_time: i64,
    /// The rule of the outcome table that says so.
    pub rule: &'a str,
    /// The platform's code.
    pub err_code: Option<i64>,
}

impl RequestRejected<'_> {
    /// Says so, quietly: its dead letter is the louder event.
    pub fn emit(self) {
        debug!(
            app_id = %self.app_id,
            order_id = self.order_id,
            update_time = self.update_time,
            rule = self.rule,
            err_code = self.err_code,
            "the platform rejected a push"
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
    /// Records that were read and not committed; they are read again.
    pub dropped_records: usize,
    /// Deliveries that are committed and wait for the next start.
    pub owed: usize,
}

impl ShutdownFinished {
    /// Says so. WARN where something is abandoned.
    pub fn emit(self) {
        if self.abandoned_attempts == 0 && self.dropped_records == 0 {
            info!(owed = self.owed, "drained; the worker stops");
        } else {
            warn!(
                abandoned_attempts = self.abandoned_attempts,
                dropped_records = self.dropped_records,
                owed = self.owed,
                "the time for draining is over; the rest is repeated after the next start"
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
