//! One dead letter as a whole: the original record on one side, what was learnt of it on the other.

use super::letter::LetterRow;
use crate::record::{Header, Record};
use crate::sync::scan::Seen;

/// Where our headers begin: behind all of the original's.
const OURS: &str = "__connect.errors.topic";

/// A letter taken apart.
#[derive(Clone, Debug)]
pub struct LetterDetail {
    /// What a list tells.
    pub row: LetterRow,
    /// The letter as it lies in the dead-letter topic.
    pub record: Record,
    /// How many of the headers are the original's.
    pub originals: usize,
}

/// One line of the attempt log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AttemptLine {
    /// RFC 3339.
    pub at: String,
    /// How long it took, for example `12ms`.
    pub latency: String,
    /// The HTTP status, or how the attempt broke.
    pub status: String,
    /// The platform's code.
    pub code: Option<i64>,
}

impl LetterDetail {
    /// Takes a record apart; `None` where it is no dead letter.
    pub fn read(seen: &dyn Seen) -> Option<Self> {
        let row = LetterRow::read(seen)?;
        let record = seen.record();
        let originals = record.headers.iter().rposition(|header| header.name == OURS)?;
        Some(Self { row, record, originals })
    }

    /// The original's headers.
    pub fn original_headers(&self) -> &[Header] {
        &self.record.headers[..self.originals]
    }

    /// Our headers.
    pub fn own_headers(&self) -> &[Header] {
        &self.record.headers[self.originals..]
    }

    /// The bytes of one of our headers.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.own_headers().iter().find(|header| header.name == name).and_then(|header| header.value.as_deref())
    }

    /// The text of one of our headers.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The attempts that the letter tells of, the oldest first.
    pub fn attempt_log(&self) -> Vec<AttemptLine> {
        attempts(self.text("order-sync.attempt-log").unwrap_or_default())
    }

    /// The same without the original record and without the request: so many of them lie in little memory.
    #[must_use]
    pub fn brief(mut self) -> Self {
        self.record.headers.drain(..self.originals);
        self.record.headers.retain(|header| header.name != "order-sync.request");
        (self.originals, self.record.key, self.record.value) = (0, None, None);
        self
    }
}

/// The lines of an attempt log, the oldest first.
pub(super) fn attempts(log: &str) -> Vec<AttemptLine> {
    log.lines().filter_map(attempt).collect()
}

/// Reads `time latency status code`.
fn attempt(line: &str) -> Option<AttemptLine> {
    let mut words = line.split(' ').map(str::to_owned);
    let (at, latency, status, code) = (words.next()?, words.next()?, words.next()?, words.next()?);
    Some(AttemptLine { at, latency, status, code: code.parse().ok() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordOffset;

    #[test]
    fn ours_are_told_from_an_originals_that_was_a_dead_letter_itself() {
        let header = |name: &str, value: &str| Header { name: name.into(), value: Some(value.as_bytes().into()) };
        let ours = |topic: &str| {
            vec![
                header(OURS, topic),
                header("__connect.errors.partition", "0"),
                header("__connect.errors.offset", "5"),
                header("order-sync.reason", "retries_exhausted"),
                header(
                    "order-sync.attempt-log",
                    "2026-01-01T00:00:00.000Z 12ms 200 40003\n2026-01-01T00:00:01.000Z 5000ms timeout -",
                ),
            ]
        };
        let headers = [ours("first"), ours("second")].concat();
        let (offset, timestamp_ms) = (RecordOffset::new(9), Some(1));
        let record = Record { offset, timestamp_ms, key: None, value: Some(b"{}"[..].into()), headers };
        let letter = LetterDetail::read(&(0, record)).unwrap();
        assert_eq!((letter.row.id.to_string(), letter.original_headers().len()), ("second/0/5".to_owned(), 5));
        let log = letter.attempt_log();
        assert_eq!((log.len(), log[0].code, log[1].status.as_str(), log[1].code), (2, Some(40003), "timeout", None));
    }
}
