//! One event against everything that its order's state may be: what folding gives, and which of it the log bears out.

use super::evidence::{OwedSeen, short};
use super::letters::LetterSeen;
use super::outcome::Reason;
use super::rules::Variant;
use super::worlds::World;
use crate::order::fold::{FoldAs, FoldRules, fold_as};
use crate::order::{DeadLetterReason, OrderEvent, OrderState, TimeUnit, Transition, UpdateTime};

/// What folding gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Advanced {
        stamp: i64,
        request: u64,
    },
    Unchanged {
        stamp: i64,
    },
    Duplicate,
    Stale,
    Aside(DeadLetterReason),
    /// Nothing is known of what it is folded onto.
    Unknown,
}

impl What {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Advanced { .. } => "a new state",
            Self::Unchanged { .. } => "an unchanged state",
            Self::Duplicate => "a duplicate",
            Self::Stale => "a stale event",
            Self::Aside(reason) => reason.as_str(),
            Self::Unknown => "nothing that can be told",
        }
    }
}

/// One possible outcome.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) before: World,
    pub(super) after: World,
    pub(super) what: What,
}

/// An event in its place, and what the log says of it.
pub(super) struct Step<'a> {
    pub(super) event: &'a OrderEvent<'a>,
    pub(super) offset: i64,
    pub(super) way: FoldAs,
    pub(super) variants: &'a [Variant<'a>],
    /// The greatest stamp that retention has removed.
    pub(super) removed: i64,
    /// The one that it had removed when a command folded this, as far as the stamp of its outcome says; else 0.
    pub(super) removed_then: i64,
    /// The letter that set it aside.
    pub(super) letter: Option<&'a LetterSeen>,
    /// The deliveries that the log has owed for it.
    pub(super) owed: &'a [OwedSeen],
    /// Whether a command has made this stamp.
    pub(super) is_commanded: &'a dyn Fn(i64) -> bool,
    /// Whether the log holds every record of the commit.
    pub(super) is_whole: bool,
}

