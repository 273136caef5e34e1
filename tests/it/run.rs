//! `order-sync run` as a process: signals, exit codes, the admin HTTP, and what its log does not say.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use order_sync::app::demo::{LogSpec, generate};
use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::order::AppId;
use order_sync::sandbox::{Faults, Sandbox, SandboxHandle, SandboxOptions};
use tempfile::TempDir;

use crate::reference::{App, Input, Settings, fold_log};
use crate::support::NOBODY;
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;
use crate::support::running::Running;

const SECRET: &str = "canary-secret-5a1f";

/// A loopback address that nobody listens on, below the ports that connections are given: one of those could be a connection's by the
/// time that the worker comes to it, or comes back to it after a kill.
fn address_to_listen_on() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (first, ports) = (std::process::id().wrapping_mul(97), 10_000);
    loop {
        let port = 21_000 + first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % ports;
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

pub struct Site {
    home: TempDir,
    admin: String,
    group: String,
}

impl Site {
    pub fn new(brokers: &str, topic: &str, platform: &str) -> Self {
        Self::with(brokers, topic, platform, "")
    }

    /// The same with further lines of `[kafka]`.
    pub fn with(brokers: &str, topic: &str, platform: &str, kafka: &str) -> Self {
        let home = TempDir::new().unwrap();
        let admin = address_to_listen_on();
        let group = RealKafka::name("run-group");
        let config = format!(
            "[kafka]\nbrokers = \"{brokers}\"\ngroup_id = \"{group}\"\ntopics = [\"{topic}\"]\n{kafka}\n\
             [store]\npath = \"{}\"\n[[apps]]\napp_id = \"tt1\"\nsecret = \"{SECRET}\"\nclient_key = \"ck\"\n\
             [douyin]\nbase_url = \"{platform}\"\n[admin]\nlisten = \"{admin}\"\n",
            home.path().join("store").display(),
        );
        let site = Self { home, admin, group };
        std::fs::write(site.config_file(), config).unwrap();
        site
    }

    pub fn home(&self) -> &std::path::Path {
        self.home.path()
    }

    pub fn group(&self) -> &str {
        &self.group
    }

    pub fn config_file(&self) -> PathBuf {
        self.home.path().join("order-sync.toml")
    }

    fn log_file(&self) -> PathBuf {
        self.home.path().join("worker.log")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    pub fn spawn(&self, args: &[&str]) -> Running {
        self.start(Command::new(env!("CARGO_BIN_EXE_order-sync")), args)
    }

    /// The same behind words of a shell, which set limits.
    pub fn spawn_behind(&self, shell: &str, args: &[&str]) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{shell}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_order-sync")]);
        self.start(command, args)
    }

    fn start(&self, mut command: Command, args: &[&str]) -> Running {
        let log = std::fs::File::options().create(true).append(true).open(self.log_file()).unwrap();
        command
            .args(["run", "--config"])
            .arg(self.config_file())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        Running(command.spawn().unwrap())
    }

    /// Runs a worker until it ends by itself; its exit code.
    pub fn run(&self, args: &[&str]) -> Option<i32> {
        let mut worker = self.spawn(args);
        eventually("the worker ends", || worker.try_wait().unwrap().is_some());
        worker.wait().unwrap().code()
    }

    /// Exit code and output of a tool.
    pub fn tool(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_order-sync"));
        let output = command.args(words).arg("--config").arg(self.config_file()).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    /// The admin address as a URL.
    pub fn admin(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// Status and body of an admin path; nothing while nobody listens.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.admin).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        let body = answer.split_once("\r\n\r\n")?.1.to_owned();
        Some((status, body))
    }
}

pub fn terminate(worker: &mut Child) -> Option<i32> {
    let sent = Command::new("kill").args(["-TERM", &worker.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let mut code = None;
    eventually("the worker ends", || {
        code = worker.try_wait().unwrap();
        code.is_some()
    });
    code.and_then(|status| status.code())
}

pub fn sandbox(latency: Duration) -> SandboxHandle {
    let faults = Faults { latency, ..Faults::default() };
    Sandbox::start(SandboxOptions { faults, ..SandboxOptions::default() }).unwrap()
}

/// Writes a clean log and says how many pushes it comes to.
pub fn produce(kafka: &RealKafka, topic: &str, orders: usize) -> usize {
    let spec =
        LogSpec { seed: 3, orders, apps: vec![AppId::new("tt1")], one_dirty_in: 0, begins_at: 1_760_000_000_000 };
    let producer = Producer::connect(&kafka.brokers).unwrap();
    let log = generate(&spec);
    for record in &log {
        let outgoing = Outgoing {
            partition: Some(0),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            ..Outgoing::default()
        };
        producer.send(topic, outgoing).unwrap();
    }
    producer.flush().unwrap();
    let inputs: Vec<Input<'_>> = log
        .iter()
        .zip(0..)
        .map(|(record, offset)| Input { offset, key: None, value: record.value.as_deref(), header_bytes: 0 })
        .collect();
    let app = App { app_id: "tt1".to_owned(), client_key: Some("ck".to_owned()), is_in_milliseconds: false };
    let settings = Settings {
        apps: vec![app],
        is_text_strict: false,
        now_ms: 1_900_000_000_000,
        max_clock_skew_ms: 0,
        removed_stamp: 0,
        partitions: 1,
    };
    fold_log(&inputs, &settings).pushes.values().map(Vec::len).sum()
}

#[test]
fn real_kafka_run_drains_on_sigterm_and_goes_on_where_it_was() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("drain", 1, &[]);
    let pushes = u64::try_from(produce(kafka, &topic, 400)).unwrap();
    let sandbox = sandbox(Duration::from_millis(150));
    let site = Site::new(&kafka.brokers, &topic, &sandbox.base_url());
    let mut worker = site.spawn(&["--set", "delivery.max_in_flight=16"]);
    eventually("some pushes are applied", || sandbox.report().applied > 50);
    assert_eq!(site.get("/livez").unwrap().0, 200);
    assert_eq!(site.get("/readyz").unwrap(), (200, site.get("/readyz").unwrap().1));
    let metrics = site.get("/metrics").unwrap().1;
    assert!(metrics.contains("order_sync_records_total{"), "{metrics}");
    assert_eq!(terminate(&mut worker), Some(0), "{}", site.log());
    let after_drain = sandbox.report();
    assert!(after_drain.applied < pushes, "it was not done yet");
    let mut worker = site.spawn(&["--until-caught-up"]);
    eventually("the worker has caught up", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(0), "{}", site.log());
    let report = sandbox.report();
    assert_eq!((report.applied, report.violations_total), (pushes, 0));
    assert_eq!(report.repeats, 0, "what was answered before the drain's end is not sent again");
    assert_silent(&site, &metrics);
}

/// The platform is away for six seconds in the middle of the work. The circuit opens, says so once, and closes again;
/// every state arrives, and no dead letter is written.
#[test]
fn real_kafka_run_sits_out_an_outage_of_the_platform() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("outage", 1, &[]);
    let pushes = u64::try_from(produce(kafka, &topic, 600)).unwrap();
    let sandbox = sandbox(Duration::from_millis(100));
    let site = Site::new(&kafka.brokers, &topic, &sandbox.base_url());
    let mut worker = site.spawn(&[
        "--until-caught-up",
        "--set=delivery.max_in_flight=16",
        "--set=delivery.give_up_after=1s",
        "--set=circuit.window=2s",
        "--set=circuit.probe_initial_interval=200ms",
        "--set=circuit.probe_max_interval=1s",
        "--set=circuit.ramp_interval=200ms",
    ]);
    eventually("some pushes are applied", || sandbox.report().applied > 50);
    sandbox.set_outages(&["http:503 for 6s".parse().unwrap()]);
    let circuit = |state: u8| format!("order_sync_circuit_state{{app_id=\"tt1\"}} {state}\n");
    eventually("the circuit opens", || site.get("/metrics").is_some_and(|(_, text)| text.contains(&circuit(2))));
    eventually("readiness shows it, and does not fail", || {
        site.get("/readyz").is_some_and(|(status, body)| status == 200 && body.contains("\"tt1\":\"open\""))
    });
    let asked = sandbox.report().received;
    eventually("a probe is made", || sandbox.report().received > asked);
    eventually("the circuit closes", || site.get("/metrics").is_some_and(|(_, text)| text.contains(&circuit(0))));
    eventually("the worker has caught up", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(0), "{}", site.log());
    let report = sandbox.report();
    assert_eq!((report.applied, report.violations_total), (pushes, 0));
    assert!(kafka.read_all(&format!("{}.dead-letters", site.group)).is_empty());
    for words in ["the platform is away", "the platform answers again", "deliveries run as before"] {
        assert_eq!(site.log().matches(words).count(), 1, "{words}: {}", site.log());
    }
}

/// Neither log nor metrics hold a secret, a token or a customer.
fn assert_silent(site: &Site, metrics: &str) {
    for text in [&site.log(), metrics] {
        for canary in [SECRET, "_000", "access_token\":\"", "0801"] {
            assert!(!text.contains(canary), "{canary} in:\n{text}");
        }
    }
}

#[test]
fn run_waits_for_a_broker_says_so_and_ends_when_told() {
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(NOBODY, "orders", &sandbox.base_url());
    let mut worker = site.spawn(&[]);
    eventually("readiness names Kafka", || {
        site.get("/readyz").is_some_and(|(status, body)| status == 503 && body.contains("Kafka"))
    });
    assert_eq!(site.get("/livez").unwrap().0, 200, "a worker that waits is alive");
    assert_eq!(terminate(&mut worker), Some(0), "{}", site.log());
}

#[test]
fn run_says_once_that_the_unit_has_changed_to_milliseconds() {
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(NOBODY, "orders", &sandbox.base_url());
    let seconds = std::fs::read_to_string(site.config_file()).unwrap();
    let milliseconds = seconds.replace("client_key", "update_time_unit = \"milliseconds\"\nclient_key");
    for (settings, expect) in [(&seconds, 0), (&milliseconds, 1), (&milliseconds, 1)] {
        std::fs::write(site.config_file(), settings).unwrap();
        let mut worker = site.spawn(&[]);
        eventually("the store is open", || site.get("/readyz").is_some_and(|(_, body)| body.contains("Kafka")));
        assert_eq!(terminate(&mut worker), Some(0), "{}", site.log());
        let (log, words) = (site.log(), "update_time_unit has changed from seconds to milliseconds");
        let told = log.lines().filter(|line| line.contains("WARN") && line.contains(words)).count();
        assert_eq!(told, expect, "{log}");
    }
}

#[test]
fn run_refuses_a_store_that_is_in_use() {
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(NOBODY, "orders", &sandbox.base_url());
    let mut first = site.spawn(&[]);
    eventually("the first worker waits for Kafka", || {
        site.get("/readyz").is_some_and(|(_, body)| body.contains("Kafka"))
    });
    let second = site.spawn(&["--set", "admin.listen=off"]).wait().unwrap();
    assert_eq!(second.code(), Some(6), "{}", site.log());
    assert!(site.log().contains("another process"), "{}", site.log());
    assert_eq!(terminate(&mut first), Some(0));
}
