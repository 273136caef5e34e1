//! A range of one source partition is folded beside the stores and compared with what the changelog holds.
//!
//! Three readings: the changelog for states in brief, the source, and, where orders have to be looked at more closely, the
//! changelog once more for their documents. In memory are the brief states, and folded states up to a bound.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;

use foldhash::fast::RandomState;

use super::beside::{Begun, Beside, ReplayRules, Rows, Share, Validity};
use super::compare::{Events, Ground};
use super::course::Course;
use super::findings::Findings;
use super::held::{Held, TakenUp};
use super::verdict::{Finding, Looks, Tally};
use crate::order::Identity;
use crate::record::{NextOffset, TopicPartition};
use crate::sync::changelog::LetterState;
use crate::sync::scan::{LogScan, ScanError, Span};

/// What is replayed.
pub struct Range<'r> {
    /// The source partition.
    pub source: TopicPartition,
    /// What of it is read.
    pub span: Span,
    /// These orders alone; all where it is empty.
    pub only: &'r BTreeSet<String>,
    /// The changelog, and how far its partition reaches.
    pub changelog: (&'r str, Span),
    /// Folded states in memory, in bytes.
    pub bytes_max: usize,
}

/// Replays a range. Every order that was seen is told with its finding; [`ControlFlow::Break`] ends it. `progress` is told
/// of each further offset that was read, some at a time.
#[expect(clippy::too_many_arguments, reason = "what is read, what it is compared with, and who is told")]
pub fn replay_partition(
    scan: &mut dyn LogScan,
    rules: &ReplayRules<'_>,
    range: &Range<'_>,
    held: &Held,
    looks: &mut Looks,
    tally: &mut Tally,
    tell: &mut dyn FnMut(Finding) -> ControlFlow<()>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), ScanError> {
    let position = held.position.as_ref().map_or(0, |position| position.next.get());
    // What lies before the group's start is no part of what it knows.
    let start = held.position.as_ref().and_then(|position| position.begun).unwrap_or(NextOffset::new(0));
    let within = Span { from: range.span.from.max(start), until: range.span.until.max(start), ..range.span };
    let range = &Range { source: range.source.clone(), span: within, ..*range };
    let until = position.min(range.span.until.get());
    let is_whole = range.span.from == start && !held.is_made_anew();
    let begun = if is_whole { Begun::AtFirst } else { Begun::Between };
    let none = BTreeMap::new();
    let removed = held.position.as_ref().map_or(&none, |position| &position.removed_stamps);
    let mut events = Tally::default();
    let mut counted = Some(&mut events);
    let mut shares = vec![Share::ALL];
    while let Some(share) = shares.pop() {
        let pass = Pass { range, held, until };
        let validity = (begun, Validity::AsLogged);
        let beside = Beside::new(rules, range.only, validity, removed, (share, range.bytes_max));
        let (rows, commanded_later, left) = pass.fold(scan, rules, beside, counted.take(), progress)?;
        shares.extend(left);
        let ground = Ground { rules, held, events: Events::OfLog { until }, begun, commanded_later };
        let findings = Findings { ground: &ground, source: Some(&range.source), changelog: range.changelog };
        let end = findings.tell(scan, rows, looks, &mut |finding| {
            tally.count(&finding);
            tell(finding)
        })?;
        if end.is_break() {
            break;
        }
    }
    tally.add_events(&events);
    Ok(())
}

/// One reading of the source.
struct Pass<'p> {
    range: &'p Range<'p>,
    held: &'p Held,
    until: i64,
}

type Folded = (Rows, HashSet<Identity, RandomState>, Vec<Share>);

impl Pass<'_> {
    /// Folds the range; counts its events where it is the first reading.
    fn fold(
        &self,
        scan: &mut dyn LogScan,
        rules: &ReplayRules<'_>,
        beside: Beside<'_>,
        counted: Option<&mut Tally>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Folded, ScanError> {
        let (from, until) = (self.range.span.from.get(), self.until);
        let taken_up = || self.held.taken_up.values();
        let within = |taken: &&TakenUp| from < taken.next && taken.next <= until;
        let mut course = Course::new(beside, &rules.events, taken_up().filter(within).rev().collect());
        // A letter's event that was redriven was folded where its command stands, and not where it lies.
        let redriven: HashSet<i64, RandomState> =
            taken_up().filter(|taken| taken.is_redrive).map(|taken| taken.offset).collect();
        let mut told = from;
        scan.read(&self.range.source.topic, &[self.range.span], &mut |seen| {
            let offset = seen.offset().get();
            if offset - told >= 4096 {
                progress(u64::try_from(offset - told).unwrap_or_default());
                told = offset;
            }
            course.act(offset);
            match seen.value() {
                None => {}
                Some(_) if offset >= until => course.counts.pending += 1,
                Some(value) => {
                    let letter = self.held.letters.get(&offset).filter(|letter| !letter.was_folded);
                    let aside = letter.map(|letter| letter.state);
                    course.take(offset, value, aside.or(redriven.contains(&offset).then_some(LetterState::Redriven)));
                }
            }
            ControlFlow::Continue(())
        })?;
        progress(u64::try_from(self.range.span.until.get() - told).unwrap_or_default());
        course.act(until);
        if let Some(tally) = counted {
            tally.add_events(&course.counts);
        }
        let later = taken_up().filter(|taken| taken.next > until).filter_map(|taken| taken.identity.clone());
        Ok((course.beside.rows, later.collect(), course.beside.left))
    }
}
