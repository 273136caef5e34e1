//! The only place where an answer of the platform is judged (I7).
//!
//! What the codes mean is data, in config/error-codes.toml; how an answer is read is in `answer.rs`. Here the
//! two meet. It decides nothing about waiting or giving up.

use std::time::Duration;

use super::answer::{Inner, Reply, inner};
use super::table::{Endpoint, Finding, OutcomeTable};

/// What one HTTP exchange came to, before anybody judges it.
#[derive(Clone, Debug)]
pub enum Exchange {
    /// The peer answered, whatever it said.
    Answered(Answer),
    /// There is no whole answer; the request may or may not have been taken.
    Broken(Break),
}

/// A whole HTTP answer, its body bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl Verdict {
    /// All verdicts.
    pub const ALL: [Self; 5] = [Self::Accepted, Self::Retry, Self::RefreshToken, Self::Reject, Self::Suspend];

    /// The word of the table, the metric and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Retry => "retry",
            Self::RefreshToken => "refresh_token",
            Self::Reject => "reject",
            Self::Suspend => "suspend",
        }
    }

    /// The verdict of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == word)
    }
}

impl Break {
    /// All breaks.
    pub const ALL: [Self; 5] = [Self::Connect, Self::Timeout, Self::Reset, Self::TooLarge, Self::Protocol];

    /// The word of the table and of `explain --transport`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::TooLarge => "too_large",
            Self::Protocol => "protocol",
        }
    }

    /// The break of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|broken| broken.as_str() == word)
    }
}

/// Judges what a push came to. Total: every exchange has a verdict, and only a 2xx with code 0 inside and out (or a
/// code that the user calls accepted) is accepted.
pub fn judge_push(exchange: &Exchange, table: &OutcomeTable) -> Judgement {
    judge(exchange, table, Endpoint::Push, &Reply::of_push, |reply| match inner(reply.body.as_deref()) {
        Inner::Silent => table.on_finding(Endpoint::Push, Finding::Success, Some(0)),
        Inner::Opaque => table.on_finding(Endpoint::Push, Finding::OpaqueBody, Some(0)),
        Inner::CutOff => table.on_finding(Endpoint::Push, Finding::InnerBodyCutOff, Some(0)),
        Inner::Unreadable => table.on_finding(Endpoint::Push, Finding::InnerCodeUnreadable, Some(0)),
        Inner::Code(code, message) => table
            .on_code(Endpoint::Push, code, &message)
            .unwrap_or_else(|| table.on_finding(Endpoint::Push, Finding::UnknownInnerCode, Some(code))),
    })
}

/// The walk that all endpoints share: no answer, status, code. `on_zero` judges a 2xx whose code is 0.
pub(super) fn judge(
    exchange: &Exchange,
    table: &OutcomeTable,
    at: Endpoint,
    read: &dyn Fn(&[u8]) -> Reply,
    on_zero: impl FnOnce(&Reply) -> Judgement,
) -> Judgement {
    let answer = match exchange {
        Exchange::Broken(broken) => return table.on_broken(at, *broken),
        Exchange::Answered(answer) => answer,
    };
    let judgement = if believes_body(answer.status) {
        judge_reply(&read(&answer.body), answer.status, table, at, on_zero)
    } else {
        table.on_status(at, answer.status)
    };
    Judgement { retry_after: answer.retry_after.max(judgement.retry_after), ..judgement }
}

fn judge_reply(
    reply: &Reply,
    status: u16,
    table: &OutcomeTable,
    at: Endpoint,
    on_zero: impl FnOnce(&Reply) -> Judgement,
) -> Judgement {
    let success = is_success(status);
    let Some(code) = reply.code else {
        let finding = if reply.is_object { Finding::NoCode } else { Finding::NoJsonObject };
        return if success { table.on_finding(at, finding, None) } else { table.on_status(at, status) };
    };
    if code == 0 && success {
        return on_zero(reply);
    }
    let judgement = (code != 0)
        .then(|| table.on_code(at, code, &reply.message))
        .flatten()
        .unwrap_or_else(|| table.on_finding(at, Finding::UnknownCode, Some(code)));
    if !success && (code == 0 || judgement.verdict == Verdict::Accepted) {
        return table.on_finding(at, Finding::SuccessRefuted, Some(code));
    }
    judgement
}

/// Whether the body of such an answer is the platform's word; config/error-codes.toml argues it.
const fn believes_body(status: u16) -> bool {
    is_success(status) || matches!(status, 400..=428 | 430..=499)
}

const fn is_success(status: u16) -> bool {
    matches!(status, 200..=299)
}
