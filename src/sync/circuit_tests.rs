use super::*;
use CircuitState::{Closed, HalfOpen, Open, Suspended};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);
const MOST: usize = 256;

fn rules() -> CircuitRules {
    CircuitRules {
        window: 30 * S,
        failed_orders: 5,
        failed_attempts: 20,
        probe: RetryPolicy::new(S, 10 * S),
        ramp_interval: S,
        suspended_probe_interval: 60 * S,
        rejected_orders: 20,
        partial_orders: 20,
        partial_percent: 1,
    }
}

/// A circuit and a clock. Attempts take no time unless a step says so.
struct Rig {
    circuit: Circuit,
    now: Duration,
    rng: fastrand::Rng,
}

/// What happens to an attempt of an order.
#[derive(Clone, Copy, Debug)]
enum Step {
    Accept,
    Fail(u64),
    FailFirst(u64),
    Reject(u64),
    Token,
    Wait(u64),
}
use Step::{Accept, Fail, FailFirst, Reject, Token, Wait};

impl Rig {
    fn new() -> Self {
        Self { circuit: Circuit::new(rules()), now: S, rng: fastrand::Rng::with_seed(3) }
    }

    fn step(&mut self, step: Step) {
        let (started, now) = (self.now, self.now);
        match step {
            Accept => self.circuit.accepted(started, now),
            Fail(order) => self.fail(order, Tried::Again, started, None),
            FailFirst(order) => self.fail(order, Tried::First, started, None),
            Reject(order) => drop(self.reject(order, 40003, &[])),
            Token => self.circuit.told_nothing(started, now),
            Wait(ms) => self.now += u32::try_from(ms).unwrap() * MS,
        }
    }

    fn fail(&mut self, order: u64, tried: Tried, started: Duration, retry_after: Option<Duration>) {
        let failure = Failure { order: OrderPrint(order), tried, started, retry_after };
        self.circuit.failed(&failure, &mut self.rng, self.now);
    }

    fn reject(&mut self, order: u64, code: i64, rightly: &[i64]) -> Fate {
        self.circuit.rejected(OrderPrint(order), Some(code), rightly, self.now, self.now)
    }

    fn state(&mut self) -> CircuitState {
        self.circuit.tick(self.now, MOST, 0);
        self.circuit.state()
    }

    /// Waits until a probe may start; returns how long that took.
    fn wait_for_probe(&mut self) -> Duration {
        let since = self.now;
        while let Err(at) = self.circuit.permits(self.now, MOST, 0) {
            assert!(at > self.now, "a refusal names a later time");
            self.now = at;
        }
        self.now.saturating_sub(since)
    }

    /// Opened by the shortest outage there is.
    fn opened() -> Self {
        let mut rig = Self::new();
        for attempt in 0..20 {
            assert_eq!(rig.state(), Closed);
            rig.step(Fail(attempt % 5));
            rig.now += MS;
        }
        assert_eq!(rig.state(), Open);
        rig
    }

    fn half_opened() -> Self {
        let mut rig = Self::opened();
        rig.wait_for_probe();
        rig.step(Accept);
        assert_eq!(rig.state(), HalfOpen);
        rig
    }
}

fn check(name: &str, steps: &[Step], expected: CircuitState) {
    let mut rig = Rig::new();
    for step in steps {
        rig.step(*step);
    }
    assert_eq!(rig.state(), expected, "{name}");
}

/// `rounds` failures of each of `orders` orders, `ms` between any two.
fn failures(orders: u64, rounds: u64, ms: u64) -> Vec<Step> {
    (0..orders * rounds).flat_map(|n| [Fail(n % orders), Wait(ms)]).collect()
}

#[test]
fn an_outage_is_five_orders_failing_and_none_accepted() {
    let with = |before: &[Step], then: Vec<Step>| [before, &then].concat();
    check("five orders, twenty failures", &failures(5, 4, 100), Open);
    check("a few failures may be chance", &failures(5, 3, 100), Closed);
    check("unless they go on for the window", &failures(5, 3, 2200), Open);
    check("four orders", &failures(4, 500, 10), Closed);
    check("one poison order", &failures(1, 2000, 60_000), Closed);
    check("poison orders that fail once in a minute", &failures(5, 200, 12_000), Closed);
    check("the fifth comes too late", &with(&failures(4, 10, 10), vec![Wait(31_000), Fail(9)]), Closed);
    check("accepted a moment before", &with(&[Accept], failures(50, 100, 5)), Closed);
    check("accepted a window before", &with(&[Accept, Wait(30_000)], failures(5, 4, 1)), Open);
    check("and failing since", &with(&[Accept], failures(50, 100, 7)), Open);
    check("rejected a moment before", &with(&[Reject(1)], failures(50, 100, 5)), Closed);
    check("a refused token is no evidence", &with(&failures(5, 3, 10), vec![Token; 100]), Closed);
    check("nor does it clear any", &with(&failures(5, 3, 10), [vec![Token], failures(5, 1, 10)].concat()), Open);
}

