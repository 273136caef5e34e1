//! Workers that share tokens through a real Kafka: the sandbox counts who fetches, and nobody is evicted.

#![expect(clippy::wildcard_enum_match_arm, reason = "tests stop at what they do not expect")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use order_sync::config::{App, Kafka, Secret};
use order_sync::douyin::OutcomeTable;
use order_sync::douyin::token::{Fault, Refused};
use order_sync::http::{GroupMail, GroupTokens, HttpEdge};
use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::kafka::token_topic::TokenTopic;
use order_sync::kafka::topics::{Ensured, Topics};
use order_sync::order::{AppId, OrderType, TimeUnit};
use order_sync::sandbox::{Sandbox, SandboxHandle, SandboxOptions};
use order_sync::sync::ports::{AttemptStart, Attempts, Closed, Inbox, Input, Ticket, TokenFrom, TokenGeneration};
use order_sync::sync::token::TokenDesk;
use order_sync::sync::token_log::TokenLog as _;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::runtime::Runtime;

use crate::http_harness::{APP, REQUEST, douyin};
use crate::support::NOBODY;
use crate::support::kafka::{eventually, settings};
use crate::support::real_kafka::RealKafka;

const SECRET: &str = "canary-secret-77aa";
const WORKERS: usize = 8;
/// What the sandbox says of a token that is dead or unknown.
const REFUSED_TOKEN: [i64; 2] = [40002, 40014];

struct Queue(SyncSender<Input>);

impl Inbox for Queue {
    fn send(&self, input: Input) -> Result<(), Closed> {
        self.0.send(input).map_err(|_| Closed)
    }
}

/// A worker's edge, its topic, and the desk of its engine.
struct Worker {
    edge: HttpEdge,
    topic: TokenTopic,
    inputs: Receiver<Input>,
    desk: TokenDesk,
    began: Instant,
    pushing: bool,
    from_platform: usize,
    from_group: usize,
    refusals: Vec<String>,
}

impl Worker {
    fn start(kafka: &Kafka, url: &str, secret: &str, runtime: &Runtime) -> Self {
        let (sender, inputs) = sync_channel(4_096);
        let app = App {
            app_id: AppId::new(APP),
            secret: Secret::Inline(secret.into()),
            client_key: None,
            order_types: OrderType::ALL.to_vec(),
            update_time_unit: TimeUnit::Seconds,
        };
        let (douyin, table) = (douyin(url), Arc::new(OutcomeTable::built_in().unwrap()));
        let inbox = Arc::new(Queue(sender));
        let edge = HttpEdge::new(&douyin, &[app], 8, table, runtime.handle().clone(), inbox).unwrap();
        let mail = GroupMail::new();
        let topic = TokenTopic::start(kafka, Box::new(mail.reader())).unwrap();
        let tokens = GroupTokens { group: kafka.group_id.clone(), log: Box::new(topic.writer()), mail };
        Self {
            edge: edge.sharing(tokens, &douyin),
            topic,
            inputs,
            desk: TokenDesk::default(),
            began: Instant::now(),
            pushing: false,
            from_platform: 0,
            from_group: 0,
            refusals: Vec::new(),
        }
    }

    fn listen(&mut self) {
        let now = self.began.elapsed();
        while let Ok(input) = self.inputs.try_recv() {
            match input {
                Input::TokenFetched { token, lifetime, from, .. } => {
                    self.desk.fetched(token, lifetime, now);
                    match from {
                        TokenFrom::Platform | TokenFrom::Company { .. } => self.from_platform += 1,
                        TokenFrom::Group => self.from_group += 1,
                    }
                }
                Input::TokenRefused { refused: Refused { message, .. }, .. } => {
                    self.desk.fetch_failed(&message, Fault::Giver, Duration::from_secs(1), now);
                    self.refusals.push(message);
                }
                Input::Attempted { .. } => self.pushing = false,
                other => panic!("not of a token: {other:?}"),
            }
        }
    }

    fn ask(&mut self) {
        self.edge.fetch_token(&AppId::new(APP), self.desk.generation());
    }

    /// What the engine does: a fetch when one is due, one push after another.
    fn live(&mut self) {
        self.listen();
        let now = self.began.elapsed();
        if self.desk.start_fetch(now) {
            self.ask();
        }
        if self.desk.is_usable(now) && !self.pushing {
            self.pushing = true;
            let request = REQUEST.as_bytes().into();
            self.edge.start(AttemptStart { ticket: Ticket(1), app_id: AppId::new(APP), request });
        }
    }
}

struct Fleet {
    kafka: Kafka,
    sandbox: SandboxHandle,
    runtime: Runtime,
    workers: Vec<Worker>,
}

