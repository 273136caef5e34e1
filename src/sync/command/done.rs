//! What an executed command leaves in the changelog and in the store, under its id.

use serde::{Deserialize, Serialize};

use crate::order::{AppId, UpdateTime};
use crate::record::{NextOffset, RecordOffset};

/// The format that this release writes; it reads no other.
const FORMAT: u64 = 1;

/// What a command came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// redrive of a folded event, resync: a delivery is owed, under `update_time`.
    Sent,
    /// redrive, fold: the event was folded here, and its delivery is owed under `update_time`.
    Folded,
    /// redrive, fold: the event was folded here and changes nothing that is sent; or its delivery is owed already.
    Unchanged,
    /// redrive, fold: an event of this `event_id` is applied; nothing was done.
    Duplicate,
    /// redrive: the order is past this event, which has never reached the platform; the letter stays open.
    Stale,
    /// redrive: a later state of the order holds what the letter says; nothing was done.
    Superseded,
    /// redrive, fold: the event was judged anew, and is a dead letter (again).
    DeadLetter,
    /// discard, pause, resume, `accept_rejections`: done.
    Done,
    /// Nothing was done, for the reason in `message`.
    Refused,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Sent,
        Self::Folded,
        Self::Unchanged,
        Self::Duplicate,
        Self::Stale,
        Self::Superseded,
        Self::DeadLetter,
        Self::Done,
        Self::Refused,
    ];

    /// The word of the format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Folded => "folded",
            Self::Unchanged => "unchanged",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Superseded => "superseded",
            Self::DeadLetter => "dead_letter",
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// The outcome of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandDone {
    /// What it called itself: `redrive`, `pause`, …
    pub command: Box<str>,
    /// What it came to.
    pub outcome: Outcome,
    /// For people; names no id beyond those that were given.
    pub message: Box<str>,
    /// The offset of the original record, for a command about one.
    pub offset: Option<RecordOffset>,
    /// The app, where it is known.
    pub app_id: Option<AppId>,
    /// The order, where it is known.
    pub order_id: Option<Box<str>>,
    /// The stamp of the delivery that it owes.
    pub update_time: Option<UpdateTime>,
    /// The next offset of the source: it acted behind everything before it.
    pub next: NextOffset,
    /// Where the command lay in the commands topic: commands that acted at the same `next` did so in this order.
    pub command_offset: RecordOffset,
    /// The worker's wall clock, milliseconds since the epoch.
    pub at_ms: i64,
    /// Who gave it.
    pub who: Box<str>,
    /// Why.
    pub why: Box<str>,
}

/// A stored outcome cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum DoneError {
    /// Written by a newer release, or not by us.
    #[error("unknown format {0} of a command's outcome")]
    Format(u64),
    /// Not the JSON that this release writes.
    #[error("unreadable outcome of a command: {0}")]
    Json(#[from] serde_json::Error),
}

/// The stored form of a command's outcome.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CommandDone")]
pub(in crate::sync) struct StoredDone {
    /// The format's number.
    #[schemars(range(min = 1, max = 1))]
    format: u64,
    /// What the command called itself.
    command: Box<str>,
    /// What it came to.
    outcome: Outcome,
    /// For people.
    message: Box<str>,
    /// The offset of the original record, for a command about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 0))]
    offset: Option<i64>,
    /// The app, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    app_id: Option<AppId>,
    /// The order, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    order_id: Option<Box<str>>,
    /// The stamp of the delivery that it owes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    update_time: Option<i64>,
    /// The next offset of the source: it acted behind everything before it.
    #[schemars(range(min = 0))]
    next: i64,
    /// Where the command lay in the commands topic.
    #[schemars(range(min = 0))]
    command_offset: i64,
    /// The worker's wall clock, milliseconds since the epoch.
    at_ms: i64,
    /// Who gave the command.
    who: Box<str>,
    /// Why.
    why: Box<str>,
}

impl CommandDone {
    /// The stored form: one JSON object, `format` first.
    pub fn encode(&self) -> Result<Vec<u8>, DoneError> {
        Ok(serde_json::to_vec(&StoredDone {
            format: FORMAT,
            command: self.command.clone(),
            outcome: self.outcome,
            message: self.message.clone(),
            offset: self.offset.map(RecordOffset::get),
            app_id: self.app_id.clone(),
            order_id: self.order_id.clone(),
            update_time: self.update_time.map(|stamp| stamp.0),
            next: self.next.get(),
            command_offset: self.command_offset.get(),
            at_ms: self.at_ms,
            who: self.who.clone(),
            why: self.why.clone(),
        })?)
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DoneError> {
        #[derive(Deserialize)]
        struct Format {
            format: u64,
        }
        let format = serde_json::from_slice::<Format>(bytes)?.format;
        if format != FORMAT {
            return Err(DoneError::Format(format));
        }
        let stored: StoredDone = serde_json::from_slice(bytes)?;
        Ok(Self {
            command: stored.command,
            outcome: stored.outcome,
            message: stored.message,
            offset: stored.offset.map(RecordOffset::new),
            app_id: stored.app_id,
            order_id: stored.order_id,
            update_time: stored.update_time.map(UpdateTime),
            next: NextOffset::new(stored.next),
            command_offset: RecordOffset::new(stored.command_offset),
            at_ms: stored.at_ms,
            who: stored.who,
            why: stored.why,
        })
    }

    /// Rough memory of it, with its place in a map.
    pub fn bytes(&self) -> usize {
        100 + size_of::<Self>()
            + self.command.len()
            + self.message.len()
            + self.who.len()
            + self.why.len()
            + self.order_id.as_ref().map_or(0, |id| id.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_fixed_and_comes_back() {
        let mut done = CommandDone {
            command: "discard".into(),
            outcome: Outcome::Done,
            message: "m".into(),
            offset: None,
            app_id: None,
            order_id: None,
            update_time: None,
            next: NextOffset::new(5),
            command_offset: RecordOffset::new(2),
            at_ms: 9,
            who: "alice".into(),
            why: String::new().into(),
        };
        let check = |done: &CommandDone, expect: &str| {
            let stored = done.encode().unwrap();
            assert_eq!(std::str::from_utf8(&stored).unwrap(), expect);
            assert_eq!(CommandDone::decode(&stored).unwrap(), *done);
        };
        check(
            &done,
            r#"{"format":1,"command":"discard","outcome":"done","message":"m","next":5,"command_offset":2,"at_ms":9,"who":"alice","why":""}"#,
        );
        done.offset = Some(RecordOffset::new(4));
        done.app_id = Some(AppId::new("tt1"));
        done.order_id = Some("A1".into());
        done.update_time = Some(UpdateTime(17));
        check(
            &done,
            r#"{"format":1,"command":"discard","outcome":"done","message":"m","offset":4,"app_id":"tt1","order_id":"A1","update_time":17,"next":5,"command_offset":2,"at_ms":9,"who":"alice","why":""}"#,
        );
    }

    #[test]
    fn words_are_those_of_the_format_and_another_format_is_refused() {
        for outcome in Outcome::ALL {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
        }
        assert_eq!(
            CommandDone::decode(br#"{"format":2}"#).unwrap_err().to_string(),
            "unknown format 2 of a command's outcome"
        );
        assert!(CommandDone::decode(b"").is_err());
    }
}
