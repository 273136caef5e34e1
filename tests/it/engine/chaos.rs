//! Seeded chaos over the real engine: faults, lost answers, failed commits, crashes, and the platform's weather: outages,
//! partial ones, suspensions, reject storms; the promises hold at every step.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use order_sync::douyin::verdict::{Break, Exchange};
use order_sync::order::DeadLetterReason;
use order_sync::record::TopicPartition;
use order_sync::sync::DeadLetter;
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

/// What the platform does for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    /// Three attempts in ten fail by chance.
    Fair,
    /// Nothing is answered well.
    Outage,
    /// Orders whose number ends so fail, the others are as in fair weather.
    PartlyAway(u8),
    /// The app is refused.
    Refusing,
    /// Every order is rejected.
    Rejecting,
}

struct Chaos {
    rng: fastrand::Rng,
    world: World,
    source: TopicPartition,
    log: Vec<String>,
    platform: Platform,
    next_stamp: i64,
    weather: Weather,
    /// Dead letters of all lives; and how many there were when the weather changed, or a life began.
    letters: Vec<DeadLetter>,
    letters_before: usize,
}

const ORDERS: u8 = 40;

fn scene() -> Scene {
    Scene { max_in_flight: 12, max_lanes: 20, ..Scene::default() }
}

fn identify(attempt: &AttemptStart) -> (String, i64) {
    let request: serde_json::Value = serde_json::from_slice(&attempt.request).unwrap();
    (request["order_id"].as_str().unwrap().to_owned(), request["update_time"].as_i64().unwrap())
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let (world, source) = World::with_partition(&scene());
        let (log, platform) = (Vec::new(), Platform::default());
        let (weather, letters) = (Weather::Fair, Vec::new());
        let rng = fastrand::Rng::with_seed(seed);
        Self { rng, world, source, log, platform, next_stamp: 1, weather, letters, letters_before: 0 }
    }

    fn step(&mut self) {
        match self.rng.u8(..14) {
            0..3 => self.produce(),
            3 => drop(self.world.finish_commit()),
            4 => self.fail_commit(),
            5..9 => self.answer_some(),
            9 | 10 => self.world.pass(Duration::from_millis(self.rng.u64(1..3000))),
            11 if self.rng.u8(..6) == 0 => self.crash(),
            // Long enough for probes of every kind, and too short for an order to be given up in fair weather.
            12 if !matches!(self.weather, Weather::Fair | Weather::PartlyAway(_)) => {
                self.world.pass(Duration::from_secs(self.rng.u64(1..90)));
            }
            13 if self.rng.u8(..2) == 0 => self.change_weather(),
            _ => {}
        }
        self.world.answer_tokens();
        self.world.turn();
        self.check_in_flight();
    }

    fn change_weather(&mut self) {
        self.check_letters();
        self.weather = match self.rng.u8(..6) {
            0 => Weather::Outage,
            1 => Weather::PartlyAway(self.rng.u8(..10)),
            2 => Weather::Refusing,
            3 => Weather::Rejecting,
            _ => Weather::Fair,
        };
    }

    /// Only rejections make dead letters, and those of fewer than twenty orders while nothing is accepted.
    fn check_letters(&mut self) {
        // After failed commits the next one may be ten seconds away.
        for _ in 0..50 {
            self.world.pass(Duration::from_millis(250));
            self.world.turn();
            if !self.world.finish_commit() && !self.world.board.read().uncommitted {
                break;
            }
        }
        self.letters.append(&mut self.world.letters);
        let new = &self.letters[self.letters_before..];
        assert!(new.is_empty() || self.weather == Weather::Rejecting, "{:?}: {} letters", self.weather, new.len());
        assert!(new.iter().all(|letter| letter.reason == DeadLetterReason::RejectedByPlatform));
        let orders: HashSet<_> = new.iter().map(|letter| letter.order_id.clone()).collect();
        assert!(orders.len() < 20, "{} orders were dead-lettered in a storm", orders.len());
        self.letters_before = self.letters.len();
    }

    fn produce(&mut self) {
        let mut values = Vec::new();
        for _ in 0..self.rng.usize(1..12) {
            let order = format!("O{}", self.rng.u8(..ORDERS));
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
        match self.weather {
            Weather::Outage => [answer(502, ""), Exchange::Broken(Break::Connect)][self.rng.usize(..2)].clone(),
            Weather::PartlyAway(end) if identify(attempt).0.ends_with(char::from(b'0' + end)) => answer(500, ""),
            Weather::Fair | Weather::PartlyAway(_) => self.judge_by_chance(attempt),
            Weather::Refusing => answer(200, r#"{"err_code":40016,"err_msg":"appname"}"#),
            Weather::Rejecting => answer(200, r#"{"err_code":40003,"err_msg":"openid"}"#),
        }
    }

    fn judge_by_chance(&mut self, attempt: &AttemptStart) -> Exchange {
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
        self.check_letters();
        let under_way: Vec<AttemptStart> = self.world.asked.lock().unwrap().attempts.drain(..).collect();
        for attempt in under_way {
            if self.rng.bool() {
                self.take(&attempt);
            }
        }
        let store: FakeStore = self.world.store.clone();
        self.world = World::new(&scene(), store);
        let end = i64::try_from(self.log.len()).unwrap();
        let next = match self.world.assign(&self.source, end) {
            StartAt::Position(next) | StartAt::Behind(next, _) => usize::try_from(next.get()).unwrap(),
            StartAt::Fresh | StartAt::Later => 0,
        };
        if next < self.log.len() {
            let rest = self.log[next..].to_vec();
            self.world.produce(&self.source, &rest);
        }
    }

    /// The weather clears: everything must come to its end, every state taken once and in order.
    fn finish(mut self) {
        self.check_letters();
        self.weather = Weather::Fair;
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
            let position = self.world.position_in_store(&self.source);
            if self.world.owed_in_store() == 0 && position.unwrap_or(0) == i64::try_from(self.log.len()).unwrap() {
                break;
            }
        }
        self.check_letters();
        let mut set_aside: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
        for letter in &self.letters {
            let order = letter.order_id.clone().unwrap();
            assert!(set_aside.entry(order).or_default().insert(letter.update_time.unwrap()), "one letter twice");
        }
        // What was taken without an answer may be rejected when it is repeated: it is both.
        let mut expected: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for value in &self.log {
            let event: serde_json::Value = serde_json::from_str(value).unwrap();
            let (order, stamp) = (event["order_id"].as_str().unwrap(), event["occurred_at"].as_i64().unwrap() / 1000);
            let taken = self.platform.taken.get(order).is_some_and(|stamps| stamps.contains(&stamp));
            if taken || !set_aside.get(order).is_some_and(|stamps| stamps.contains(&stamp)) {
                expected.entry(order.to_owned()).or_default().push(stamp);
            }
        }
        assert_eq!(self.platform.taken, expected, "every state of every order, in order, and nothing else");
        assert_eq!(self.world.owed_in_store(), 0);
        if !self.log.is_empty() {
            assert_eq!(self.world.position_in_store(&self.source), i64::try_from(self.log.len()).ok());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold_under_seeded_chaos(seed in any::<u64>(), steps in 20usize..400) {
        let mut chaos = Chaos::new(seed);
        for _ in 0..steps {
            chaos.step();
        }
        chaos.finish();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    /// A share of the orders fails for up to an hour, some of the others by chance; then the whole platform is away for
    /// a while. Nothing is given up.
    #[test]
    fn a_partial_outage_of_any_size_dead_letters_nothing(
        seed in any::<u64>(), percent in 10u8..60, per_second in 1i64..4, minutes in 20u64..60,
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut world, source) = World::with_partition(&Scene::default());
        for second in 0..i64::try_from(minutes * 60).unwrap() {
            let numbers = second * per_second..(second + 1) * per_second;
            world.produce(&source, &numbers.map(|n| event("tt1", &format!("O{n}"), n)).collect::<Vec<_>>());
            world.run_with_latency(Duration::from_secs(1), Duration::from_millis(500), &mut |attempt| {
                let number = identify(attempt).1.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                let away = number % 100 < u64::from(percent);
                if away || rng.u8(..10) == 0 { answer(500, "") } else { ok() }
            });
        }
        world.run_in_steps(Duration::from_secs(1800), Duration::from_secs(1), &mut |_| answer(503, ""));
        world.run_with_latency(Duration::from_secs(120), Duration::from_millis(500), &mut |_| ok());
        prop_assert_eq!((world.letters.len(), world.owed_in_store()), (0, 0));
    }
}
