//! A world for the real engine: a store, a commit thread, a platform and a clock that the test holds in its hands.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use order_sync::douyin::verdict::Exchange;
use order_sync::order::AppId;
use order_sync::record::{NextOffset, Record, RecordOffset, TopicPartition};
use order_sync::sync::engine::{Ended, Engine, Turn};
use order_sync::sync::ports::{Assigned, AttemptStart, Epoch, Input, PortError, StartAt, TokenFrom, TokenGeneration};
use order_sync::sync::rules::Now;
use order_sync::sync::status::{AppStatus, Status, StatusBoard};
use order_sync::sync::sweep::{Swept, sweep};
use order_sync::sync::{DeadLetter, IntakeBudget};
use order_sync::telemetry::Meters;

use super::fakes::{Asked, Edge, FakeStore};
pub use super::fakes::{answer, event, ok};
pub use super::scene::{Scene, Truth, engine};

pub const WALL_MS: i64 = 1_800_000_000_000;

/// The engine and everything around it.
pub struct World {
    pub engine: Engine,
    pub board: Arc<StatusBoard>,
    pub meters: Meters,
    pub store: FakeStore,
    pub budget: Arc<IntakeBudget>,
    pub asked: Arc<Mutex<Asked>>,
    pub now: Now,
    /// Every attempt that was started, as (app, request).
    pub sent: Vec<(AppId, String)>,
    pub letters: Vec<DeadLetter>,
    pub tokens: HashMap<AppId, u64>,
    /// How long a token is good for that is fetched.
    pub token_lifetime: Duration,
    next_offset: HashMap<TopicPartition, i64>,
    epoch: u64,
    pub ended: Option<Ended>,
    /// How many partitions all topics of the group have.
    partitions_of_group: usize,
}

impl World {
    pub fn new(scene: &Scene, store: FakeStore) -> Self {
        let edge = Edge::default();
        let asked = Arc::clone(&edge.0);
        let budget = Arc::new(IntakeBudget::new(usize::MAX));
        let (meters, board) = (Meters::default(), Arc::new(StatusBoard::default()));
        let reader = Arc::new(store.clone());
        let engine = engine(scene, reader, edge, Arc::clone(&budget), meters.clone(), Arc::clone(&board));
        Self {
            engine,
            board,
            meters,
            store,
            budget,
            asked,
            now: Now { mono: Duration::ZERO, wall_ms: WALL_MS },
            sent: Vec::new(),
            letters: Vec::new(),
            tokens: HashMap::new(),
            token_lifetime: Duration::from_secs(7200),
            next_offset: HashMap::new(),
            epoch: 0,
            ended: None,
            partitions_of_group: 2,
        }
    }

    /// A world with one assigned partition, `orders/0` of a topic of two.
    pub fn with_partition(scene: &Scene) -> (Self, TopicPartition) {
        Self::with_share(scene, 2)
    }

    /// The same where all topics of the group have so many partitions.
    pub fn with_share(scene: &Scene, partitions_of_group: usize) -> (Self, TopicPartition) {
        let mut world = Self::new(scene, FakeStore::default());
        world.partitions_of_group = partitions_of_group;
        let source = TopicPartition::new("orders", 0);
        assert_eq!(world.assign(&source, 0), StartAt::Fresh);
        (world, source)
    }

    /// Assigns a partition; `end` is the broker's end.
    pub fn assign(&mut self, source: &TopicPartition, end: i64) -> StartAt {
        let receiver = self.offer(source);
        let start = receiver.try_recv().expect("answered at once").unwrap()[0];
        self.start_reading(source, start, end);
        start
    }

    pub fn offer(&mut self, source: &TopicPartition) -> Receiver<Result<Vec<StartAt>, PortError>> {
        self.epoch += 1;
        let (reply, receiver) = sync_channel(1);
        let partitions_of_group = self.partitions_of_group;
        let partitions = vec![Assigned { source: source.clone(), partitions_of_topic: 2, partitions_of_group }];
        self.handle(Input::Assigned { epoch: Epoch(self.epoch), partitions, reply });
        receiver
    }

    /// The group takes the partition; the answer comes when it is let go.
    pub fn revoke(&mut self, source: &TopicPartition) -> Receiver<()> {
        self.take_away(source, false)
    }

