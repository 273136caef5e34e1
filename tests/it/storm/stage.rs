//! What a storm needs: a topic full of seeded records, a sandbox with faults, and workers to start and to kill.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use order_sync::sandbox::{Faults, Sandbox, SandboxHandle, SandboxOptions};
use tempfile::TempDir;

use super::log::{APPS, fold, poison, produce};
use crate::reference::{Folded, Outcome};
use crate::support::real_kafka::RealKafka;

pub struct Storm {
    pub seed: u64,
    pub records: usize,
    pub partitions: i32,
    pub faults: &'static str,
    /// Orders of which the platform rejects every state.
    pub poison: usize,
    /// Attempts per second, app and worker: how long the work takes, so that there is time for trouble.
    pub pace: u32,
    pub commit: Commit,
}

/// How the workers commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// The store is the truth: one worker.
    Local,
    /// By transactions: any number of workers, each with a store of its own.
    Transactions,
}

pub struct Stage {
    pub topic: String,
    pub group: String,
    pub sandbox: SandboxHandle,
    /// What every partition's log comes to, by the second reading.
    pub expected: BTreeMap<i32, Folded>,
    pub commit: Commit,
    brokers: String,
    home: TempDir,
    poison: BTreeSet<String>,
    pushes: usize,
    pace: u32,
}

/// How long nothing may be applied: a session, an open transaction, an outage, and a slow machine.
const STILL: Duration = Duration::from_secs(120);

impl Stage {
    pub fn set(kafka: &RealKafka, storm: &Storm) -> Self {
        let topic = kafka.topic("storm", storm.partitions, &[("max.message.bytes", "4194304")]);
        let partitions = produce(kafka, &topic, storm);
        let expected: BTreeMap<i32, Folded> =
            partitions.iter().map(|(partition, records)| (*partition, fold(records, storm.partitions))).collect();
        let poison = poison(&partitions, &expected, storm);
        let taken = |folded: &Folded| {
            folded
                .pushes
                .iter()
                .filter(|((_, order), _)| !poison.contains(order))
                .map(|(_, pushes)| pushes.len())
                .sum::<usize>()
        };
        let pushes = expected.values().map(taken).sum::<usize>();
        let mut faults = Faults::default();
        for order in &poison {
            faults.add(&format!("code:40003@order:{order}")).unwrap();
        }
        faults.add(storm.faults).unwrap();
        let sandbox = Sandbox::start(SandboxOptions {
            seed: storm.seed,
            faults,
            memory_bytes: 2 << 30,
            keep: 2000,
            ..SandboxOptions::default()
        })
        .unwrap();
        let home = TempDir::new().unwrap();
        let group = RealKafka::name("storm-group");
        let (commit, brokers) = (storm.commit, kafka.brokers.clone());
        println!(
            "{} records, {pushes} pushes, {} poison orders; logs in {}",
            storm.records,
            poison.len(),
            home.path().display()
        );
        Self { topic, group, sandbox, expected, commit, brokers, home, poison, pushes, pace: storm.pace }
    }

    pub fn apps() -> [&'static str; 2] {
        APPS.map(|(app, _)| app)
    }

    /// Whether the platform rejects every state of this order.
    pub fn is_poison(&self, order: &str) -> bool {
        self.poison.contains(order)
    }

