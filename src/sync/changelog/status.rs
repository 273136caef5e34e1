//! The status of a dead letter: one small record beside the letter, so that what is still open can be told without
//! reading every letter.
//!
//! It is written in the commit of its letter, so that every letter has one. A worker supersedes; commands
//! redrive and discard. Retention forgets those of superseded letters whose order is gone, and no others: a letter that has no
//! status in its changelog is superseded.

use serde::{Deserialize, Serialize};

use crate::order::{AppId, DeadLetterReason, Identity, UpdateTime};
use crate::sync::dead_letter::DeadLetter;

/// The format that this release writes; it reads no other.
const FORMAT: u64 = 1;

/// What has become of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LetterState {
    /// Nobody has dealt with it.
    Open,
    /// Its event was folded again, or its delivery is owed again.
    Redriven,
    /// A later state of its order was accepted, and holds what it said.
    Superseded,
    /// An operator has decided against it.
    Discarded,
}

/// The status of one dead letter, named by the offset of its original record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterStatus {
    /// What has become of it.
    pub state: LetterState,
    /// Why the record was set aside.
    pub reason: DeadLetterReason,
    /// Wall clock of this status, milliseconds since the epoch.
    pub at_ms: i64,
    /// How often the record has been dead-lettered.
    pub times: u32,
    /// Wall clock of the record's first failure of all those times, milliseconds since the epoch; `None` in statuses of older
    /// releases.
    pub first_failed_ms: Option<i64>,
    /// The app, where it is one of ours.
    pub app_id: Option<AppId>,
    /// The order, where the event could be read so far.
    pub order_id: Option<Box<str>>,
    /// The stamp of a letter whose event was folded: an accepted push of that order with this stamp or a later one
    /// supersedes it. `None`: the event never was folded, and no push says what it said.
    pub stamp: Option<UpdateTime>,
}

/// A stored status cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Written by a newer release, or not by us.
    #[error("unknown format {0} of a dead letter's status")]
    Format(u64),
    /// Not the JSON that this release writes.
    #[error("unreadable status of a dead letter: {0}")]
    Json(#[from] serde_json::Error),
}

/// The stored form of a dead letter's status.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LetterStatus")]
pub(super) struct StoredStatus {
    /// The format's number.
    #[schemars(range(min = 1, max = 1))]
    format: u64,
    /// What has become of the letter.
    state: LetterState,
    /// The stable reason code.
    reason: DeadLetterReason,
    /// Wall clock of this status, milliseconds since the epoch.
    at_ms: i64,
    /// How often the record has been dead-lettered; 1 where it is left out.
    #[serde(default = "once")]
    #[schemars(range(min = 1))]
    times: u32,
    /// Wall clock of the record's first failure of all those times, milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    first_failed_ms: Option<i64>,
    /// The app, where it is one of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    app_id: Option<AppId>,
    /// The order, where the event could be read so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    order_id: Option<Box<str>>,
    /// The stamp of the letter's delivery, where its event was folded: only then can a later push supersede it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    stamp: Option<UpdateTime>,
}

const fn once() -> u32 {
    1
}

#[derive(Deserialize)]
struct Format {
    format: u64,
}

impl LetterState {
    /// The word of the stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Redriven => "redriven",
            Self::Superseded => "superseded",
            Self::Discarded => "discarded",
        }
    }
}

impl LetterStatus {
    /// The status that a letter begins with.
    pub fn open(letter: &DeadLetter) -> Self {
        Self {
            state: LetterState::Open,
            reason: letter.reason,
            at_ms: letter.last_failed_ms,
            times: letter.times,
            first_failed_ms: Some(letter.first_failed_ms),
            app_id: letter.app_id.as_deref().map(AppId::new),
            order_id: letter.order_id.as_deref().map(Into::into),
            stamp: letter.update_time.map(UpdateTime),
        }
    }

    /// Whether somebody still has to deal with it.
    pub fn is_open(&self) -> bool {
        self.state == LetterState::Open
    }

    /// The order that it belongs to, where all of its identity is known.
    pub fn identity(&self) -> Option<Identity> {
        Some(Identity::new(self.app_id.clone()?, self.order_id.as_deref()?))
    }

