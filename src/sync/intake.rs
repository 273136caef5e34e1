//! Bounds, in bytes, what the consumer has handed over and the engine has not folded yet.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::record::Record;

/// A byte budget that the consumer draws from before it hands records over, and the engine refills after folding.
#[derive(Debug)]
pub struct IntakeBudget {
    limit: usize,
    used: AtomicUsize,
}

impl IntakeBudget {
    /// A budget of `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0) }
    }

    /// What a record draws: its content, and something for itself, so that empty records are bounded, too.
    pub fn cost(record: &Record) -> usize {
        record.content_bytes() + size_of::<Record>()
    }

    /// Draws `bytes`; false where that would pass the limit. A single batch above the limit passes when nothing else
    /// is out, so that a large record can never wedge its partition.
    pub fn try_draw(&self, bytes: usize) -> bool {
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                (used == 0 || used.saturating_add(bytes) <= self.limit).then(|| used.saturating_add(bytes))
            })
            .is_ok()
    }

    /// Puts `bytes` back.
    pub fn refill(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::AcqRel);
        debug_assert!(before >= bytes, "more was put back than was drawn");
    }

    /// Bytes that are out.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_up_to_the_limit_and_one_large_batch() {
        let budget = IntakeBudget::new(100);
        assert!(budget.try_draw(60));
        assert!(!budget.try_draw(41));
        assert!(budget.try_draw(40));
        budget.refill(100);
        assert!(budget.try_draw(1_000), "a batch above the limit passes alone");
        assert!(!budget.try_draw(1));
        budget.refill(1_000);
        assert_eq!(budget.used(), 0);
    }
}
