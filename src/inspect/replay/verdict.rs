//! What a replay finds of an order, and what follows from it. Every order that was seen has exactly one verdict.

use std::collections::BTreeMap;

use super::document::Difference;
use crate::order::{AppId, DeadLetterReason, Identity, Status};
use crate::record::TopicPartition;

/// How the content that the log gives stands to what the changelog holds, and that to what Douyin has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same content, and Douyin has accepted it.
    Same,
    /// Another content.
    Differing(Differs),
    /// The same content or none, and Douyin has not accepted the order's last state.
    NeverDelivered(Never),
    /// The changelog has no state of it: it was at its end, and retention has removed it.
    Left,
    /// Its last delivery failed for good, and an operator has decided against it.
    Discarded,
    /// It has moved on behind the end of what was read.
    Later,
    /// What was read does not tell.
    Undecided(Unknown),
}

/// How it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Differs {
    /// The same document and status, mapped otherwise than when it was last folded: by another release or other settings.
    Mapping,
    /// Another document, status or type.
    State,
    /// An event that is newer than everything in the state, and has no dead letter, is not in it.
    Missed,
    /// By the settings of now what the log gives cannot be sent.
    Unsendable(DeadLetterReason),
}

/// Why Douyin has not accepted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {
    /// Its deliveries are under way.
    Owed,
    /// The delivery of its last state stands as a dead letter.
    DeadLetter,
    /// None of its events could be folded, and a letter of them is open.
    SetAside,
    /// Its events were passed, and there is neither a state nor a letter.
    NoState,
}

/// Why nothing can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It began before what was read, with events that this cannot do without.
    BeganEarlier,
    /// It may have been removed by retention and begun anew in between.
    MayHaveLeft,
    /// A command has folded an event of it that was not read, or nothing says between which others.
    Commanded,
    /// Its state changed in the changelog while it was read.
    Changing,
    /// What was set aside of it is decided against, or never was to be folded.
    OnlySetAside,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Will {
    /// A resync brings Douyin to what the log says.
    Resync,
    /// The workers deliver it as it is.
    Owed,
    /// A resync would send what the changelog holds, which is not what the log says: a person has to look.
    Look,
    /// Nothing is to be done, or nothing can be said.
    Nothing,
}

/// What a replay says of one order.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its source partition; `None` for an order of a file that no partition holds.
    pub place: Option<TopicPartition>,
    /// Which one.
    pub identity: Identity,
    /// What was found.
    pub verdict: Verdict,
    /// What follows.
    pub will: Will,
    /// Its status by the log; `None` where nothing of it was folded.
    pub status: Option<Status>,
    /// Its status by the changelog.
    pub held_status: Option<Status>,
    /// The stamp of the state that the changelog holds.
    pub held_stamp: Option<i64>,
    /// The record that was applied last by the log.
    pub last_offset: Option<i64>,
    /// Where it differs, field by field; empty unless it was asked for and something differs.
    pub differences: Vec<Difference>,
}

/// Says which orders are looked at field by field.
pub struct Looks {
    /// So many more.
    pub left: usize,
    /// Whether personal data is shown.
    pub personal: super::super::Personal,
}

/// Counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records with a value that were read, those before the position.
    pub events: u64,
    /// Records with a value behind the position: the workers have yet to come to them.
    pub pending: u64,
    /// Events that the workers have set aside, and did not fold.
    pub set_aside: u64,
    /// Events that cannot be read by these settings, and have no dead letter.
    pub unread: u64,
    /// Orders that were seen.
    pub orders: u64,
    /// See [`Verdict::Same`].
    pub same: u64,
    /// See [`Verdict::Differing`].
    pub differing: u64,
    /// See [`Verdict::NeverDelivered`].
    pub never_delivered: u64,
    /// See [`Verdict::Left`].
    pub left: u64,
    /// See [`Verdict::Discarded`].
    pub discarded: u64,
    /// See [`Verdict::Later`].
    pub later: u64,
    /// See [`Verdict::Undecided`].
    pub undecided: u64,
    /// Of what needs a push: [`Will::Resync`], by app.
    pub resyncs: BTreeMap<AppId, u64>,
    /// [`Will::Owed`].
    pub owed: u64,
    /// [`Will::Look`].
    pub looks: u64,
}

impl Verdict {
    /// The word for people and scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differing(_) => "differing",
            Self::NeverDelivered(_) => "never_delivered",
            Self::Left => "left",
            Self::Discarded => "discarded",
            Self::Later => "later",
            Self::Undecided(_) => "undecided",
        }
    }

    /// The word for why, where there are several.
    pub fn why(self) -> Option<&'static str> {
        Some(match self {
            Self::Same | Self::Left | Self::Discarded | Self::Later => return None,
            Self::Differing(Differs::Mapping) => "mapping",
            Self::Differing(Differs::State) => "state",
            Self::Differing(Differs::Missed) => "missed",
            Self::Differing(Differs::Unsendable(reason)) => reason.as_str(),
            Self::NeverDelivered(Never::Owed) => "owed",
            Self::NeverDelivered(Never::DeadLetter) => "dead_letter",
            Self::NeverDelivered(Never::SetAside) => "set_aside",
            Self::NeverDelivered(Never::NoState) => "no_state",
            Self::Undecided(Unknown::BeganEarlier) => "began_earlier",
            Self::Undecided(Unknown::MayHaveLeft) => "may_have_left",
            Self::Undecided(Unknown::Commanded) => "commanded",
            Self::Undecided(Unknown::Changing) => "changing",
            Self::Undecided(Unknown::OnlySetAside) => "only_set_aside",
        })
    }

    /// What follows, where a resync of the order would be executed.
    pub(super) fn will(self) -> Will {
        match self {
            Self::Differing(Differs::Mapping) | Self::NeverDelivered(Never::DeadLetter) => Will::Resync,
            Self::NeverDelivered(Never::Owed) => Will::Owed,
            Self::Differing(Differs::State | Differs::Missed | Differs::Unsendable(_))
            | Self::NeverDelivered(Never::SetAside | Never::NoState) => Will::Look,
            Self::Same | Self::Left | Self::Discarded | Self::Later | Self::Undecided(_) => Will::Nothing,
        }
    }
}

impl Will {
    /// The word for scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resync => "resync",
            Self::Owed => "owed",
            Self::Look => "look",
            Self::Nothing => "nothing",
        }
    }
}

impl Tally {
    /// Counts an order.
    pub fn count(&mut self, finding: &Finding) {
        self.orders += 1;
        match finding.verdict {
            Verdict::Same => self.same += 1,
            Verdict::Differing(_) => self.differing += 1,
            Verdict::NeverDelivered(_) => self.never_delivered += 1,
            Verdict::Left => self.left += 1,
            Verdict::Discarded => self.discarded += 1,
            Verdict::Later => self.later += 1,
            Verdict::Undecided(_) => self.undecided += 1,
        }
        match finding.will {
            Will::Resync => *self.resyncs.entry(finding.identity.app_id.clone()).or_default() += 1,
            Will::Owed => self.owed += 1,
            Will::Look => self.looks += 1,
            Will::Nothing => {}
        }
    }

    /// Adds what was counted of events.
    pub(super) fn add_events(&mut self, more: &Self) {
        self.events += more.events;
        self.pending += more.pending;
        self.set_aside += more.set_aside;
        self.unread += more.unread;
    }

    /// Orders that a push has to bring to what the log says.
    pub fn pushes(&self) -> u64 {
        self.differing + self.never_delivered
    }

    /// Orders that a resync is given for.
    pub fn to_resync(&self) -> u64 {
        self.resyncs.values().sum()
    }
}
