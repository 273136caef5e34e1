//! The rate limit of one app: whether an attempt may start now, and when it may otherwise.
//!
//! It keeps no queue and waits for nothing. Time is an argument: the engine's own, counted from its start.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// A burst is what accrues in this part of a second (50 ms), or one attempt: enough that a timer which fires late costs
/// no throughput, and little enough that no second sees much more than the limit.
const BURSTS_PER_SECOND: u32 = 20;

/// Lets attempts of one app start at no more than a set rate.
#[derive(Debug)]
pub struct Pace {
    limit: Option<Limit>,
}

#[derive(Debug)]
struct Limit {
    now: EngineClock,
    limiter: RateLimiter<NotKeyed, InMemoryState, EngineClock, NoOpMiddleware<Duration>>,
}

/// The engine's time, set before each question.
#[derive(Clone, Debug, Default)]
struct EngineClock(Arc<AtomicU64>);

impl EngineClock {
    /// Never turns back: an earlier time than the last one counts as the last one.
    fn advance_to(&self, now: Duration) {
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_max(nanos, Ordering::Relaxed);
    }
}

impl Clock for EngineClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl Pace {
    /// At most `requests_per_second`; `None` is no limit.
    ///
    /// Attempts are spread evenly. After a pause a burst of a twentieth of the limit (at least one) may start at once,
    /// so that any second sees at most the limit and that burst.
    pub fn new(requests_per_second: Option<NonZeroU32>) -> Self {
        let limit = requests_per_second.map(|rate| {
            let burst = NonZeroU32::new(rate.get() / BURSTS_PER_SECOND).unwrap_or(NonZeroU32::MIN);
            let now = EngineClock::default();
            let quota = Quota::per_second(rate).allow_burst(burst);
            Limit { limiter: RateLimiter::direct_with_clock(quota, now.clone()), now }
        });
        Self { limit }
    }

    /// Takes the right to start one attempt at `now` (time since the engine's start).
    ///
    /// # Errors
    /// The time at which one may start, later than `now`, where the limit is used up.
    pub fn try_start(&mut self, now: Duration) -> Result<(), Duration> {
        let Some(limit) = &self.limit else { return Ok(()) };
        limit.now.advance_to(now);
        limit.limiter.check().map_err(|not_until| not_until.earliest_possible())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(rate: u32) -> Pace {
        Pace::new(NonZeroU32::new(rate))
    }

    /// Starts as soon as allowed until `end`, each time `late` after the announced moment; returns the starts.
    fn starts(pace: &mut Pace, end: Duration, late: Duration) -> Vec<Duration> {
        let (mut now, mut starts) = (Duration::ZERO, Vec::new());
        while now < end {
            match pace.try_start(now) {
                Ok(()) => starts.push(now),
                Err(ready_at) => {
                    assert!(ready_at > now, "a refusal names a later time");
                    now = ready_at + late;
                }
            }
        }
        starts
    }

    #[test]
    fn without_a_limit_all_may_start() {
        let mut pace = pace(0);
        assert!((0..1_000_000).all(|_| pace.try_start(Duration::ZERO).is_ok()));
    }

    #[test]
    fn starts_are_spread_evenly() {
        let seen = starts(&mut pace(10), SECOND, Duration::ZERO);
        assert_eq!(seen, (0..10).map(|n| Duration::from_millis(100 * n)).collect::<Vec<_>>());
    }

    #[test]
    fn a_pause_saves_up_one_burst_only() {
        let mut pace = pace(100);
        let at = 3_600 * SECOND;
        assert_eq!((0..50).filter(|_| pace.try_start(at).is_ok()).count(), 5);
        assert_eq!(pace.try_start(at), Err(at + Duration::from_millis(10)));
    }

    #[test]
    fn a_late_timer_costs_no_throughput() {
        let seen = starts(&mut pace(1_000), 10 * SECOND, Duration::from_millis(3));
        assert!(seen.len() >= 9_990, "{}", seen.len());
    }

    #[test]
    fn time_that_turns_back_gives_nothing_away() {
        let mut pace = pace(1);
        assert_eq!(pace.try_start(10 * SECOND), Ok(()));
        assert_eq!(pace.try_start(5 * SECOND), Err(11 * SECOND));
        assert_eq!(pace.try_start(11 * SECOND), Ok(()));
    }

    proptest! {
        #[test]
        fn no_second_sees_more_than_the_limit_and_a_burst(rate in 1u32..3_000, late_us in 0u64..20_000) {
            let seen = starts(&mut pace(rate), 3 * SECOND, Duration::from_micros(late_us));
            let most = usize::try_from(rate + (rate / BURSTS_PER_SECOND).max(1)).unwrap();
            for (first, start) in seen.iter().enumerate() {
                let within = seen.partition_point(|other| *other < *start + SECOND) - first;
                prop_assert!(within <= most, "{within} starts in a second, at most {most}");
            }
        }
    }
}
