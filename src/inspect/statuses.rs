//! What has become of dead letters: the changelog's `letter` records, read backwards as far as it takes.
//!
//! The newest word on a letter is the first one that is met on the way back, and a letter stands in the changelog from the
//! moment when it was written: so a list of the newest letters reads the end of the changelog, not all of it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::letter::LetterId;
use crate::record::{NextOffset, RecordOffset};
use crate::sync::changelog::{ChangelogKey, LetterStatus};
use crate::sync::ports::PortError;
use crate::sync::scan::{LogScan, ScanError, Seen, Span};

/// The clocks of a group's workers may differ by so much.
const CLOCKS_MS: i64 = 60_000;
/// Windows of one partition, in offsets.
const WINDOW_MIN: i64 = 2048;
const WINDOW_MAX: i64 = 65_536;
/// How the key of a letter's status begins.
const LETTER_KEY: &[u8] = b"[1,\"letter\",";

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
    /// The source topics; a status of another one is nobody's.
    sources: Vec<Arc<str>>,
    tails: Vec<Tail>,
    found: HashMap<(i32, usize, i64), Option<LetterStatus>, RandomState>,
}

impl Statuses {
    /// Without a changelog: nothing is known of any letter.
    pub fn unknown() -> Self {
        Self { topic: None, sources: Vec::new(), tails: Vec::new(), found: HashMap::default() }
    }

    /// Those in `topic`, whose partitions reach as the spans say.
    pub fn of(topic: &str, sources: &[String], spans: &[Span]) -> Self {
        let tail = |span: &Span| Tail {
            partition: span.partition,
            low: span.from.get(),
            read_from: span.until.get().max(span.from.get()),
            window: WINDOW_MIN,
            read_since_ms: i64::MAX,
        };
        Self {
            topic: Some(topic.to_owned()),
            sources: sources.iter().map(|source| Arc::from(source.as_str())).collect(),
            tails: spans.iter().map(tail).collect(),
            found: HashMap::default(),
        }
    }

    /// The newest word on a letter that was written at `written_ms`; `None` where the changelog has none. It is told once:
    /// what was asked for is forgotten, so that a list of a million letters holds few of them.
    pub fn take(
        &mut self,
        scan: &mut dyn LogScan,
        id: &LetterId,
        written_ms: i64,
    ) -> Result<Option<LetterStatus>, ScanError> {
        let Some(source) = self.sources.iter().position(|source| *source == id.source.topic) else { return Ok(None) };
        let key = (id.source.partition, source, id.offset.get());
        loop {
            if let Some(status) = self.found.remove(&key) {
                return Ok(status);
            }
            let passed = |tail: &Tail| tail.read_from <= tail.low || tail.read_since_ms < written_ms - CLOCKS_MS;
            if self.tails.iter().find(|tail| tail.partition == id.source.partition).is_none_or(passed) {
                return Ok(None);
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
        let (mut newest, mut met) = (HashMap::<i32, i64>::new(), HashMap::new());
        let mut failed = None;
        let sources = &self.sources;
        scan.read(topic, &spans, &mut |seen| {
            let time = newest.entry(seen.partition()).or_insert(i64::MIN);
            *time = (*time).max(seen.timestamp_ms().unwrap_or(i64::MAX));
            match status_of(seen, sources) {
                Ok(Some((source, offset, status))) => {
                    // Within a window the last word counts.
                    met.insert((seen.partition(), source, offset.get()), status);
                }
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        for (key, status) in met {
            self.found.entry(key).or_insert(status);
        }
        for tail in &mut self.tails {
            if let Some(time) = newest.get(&tail.partition) {
                tail.read_since_ms = tail.read_since_ms.min(*time);
            }
        }
        Ok(())
    }
}

/// The letter and its status, where the record is one.
fn status_of(
    seen: &dyn Seen,
    sources: &[Arc<str>],
) -> Result<Option<(usize, RecordOffset, Option<LetterStatus>)>, PortError> {
    let Some(key) = seen.key().filter(|key| key.starts_with(LETTER_KEY)) else { return Ok(None) };
    let unreadable = |error: &dyn std::error::Error| {
        PortError::Fatal(format!("{error}: it was written by another release; use that one's tools"))
    };
    for (source, topic) in sources.iter().enumerate() {
        if let Some(ChangelogKey::Letter(offset)) = ChangelogKey::decode(key, topic).map_err(|e| unreadable(&e))? {
            let status = seen.value().map(LetterStatus::decode).transpose().map_err(|e| unreadable(&e))?;
            return Ok(Some((source, offset, status)));
        }
    }
    Ok(None)
}
