//! Pure. How large a cut may be: what goes through to the brokers in a moment, by how long the commits before it took.

use std::time::Duration;

/// A commit that takes longer than this was too large for the way to the brokers.
const SLOW: Duration = Duration::from_secs(2);
/// One that takes less, and was as large as it might be, leaves room for larger ones.
const QUICK: Duration = Duration::from_millis(500);
/// No bound goes below this, and a commit of less says nothing of the way: the brokers were away.
const LEAST: usize = 256 << 10;

/// The bound of a cut in bytes of memory.
#[derive(Debug)]
pub struct CutSize {
    most: usize,
    now: usize,
}

impl CutSize {
    /// Begins at `most` bytes, and never allows more.
    pub fn new(most: usize) -> Self {
        Self { most, now: most }
    }

    /// How many bytes may be gathered for the next cut.
    pub fn bytes(&self) -> usize {
        self.now
    }

    /// Whether commits were too slow for the largest cut.
    pub fn is_bounded(&self) -> bool {
        self.now < self.most
    }

    /// A commit of a cut of so many bytes has taken so long, whatever came of it.
    pub fn ended(&mut self, bytes: usize, took: Duration) {
        if took > SLOW && bytes > LEAST {
            self.now = (bytes.min(self.now) / 2).max(LEAST).min(self.most);
        } else if took < QUICK && bytes >= self.now / 2 {
            self.now = self.now.saturating_mul(2).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A way of so many bytes a second, over which as much is sent as is allowed: the bounds one after another.
    fn over(bytes_a_second: usize, commits: usize) -> Vec<usize> {
        let mut size = CutSize::new(16 << 20);
        let mut bounds = Vec::new();
        for _ in 0..commits {
            let bytes = size.bytes();
            size.ended(bytes, Duration::from_millis(u64::try_from(bytes * 1000 / bytes_a_second).unwrap()));
            bounds.push(size.bytes());
        }
        bounds
    }

    #[test]
    fn a_slow_way_is_given_what_it_takes_in_a_moment() {
        assert_eq!(over(1 << 20, 6), [8 << 20, 4 << 20, 2 << 20, 2 << 20, 2 << 20, 2 << 20]);
        assert_eq!(*over(60_000, 20).last().unwrap(), LEAST);
        assert_eq!(over(100 << 20, 2), [16 << 20, 16 << 20]);
    }

    #[test]
    fn small_commits_say_nothing_of_large_ones_and_quick_large_ones_raise_the_bound() {
        let mut size = CutSize::new(16 << 20);
        size.ended(16 << 20, 10 * SLOW);
        assert_eq!((size.bytes(), size.is_bounded()), (8 << 20, true));
        size.ended(1 << 20, QUICK / 5);
        assert_eq!(size.bytes(), 8 << 20, "too small to tell");
        size.ended(6 << 20, QUICK / 2);
        assert_eq!((size.bytes(), size.is_bounded()), (16 << 20, false));
        size.ended(1000, 10 * SLOW);
        assert_eq!(size.bytes(), 16 << 20, "too small to tell");
    }
}
