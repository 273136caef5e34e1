//! Pure. How long a transaction may take, by what became of those before it.

use std::time::Duration;

use super::transactions::TRANSACTION_TIMEOUT;

/// The most that a transaction over a slow way is given: 16 MiB at 100 kB/s.
const LONGEST: Duration = Duration::from_secs(160);
/// What a transaction has to hold for its time-out to be put down to its size, in bytes of memory.
const LARGE: usize = 256 << 10;
/// How much longer than the transaction itself one step of it may take before its answer counts as missing.
const STEP_MARGIN: Duration = Duration::from_secs(5);

/// The time of the next transaction. What is folded before the way to the brokers turns out to be slow is one cut and stays
/// one: where it does not get through it is given twice as much, else it would be tried again for ever.
#[derive(Debug)]
pub(super) struct TransactionTime(Duration);

impl TransactionTime {
    pub(super) fn new() -> Self {
        Self(TRANSACTION_TIMEOUT)
    }

    /// After so long the broker aborts the transaction.
    pub(super) fn whole(&self) -> Duration {
        self.0
    }

    /// After so long the answer to one step of it counts as missing.
    pub(super) fn step(&self) -> Duration {
        self.0 + STEP_MARGIN
    }

    /// A transaction of so many bytes has ended. True where the next one has another time.
    pub(super) fn ended(&mut self, bytes: usize, took: Duration, is_committed: bool) -> bool {
        let before = self.0;
        if !is_committed && bytes > LARGE && took >= before {
            self.0 = (before * 2).min(LONGEST);
        } else if is_committed && took < TRANSACTION_TIMEOUT / 2 {
            self.0 = TRANSACTION_TIMEOUT;
        }
        self.0 != before
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
    fn a_small_one_or_one_that_was_refused_at_once_needs_no_more_time() {
        let mut time = TransactionTime::new();
        assert!(!time.ended(1000, 2 * TRANSACTION_TIMEOUT, false), "the brokers were away");
        assert!(!time.ended(16 << 20, Duration::from_millis(3), false));
    }
}
