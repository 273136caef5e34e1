//! A worker that stands still in the midst of a transaction: its records are in the changelog, and nothing says yet whether
//! they count. Who takes its partition over has to wait for that.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

use order_sync::app::worker::wall_ms;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::Value;

use super::fleet::Fleet;
use super::stage::Stage;
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

/// A transaction that is left alone is over by then, however slow the machine is.
const LEFT_ALONE: Duration = Duration::from_millis(500);
/// What was on its way to the platform when the worker was stopped has arrived by then.
const ON_ITS_WAY_MS: u64 = 1500;
/// How long a worker that was caught in a transaction may be looked for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What becomes of the worker that stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It dies. The broker ends the transaction when its time is up.
    Dies,
    /// It goes on when another one has its partition, and ends its transaction itself, one way or the other.
    GoesOn,
}

/// One partition of the changelog, as both kinds of readers see its end.
struct Ends {
    topic: String,
    partition: i32,
    uncommitted: BaseConsumer,
    committed: BaseConsumer,
}

impl Ends {
    fn new(kafka: &RealKafka, topic: String, partition: i32) -> Self {
        let reader = |isolation: &str| {
            let mut config = ClientConfig::new();
            config.set("bootstrap.servers", &kafka.brokers).set("isolation.level", isolation);
            config.create().unwrap()
        };
        Self { topic, partition, uncommitted: reader("read_uncommitted"), committed: reader("read_committed") }
    }

    /// Where the transaction begins that is open now.
    fn open_at(&self) -> Option<i64> {
        let end = |reader: &BaseConsumer| reader.fetch_watermarks(&self.topic, self.partition, PATIENCE).unwrap().1;
        // In this order: what is committed between the two looks is not taken for open.
        let written = end(&self.uncommitted);
        let stable = end(&self.committed);
        (stable < written).then_some(stable)
    }
}

/// How often the workers have said so of each partition.
fn said(stage: &Stage, words: &str) -> BTreeMap<i64, usize> {
    let mut partitions = BTreeMap::new();
    for line in stage.log().lines().filter(|line| line.contains(words)) {
        // The last line may be in the making.
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        if let Some(partition) = line["partition"].as_i64() {
            *partitions.entry(partition).or_default() += 1;
        }
    }
    partitions
}

/// Makes a worker write the records of a commit one by one, many at a time, so that it is in the midst of a transaction for
/// a good while.
pub const SLOW_COMMITS: [&str; 3] = [
    "--set=kafka.properties.batch.num.messages=1",
    "--set=kafka.properties.max.in.flight.requests.per.connection=1",
    "--set=kafka.commit_interval=1s",
];

/// How often a broker looks for transactions whose time is up, and how long after such a look a worker is stopped: one that has begun
/// since then has its 10 s until the look after the next one, and the other worker is given the partition long before that.
const LOOKS_EVERY_MS: u128 = 10_000;
const STOPPED_AFTER_MS: std::ops::Range<u128> = 4_000..6_000;

/// When the broker has looked for transactions whose time is up: a short one is left open until it has ended that.
pub fn looked(kafka: &RealKafka) -> Instant {
    let topic = kafka.topic("looks", 1, &[]);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.brokers).set("transactional.id", &topic);
    let producer: BaseProducer = config.set("transaction.timeout.ms", "3000").create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::to(&topic).partition(0).key("a").payload("a")).unwrap();
    let ends = Ends::new(kafka, topic, 0);
    eventually("a transaction is open", || {
        producer.poll(Duration::ZERO);
        ends.open_at().is_some()
    });
    eventually("its time is up", || ends.open_at().is_none());
    Instant::now()
}