    /// The dead letters that a partition must have: those of the reference, and those of the poison.
    pub fn letters(&self, folded: &Folded) -> BTreeMap<i64, &'static str> {
        let set_aside = folded.outcomes.iter().zip(0..).filter_map(|(outcome, offset)| match outcome {
            Outcome::DeadLetter(reason) => Some((offset, *reason)),
            Outcome::Advanced | Outcome::Unchanged | Outcome::Duplicate | Outcome::Stale | Outcome::Tombstone => None,
        });
        let pushes =
            folded.pushes.iter().filter(|((_, order), _)| self.is_poison(order)).flat_map(|(_, pushes)| pushes);
        set_aside.chain(pushes.map(|push| (push.offset, "rejected_by_platform"))).collect()
    }

    fn config(&self, worker: usize) -> String {
        let apps: Vec<String> = APPS
            .iter()
            .map(|(app, milliseconds)| {
                let unit = if *milliseconds { "milliseconds" } else { "seconds" };
                format!(
                    "[[apps]]\napp_id = \"{app}\"\nsecret = \"s\"\nclient_key = \"ck-{app}\"\nupdate_time_unit = \"{unit}\"\n"
                )
            })
            .collect();
        format!(
            "[kafka]\nbrokers = \"{}\"\ngroup_id = \"{}\"\ntopics = [\"{}\"]\nexactly_once = {}\n\
             [kafka.properties]\n\"session.timeout.ms\" = \"6000\"\n\
             [store]\npath = \"{}\"\n[douyin]\nbase_url = \"{}\"\nrequest_timeout = \"2s\"\n\
             [delivery]\ninitial_interval = \"50ms\"\nmax_interval = \"2s\"\n\
             requests_per_second = {}\n\
             [circuit]\nwindow = \"3s\"\nprobe_max_interval = \"2s\"\n[admin]\nlisten = \"127.0.0.1:0\"\n{}",
            self.brokers,
            self.group,
            self.topic,
            self.commit == Commit::Transactions,
            self.store(worker).display(),
            self.sandbox.base_url(),
            self.pace,
            apps.concat(),
        )
    }

    /// The directory of a worker's store.
    pub fn store(&self, worker: usize) -> PathBuf {
        self.home.path().join(format!("store-{worker}"))
    }

    pub fn log_file(&self) -> PathBuf {
        self.home.path().join("worker.log")
    }

    /// A tool of this group, which answers in JSON.
    pub fn tool(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_order-sync"));
        command.args(args).args(["--output", "json", "--config"]).arg(self.config_file(0));
        command
    }

    fn config_file(&self, worker: usize) -> PathBuf {
        self.home.path().join(format!("order-sync-{worker}.toml"))
    }

    /// A worker as users run it, with a store of its own number.
    pub fn spawn(&self, worker: usize, args: &[&str]) -> Child {
        let config = self.config_file(worker);
        std::fs::write(&config, self.config(worker)).unwrap();
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        Command::new(env!("CARGO_BIN_EXE_order-sync"))
            .args(["run", "--config"])
            .arg(config)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Pushes that were applied.
    pub fn applied(&self) -> u64 {
        self.sandbox.report().applied
    }

    /// Pushes that will be.
    pub fn pushes(&self) -> u64 {
        u64::try_from(self.pushes).unwrap()
    }

    /// Waits until this share of all pushes was applied. A worker that ends before its time is a failure, and so is a
    /// long time in which nothing is applied.
    pub fn wait_for_applied(&self, workers: &mut [Child], share: f64) {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share"
        )]
        let enough = (self.pushes as f64 * share) as u64;
        let (mut applied, mut since) = (0, Instant::now());
        while applied < enough {
            for worker in &mut *workers {
                self.still_there(worker);
            }
            let now = self.applied();
            if now > applied {
                (applied, since) = (now, Instant::now());
            }
            assert!(since.elapsed() < STILL, "{applied} applied of {enough}, then nothing:\n{}", self.last_words());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Waits until nothing more comes in.
    pub fn wait_for_silence(&self) {
        let received = || self.sandbox.report().received;
        let (mut seen, mut since, began) = (received(), Instant::now(), Instant::now());
        while since.elapsed() < Duration::from_secs(1) {
            assert!(began.elapsed() < STILL, "no worker is left, and pushes still come in: {seen} by now");
            std::thread::park_timeout(Duration::from_millis(20));
            let now = received();
            if now > seen {
                (seen, since) = (now, Instant::now());
            }
        }
    }

    pub fn wait_for_end(&self, worker: &mut Child, longest: Duration) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = worker.try_wait().unwrap() {
                return status;
            }
            if since.elapsed() > longest {
                worker.kill().unwrap();
                worker.wait().unwrap();
                panic!("not caught up after {longest:?}:\n{}", self.last_words());
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Sends a signal to a worker.
    pub fn signal(worker: &Child, signal: &str) {
        let sent = Command::new("kill").args([signal, &worker.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn still_there(&self, worker: &mut Child) {
        if let Some(status) = worker.try_wait().unwrap() {
            panic!("the worker ended with {status}:\n{}", self.last_words());
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// How often a worker has said that an app's circuit is open.
    pub fn circuits_opened(&self, app: &str) -> usize {
        let words = "the platform is away: the app's orders wait";
        self.log().lines().filter(|line| line.contains(words) && line.contains(app)).count()
    }

    pub fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Stage {
    /// What failed is worth reading: logs and stores stay.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.home.disable_cleanup(true);
        }
    }
}
