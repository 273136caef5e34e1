//! Pure. How long a transaction may take, by what became of those before it.

use std::time::Duration;

use super::transactions::TRANSACTION_TIMEOUT;

/// The most that a transaction over a slow way is given: 16 MiB at 100 kB/s.
const LONGEST: Duration = Duration::from_secs(160);
/// What a transaction has to hold for its time-out to be put down to its size, in bytes of memory.
const LARGE: usize = 256 << 10;
/// Between what was allowed and what was refused nothing nearer is looked for.
const FINEST: Duration = Duration::from_secs(2);
/// How much longer than the transaction itself one step of it may take before its answer counts as missing.
const STEP_MARGIN: Duration = Duration::from_secs(5);

/// The time of the next transaction. What is folded before the way to the brokers turns out to be slow is one cut and stays
/// one: where it does not get through it is given twice as much, else it would be tried again for ever. How much the brokers
/// allow (their `transaction.max.timeout.ms`) is learnt from their refusals.
#[derive(Debug)]
pub(super) struct TransactionTime {
    whole: Duration,
    /// What they have allowed before.
    allowed: Duration,
    /// The least that they have refused.
    refused: Option<Duration>,
}

impl TransactionTime {
    pub(super) fn new() -> Self {
        Self { whole: TRANSACTION_TIMEOUT, allowed: TRANSACTION_TIMEOUT, refused: None }
    }

    /// After so long the broker aborts the transaction.
    pub(super) fn whole(&self) -> Duration {
        self.whole
    }

    /// After so long the answer to one step of it counts as missing.
    pub(super) fn step(&self) -> Duration {
        self.whole + STEP_MARGIN
    }

    /// A transaction of so many bytes has ended. True where the next one has another time.
    pub(super) fn ended(&mut self, bytes: usize, took: Duration, is_committed: bool) -> bool {
        let before = self.whole;
        if !is_committed && bytes > LARGE && took >= before {
            self.allowed = before;
            self.whole = self.longer();
        } else if is_committed && took < TRANSACTION_TIMEOUT / 2 {
            self.whole = TRANSACTION_TIMEOUT;
        }
        self.whole != before
    }

    fn longer(&self) -> Duration {
        let double = (self.allowed * 2).min(LONGEST);
        let Some(refused) = self.refused.filter(|refused| *refused <= double) else { return double };
        let between = (self.allowed + refused) / 2;
        if between.saturating_sub(self.allowed) < FINEST { self.allowed } else { between }
    }

    /// The brokers do not allow as much: another time is to be tried. False where they allow less than the shortest.
    pub(super) fn was_refused(&mut self) -> bool {
        self.refused = Some(self.whole);
        self.whole = self.longer();
        self.whole < self.refused.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_get_through_is_given_more_time_until_commits_are_quick_again() {
        let mut time = TransactionTime::new();
        let large = 16 << 20;
        let mut given = Vec::new();
        while time.ended(large, time.whole(), false) {
            given.push(time.whole().as_secs());
        }
        assert_eq!(given, [20, 40, 80, 160]);
        assert!(!time.ended(large, time.whole() / 2, true), "as slow as before");
        assert!(time.ended(large, TRANSACTION_TIMEOUT / 4, true));
        assert_eq!(time.whole(), TRANSACTION_TIMEOUT);
    }

    #[test]
    fn the_longest_time_that_the_brokers_allow_is_found_by_their_refusals() {
        let most = Duration::from_secs(33);
        let mut time = TransactionTime::new();
        let mut tried = Vec::new();
        while time.ended(16 << 20, time.whole(), false) {
            tried.push(time.whole().as_secs());
            while time.whole() > most {
                assert!(time.was_refused());
                tried.push(time.whole().as_secs());
            }
        }
        assert_eq!(tried, [20, 40, 30, 35, 32]);
        assert!(time.whole() <= most && time.whole() > Duration::from_secs(30));
        assert!(time.ended(16 << 20, TRANSACTION_TIMEOUT / 4, true), "the way is quick again");
        assert_eq!(time.whole(), TRANSACTION_TIMEOUT);

        let mut time = TransactionTime::new();
        assert!(!time.was_refused(), "less than the shortest is not tried");
    }

    #[test]
    fn a_small_one_or_one_that_was_refused_at_once_needs_no_more_time() {
        let mut time = TransactionTime::new();
        assert!(!time.ended(1000, 2 * TRANSACTION_TIMEOUT, false), "the brokers were away");
        assert!(!time.ended(16 << 20, Duration::from_millis(3), false));
    }
}
