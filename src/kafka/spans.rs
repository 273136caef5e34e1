//! Offsets that the brokers have acknowledged: those of one log only grow, whatever retention, compaction, aborted transactions
//! and repeated sends do. One that lies below what is known is of another log under the same name, or of one that lost its end.

use std::collections::HashMap;

/// Which offsets the records of one write got, of each partition of a topic.
#[derive(Debug, Default)]
pub(super) struct Spans(HashMap<i32, Span>);

#[derive(Clone, Copy, Debug)]
struct Span {
    first: i64,
    end: i64,
}

/// A partition that lies below what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fallen {
    pub(super) partition: i32,
    /// It was known to reach this far.
    pub(super) known: i64,
    /// Where a record was written now.
    pub(super) written: i64,
}

impl Spans {
    /// Takes the offset of a record. A repeated send may be acknowledged without one.
    pub(super) fn take(&mut self, partition: i32, offset: i64) {
        if offset < 0 {
            return;
        }
        let span = self.0.entry(partition).or_insert(Span { first: offset, end: 0 });
        span.first = span.first.min(offset);
        span.end = span.end.max(offset + 1);
    }

    /// Where the partition stands behind the last of them.
    pub(super) fn end(&self, partition: i32) -> Option<i64> {
        self.0.get(&partition).map(|span| span.end)
    }

    /// Whether something was written below `known`, where the partition was known to reach to.
    pub(super) fn fallen(&self, partition: i32, known: i64) -> Option<Fallen> {
        let written = self.0.get(&partition)?.first;
        (written < known).then_some(Fallen { partition, known, written })
    }
}

/// How far a topic reaches at least, by what was acknowledged here. Others write to it, too.
#[derive(Debug, Default)]
pub(super) struct Reach(HashMap<i32, i64>);

impl Reach {
    /// Takes a whole write, and says where it lies below an earlier one. What was known of the topic counts for nothing then,
    /// so each other log is told once.
    pub(super) fn take(&mut self, spans: &Spans) -> Option<Fallen> {
        let fallen = self.0.iter().find_map(|(partition, known)| spans.fallen(*partition, *known));
        if fallen.is_some() {
            self.0.clear();
        }
        self.0.extend(spans.0.iter().map(|(partition, span)| (*partition, span.end)));
        fallen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(taken: &[(i32, i64)]) -> Spans {
        let mut spans = Spans::default();
        for (partition, offset) in taken {
            spans.take(*partition, *offset);
        }
        spans
    }

    #[test]
    fn what_is_written_behind_the_known_place_is_the_same_log() {
        let check = |taken: &[(i32, i64)], known: i64, written: Option<i64>| {
            let fallen = spans(taken).fallen(0, known);
            assert_eq!(fallen, written.map(|written| Fallen { partition: 0, known, written }), "{taken:?} {known}");
        };
        // Behind a marker, behind what an aborted attempt has left, in another partition, and none at all.
        check(&[(0, 7), (0, 8)], 6, None);
        check(&[(0, 12)], 6, None);
        check(&[(0, 6)], 6, None);
        check(&[(1, 0)], 6, None);
        check(&[], 6, None);
        check(&[(0, 0)], 0, None);
        // A repeated send has none: librdkafka's word for that is below zero.
        check(&[(0, -1001), (0, 6)], 6, None);
        check(&[(0, 0), (0, 1)], 6, Some(0));
        check(&[(0, 6), (0, 5)], 6, Some(5));
    }

    #[test]
    fn an_end_lies_behind_the_last_and_a_record_without_an_offset_has_none() {
        let spans = spans(&[(0, 4), (0, 5), (0, -1001), (1, -1001)]);
        assert_eq!([0, 1].map(|partition| spans.end(partition)), [Some(6), None]);
    }

    #[test]
    fn another_log_is_told_once_and_others_that_write_are_none() {
        let mut reach = Reach::default();
        assert_eq!(reach.take(&spans(&[(0, 4), (1, 9)])), None);
        assert_eq!(reach.take(&spans(&[(0, 40)])), None, "others have written");
        let fallen = Fallen { partition: 0, known: 41, written: 0 };
        assert_eq!(reach.take(&spans(&[(0, 0), (2, 3)])), Some(fallen));
        assert_eq!(reach.take(&spans(&[(1, 0)])), None, "the same other log");
        assert_eq!(reach.take(&spans(&[(0, 1)])), None);
        assert_eq!(reach.take(&spans(&[(0, 1)])), Some(Fallen { partition: 0, known: 2, written: 1 }), "one more");
    }
}
