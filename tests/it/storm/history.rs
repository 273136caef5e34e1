//! What the sandbox saw of one order, held against the reference: every state, in order, under its stamp; what comes a
//! second time is the same, byte for byte; and the order goes back to an older state only where its owner has changed.

use std::fmt::Write as _;

use serde_json::Value;

use order_sync::sandbox::{Outcome, Received};

use crate::reference::Push;

/// A time in which an order may have changed its owner: a worker was killed, members came or went, or were cut off.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub from_ms: i64,
    pub until_ms: i64,
}

impl Window {
    pub fn explains(&self, at_ms: i64) -> bool {
        at_ms >= self.from_ms && at_ms <= self.until_ms
    }

    /// Whether a part of it lies between one push of an order and the next.
    fn parts(&self, before_ms: i64, after_ms: i64) -> bool {
        before_ms <= self.until_ms && after_ms >= self.from_ms
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

/// The last push, while a history is read.
#[derive(Clone, Copy)]
struct Last {
    at: usize,
    at_ms: i64,
    /// It, or a try of the same state just before it, was taken.
    taken: bool,
}

/// Checks one order's history.
///
/// One owner tries a state until it is answered, and then goes on with the next one; whatever else the platform sees is
/// the work of two owners. A new owner begins with the oldest push whose result was not committed, which may lie several
/// states back: a lane does not wait for the commit of a result, and the slower the machine, the more results are in no
/// cut yet when a worker is killed. From there it goes on in order. And an owner that was cut off may send its last one
/// late. So the rule asks for a change of owners between a push and the one before it, and not for one that is recent:
/// how long a new owner takes to its first push depends on restore, backlog and back-off, and none of that makes a step
/// back within one owner's work right.
pub fn check(order: &str, history: &[Received], pushes: &[Push], fate: Fate, windows: &[Window]) -> Seen {
    let mut newest: Option<usize> = None;
    let mut last: Option<Last> = None;
    let mut is_done = vec![false; pushes.len()];
    let mut late = 0;
    let fail = |what: &str, push: &Received| -> ! {
        panic!("{order}: {what} (number {} below)\n{}", push.number, story(history, pushes, windows))
    };
    for push in history {
        let stamp = push.stamp.unwrap_or_else(|| fail("a push without a stamp", push));
        let at = pushes.iter().position(|expected| expected.stamp == stamp);
        let at = at.unwrap_or_else(|| fail("a push under a stamp that no state has", push));
        let at_ms = i64::try_from(push.at_ms).unwrap();
        if !push.repeat {
            assert_eq!(content(&push.body), (pushes[at].request.clone(), pushes[at].order_detail.clone()), "{order}");
        }
        match newest {
            None if at > 0 => fail("begins with a later state", push),
            Some(newest) if at > newest + 1 => fail("skips a state", push),
            Some(newest) if at > newest && !is_done[newest] => fail("before the state before it was taken", push),
            Some(newest) if at <= newest && !push.repeat => fail("a repeat with another body", push),
            Some(newest) if at < newest => {
                if push.outcome == Outcome::Applied {
                    fail("an older push that is news", push);
                }
                late += 1;
            }
            None | Some(_) => {}
        }
        let is_try = last.is_some_and(|last| last.at == at);
        let follows = last.is_none_or(|last| is_try || (last.at + 1 == at && last.taken));
        let changed = |last: Last| windows.iter().any(|window| window.parts(last.at_ms, at_ms));
        if !follows && !last.is_some_and(changed) {
            fail("not the next one, and nobody came or went since the one before it", push);
        }
        newest = newest.max(Some(at));
        let taken = match fate {
            Fate::Taken => {
                is_done[at] |= push.outcome == Outcome::Applied;
                push.outcome != Outcome::Refused
            }
            Fate::Rejected => {
                assert_eq!(push.outcome, Outcome::Refused, "{order}");
                is_done[at] = true;
                true
            }
        };
        last = Some(Last { at, at_ms, taken: taken || (is_try && last.is_some_and(|last| last.taken)) });
    }
    let all_done = is_done.iter().all(|done| *done);
    assert!(all_done, "{order}: {is_done:?} of {} states\n{}", pushes.len(), story(history, pushes, windows));
    Seen { repeats: history.iter().filter(|push| push.repeat).count(), late }
}

/// The whole history and what happened meanwhile, on one clock that begins with the first push.
fn story(history: &[Received], pushes: &[Push], windows: &[Window]) -> String {
    let mut text = String::new();
    let begin = history.first().map_or(0, |push| i64::try_from(push.at_ms).unwrap());
    for push in history {
        let at = pushes.iter().position(|expected| Some(expected.stamp) == push.stamp);
        let (at_ms, repeat) = (i64::try_from(push.at_ms).unwrap() - begin, if push.repeat { ", repeat" } else { "" });
        let fault = push.fault.as_deref().unwrap_or("no fault");
        let outcome = push.outcome;
        let state = at.map_or("no state".to_owned(), |at| format!("state {at} of {}", pushes.len()));
        writeln!(text, "{at_ms:>8} ms  number {}: {state}, {outcome:?}, {fault}{repeat}", push.number).unwrap();
    }
    for window in windows {
        writeln!(text, "{:>8} ms  until {} ms: owners change", window.from_ms - begin, window.until_ms - begin)
            .unwrap();
    }
    text
}

/// The request without token and stamp, and its order detail.
pub fn content(body: &[u8]) -> (Value, Value) {
    let mut request: Value = serde_json::from_slice(body).unwrap();
    let fields = request.as_object_mut().unwrap();
    fields.remove("access_token");
    fields.remove("update_time").unwrap();
    let detail = fields.remove("order_detail").unwrap();
    let detail = serde_json::from_str(detail.as_str().unwrap()).unwrap();
    (request, detail)
}