/// Stops a worker in the midst of a transaction, which stays open. Says when.
fn stop_in_transaction(worker: &Child, ends: &Ends, looked: Instant) -> u64 {
    let since = Instant::now();
    let mut tries = 0;
    loop {
        assert!(since.elapsed() < PATIENCE, "no transaction was caught in {tries} tries");
        let is_time = STOPPED_AFTER_MS.contains(&(looked.elapsed().as_millis() % LOOKS_EVERY_MS));
        if !is_time {
            std::thread::park_timeout(Duration::from_millis(5));
            continue;
        }
        if ends.open_at().is_none() {
            continue;
        }
        Stage::signal(worker, "-STOP");
        tries += 1;
        let caught = ends.open_at();
        if caught.is_some() {
            // It may have asked for the end already: then the broker ends it.
            std::thread::park_timeout(LEFT_ALONE);
            if ends.open_at() == caught {
                println!("caught in a transaction at {caught:?}, after {tries} tries");
                return u64::try_from(wall_ms()).unwrap();
            }
        }
        Stage::signal(worker, "-CONT");
    }
}

impl Fleet<'_> {
    /// The first worker is stopped in a transaction that stays open; the other one takes its partitions over. Until the
    /// transaction is decided it restores nothing of the partition and pushes nothing of it.
    pub fn take_over_from_one_in_a_transaction(&mut self, then: Then, looked: Instant) {
        let stage = self.stage;
        let moved = || said(stage, "assigned a partition").into_iter().filter(|(_, times)| *times > 1).count();
        eventually("the second worker has its half", || moved() == stage.expected.len() / 2);
        let assigned = said(stage, "assigned a partition");
        let (partition, _) = assigned.into_iter().find(|(_, times)| *times == 1).expect("the first one keeps some");
        let restored = || said(stage, "a partition is restored").get(&partition).copied().unwrap_or(0);
        let (before, kept) = (restored(), i32::try_from(partition).unwrap());
        let from_ms = wall_ms();
        let ends = Ends::new(self.kafka, format!("{}.changelog", stage.group), kept);
        let stopped_ms = stop_in_transaction(&self.workers[0], &ends, looked);
        self.say("worker 0", &format!("stopped in a transaction on partition {partition}"));
        if then == Then::Dies {
            self.workers[0].kill().unwrap();
            self.workers[0].wait().unwrap();
        }
        let (mut waited, mut went_on) = (false, false);
        let until = Instant::now() + PATIENCE;
        loop {
            let restored_now = restored();
            let open = ends.open_at();
            if open.is_none() {
                break;
            }
            // It was restored, and the transaction was open after that.
            assert_eq!(restored_now, before, "restored under an open transaction:\n{}", stage.last_words());
            waited |= said(stage, "a restore waits").contains_key(&partition);
            if waited && then == Then::GoesOn && !went_on {
                Stage::signal(&self.workers[0], "-CONT");
                went_on = true;
                self.say("worker 0", "goes on");
            }
            assert!(Instant::now() < until, "the transaction stays open");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let decided_ms = u64::try_from(wall_ms()).unwrap();
        self.say("changelog", &format!("decided after {} ms", decided_ms - stopped_ms));
        assert!(waited, "nobody has waited for the transaction:\n{}", stage.last_words());
        if then == Then::GoesOn {
            assert!(went_on, "the transaction's time was up before it could go on");
        } else {
            nothing_pushed(stage, kept, stopped_ms + ON_ITS_WAY_MS, decided_ms);
        }
        eventually("the other one has it", || restored() > before);
        self.note(from_ms);
        if then == Then::Dies {
            self.come_back(0, "comes back");
        }
    }
}

/// Nothing of this partition has come to the platform in that time.
fn nothing_pushed(stage: &Stage, partition: i32, from_ms: u64, until_ms: u64) {
    assert!(from_ms < until_ms);
    for (app, order) in stage.expected[&partition].pushes.keys() {
        for push in stage.sandbox.history(app, order) {
            let at = push.at_ms;
            assert!(at < from_ms || at > until_ms, "{app}/{order} was pushed under an open transaction: {push:?}");
        }
    }
}
