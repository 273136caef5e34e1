//! The platform's tokens: given out one after another, each for its time, and refused once the platform says so.

use std::sync::Arc;
use std::time::Duration;

use order_sync::douyin::token::{Fault, Refused};
use order_sync::douyin::verdict::{Judgement, Verdict};

use super::audit::Audit;

/// The tokens of the one app. They are numbered from 1 on.
pub(crate) struct Tokens {
    /// How long one lives.
    lifetime: Duration,
    /// When each ends.
    ends: Vec<Duration>,
    /// So many of the first are refused.
    evicted: usize,
}

impl Tokens {
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self { lifetime, ends: Vec::new(), evicted: 0 }
    }

    /// Gives one out, with its lifetime.
    pub(crate) fn give(&mut self, now: Duration) -> (u64, Duration) {
        self.ends.push(now + self.lifetime);
        (u64::try_from(self.ends.len()).unwrap(), self.lifetime)
    }

    /// All that were given out are refused from now on.
    pub(crate) fn evict(&mut self) {
        self.evicted = self.ends.len();
    }

    /// Whether a push that comes with this token is refused. None is sent whose time is over, as far as its worker can know.
    pub(crate) fn refuses(&self, token: u64, now: Duration, audit: &mut Audit) -> bool {
        let place = usize::try_from(token).unwrap();
        if self.ends[place - 1] <= now {
            audit.fault(format!("a push is sent with token {token}, whose time is over"));
        }
        place <= self.evicted
    }
}

/// What comes of a fetch while the platform is away.
pub(crate) fn away() -> Refused {
    let judgement =
        Judgement { verdict: Verdict::Retry, rule: Arc::from("http_5xx"), err_code: None, retry_after: None };
    Refused { judgement, fault: Fault::Giver, message: "no token: no answer".to_owned() }
}
