//! A file of events instead of a topic: folded from the beginning in the order given, and compared with every partition.
//!
//! A line has no offset, so that nothing says how far the workers have come: what they have yet to read looks like what they
//! have missed. Its number stands for the offset; what cannot be sent is set aside here, as no letter tells of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;

use foldhash::fast::RandomState;

use super::beside::{Begun, Beside, ReplayRules, Rows, Share, Validity};
use super::compare::{Events, Ground};
use super::findings::Findings;
use super::held::{Held, TakenUp};
use super::verdict::{Finding, Looks, Tally};
use crate::order::event::decode;
use crate::order::fold::FoldAs;
use crate::order::{AppId, Identity, UpdateTime};
use crate::record::{NextOffset, RecordOffset, TopicPartition};
use crate::sync::position::Position;
use crate::sync::scan::{LogScan, ScanError, Span};

/// Records that commands have folded, read again, in bytes.
const TAKEN_UP_BYTES_MAX: usize = 64 << 20;
/// No event lies ahead of this clock.
const NO_CLOCK: i64 = i64::MAX;

type Identities = HashSet<Identity, RandomState>;

/// The file has more than is held in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the states of the file's orders are over {0} bytes; give it in parts, by order")]
pub struct FileFull(usize);

/// The orders of a file.
pub struct FileFold<'m> {
    rules: &'m ReplayRules<'m>,
    beside: Beside<'m>,
    bytes_max: usize,
    /// What was counted of its events.
    pub counts: Tally,
    removed: BTreeMap<AppId, UpdateTime>,
}

/// What a file is compared with, and where the findings go.
pub struct Against<'a> {
    /// The source partition.
    pub source: &'a TopicPartition,
    /// What the changelog holds of it.
    pub held: &'a Held,
    /// The changelog, and how far its partition reaches.
    pub changelog: (&'a str, Span),
}

/// Retention's stamps are learnt from the changelog, which is read later.
static NOTHING_REMOVED: BTreeMap<AppId, UpdateTime> = BTreeMap::new();

impl<'m> FileFold<'m> {
    /// Nothing read yet. With order numbers in `only` no others are looked at.
    pub fn new(rules: &'m ReplayRules<'m>, only: &'m BTreeSet<String>, bytes_max: usize) -> Self {
        let validity = (Begun::AtFirst, Validity::Mapped(rules.mapper));
        let beside = Beside::new(rules, only, validity, &NOTHING_REMOVED, (Share::ALL, bytes_max));
        Self { rules, beside, bytes_max, counts: Tally::default(), removed: BTreeMap::new() }
    }

    /// Folds the event on line `number`. `now_ms` is the wall clock.
    pub fn line(&mut self, line: &[u8], number: i64, now_ms: i64) -> Result<(), FileFull> {
        self.counts.events += 1;
        let event = decode(line, &self.rules.events, now_ms);
        let folded = event.and_then(|event| self.beside.fold(event, number, FoldAs::Event));
        self.counts.unread += u64::from(folded.is_err());
        if self.beside.left.is_empty() { Ok(()) } else { Err(FileFull(self.bytes_max)) }
    }

    /// A line that is longer than a record may be.
    pub fn too_large(&mut self) {
        self.counts.events += 1;
        self.counts.unread += 1;
    }

    /// Compares those of its orders that a partition holds; each is told once.
    pub fn compare(
        &mut self,
        scan: &mut dyn LogScan,
        against: &Against<'_>,
        looks: &mut Looks,
        tell: &mut dyn FnMut(Finding) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ScanError> {
        for (app, stamp) in against.held.position.iter().flat_map(|position| &position.removed_stamps) {
            let removed = self.removed.entry(app.clone()).or_insert(*stamp);
            *removed = (*removed).max(*stamp);
        }
        let commanded = self.take_up(scan, against)?;
        let is_held = |identity: &_| against.held.states.contains_key(identity);
        let rows: Rows = self.beside.rows.extract_if(|identity, _| is_held(identity)).collect();
        let ground = self.ground(against.held, commanded);
        let findings = Findings { ground: &ground, source: Some(against.source), changelog: against.changelog };
        findings.tell(scan, rows, looks, tell)
    }

    /// Tells those that no partition holds.
    pub fn rest(
        mut self,
        scan: &mut dyn LogScan,
        looks: &mut Looks,
        tell: &mut dyn FnMut(Finding) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ScanError> {
        let nowhere = NextOffset::new(0);
        let position = Position { removed_stamps: std::mem::take(&mut self.removed), ..Position::before(nowhere) };
        let held = Held::nothing(position);
        let rows = std::mem::take(&mut self.beside.rows);
        let ground = self.ground(&held, HashSet::default());
        let nothing = Span { partition: 0, from: nowhere, until: nowhere };
        Findings { ground: &ground, source: None, changelog: ("", nothing) }.tell(scan, rows, looks, tell)
    }

    /// Folds what commands have folded of the file's orders, as the source has it, behind everything of the file: no line says
    /// where between its events they acted. Returns the orders that they have changed.
    fn take_up(&mut self, scan: &mut dyn LogScan, against: &Against<'_>) -> Result<Identities, ScanError> {
        let rows = &self.beside.rows;
        let is_ours = |taken: &&TakenUp| taken.identity.as_ref().is_some_and(|identity| rows.contains_key(identity));
        let taken: Vec<&TakenUp> = against.held.taken_up.values().filter(is_ours).collect();
        let commanded: Identities = taken.iter().filter_map(|taken| taken.identity.clone()).collect();
        let mut values: HashMap<i64, Box<[u8]>, RandomState> =
            taken.iter().map(|taken| (taken.offset, Box::default())).collect();
        let TopicPartition { topic, partition } = against.source;
        let places = values.keys().min().copied().zip(values.keys().max().copied());
        let Some((first, last)) = places else { return Ok(commanded) };
        if let [whole] = &*scan.extents(topic, &[*partition])? {
            let from = NextOffset::new(first).clamp(whole.from, whole.until);
            let until = RecordOffset::new(last).next().clamp(from, whole.until);
            let mut bytes = 0;
            scan.read(topic, &[Span { partition: *partition, from, until }], &mut |seen| {
                if let Some((kept, value)) = values.get_mut(&seen.offset().get()).zip(seen.value()) {
                    bytes += value.len();
                    *kept = value.into();
                }
                if bytes > TAKEN_UP_BYTES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        for taken in taken {
            let state = taken.identity.as_ref().and_then(|identity| self.beside.rows.get(identity)?.state.as_deref());
            let line = state.map_or(0, |state| state.applied_offset);
            if let Some(Ok(event)) = values.get(&taken.offset).map(|value| decode(value, &self.rules.events, NO_CLOCK))
            {
                // One that cannot be folded here leaves the order as it is: then it is another one than is held, and undecided.
                drop(self.beside.fold(event, line, FoldAs::Word));
            }
        }
        Ok(commanded)
    }

    fn ground<'g>(&'g self, held: &'g Held, commanded_later: Identities) -> Ground<'g> {
        let (events, begun) = (Events::OfFile, Begun::AtFirst);
        Ground { rules: self.rules, held, events, begun, commanded_later }
    }
}
