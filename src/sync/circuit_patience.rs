//! Pure: the time that counts against an app's failing orders. It stands still while the platform, or a part of it,
//! is away: while the circuit is not closed, and while many orders fail at once. While a few fail that are a large part of
//! those attempted, which may be either, it creeps.
//!
//! How many orders were attempted is estimated in fixed memory, one bit per order and turn; orders are never listed.

use std::time::Duration;

use super::circuit::{CircuitRules, CircuitState};
use super::circuit_evidence::OrderPrint;

/// So many orders may fail by chance, or for good, in any worker's share.
const FEW: usize = 3;
/// Where fewer fail than are many for the group, so much of the attempted orders must: beside chance faults a dozen that
/// fail for good are no part of the platform.
const PERCENT_OF_SHARE: u32 = 5;
/// How much slower time counts while nobody can tell bad orders from a part of the platform: by default an outage of a day costs
/// no dead letter then, and a bad order becomes one in the end.
const CREEP: u32 = 100;

const WORDS: usize = 256;
const BITS: u32 = 64 * 256;

/// How many distinct orders were attempted in a while, by linear counting: every order sets one of 16,384 bits, and
/// the share of bits that are not set tells how many did. Within a few percent up to 60,000; above 159,000 it says
/// 159,000, which errs towards patience.
#[derive(Debug)]
struct Attempted {
    now: Box<[u64; WORDS]>,
    before: Box<[u64; WORDS]>,
    turn_ends: Duration,
    turn: Duration,
}

impl Attempted {
    fn new(turn: Duration) -> Self {
        Self { now: Box::new([0; WORDS]), before: Box::new([0; WORDS]), turn_ends: turn, turn }
    }

    fn note(&mut self, order: OrderPrint, now: Duration) {
        if now >= self.turn_ends {
            std::mem::swap(&mut self.now, &mut self.before);
            self.now.fill(0);
            if now >= self.turn_ends + self.turn {
                self.before.fill(0);
            }
            self.turn_ends = now + self.turn;
        }
        // The upper bits: maps of orders use the lower ones.
        let [high, low, ..] = order.0.to_be_bytes();
        let bit = u16::from_be_bytes([high, low]) >> 2;
        self.now[usize::from(bit >> 6)] |= 1 << (bit & 63);
    }

    /// Those of this turn and of the one before.
    fn estimate(&self) -> f64 {
        let set: u32 = self.now.iter().zip(self.before.iter()).map(|(a, b)| (a | b).count_ones()).sum();
        let unset = f64::from((BITS - set).max(1));
        f64::from(BITS) * (f64::from(BITS) / unset).ln()
    }
}

/// The time that counts.
#[derive(Debug)]
pub struct Patience {
    attempted: Attempted,
    /// Of the whole group.
    orders_of_group: usize,
    /// Of this worker's share.
    orders: usize,
    percent: u32,
    counted: Duration,
    at: Duration,
    clock: Clock,
}

/// How time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    Runs,
    Creeps,
    Stands,
}

impl Patience {
    /// `longest_wait` is that of an order's backoff: an order that fails was attempted within it.
    pub fn new(rules: &CircuitRules, longest_wait: Duration) -> Self {
        Self {
            attempted: Attempted::new(longest_wait),
            orders_of_group: rules.partial_orders,
            orders: rules.partial_orders,
            percent: rules.partial_percent,
            counted: Duration::ZERO,
            at: Duration::ZERO,
            clock: Clock::Runs,
        }
    }

    /// This worker has `owned` of the `total` partitions now. A part of the platform that is away fails so much of the
    /// orders of each worker: what is many for the group is many for one of four at a quarter of that.
    pub fn share(&mut self, owned: usize, total: usize) {
        let part = (self.orders_of_group * owned).div_ceil(total.max(1));
        self.orders = part.max(FEW).min(self.orders_of_group);
    }

    /// An attempt of `order` has ended; `failing` distinct orders of the app have failed and not been settled since.
    pub fn note(&mut self, order: OrderPrint, failing: usize, state: CircuitState, now: Duration) {
        self.pass(now);
        self.attempted.note(order, now);
        self.clock = if state == CircuitState::Closed { self.judge(failing) } else { Clock::Stands };
    }

    /// The circuit has changed, be it that no attempt has ended: an app that is refused, or has no token, makes none. From here on
    /// time stands still until an attempt ends in a closed one.
    pub fn follow(&mut self, state: CircuitState, now: Duration) {
        if state != CircuitState::Closed {
            self.pass(now);
            self.clock = Clock::Stands;
        }
    }

