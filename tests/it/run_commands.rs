//! Operator commands on a real Kafka: written as a tool writes them, executed by workers that are killed at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use order_sync::kafka::command_writer::{CommandWriter, OutcomeWatch};
use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::kafka::topics::Topics;
use order_sync::order::AppId;
use order_sync::record::{RecordOffset, TopicPartition};
use order_sync::sync::command::{Action, Command, CommandDone, LetterPlace, Outcome};

use crate::run::{Site, produce, sandbox};
use crate::support::kafka::{eventually, settings};
use crate::support::real_kafka::RealKafka;

const LINES: &str = "properties = { \"session.timeout.ms\" = 6000 }";

#[expect(clippy::disallowed_methods, reason = "commands bear their giver's time, and the worker has the real one")]
fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A tool beside the workers.
struct Desk {
    source: TopicPartition,
    writer: CommandWriter,
    watch: OutcomeWatch,
    heard: BTreeMap<String, Vec<CommandDone>>,
}

impl Desk {
    fn new(site: &Site, kafka: &RealKafka, topic: &str) -> Self {
        let mut config = settings(&kafka.brokers, site.group(), &[topic]);
        config.exactly_once = true;
        let topics = Topics::connect(&config).unwrap();
        eventually("the topics are there", || topics.partition_count(&config.commands_topic()).unwrap().is_some());
        Self {
            source: TopicPartition::new(topic, 0),
            writer: CommandWriter::connect(&config).unwrap(),
            watch: OutcomeWatch::begin(&config, &BTreeSet::from([0])).unwrap(),
            heard: BTreeMap::new(),
        }
    }

    fn give(&self, id: &str, action: Action) {
        let source = self.source.clone();
        let (who, why, at_ms) = ("alice".into(), "面".into(), now_ms());
        self.writer.write(&[Command { id: id.into(), source, action, who, why, at_ms }]).unwrap();
    }

    /// Waits until each of these has told its outcome.
    fn hear(&mut self, ids: &[&str]) {
        eventually("every command has an outcome", || {
            for told in self.watch.hear(Duration::from_millis(100)).unwrap() {
                assert_eq!(told.source, self.source);
                self.heard.entry(told.id.to_string()).or_default().push(told.done);
            }
            ids.iter().all(|id| self.heard.contains_key(*id))
        });
    }

    fn outcome(&self, id: &str) -> Outcome {
        self.heard[id][0].outcome
    }
}

#[test]
fn real_kafka_commands_act_once_through_kills() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("commanded", 1, &[]);
    let pushes = u64::try_from(produce(kafka, &topic, 60)).unwrap();
    let orders: BTreeSet<String> =
        kafka.read_all(&topic).into_iter().map(|(_, r)| String::from_utf8(r.key.unwrap().into()).unwrap()).collect();
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::with(&kafka.brokers, &topic, &sandbox.base_url(), LINES);
    let mut worker = site.spawn(&[]);
    eventually("all is applied", || sandbox.report().applied == pushes);
    let mut desk = Desk::new(&site, kafka, &topic);
    let resync = |order: &str| Action::Resync { app_id: AppId::new("tt1"), order_id: order.into() };
    let mut rng = fastrand::Rng::new();
    let mut ids = Vec::new();
    for (n, order) in orders.iter().take(40).enumerate() {
        ids.push(format!("resync-{n}"));
        desk.give(&ids[n], resync(order));
        if n % 2 == 0 {
            // Whoever did not hear an answer gives it again.
            desk.give(&ids[n], resync(order));
        }
        if n % 12 == 5 {
            std::thread::park_timeout(Duration::from_millis(rng.u64(0..250)));
            worker.kill().unwrap();
            worker.wait().unwrap();
            if n == 17 {
                // The next one has nothing but what is in Kafka.
                std::fs::remove_dir_all(site.home().join("store")).unwrap();
            }
            worker = site.spawn(&[]);
        }
    }
    let waited: Vec<&str> = ids.iter().map(String::as_str).collect();
    desk.hear(&waited);
    worker.kill().unwrap();
    worker.wait().unwrap();
    let mut worker = site.spawn(&["--until-caught-up"]);
    eventually("the worker has caught up", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(0), "{}", site.log());
    let report = sandbox.report();
    assert_eq!(
        (report.applied, report.violations_total),
        (pushes + 40, 0),
        "each order has one stamp more\n{}",
        site.log()
    );
    for (id, told) in &desk.heard {
        assert!(told.iter().all(|done| *done == told[0]), "{id} has two outcomes: {told:?}");
        assert_eq!(told[0].outcome, Outcome::Sent, "{told:?}");
    }
}