#[test]
fn an_open_circuit_probes_one_at_a_time_with_backoff() {
    let mut rig = Rig::opened();
    let mut waits = Vec::new();
    for probe in 0..8 {
        waits.push(rig.wait_for_probe());
        assert_eq!(rig.circuit.permits(rig.now, MOST, 1), Ok(1), "and one is under way");
        rig.step(Fail(probe));
        assert_eq!(rig.state(), Open);
    }
    for (wait, step) in waits.iter().zip([1, 2, 4, 8, 10, 10, 10, 10]) {
        let (low, high) = (step * 498 * MS, (step * S * 3 / 2).min(10 * S));
        assert!((low..=high).contains(wait), "{waits:?}");
    }
}

#[test]
fn a_probe_that_is_accepted_or_rejected_proves_that_the_platform_is_up() {
    for (step, expected) in [(Accept, HalfOpen), (Reject(1), HalfOpen), (Fail(1), Open), (Token, Open)] {
        let mut rig = Rig::opened();
        rig.wait_for_probe();
        rig.step(step);
        assert_eq!(rig.state(), expected, "{step:?}");
    }
    let mut rig = Rig::opened();
    rig.wait_for_probe();
    rig.step(Token);
    assert_eq!(rig.wait_for_probe(), S, "what told nothing costs no backoff");
}

#[test]
fn stragglers_move_no_probe_and_a_retry_after_is_obeyed() {
    let mut rig = Rig::opened();
    let before = rig.circuit.permits(rig.now, MOST, 0).unwrap_err();
    for _ in 0..100 {
        rig.fail(7, Tried::Again, Duration::ZERO, None);
    }
    assert_eq!(rig.circuit.permits(rig.now, MOST, 0), Err(before));
    rig.wait_for_probe();
    rig.fail(7, Tried::Again, rig.now, Some(9 * S));
    assert!(rig.wait_for_probe() >= 9 * S);
}

#[test]
fn the_ramp_doubles_halves_waits_and_closes() {
    let mut rig = Rig::half_opened();
    let interval = |rig: &mut Rig, good: u32, failed: u32, in_flight: usize| {
        (0..good).for_each(|_| rig.step(Accept));
        (0..failed).for_each(|n| rig.step(Fail(n.into())));
        rig.now += S;
        rig.circuit.permits(rig.now, MOST, in_flight).unwrap()
    };
    assert_eq!(rig.circuit.permits(rig.now, MOST, 0), Ok(2));
    assert_eq!(interval(&mut rig, 4, 0, 2), 4);
    assert_eq!(interval(&mut rig, 4, 12, 4), 8, "one good answer in four is enough");
    assert_eq!(interval(&mut rig, 3, 13, 4), 4, "fewer are not");
    assert_eq!(interval(&mut rig, 0, 0, 4), 4, "answers are still to come");
    assert_eq!(interval(&mut rig, 0, 0, 0), 8, "nothing to send");
    for _ in 0..6 {
        interval(&mut rig, 0, 3, 8);
    }
    assert_eq!(interval(&mut rig, 0, 1, 8), 1, "never below one");
    for expected in [2, 4, 8, 16, 32, 64, 128, 256] {
        assert_eq!(rig.state(), HalfOpen);
        assert_eq!(interval(&mut rig, 10, 2, 1), expected);
    }
    assert_eq!(rig.state(), Closed);
}

#[test]
fn a_platform_that_is_away_again_is_left_alone_again() {
    let mut rig = Rig::half_opened();
    for order in 0..20 {
        assert_eq!(rig.state(), HalfOpen);
        rig.step(FailFirst(order));
    }
    assert_eq!(rig.state(), Open);
    assert!(rig.wait_for_probe() >= 998 * MS, "the second wait, not the first one again");
    let mut rig = Rig::half_opened();
    for attempt in 0..1000 {
        rig.step(Fail(attempt % 200));
    }
    assert_eq!(rig.state(), HalfOpen, "these may be poison orders");
    rig.now += 30 * S;
    (0..5).for_each(|order| rig.step(Fail(order)));
    assert_eq!(rig.state(), Open, "but not for ever");
}

#[test]
fn a_suspended_app_is_probed_by_the_minute() {
    let refused = Cause::Refused { rule: "app_name_wrong".into(), err_code: Some(40016) };
    let mut rig = Rig::new();
    rig.circuit.suspend(refused.clone(), rig.now);
    assert_eq!(rig.circuit.cause().unwrap().words(), "rule app_name_wrong, code 40016");
    for step in [Fail(1), Token, Fail(2)] {
        assert_eq!(rig.wait_for_probe(), 60 * S);
        assert_eq!(rig.circuit.permits(rig.now, MOST, 0), Ok(1));
        rig.step(step);
        assert_eq!(rig.state(), Suspended);
    }
    rig.wait_for_probe();
    rig.circuit.suspend(refused.clone(), rig.now);
    assert_eq!(rig.wait_for_probe(), 60 * S);
    // What was under way before does not lift it.
    for step in [Accept, Reject(1)] {
        let mut rig = Rig::new();
        rig.circuit.suspend(refused.clone(), rig.now);
        rig.step(step);
        assert_eq!(rig.state(), Suspended, "{step:?}");
        rig.wait_for_probe();
        rig.step(step);
        assert_eq!(rig.state(), HalfOpen, "{step:?}");
    }
}

