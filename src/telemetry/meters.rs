//! The meters of the worker: cheap clones over cached handles, so that counting a record costs an atomic add.
//!
//! What has a log line, too, is counted by its event (`telemetry::event`), and by nothing else.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

use super::command_meters::CommandMeters;
use super::event::TokenResult;
use super::lag::Lag;
use super::metric;
use super::registry::{Cache, Registry, as_f64};
use super::store_meters::StoreMeters;
use crate::order::AppId;
use crate::record::TopicPartition;

/// How many histogram samples may wait unsorted; 8 bytes each. Bounds the recorder's memory whoever scrapes it.
const SAMPLES_BETWEEN_FOLDS: u64 = 4096;

/// What became of a record, in the words of §9 of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Folded, and its push was accepted.
    Delivered,
    /// Folded; nothing that is sent has changed.
    Unchanged,
    /// Seen before.
    Duplicate,
    /// Older than what was applied.
    Stale,
    /// Set aside.
    DeadLetter,
    /// No value.
    Tombstone,
}

impl Outcome {
    /// All outcomes, in the order of the contract.
    pub const ALL: [Self; 6] =
        [Self::Delivered, Self::Unchanged, Self::Duplicate, Self::Stale, Self::DeadLetter, Self::Tombstone];

    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Unchanged => "unchanged",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::DeadLetter => "dead_letter",
            Self::Tombstone => "tombstone",
        }
    }
}

/// Why intake is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntakeLimit {
    /// `delivery.max_owed` deliveries are owed.
    Owed,
    /// `delivery.max_buffered_bytes` are in memory.
    Bytes,
}

impl IntakeLimit {
    /// The word in log and metric.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owed => "owed",
            Self::Bytes => "bytes",
        }
    }
}

/// What an app's deliveries do: the value of `order_sync_circuit_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// Deliveries run.
    Closed,
    /// The platform is being tried.
    HalfOpen,
    /// An outage is being waited for.
    Open,
    /// A person must act.
    Suspended,
}

impl CircuitState {
    const fn value(self) -> f64 {
        match self {
            Self::Closed => 0.0,
            Self::HalfOpen => 1.0,
            Self::Open => 2.0,
            Self::Suspended => 3.0,
        }
    }
}

/// The result of a commit, counted as two series.
struct Pair {
    good: Counter,
    bad: Counter,
}

struct Topic {
    records: [Counter; 6],
    key_mismatch: Counter,
}

struct App {
    attempts: Cache<Counter>,
    owed: Gauge,
    tokens: [Counter; 3],
    circuit: Gauge,
}

pub(super) struct Inner {
    pub(super) registry: Registry,
    lag: Lag,
    topics: Cache<Topic>,
    apps: Cache<App>,
    dead_letters: Cache<Counter>,
    text_cut: Cache<Counter>,
    push_seconds: Histogram,
    event_to_accepted: Histogram,
    commit_seconds: Histogram,
    commits: Pair,
    committed_records: Counter,
    unusual: Counter,
    long_rules: Counter,
    letters_lost: Counter,
    in_flight: Gauge,
    oldest_undelivered: Gauge,
    buffered_bytes: Gauge,
    intake_paused: [Gauge; 2],
    store: StoreMeters,
    pub(super) commands: CommandMeters,
    partitions: [Gauge; 3],
    samples: AtomicU64,
}

/// Counts what the worker does. A clone counts into the same series.
#[derive(Clone)]
pub struct Meters {
    pub(super) inner: Arc<Inner>,
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meters")
    }
}

impl Default for Meters {
    fn default() -> Self {
        Self::new()
    }
}

impl Meters {
    /// Meters with series of their own; the series without labels stand at 0 from the start.
    pub fn new() -> Self {
        let registry = Registry::new();
        registry.gauge(&metric::BUILD, &[env!("CARGO_PKG_VERSION")]).set(1.0);
        let commits = |result| registry.counter(&metric::COMMITS, &[result]);
        let paused = |limit: IntakeLimit| registry.gauge(&metric::INTAKE_PAUSED, &[limit.as_str()]);
        let inner = Inner {
            lag: Lag::default(),
            topics: Cache::default(),
            apps: Cache::default(),
            dead_letters: Cache::default(),
            text_cut: Cache::default(),
            push_seconds: registry.histogram(&metric::PUSH_SECONDS),
            event_to_accepted: registry.histogram(&metric::EVENT_TO_ACCEPTED),
            commit_seconds: registry.histogram(&metric::COMMIT_SECONDS),
            commits: Pair { good: commits("ok"), bad: commits("failed") },
            committed_records: registry.counter(&metric::COMMITTED_RECORDS, &[]),
            unusual: registry.counter(&metric::UNUSUAL, &[]),
            long_rules: registry.counter(&metric::LONG_RULES, &[]),
            letters_lost: registry.counter(&metric::LETTERS_LOST, &[]),
            in_flight: registry.gauge(&metric::IN_FLIGHT, &[]),
            oldest_undelivered: registry.gauge(&metric::OLDEST_UNDELIVERED, &[]),
            buffered_bytes: registry.gauge(&metric::BUFFERED_BYTES, &[]),
            intake_paused: [paused(IntakeLimit::Owed), paused(IntakeLimit::Bytes)],
            store: StoreMeters::new(&registry),
            commands: CommandMeters::default(),
            partitions: ["restoring", "running", "leaving"].map(|s| registry.gauge(&metric::PARTITIONS, &[s])),
            samples: AtomicU64::new(0),
            registry,
        };
        let meters = Self { inner: Arc::new(inner) };
        for field in metric::TEXT_FIELDS {
            meters.text_cuts(field);
        }
        meters
    }

