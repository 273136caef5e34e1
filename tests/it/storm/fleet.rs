//! A fleet of workers and what is done to it; it tells each act as it comes, and remembers when it came.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use order_sync::app::worker::wall_ms;
use order_sync::cli::exit::Exit;
use order_sync::sandbox::{Outage, OutageMode};

use super::acts::Act;
use super::history::Window;
use super::stage::Stage;
use crate::support::real_kafka::RealKafka;

/// Longer than the session, and than a transaction may stay open.
const STOPPED_FOR: Duration = Duration::from_secs(12);
/// What ends a process that has not set its handlers yet.
const SIGTERM: i32 = 15;
/// How long one act may take until its effect is seen.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long partitions move after an act: a transaction that a killed worker left open, which is longer than its session, and
/// the time until the broker looks for such; the restore; an attempt of the old owner that is still under way.
const SETTLES_MS: i64 = 10_000 + 10_000 + 5_000 + 2_000;

pub struct Fleet<'s> {
    pub(super) kafka: &'s RealKafka,
    pub(super) stage: &'s Stage,
    pub(super) workers: Vec<Child>,
    rng: fastrand::Rng,
    since: Instant,
    windows: Vec<Window>,
    ended: Arc<AtomicBool>,
}

impl Drop for Fleet<'_> {
    /// Nobody is left running, whatever failed.
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for worker in &mut self.workers {
            drop(worker.kill());
            drop(worker.wait());
        }
    }
}

impl<'s> Fleet<'s> {
    pub fn start(kafka: &'s RealKafka, stage: &'s Stage, workers: usize, seed: u64) -> Self {
        let (rng, since) = (fastrand::Rng::with_seed(seed ^ 0xf1ee7), Instant::now());
        let workers = (0..workers).map(|worker| stage.spawn(worker, &[])).collect();
        let mut fleet = Self { kafka, stage, workers, rng, since, windows: Vec::new(), ended: Arc::default() };
        // They come one by one, and partitions move between them.
        fleet.note(wall_ms());
        fleet
    }

    /// One more worker.
    pub fn grow(&mut self, args: &[&str]) {
        let worker = self.workers.len();
        self.workers.push(self.stage.spawn(worker, args));
        self.say(&format!("worker {worker}"), "comes");
        self.note(wall_ms());
    }