#[test]
fn real_kafka_letters_are_redriven_and_discarded_and_an_app_is_paused() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("redriven", 1, &[]);
    let producer = Producer::connect(&kafka.brokers).unwrap();
    let garbage = |value: &'static [u8]| Outgoing {
        partition: Some(0),
        key: Some(b"A"),
        value: Some(value),
        ..Outgoing::default()
    };
    producer.send(&topic, garbage(b"no event")).unwrap();
    producer.send(&topic, garbage(b"{}")).unwrap();
    producer.flush().unwrap();
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::with(&kafka.brokers, &topic, &sandbox.base_url(), LINES);
    let mut worker = site.spawn(&[]);
    let dead_letters = format!("{}.dead-letters", site.group());
    eventually("both are letters", || site.log().matches("dead letter").count() >= 2);
    let mut desk = Desk::new(&site, kafka, &topic);
    let at = RecordOffset::new;
    let place = kafka.read_all(&dead_letters)[0].1.offset.get();
    let letter = Some(LetterPlace { partition: 0, offset: place });
    // The source no longer has the record: its letter has.
    kafka.delete_records(&topic, 0, 1);
    desk.give("again", Action::Redrive { offset: at(0), letter });
    desk.give("gone", Action::Redrive { offset: at(0), letter: None });
    desk.give("discard", Action::Discard { offset: at(1) });
    desk.give("beyond", Action::Fold { offset: at(2) });
    desk.give("pause", Action::Pause { app_id: AppId::new("tt1") });
    desk.hear(&["again", "gone", "discard", "beyond", "pause"]);
    let outcomes = ["again", "gone", "discard", "beyond", "pause"].map(|id| desk.outcome(id));
    assert_eq!(
        outcomes,
        [Outcome::DeadLetter, Outcome::Refused, Outcome::Done, Outcome::Refused, Outcome::Done],
        "{:?}",
        desk.heard
    );
    let paused = |site: &Site| site.get("/readyz").is_some_and(|(_, body)| body.contains("\"paused\":{\"tt1\":1}"));
    eventually("readiness shows the pause", || paused(&site));
    let times = |record: &order_sync::record::Record| {
        let header = record.headers.iter().find(|header| header.name == "order-sync.times").unwrap();
        String::from_utf8(header.value.as_deref().unwrap().to_vec()).unwrap()
    };
    let letters: Vec<_> =
        kafka.read_all(&dead_letters).into_iter().map(|(_, r)| (r.value.clone(), times(&r))).collect();
    let again: Box<[u8]> = b"no event"[..].into();
    assert_eq!((letters.len(), &letters[2]), (3, &(Some(again), "2".to_owned())));
    // A kill, another worker, an empty store: the app stays paused, and what comes waits.
    worker.kill().unwrap();
    worker.wait().unwrap();
    std::fs::remove_dir_all(site.home().join("store")).unwrap();
    let pushes = u64::try_from(produce(kafka, &topic, 5)).unwrap();
    let mut worker = site.spawn(&[]);
    eventually("readiness shows the pause again", || paused(&site));
    let owed = format!("order_sync_owed_deliveries{{app_id=\"tt1\"}} {pushes}\n");
    eventually("what came is owed", || site.get("/metrics").is_some_and(|(_, text)| text.contains(&owed)));
    assert_eq!(sandbox.report().received, 0);
    desk.give("resume", Action::Resume { app_id: AppId::new("tt1") });
    eventually("all is applied", || sandbox.report().applied == pushes);
    assert_eq!(crate::run::terminate(&mut worker), Some(0), "{}", site.log());
}
