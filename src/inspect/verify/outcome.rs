//! The words of an account: what became of a record, and why one is not accounted for.

use crate::order::DeadLetterReason;
use crate::sync::changelog::LetterState;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Folded, and its delivery is settled.
    Delivered,
    /// Folded, and its delivery is still owed.
    Owed,
    /// Folded; nothing that is sent has changed.
    Unchanged,
    /// Seen before.
    Duplicate,
    /// Older than what was applied.
    Stale,
    /// A record without a value.
    Tombstone,
    /// A dead letter, with what has become of it.
    DeadLetter(DeadLetterReason, LetterState),
    /// Folded onto a state whose own events are gone from the source: the order's state is in the log and is sound, and
    /// whether this event made it so cannot be told.
    Unproven,
    /// Before the first record that the group has read.
    BeforeStart,
    /// Beyond the committed position.
    Pending,
    /// An error.
    Unaccounted,
}

impl Kind {
    /// The words of all of them, in the order of the table.
    pub const NAMES: [&'static str; 11] = [
        "delivered",
        "owed",
        "unchanged",
        "duplicate",
        "stale",
        "dead_letter",
        "tombstone",
        "unproven",
        "before_start",
        "pending",
        "unaccounted",
    ];

    /// The word of the JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Owed => "owed",
            Self::Unchanged => "unchanged",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::DeadLetter(..) => "dead_letter",
            Self::Tombstone => "tombstone",
            Self::Unproven => "unproven",
            Self::BeforeStart => "before_start",
            Self::Pending => "pending",
            Self::Unaccounted => "unaccounted",
        }
    }

    /// Whether the event was folded into its order's state.
    pub const fn is_folded(self) -> bool {
        match self {
            Self::Delivered | Self::Owed | Self::Unchanged => true,
            Self::DeadLetter(reason, _) => {
                matches!(reason, DeadLetterReason::RejectedByPlatform | DeadLetterReason::RetriesExhausted)
            }
            Self::Duplicate
            | Self::Stale
            | Self::Tombstone
            | Self::Unproven
            | Self::BeforeStart
            | Self::Pending
            | Self::Unaccounted => false,
        }
    }
}

