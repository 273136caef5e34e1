//! When an app's token is fetched, waited for or doubted. The token's text never comes here: only its generation.
//!
//! Rules of douyin-api §4.3: refresh hourly or below ten minutes left; a refused token is fetched anew only if it is
//! the current one, with at least 30 s between two fetches; a young one that is refused is tried again first. Behind a
//! refusal a few orders try what there is, the young one or a new one, and the others wait until one is accepted.

use std::borrow::Cow;
use std::time::Duration;

use super::circuit_evidence::OrderPrint;
use super::doubt::{Belief, Doubts};
use super::ports::TokenGeneration;
use crate::douyin::token::Fault;

const REFRESH_AFTER: Duration = Duration::from_secs(60 * 60);
const REFRESH_BEFORE_END: Duration = Duration::from_secs(10 * 60);
/// Before its end by our count a token is not used any more: it was given out a moment before we had it, and a push is checked
/// a moment after it was started. Of a token that lives shortly it is a tenth at most.
const MARGIN: Duration = Duration::from_secs(5);
/// The least time between two fetches after a refusal: fetching cuts the other workers' token short.
const FETCH_GAP: Duration = Duration::from_secs(30);
/// Below this age a refusal may be the platform's own delay in spreading the token.
const YOUNG: Duration = Duration::from_secs(30);
/// Attempts at a time behind a refusal: as many as there may be would be refused where one is. Not one alone, which may be
/// refused for what is wrong with its order.
const TRIAL: usize = 4;
/// Tokens refused in a row, with nothing accepted, before it is a matter of configuration.
const REFUSED_MAX: u32 = 3;

#[derive(Clone, Copy, Debug)]
struct Current {
    generation: TokenGeneration,
    fetched_at: Duration,
    lifetime: Duration,
    refused: bool,
    /// There was a refusal, and nothing was accepted with this one since.
    on_trial: bool,
}

/// Fetches that failed in a row, and how long they have failed where there were fewer, before they tell of an outage: at a
/// start one in five may fail by chance. Being wrong costs a ramp of some seconds.
const FAILED_FETCHES: u32 = 4;
const FAILED_FOR: Duration = Duration::from_secs(10);

/// Fetches that fail, since the last token.
#[derive(Debug)]
struct Failing {
    since: Duration,
    fetches: u32,
    /// The last one's, for people.
    words: String,
    fault: Fault,
}

/// What a refused token calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A newer token is at hand already: the same bytes again, at once, with it.
    UseNewer,
    /// Another order was accepted with this token meanwhile: this order's own trouble, with budget.
    OrdersOwn,
    /// It was good a moment ago, and nobody else was refused: the order tries once more.
    Doubted,
    /// The app waits for a new token, or for the young one to be good.
    Wait,
    /// Three fetched in a row were refused: a matter of configuration.
    Suspend,
}

/// One app's token, as the engine knows it.
#[derive(Debug, Default)]
pub struct TokenDesk {
    current: Option<Current>,
    fetching: bool,
    not_before: Duration,
    failing: Option<Failing>,
    /// Failed fetches in a row, whoever's fault they were.
    failures: u32,
    refused_in_a_row: u32,
    retry_young_at: Option<Duration>,
    last_fetch: Option<Duration>,
    doubts: Doubts,
}

impl TokenDesk {
    /// Whether attempts may be started with what is at hand: it is not refused, and will still be good when they arrive.
    pub fn is_usable(&self, now: Duration) -> bool {
        self.usable_until().is_some_and(|end| now < end)
    }

    fn usable_until(&self) -> Option<Duration> {
        let good = |c: Current| c.lifetime.saturating_sub(MARGIN.min(c.lifetime / 10));
        self.current.filter(|c| !c.refused).map(|c| c.fetched_at + good(c))
    }

    /// Whether the platform has refused the token at hand, and it is not tried again yet.
    pub fn is_refused(&self) -> bool {
        self.current.is_some_and(|current| current.refused)
    }

    /// Whether the platform has refused the token at hand or the one before, and has taken none since.
    pub fn is_doubted(&self) -> bool {
        self.refused_in_a_row > 0 || self.current.is_some_and(|current| current.refused || current.on_trial)
    }

    /// How many attempts may be under way with it, where there may be `most`.
    pub fn permits(&self, most: usize) -> usize {
        if self.current.is_some_and(|current| current.on_trial) { most.min(TRIAL) } else { most }
    }

    /// The current token's name; 0 where there is none yet.
    pub fn generation(&self) -> TokenGeneration {
        self.current.map_or(TokenGeneration(0), |current| current.generation)
    }

    /// Age of the current token.
    pub fn age(&self, now: Duration) -> Option<Duration> {
        self.current.map(|c| now.saturating_sub(c.fetched_at))
    }

    /// Whether a fetch is to be started now; says so once until its answer is in.
    pub fn start_fetch(&mut self, now: Duration) -> bool {
        if let (Some(at), Some(current)) = (self.retry_young_at, self.current.as_mut())
            && now >= at
        {
            (current.refused, current.on_trial) = (false, true);
            self.retry_young_at = None;
        }
        let due = self.fetch_due();
        if self.fetching || due.is_none_or(|due| now < due) {
            return false;
        }
        self.fetching = true;
        self.last_fetch = Some(now);
        true
    }