    /// The group has given it to another already.
    pub fn lose(&mut self, source: &TopicPartition) -> Receiver<()> {
        self.take_away(source, true)
    }

    fn take_away(&mut self, source: &TopicPartition, lost: bool) -> Receiver<()> {
        let (reply, released) = sync_channel(1);
        self.handle(Input::Revoked { partitions: vec![source.clone()], lost, reply });
        released
    }

    fn start_reading(&mut self, source: &TopicPartition, start: StartAt, end: i64) {
        let at = match start {
            StartAt::Position(next) | StartAt::Behind(next, _) => next,
            StartAt::Fresh | StartAt::Later => NextOffset::new(0),
        };
        self.next_offset.insert(source.clone(), at.get());
        let (epoch, high_watermark) = (Epoch(self.epoch), NextOffset::new(end));
        self.handle(Input::Started { epoch, source: source.clone(), at, high_watermark });
    }

    /// Reading has started at the partition's position; `end` is the broker's end.
    pub fn started(&mut self, source: &TopicPartition, end: i64) {
        let (epoch, high_watermark) = (Epoch(self.epoch), NextOffset::new(end));
        self.handle(Input::Started { epoch, source: source.clone(), at: NextOffset::new(0), high_watermark });
    }

    /// The same of a partition of an earlier assignment, at its position.
    pub fn read_on(&mut self, epoch: u64, source: &TopicPartition, at: i64) {
        self.next_offset.insert(source.clone(), at);
        let (epoch, at, high_watermark) = (Epoch(epoch), NextOffset::new(at), NextOffset::new(at + 100_000));
        self.handle(Input::Started { epoch, source: source.clone(), at, high_watermark });
    }

    pub fn handle(&mut self, input: Input) {
        self.engine.handle(input, self.now);
    }

    /// Records with these values, keyed by their order id.
    pub fn produce(&mut self, source: &TopicPartition, values: &[String]) {
        self.produce_in(Epoch(self.epoch), source, values);
    }

    /// The offset of the next record that is produced.
    pub fn goes_on_at(&mut self, source: &TopicPartition, next: i64) {
        self.next_offset.insert(source.clone(), next);
    }

    /// The same, of an assignment that need not be the latest.
    pub fn produce_in(&mut self, epoch: Epoch, source: &TopicPartition, values: &[String]) {
        let next = self.next_offset.get_mut(source).unwrap();
        let mut records = Vec::new();
        for value in values {
            let key = serde_json::from_str::<serde_json::Value>(value)
                .ok()
                .and_then(|event| event["order_id"].as_str().map(|id| id.as_bytes().to_vec().into_boxed_slice()));
            records.push(Record {
                offset: RecordOffset::new(*next),
                timestamp_ms: Some(WALL_MS),
                key,
                value: Some(value.as_bytes().to_vec().into_boxed_slice()),
                headers: Vec::new(),
            });
            *next += 1;
        }
        assert!(self.budget.try_draw(records.iter().map(IntakeBudget::cost).sum()));
        self.handle(Input::Records { epoch, source: source.clone(), records });
    }

    /// Takes turns until the engine has nothing to do at this moment.
    pub fn turn(&mut self) {
        if self.ended.is_some() {
            return;
        }
        for _ in 0..100_000 {
            match self.engine.turn(self.now) {
                Turn::Busy => {}
                Turn::Until(_) => return,
                Turn::Ended(ended) => {
                    self.ended = Some(ended);
                    return;
                }
            }
        }
        panic!("the engine does not come to rest");
    }

    /// The engine's snapshot as of now.
    pub fn status(&mut self) -> Status {
        self.pass(Duration::from_millis(300));
        self.turn();
        self.board.read()
    }

    /// Finishes the commit under way.
    pub fn finish_commit(&mut self) -> bool {
        let Some(cut) = self.asked.lock().unwrap().cuts.pop_front() else { return false };
        self.store.apply(&cut);
        self.letters.extend(cut.parts.iter().flat_map(|part| part.layer.letters().to_vec()));
        self.handle(Input::Committed(Ok(())));
        true
    }

    /// Folds what came and has a token at hand; the commit is under way, and a second has passed.
    pub fn until_commit(&mut self) {
        self.turn();
        self.answer_tokens();
        self.pass(Duration::from_secs(1));
        self.turn();
    }

