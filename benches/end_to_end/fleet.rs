//! Workers with transactions that hold many orders: what a takeover, a restore, a commit and the memory come to.
//!
//! `--measure takeover|restore|steady|retention`, with `--orders N`: the orders are made by a worker that folds one event of
//! each, so changelog and store are what a worker makes of them.

use std::collections::HashMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use order_sync::kafka::producer::Producer;

use crate::broker::Broker;
use crate::log::{Log, send};
use crate::options::Options;
use crate::platform::{Platform, get};
use crate::process::{Running, cpu_of, resident, stat};

const SESSION: Duration = Duration::from_secs(6);
/// Events per second in a steady state, and for how long.
const STEADY_PER_SECOND: usize = 1_000;
const STEADY: Duration = Duration::from_secs(40);
/// What takes longer hangs.
const LIMIT: Duration = Duration::from_secs(600);

pub(crate) struct Site<'b> {
    pub(crate) broker: &'b Broker,
    pub(crate) platform: Platform,
    home: tempfile::TempDir,
    pub(crate) topic: String,
    pub(crate) orders: usize,
}

pub(crate) fn measure(what: &str, options: &Options, broker: &Broker) {
    let orders = options.number("--orders").unwrap_or(200_000);
    let home = tempfile::tempdir().unwrap();
    let platform = Platform::start("0ms", home.path());
    let topic = broker.topic(what, orders);
    let site = Site { broker, platform, home, topic, orders };
    let log = if what == "retention" { Log::ended(orders) } else { Log::write(orders, orders) };
    log.produce(broker.brokers(), &site.topic);
    drop(log);
    let began = Instant::now();
    site.wait_for_end(site.spawn("a", &["--until-caught-up"]).0);
    println!("{orders} orders filled in {:.1} s", began.elapsed().as_secs_f64());
    match what {
        "takeover" => site.takeover(),
        "restore" => site.restore(),
        "steady" => site.steady(),
        "retention" => site.retention(options.number("--seconds")),
        other => panic!("--measure is takeover, restore, steady or retention, and not {other}"),
    }
}

