//! A range in which nothing can lie is refused, and one in which nothing lies is noted: an all-clear over no record says
//! nothing, and is taken for one over all of them.

use super::exit::{self, Exit};
use super::{render, times};
use crate::sync::scan::Span;

/// Numbers that as seconds since the epoch are times of 2001 to 2286.
const SECONDS: std::ops::Range<i64> = 1_000_000_000..10_000_000_000;

/// One end of a range, as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Where the log itself begins or ends.
    OfLog,
    /// This offset.
    Offset(i64),
    /// The first record of this time or later, milliseconds since the epoch.
    Time(i64),
}

/// A partition that is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Within {
    /// How far it reaches.
    pub(super) whole: Span,
    /// The first offset that was asked for, and the one behind the last.
    pub(super) asked: (i64, i64),
}

/// Ends where this range is a slip of the hand, and notes where nothing lies in it.
pub(super) fn check((from, until): (End, End), partitions: &[Within]) -> anyhow::Result<()> {
    if let Some(words) = slip((from, until), partitions) {
        return Err(exit::fail(Exit::Usage, anyhow::anyhow!(words)));
    }
    if partitions.iter().all(Within::is_empty) {
        let ends = partitions.iter().map(|within| within.whole.until.get()).max().unwrap_or_default();
        render::note(format!(
            "note: no record lies in this range, so nothing was looked at: the partitions that were read end at offset {ends} \
             or before it. Look at --from, --until and --partition"
        ));
    }
    Ok(())
}

impl Within {
    fn is_empty(&self) -> bool {
        let (from, until) = self.asked;
        from.max(self.whole.from.get()) >= until.min(self.whole.until.get())
    }
}

/// What is wrong with the range in itself.
fn slip((from, until): (End, End), partitions: &[Within]) -> Option<String> {
    let last = partitions.iter().map(|within| within.whole.until.get()).max().unwrap_or_default();
    let beyond = |option: &str, offset: i64| {
        let words =
            format!("{option} {offset} lies beyond the end of every partition that is read (offset {last} at most)");
        match seconds(offset) {
            Some(time) => format!("{words}: did you mean {time}? Times are written so, or in milliseconds (13 digits)"),
            None => words,
        }
    };
    match (from, until) {
        (End::Offset(from), _) if from > last => Some(beyond("--from", from)),
        (_, End::Offset(until)) if until > last && seconds(until).is_some() => Some(beyond("--until", until)),
        (End::Offset(from), End::Offset(until)) if until <= from => {
            Some(format!("--until {until} does not lie behind --from {from}: no offset is between them"))
        }
        (End::Time(from), End::Time(until)) if until <= from => {
            let (from, until) = (times::rfc3339(from), times::rfc3339(until));
            Some(format!("--until {until} does not lie behind --from {from}: no time is between them"))
        }
        _ => None,
    }
}

/// The time that a number is as seconds.
fn seconds(number: i64) -> Option<String> {
    let time = jiff::Timestamp::from_second(number).ok().filter(|_| SECONDS.contains(&number))?;
    Some(time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::NextOffset;

    fn within(from: i64, until: i64, asked: (i64, i64)) -> Within {
        Within { whole: Span { partition: 0, from: NextOffset::new(from), until: NextOffset::new(until) }, asked }
    }

    #[test]
    fn a_range_that_can_hold_nothing_is_refused_with_what_was_meant() {
        let check = |ends: (End, End), words: &[&str]| {
            let told = slip(ends, &[within(0, 20, (0, 20)), within(5, 30, (0, 30))]);
            let told = told.unwrap_or_default();
            assert_eq!(told.is_empty(), words.is_empty(), "{ends:?}: {told}");
            assert!(words.iter().all(|words| told.contains(words)), "{ends:?}: {told}");
        };
        let beyond = "--from 1694761323 lies beyond the end of every partition that is read (offset 30 at most)";
        check((End::Offset(1_694_761_323), End::OfLog), &[beyond, "did you mean 2023-09-15T07:02:03Z?", "13 digits"]);
        check((End::Offset(31), End::OfLog), &["--from 31 lies beyond"]);
        check((End::OfLog, End::Offset(1_694_761_323)), &["--until 1694761323", "2023-09-15T07:02:03Z"]);
        check((End::Offset(20), End::Offset(10)), &["--until 10 does not lie behind --from 20"]);
        check((End::Offset(20), End::Offset(20)), &["no offset is between them"]);
        check((End::Time(2_000), End::Time(1_000)), &["1970-01-01T00:00:01.000Z does not lie behind"]);
        // Where a partition ends, the next record will lie; and one is shorter than another.
        check((End::Offset(30), End::OfLog), &[]);
        check((End::Offset(25), End::OfLog), &[]);
        check((End::OfLog, End::Offset(999)), &[]);
        check((End::Time(1_000), End::Offset(10)), &[]);
    }

    #[test]
    fn what_lies_in_a_range_is_what_the_partition_has_of_it() {
        let check = |asked, expect| assert_eq!(within(5, 20, asked).is_empty(), expect, "{asked:?}");
        check((0, i64::MAX), false);
        check((0, 5), true);
        check((20, i64::MAX), true);
        check((19, 20), false);
        check((7, 7), true);
    }
}