/// Why an offset is not accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The event is folded neither into its order's state, nor does a letter hold it.
    Hole,
    /// The log holds no delivery of the event.
    NeverOwed,
    /// A delivery that no event and no command explains.
    UnexplainedDelivery,
    /// The stamp is another one.
    StampDiffers,
    /// The request is another one.
    RequestDiffers,
    /// The order's state is another one.
    StateDiffers,
    /// The order has no state, and did not leave by retention.
    StateMissing,
    /// A state that no event explains.
    StateUnexplained,
    /// The changelog's record cannot be read.
    Unreadable,
    /// The event is to be a dead letter, and there is none.
    LetterMissing,
    /// A dead letter of an event that is to be folded, or that has another reason.
    LetterUnexplained,
    /// The letter's original is not the record, or its headers are not what status and folding say.
    LetterDiffers,
    /// The changelog has no status of the letter.
    StatusMissing,
    /// A delivery that was settled stands as owed.
    TombstoneMissing,
    /// A letter's status is not what deliveries have made of it since.
    StatusDiffers,
    /// The source's record is another one than was read.
    RecordChanged,
    /// A command that was executed has no outcome.
    CommandMissing,
    /// A command's outcome is another one, or a letter's status is not what commands have left.
    CommandDiffers,
    /// The record of the settings by which the log was folded is missing, or another one.
    SettingsDiffer,
    /// The changelog has records that no position follows.
    PositionMissing,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Hole,
        Self::NeverOwed,
        Self::UnexplainedDelivery,
        Self::StampDiffers,
        Self::RequestDiffers,
        Self::StateDiffers,
        Self::StateMissing,
        Self::StateUnexplained,
        Self::Unreadable,
        Self::LetterMissing,
        Self::LetterUnexplained,
        Self::LetterDiffers,
        Self::StatusMissing,
        Self::TombstoneMissing,
        Self::StatusDiffers,
        Self::RecordChanged,
        Self::CommandMissing,
        Self::CommandDiffers,
        Self::SettingsDiffer,
        Self::PositionMissing,
    ];

    /// The code of the JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Hole => "hole",
            Self::NeverOwed => "never_owed",
            Self::UnexplainedDelivery => "unexplained_delivery",
            Self::StampDiffers => "stamp_differs",
            Self::RequestDiffers => "request_differs",
            Self::StateDiffers => "state_differs",
            Self::StateMissing => "state_missing",
            Self::StateUnexplained => "state_unexplained",
            Self::Unreadable => "unreadable",
            Self::LetterMissing => "letter_missing",
            Self::LetterUnexplained => "letter_unexplained",
            Self::LetterDiffers => "letter_differs",
            Self::StatusMissing => "status_missing",
            Self::TombstoneMissing => "tombstone_missing",
            Self::StatusDiffers => "status_differs",
            Self::RecordChanged => "record_changed",
            Self::CommandMissing => "command_missing",
            Self::CommandDiffers => "command_differs",
            Self::SettingsDiffer => "settings_differ",
            Self::PositionMissing => "position_missing",
        }
    }

    /// What a person does next.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Hole | Self::NeverOwed => {
                "the event may never have reached Douyin: look at `order-sync orders show`, then fold it with \
                 `order-sync orders fold TOPIC/PARTITION/OFFSET --why …`, or send the order with `order-sync orders resync`"
            }
            Self::StateDiffers | Self::StampDiffers | Self::RequestDiffers | Self::StateUnexplained => {
                "was a setting or the release changed? The finding begins with it where that may be all. Else compare `order-sync orders show` with the merchant's order; where Douyin must be set right, \
                 `order-sync orders resync`. Who wrote to the changelog? Only workers may"
            }
            Self::StateMissing => {
                "the changelog has lost a state of the order: where `order-sync orders show` has none of it any more, ask the \
                 merchant for its whole document as a new event. Who wrote to the changelog, and does it have \
                 cleanup.policy=compact?"
            }
            Self::PositionMissing => {
                "the changelog has lost the position of its last commit: what lies behind the one before it counts as pending \
                 here, and a worker that restores by it refuses the partition. Was a `store rebase` cut off? Else who wrote to the changelog? Only workers may"
            }
            Self::UnexplainedDelivery => {
                "something was owed that no event says: see with `order-sync orders show` whether Douyin holds what the \
                 merchant has, and resync the order where not"
            }
            Self::Unreadable => {
                "another release or another hand has written it: use the tools of the release that the workers run"
            }
            Self::LetterMissing => {
                "was a setting or the release changed? The finding begins with it where that may be all. Was the dead-letter topic \
                 made anew, or did its letters expire? `order-sync dead-letters import` brings them back from an export, those \
                 that are closed, too; see that the topic has retention.ms=-1. Without one fold the event with `order-sync orders \
                 fold … --why …` once what is wrong with it is mended, or ask the merchant for a new event"
            }
            Self::StatusMissing => {
                "was a setting or the release changed? The finding begins with it where that may be all. Else nobody was told that this event failed: fold it with `order-sync orders fold … --why …` once what is wrong \
                 with it is mended, or ask the merchant for a new event; see that the dead-letter topic has retention.ms=-1"
            }
            Self::LetterUnexplained => {
                "an older release or other settings set it aside, or another hand: `order-sync dead-letters redrive` folds it \
                 as of today"
            }
            Self::LetterDiffers => {
                "the dead letter was written by another hand, or is of another record: take the record from the merchant, and \
                 compare `order-sync dead-letters show` with `order-sync orders show` before you redrive it"
            }
            Self::TombstoneMissing => {
                "the changelog has lost the record that settles this delivery: a worker that restores by it sends the same \
                 bytes under the same stamp again, which Douyin ignores. Who wrote to the changelog? Only workers may"
            }
            Self::StatusDiffers => {
                "the changelog has lost the newest status of this dead letter, which a later push has said: look at \
                 `order-sync orders show`, then `order-sync dead-letters discard` it. Who wrote to the changelog?"
            }
            Self::RecordChanged => {
                "a record is not what it was: the topic was made anew, was written by another hand, or a disk is failing. \
                 Take the record from the merchant, not from Kafka"
            }
            Self::CommandMissing => {
                "the changelog has lost what a command came to: whoever wrote to it or has deleted from it, only workers may. \
                 What the command did stands as it is; do not give it again before `order-sync orders show` or `apps list` says \
                 what it has left"
            }
            Self::CommandDiffers => {
                "was a setting or the release changed? The finding begins with it where that may be all. Else what the command says it did is not what the log gives: see `order-sync orders show`, and resync the order"
            }
            Self::SettingsDiffer => {
                "from this offset on the fold is guessed at by today's settings, and what else differs may be an earlier \
                 setting's doing: give `verify` the settings that the workers had then. Who wrote to the changelog?"
            }
        }
    }

    /// Whether folding by other settings, or by another release, may be all that there is to it.
    pub(super) const fn is_of_the_fold(self) -> bool {
        match self {
            Self::NeverOwed
            | Self::UnexplainedDelivery
            | Self::StampDiffers
            | Self::RequestDiffers
            | Self::StateDiffers
            | Self::StateMissing
            | Self::StateUnexplained
            | Self::LetterMissing
            | Self::LetterUnexplained
            | Self::CommandDiffers => true,
            Self::Hole
            | Self::Unreadable
            | Self::LetterDiffers
            | Self::StatusMissing
            | Self::TombstoneMissing
            | Self::StatusDiffers
            | Self::RecordChanged
            | Self::CommandMissing
            | Self::SettingsDiffer
            | Self::PositionMissing => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_and_reason_is_explained() {
        let docs = [
            include_str!("../../../docs/runbook.md"),
            include_str!("../../../docs/runbook.zh-CN.md"),
            include_str!("../../../docs/cli-json.md"),
        ];
        for word in Kind::NAMES.into_iter().filter(|name| *name != "unaccounted").chain(Reason::ALL.map(Reason::code)) {
            assert!(docs.iter().all(|text| text.contains(&format!("`{word}`"))), "{word}");
        }
    }
}
