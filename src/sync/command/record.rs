//! A command: who asks whom for what.

use serde::{Deserialize, Serialize};

use crate::order::AppId;
use crate::record::{RecordOffset, TopicPartition};

/// The greatest length of an id in bytes; the least is 1.
pub const COMMAND_ID_BYTES_MAX: usize = 512;
/// The greatest length of `who` in bytes.
pub const WHO_BYTES_MAX: usize = 256;
/// The greatest length of `why` in bytes.
pub const WHY_BYTES_MAX: usize = 2048;

/// An operator's command to the owner of one source partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Names it for ever: a command given twice acts once.
    pub id: Box<str>,
    /// The source partition whose owner executes it.
    pub source: TopicPartition,
    /// What is to be done.
    pub action: Action,
    /// Who gave it.
    pub who: Box<str>,
    /// Why, in the operator's words; may be empty.
    pub why: Box<str>,
    /// When it was given, by its giver's clock, milliseconds since the epoch.
    pub at_ms: i64,
}

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Takes up a dead letter: its event is folded here and now, or, where it was folded, its delivery is owed again.
    Redrive {
        /// The offset of the original record.
        offset: RecordOffset,
        /// Where the letter lies, for the record that the source no longer has and for the very request.
        letter: Option<LetterPlace>,
    },
    /// Decides against a dead letter.
    Discard {
        /// The offset of the original record.
        offset: RecordOffset,
    },
    /// Owes an order's stored state again, under a new stamp.
    Resync {
        /// The app.
        app_id: AppId,
        /// The merchant's order number.
        order_id: Box<str>,
    },
    /// Folds a record that was judged stale, on the operator's word.
    Fold {
        /// The record's offset.
        offset: RecordOffset,
    },
    /// Starts no delivery of the app's orders of this partition.
    Pause {
        /// The app.
        app_id: AppId,
    },
    /// Starts them again.
    Resume {
        /// The app.
        app_id: AppId,
    },
    /// Takes rejections with this code as right: they do not count as a reject storm.
    AcceptRejections {
        /// The app.
        app_id: AppId,
        /// The platform's code.
        code: i64,
    },
}

/// Where a dead letter lies in the dead-letter topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LetterPlace {
    /// The partition, that of the source.
    #[schemars(range(min = 0))]
    pub partition: i32,
    /// The letter's offset there.
    #[schemars(range(min = 0))]
    pub offset: i64,
}

/// The words of the format, for commands as records and for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// Take up a dead letter.
    Redrive,
    /// Decide against a dead letter.
    Discard,
    /// Owe an order's state again.
    Resync,
    /// Fold a stale event.
    Fold,
    /// Start no delivery of an app.
    Pause,
    /// Start them again.
    Resume,
    /// Take a code's rejections as right.
    AcceptRejections,
}

impl Action {
    pub(super) fn word(&self) -> Word {
        match self {
            Self::Redrive { .. } => Word::Redrive,
            Self::Discard { .. } => Word::Discard,
            Self::Resync { .. } => Word::Resync,
            Self::Fold { .. } => Word::Fold,
            Self::Pause { .. } => Word::Pause,
            Self::Resume { .. } => Word::Resume,
            Self::AcceptRejections { .. } => Word::AcceptRejections,
        }
    }

    /// The command's name, as the format, the metric and the CLI have it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Redrive { .. } => "redrive",
            Self::Discard { .. } => "discard",
            Self::Resync { .. } => "resync",
            Self::Fold { .. } => "fold",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::AcceptRejections { .. } => "accept_rejections",
        }
    }

    /// Whether the command changes an order, and so waits for those before it; the others wait behind nothing.
    pub fn changes_an_order(&self) -> bool {
        match self {
            Self::Redrive { .. } | Self::Resync { .. } | Self::Fold { .. } => true,
            Self::Discard { .. } | Self::Pause { .. } | Self::Resume { .. } | Self::AcceptRejections { .. } => false,
        }
    }

    /// The offset of the original record, where the command is about one.
    pub fn offset(&self) -> Option<RecordOffset> {
        match self {
            Self::Redrive { offset, .. } | Self::Discard { offset } | Self::Fold { offset } => Some(*offset),
            Self::Resync { .. } | Self::Pause { .. } | Self::Resume { .. } | Self::AcceptRejections { .. } => None,
        }
    }

    /// The app and the order that the command names; one about a record names neither.
    pub fn subject(&self) -> (Option<&AppId>, Option<&str>) {
        match self {
            Self::Resync { app_id, order_id } => (Some(app_id), Some(order_id)),
            Self::Pause { app_id } | Self::Resume { app_id } | Self::AcceptRejections { app_id, .. } => {
                (Some(app_id), None)
            }
            Self::Redrive { .. } | Self::Discard { .. } | Self::Fold { .. } => (None, None),
        }
    }
}
