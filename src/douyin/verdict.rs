//! The only place where an answer of the platform is judged (I7).

use std::time::Duration;

/// What one HTTP exchange came to, before anybody judges it.
#[derive(Clone, Debug)]
pub enum Exchange {
    /// The peer answered, whatever it said.
    Answered(Answer),
    /// There is no whole answer; the request may or may not have been taken.
    Broken(Break),
}

/// A whole HTTP answer, its body bounded.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, seconds or date already turned into a wait from the moment of the answer.
    pub retry_after: Option<Duration>,
    /// The body, at most 64 KiB.
    pub body: Vec<u8>,
}

/// Why there is no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Break {
    /// No connection: refused, unreachable, TLS failed, name not found, connect time-out.
    Connect,
    /// The total time of the attempt ran out.
    Timeout,
    /// The connection broke before the answer was whole.
    Reset,
    /// The answer was over 64 KiB.
    TooLarge,
    /// Not HTTP.
    Protocol,
}

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The platform took the state.
    Accepted,
    /// The outcome is unknown or the fault passes: the same bytes again, later.
    Retry,
    /// The token was refused: a new one, then the same bytes again; no budget is spent.
    RefreshToken,
    /// The platform says no to this order for good: a dead letter.
    Reject,
    /// The configuration is wrong, or a quota is used up: the app waits, and a person must look.
    Suspend,
}

/// A verdict with its grounds.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// What follows.
    pub verdict: Verdict,
    /// The name of the rule that gave it.
    pub rule: std::sync::Arc<str>,
    /// The platform's code that decided: the outer `err_code`, or the inner one of a POI answer.
    pub err_code: Option<i64>,
    /// The wait that the platform asked for (`Retry-After`), not yet clamped.
    pub retry_after: Option<Duration>,
}
