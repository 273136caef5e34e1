//! Goes through the orders of a pass: most are settled by what is in memory, the others are looked at with their documents.

use std::collections::HashMap;
use std::ops::ControlFlow;

use foldhash::fast::RandomState;

use super::beside::{Begun, ReplayRules, Row, Rows};
use super::compare::{Ground, Look};
use super::document::{Difference, Members, differences};
use super::held::HeldState;
use super::requests::{WANTED_MAX, by_other_settings, differences as request_differences, in_changelog};
use super::verdict::{Differs, Finding, Looks, Unknown, Verdict, Will};
use crate::order::{Identity, OrderState};
use crate::record::{NextOffset, RecordOffset, TopicPartition};
use crate::sync::scan::{LogScan, ScanError, Span};

/// What is told of the orders of one pass.
pub(super) struct Findings<'f> {
    pub(super) ground: &'f Ground<'f>,
    /// `None` where no partition holds the orders.
    pub(super) source: Option<&'f TopicPartition>,
    pub(super) changelog: (&'f str, Span),
}

/// An order that has to be looked at more closely.
struct Open {
    identity: Identity,
    row: Row,
    held: HeldState,
}

impl Findings<'_> {
    /// Tells the finding of every order.
    pub(super) fn tell(
        &self,
        scan: &mut dyn LogScan,
        rows: Rows,
        looks: &mut Looks,
        tell: &mut dyn FnMut(Finding) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ScanError> {
        let mut open: HashMap<i64, Open, RandomState> = HashMap::default();
        let mut settled = Vec::new();
        for (identity, row) in rows {
            match self.ground.first_look(&identity, &row) {
                Look::Settled(Verdict::Same) => {
                    if tell(self.finding(&identity, &row, Verdict::Same, Vec::new())).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Look::Settled(verdict) => settled.push((identity, row, verdict)),
                Look::Document(held) => drop(open.insert(held.lies_at, Open { identity, row, held })),
            }
        }
        settled.sort_by(|a, b| a.0.cmp(&b.0));
        for (identity, row, verdict) in settled {
            if tell(self.finding(&identity, &row, verdict, Vec::new())).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.tell_open(scan, open, looks, tell)
    }

    fn tell_open(
        &self,
        scan: &mut dyn LogScan,
        mut open: HashMap<i64, Open, RandomState>,
        looks: &mut Looks,
        tell: &mut dyn FnMut(Finding) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ScanError> {
        let places = open.keys().copied().min().zip(open.keys().copied().max());
        let Some((first, last)) = places else { return Ok(ControlFlow::Continue(())) };
        let (changelog, whole) = self.changelog;
        let part = Span { from: NextOffset::new(first), until: RecordOffset::new(last).next(), ..whole };
        let (mut end, mut mapped) = (ControlFlow::Continue(()), Vec::new());
        scan.read(changelog, &[part], &mut |seen| {
            let Some(value) = seen.value().filter(|_| open.contains_key(&seen.offset().get())) else {
                return ControlFlow::Continue(());
            };
            // It was read once already. What is another thing by now is told as what has changed meanwhile.
            let Ok(stored) = OrderState::decode(value) else { return ControlFlow::Continue(()) };
            if let Some(open) = open.remove(&seen.offset().get()) {
                let verdict = self.ground.second_look(&open.identity, &open.row, &open.held, &stored);
                if verdict == Verdict::Differing(Differs::Mapping) && mapped.len() < looks.left.min(WANTED_MAX) {
                    mapped.push((open, stored));
                } else {
                    end = tell(self.look_closely(&open, &stored, verdict, looks));
                }
            }
            end
        })?;
        if end.is_continue() {
            end = self.tell_mapped(scan, &mapped, looks, tell)?;
        }
        // Compaction has taken what a newer state replaces, or it cannot be read any more.
        let mut gone = open.values().map(|one| {
            let verdict = Verdict::Undecided(Unknown::Changing);
            tell(self.finding(&one.identity, &one.row, verdict, Vec::new()))
        });
        Ok(if end.is_break() || gone.any(|end| end.is_break()) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }

    /// Tells orders that are mapped otherwise, with the fields of their requests as far as those of then are to be had.
    fn tell_mapped(
        &self,
        scan: &mut dyn LogScan,
        mapped: &[(Open, OrderState)],
        looks: &mut Looks,
        tell: &mut dyn FnMut(Finding) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ScanError> {
        let ReplayRules { mapper, others, .. } = self.ground.rules;
        let others: Vec<_> =
            mapped.iter().map(|(open, stored)| by_other_settings(&open.identity, stored, others)).collect();
        let unknown = mapped.iter().zip(&others).filter(|(_, then)| then.is_none());
        let unknown = unknown.map(|((open, stored), _)| (&open.identity, stored));
        let topic = self.source.map_or("", |source| &*source.topic);
        let mut kept = in_changelog(scan, self.changelog, topic, unknown)?;
        for ((open, stored), then) in mapped.iter().zip(others) {
            looks.left = looks.left.saturating_sub(1);
            let then = then.or_else(|| kept.remove(&open.identity));
            let fields = then.map(|then| request_differences(&open.identity, stored, *mapper, &then, looks.personal));
            let verdict = Verdict::Differing(Differs::Mapping);
            if tell(self.finding(&open.identity, &open.row, verdict, fields.unwrap_or_default())).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn look_closely(&self, open: &Open, stored: &OrderState, verdict: Verdict, looks: &mut Looks) -> Finding {
        let fields = match (&open.row.state, verdict) {
            (Some(state), Verdict::Differing(Differs::State | Differs::Missed)) if looks.left > 0 => {
                looks.left -= 1;
                let members = match self.ground.begun {
                    Begun::AtFirst => Members::All,
                    Begun::Between => Members::OfLog,
                };
                differences(state, stored, members, looks.personal)
            }
            (_, _) => Vec::new(),
        };
        self.finding(&open.identity, &open.row, verdict, fields)
    }

    fn finding(&self, identity: &Identity, row: &Row, verdict: Verdict, differences: Vec<Difference>) -> Finding {
        let held = self.ground.held.states.get(identity);
        let will = match verdict.will() {
            // A state whose topic was made anew is not sent again: a letter of it could name no record.
            Will::Resync if held.is_none_or(|held| held.applied_offset < 0) => Will::Look,
            will @ (Will::Resync | Will::Owed | Will::Look | Will::Nothing) => will,
        };
        Finding {
            place: self.source.cloned(),
            identity: identity.clone(),
            verdict,
            will,
            status: row.state.as_ref().map(|state| state.status),
            held_status: held.map(|held| held.status),
            held_stamp: held.map(|held| held.stamp.0),
            last_offset: row.state.as_ref().map(|state| state.applied_offset),
            differences,
        }
    }
}
