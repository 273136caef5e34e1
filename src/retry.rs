//! Pure: how long an order waits after its n-th failure, by the backoff crate's exponential policy.
//!
//! It decides nothing else: whether to try again, and when to give up, is the engine's business. It reads no clock and
//! no randomness of its own: the crate only supplies the steps, and the jitter comes from the caller's generator.

use std::time::Duration;

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff;

/// Every further failure doubles the wait.
const MULTIPLIER: f64 = 2.0;

/// No step below this: a wait of nothing would be a busy loop, and would never grow.
const STEP_MIN: Duration = Duration::from_millis(1);

/// Doubling from 1 ms passes the longest `Duration` before this many steps.
const STEPS_MAX: usize = 128;

/// The waits between the attempts of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Unjittered waits after the first, second, … failure; the last one is the cap and repeats for ever.
    steps: Box<[Duration]>,
}

impl RetryPolicy {
    /// A policy that starts at `initial_interval` and doubles up to `max_interval`. Both are raised to 1 ms, and the
    /// cap to the first interval, where they lie below.
    pub fn new(initial_interval: Duration, max_interval: Duration) -> Self {
        let initial = initial_interval.max(STEP_MIN);
        let cap = max_interval.max(initial);
        // Without a limit on the elapsed time the crate's clock changes nothing, and its own jitter is off.
        let mut backoff = ExponentialBackoffBuilder::new()
            .with_initial_interval(initial)
            .with_max_interval(cap)
            .with_multiplier(MULTIPLIER)
            .with_randomization_factor(0.0)
            .with_max_elapsed_time(None)
            .build();
        let mut steps = Vec::new();
        // The field is read instead of the wait that the crate returns: that one has up to 1 ns of its own randomness.
        while backoff.current_interval < cap && steps.len() < STEPS_MAX {
            steps.push(backoff.current_interval);
            let _: Option<Duration> = backoff.next_backoff();
        }
        steps.push(cap);
        Self { steps: steps.into() }
    }

    /// The unjittered wait after `failures` failures in a row; that of the first one for 0.
    pub fn step(&self, failures: u32) -> Duration {
        let index = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
        self.steps.get(index).copied().unwrap_or_else(|| self.max_interval())
    }

    /// The cap: no wait is longer.
    pub fn max_interval(&self) -> Duration {
        self.steps.last().copied().unwrap_or(STEP_MIN)
    }

    /// The wait after `failures` failures in a row (at least 1): the step, give or take a half, never above the cap.
    ///
    /// A `Retry-After` is obeyed up to the cap. What it asks for is a lower bound: the wait is never shorter, and goes
    /// up to half a step beyond it, so that orders which were told the same do not come back at the same moment.
    pub fn delay(&self, failures: u32, retry_after: Option<Duration>, rng: &mut fastrand::Rng) -> Duration {
        let (step, cap) = (self.step(failures), self.max_interval());
        let half = step / 2;
        let jittered = between(half, step.saturating_add(half).min(cap), rng);
        let Some(asked) = retry_after else { return jittered };
        let spread = between(Duration::ZERO, half, rng);
        jittered.max(asked.min(cap).saturating_add(spread)).min(cap)
    }
}

/// A duration from `low` to `high`, each nanosecond as likely as any other.
fn between(low: Duration, high: Duration, rng: &mut fastrand::Rng) -> Duration {
    let width = u64::try_from(high.saturating_sub(low).as_nanos()).unwrap_or(u64::MAX);
    low.saturating_add(Duration::from_nanos(rng.u64(0..=width)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(initial_ms: u64, max_ms: u64) -> RetryPolicy {
        RetryPolicy::new(Duration::from_millis(initial_ms), Duration::from_millis(max_ms))
    }

    fn check(policy: &RetryPolicy, steps_ms: &[u64]) {
        let seen: Vec<u128> = (1..).take(steps_ms.len()).map(|n| policy.step(n).as_millis()).collect();
        let expect: Vec<u128> = steps_ms.iter().copied().map(u128::from).collect();
        assert_eq!(seen, expect);
    }

    #[test]
    fn steps_double_up_to_the_cap() {
        check(
            &policy(200, 60_000),
            &[200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 60_000, 60_000, 60_000],
        );
        check(&policy(10, 10), &[10, 10]);
        check(&policy(5, 12), &[5, 10, 12]);
        check(&policy(50, 10), &[50, 50]);
        check(&policy(0, 0), &[1, 1]);
        check(&policy(0, 3), &[1, 2, 3]);
        assert_eq!(policy(200, 60_000).step(0), Duration::from_millis(200));
    }

    #[test]
    fn extreme_settings_and_counts_end() {
        let endless = RetryPolicy::new(Duration::ZERO, Duration::MAX);
        let mut rng = fastrand::Rng::with_seed(1);
        assert!(endless.steps.len() <= STEPS_MAX + 1);
        assert!(endless.delay(u32::MAX, Some(Duration::MAX), &mut rng) <= Duration::MAX);
        assert_eq!(policy(200, 60_000).step(u32::MAX), Duration::from_secs(60));
    }

    #[test]
    fn a_retry_after_is_obeyed_up_to_the_cap() {
        let policy = policy(200, 60_000);
        let mut rng = fastrand::Rng::with_seed(7);
        let mut within = |asked: Duration, low_ms: u64, high_ms: u64| {
            for _ in 0..200 {
                let ms = policy.delay(1, Some(asked), &mut rng).as_millis();
                assert!((u128::from(low_ms)..=u128::from(high_ms)).contains(&ms), "{asked:?}: {ms} ms");
            }
        };
        within(Duration::ZERO, 100, 300);
        within(Duration::from_secs(2), 2_000, 2_100);
        within(Duration::from_secs(24 * 3_600), 60_000, 60_000);
    }

    proptest! {
        #[test]
        fn a_wait_stays_in_its_window(
            initial_ms in 1u64..5_000, max_ms in 1u64..600_000, failures in 1u32.., seed: u64,
            retry_after_ms in proptest::option::of(0u64..10_000_000),
        ) {
            let policy = policy(initial_ms, max_ms);
            let asked = retry_after_ms.map(Duration::from_millis);
            let delay = policy.delay(failures, asked, &mut fastrand::Rng::with_seed(seed));
            let (step, cap) = (policy.step(failures), policy.max_interval());
            prop_assert!(delay >= step / 2 && delay <= cap);
            prop_assert!(asked.is_none_or(|asked| delay >= asked.min(cap)));
            let latest = asked.unwrap_or_default().max(step + step / 2) + step / 2;
            prop_assert!(delay <= latest);
            let again = policy.delay(failures, asked, &mut fastrand::Rng::with_seed(seed));
            prop_assert_eq!(delay, again, "the same generator, the same wait");
        }

        #[test]
        fn a_step_is_the_doubled_interval(initial_ms in 1u64..5_000, max_ms in 1u64..600_000, failures in 1u32..40) {
            let policy = policy(initial_ms, max_ms);
            let naive = (u128::from(initial_ms) << (failures - 1)).min(u128::from(max_ms.max(initial_ms)));
            prop_assert_eq!(policy.step(failures).as_millis(), naive);
        }
    }
}
