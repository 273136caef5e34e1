//! How many partitions a source topic had, as the positions in the changelog have noted it: the group's offsets may be gone,
//! and a topic's new partitions have no position of their own to tell by.
//!
//! A partition has a position from its first commit on, whether it has records or not, so partition 0 has one wherever the
//! topic was worked on. It is looked for to the changelog's beginning; in the others, where it may stand as well when the
//! first worker was killed too early, only near the end.

use super::changelog::{ChangelogKey, ChangelogRecord, Gathered};
use super::log_ports::{ChangelogSource, ReadTo};
use super::ports::PortError;
use super::restore_words::unreadable;
use crate::record::{NextOffset, TopicPartition};

/// How far back is looked at first: a position is a commit's last record but for markers.
const LOOK_BACK: i64 = 256;

/// The count that was noted last of `topic`, which has `partitions` now; `None` where none was. `go_on` is asked between the
/// parts of a long look, and its error ends it. What no transaction has decided yet is not waited for.
pub fn noted_count(
    changelog: &mut dyn ChangelogSource,
    topic: &str,
    partitions: i32,
    go_on: &mut dyn FnMut() -> Result<(), PortError>,
) -> Result<Option<i32>, PortError> {
    for partition in 0..partitions {
        let looked = look(changelog, &TopicPartition::new(topic, partition), LOOK_BACK, go_on)?;
        if looked.noted.is_some() {
            return Ok(looked.noted);
        }
    }
    let (first, mut back) = (TopicPartition::new(topic, 0), LOOK_BACK);
    loop {
        back = back.saturating_mul(16);
        let looked = look(changelog, &first, back, go_on)?;
        if looked.noted.is_some() || looked.is_all {
            return Ok(looked.noted);
        }
    }
}

struct Looked {
    noted: Option<i32>,
    /// There is nothing before it.
    is_all: bool,
}

/// Looks at the last `back` offsets of a partition of the changelog.
fn look(
    changelog: &mut dyn ChangelogSource,
    source: &TopicPartition,
    back: i64,
    go_on: &mut dyn FnMut() -> Result<(), PortError>,
) -> Result<Looked, PortError> {
    let extent = changelog.extent(source.partition)?;
    let mut at = NextOffset::new(extent.high.get().saturating_sub(back)).max(extent.low);
    let mut looked = Looked { noted: None, is_all: at <= extent.low };
    if at >= extent.high {
        return Ok(looked);
    }
    let key = ChangelogKey::Position.encode(&source.topic);
    let mut visit = |record: &ChangelogRecord| {
        if record.key == key {
            let mut found = Gathered::default();
            found.take(&source.topic, record).map_err(|error| unreadable(source, &error))?;
            looked.noted = found.position.and_then(|position| position.partitions).or(looked.noted);
        }
        Ok(())
    };
    loop {
        go_on()?;
        match changelog.read(source.partition, at, &mut visit)? {
            ReadTo::End(_) => return Ok(looked),
            ReadTo::Part(so_far) | ReadTo::Pause(so_far, _) => at = so_far,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::commit::CutPart;
    use crate::sync::log_fakes::{FakeLog, part};
    use crate::sync::log_ports::Transaction;
    use crate::sync::ports::Position;

    fn cut(partition: i32, topic: &str, count: Option<i32>) -> Transaction {
        let plain = part(partition, 1, 1, "o", 5, &[]);
        let source = TopicPartition::new(topic, partition);
        let part = CutPart { source, position: Position { partitions: count, ..plain.position.clone() }, ..plain };
        Transaction { parts: vec![part], ..Transaction::default() }
    }

    /// Looks for the count of `orders`, which has three partitions now, in a changelog of these cuts.
    fn check(cuts: &[Transaction], slow: Option<i64>, expected: Option<i32>) {
        let mut log = FakeLog::default();
        for cut in cuts {
            log.content().write(cut, true);
        }
        log.content().slow = slow;
        let found = noted_count(&mut log, "orders", 3, &mut || Ok(())).unwrap();
        assert_eq!(found, expected, "{} cuts, {slow:?}", cuts.len());
    }

    #[test]
    fn the_count_is_found_wherever_it_was_noted_near_the_end_and_at_any_depth_of_partition_0() {
        check(&[], None, None);
        let others = |count| (0..count).map(|_| cut(0, "wide", Some(4)));
        let behind = |first: Transaction, count: usize| std::iter::once(first).chain(others(count)).collect::<Vec<_>>();
        check(&behind(cut(0, "wide", Some(4)), 2000), None, None);
        check(&behind(cut(0, "orders", None), 3), None, None);
        for (partition, count) in [(0, 0), (1, 0), (2, 3), (0, 60), (0, 63), (0, 64), (0, 65), (0, 2000)] {
            for slow in [None, Some(7), Some(1000)] {
                check(&behind(cut(partition, "orders", Some(2)), count), slow, Some(2));
            }
        }
        // The last one counts.
        check(&[cut(0, "orders", Some(2)), cut(0, "orders", Some(3)), cut(0, "orders", None)], None, Some(3));
    }

    #[test]
    fn a_look_ends_where_it_is_told_to() {
        let mut log = FakeLog::default();
        log.content().write(&cut(0, "orders", Some(2)), true);
        let stop = &mut || Err(PortError::Passing("stopped".to_owned()));
        assert!(matches!(noted_count(&mut log, "orders", 3, stop), Err(PortError::Passing(_))));
    }
}