#[test]
fn a_token_lifts_a_suspension_for_want_of_one_and_no_other() {
    let (rule, err_code): (Arc<str>, _) = ("token_secret_wrong".into(), Some(40017));
    for (cause, expected) in [
        (Cause::NoToken { rule: rule.clone(), err_code }, HalfOpen),
        (Cause::Refused { rule, err_code }, Suspended),
        (Cause::Rejections { orders: 20, err_code }, Suspended),
    ] {
        let mut rig = Rig::new();
        rig.circuit.suspend(cause, rig.now);
        rig.circuit.token_came(rig.now);
        assert_eq!(rig.state(), expected);
    }
    let mut rig = Rig::opened();
    rig.circuit.token_came(rig.now);
    assert_eq!(rig.state(), Open);
}

#[test]
fn without_a_token_it_is_open_until_one_comes() {
    let mut rig = Rig::new();
    rig.circuit.token_away(rig.now);
    assert_eq!((rig.state(), rig.circuit.opened_by()), (Open, Some(OpenedBy::Fetches)));
    assert_eq!(rig.circuit.permits(rig.now, MOST, 0), Ok(1));
    rig.circuit.token_came(rig.now);
    assert_eq!((rig.state(), rig.circuit.permits(rig.now, MOST, 0)), (HalfOpen, Ok(2)));
    rig.circuit.token_away(rig.now);
    assert_eq!(rig.state(), Open, "a ramp without a token is none");
    rig.circuit.suspend(Cause::NoToken { rule: "token_secret_wrong".into(), err_code: None }, rig.now);
    rig.circuit.token_away(rig.now);
    assert_eq!(rig.state(), Suspended, "a person has to act all the same");
    let mut rig = Rig::opened();
    rig.circuit.token_away(rig.now);
    rig.circuit.token_came(rig.now);
    assert_eq!((rig.state(), rig.circuit.opened_by()), (Open, Some(OpenedBy::Pushes)), "a push must tell");
}

#[test]
fn twenty_orders_rejected_in_a_row_are_a_storm() {
    let mut rig = Rig::new();
    for order in 0..19 {
        assert_eq!(rig.reject(order, 40003, &[]), Fate::DeadLetter);
        assert_eq!(rig.reject(order, 40099, &[]), Fate::DeadLetter, "the same order again is no other one");
    }
    assert_eq!(rig.state(), Closed);
    assert_eq!(rig.reject(19, 40022, &[]), Fate::StaysOwed);
    assert_eq!(rig.state(), Suspended);
    assert_eq!(rig.circuit.cause().unwrap().words(), "20 orders in a row were rejected, none accepted, code 40022");
    for order in [0, 19, 77] {
        assert_eq!(rig.reject(order, 40003, &[]), Fate::StaysOwed, "what was under way");
    }
    rig.circuit.accepted(rig.now, rig.now);
    assert_eq!(rig.reject(78, 40003, &[]), Fate::StaysOwed, "nor does a straggler end it");
    for order in 100..200 {
        assert_eq!(rig.wait_for_probe(), 60 * S);
        assert_eq!(rig.reject(order, 40003, &[]), Fate::StaysOwed);
    }
    rig.wait_for_probe();
    rig.step(Accept);
    assert_eq!(rig.state(), HalfOpen);
    assert_eq!(rig.reject(300, 40003, &[]), Fate::DeadLetter, "counted from the acceptance");
}

#[test]
fn an_acceptance_in_between_makes_it_no_storm() {
    let mut rig = Rig::new();
    for order in 0..1000 {
        assert_eq!(rig.reject(order, 40003, &[]), Fate::DeadLetter);
        if order % 19 == 18 {
            rig.step(Accept);
        }
    }
}

#[test]
fn codes_that_an_operator_calls_right_make_no_storm() {
    let mut rig = Rig::new();
    for order in 0..100 {
        assert_eq!(rig.reject(order, 40003, &[1, 40003]), Fate::DeadLetter);
    }
    for order in 0..19 {
        assert_eq!(rig.reject(order, 40099, &[40003]), Fate::DeadLetter);
    }
    assert_eq!(rig.reject(50, 40003, &[40003]), Fate::DeadLetter, "it neither counts nor clears");
    assert_eq!(rig.reject(19, 40099, &[40003]), Fate::StaysOwed);
    rig.wait_for_probe();
    assert_eq!(rig.reject(20, 40099, &[40003]), Fate::StaysOwed);
    rig.wait_for_probe();
    assert_eq!(rig.reject(20, 40099, &[40099]), Fate::DeadLetter, "the operator has spoken: the storm is none");
    assert_eq!(rig.state(), HalfOpen);
}

#[path = "circuit_laws_tests.rs"]
mod laws;
