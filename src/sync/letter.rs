//! The record that a dead letter becomes (§8 of the contract): the original, then our headers in a fixed order.
//!
//! It writes nothing; the dead-letter sink does.

use sha2::{Digest as _, Sha256};

use super::dead_letter::DeadLetter;
use crate::order::{DeadLetterReason, Digest};
use crate::record::{Header, Record};

/// Longest `order-sync.attempt-log`, in bytes; the newest lines are kept.
pub const ATTEMPT_LOG_BYTES_MAX: usize = 4 * 1024;
/// Longest `order-sync.response`, in bytes.
pub const RESPONSE_BYTES_MAX: usize = 4 * 1024;
/// Longest `order-sync.request`, in bytes.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// Longest message, in bytes: far above any real one, so that no letter can outgrow its topic.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Longest id in a header, in bytes; a valid one has at most 64.
pub const ID_BYTES_MAX: usize = 1024;
/// Longest key of a letter whose original is left out, in bytes.
pub const OMITTED_KEY_BYTES_MAX: usize = 1024;
/// A letter with its framing stays below what the dead-letter topic takes (4 MiB), with room for the batch's header.
const LETTER_BYTES_MAX: usize = 4 * 1024 * 1024 - 4 * 1024;
/// All our headers at their limits, with room for topic and group (249 bytes each at most, Kafka's limit) and names.
const OWN_HEADERS_BYTES_MAX: usize =
    ATTEMPT_LOG_BYTES_MAX + RESPONSE_BYTES_MAX + REQUEST_BYTES_MAX + MESSAGE_BYTES_MAX + 2 * ID_BYTES_MAX + 4096;
/// What Kafka's record format adds to a header: two variable-length integers.
const HEADER_FRAMING_BYTES_MAX: usize = 10;

/// What a letter says of the worker that wrote it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The consumer group.
    pub group: String,
    /// The release, for example `0.1.0`.
    pub version: String,
}

/// A dead letter as it goes to the dead-letter topic, in the partition of the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The partition's number, that of the source.
    pub partition: i32,
    /// The original key, but for a record that is too large.
    pub key: Option<Vec<u8>>,
    /// The original value; empty for a record that is too large; `None` where the original is gone.
    pub value: Option<Vec<u8>>,
    /// The original headers, then ours.
    pub headers: Vec<Header>,
}

/// What stands in a letter of the original record.
enum Original<'a> {
    /// All of it.
    Whole(&'a Record),
    /// Its measures only.
    Omitted(&'a Record),
    /// Nothing: the source no longer has it.
    Gone,
}

impl DeadLetter {
    /// The record of §8. Headers that have nothing to say are left out.
    ///
    /// Times of failures are RFC 3339 in UTC with milliseconds; `order-sync.original-timestamp` is the record's own
    /// timestamp as Kafka has it, an integer in milliseconds since the epoch. A record that is too large, or whose
    /// many tiny headers would make the letter so, is omitted: `order-sync.omitted` then has its measures, as
    /// `letter_schema.rs` describes them. Where the original is gone from the source, the letter has neither key nor
    /// value, and the message says so.
    pub fn into_letter(mut self, origin: &Origin) -> Letter {
        let partition = self.source.partition;
        let Some(mut record) = self.record.take() else {
            return Letter { partition, key: None, value: None, headers: self.headers(origin, &Original::Gone) };
        };
        if self.reason == DeadLetterReason::RecordTooLarge || !fits(&record) {
            let headers = self.headers(origin, &Original::Omitted(&record));
            let key = record.key.filter(|key| key.len() <= OMITTED_KEY_BYTES_MAX).map(Vec::from);
            return Letter { partition, key, value: Some(Vec::new()), headers };
        }
        let ours = self.headers(origin, &Original::Whole(&record));
        record.headers.extend(ours);
        let (key, value) = (record.key.map(Vec::from), record.value.map(Vec::from));
        Letter { partition, key, value, headers: record.headers }
    }

    /// Our headers, in the order of the contract.
    fn headers(&self, origin: &Origin, original: &Original<'_>) -> Vec<Header> {
        let delivery = self.delivery.as_ref();
        let mut headers = Headers(Vec::with_capacity(24));
        headers.text("__connect.errors.topic", &self.source.topic);
        headers.shown("__connect.errors.partition", Some(self.source.partition));
        headers.shown("__connect.errors.offset", Some(self.offset));
        headers.text("__connect.errors.stage", self.stage.as_str());
        headers.text("__connect.errors.exception.message", &self.whole_message(original));
        headers.text("order-sync.reason", self.reason.as_str());
        headers.text("order-sync.order-id", head(self.order_id.as_deref().unwrap_or_default(), ID_BYTES_MAX));
        headers.text("order-sync.app-id", head(self.app_id.as_deref().unwrap_or_default(), ID_BYTES_MAX));
        headers.shown("order-sync.update-time", self.update_time);
        headers.shown("order-sync.attempts", delivery.map(|d| d.attempts));
        headers.text("order-sync.attempt-log", delivery.map_or("", |d| newest_lines(&d.attempt_log)));
        headers.text("order-sync.first-failed-at", &rfc3339(self.first_failed_ms));
        headers.text("order-sync.last-failed-at", &rfc3339(self.last_failed_ms));
        headers.shown("order-sync.err-code", delivery.and_then(|d| d.err_code));
        let response = delivery.and_then(|d| d.response.as_deref()).unwrap_or_default();
        headers.bytes("order-sync.response", response, RESPONSE_BYTES_MAX);
        headers.bytes("order-sync.request", delivery.map_or(&[], |d| &d.request), REQUEST_BYTES_MAX);
        headers.shown("order-sync.times", Some(self.times));
        let (timestamp_ms, omitted) = match original {
            Original::Whole(record) => (record.timestamp_ms, String::new()),
            Original::Omitted(record) => (record.timestamp_ms, measures(record)),
            Original::Gone => (None, String::new()),
        };
        headers.shown("order-sync.original-timestamp", timestamp_ms);
        headers.text("order-sync.group", &origin.group);
        headers.text("order-sync.version", &origin.version);
        headers.text("order-sync.omitted", &omitted);
        headers.0
    }

    fn whole_message(&self, original: &Original<'_>) -> String {
        let message = head(&self.message, MESSAGE_BYTES_MAX);
        let remark = match original {
            Original::Gone => "the source no longer has the original record",
            Original::Omitted(_) if self.reason != DeadLetterReason::RecordTooLarge => {
                "the original record is left out: its many headers would make this one too large"
            }
            Original::Whole(_) | Original::Omitted(_) => return message.to_owned(),
        };
        let separator = if message.is_empty() { "" } else { "; " };
        format!("{message}{separator}{remark}")
    }
}

/// Header values under construction; what is empty has nothing to say.
struct Headers(Vec<Header>);

impl Headers {
    fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.0.push(Header { name: name.to_owned(), value: Some(value.as_bytes().into()) });
        }
    }

    fn shown(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.text(name, &value.to_string());
        }
    }

    /// Foreign bytes as UTF-8, at most `max` bytes of it.
    fn bytes(&mut self, name: &str, value: &[u8], max: usize) {
        // No more than `max` bytes can be kept, and a character has at most four.
        let value = value.get(..max + 4).unwrap_or(value);
        self.text(name, head(&String::from_utf8_lossy(value), max));
    }
}

