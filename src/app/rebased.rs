//! The position that a rebase writes, from the one that the store holds.

use crate::record::NextOffset;
use crate::sync::changelog_id::ChangelogId;
use crate::sync::ports::Position;

/// What the changelog holds of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Onto {
    /// Nothing: the store's states are written.
    Nothing,
    /// All of it: its own states are written again, for a source topic that is a new one.
    Itself,
}

/// The position behind a rebase. `anew` is the oldest offset of the source topic where that is a new one, `id` a number that
/// was just drawn, `commands_end` where the commands topic ends.
pub(super) fn rebased(
    mut position: Position,
    group: &str,
    onto: Onto,
    anew: Option<NextOffset>,
    id: ChangelogId,
    commands_end: Option<NextOffset>,
) -> Position {
    // The next commit says by which settings it is folded from there on.
    position.settings = None;
    // A store that was of the changelog before this is told by it.
    position.changelog_id = Some(id);
    position.group = Some(group.into());
    if let Some(low) = anew {
        // It has as many partitions as the old one: another count is refused.
        (position.next, position.last, position.topic_id) = (low, None, None);
        position.begun = Some(low);
    }
    match onto {
        // No commit of another hand has this number.
        Onto::Itself => position.commit_number += 1,
        // What was executed is known of no store for certain, as it may be behind: nothing is executed twice.
        Onto::Nothing => position.commands = commands_end,
    }
    position
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ChangelogId = ChangelogId(7);

    fn held() -> Position {
        Position {
            commit_number: 5,
            commands: Some(NextOffset::new(2)),
            partitions: Some(3),
            topic_id: Some("of the old one".to_owned()),
            ..Position::before(NextOffset::new(40))
        }
    }

    #[test]
    fn no_command_that_was_given_before_is_executed_again() {
        let behind = rebased(held(), "g", Onto::Nothing, None, ID, Some(NextOffset::new(9)));
        assert_eq!(behind.commands, Some(NextOffset::new(9)), "the store has not heard of the last seven");
        let expected =
            Position { commands: behind.commands, changelog_id: Some(ID), group: Some("g".into()), ..held() };
        assert_eq!(behind, expected, "the rest goes on where it was");
        let unread = rebased(held(), "g", Onto::Nothing, None, ID, None);
        assert_eq!(unread.commands, None, "a commands topic that is made anew is read from its beginning");
    }

    #[test]
    fn what_is_written_onto_the_changelog_s_own_states_is_a_commit_of_its_own() {
        let low = NextOffset::new(0);
        let onto = rebased(held(), "g", Onto::Itself, Some(low), ID, None);
        assert_eq!(onto.commit_number, held().commit_number + 1);
        assert_eq!(onto.commands, held().commands, "the changelog knows what was executed");
        assert_eq!((onto.next, onto.partitions, onto.last, onto.topic_id), (low, Some(3), None, None));
        assert_eq!(onto.begun, Some(low), "it is read from there");
    }
}
