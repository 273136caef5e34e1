//! Decides where a partition is read from, and finds the words for when it cannot be. Asks no broker.

use crate::config::StartFrom;
use crate::record::{NextOffset, TopicPartition};
use crate::sync::last_record::LastRecord;
use crate::sync::ports::StartAt;

/// What the broker says of a partition: `low..high` is there to be read (committed records only).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kafka) struct Extent {
    pub(in crate::kafka) low: i64,
    pub(in crate::kafka) high: i64,
    /// First offset at or after the time of `kafka.start_from`; none where that was not asked or nothing is there.
    pub(in crate::kafka) at_time: Option<i64>,
}

/// Why a position cannot be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It lies behind the end.
    BeyondEnd,
    /// The oldest record there is lies behind it.
    BelowStart,
}

/// The first offset to read.
pub(super) fn decide(start: StartAt, from: StartFrom, extent: Extent) -> Result<NextOffset, Refused> {
    match start {
        StartAt::Position(next) | StartAt::Behind(next, _) if next.get() > extent.high => Err(Refused::BeyondEnd),
        StartAt::Position(next) | StartAt::Behind(next, _) if next.get() < extent.low => Err(Refused::BelowStart),
        StartAt::Position(next) | StartAt::Behind(next, _) => Ok(next),
        // One that is still being restored is not asked about.
        StartAt::Fresh | StartAt::Later => Ok(NextOffset::new(match from {
            StartFrom::Earliest => extent.low,
            StartFrom::Latest => extent.high,
            StartFrom::Time(_) => extent.at_time.unwrap_or(extent.high),
        })),
    }
}

/// The first offset to read of a partition that the store does not know, and of which the group has committed `group`: as the
/// group, where `kafka.start_from` would leave out what came since.
pub(super) fn fresh(by_setting: NextOffset, group: NextOffset, extent: Extent) -> NextOffset {
    by_setting.min(group.max(NextOffset::new(extent.low)))
}

/// The record that the first look has to find, where it is still there; reading begins with it.
pub(super) fn proof(start: StartAt, extent: Extent) -> Option<LastRecord> {
    match start {
        StartAt::Behind(_, last) if last.offset >= extent.low => Some(last),
        StartAt::Behind(..) | StartAt::Position(_) | StartAt::Fresh | StartAt::Later => None,
    }
}

/// What to do about a topic that was made anew on purpose.
const IF_NEW: &str = "if it is rightly new, stop every worker and run `order-sync store rebase`, which keeps the states and counts \
                      every record of the topic as new, or start with a new group id and an empty store";

/// That the topic is another one, although it reaches as far.
pub(super) fn another(source: &TopicPartition, offset: i64) -> String {
    format!(
        "{source} has another record at offset {offset} than the one that this worker has read there: the topic was deleted and \
         created again. Reading on would take new events for old ones. Check the topic; {IF_NEW}"
    )
}

/// That the topic is another one, as it has a record between the last one that was read and the position.
pub(super) fn one_more(source: &TopicPartition, offset: i64) -> String {
    format!(
        "{source} has a record at offset {offset}, where there was none that is to be read when this worker was there: the topic was \
         deleted and created again. Reading on would pass over it. Check the topic; {IF_NEW}"
    )
}

/// That the topic is another one, as it has no record where one was read. `why` says where it cannot be known whether
/// compaction has taken it.
pub(super) fn missing(source: &TopicPartition, offset: i64, why: Option<&str>) -> String {
    let unless = match why {
        None => String::new(),
        Some(why) => format!(", unless the topic is compacted; that is not known: {why}"),
    };
    format!(
        "{source} has no record at offset {offset}, where this worker has read one: the topic was deleted and created again{unless}. \
         Reading on would take new events for old ones. Check the topic; {IF_NEW}"
    )
}

/// That the topic was made anew while it was being read.
pub(super) fn renewed(topic: &str) -> String {
    format!(
        "topic {topic} was deleted and created again while this worker read it: its id is another one. Reading on would take new \
         events for old ones. Check the topic; {IF_NEW}"
    )
}

/// That the topic ends before the position.
pub(super) fn beyond(source: &TopicPartition, next: NextOffset, high: i64) -> String {
    format!(
        "{source} ends at offset {high}, but this worker's position is {next}: the topic was deleted and created again, or has \
         lost records. Reading on would take new events for old ones. Check the topic; {IF_NEW}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENT: Extent = Extent { low: 10, high: 20, at_time: Some(15) };

    fn check(start: StartAt, from: StartFrom, expect: Result<i64, Refused>) {
        assert_eq!(decide(start, from, EXTENT), expect.map(NextOffset::new), "{start:?} {from:?}");
    }

    fn at(offset: i64) -> StartAt {
        StartAt::Position(NextOffset::new(offset))
    }

    #[test]
    fn a_position_wins_over_start_from_and_must_be_there() {
        check(at(10), StartFrom::Latest, Ok(10));
        check(at(20), StartFrom::Earliest, Ok(20));
        check(at(21), StartFrom::Earliest, Err(Refused::BeyondEnd));
        check(at(9), StartFrom::Earliest, Err(Refused::BelowStart));
    }

    #[test]
    fn a_fresh_partition_starts_where_the_user_says() {
        check(StartAt::Fresh, StartFrom::Earliest, Ok(10));
        check(StartAt::Fresh, StartFrom::Latest, Ok(20));
        check(StartAt::Fresh, StartFrom::Time(1), Ok(15));
        let nothing_that_late = Extent { at_time: None, ..EXTENT };
        assert_eq!(decide(StartAt::Fresh, StartFrom::Time(1), nothing_that_late), Ok(NextOffset::new(20)));
    }

    #[test]
    fn what_the_group_has_not_read_is_read_where_the_store_knows_nothing() {
        let check = |by_setting, group, expect| {
            assert_eq!(fresh(NextOffset::new(by_setting), NextOffset::new(group), EXTENT), NextOffset::new(expect));
        };
        check(20, 13, 13);
        check(20, 4, 10);
        check(10, 13, 10);
        check(15, 17, 15);
    }

    #[test]
    fn the_words_name_partition_and_both_numbers() {
        let words = beyond(&TopicPartition::new("orders", 3), NextOffset::new(99), 20);
        assert!(words.contains("orders/3") && words.contains("99") && words.contains("20"), "{words}");
    }
}
