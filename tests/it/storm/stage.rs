//! What a storm needs: a topic full of seeded records, a sandbox with faults, and workers to start and to kill.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use order_sync::app::demo::{LogSpec, generate};
use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::order::AppId;
use order_sync::sandbox::{Faults, Sandbox, SandboxHandle, SandboxOptions};
use tempfile::TempDir;

use crate::reference::{App, Folded, Input, Settings, fold_log};
use crate::support::real_kafka::RealKafka;

pub struct Storm {
    pub seed: u64,
    pub records: usize,
    pub partitions: i32,
    pub kills: usize,
    pub faults: &'static str,
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

/// One record as it was produced.
pub struct Produced {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
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
    pushes: usize,
}

/// When the log begins: well in the past, so that no event lies ahead of the clock.
const BEGINS_AT: i64 = 1_760_000_000_000;
const APPS: [(&str, bool); 2] = [("tt1", false), ("tt2", true)];

impl Stage {
    pub fn set(kafka: &RealKafka, storm: &Storm) -> Self {
        let topic = kafka.topic("storm", storm.partitions, &[("max.message.bytes", "4194304")]);
        let partitions = produce(kafka, &topic, storm);
        let expected: BTreeMap<i32, Folded> =
            partitions.iter().map(|(partition, records)| (*partition, fold(records, storm.partitions))).collect();
        let pushes = expected.values().flat_map(|folded| folded.pushes.values()).map(Vec::len).sum();
        let sandbox = Sandbox::start(SandboxOptions {
            seed: storm.seed,
            faults: Faults::parse(storm.faults).unwrap(),
            memory_bytes: 2 << 30,
            ..SandboxOptions::default()
        })
        .unwrap();
        let home = TempDir::new().unwrap();
        let group = RealKafka::name("storm-group");
        let (commit, brokers) = (storm.commit, kafka.brokers.clone());
        Self { topic, group, sandbox, expected, commit, brokers, home, pushes }
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
             [delivery]\ninitial_interval = \"50ms\"\nmax_interval = \"2s\"\n[admin]\nlisten = \"127.0.0.1:0\"\n{}",
            self.brokers,
            self.group,
            self.topic,
            self.commit == Commit::Transactions,
            self.store(worker).display(),
            self.sandbox.base_url(),
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

    /// A worker as users run it, with a store of its own number.
    pub fn spawn(&self, worker: usize, args: &[&str]) -> Child {
        let config = self.home.path().join(format!("order-sync-{worker}.toml"));
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

    /// Waits until this share of all pushes was applied.
    pub fn wait_for_applied(&self, worker: &mut Child, share: f64) {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share"
        )]
        let enough = (self.pushes as f64 * share) as u64;
        let since = Instant::now();
        while self.sandbox.report().applied < enough {
            self.still_there(worker);
            assert!(
                since.elapsed() < Duration::from_secs(200),
                "{:?} applied of {enough}",
                self.sandbox.report().applied
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// The same while several workers run; one that has ended before its time is a failure.
    pub fn wait_for_applied_by(&self, workers: &mut [Child], share: f64) {
        let (last, others) = workers.split_last_mut().unwrap();
        self.wait_for_applied(last, share);
        for worker in others {
            self.still_there(worker);
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

    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// Writes the seeded log, and a few records that are too large, and returns what every partition holds.
fn produce(kafka: &RealKafka, topic: &str, storm: &Storm) -> BTreeMap<i32, Vec<Produced>> {
    let log = generate(&LogSpec {
        seed: storm.seed,
        orders: storm.records / 3,
        apps: APPS.iter().map(|(app, _)| AppId::new(*app)).collect(),
        one_dirty_in: 20,
        begins_at: BEGINS_AT,
    });
    assert!(log.len() >= storm.records);
    let producer = Producer::connect(&kafka.brokers).unwrap();
    let mut partitions: BTreeMap<i32, Vec<Produced>> = BTreeMap::new();
    let count = u64::try_from(storm.partitions).unwrap();
    for (number, record) in log.into_iter().take(storm.records).enumerate() {
        let partition = i32::try_from(record.partition_hint % count).unwrap();
        let mut entry = Produced { key: record.key, value: record.value };
        if number % 20_000 == 10_000 {
            entry.value = Some(vec![b'x'; (1 << 20) + number]);
        }
        let outgoing = Outgoing {
            partition: Some(partition),
            key: entry.key.as_deref(),
            value: entry.value.as_deref(),
            ..Outgoing::default()
        };
        producer.send(topic, outgoing).unwrap();
        partitions.entry(partition).or_default().push(entry);
    }
    producer.flush().unwrap();
    partitions
}

fn fold(records: &[Produced], partitions: i32) -> Folded {
    let inputs: Vec<Input<'_>> = records
        .iter()
        .zip(0..)
        .map(|(record, offset)| Input {
            offset,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            header_bytes: 0,
        })
        .collect();
    let apps = APPS.iter().map(|(app, milliseconds)| App {
        app_id: (*app).to_owned(),
        client_key: Some(format!("ck-{app}")),
        is_in_milliseconds: *milliseconds,
    });
    let settings = Settings {
        apps: apps.collect(),
        is_text_strict: false,
        now_ms: 1_900_000_000_000,
        max_clock_skew_ms: 600_000,
        removed_stamp: 0,
        partitions,
    };
    fold_log(&inputs, &settings)
}