    /// True once it has ended.
    pub fn ended(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.ended)
    }

    pub(super) fn say(&self, worker: &str, what: &str) {
        let applied = self.stage.applied();
        println!("{:>6.1} s {applied:>7} applied  {worker:<9} {what}", self.since.elapsed().as_secs_f64());
    }

    /// From `from_ms` until now the world was not as usual; what follows from it may be seen a little later.
    pub(super) fn note(&mut self, from_ms: i64) {
        self.windows.push(Window { from_ms, until_ms: wall_ms() + SETTLES_MS });
    }

    /// Waits for this share of the work, then does it.
    pub fn play(&mut self, share: f64, act: Act) {
        self.stage.wait_for_applied(&mut self.workers, share);
        let worker = self.rng.usize(..self.workers.len());
        let name = format!("worker {worker}");
        match act {
            Act::Kill => self.kill(worker, "killed, comes back"),
            Act::KillOntoEmpty => {
                self.stop_for_good(worker, "-KILL");
                self.come_back_empty(worker, "killed, comes back with nothing");
            }
            Act::Terminate => {
                self.stop_for_good(worker, "-TERM");
                self.come_back(worker, "asked to end, comes back");
            }
            Act::TerminateOntoEmpty => {
                self.stop_for_good(worker, "-TERM");
                self.come_back_empty(worker, "asked to end, comes back with nothing");
            }
            Act::Stop => {
                let from_ms = wall_ms();
                self.say(&name, "stopped past its session");
                Stage::signal(&self.workers[worker], "-STOP");
                std::thread::park_timeout(STOPPED_FOR);
                Stage::signal(&self.workers[worker], "-CONT");
                self.note(from_ms);
                self.say(&name, "goes on");
            }
            Act::Broker => {
                let from_ms = wall_ms();
                let node = self.rng.i32(1..=3);
                self.say(&format!("broker {node}"), "starts anew");
                self.kafka.node("restart-node", node);
                self.note(from_ms);
            }
            Act::Outage(lasts) => self.sit_out(lasts, worker),
        }
    }

    fn kill(&mut self, worker: usize, what: &str) {
        self.stop_for_good(worker, "-KILL");
        self.come_back(worker, what);
    }

    /// Ends a worker, which it does well or, out of time, as it has promised: it says that some work will be repeated.
    /// What that comes to is judged by the pushes and the log. One that has not begun yet knows no signals.
    fn stop_for_good(&mut self, worker: usize, signal: &str) {
        Stage::signal(&self.workers[worker], signal);
        let status = self.stage.wait_for_end(&mut self.workers[worker], Duration::from_secs(30));
        let abandoned = status.code() == Some(i32::from(Exit::Abandoned.code()));
        if abandoned {
            self.say(&format!("worker {worker}"), "ends at its deadline; some work is repeated");
        }
        let asked = status.success() || abandoned || status.signal() == Some(SIGTERM);
        assert!(signal == "-KILL" || asked, "worker {worker} ended with {status}:\n{}", self.stage.last_words());
    }

    pub(super) fn come_back(&mut self, worker: usize, what: &str) {
        self.workers[worker] = self.stage.spawn(worker, &[]);
        self.say(&format!("worker {worker}"), what);
        self.note(wall_ms());
    }

    fn come_back_empty(&mut self, worker: usize, what: &str) {
        std::fs::remove_dir_all(self.stage.store(worker)).unwrap();
        self.come_back(worker, what);
    }

    /// The platform is away for `lasts` at least: until every app's circuit has opened, and a worker has been killed
    /// besides. The backlog must leave when it is back.
    fn sit_out(&mut self, lasts: Duration, worker: usize) {
        let modes = ["refuse", "http:503", "code:-1", "reset"];
        let mode = modes[self.rng.usize(..modes.len())];
        self.say("platform", &format!("away for {} s: {mode}", lasts.as_secs()));
        let before = Stage::apps().map(|app| self.stage.circuits_opened(app));
        let mode: OutageMode = mode.parse::<Outage>().unwrap().mode;
        self.stage.sandbox.set_outages(&[Outage::now(mode)]);
        let begun = Instant::now();
        for (app, before) in Stage::apps().into_iter().zip(before) {
            self.wait(&format!("a circuit of {app} opens"), |stage| stage.circuits_opened(app) > before);
        }
        self.say("platform", "away; the circuits are open");
        // What had arrived before the outage was still applied in its first moment; by now that is over.
        let at_rest = self.stage.applied();
        self.kill(worker, "killed in the outage, comes back");
        std::thread::park_timeout(lasts.saturating_sub(begun.elapsed()));
        assert_eq!(self.stage.applied(), at_rest, "nothing is applied in an outage");
        self.stage.sandbox.set_outages(&[]);
        let back = Instant::now();
        // More than probes: the backlog leaves.
        let enough = (at_rest + 1000).min(self.stage.pushes());
        self.wait("the backlog leaves", |stage| stage.applied() >= enough);
        self.say("platform", &format!("back; the backlog leaves after {:.1} s", back.elapsed().as_secs_f64()));
    }

    fn wait(&self, what: &str, mut holds: impl FnMut(&Stage) -> bool) {
        let since = Instant::now();
        while !holds(self.stage) {
            assert!(since.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}\n{}", self.stage.last_words());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Waits until all is done, and ends everybody. Returns when the world was not as usual.
    pub fn end(mut self) -> Vec<Window> {
        self.stage.wait_for_applied(&mut self.workers, 1.0);
        self.say("fleet", "everything is applied");
        for worker in 0..self.workers.len() {
            self.stop_for_good(worker, "-TERM");
        }
        // Whoever comes last has all partitions, and ends when nothing is left to do.
        let mut last = self.stage.spawn(self.workers.len(), &["--until-caught-up"]);
        let status = self.stage.wait_for_end(&mut last, Duration::from_secs(100));
        assert!(status.success(), "the last worker ended with {status}:\n{}", self.stage.last_words());
        self.say("fleet", "the last one has nothing left to do");
        self.note(wall_ms());
        std::mem::take(&mut self.windows)
    }
}
