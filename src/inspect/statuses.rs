//! What has become of dead letters: the changelog's `letter` records, read backwards as far as it takes.
//!
//! The newest word on a letter is the first one that is met on the way back, and a letter stands in the changelog from the
//! moment when it was written: so a list of the newest letters reads the end of the changelog, not all of it.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::letter::LetterId;
use super::unread::Unread;
use crate::record::{NextOffset, RecordOffset};
use crate::sync::changelog::{ChangelogKey, KeyError, LetterState, LetterStatus};
use crate::sync::scan::{LogScan, ScanError, Seen, Span};

/// The clocks of a group's workers may differ by so much.
const CLOCKS_MS: i64 = 60_000;
/// Windows of one partition, in offsets.
const WINDOW_MIN: i64 = 2048;
const WINDOW_MAX: i64 = 65_536;
/// How the keys of letters' statuses and of positions begin.
const LETTER_KEY: &[u8] = b"[1,\"letter\",";
const POSITION_KEY: &[u8] = b"[1,\"position\",";

/// What is kept of a status: what has become of the letter, when, and of which of its letters that is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// What has become of it.
    pub state: LetterState,
    /// Wall clock of this status, milliseconds since the epoch.
    pub at_ms: i64,
    /// How often the record has been dead-lettered.
    pub times: u32,
}

/// What the changelog says of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Its status.
    Status(Told),
    /// Nothing any more: it was closed, and retention has removed its status with its order.
    Forgotten,
    /// Something that cannot be read: it counts as open, so that nobody forgets it.
    Unreadable,
    /// A later letter of the same record: what this one told was folded again, or its delivery was owed again.
    CameBack,
    /// Nothing: no worker with transactions has committed its partition.
    Unknown,
}

/// What a record of the changelog is about, as far as it matters here.
enum About {
    Letter(usize, RecordOffset, Word),
    Position(usize),
}

/// A letter in short: the source's partition, the place of its topic among the sources, and the offset.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    partition: i32,
    source: u32,
    offset: i64,
}

impl Place {
    fn new(partition: i32, source: usize, offset: RecordOffset) -> Self {
        Self { partition, source: u32::try_from(source).unwrap_or(u32::MAX), offset: offset.get() }
    }
}

impl Told {
    fn of(status: &LetterStatus) -> Self {
        Self { state: status.state, at_ms: status.at_ms, times: status.times }
    }
}

/// One partition of the changelog, from its end backwards.
struct Tail {
    partition: i32,
    low: i64,
    read_from: i64,
    window: i64,
    /// Everything written at this time or later has been read.
    read_since_ms: i64,
}

/// The statuses that have been read so far.
pub struct Statuses {
    /// `None` where there is no changelog.
    topic: Option<String>,
    /// The source topics that the changelog's keys name, as they are met: also those that are configured no more.
    sources: Vec<Arc<str>>,
    tails: Vec<Tail>,
    /// Told and not asked for yet. Where a million letters have had a newer word than their own, as after a redrive of all
    /// of them, all of those lie here: 40 bytes each.
    found: HashMap<Place, Word, RandomState>,
    unread: Unread,
    /// Partitions that have a position there, and so statuses of all their letters that are not closed.
    kept: HashSet<(i32, usize), RandomState>,
}

impl Statuses {
    /// Without a changelog: nothing is known of any letter.
    pub fn unknown() -> Self {
        Self {
            topic: None,
            sources: Vec::new(),
            tails: Vec::new(),
            found: HashMap::default(),
            unread: Unread::default(),
            kept: HashSet::default(),
        }
    }

    /// Those that cannot be read.
    pub fn unread(&self) -> &Unread {
        &self.unread
    }

    /// Whether there is a changelog that keeps them.
    pub fn are_kept(&self) -> bool {
        self.topic.is_some()
    }

    /// Those in `topic`, whose partitions reach as the spans say.
    pub fn of(topic: &str, spans: &[Span]) -> Self {
        let tail = |span: &Span| Tail {
            partition: span.partition,
            low: span.from.get(),
            read_from: span.until.get().max(span.from.get()),
            window: WINDOW_MIN,
            read_since_ms: i64::MAX,
        };
        Self {
            topic: Some(topic.to_owned()),
            sources: Vec::new(),
            tails: spans.iter().map(tail).collect(),
            found: HashMap::default(),
            unread: Unread::default(),
            kept: HashSet::default(),
        }
    }