impl Step<'_> {
    /// Everything that folding may give, the likeliest first.
    pub(super) fn candidates(&self, worlds: &[World]) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::with_capacity(1);
        let mut put = |candidate: Candidate| {
            if !found.contains(&candidate) {
                found.push(candidate);
            }
        };
        for world in worlds {
            match world {
                World::Unknown => {}
                World::New => self.anew(UpdateTime::ZERO).for_each(&mut put),
                World::Known(state) => {
                    self.variants.iter().for_each(|v| put(self.folded(world, Some(state), UpdateTime::ZERO, *v)));
                    if left_below(state, self.removed) {
                        // It may have left before this event.
                        self.anew(state.update_time).for_each(&mut put);
                    }
                }
            }
        }
        if worlds.contains(&World::Unknown) {
            put(Candidate { before: World::Unknown, after: World::Unknown, what: What::Unknown });
        }
        found
    }

    /// As the first event of an order of which this stamp or a later one has left, or none.
    fn anew(&self, removed: UpdateTime) -> impl Iterator<Item = Candidate> {
        let then = Some(self.removed_then).filter(|then| *then > removed.0 && *then <= self.removed);
        let all = [Some(removed), then.map(UpdateTime)].into_iter().flatten();
        all.flat_map(move |removed| self.variants.iter().map(move |v| self.folded(&World::New, None, removed, *v)))
    }

    fn folded(
        &self,
        before: &World,
        state: Option<&OrderState>,
        removed: UpdateTime,
        variant: Variant<'_>,
    ) -> Candidate {
        let rules = FoldRules { unit: variant.unit, removed_stamp: removed };
        let (after, what) = match fold_as(self.way, state, self.event, self.offset, rules, variant.mapper) {
            Ok(Transition::Advanced(advanced)) => {
                let what = What::Advanced { stamp: advanced.state.update_time.0, request: short(&advanced.request) };
                (World::known(advanced.state), what)
            }
            Ok(Transition::Unchanged(unchanged)) => {
                let what = What::Unchanged { stamp: unchanged.state.update_time.0 };
                (World::known(unchanged.state), what)
            }
            Ok(Transition::Duplicate) => (before.clone(), What::Duplicate),
            Ok(Transition::Stale) => (before.clone(), What::Stale),
            Err(fault) => (before.clone(), What::Aside(fault.reason)),
        };
        Candidate { before: before.clone(), after, what }
    }

    /// Where the order stands behind this event, if it came to this and the log bears it out; else what contradicts it.
    pub(super) fn judge(&self, candidate: &Candidate) -> Result<World, (Reason, String)> {
        let what = candidate.what;
        match (self.letter, what) {
            (_, What::Unknown) => Ok(World::Unknown),
            (Some(letter), What::Aside(reason)) if letter.reason == Some(reason) => Ok(candidate.before.clone()),
            (Some(letter), _) if self.is_given(letter, &candidate.before) => Ok(candidate.before.clone()),
            (Some(letter), _) => {
                let reason = letter.reason.map_or("of a reason that is not known", DeadLetterReason::as_str);
                let words = format!("there is a dead letter {reason}, and folding gives {}", what.words());
                Err((Reason::LetterUnexplained, words))
            }
            (None, What::Aside(reason)) => {
                let words = format!("folding gives the dead letter {reason}, and there is none");
                Err((Reason::LetterMissing, words))
            }
            (None, What::Advanced { stamp, request }) => self.is_owed(stamp, request).map(|()| candidate.after.clone()),
            (None, What::Unchanged { stamp }) => {
                self.owes_nothing_but(Some(stamp), what).map(|()| candidate.after.clone())
            }
            (None, What::Duplicate | What::Stale) => {
                self.owes_nothing_but(None, what).map(|()| candidate.after.clone())
            }
        }
    }

    /// What depends on the clock of then, on retention of then or on the apps of then is taken as the log has it.
    fn is_given(&self, letter: &LetterSeen, before: &World) -> bool {
        match letter.reason {
            Some(DeadLetterReason::TimeInFuture) => self.event.occurred_at.0 > letter.first_failed_ms,
            Some(DeadLetterReason::UnknownApp) => true,
            Some(DeadLetterReason::OlderThanRetained) => {
                let is_below = |unit| self.event.occurred_at.in_unit(unit) <= UpdateTime(self.removed).in_unit(unit).0;
                *before == World::New && self.variants.iter().any(|variant| is_below(variant.unit))
            }
            Some(_) | None => false,
        }
    }

    fn is_owed(&self, stamp: i64, request: u64) -> Result<(), (Reason, String)> {
        if self.owed.iter().any(|seen| seen.stamp == stamp && seen.request == request) {
            return Ok(());
        }
        if self.owed.iter().any(|seen| seen.stamp == stamp) {
            return Err((Reason::RequestDiffers, format!("the request under stamp {stamp} is another one")));
        }
        if let Some(other) = self.owed.iter().find(|seen| !(self.is_commanded)(seen.stamp)) {
            let words = format!("its stamp is {} in the log, and must be {stamp}", other.stamp);
            return Err((Reason::StampDiffers, words));
        }
        if self.is_whole {
            let words = format!("folding gives a new state under stamp {stamp}, and no delivery of it was ever owed");
            return Err((Reason::NeverOwed, words));
        }
        Ok(())
    }

    fn owes_nothing_but(&self, stamp: Option<i64>, what: What) -> Result<(), (Reason, String)> {
        let is_other = |seen: &&OwedSeen| Some(seen.stamp) != stamp && !(self.is_commanded)(seen.stamp);
        let Some(other) = self.owed.iter().find(is_other) else { return Ok(()) };
        let words = format!("folding gives {}, and the log owes it under stamp {}", what.words(), other.stamp);
        Err((Reason::UnexplainedDelivery, words))
    }
}

/// Whether an order with this state may have left, where `removed` is the greatest stamp that has.
pub(super) fn left_below(state: &OrderState, removed: i64) -> bool {
    is_below(state.update_time.0, removed)
}

/// The same of an order with this stamp.
pub(super) fn is_below(stamp: i64, removed: i64) -> bool {
    let stamp = UpdateTime(stamp);
    let unit = if UpdateTime(removed).is_milliseconds() { TimeUnit::Milliseconds } else { TimeUnit::Seconds };
    removed > 0 && stamp.in_unit(unit).0 <= removed
}