    fn pass(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at);
        self.counted += match self.clock {
            Clock::Runs => passed,
            Clock::Creeps => passed / CREEP,
            Clock::Stands => Duration::ZERO,
        };
        self.at = now;
    }

    /// The time counted since the start, up to the last attempt that has ended.
    pub fn counted(&self) -> Duration {
        self.counted
    }

    fn judge(&self, failing: usize) -> Clock {
        let orders = self.attempted.estimate();
        let is_part = |percent: u32| {
            let failing = f64::from(u32::try_from(failing).unwrap_or(u32::MAX));
            failing * 100.0 > orders * f64::from(percent)
        };
        let is_large = is_part(self.percent.max(PERCENT_OF_SHARE));
        if failing > self.orders_of_group && is_part(self.percent) || failing > self.orders && is_large {
            return Clock::Stands;
        }
        // One that fails while others are accepted is a bad one.
        if failing > 1 && is_large { Clock::Creeps } else { Clock::Runs }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::retry::RetryPolicy;

    const S: Duration = Duration::from_secs(1);

    fn patience() -> Patience {
        let rules = CircuitRules {
            window: 30 * S,
            failed_orders: 5,
            failed_attempts: 20,
            probe: RetryPolicy::new(S, 10 * S),
            ramp_interval: S,
            suspended_probe_interval: 60 * S,
            rejected_orders: 20,
            partial_orders: 20,
            partial_percent: 1,
        };
        Patience::new(&rules, 60 * S)
    }

    /// The counted seconds of 100 after `attempted` orders, with `failing` of them failing all the time.
    fn check(attempted: u32, failing: usize, state: CircuitState, counted: u64) {
        let mut patience = patience();
        for order in 0..attempted {
            patience.note(OrderPrint::of(&order.to_string()), failing, state, Duration::ZERO);
        }
        for second in 1..=100 {
            patience.note(OrderPrint::of("0"), failing, state, second * S);
            if second == 50 {
                // The turn of the attempts is over: they go on.
                for order in 0..attempted {
                    patience.note(OrderPrint::of(&order.to_string()), failing, state, second * S);
                }
            }
        }
        let seen = patience.counted().as_secs();
        assert_eq!(seen, counted, "{failing} of {attempted}, {state:?}");
    }

    #[test]
    fn time_stands_still_while_the_platform_or_a_part_of_it_is_away() {
        check(100, 1, CircuitState::Closed, 100);
        check(1000, 20, CircuitState::Closed, 100);
        check(100, 20, CircuitState::Closed, 1);
        check(35, 2, CircuitState::Closed, 1);
        check(45, 2, CircuitState::Closed, 100);
        check(100, 21, CircuitState::Closed, 0);
        check(2_000, 30, CircuitState::Closed, 0);
        check(20_000, 30, CircuitState::Closed, 100);
        check(20_000, 2_000, CircuitState::Closed, 0);
        check(20_000, 1, CircuitState::HalfOpen, 0);
        check(20_000, 1, CircuitState::Open, 0);
        check(20_000, 1, CircuitState::Suspended, 0);
    }

    #[test]
    fn time_in_which_no_attempt_ends_counts_up_to_the_change_of_the_circuit() {
        let good = OrderPrint::of("0");
        for away in [CircuitState::Open, CircuitState::HalfOpen, CircuitState::Suspended] {
            let mut patience = patience();
            (0..100).for_each(|order| patience.note(OrderPrint::of(&order.to_string()), 1, CircuitState::Closed, S));
            patience.follow(away, 11 * S);
            assert_eq!(patience.counted(), 11 * S);
            patience.follow(CircuitState::HalfOpen, 5_000 * S);
            patience.note(good, 1, CircuitState::HalfOpen, 5_000 * S);
            patience.follow(CircuitState::Closed, 5_008 * S);
            patience.note(good, 1, CircuitState::Closed, 5_009 * S);
            assert_eq!(patience.counted(), 11 * S, "{away:?}");
            patience.note(good, 1, CircuitState::Closed, 5_010 * S);
            assert_eq!(patience.counted(), 12 * S, "{away:?}");
        }
    }

    #[test]
    fn many_is_by_the_workers_share_of_the_partitions() {
        let check = |owned: usize, total: usize, many: usize| {
            let mut patience = patience();
            patience.share(owned, total);
            let stands_still = |patience: &mut Patience, failing: usize| {
                patience.note(OrderPrint::of("0"), failing, CircuitState::Closed, S);
                patience.clock == Clock::Stands
            };
            assert!(stands_still(&mut patience, many), "{many} with {owned} of {total}");
            assert!(!stands_still(&mut patience, many - 1), "{} with {owned} of {total}", many - 1);
        };
        check(12, 12, 21);
        check(3, 12, 6);
        check(1, 3, 8);
        check(1, 96, 4);
        check(0, 12, 4);
        check(2, 1, 21);
    }

    #[test]
    fn orders_attempted_long_ago_do_not_count() {
        let mut attempted = Attempted::new(60 * S);
        (0..9_000).for_each(|order| attempted.note(OrderPrint::of(&order.to_string()), Duration::ZERO));
        for (second, about) in [(59, 9_000.0), (61, 9_000.0), (122, 1.0), (1_000, 1.0)] {
            attempted.note(OrderPrint::of("x"), second * S);
            let seen = attempted.estimate();
            assert!((seen - about).abs() <= about * 0.05, "{seen} at {second} s");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn orders_are_counted_once_and_within_a_few_percent(orders in 1u32..60_000, repeats in 1u32..3) {
            let mut attempted = Attempted::new(60 * S);
            for _ in 0..repeats {
                (0..orders).for_each(|order| attempted.note(OrderPrint::of(&order.to_string()), S));
            }
            let (seen, orders) = (attempted.estimate(), f64::from(orders));
            prop_assert!((seen - orders).abs() <= orders * 0.08 + 2.0, "{seen} of {orders}");
        }
    }
}