impl Site<'_> {
    fn place(&self, worker: &str) -> PathBuf {
        self.home.path().join(worker)
    }

    /// A worker of the group with a directory of its own, and where its metrics are.
    pub(crate) fn spawn(&self, worker: &str, args: &[&str]) -> (Running, String) {
        let place = self.place(worker);
        std::fs::create_dir_all(&place).unwrap();
        let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let settings = format!(
            "[kafka]\nbrokers = \"{}\"\ngroup_id = \"{}-group\"\ntopics = [\"{}\"]\nexactly_once = true\n\
             [kafka.properties]\n\"session.timeout.ms\" = \"{}\"\n[store]\npath = \"{}\"\n\
             [douyin]\nbase_url = \"{}\"\n[admin]\nlisten = \"{admin}\"\n\
             [[apps]]\napp_id = \"ttbench\"\nsecret = \"bench\"\nclient_key = \"ck-bench\"\n",
            self.broker.brokers(),
            self.topic,
            self.topic,
            SESSION.as_millis(),
            place.join("store").display(),
            self.platform.url(),
        );
        let file = place.join("order-sync.toml");
        std::fs::write(&file, settings).unwrap();
        let log = File::create(place.join("worker.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_order-sync"));
        command.args(["run", "--config"]).arg(&file).args(args);
        (Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()), admin)
    }

    pub(crate) fn log(&self, worker: &str) -> String {
        std::fs::read_to_string(self.place(worker).join("worker.log")).unwrap()
    }

    /// Waits until the process has ended well, and returns its CPU time.
    fn wait_for_end(&self, mut process: Running) -> Duration {
        let since = Instant::now();
        loop {
            assert!(since.elapsed() < LIMIT, "not done after {LIMIT:?}: {}", self.log("a"));
            let (has_ended, cpu) = stat(process.0.id());
            if has_ended {
                assert!(process.0.wait().unwrap().success(), "{}", self.log("a"));
                return cpu;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    pub(crate) fn until(&self, worker: &str, mut holds: impl FnMut() -> bool) -> Duration {
        let since = Instant::now();
        while !holds() {
            assert!(since.elapsed() < LIMIT, "{}", self.log(worker));
            std::thread::park_timeout(Duration::from_millis(5));
        }
        since.elapsed()
    }

    pub(crate) fn restored(&self, worker: &str) -> usize {
        self.log(worker).matches("a partition is restored from the changelog").count()
    }

    /// Two workers share the partitions; one is killed. Then an event comes for each partition.
    fn takeover(&self) {
        let (first, _) = self.spawn("a", &[]);
        self.until("a", || self.restored("a") == 12);
        let _second = self.spawn("b", &[]);
        self.until("b", || self.restored("b") == 6);
        let events = Log::later(self.orders, 2_000);
        let mut one_each = Vec::new();
        for record in events.records {
            if one_each
                .iter()
                .all(|other: &order_sync::app::demo::LogRecord| other.partition_hint % 12 != record.partition_hint % 12)
            {
                one_each.push(record);
            }
        }
        assert_eq!(one_each.len(), 12);
        std::thread::park_timeout(Duration::from_secs(3));
        let before = self.applied();
        let producer = Producer::connect(self.broker.brokers()).unwrap();
        drop(first);
        let killed = Instant::now();
        send(&producer, &self.topic, &one_each);
        self.until("b", || self.applied() >= before + 6);
        let own = killed.elapsed();
        self.until("b", || self.applied() >= before + 7);
        let first_moved = killed.elapsed();
        self.until("b", || self.applied() >= before + 12);
        println!(
            "takeover: after the kill the last order of its own {:.1} s, the first moved one {:.1} s, the last of six \
             partitions {:.1} s; the session is {} s",
            own.as_secs_f64(),
            first_moved.as_secs_f64(),
            killed.elapsed().as_secs_f64(),
            SESSION.as_secs(),
        );
    }

    pub(crate) fn applied(&self) -> u64 {
        self.platform.report()["applied"].as_u64().unwrap()
    }

    /// A worker begins with an empty directory.
    fn restore(&self) {
        std::fs::remove_dir_all(self.place("a").join("store")).unwrap();
        let (worker, admin) = self.spawn("a", &[]);
        let id = worker.0.id();
        self.until("a", || self.log("a").contains("the store does not have this partition"));
        let cpu = stat(id).1;
        let (took, mut peak) = (Instant::now(), 0);
        self.until("a", || {
            peak = peak.max(resident(id));
            self.restored("a") == 12
        });
        let (took, cpu) = (took.elapsed(), stat(id).1.saturating_sub(cpu));
        let threads = [cpu_of(id, "restore"), cpu_of(id, "rdk:broker")];
        let orders = metric(&admin, "order_sync_store_orders");
        println!(
            "restore: {orders} orders in {:.1} s, {:.0}/s; {:.1} us of CPU each, {:.1} of them the restore thread, {:.1} \
             librdkafka; at most {:.0} MB",
            took.as_secs_f64(),
            orders / took.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / orders,
            threads[0].as_secs_f64() * 1e6 / orders,
            threads[1].as_secs_f64() * 1e6 / orders,
            megabytes(peak),
        );
    }

    /// A worker with all of its orders in the store takes events of them at an even pace.
    fn steady(&self) {
        let count = STEADY_PER_SECOND * usize::try_from(STEADY.as_secs()).unwrap();
        let events = Log::later(self.orders, count);
        let (worker, admin) = self.spawn("a", &[]);
        let id = worker.0.id();
        self.until("a", || self.restored("a") == 12);
        let producer = Producer::connect(self.broker.brokers()).unwrap();
        let (before, commit_cpu, cpu) = (self.applied(), cpu_of(id, "commit"), stat(id).1);
        let (began, mut sizes, mut sent_at) = (Instant::now(), Vec::new(), HashMap::new());
        let mut sent = 0;
        while began.elapsed() < STEADY && sent < events.records.len() {
            let ms = usize::try_from(began.elapsed().as_millis()).unwrap();
            let due = (ms * STEADY_PER_SECOND / 1_000).min(events.records.len());
            let now_ms = u64::try_from(order_sync::app::worker::wall_ms()).unwrap();
            for record in &events.records[sent..due] {
                sent_at.insert(String::from_utf8(record.key.clone().unwrap()).unwrap(), now_ms);
            }
            send(&producer, &self.topic, &events.records[sent..due]);
            sent = due;
            sizes.push(resident(id));
            std::thread::park_timeout(Duration::from_millis(20));
        }
        let pushes = u64::try_from(sent).unwrap();
        self.until("a", || self.applied() >= before + pushes);
        let (sum, commits) =
            (metric(&admin, "order_sync_commit_seconds_sum"), metric(&admin, "order_sync_commit_seconds_count"));
        let half = sizes.len() / 2;
        sizes.drain(..half);
        let mean = sizes.iter().map(|size| megabytes(*size)).sum::<f64>() / number(sizes.len());
        let per = |cpu: Duration| cpu.as_secs_f64() * 1e6 / number(sent);
        println!(
            "steady: {:.0} orders in the store, {sent} events at {STEADY_PER_SECOND}/s: {commits} commits of {:.1} ms; per \
             event {:.1} us of CPU, {:.1} of them the commit thread; memory {mean:.0} MB, at most {:.0} MB",
            metric(&admin, "order_sync_store_orders"),
            sum * 1e3 / commits,
            per(stat(id).1.saturating_sub(cpu)),
            per(cpu_of(id, "commit").saturating_sub(commit_cpu)),
            megabytes(sizes.iter().copied().max().unwrap()),
        );
        let mut waits = self.platform.waits(&sent_at);
        waits.sort_unstable();
        let at = |part: usize| waits[(waits.len() - 1) * part / 1_000];
        println!(
            "latency: from the producer's send to the sandbox's acceptance, {} orders: p50 {} ms, p90 {} ms, p99 {} ms, p99.9 {} ms, \
             at most {} ms",
            waits.len(),
            at(500),
            at(900),
            at(990),
            at(999),
            at(1_000),
        );
    }
}

pub(crate) fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

pub(crate) fn megabytes(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap()) * 1024.0 / 1e6
}

/// A metric of a running worker.
pub(crate) fn metric(admin: &str, name: &str) -> f64 {
    let text = get(admin, "/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}
