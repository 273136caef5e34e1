//! The account of one source partition: what the log says is read first, then the source is folded again beside it.
//!
//! Where to end is taken from the changelog alone: the last position before its end. A fleet may run on meanwhile.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use foldhash::fast::RandomState;

use super::account::Account;
use super::bases::read_bases;
use super::eras::Eras;
use super::facts::Facts;
use super::given::{Lost, Which, read_lost};
use super::letters::LettersSeen;
use super::outcome::Reason;
use super::rules::{Start, VerifyRules};
use super::spread::Spread;
use super::tally::{Findings, Report};
use crate::record::{NextOffset, RecordOffset, TopicPartition};
use crate::sync::command::Outcome;
use crate::sync::scan::{LogScan, ScanError, Span};

/// Documents that may lie in memory at once; where there are more, orders are looked at in several passes over the source.
const DOCUMENT_BYTES_MAX: u64 = 512 << 20;
/// What a state costs beside its document.
const STATE_BYTES: u64 = 600;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The source partition.
    pub source: TopicPartition,
    /// How many partitions its topic has.
    pub partitions_of_topic: i32,
    /// The changelog's name.
    pub changelog: String,
    /// The dead-letter topic's name.
    pub dead_letters: String,
    /// The commands topic's name.
    pub commands: String,
    /// The first offset, and the one behind the last.
    pub range: (i64, i64),
}

/// How far the source reaches.
#[derive(Clone, Copy)]
struct Extent {
    low: i64,
    end: i64,
}

/// Accounts for every offset of the range; `spread` learns which orders were met. `progress` is told how much has been read, and of how much.
pub fn verify_partition(
    reader: &mut dyn LogScan,
    rules: &VerifyRules<'_>,
    asked: &Asked,
    spread: &mut Spread,
    progress: &mut dyn FnMut((u64, u64)),
) -> Result<Report, ScanError> {
    verify_within(reader, rules, asked, DOCUMENT_BYTES_MAX, spread, progress)
}

/// The same with so many bytes of documents in memory at most.
pub(super) fn verify_within(
    reader: &mut dyn LogScan,
    rules: &VerifyRules<'_>,
    asked: &Asked,
    document_bytes_max: u64,
    spread: &mut Spread,
    progress: &mut dyn FnMut((u64, u64)),
) -> Result<Report, ScanError> {
    let partition = asked.source.partition;
    let changelog = extent(reader, &asked.changelog, partition)?;
    let Some(source) = extent(reader, &asked.source.topic, partition)? else { return Ok(Report::default()) };
    let source = Extent { low: source.from.get(), end: source.until.get() };
    let mut facts = match changelog {
        Some(span) => {
            let mut told = |read| progress((read, span.offsets() + source.end.abs_diff(source.low)));
            Facts::read(reader, &asked.changelog, span, &asked.source, source.low, rules, &mut told)?
        }
        None => Facts::default(),
    };
    let needed: HashSet<i64, RandomState> = facts
        .commands
        .iter()
        .filter(|done| matches!(done.outcome, Outcome::Folded | Outcome::Unchanged))
        .filter_map(|done| done.offset.map(RecordOffset::get))
        .collect();
    // Those of an earlier topic of this name are not ours to judge.
    let since_ms = facts.reborn_ms.unwrap_or(i64::MIN);
    // Read behind the changelog, so that every letter of a commit that was seen is there.
    let letters = match extent(reader, &asked.dead_letters, partition)? {
        Some(span) => LettersSeen::read(reader, &asked.dead_letters, span, &asked.source, &needed, since_ms)?,
        None => LettersSeen::default(),
    };
    let eras = std::mem::take(&mut facts.eras);
    let executed_from = facts.position.as_ref().and_then(|position| eras.executed_from(position));
    let lost = read_lost(reader, asked, &facts, executed_from)?;
    let pass = Pass {
        rules,
        eras: &eras,
        asked,
        source,
        begin: begin(rules, &facts, &letters, source),
        letters: &letters,
        lost: &lost,
        needed: &needed,
    };
    let parts = facts.parts(document_bytes_max, STATE_BYTES);
    let mut report = Report::default();
    for part in 0..parts {
        report.absorb(pass.part(reader, &mut facts, changelog, (part, parts), spread, progress)?);
    }
    report.unaccounted.sort_by_key(|found| found.offset);
    report.gone = u64::try_from(source.low.min(asked.range.1) - asked.range.0).unwrap_or(0);
    Ok(report)
}

/// How far a partition reaches; `None` where it does not exist.
fn extent(reader: &mut dyn LogScan, topic: &str, partition: i32) -> Result<Option<Span>, ScanError> {
    let exists = reader.partitions(topic)?.is_some_and(|count| partition < count);
    if exists { Ok(reader.extents(topic, &[partition])?.first().copied()) } else { Ok(None) }
}