    /// Whether an accepted push with this stamp holds what the letter's event said.
    pub fn is_superseded_by(&self, accepted: UpdateTime) -> bool {
        self.is_open() && self.stamp.is_some_and(|stamp| stamp <= accepted)
    }

    /// The stored form: one JSON object, `format` first.
    pub fn encode(&self) -> Result<Vec<u8>, StatusError> {
        let Self { state, reason, at_ms, times, first_failed_ms, stamp, .. } = *self;
        let (app_id, order_id) = (self.app_id.clone(), self.order_id.clone());
        let stored =
            StoredStatus { format: FORMAT, state, reason, at_ms, times, first_failed_ms, app_id, order_id, stamp };
        Ok(serde_json::to_vec(&stored)?)
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, StatusError> {
        let format = serde_json::from_slice::<Format>(bytes)?.format;
        if format != FORMAT {
            return Err(StatusError::Format(format));
        }
        let StoredStatus { format: _, state, reason, at_ms, times, first_failed_ms, app_id, order_id, stamp } =
            serde_json::from_slice(bytes)?;
        Ok(Self { state, reason, at_ms, times, first_failed_ms, app_id, order_id, stamp })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_fixed_and_comes_back() {
        let check = |status: &LetterStatus, expect: &str| {
            let stored = status.encode().unwrap();
            assert_eq!(std::str::from_utf8(&stored).unwrap(), expect);
            assert_eq!(LetterStatus::decode(&stored).unwrap(), *status);
        };
        let (state, reason) = (LetterState::Open, DeadLetterReason::UnknownApp);
        let mut status = LetterStatus {
            state,
            reason,
            at_ms: 7,
            times: 1,
            first_failed_ms: None,
            app_id: None,
            order_id: None,
            stamp: None,
        };
        check(&status, r#"{"format":1,"state":"open","reason":"unknown_app","at_ms":7,"times":1}"#);
        status.order_id = Some("A\"1".into());
        assert_eq!(status.identity(), None);
        check(&status, r#"{"format":1,"state":"open","reason":"unknown_app","at_ms":7,"times":1,"order_id":"A\"1"}"#);
        (status.state, status.reason) = (LetterState::Superseded, DeadLetterReason::RetriesExhausted);
        status.first_failed_ms = Some(5);
        (status.times, status.app_id, status.stamp) = (3, Some(AppId::new("tt1")), Some(UpdateTime(1_700_000_000)));
        check(
            &status,
            concat!(
                r#"{"format":1,"state":"superseded","reason":"retries_exhausted","at_ms":7,"times":3,"#,
                r#""first_failed_ms":5,"#,
                r#""app_id":"tt1","order_id":"A\"1","stamp":1700000000}"#
            ),
        );
    }

    #[test]
    fn entries_without_the_later_members_are_read_and_other_formats_refused() {
        let old = LetterStatus::decode(br#"{"format":1,"state":"open","reason":"unknown_app","at_ms":7}"#).unwrap();
        assert_eq!((old.times, old.first_failed_ms, old.identity(), old.stamp), (1, None, None, None));
        let error = LetterStatus::decode(br#"{"format":2}"#).unwrap_err();
        assert_eq!(error.to_string(), "unknown format 2 of a dead letter's status");
    }

    #[test]
    fn only_what_was_folded_is_superseded_and_by_its_stamp_or_a_later_one() {
        let stamped = |state, stamp: Option<i64>| LetterStatus {
            state,
            reason: DeadLetterReason::RejectedByPlatform,
            at_ms: 7,
            times: 1,
            first_failed_ms: None,
            app_id: None,
            order_id: None,
            stamp: stamp.map(UpdateTime),
        };
        let check = |state, stamp, accepted, expect| {
            assert_eq!(stamped(state, stamp).is_superseded_by(UpdateTime(accepted)), expect, "{state:?} {stamp:?}");
        };
        check(LetterState::Open, Some(5), 4, false);
        check(LetterState::Open, Some(5), 5, true);
        check(LetterState::Open, Some(5), 6, true);
        check(LetterState::Open, None, 6, false);
        for closed in [LetterState::Redriven, LetterState::Superseded, LetterState::Discarded] {
            check(closed, Some(5), 6, false);
        }
    }
}
