//! All letters of one record: it was set aside, sent again, and came back. Each of them has its own attempts.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::backward::Backward;
use super::detail::{AttemptLine, LetterDetail, attempts};
use super::letter::{LetterId, LetterRow};
use crate::record::NextOffset;
use crate::sync::scan::{LogScan, ScanError, Seen, Span};

/// So many letters of a record are told, the newest: each has at most 4 KiB of attempts.
const LETTERS_MAX: usize = 100;

/// One of a record's letters.
#[derive(Clone, Debug)]
pub struct LetterOnce {
    /// What a list would tell of it.
    pub row: LetterRow,
    /// The last attempts that it tells of, the oldest first.
    pub attempts: Vec<AttemptLine>,
}

/// A record's letters.
#[derive(Clone, Debug)]
pub struct LetterLife {
    /// The newest, as a whole.
    pub newest: LetterDetail,
    /// Each by its number, the oldest first, the newest among them. Where two have the same number, the one that lies behind.
    pub letters: Vec<LetterOnce>,
}

impl LetterOnce {
    fn read(seen: &dyn Seen) -> Option<Self> {
        let (row, mut log) = (LetterRow::read(seen)?, Vec::new());
        seen.headers(&mut |name, value| {
            // Of a name that repeats the last counts: ours stand behind the original's.
            if name == "order-sync.attempt-log" {
                log = value.and_then(|value| std::str::from_utf8(value).ok()).map(attempts).unwrap_or_default();
            }
        });
        Some(Self { row, attempts: log })
    }
}

impl LetterLife {
    /// Time of the record's first failure, as its letters have it. A worker tells it with every letter; those of older releases
    /// told that of the letter alone.
    pub fn first_failed_at(&self) -> Option<&str> {
        let times = self.letters.iter().filter_map(|letter| letter.row.first_failed_at.as_deref());
        times.min_by_key(|text| text.parse::<jiff::Timestamp>().map_or(i64::MAX, jiff::Timestamp::as_millisecond))
    }

    /// How many earlier letters are not among those that were found.
    pub fn missing(&self) -> u32 {
        self.newest.row.times.saturating_sub(u32::try_from(self.letters.len()).unwrap_or(u32::MAX))
    }

    /// Whether there are more than are told.
    pub fn is_cut(&self) -> bool {
        self.letters.len() >= LETTERS_MAX
    }
}

/// The letters of an id, read backwards in its partition of the dead-letter topic until the first of them is met. `progress`
/// is told how much has been read, and of how much.
pub fn find_letters(
    scan: &mut dyn LogScan,
    topic: &str,
    within: Span,
    id: &LetterId,
    progress: &mut dyn FnMut((u64, u64)),
) -> Result<Option<LetterLife>, ScanError> {
    let (mut back, mut newest, mut letters) = (Backward::new(topic, &[within]), None, BTreeMap::new());
    let mut keep = |seen: &dyn Seen| LetterOnce::read(seen).filter(|letter| letter.row.id == *id);
    loop {
        match back.step(scan, &mut keep, &mut |_| true)? {
            ControlFlow::Continue(()) => progress(back.progress()),
            ControlFlow::Break(None) => break,
            ControlFlow::Break(Some((_, letter))) => {
                let times = letter.row.times;
                newest = newest.or(Some(letter.row.place));
                letters.entry(times).or_insert(letter);
                if times <= 1 || letters.len() >= LETTERS_MAX {
                    break;
                }
            }
        }
    }
    let Some((partition, offset)) = newest else { return Ok(None) };
    let place = Span { partition, from: NextOffset::new(offset.get()), until: offset.next() };
    let mut detail = None;
    scan.read(topic, &[place], &mut |seen| {
        detail = LetterDetail::read(seen);
        ControlFlow::Break(())
    })?;
    Ok(detail.map(|newest| LetterLife { newest, letters: letters.into_values().collect() }))
}
