//! Who is to follow the commands topic and has no place in it yet, and who of them is asked about next. One whose question fails
//! goes behind the others, and is asked about again after a while of its own.

use std::time::{Duration, Instant};

use crate::record::{NextOffset, TopicPartition};
use crate::sync::ports::Epoch;

/// The first wait after a question that was not answered; each further one is twice as long.
const AGAIN_MIN: Duration = Duration::from_secs(1);
/// The longest. A question that nobody answers takes some seconds, in which nothing is read for the others.
const AGAIN_MAX: Duration = Duration::from_secs(16);

/// A source partition without a place.
#[derive(Clone, Debug)]
pub(super) struct Unplaced {
    pub(super) epoch: Epoch,
    pub(super) source: TopicPartition,
    /// Where its engine stands.
    pub(super) position: Option<NextOffset>,
    /// It is asked about by itself: a question about several has failed, which says nothing of the single one.
    alone: bool,
    wait: Duration,
    due: Instant,
}

/// All of them, in the order in which they are asked about.
#[derive(Debug, Default)]
pub(super) struct Queue(Vec<Unplaced>);

impl Queue {
    pub(super) fn add(&mut self, epoch: Epoch, source: TopicPartition, position: Option<NextOffset>, now: Instant) {
        self.0.push(Unplaced { epoch, source, position, alone: false, wait: AGAIN_MIN, due: now });
    }

    pub(super) fn forget(&mut self, source: &TopicPartition) {
        self.0.retain(|unplaced| unplaced.source != *source);
    }

    /// Takes off who is asked about now: all that have not failed, in one question, or one that is asked about by itself.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Unplaced> {
        let Some(first) = self.0.iter().position(|unplaced| unplaced.due <= now) else { return Vec::new() };
        if self.0[first].alone {
            return vec![self.0.remove(first)];
        }
        self.0.extract_if(.., |unplaced| unplaced.due <= now && !unplaced.alone).collect()
    }

    /// These were not asked about after all: they come first.
    pub(super) fn give_back(&mut self, rest: impl IntoIterator<Item = Unplaced>) {
        self.0.splice(0..0, rest);
    }

    /// A question about several has failed: each is asked about by itself.
    pub(super) fn part(&mut self, asked: Vec<Unplaced>) {
        self.give_back(asked.into_iter().map(|unplaced| Unplaced { alone: true, ..unplaced }));
    }

    /// The question about this one has failed.
    pub(super) fn failed(&mut self, unplaced: Unplaced, now: Instant) {
        let due = now + unplaced.wait;
        let wait = (unplaced.wait * 2).min(AGAIN_MAX);
        self.0.push(Unplaced { alone: true, wait, due, ..unplaced });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_fails_goes_behind_the_others_and_waits_longer_each_time() {
        let (mut queue, source) = (Queue::default(), |number| TopicPartition::new("orders", number));
        let mut now = Instant::now();
        for number in 0..3 {
            queue.add(Epoch(1), source(number), None, now);
        }
        let numbers = |taken: &[Unplaced]| taken.iter().map(|unplaced| unplaced.source.partition).collect::<Vec<_>>();
        let all = queue.take(now);
        assert_eq!(numbers(&all), [0, 1, 2], "in one question");
        queue.part(all);
        let mut first = queue.take(now);
        assert_eq!(numbers(&first), [0], "by itself");
        queue.failed(first.remove(0), now);
        assert_eq!(numbers(&queue.take(now)), [1]);
        queue.add(Epoch(1), source(3), None, now);
        assert_eq!(numbers(&queue.take(now)), [2]);
        assert_eq!(numbers(&queue.take(now)), [3]);
        for wait in [1, 2, 4, 8, 16, 16].map(Duration::from_secs) {
            assert_eq!(numbers(&queue.take(now + wait / 2)), [0; 0]);
            now += wait;
            let mut failed = queue.take(now);
            queue.failed(failed.remove(0), now);
        }
        queue.forget(&source(0));
        assert_eq!(numbers(&queue.take(now + AGAIN_MAX)), [0; 0]);
    }
}
