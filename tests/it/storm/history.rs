//! What the sandbox saw of one order, held against the reference: every state, in order, under its stamp; what comes a
//! second time is the same, byte for byte, and an older state comes again only when a partition has changed its owner.

use serde_json::Value;

use order_sync::sandbox::{Outcome, Received};

use crate::reference::Push;

/// When members came or went, or were cut off: partitions move.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub from_ms: i64,
    pub until_ms: i64,
}

/// A transaction that a killed worker left open, which is longer than its session; the restore; an attempt of the old
/// owner that is still under way.
const SETTLES_MS: i64 = 10_000 + 5_000 + 2_000;

impl Window {
    pub fn explains(&self, at_ms: i64) -> bool {
        at_ms >= self.from_ms && at_ms <= self.until_ms + SETTLES_MS
    }
}

/// What an order's pushes come to in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Every state is taken.
    Taken,
    /// The platform rejects every state.
    Rejected,
}

/// How often an order's pushes came again.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Byte for byte as before.
    pub repeats: usize,
    /// Of these: after a later state.
    pub late: usize,
}

/// Checks one order's history.
pub fn check(order: &str, history: &[Received], pushes: &[Push], fate: Fate, windows: &[Window]) -> Seen {
    let mut newest: Option<usize> = None;
    let mut is_done = vec![false; pushes.len()];
    let mut late = 0;
    for push in history {
        let stamp = push.stamp.unwrap_or_else(|| panic!("{order}: a push without a stamp"));
        let at = pushes.iter().position(|expected| expected.stamp == stamp);
        let at = at.unwrap_or_else(|| panic!("{order}: a push under {stamp}, which no state has"));
        if !push.repeat {
            assert_eq!(content(&push.body), (pushes[at].request.clone(), pushes[at].order_detail.clone()), "{order}");
        }
        match newest {
            None => assert_eq!(at, 0, "{order}: begins with a later state"),
            Some(newest) if at > newest => {
                assert_eq!(at, newest + 1, "{order}: skips a state");
                assert!(is_done[newest], "{order}: {stamp} before the state before it was taken");
            }
            Some(newest) if at == newest => assert!(push.repeat, "{order}: a repeat with another body"),
            // A new owner begins with the oldest push whose result was not committed, and one that was cut off may send
            // its last one late. Both are what the platform has seen, and ignores; and both follow from a change of owners.
            Some(_) => {
                assert!(
                    push.repeat && push.outcome != Outcome::Applied,
                    "{order}: an older push that is news: {push:?}"
                );
                let at_ms = i64::try_from(push.at_ms).unwrap();
                let explained = windows.iter().any(|window| window.explains(at_ms));
                assert!(explained, "{order}: an older push, and nobody came or went: {push:?}, {windows:?}");
                late += 1;
            }
        }
        newest = newest.max(Some(at));
        match fate {
            Fate::Taken => is_done[at] |= push.outcome == Outcome::Applied,
            Fate::Rejected => {
                assert_eq!(push.outcome, Outcome::Refused, "{order}");
                is_done[at] = true;
            }
        }
    }
    assert!(is_done.iter().all(|done| *done), "{order}: {is_done:?} of {} states, {history:?}", pushes.len());
    Seen { repeats: history.iter().filter(|push| push.repeat).count(), late }
}

/// The request without token and stamp, and its order detail.
fn content(body: &[u8]) -> (Value, Value) {
    let mut request: Value = serde_json::from_slice(body).unwrap();
    let fields = request.as_object_mut().unwrap();
    fields.remove("access_token");
    fields.remove("update_time").unwrap();
    let detail = fields.remove("order_detail").unwrap();
    let detail = serde_json::from_str(detail.as_str().unwrap()).unwrap();
    (request, detail)
}