    /// Every series in Prometheus' text form, version 0.0.4.
    pub fn render(&self) -> String {
        let mut text = self.inner.registry.render();
        self.inner.lag.render(&mut text);
        text
    }

    /// `n` records of `topic` came to `outcome`, and that is committed.
    pub fn records(&self, topic: &str, outcome: Outcome, n: u64) {
        self.topic(topic).records[outcome as usize].increment(n);
    }

    /// A record's key is not its order id.
    pub fn key_mismatch(&self, topic: &str) {
        self.topic(topic).key_mismatch.increment(1);
    }

    /// An attempt has ended; `verdict` is the verdict's word.
    pub fn attempt(&self, app_id: &AppId, verdict: &'static str, latency: Duration) {
        let make = || self.inner.registry.counter(&metric::PUSH_ATTEMPTS, &[app_id.as_str(), verdict]);
        self.app(app_id).attempts.get(verdict, make).increment(1);
        self.sample(&self.inner.push_seconds, latency);
    }

    /// `n` attempts are under way.
    pub fn in_flight(&self, n: usize) {
        self.inner.in_flight.set(as_f64(n));
    }

    /// The app owes `n` deliveries.
    pub fn owed(&self, app_id: &AppId, n: usize) {
        self.app(app_id).owed.set(as_f64(n));
    }

    /// How far the partition's position is behind the broker's end; `None` when it is no longer ours.
    pub fn lag(&self, source: &TopicPartition, records: Option<u64>) {
        self.inner.lag.set(source, records);
    }

    /// A backward step of a status was folded.
    pub fn unusual_transition(&self) {
        self.inner.unusual.increment(1);
    }

    /// A person-read text was cut to fit.
    pub fn text_cut(&self, field: &str) {
        self.text_cuts(field).increment(1);
    }

    fn text_cuts(&self, field: &str) -> Arc<Counter> {
        self.inner.text_cut.get(field, || self.inner.registry.counter(&metric::TEXT_CUT, &[field]))
    }

    /// `n` voucher rules over the documented length were sent as they are.
    pub fn long_rules(&self, n: u64) {
        self.inner.long_rules.increment(n);
    }

    /// The dead-letter topic is another than before.
    pub fn letters_lost(&self) {
        self.inner.letters_lost.increment(1);
    }

    /// A push was accepted this long after its record's timestamp.
    pub fn accepted(&self, since_record: Duration) {
        self.sample(&self.inner.event_to_accepted, since_record);
    }

    /// The oldest delivery owed is this old; zero when nothing is owed.
    pub fn oldest_undelivered(&self, age: Duration) {
        self.inner.oldest_undelivered.set(age.as_secs_f64());
    }

    /// Memory of what is not yet committed.
    pub fn buffered_bytes(&self, n: usize) {
        self.inner.buffered_bytes.set(as_f64(n));
    }

    /// A commit of `records` records has succeeded. (One that failed is [`super::event::CommitFailed`].)
    pub fn committed(&self, took: Duration, records: u64) {
        self.inner.commits.good.increment(1);
        self.inner.committed_records.increment(records);
        self.sample(&self.inner.commit_seconds, took);
    }

    /// Partitions that are restoring, running and leaving.
    pub fn partitions(&self, counts: [usize; 3]) {
        self.inner.partitions.iter().zip(counts).for_each(|(gauge, n)| gauge.set(as_f64(n)));
    }

    /// The meters of what is stored.
    pub fn store(&self) -> &StoreMeters {
        &self.inner.store
    }

    pub(super) fn commit_failed(&self) {
        self.inner.commits.bad.increment(1);
    }

    pub(super) fn dead_letter(&self, reason: &str) {
        let make = || self.inner.registry.counter(&metric::DEAD_LETTERS, &[reason]);
        self.inner.dead_letters.get(reason, make).increment(1);
    }

    pub(super) fn token(&self, app_id: &AppId, result: TokenResult) {
        self.app(app_id).tokens[result as usize].increment(1);
    }

    pub(super) fn circuit(&self, app_id: &AppId, state: CircuitState) {
        self.app(app_id).circuit.set(state.value());
    }

    pub(super) fn intake_paused(&self, limit: IntakeLimit) {
        self.inner.intake_paused[limit as usize].set(1.0);
    }

    pub(super) fn intake_resumed(&self, limit: IntakeLimit) {
        self.inner.intake_paused[limit as usize].set(0.0);
    }

    fn topic(&self, topic: &str) -> Arc<Topic> {
        let registry = &self.inner.registry;
        self.inner.topics.get(topic, || Topic {
            records: Outcome::ALL.map(|outcome| registry.counter(&metric::RECORDS, &[topic, outcome.as_str()])),
            key_mismatch: registry.counter(&metric::KEY_MISMATCH, &[topic]),
        })
    }

    fn app(&self, app_id: &AppId) -> Arc<App> {
        let (registry, id) = (&self.inner.registry, app_id.as_str());
        let tokens = |result| registry.counter(&metric::TOKENS, &[id, result]);
        self.inner.apps.get(id, || App {
            attempts: Cache::default(),
            owed: registry.gauge(&metric::OWED, &[id]),
            tokens: ["fetched", "refused", "shared"].map(tokens),
            circuit: registry.gauge(&metric::CIRCUIT, &[id]),
        })
    }

    fn sample(&self, histogram: &Histogram, value: Duration) {
        histogram.record(value.as_secs_f64());
        if self.inner.samples.fetch_add(1, Ordering::Relaxed) % SAMPLES_BETWEEN_FOLDS == SAMPLES_BETWEEN_FOLDS - 1 {
            self.inner.registry.fold_samples();
        }
    }
}

#[cfg(test)]
#[path = "meters_tests.rs"]
mod tests;
