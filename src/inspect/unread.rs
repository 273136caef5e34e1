//! Records of the changelog that cannot be read: another release or another hand has written them. A tool tells which they are,
//! and goes on with all others.

use crate::sync::scan::Seen;

/// So many are named.
const NAMED_MAX: usize = 20;
/// Of a key so many characters are named.
const KEY_CHARS_MAX: usize = 200;

/// The places of the first of them, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Partition, offset and key in the changelog.
    pub first: Vec<(i32, i64, String)>,
    /// All of them.
    pub count: u64,
}

impl Unread {
    /// Counts a record.
    pub(super) fn put(&mut self, seen: &dyn Seen) {
        self.count += 1;
        if self.first.len() < NAMED_MAX {
            let key = String::from_utf8_lossy(seen.key().unwrap_or_default());
            let key = key.chars().take(KEY_CHARS_MAX).collect();
            self.first.push((seen.partition(), seen.offset().get(), key));
        }
    }
}