    /// When the desk wants to be asked again; `None` while an answer is awaited.
    pub fn next_look(&self) -> Option<Duration> {
        if self.fetching {
            return self.retry_young_at;
        }
        match (self.fetch_due(), self.retry_young_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn fetch_due(&self) -> Option<Duration> {
        let Some(current) = self.current else { return Some(self.not_before) };
        if current.refused {
            return self.retry_young_at.is_none().then_some(self.not_before);
        }
        let life = REFRESH_AFTER.min(current.lifetime.saturating_sub(REFRESH_BEFORE_END).max(current.lifetime / 2));
        Some((current.fetched_at + life).max(self.not_before))
    }

    /// A token is at hand.
    pub fn fetched(&mut self, generation: TokenGeneration, lifetime: Duration, now: Duration) {
        self.fetching = false;
        (self.failing, self.failures) = (None, 0);
        self.not_before = now;
        self.retry_young_at = None;
        let on_trial = self.current.is_some_and(|before| before.refused || before.on_trial);
        self.current = Some(Current { generation, fetched_at: now, lifetime, refused: false, on_trial });
        self.doubts.begin_anew();
    }

    /// The fetch failed; `wait` is how long to leave the endpoint alone, at most until the token at hand runs out.
    pub fn fetch_failed(&mut self, words: &str, fault: Fault, wait: Duration, now: Duration) {
        self.fetching = false;
        self.failures = self.failures.saturating_add(1);
        let (since, fetches) = match &self.failing {
            Some(failing) if failing.fault == fault => (failing.since, failing.fetches.saturating_add(1)),
            Some(_) | None => (self.last_fetch.unwrap_or(now), 1),
        };
        self.failing = Some(Failing { since, fetches, words: words.to_owned(), fault });
        self.not_before = match self.usable_until().filter(|end| now < *end) {
            Some(end) => end.min(now + wait),
            None => now + wait,
        };
    }

    /// Failed fetches in a row, for the backoff.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Why no token is usable, where it was tried to get one, or the one at hand was refused; and whose business that is.
    pub fn missing(&self, now: Duration) -> Option<(Cow<'_, str>, Fault)> {
        if self.is_usable(now) {
            return None;
        }
        if let Some(failing) = &self.failing {
            return Some((failing.words.as_str().into(), failing.fault));
        }
        let next = match self.retry_young_at {
            Some(at) => format!("it is young, and is tried again in {} s", at.saturating_sub(now).as_secs() + 1),
            None => "another one is fetched".to_owned(),
        };
        self.is_refused().then(|| (format!("the platform refuses the one at hand; {next}").into(), Fault::Giver))
    }

    /// Whether none is usable and none can be fetched, as who gives them is away. Says so until one is at hand.
    pub fn is_away(&self, now: Duration) -> bool {
        let proven = |failing: &Failing| {
            let lasting = failing.fetches > 1 && now.saturating_sub(failing.since) >= FAILED_FOR;
            failing.fault == Fault::Giver && (failing.fetches >= FAILED_FETCHES || lasting)
        };
        !self.is_usable(now) && self.failing.as_ref().is_some_and(proven)
    }

    /// An order's attempt with this token was accepted.
    pub fn accepted(&mut self, order: OrderPrint, generation: TokenGeneration, started: Duration, now: Duration) {
        if let Some(current) = self.current.as_mut().filter(|c| c.generation == generation) {
            self.doubts.accepted(order, started, now);
            (current.refused, current.on_trial) = (false, false);
            self.retry_young_at = None;
            self.refused_in_a_row = 0;
        }
    }

    /// An order's attempt that was `started` with this token was refused for it. `jitter` in 0..=1 spreads the wait of 30–60 s.
    pub fn refused(
        &mut self,
        order: OrderPrint,
        generation: TokenGeneration,
        started: Duration,
        jitter: f64,
        now: Duration,
    ) -> Refusal {
        let Some(current) = self.current.as_mut() else { return Refusal::Wait };
        if current.generation != generation {
            return Refusal::UseNewer;
        }
        match self.doubts.refused(order, started, now) {
            Belief::OrdersOwn => return Refusal::OrdersOwn,
            Belief::Doubted | Belief::Believed if current.refused => return Refusal::Wait,
            Belief::Doubted => return Refusal::Doubted,
            Belief::Believed => {}
        }
        current.refused = true;
        if now.saturating_sub(current.fetched_at) < YOUNG {
            self.retry_young_at = Some(current.fetched_at + YOUNG + YOUNG.mul_f64(jitter.clamp(0.0, 1.0)));
            return Refusal::Wait;
        }
        self.refused_in_a_row += 1;
        self.not_before = self.last_fetch.map_or(now, |at| at + FETCH_GAP).max(now);
        if self.refused_in_a_row >= REFUSED_MAX { Refusal::Suspend } else { Refusal::Wait }
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
