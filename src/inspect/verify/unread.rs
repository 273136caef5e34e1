//! Records of the changelog that cannot be read: each is told with its place, and everything else is accounted for.

use super::account::Account;
use super::facts::Facts;
use super::outcome::Reason;
use crate::sync::scan::Seen;

/// So many are told.
const UNREAD_MAX: usize = 1000;
/// Of a key so many characters are told.
const KEY_CHARS_MAX: usize = 200;

/// One of them.
#[derive(Debug)]
pub(super) struct Unread {
    /// The offset in the source that it is of, where that is known.
    offset: Option<i64>,
    /// Where the partition stood.
    next: i64,
    words: String,
}

impl Facts {
    /// Puts one down. What its key says of the source is taken, and else what is left of its value.
    pub(super) fn cannot_read(&mut self, what: &str, offset: Option<i64>, seen: &dyn Seen) {
        if self.unread.len() >= UNREAD_MAX {
            return;
        }
        let of_value = || {
            let value: serde_json::Value = serde_json::from_slice(seen.value()?).ok()?;
            value.get("offset")?.as_i64()
        };
        let key = String::from_utf8_lossy(seen.key().unwrap_or_default()).into_owned();
        let key: String = key.chars().take(KEY_CHARS_MAX).collect();
        let words = format!("{what} cannot be read: offset {} of the changelog's partition, key {key}", seen.offset());
        self.unread.push(Unread { offset: offset.or_else(of_value), next: self.next().unwrap_or(0), words });
    }
}

impl Account<'_> {
    /// Tells them, before anything that follows from them.
    pub(super) fn tell_unread(&mut self) {
        let begin = self.low.max(self.begin);
        let last = (self.facts.next().unwrap_or(0) - 1).max(begin);
        for Unread { offset, next, words } in std::mem::take(&mut self.facts.unread) {
            let at = offset.unwrap_or(next).clamp(begin, last);
            self.find(at, Reason::Unreadable, words.clone(), None);
            self.facts.unread.push(Unread { offset, next, words });
        }
    }
}
