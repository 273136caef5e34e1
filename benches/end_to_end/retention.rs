//! A pass of retention in which every order leaves, while events of others come: how long it takes, the memory above that of
//! a worker which only holds them, and what it does to commits and to those events.
//!
//! The orders ended long ago. They stay while the newest event is as old as they are, and leave with the first one of today.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use order_sync::app::worker::wall_ms;
use order_sync::kafka::producer::Producer;

use crate::fleet::{Site, megabytes, metric, number};
use crate::log::{BEGINS_AT, Log, send};
use crate::process::{cpu_of, resident, stat};

/// First events of further orders, per second.
const PER_SECOND: usize = 100;
/// How long the worker is looked at before.
const BEFORE: Duration = Duration::from_secs(30);
/// A pass that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(3600);
const EVERY: Duration = Duration::from_millis(100);

/// What a while came to.
struct While {
    took: Duration,
    commits: f64,
    commit_ms: f64,
    cpu: Duration,
    engine: Duration,
    mean_mb: f64,
    peak_mb: f64,
    /// From the producer's send to the sandbox's acceptance, in order.
    waits: Vec<u64>,
}

impl Site<'_> {
    /// Ends with the last order, or after so many seconds.
    pub(crate) fn retention(&self, seconds: Option<usize>) {
        let (worker, admin) = self.spawn("a", &[]);
        self.until("a", || self.restored("a") == 12);
        let id = worker.0.id();
        let before = self.watch(id, &admin, self.orders, BEGINS_AT + 60_000, &|took| took >= BEFORE);
        before.print("before");
        let further = before.waits.len();
        let stay = number(further);
        // What has come since the beginning is there, too, but for what the cache has not written yet.
        let held = || {
            let further = stay + self.applied_since(self.orders + further);
            (metric(&admin, "order_sync_store_orders") - further).max(0.0)
        };
        let longest = seconds.map_or(LIMIT, |seconds| Duration::from_secs(u64::try_from(seconds).unwrap()));
        let is_over = |took: Duration| took >= longest || held() < number(self.orders) / 1_000.0;
        let during = self.watch(id, &admin, self.orders + further, wall_ms(), &is_over);
        during.print("during");
        let left = number(self.orders) - held();
        println!(
            "retention: {left:.0} of {} orders left in {:.0} s, {:.0}/s; {:.1} us of CPU each above the steady load, {:.1} of them the \
             engine; {:.0} MB above steady at most",
            self.orders,
            during.took.as_secs_f64(),
            left / during.took.as_secs_f64(),
            during.above(&before, |it| it.cpu) / left,
            during.above(&before, |it| it.engine) / left,
            during.peak_mb - before.mean_mb,
        );
    }

    /// How many of the further orders have been applied; all that were before this number are.
    fn applied_since(&self, first: usize) -> f64 {
        f64::from(u32::try_from(self.applied()).unwrap()) - number(first)
    }

    /// Sends first events at an even pace, from this number on, until it is over.
    fn watch(&self, id: u32, admin: &str, from: usize, occurred_at: i64, over: &dyn Fn(Duration) -> bool) -> While {
        let commits =
            || (metric(admin, "order_sync_commit_seconds_sum"), metric(admin, "order_sync_commit_seconds_count"));
        let ((sum, count), cpu, engine) = (commits(), stat(id).1, cpu_of(id, "engine"));
        let producer = Producer::connect(self.broker.brokers()).unwrap();
        let before = self.applied();
        let (began, mut sizes, mut sent_at, mut sent) = (Instant::now(), Vec::new(), HashMap::new(), 0);
        while !over(began.elapsed()) {
            assert!(began.elapsed() < LIMIT, "{}", self.log("a"));
            let ms = usize::try_from(began.elapsed().as_millis()).unwrap();
            let due = (ms * PER_SECOND / 1_000).max(1);
            let events = Log::first(from + sent, due.saturating_sub(sent), occurred_at);
            let now_ms = u64::try_from(wall_ms()).unwrap();
            for record in &events.records {
                sent_at.insert(String::from_utf8(record.key.clone().unwrap()).unwrap(), now_ms);
            }
            send(&producer, &self.topic, &events.records);
            sent = sent.max(due);
            sizes.push(megabytes(resident(id)));
            std::thread::park_timeout(EVERY);
        }
        let took = began.elapsed();
        let (cpu, engine) = (stat(id).1.saturating_sub(cpu), cpu_of(id, "engine").saturating_sub(engine));
        self.until("a", || self.applied() >= before + u64::try_from(sent).unwrap());
        let (sum, count) = (commits().0 - sum, commits().1 - count);
        let mut waits = self.platform.waits(&sent_at);
        waits.sort_unstable();
        While {
            took,
            commits: count,
            commit_ms: sum * 1e3 / count,
            cpu,
            engine,
            mean_mb: sizes.iter().sum::<f64>() / number(sizes.len()),
            peak_mb: sizes.iter().copied().fold(0.0, f64::max),
            waits,
        }
    }
}

impl While {
    /// Microseconds that this while took more than another one of its length.
    fn above(&self, other: &Self, of: impl Fn(&Self) -> Duration) -> f64 {
        let steady = of(other).as_secs_f64() * self.took.as_secs_f64() / other.took.as_secs_f64();
        (of(self).as_secs_f64() - steady) * 1e6
    }

    fn print(&self, name: &str) {
        let at = |part: usize| self.waits[(self.waits.len() - 1) * part / 1_000];
        println!(
            "{name}: {:.0} s, {} commits of {:.1} ms; memory {:.0} MB, at most {:.0} MB; {} events at {PER_SECOND}/s, from send to \
             acceptance p50 {} ms, p99 {} ms, at most {} ms",
            self.took.as_secs_f64(),
            self.commits,
            self.commit_ms,
            self.mean_mb,
            self.peak_mb,
            self.waits.len(),
            at(500),
            at(990),
            at(1_000),
        );
    }
}