    /// The same with the commit durable: its deliveries are under way.
    pub fn until_started(&mut self) {
        self.until_commit();
        self.finish_commit();
        self.turn();
    }

    pub fn answer_tokens(&mut self) {
        let fetches = std::mem::take(&mut self.asked.lock().unwrap().fetches);
        for app_id in fetches {
            let generation = self.tokens.entry(app_id.clone()).or_default();
            *generation += 1;
            let (token, lifetime) = (TokenGeneration(*generation), self.token_lifetime);
            self.handle(Input::TokenFetched { app_id, token, lifetime, from: TokenFrom::Platform });
        }
    }

    /// Looks through the pages of the store that the engine asked for.
    pub fn answer_sweeps(&mut self) -> usize {
        let asks = std::mem::take(&mut self.asked.lock().unwrap().sweeps);
        let count = asks.len();
        for ask in asks {
            let page = sweep(&self.store, &ask);
            self.handle(Input::Swept(Swept { epoch: ask.epoch, source: ask.source, page }));
        }
        count
    }

    /// Answers every attempt under way.
    pub fn answer_attempts(&mut self, platform: &mut dyn FnMut(&AttemptStart) -> Exchange) -> usize {
        let attempts = std::mem::take(&mut self.asked.lock().unwrap().attempts);
        let count = attempts.len();
        for attempt in attempts {
            let exchange = platform(&attempt);
            self.sent.push((attempt.app_id.clone(), String::from_utf8(attempt.request.to_vec()).unwrap()));
            let token = TokenGeneration(self.tokens.get(&attempt.app_id).copied().unwrap_or(0));
            let latency = Duration::from_millis(3);
            self.handle(Input::Attempted { ticket: attempt.ticket, token, exchange, latency });
        }
        count
    }

    /// Lets `time` pass in steps of 10 ms, with every commit durable and every attempt answered at once.
    pub fn run(&mut self, time: Duration, platform: &mut dyn FnMut(&AttemptStart) -> Exchange) {
        self.run_in_steps(time, Duration::from_millis(10), platform);
    }

    pub fn run_in_steps(
        &mut self,
        time: Duration,
        step: Duration,
        platform: &mut dyn FnMut(&AttemptStart) -> Exchange,
    ) {
        let end = self.now.mono + time;
        while self.now.mono < end && self.ended.is_none() {
            self.turn();
            self.answer_tokens();
            self.answer_sweeps();
            while self.answer_attempts(platform) > 0 {
                self.turn();
            }
            self.finish_commit();
            self.pass(step);
        }
        if self.ended.is_none() {
            self.turn();
        }
    }

    /// Lets `time` pass on a platform that takes `latency` for every answer; commits are durable as late.
    pub fn run_with_latency(
        &mut self,
        time: Duration,
        latency: Duration,
        platform: &mut dyn FnMut(&AttemptStart) -> Exchange,
    ) {
        let end = self.now.mono + time;
        while self.now.mono < end && self.ended.is_none() {
            self.turn();
            self.answer_tokens();
            self.pass(latency);
            self.answer_attempts(platform);
            self.finish_commit();
        }
        if self.ended.is_none() {
            self.turn();
        }
    }

    /// What `/readyz` says of an app.
    pub fn app(&self, app: &str) -> AppStatus {
        self.board.read().apps.into_iter().find(|status| status.app_id == app).unwrap()
    }

    pub fn pass(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.wall_ms += i64::try_from(time.as_millis()).unwrap();
    }

    /// The stamps under which an order was sent, in the order of sending.
    pub fn stamps(&self, order: &str) -> Vec<i64> {
        self.sent
            .iter()
            .filter_map(|(_, request)| {
                let request: serde_json::Value = serde_json::from_str(request).unwrap();
                (request["order_id"] == order).then(|| request["update_time"].as_i64().unwrap())
            })
            .collect()
    }

    pub fn owed_in_store(&self) -> usize {
        self.store.0.lock().unwrap().values().map(|shelf| shelf.owed.len()).sum()
    }

    pub fn position_in_store(&self, source: &TopicPartition) -> Option<i64> {
        self.store.0.lock().unwrap().get(source).and_then(|s| s.position.as_ref()).map(|p| p.next.get())
    }
}
