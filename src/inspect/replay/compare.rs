//! One order: what the log gives against what the changelog holds. Nothing is called differing that what was read does not
//! prove.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::beside::{Begun, ReplayRules, Row};
use super::document::{digest_of, holds};
use super::held::{Held, HeldState};
use super::verdict::{Differs, Never, Unknown, Verdict};
use crate::order::{DeadLetterReason, Digest, Fault, Identity, OrderState};
use crate::sync::changelog::LetterState;

/// Where the events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Events {
    /// From the partition, up to this offset: an offset says what an event is.
    OfLog {
        /// The first that was not folded.
        until: i64,
    },
    /// From a file: there are times alone to go by.
    OfFile,
}

/// What orders are compared on.
pub(super) struct Ground<'g> {
    pub(super) rules: &'g ReplayRules<'g>,
    pub(super) held: &'g Held,
    pub(super) events: Events,
    pub(super) begun: Begun,
    /// Orders that a command has changed behind the end of what was read, or nobody knows where in a file.
    pub(super) commanded_later: HashSet<Identity, RandomState>,
}

/// How far a look without the held document leads.
pub(super) enum Look {
    Settled(Verdict),
    /// The held state has to be read.
    Document(HeldState),
}

impl Ground<'_> {
    /// What can be said without the held document.
    pub(super) fn first_look(&self, identity: &Identity, row: &Row) -> Look {
        let held = self.held.states.get(identity);
        let settled = match (&row.state, held) {
            (_, _) if row.is_commanded => Verdict::Undecided(Unknown::Commanded),
            (None, None) if row.is_open => Verdict::NeverDelivered(Never::SetAside),
            (None, _) if row.set_aside > 0 => Verdict::Undecided(Unknown::OnlySetAside),
            (None, None) if self.begun == Begun::AtFirst && self.events != Events::OfFile => {
                Verdict::NeverDelivered(Never::NoState)
            }
            (None, _) => Verdict::Undecided(Unknown::BeganEarlier),
            (Some(state), None) if self.has_left(identity, state) => Verdict::Left,
            (Some(_), None) => Verdict::NeverDelivered(Never::NoState),
            (Some(state), Some(held)) => return self.look_at_state(identity, row, state, held),
        };
        Look::Settled(settled)
    }

    fn look_at_state(&self, identity: &Identity, row: &Row, state: &OrderState, held: &HeldState) -> Look {
        let is_later = match self.events {
            Events::OfLog { until } => held.applied_offset >= until || self.commanded_later.contains(identity),
            Events::OfFile => is_newer((held.sequence, held.occurred_at), (state.sequence, state.occurred_at)),
        };
        if self.begun == Begun::Between {
            return if is_later { Look::Settled(Verdict::Later) } else { Look::Document(*held) };
        }
        let content = self.digest(identity, state);
        let is_alike = (state.order_type, state.status) == (held.order_type, held.status);
        // What a command has folded lies behind everything of a file: an event that is newer than the held state's last one is
        // hidden by it.
        let is_hidden = self.is_commanded_in_file(identity)
            && is_newer((state.sequence, state.occurred_at), (held.sequence, held.occurred_at));
        Look::Settled(match content {
            Ok(digest) if is_alike && digest == held.digest && !is_hidden => self.delivered(identity, held),
            Ok(_) | Err(_) if is_later => Verdict::Later,
            Ok(_) | Err(_) if row.may_have_left => Verdict::Undecided(Unknown::MayHaveLeft),
            // Nobody has set its events aside: it began elsewhere, in a topic that is gone.
            Err(fault) if fault.reason == DeadLetterReason::IncompleteOrder => {
                Verdict::Undecided(Unknown::BeganEarlier)
            }
            Ok(_) | Err(_) => return Look::Document(*held),
        })
    }

    /// What can be said with it.
    pub(super) fn second_look(&self, identity: &Identity, row: &Row, held: &HeldState, stored: &OrderState) -> Verdict {
        let Some(state) = &row.state else { return Verdict::Undecided(Unknown::BeganEarlier) };
        match self.begun {
            Begun::AtFirst => self.differs(identity, state, held, stored),
            Begun::Between => self.between(identity, state, held, stored),
        }
    }

    fn differs(&self, identity: &Identity, state: &OrderState, held: &HeldState, stored: &OrderState) -> Verdict {
        let ours = match self.digest(identity, state) {
            Ok(digest) => digest,
            Err(fault) => return Verdict::Differing(Differs::Unsendable(fault.reason)),
        };
        let is_alike = (state.order_type, state.status) == (held.order_type, held.status);
        let theirs = self.digest(identity, stored).ok();
        if self.is_commanded_in_file(identity) {
            let is_newer = is_newer((state.sequence, state.occurred_at), (held.sequence, held.occurred_at));
            let is_mapping = is_alike && theirs == Some(ours);
            return match (is_newer, is_mapping) {
                (true, _) => Verdict::Differing(Differs::Missed),
                (false, true) => Verdict::Differing(Differs::Mapping),
                (false, false) => Verdict::Undecided(Unknown::Commanded),
            };
        }
        Verdict::Differing(if is_alike && theirs == Some(ours) {
            Differs::Mapping
        } else if is_newer((state.sequence, state.occurred_at), (held.sequence, held.occurred_at)) {
            Differs::Missed
        } else {
            Differs::State
        })
    }

    /// Of an order whose beginning was not seen the last event is certain, and nothing else.
    fn between(&self, identity: &Identity, state: &OrderState, held: &HeldState, stored: &OrderState) -> Verdict {
        if state.applied_offset == held.applied_offset {
            let agrees = state.status == held.status && holds(&stored.document, &state.document);
            return if agrees { self.mapped(identity, held, stored) } else { Verdict::Differing(Differs::State) };
        }
        if state.applied_offset < held.applied_offset {
            return Verdict::Undecided(Unknown::BeganEarlier);
        }
        // The workers have not applied it. It was stale to them, unless it is newer than what they have come to since.
        match (state.sequence, held.sequence) {
            (Some(_), Some(_)) | (None, None)
                if is_newer((state.sequence, state.occurred_at), (held.sequence, held.occurred_at)) =>
            {
                Verdict::Differing(Differs::Missed)
            }
            (Some(_), None) | (None, Some(_)) => Verdict::Undecided(Unknown::BeganEarlier),
            (Some(_), Some(_)) | (None, None) => self.mapped(identity, held, stored),
        }
    }

    /// A state that is right, mapped by these settings.
    fn mapped(&self, identity: &Identity, held: &HeldState, stored: &OrderState) -> Verdict {
        match self.digest(identity, stored) {
            Ok(digest) if digest == held.digest => self.delivered(identity, held),
            Ok(_) => Verdict::Differing(Differs::Mapping),
            Err(fault) => Verdict::Differing(Differs::Unsendable(fault.reason)),
        }
    }

    /// Whether Douyin has accepted the held content.
    fn delivered(&self, identity: &Identity, held: &HeldState) -> Verdict {
        if self.held.owed(identity) > 0 {
            return Verdict::NeverDelivered(Never::Owed);
        }
        let Some(offset) = held.dead_letter else { return Verdict::Same };
        match self.held.letters.get(&offset).map(|letter| letter.state) {
            Some(LetterState::Discarded) => Verdict::Discarded,
            Some(LetterState::Open | LetterState::Redriven | LetterState::Superseded) | None => {
                Verdict::NeverDelivered(Never::DeadLetter)
            }
        }
    }

    /// Retention removes what is at its end, and notes the greatest stamp that it has removed.
    fn has_left(&self, identity: &Identity, state: &OrderState) -> bool {
        let removed = self.held.position.as_ref().and_then(|position| position.removed_stamps.get(&identity.app_id));
        state.status.is_final() && removed.is_some_and(|removed| state.update_time <= *removed)
    }

    /// Whether a command has folded an event of it, and no line of the file says where.
    fn is_commanded_in_file(&self, identity: &Identity) -> bool {
        self.events == Events::OfFile && self.commanded_later.contains(identity)
    }

    fn digest(&self, identity: &Identity, state: &OrderState) -> Result<Digest, Fault> {
        digest_of(identity, (state.order_type, state.status), &state.document, self.rules.mapper)
    }
}

type Age = (Option<crate::order::Sequence>, crate::order::EventTime);

/// Whether an event of this age would not be stale behind one of that, and is not of the same age.
fn is_newer(one: Age, other: Age) -> bool {
    match (one.0, other.0) {
        (Some(one), Some(other)) => one > other,
        (Some(_), None) | (None, Some(_) | None) => one.1 > other.1,
    }
}
