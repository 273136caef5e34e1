//! Keeps folding a step ahead of delivery: far enough that no permit ever waits for a record, and not much further.
//!
//! Pure. What is folded long before its turn is written to the store, read back and marked there one by one, which
//! costs several times what the delivery itself costs; in a fast catch-up it would be most of the work. So while plenty
//! is ready *and the platform takes it fast*, folding follows what is settled, one for one, and 5,000 records a second
//! besides. Where deliveries are slow (the platform, a rate limit, a circuit) nothing is gained by that, and another
//! app's records behind them would wait: then folding goes on at 40,000 a second whatever is ready. So it never
//! waits for a delivery; `delivery.max_owed` and the buffers are its bounds.

use std::time::Duration;

use super::rules::FOLD_SLICE;

/// Ready orders per permit that are plenty: a commit interval's worth even where an answer takes 25 ms.
const PER_PERMIT: usize = 4;
/// Plenty with few permits.
const AHEAD_MIN: usize = 4096;
/// Settled in one millisecond, at least, where deliveries count as fast.
const FAST_PER_MS: u128 = 10;
/// Records per millisecond that are folded besides while deliveries are fast.
const TRICKLE_PER_MS: u128 = 5;
/// Records per millisecond while they are not.
const STREAM_PER_MS: u128 = 40;
/// How long the settled are counted before it is said how fast they are.
const WINDOW: Duration = Duration::from_millis(100);
/// What was not used is saved up to here: a look's worth of the stream.
const CREDIT_MAX: usize = 512;
/// When it is looked at again.
const LOOK: Duration = Duration::from_millis(10);

/// What may be folded.
#[derive(Debug, Default)]
pub struct Feed {
    credit: usize,
    looked: Duration,
    settled: u128,
    counted: Duration,
    pace: Pace,
}

/// How deliveries go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pace {
    #[default]
    Slow,
    Fast,
}

impl Feed {
    /// A delivery is settled: a record may take its place.
    pub fn settled(&mut self) {
        self.settled += 1;
        if self.pace == Pace::Fast {
            self.credit = (self.credit + 1).min(CREDIT_MAX);
        }
    }

    fn judge(&mut self, now: Duration) {
        let took = now.saturating_sub(self.counted);
        if took >= WINDOW {
            let fast = self.settled >= FAST_PER_MS * took.as_millis();
            self.pace = if fast { Pace::Fast } else { Pace::Slow };
            (self.settled, self.counted) = (0, now);
        }
    }

    /// How many records may be folded at once, [`FOLD_SLICE`] at most; `ahead` are the orders that are ready,
    /// or will be when they are committed.
    pub fn allowance(&mut self, ahead: usize, max_in_flight: usize, now: Duration) -> usize {
        self.judge(now);
        let per_ms = if self.pace == Pace::Fast { TRICKLE_PER_MS } else { STREAM_PER_MS };
        let more = now.saturating_sub(self.looked).as_millis() * per_ms;
        if more > 0 {
            self.looked = now;
            self.credit = (self.credit + usize::try_from(more).unwrap_or(CREDIT_MAX)).min(CREDIT_MAX);
        }
        let room = max_in_flight.saturating_mul(PER_PERMIT).max(AHEAD_MIN).saturating_sub(ahead);
        room.max(self.credit).min(FOLD_SLICE)
    }

    /// So many were folded.
    pub fn spend(&mut self, folded: usize) {
        self.credit = self.credit.saturating_sub(folded);
    }

    /// When more may be folded, at the latest.
    pub fn look(&self, now: Duration) -> Duration {
        self.looked.max(now.saturating_sub(LOOK)) + LOOK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Folds what is allowed for a second, while so many are settled in a millisecond and plenty is ready.
    fn second(settled_per_ms: u32) -> usize {
        let (mut feed, mut folded, mut now) = (Feed::default(), 0, Duration::ZERO);
        while now < 1_300 * MS {
            (0..settled_per_ms).for_each(|_| feed.settled());
            loop {
                let allowed = feed.allowance(1_000_000, 256, now);
                feed.spend(allowed);
                // The first windows tell how fast deliveries are.
                folded += if now < 300 * MS { 0 } else { allowed };
                if allowed == 0 {
                    break;
                }
            }
            assert!(feed.look(now) > now && feed.look(now) <= now + LOOK, "it is looked at again in time");
            now += MS;
        }
        folded
    }

    #[test]
    fn folds_freely_until_plenty_is_ready() {
        let mut feed = Feed::default();
        assert_eq!(feed.allowance(0, 256, Duration::ZERO), FOLD_SLICE);
        assert_eq!(feed.allowance(AHEAD_MIN - 10, 256, Duration::ZERO), 10);
        assert_eq!(feed.allowance(AHEAD_MIN, 256, Duration::ZERO), 0);
        assert_eq!(feed.allowance(AHEAD_MIN, 2048, Duration::ZERO), FOLD_SLICE, "plenty grows with the permits");
    }

    #[test]
    fn follows_fast_deliveries_and_never_waits_for_slow_ones() {
        let check = |settled_per_ms: u32, least: usize, most: usize| {
            let folded = second(settled_per_ms);
            assert!((least..=most).contains(&folded), "{folded} in a second, {settled_per_ms}/ms settled");
        };
        check(20, 24_500, 25_500);
        check(11, 15_700, 16_300);
        check(9, 39_500, 40_500);
        check(0, 39_500, 40_500);
    }

    #[test]
    fn what_was_not_used_is_not_saved_up() {
        let mut feed = Feed::default();
        let hour = 3_600_000 * MS;
        let mut folded = 0;
        while let allowed @ 1.. = feed.allowance(1_000_000, 256, hour) {
            feed.spend(allowed);
            folded += allowed;
        }
        assert_eq!(folded, CREDIT_MAX);
    }
}