/// Whether the record with our headers stays within a letter, whatever its framing adds.
fn fits(record: &Record) -> bool {
    record.content_bytes() + record.headers.len() * HEADER_FRAMING_BYTES_MAX + OWN_HEADERS_BYTES_MAX <= LETTER_BYTES_MAX
}

/// The longest start of `text` that has at most `max` bytes and ends between two characters.
fn head(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// The newest whole lines of an attempt log; of a single line that is longer, its start.
fn newest_lines(log: &str) -> &str {
    if log.len() <= ATTEMPT_LOG_BYTES_MAX {
        return log;
    }
    let body = log.trim_end_matches('\n');
    let earliest = body.len().saturating_sub(ATTEMPT_LOG_BYTES_MAX + 1);
    match body.bytes().skip(earliest).position(|b| b == b'\n') {
        Some(at) => &body[earliest + at + 1..],
        None => head(&body[body.rfind('\n').map_or(0, |at| at + 1)..], ATTEMPT_LOG_BYTES_MAX),
    }
}

/// RFC 3339 in UTC with milliseconds; empty for what is no time of this calendar.
fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |time| format!("{time:.3}"))
}

/// The measures of a record that is left out: every length, and the digest of each part that the letter does not have.
pub fn measures(record: &Record) -> String {
    let mut parts = Vec::with_capacity(6);
    let length = |part: &Option<Box<[u8]>>| part.as_ref().map(|bytes| bytes.len());
    let headers_bytes =
        record.content_bytes() - length(&record.key).unwrap_or_default() - length(&record.value).unwrap_or_default();
    parts.extend(length(&record.key).map(|n| format!("key_bytes={n}")));
    parts.extend(length(&record.value).map(|n| format!("value_bytes={n}")));
    parts.push(format!("headers_bytes={headers_bytes}"));
    let sha256 = |part: &[u8]| Digest(Sha256::digest(part).into());
    let key = record.key.as_deref().filter(|key| key.len() > OMITTED_KEY_BYTES_MAX);
    parts.extend(key.map(|key| format!("key_sha256={:?}", sha256(key))));
    parts.extend(record.value.as_deref().map(|value| format!("value_sha256={:?}", sha256(value))));
    if !record.headers.is_empty() {
        parts.push(format!("headers_sha256={:?}", headers_digest(&record.headers)));
    }
    parts.join(";")
}

/// The SHA-256 of all headers in their order: of each, the length of its name, the name, the length of its value, the
/// value. A length is 4 bytes, big-endian; a header without a value has the length ff ff ff ff and nothing behind it.
fn headers_digest(headers: &[Header]) -> Digest {
    // Kafka's own lengths are signed 32-bit numbers, so that all of them fit below the mark of a missing value.
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut sha256 = Sha256::new();
    for Header { name, value } in headers {
        sha256.update(length(name.as_bytes()));
        sha256.update(name);
        sha256.update(value.as_deref().map_or([0xff; 4], length));
        sha256.update(value.as_deref().unwrap_or_default());
    }
    Digest(sha256.finalize().into())
}

#[cfg(test)]
#[path = "letter_tests.rs"]
mod tests;
