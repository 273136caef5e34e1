//! The waits of lanes, earliest first.

use std::cmp::Ordering;
use std::time::Duration;

use super::lane::LaneId;

/// One wait. A lane that was settled or moved since leaves its timer behind; its number tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// When it ends.
    pub at: Duration,
    /// Its number.
    pub number: u64,
    /// Whose it is.
    pub lane: LaneId,
}

impl Ord for Timer {
    /// Reversed, so that a max-heap gives the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
