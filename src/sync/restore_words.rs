//! What a restore says when it cannot go on: what is so, and what to do.

use super::changelog::GatherError;
use super::ports::{By, PortError, Position};
use crate::record::{NextOffset, TopicPartition};

/// That the store stands behind the end of its changelog partition.
pub(super) fn not_ours(topic: &str, source: &TopicPartition, stands: NextOffset, end: NextOffset) -> PortError {
    PortError::Fatal(format!(
        "the store stands at offset {stands} of {topic}/{}, which ends at {end}: the changelog was deleted and created again, \
         or has lost records, or the store is of another one. If this store is the best copy there is, `order-sync \
         store rebase` writes it into the changelog; else give the worker an empty directory",
        source.partition
    ))
}

/// That the changelog has nothing of a partition whose states the store has, and would lose.
pub(super) fn last_copy(topic: &str, source: &TopicPartition, next: NextOffset, reason: &str) -> PortError {
    PortError::Fatal(format!(
        "the store has {source} up to offset {next}, and the changelog {topic} has nothing of it, so that this may be the last copy \
         and stays as it is. The store itself cannot be gone on from: {reason}. `order-sync store rebase` writes what the store \
         has into the changelog, and says where it may not; if it is not wanted, give the worker an empty directory"
    ))
}

/// That the group's offset and the position in the changelog are not equal.
pub fn difference(
    topic: &str,
    source: &TopicPartition,
    group: Option<NextOffset>,
    position: Option<NextOffset>,
) -> String {
    let group = group.map_or(-1, NextOffset::get);
    match position {
        None => format!(
            "the group has committed offset {group} of {source}, but the changelog {topic} knows nothing of it: the \
             changelog was lost, or this group has run without kafka.exactly_once, whose store `order-sync store \
             rebase` writes into the changelog"
        ),
        Some(position) if group > position.get() => format!(
            "the group's offset {group} of {source} is ahead of position {position} in the changelog {topic}: states \
             are missing there. This group has run on without kafka.exactly_once, or somebody has moved the group's \
             offset, or the changelog has lost records; set the offset back to {position}, or restore the changelog"
        ),
        Some(position) => format!(
            "the group's offset {group} of {source} is behind position {position} in the changelog {topic}: somebody \
             has set it back. Events before {position} are folded already; set the offset to {position} (to send \
             states again, resync the orders instead)"
        ),
    }
}

/// Refuses a position that another group has committed: its states, and what it owes, are none of ours.
pub fn check_group(topic: &str, source: &TopicPartition, position: &Position, ours: &str) -> Result<(), PortError> {
    match position.group.as_deref() {
        Some(theirs) if theirs != ours => Err(PortError::Fatal(format!(
            "the changelog {topic}/{} holds the states of {source} of group {theirs}, and this is group {ours}: a changelog \
             belongs to one group, and two would take each other's states for their own. Set kafka.changelog_topic to a topic \
             of this group's own (left out, it is {ours}.changelog); or, where the group was renamed, go on under the old \
             name: kafka.group_id = \"{theirs}\"",
            source.partition
        ))),
        Some(_) | None => Ok(()),
    }
}

/// That records are gone from a partition's beginning. Compaction leaves the first offset where it is.
pub fn beginning_lost(place: &str, low: NextOffset, but: &str) -> PortError {
    PortError::Refused(
        By::Kafka,
        format!(
            "the changelog {place} begins at offset {low}: records before that were deleted (by kafka-delete-records, or by \
             time while its cleanup.policy was not compact), and states of orders with them{but}. A worker whose store \
             stands at offset {low} or behind it can take the partition; to mend it for all, stop every worker, delete the \
             topic, and let `order-sync store rebase` write the best directory there is into a new one"
        ),
    )
}

pub(super) fn unreadable(source: &TopicPartition, error: &GatherError) -> PortError {
    PortError::Fatal(format!(
        "the changelog cannot be read on partition {}: {error}; run the release that wrote it",
        source.partition
    ))
}
