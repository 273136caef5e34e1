//! A source topic that was taken out of the settings, as the changelog knows it: it may have been wider than all that are
//! left, and the changelog stays as wide as it was.

use std::ops::Range;

use super::changelog::{ChangelogKey, ChangelogRecord};
use super::log_ports::ChangelogSource;
use super::ports::{PortError, Position};
use crate::record::NextOffset;

/// How far back is looked at first: a position is a commit's last record but for markers.
const LOOK_BACK: i64 = 16;

/// The name of a topic that is not among `topics`, of which the group holds a position in these partitions of the changelog:
/// the last ones, which no topic that is left reaches. It must have had as many partitions as the changelog has.
pub fn retired(
    changelog: &mut dyn ChangelogSource,
    partitions: Range<i32>,
    topics: &[String],
    group: &str,
) -> Result<Option<Box<str>>, PortError> {
    let width = partitions.end;
    for partition in partitions {
        let extent = changelog.extent(partition)?;
        let mut back = LOOK_BACK;
        loop {
            let from = NextOffset::new(extent.high.get().saturating_sub(back)).max(extent.low);
            let mut found = None;
            let reached = changelog.read_through(partition, from, &mut |record: &ChangelogRecord| {
                if let Some((topic, position)) = position_of(record)
                    && !topics.iter().any(|known| **known == *topic)
                    && position.partitions == Some(width)
                    && position.group.as_deref().is_none_or(|theirs| theirs == group)
                {
                    found = Some(topic);
                }
                Ok(())
            })?;
            if found.is_some() {
                return Ok(found);
            }
            if reached < extent.high {
                return Err(PortError::Passing("a transaction on the changelog is still open".to_owned()));
            }
            if from <= extent.low {
                break;
            }
            back = back.saturating_mul(16);
        }
    }
    Ok(None)
}

/// What cannot be read explains nothing; who restores it says so.
fn position_of(record: &ChangelogRecord) -> Option<(Box<str>, Position)> {
    let topic = ChangelogKey::topic_of(&record.key).ok()?;
    match ChangelogKey::decode(&record.key, &topic).ok()?? {
        ChangelogKey::Position => Some((topic, Position::decode(record.value.as_deref()?).ok()?)),
        ChangelogKey::State(_)
        | ChangelogKey::Owed(_)
        | ChangelogKey::Letter(_)
        | ChangelogKey::Command(_)
        | ChangelogKey::Settings(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::log_fakes::{FakeLog, part};
    use crate::sync::log_ports::Transaction;

    /// The changelog has four partitions, and the topic of the position in partition `at` noted `noted` of them.
    fn check(topic: &str, at: i32, noted: Option<i32>, group: Option<&str>, expect: Option<&str>) {
        for behind in [0, 40] {
            let mut log = FakeLog::default();
            let mut commit = part(at, 1, 1, "A", 5, &[]);
            commit.source.topic = topic.into();
            (commit.position.partitions, commit.position.group) = (noted, group.map(Into::into));
            log.content().write(&Transaction { parts: vec![commit], ..Transaction::default() }, true);
            for _ in 0..behind {
                let aborted = part(at, 1, 2, "B", 6, &[]);
                log.content().write(&Transaction { parts: vec![aborted], ..Transaction::default() }, false);
            }
            let found = retired(&mut log, 2..4, &["orders".to_owned()], "g").unwrap();
            assert_eq!(found.as_deref(), expect, "{topic} {at} {noted:?} {group:?} {behind}");
        }
    }

    #[test]
    fn only_a_topic_of_this_group_s_that_was_so_wide_explains_a_wide_changelog() {
        check("wide", 3, Some(4), None, Some("wide"));
        check("wide", 2, Some(4), Some("g"), Some("wide"));
        check("wide", 3, Some(4), Some("another"), None);
        check("wide", 3, Some(3), None, None);
        check("wide", 3, None, None, None);
        check("wide", 1, Some(4), None, None);
        // Taken for grown: it is in the settings, and had another count.
        check("orders", 3, Some(4), None, None);
    }

    #[test]
    fn what_is_not_decided_yet_is_waited_for() {
        let mut log = FakeLog::default();
        log.content().write(&Transaction { parts: vec![part(3, 1, 1, "A", 5, &[])], ..Transaction::default() }, true);
        log.content().open_from = Some(0);
        let found = retired(&mut log, 2..4, &[], "g");
        assert!(matches!(found, Err(PortError::Passing(_))), "{found:?}");
    }
}