    /// The newest word on a letter that was written at `written_ms`. It is told once: what was asked for is forgotten, so
    /// that a list of a million letters holds few of them.
    pub fn take(&mut self, scan: &mut dyn LogScan, id: &LetterId, written_ms: i64) -> Result<Word, ScanError> {
        loop {
            let source = self.sources.iter().position(|source| *source == id.source.topic);
            let place = source.map(|source| Place::new(id.source.partition, source, id.offset));
            if let Some(status) = place.and_then(|place| self.found.remove(&place)) {
                return Ok(status);
            }
            let passed = |tail: &Tail| tail.read_from <= tail.low || tail.read_since_ms < written_ms - CLOCKS_MS;
            if self.tails.iter().find(|tail| tail.partition == id.source.partition).is_none_or(passed) {
                let is_kept = source.is_some_and(|source| self.kept.contains(&(id.source.partition, source)));
                return Ok(if is_kept { Word::Forgotten } else { Word::Unknown });
            }
            self.read_back(scan, &passed)?;
        }
    }

    /// Reads one window more of every partition that is not there yet.
    fn read_back(&mut self, scan: &mut dyn LogScan, passed: &dyn Fn(&Tail) -> bool) -> Result<(), ScanError> {
        let Some(topic) = &self.topic else { return Ok(()) };
        let mut spans = Vec::new();
        for tail in self.tails.iter_mut().filter(|tail| !passed(tail)) {
            let until = tail.read_from;
            tail.read_from = (until - tail.window).max(tail.low);
            tail.window = (tail.window * 2).min(WINDOW_MAX);
            let (from, until) = (NextOffset::new(tail.read_from), NextOffset::new(until));
            spans.push(Span { partition: tail.partition, from, until });
        }
        let mut newest = HashMap::<i32, i64>::new();
        let mut met = HashMap::<Place, Word, RandomState>::default();
        let (sources, kept, unread) = (&mut self.sources, &mut self.kept, &mut self.unread);
        scan.read(topic, &spans, &mut |seen| {
            let time = newest.entry(seen.partition()).or_insert(i64::MIN);
            *time = (*time).max(seen.timestamp_ms().unwrap_or(i64::MAX));
            match about(seen, sources) {
                Ok(Some(About::Position(source))) => {
                    kept.insert((seen.partition(), source));
                }
                Ok(Some(About::Letter(source, offset, status))) => {
                    if status == Word::Unreadable {
                        unread.put(seen);
                    }
                    // Within a window the last word counts.
                    met.insert(Place::new(seen.partition(), source, offset), status);
                }
                Ok(None) => {}
                Err(_) => unread.put(seen),
            }
            ControlFlow::Continue(())
        })?;
        for (place, status) in met {
            self.found.entry(place).or_insert(status);
        }
        for tail in &mut self.tails {
            if let Some(time) = newest.get(&tail.partition) {
                tail.read_since_ms = tail.read_since_ms.min(*time);
            }
        }
        Ok(())
    }
}

/// What the record is about. A topic that is met for the first time is added to `sources`.
fn about(seen: &dyn Seen, sources: &mut Vec<Arc<str>>) -> Result<Option<About>, KeyError> {
    let is_one = |key: &&[u8]| key.starts_with(LETTER_KEY) || key.starts_with(POSITION_KEY);
    let Some(key) = seen.key().filter(is_one) else { return Ok(None) };
    let Some((source, key)) = decode(key, sources)? else { return Ok(None) };
    Ok(match key {
        ChangelogKey::Letter(offset) => {
            let word = match seen.value().map(LetterStatus::decode) {
                None => Word::Forgotten,
                Some(Ok(status)) => Word::Status(Told::of(&status)),
                Some(Err(_)) => Word::Unreadable,
            };
            Some(About::Letter(source, offset, word))
        }
        ChangelogKey::Position => Some(About::Position(source)),
        ChangelogKey::State(_) | ChangelogKey::Owed(_) | ChangelogKey::Command(_) | ChangelogKey::Settings(_) => None,
    })
}

/// The place of the key's topic among the sources, and the key.
fn decode(key: &[u8], sources: &mut Vec<Arc<str>>) -> Result<Option<(usize, ChangelogKey)>, KeyError> {
    for (source, topic) in sources.iter().enumerate() {
        if let Some(key) = ChangelogKey::decode(key, topic)? {
            return Ok(Some((source, key)));
        }
    }
    let topic: Arc<str> = ChangelogKey::topic_of(key)?.into();
    let found = ChangelogKey::decode(key, &topic)?.map(|key| (sources.len(), key));
    sources.push(topic);
    Ok(found)
}