/// Before it the group has read nothing.
fn begin(rules: &VerifyRules<'_>, facts: &Facts, letters: &LettersSeen, source: Extent) -> i64 {
    // What the log says of its own start is right whatever the settings say by now.
    if let Some(begun) = facts.position.as_ref().and_then(|position| position.begun) {
        return begun.get().max(source.low);
    }
    match rules.start {
        Start::Beginning => source.low,
        Start::Later => {
            let states = facts.states.values().filter_map(|last| last.state.as_ref().map(|state| state.applied_offset));
            let owed = facts.owed.keys().map(|(_, offset)| *offset);
            let first = states.chain(owed).chain(letters.offsets()).filter(|at| *at >= 0).min();
            first.or(facts.next()).map_or(source.low, |first| first.max(source.low))
        }
    }
}

impl Facts {
    /// In how many parts its orders are to be looked at.
    fn parts(&self, bytes_max: u64, state_bytes: u64) -> u64 {
        let states = self.states.len() as u64;
        let document = self.document_bytes / self.states_read.max(1);
        (states * (document + state_bytes)).div_ceil(bytes_max).max(1)
    }
}

/// What every pass over the source has in common.
struct Pass<'a> {
    rules: &'a VerifyRules<'a>,
    eras: &'a Eras,
    asked: &'a Asked,
    source: Extent,
    begin: i64,
    letters: &'a LettersSeen,
    lost: &'a [Lost],
    needed: &'a HashSet<i64, RandomState>,
}

impl Pass<'_> {
    /// Looks at one part of the orders. Where the log does not say by which settings it was folded, those that today's do not
    /// explain are looked at again by all that may have been in force.
    fn part(
        &self,
        reader: &mut dyn LogScan,
        facts: &mut Facts,
        changelog: Option<Span>,
        part: (u64, u64),
        spread: &mut Spread,
        progress: &mut dyn FnMut((u64, u64)),
    ) -> Result<Report, ScanError> {
        let today = HashSet::default();
        let (report, findings) = self.run(reader, facts, changelog, part, &today, spread, progress)?;
        let suspects = &findings.suspects;
        let (mut report, findings) = if suspects.is_empty() || self.rules.mappers.len() < 2 || self.eras.is_whole() {
            (report, findings)
        } else {
            let (mut report, again) = self.run(reader, facts, changelog, part, suspects, spread, progress)?;
            report.other_settings = suspects.difference(&again.suspects).count() as u64;
            (report, again)
        };
        findings.tell(&self.asked.source, self.asked.range, &mut report);
        Ok(report)
    }

    #[expect(clippy::too_many_arguments, reason = "what a pass reads, and what learns of it")]
    fn run(
        &self,
        reader: &mut dyn LogScan,
        facts: &mut Facts,
        changelog: Option<Span>,
        part: (u64, u64),
        ever: &HashSet<u64, RandomState>,
        spread: &mut Spread,
        progress: &mut dyn FnMut((u64, u64)),
    ) -> Result<(Report, Findings), ScanError> {
        let Extent { low, end } = self.source;
        let source = &self.asked.source;
        let wanted = |key: u64| key % part.1 == part.0;
        let bases = match changelog {
            Some(span) if low > 0 || facts.reborn_ms.is_some() => {
                read_bases(reader, &self.asked.changelog, span, source, low, &wanted)?
            }
            Some(_) | None => HashMap::default(),
        };
        facts.forget_use();
        let next = facts.next().unwrap_or(0);
        let mut account = Account {
            rules: self.rules,
            eras: self.eras,
            facts,
            letters: self.letters,
            lost: self.lost,
            partitions_of_topic: self.asked.partitions_of_topic,
            low,
            range: self.asked.range,
            begin: self.begin,
            part,
            ever,
            bases,
            needed: self.needed,
            originals: HashMap::default(),
            excused: HashSet::default(),
            tracks: HashMap::default(),
            findings: Findings::default(),
            report: Report::default(),
            passed: (0, 0, 0),
            expected: low,
        };
        if part.0 == 0 {
            account.tell_of_settings();
            account.tell_unread();
            account.tell_doubts();
            account.tell_lost(Which::OfOrders);
        }
        if next > end && part.0 == 0 {
            let words = format!(
                "the source ends here, and the log has passed everything before {next}: the topic was made anew, or has lost \
                 its end"
            );
            account.find(end, Reason::RecordChanged, words, None);
        }
        let until = next.max(self.asked.range.1).min(end);
        let span = Span { partition: source.partition, from: NextOffset::new(low), until: NextOffset::new(until) };
        reader.read(&source.topic, &[span], &mut |seen| {
            let offset = seen.offset().get();
            if offset % 4096 == 0 {
                progress((offset.abs_diff(low), span.offsets()));
            }
            account.take(&seen.record());
            ControlFlow::Continue(())
        })?;
        account.count_gap(until);
        account.close();
        if part.0 == 0 {
            account.tell_lost(Which::Others);
            account.close_open_end();
        }
        spread.take(source, account.tracks.values().map(|track| &track.identity));
        Ok((account.report, account.findings))
    }
}
