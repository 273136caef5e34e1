//! The faults that the sandbox can answer with.
//!
//! What each looks like on the wire stands in `answer`; how it is written in `fault_text`.

use std::time::Duration;

/// One fault, and whether the push is taken all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What the pusher sees.
    pub kind: FaultKind,
    /// Whether the order centre takes the push before the fault: "accepted, but the answer was lost". [`FaultKind::Late`]
    /// and [`FaultKind::Slow`] only delay the true answer and ignore this.
    pub applied: bool,
}

/// What the pusher sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// `code:N`, `code:N/text`: HTTP 200 with this `err_code`, and the platform's text or the given one.
    Code(i64, Option<String>),
    /// `inner:N`: `err_code` 0 and an `error_code` in `body`; POI orders only, others pass unharmed.
    Inner(i64),
    /// `http:N`: this HTTP status with an HTML body.
    Http(u16),
    /// `throttle:SECONDS`: HTTP 429 with `Retry-After`.
    Throttle(u32),
    /// `silent`: the connection stays open and nothing is ever answered.
    Silent,
    /// `reset`: the connection is reset.
    Reset,
    /// `html`: HTTP 200 with a web page.
    Html,
    /// `cut-json`: a whole HTTP answer whose JSON ends in the middle.
    CutJson,
    /// `cut-body`: the connection ends before `Content-Length` is reached.
    CutBody,
    /// `huge`: a whole JSON answer of more than 64 KiB.
    Huge,
    /// `string-code`: `err_code` as a string.
    StringCode,
    /// `late:DURATION`: the true answer, this much later.
    Late(Duration),
    /// `slow:DURATION`: the true answer, byte by byte over this time.
    Slow(Duration),
    /// `evict`: the token dies, and the push is refused with 40014 "bad access token".
    Evict,
}

impl Fault {
    /// A fault that takes nothing.
    pub const fn refusing(kind: FaultKind) -> Self {
        Self { kind, applied: false }
    }

    /// Whether the push's own judgement holds: it is taken, or refused for its own faults.
    pub(super) const fn lets_through(&self) -> bool {
        self.applied || matches!(self.kind, FaultKind::Late(_) | FaultKind::Slow(_))
    }
}