impl Fleet {
    fn start(kafka: &RealKafka, workers: usize, lifetime: Duration) -> Self {
        let group = RealKafka::name("sharing");
        let kafka = settings(&kafka.brokers, &group, &[]);
        let topics = Topics::connect(&kafka).unwrap();
        eventually("the token topic is there", || matches!(topics.ensure_tokens(&kafka), Ok(Ensured::Present(1))));
        let options = SandboxOptions {
            token_lifetime: lifetime,
            token_retirement: Duration::from_secs(3),
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let url = sandbox.base_url();
        let workers = (0..workers).map(|_| Worker::start(&kafka, &url, SECRET, &runtime)).collect();
        Self { kafka, sandbox, runtime, workers }
    }

    fn join(&mut self, secret: &str) -> &mut Worker {
        self.workers.push(Worker::start(&self.kafka, &self.sandbox.base_url(), secret, &self.runtime));
        self.workers.last_mut().unwrap()
    }

    fn issued(&self) -> u64 {
        self.sandbox.report().tokens_issued.values().sum()
    }

    fn refused_for_their_token(&self) -> u64 {
        let report = self.sandbox.report();
        REFUSED_TOKEN.iter().filter_map(|code| report.err_codes.get(code)).sum()
    }

    /// Everybody asks at once for a newer token than the one at hand, and gets it.
    fn all_ask(&mut self) {
        let generations: Vec<TokenGeneration> = self.workers.iter().map(|w| w.desk.generation()).collect();
        self.workers.iter_mut().for_each(Worker::ask);
        eventually("everybody has a newer token", || {
            self.workers.iter_mut().for_each(Worker::listen);
            self.workers.iter().zip(&generations).all(|(worker, before)| worker.desk.generation() > *before)
        });
    }

    /// Every record of the topic: key and value.
    fn records(&self) -> Vec<(String, Vec<u8>)> {
        records(&self.kafka.brokers, &self.kafka.token_topic())
    }
}

/// Everything that lies in a token topic.
pub(crate) fn records(brokers: &str, topic: &str) -> Vec<(String, Vec<u8>)> {
    let consumer: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "looks")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(topic, 0, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let mut records = Vec::new();
    while let Ok(message) = consumer.poll(Duration::from_secs(20)).unwrap() {
        let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
        records.push((key, message.payload().unwrap().to_vec()));
    }
    records
}

fn contains(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

#[test]
fn real_kafka_eight_workers_that_ask_at_once_are_served_by_one_fetch() {
    let Some(kafka) = RealKafka::shared() else { return };
    let mut fleet = Fleet::start(kafka, WORKERS, Duration::from_secs(7_200));
    for round in 1..=6 {
        fleet.all_ask();
        assert_eq!(fleet.issued(), round, "one fetch for all");
    }
    let fetchers: usize = fleet.workers.iter().map(|worker| worker.from_platform).sum();
    assert_eq!(fetchers, 6);
    assert!(fleet.workers.iter().all(|worker| worker.from_platform + worker.from_group == 6));
    // One that starts later finds the token there.
    fleet.join(SECRET).ask();
    eventually("the ninth has the token", || {
        let ninth = fleet.workers.last_mut().unwrap();
        ninth.listen();
        ninth.from_group == 1
    });
    assert_eq!(fleet.issued(), 6);
    assert!(fleet.workers.iter().all(|worker| worker.refusals.is_empty()));
}

#[test]
fn real_kafka_eight_workers_fetch_twice_in_a_lifetime_and_no_push_is_refused_for_its_token() {
    let Some(kafka) = RealKafka::shared() else { return };
    let lifetime = Duration::from_secs(12);
    let mut fleet = Fleet::start(kafka, WORKERS, lifetime);
    let began = Instant::now();
    while began.elapsed() < lifetime * 5 / 2 {
        fleet.workers.iter_mut().for_each(Worker::live);
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let report = fleet.sandbox.report();
    let seen: Vec<Duration> = report.recent_tokens.iter().map(|token| Duration::from_millis(token.at_ms)).collect();
    // A life begins when its token is asked for, which is a little before it is given out.
    let window = lifetime.checked_sub(Duration::from_millis(500)).unwrap();
    let within = |from: Duration| seen.iter().filter(|at| **at >= from && **at < from + window).count();
    assert!(seen.iter().all(|from| within(*from) <= 2), "{seen:?}");
    assert!(seen.len() >= 4, "tokens were refreshed: {seen:?}");
    assert!(report.endpoints["/api/apps/order/v2/push"] > 1_000, "{:?}", report.endpoints);
    assert_eq!(fleet.refused_for_their_token(), 0, "{:?}", report.err_codes);
}

#[test]
fn real_kafka_a_fetcher_that_is_gone_is_replaced_and_its_token_stays() {
    let Some(kafka) = RealKafka::shared() else { return };
    let mut fleet = Fleet::start(kafka, 3, Duration::from_secs(7_200));
    fleet.all_ask();
    let fetcher = fleet.workers.iter().position(|worker| worker.from_platform == 1).unwrap();
    drop(fleet.workers.remove(fetcher));
    fleet.workers.iter_mut().for_each(Worker::live);
    assert_eq!(fleet.issued(), 1);
    // Evicted from outside, before its time: one of those left fetches for both.
    assert_eq!(fleet.sandbox.evict_tokens(None), 1);
    fleet.all_ask();
    assert_eq!(fleet.issued(), 2);
}

#[test]
fn real_kafka_what_is_shared_is_sealed_and_what_does_not_open_is_ignored() {
    let Some(kafka) = RealKafka::shared() else { return };
    let mut fleet = Fleet::start(kafka, 2, Duration::from_secs(7_200));
    fleet.all_ask();
    let records = fleet.records();
    let keys: HashSet<&str> = records.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, HashSet::from(["hello", "tt0001/claim", "tt0001/token"]));
    for (key, value) in &records {
        for canary in ["0801121", "canary", SECRET, "access_token", "member"] {
            assert!(!contains(value, canary), "{canary} in {key}");
        }
    }
    let token = records.iter().find(|(key, _)| key.ends_with("token")).unwrap();
    // Tampered with, put under another key, made up: nobody takes it over, and nobody is held up by it.
    let producer = Producer::connect(&fleet.kafka.brokers).unwrap();
    let topic = fleet.kafka.token_topic();
    let mut tampered = token.1.clone();
    *tampered.last_mut().unwrap() ^= 1;
    for (key, value) in [("tt0001/token", &tampered), ("tt0001/claim", &token.1), ("tt0001/token", &b"junk".to_vec())] {
        let outgoing =
            Outgoing { partition: Some(0), key: Some(key.as_bytes()), value: Some(value), ..Outgoing::default() };
        producer.send(&topic, outgoing).unwrap();
    }
    producer.flush().unwrap();
    fleet.all_ask();
    assert_eq!(fleet.issued(), 2);
    // Another secret opens nothing: its worker fetches for itself, and the others do not see it.
    let before: Vec<usize> = fleet.workers.iter().map(|worker| worker.from_group).collect();
    fleet.join("another-secret").ask();
    eventually("it has a token of its own", || {
        let other = fleet.workers.last_mut().unwrap();
        other.listen();
        other.from_platform == 1
    });
    assert_eq!(fleet.issued(), 3);
    fleet.workers.iter_mut().for_each(Worker::listen);
    assert_eq!(before, fleet.workers[..2].iter().map(|worker| worker.from_group).collect::<Vec<_>>());
    drop(fleet.workers.pop().map(|other| other.topic));
}

#[test]
fn a_log_that_cannot_be_reached_is_told_and_nothing_is_fetched() {
    let sandbox = Sandbox::start(SandboxOptions::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let kafka = settings(NOBODY, "cut-off", &[]);
    let mut worker = Worker::start(&kafka, &sandbox.base_url(), SECRET, &runtime);
    worker.ask();
    eventually("the engine is told", || {
        worker.listen();
        !worker.refusals.is_empty()
    });
    assert!(worker.refusals[0].contains("cannot be shared"), "{:?}", worker.refusals);
    assert_eq!(sandbox.report().tokens_issued.values().sum::<u64>(), 0);
}

/// The topic is deleted where workers may not make it: soon it is said what to do, and when it is there again, they share.
#[test]
fn real_kafka_a_token_topic_that_may_not_be_made_is_told_with_what_to_do() {
    let Some(kafka) = RealKafka::shared() else { return };
    let mut fleet = Fleet::start(kafka, 0, Duration::from_secs(7_200));
    fleet.kafka.create_topics = false;
    for _ in 0..2 {
        fleet.join(SECRET);
    }
    fleet.all_ask();
    kafka.delete(&fleet.kafka.token_topic());
    for worker in &fleet.workers {
        let told = || worker.topic.writer().trouble().is_some_and(|words| words.contains("`order-sync topics create`"));
        eventually("it is told", told);
    }
    let may = Kafka { create_topics: true, ..fleet.kafka.clone() };
    let topics = Topics::connect(&may).unwrap();
    eventually("it is there again", || matches!(topics.ensure_tokens(&may), Ok(Ensured::Present(1))));
    eventually("it is read again", || fleet.workers.iter().all(|worker| worker.topic.writer().trouble().is_none()));
    fleet.all_ask();
    assert_eq!(fleet.issued(), 2);
}
