//! Seeded chaos over the real engine: faults, lost answers, failed commits, crashes; the promises hold at every step.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use order_sync::douyin::verdict::{Break, Exchange};
use order_sync::record::TopicPartition;
use order_sync::sync::ports::{AttemptStart, Input, PortError, StartAt, TokenGeneration};
use proptest::prelude::*;

use super::fakes::FakeStore;
use super::world::{Scene, World, answer, event, ok};

/// What the platform saw, over all lives of the worker.
#[derive(Default)]
struct Platform {
    /// The stamp that the platform holds of each order.
    held: BTreeMap<String, i64>,
    /// The one body of each stamp.
    bodies: HashMap<(String, i64), Vec<u8>>,
    /// Stamps taken, in order.
    taken: BTreeMap<String, Vec<i64>>,
}

struct Chaos {
    rng: fastrand::Rng,
    world: World,
    source: TopicPartition,
    log: Vec<String>,
    platform: Platform,
    next_stamp: i64,
}

fn identify(attempt: &AttemptStart) -> (String, i64) {
    let request: serde_json::Value = serde_json::from_slice(&attempt.request).unwrap();
    (request["order_id"].as_str().unwrap().to_owned(), request["update_time"].as_i64().unwrap())
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let (world, source) = World::with_partition(&Scene { max_in_flight: 5, ..Scene::default() });
        let (log, platform) = (Vec::new(), Platform::default());
        Self { rng: fastrand::Rng::with_seed(seed), world, source, log, platform, next_stamp: 1 }
    }

    fn step(&mut self) {
        match self.rng.u8(..12) {
            0..3 => self.produce(),
            3 => drop(self.world.finish_commit()),
            4 => self.fail_commit(),
            5..9 => self.answer_some(),
            9 | 10 => self.world.pass(Duration::from_millis(self.rng.u64(1..3000))),
            _ if self.rng.u8(..6) == 0 => self.crash(),
            _ => {}
        }
        self.world.answer_tokens();
        self.world.turn();
        self.check_in_flight();
    }

    fn produce(&mut self) {
        let mut values = Vec::new();
        for _ in 0..self.rng.usize(1..6) {
            let order = format!("O{}", self.rng.u8(..6));
            values.push(event("tt1", &order, self.next_stamp));
            self.next_stamp += 1;
        }
        self.log.extend(values.iter().cloned());
        self.world.produce(&self.source, &values);
    }

    fn fail_commit(&mut self) {
        let cut = self.world.asked.lock().unwrap().cuts.pop_front();
        if cut.is_some() {
            self.world.handle(Input::Committed(Err(PortError::Passing("away".to_owned()))));
        }
    }

    /// Every attempt under way is of another order, was committed before it was sent, and has the one body of its stamp.
    fn check_in_flight(&mut self) {
        let asked = self.world.asked.lock().unwrap();
        let mut orders: Vec<(String, i64)> = asked.attempts.iter().map(identify).collect();
        for (attempt, named) in asked.attempts.iter().zip(&orders) {
            let body = self.platform.bodies.entry(named.clone()).or_insert_with(|| attempt.request.to_vec());
            assert_eq!(*body, attempt.request, "one stamp has one body for ever");
            let partitions = self.world.store.0.lock().unwrap();
            let owed = &partitions[&self.source].owed;
            assert!(owed.values().any(|owed| owed.request == attempt.request), "sent before it was committed");
        }
        drop(asked);
        orders.sort();
        orders.dedup_by(|a, b| a.0 == b.0);
        let in_flight = self.world.asked.lock().unwrap().attempts.len();
        assert_eq!(orders.len(), in_flight, "pushes of one order overlap");
    }

    fn answer_some(&mut self) {
        for _ in 0..self.rng.usize(1..4) {
            let attempt = self.world.asked.lock().unwrap().attempts.pop_front();
            let Some(attempt) = attempt else { return };
            let exchange = self.judge(&attempt);
            let token = TokenGeneration(1);
            let latency = Duration::from_millis(2);
            self.world.handle(Input::Attempted { ticket: attempt.ticket, token, exchange, latency });
        }
    }

    fn judge(&mut self, attempt: &AttemptStart) -> Exchange {
        match self.rng.u8(..10) {
            0 => answer(503, ""),
            1 => Exchange::Broken(Break::Connect),
            2 => {
                self.take(attempt);
                Exchange::Broken(Break::Timeout)
            }
            _ => {
                self.take(attempt);
                ok()
            }
        }
    }

    /// The platform takes a push, or ignores it in silence where its stamp is not greater.
    fn take(&mut self, attempt: &AttemptStart) {
        let (order, stamp) = identify(attempt);
        let held = self.platform.held.entry(order.clone()).or_insert(0);
        if stamp > *held {
            *held = stamp;
            self.platform.taken.entry(order).or_default().push(stamp);
        }
    }

    /// Everything in memory is gone; attempts under way may still reach the platform.
    fn crash(&mut self) {
        let under_way: Vec<AttemptStart> = self.world.asked.lock().unwrap().attempts.drain(..).collect();
        for attempt in under_way {
            if self.rng.bool() {
                self.take(&attempt);
            }
        }
        let store: FakeStore = self.world.store.clone();
        self.world = World::new(&Scene { max_in_flight: 5, ..Scene::default() }, store);
        let end = i64::try_from(self.log.len()).unwrap();
        let next = match self.world.assign(&self.source, end) {
            StartAt::Position(next) => usize::try_from(next.get()).unwrap(),
            StartAt::Fresh => 0,
        };
        if next < self.log.len() {
            let rest = self.log[next..].to_vec();
            self.world.produce(&self.source, &rest);
        }
    }

    /// The weather clears: everything must come to its end, every state taken once and in order.
    fn finish(mut self) {
        for _ in 0..4000 {
            self.world.answer_tokens();
            self.world.turn();
            self.check_in_flight();
            let attempts: Vec<AttemptStart> = self.world.asked.lock().unwrap().attempts.drain(..).collect();
            for attempt in attempts {
                self.take(&attempt);
                let (token, latency) = (TokenGeneration(1), Duration::from_millis(2));
                self.world.handle(Input::Attempted { ticket: attempt.ticket, token, exchange: ok(), latency });
            }
            self.world.turn();
            self.world.finish_commit();
            self.world.pass(Duration::from_millis(200));
        }
        let mut expected: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for value in &self.log {
            let event: serde_json::Value = serde_json::from_str(value).unwrap();
            let order = event["order_id"].as_str().unwrap().to_owned();
            expected.entry(order).or_default().push(event["occurred_at"].as_i64().unwrap() / 1000);
        }
        assert_eq!(self.platform.taken, expected, "every state of every order, in order, and nothing else");
        assert_eq!(self.world.owed_in_store(), 0);
        assert!(self.world.letters.is_empty());
        if !self.log.is_empty() {
            assert_eq!(self.world.position_in_store(&self.source), i64::try_from(self.log.len()).ok());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold_under_seeded_chaos(seed in any::<u64>(), steps in 20usize..200) {
        let mut chaos = Chaos::new(seed);
        for _ in 0..steps {
            chaos.step();
        }
        chaos.finish();
    }
}
