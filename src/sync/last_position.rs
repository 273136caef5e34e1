//! A source partition's last position in the changelog, looked for backwards from a place behind it.

use super::changelog::{ChangelogKey, ChangelogRecord, Gathered};
use super::log_ports::{ChangelogSource, ReadTo};
use super::ports::{PortError, Position};
use super::restore_words::unreadable;
use crate::record::{NextOffset, TopicPartition};

/// How far back is looked at first: a position is a commit's last record but for markers.
const LOOK_BACK: i64 = 16;

/// The last position of `source` in a partition of the changelog that begins at `low`, where none lies at or behind `before`.
pub(super) fn last_position(
    changelog: &mut dyn ChangelogSource,
    source: &TopicPartition,
    before: NextOffset,
    low: NextOffset,
) -> Result<Option<Position>, PortError> {
    let key = ChangelogKey::Position.encode(&source.topic);
    let mut back = LOOK_BACK;
    loop {
        let from = NextOffset::new(before.get().saturating_sub(back)).max(low);
        let mut found = Gathered::default();
        let mut visit = |record: &ChangelogRecord| {
            if record.key == key {
                found.take(&source.topic, record).map_err(|error| unreadable(source, &error))?;
            }
            Ok(())
        };
        let mut at = from;
        // Nothing behind `before` is wanted.
        let reached = loop {
            match changelog.read(source.partition, at, &mut visit)? {
                ReadTo::End(end) => break end,
                ReadTo::Part(so_far) | ReadTo::Pause(so_far, _) if so_far >= before => break so_far,
                ReadTo::Part(so_far) | ReadTo::Pause(so_far, _) => at = so_far,
            }
        };
        if reached < before {
            // Its commit is known to the store, and not yet to those who read.
            return Err(PortError::Passing("a transaction on the changelog is still open".to_owned()));
        }
        if found.position.is_some() || from <= low {
            return Ok(found.position);
        }
        back = back.saturating_mul(16);
    }
}
