//! Keeps folding a step ahead of delivery: far enough that no permit ever waits for a record, and not much further.
//!
//! Pure. What is folded long before its turn is written to the store, read back and marked there one by one, which
//! costs several times what the delivery itself costs; in a catch-up it would be most of the work. So while plenty is
//! ready, folding follows what is settled, one for one. It never stops: a trickle goes on whatever the platform does,
//! so that slow deliveries hold up neither another app's records nor a dead letter (`delivery.max_owed` is the bound).

use std::time::Duration;

use super::rules::FOLD_SLICE;

/// Ready orders per permit that are plenty: a commit interval's worth even where an answer takes 25 ms.
const PER_PERMIT: usize = 4;
/// Plenty with few permits.
const AHEAD_MIN: usize = 4096;
/// The trickle, records per millisecond.
const TRICKLE_PER_MS: u128 = 5;
/// When the trickle is looked at again.
const LOOK: Duration = Duration::from_millis(10);

/// What may be folded.
#[derive(Debug, Default)]
pub struct Feed {
    credit: usize,
    looked: Duration,
}

impl Feed {
    /// A delivery is settled: a record may take its place.
    pub fn settled(&mut self) {
        self.credit = (self.credit + 1).min(FOLD_SLICE);
    }

    /// How many records may be folded at once, [`FOLD_SLICE`] at most; `ahead` are the orders that are ready,
    /// or will be when they are committed.
    pub fn allowance(&mut self, ahead: usize, max_in_flight: usize, now: Duration) -> usize {
        let trickle = now.saturating_sub(self.looked).as_millis() * TRICKLE_PER_MS;
        if trickle > 0 {
            self.looked = now;
            self.credit = (self.credit + usize::try_from(trickle).unwrap_or(FOLD_SLICE)).min(FOLD_SLICE);
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

    #[test]
    fn folds_freely_until_plenty_is_ready_then_one_for_one() {
        let mut feed = Feed::default();
        assert_eq!(feed.allowance(0, 256, Duration::ZERO), FOLD_SLICE);
        assert_eq!(feed.allowance(AHEAD_MIN - 10, 256, Duration::ZERO), 10);
        assert_eq!(feed.allowance(AHEAD_MIN, 256, Duration::ZERO), 0);
        feed.settled();
        feed.settled();
        assert_eq!(feed.allowance(AHEAD_MIN + 500, 256, Duration::ZERO), 2);
        feed.spend(2);
        assert_eq!(feed.allowance(AHEAD_MIN, 256, Duration::ZERO), 0);
        assert_eq!(feed.allowance(AHEAD_MIN, 2048, Duration::ZERO), FOLD_SLICE, "plenty grows with the permits");
    }

    #[test]
    fn a_trickle_goes_on_when_nothing_is_settled() {
        let (mut feed, mut folded, mut now) = (Feed::default(), 0, Duration::ZERO);
        while now < Duration::from_secs(1) {
            let allowed = feed.allowance(1_000_000, 256, now);
            feed.spend(allowed);
            folded += allowed;
            assert!(feed.look(now) > now && feed.look(now) <= now + LOOK, "it is looked at again in time");
            now = feed.look(now);
        }
        assert!((4_900..=5_100).contains(&folded), "{folded} in a second");
        assert_eq!(
            feed.allowance(1_000_000, 256, now + 3_600_000 * MS),
            FOLD_SLICE,
            "what was not used is not saved up"
        );
    }
}
