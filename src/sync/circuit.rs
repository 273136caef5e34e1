//! One app's circuit: what the answers to its deliveries say about the platform, and how many attempts follow from it.
//!
//! Pure: time and chance are arguments, so that every rule can be tried on its own. It decides nothing about single
//! orders but the fate of a rejected one; how long an order may fail is [`super::circuit_patience`]'s business.
//!
//! An attempt that was started before the circuit opened or the app was suspended is a straggler: its answer is older
//! than the decision, and moves no probe. Sets of orders are bounded by the rules, and an acceptance costs no search.

#[cfg(test)]
use std::sync::Arc;
use std::time::Duration;

pub use super::circuit_evidence::{Cause, OpenedBy};
use super::circuit_evidence::{OrderPrint, Outage, Rejections};
use crate::retry::RetryPolicy;

/// Attempts at once when the platform has answered the first time: the probe's one, doubled.
const RAMP_FIRST: usize = 2;
/// An interval in which fewer than one answer in so many was good is a bad one.
const GOOD_ONE_IN: u32 = 4;
/// The wait after a probe that told nothing: it was not sent, or only its token was refused.
const UNTOLD_WAIT: Duration = Duration::from_secs(1);

/// The thresholds, `[circuit]` in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitRules {
    /// In this time `failed_orders` must have failed, and none been accepted.
    pub window: Duration,
    /// Distinct orders that must have failed.
    pub failed_orders: usize,
    /// Failures in a row that are enough; fewer are where they have gone on for a whole window.
    pub failed_attempts: u32,
    /// The waits between probes while the circuit is open.
    pub probe: RetryPolicy,
    /// How often the permits may double when the platform is back.
    pub ramp_interval: Duration,
    /// How long a suspended app is left alone between two probes.
    pub suspended_probe_interval: Duration,
    /// Distinct orders rejected in a row that make a storm.
    pub rejected_orders: usize,
    /// More distinct orders than this must fail at once for a part of the platform to count as away.
    pub partial_orders: usize,
    /// And more than this share of those attempted, in percent.
    pub partial_percent: u32,
}

/// Where an app stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// Deliveries run.
    Closed,
    /// The platform is back; the rate ramps up.
    HalfOpen,
    /// An outage: one probe at a time.
    Open,
    /// A person must act: one probe a minute.
    Suspended,
}

impl CircuitState {
    /// The word of `/readyz`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
            Self::Suspended => "suspended",
        }
    }

    /// Whether the app waits as a whole, and only probes go out.
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Open | Self::Suspended)
    }
}

/// What becomes of a rejected delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The order's own fault: a dead letter.
    DeadLetter,
    /// A storm: it stays owed.
    StaysOwed,
}

/// Whether a delivery had been tried before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// This was its first attempt.
    First,
    /// It has failed before, so that it may be the order's own fault.
    Again,
}

/// A failed attempt.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// Whose it was.
    pub order: OrderPrint,
    /// Whether it was the first.
    pub tried: Tried,
    /// When it was started.
    pub started: Duration,
    /// What the platform asked for: a lower bound for the next probe, up to the longest wait.
    pub retry_after: Option<Duration>,
}

#[derive(Debug)]
enum Phase {
    Closed,
    HalfOpen { permits: usize, until: Duration, good: u32, failed: u32 },
    Open { since: Duration, probe_at: Duration, by: OpenedBy },
    Suspended { cause: Cause, since: Duration, probe_at: Duration },
}

/// One app's circuit.
#[derive(Debug)]
pub struct Circuit {
    rules: CircuitRules,
    phase: Phase,
    outage: Outage,
    rejections: Rejections,
    /// Probes that failed since the circuit was last closed: a platform that comes and goes is not asked more often.
    failed_probes: u32,
}

impl Circuit {
    /// A closed one.
    pub fn new(rules: CircuitRules) -> Self {
        let outage = Outage::new(rules.failed_orders);
        let rejections = Rejections::new(rules.rejected_orders);
        Self { rules, phase: Phase::Closed, outage, rejections, failed_probes: 0 }
    }

    /// Where the app stands.
    pub fn state(&self) -> CircuitState {
        match self.phase {
            Phase::Closed => CircuitState::Closed,
            Phase::HalfOpen { .. } => CircuitState::HalfOpen,
            Phase::Open { .. } => CircuitState::Open,
            Phase::Suspended { .. } => CircuitState::Suspended,
        }
    }

    /// Why the app is suspended, where it is.
    pub fn cause(&self) -> Option<&Cause> {
        match &self.phase {
            Phase::Suspended { cause, .. } => Some(cause),
            Phase::Closed | Phase::HalfOpen { .. } | Phase::Open { .. } => None,
        }
    }

    /// How many attempts may be under way at once, up to `most`, of which `in_flight` are.
    ///
    /// # Errors
    /// The time before which none may be started.
    pub fn permits(&mut self, now: Duration, most: usize, in_flight: usize) -> Result<usize, Duration> {
        self.tick(now, most, in_flight);
        match self.phase {
            Phase::Closed => Ok(most),
            Phase::HalfOpen { permits, .. } => Ok(permits.min(most)),
            Phase::Open { probe_at, .. } | Phase::Suspended { probe_at, .. } if now < probe_at => Err(probe_at),
            // Stragglers count: a probe starts when all of them have ended.
            Phase::Open { .. } | Phase::Suspended { .. } => Ok(1),
        }
    }

    /// Ends an interval of the ramp that is over: a good one doubles the permits, a bad one halves them, one whose
    /// answers are still to come decides nothing. One without anything to send is as good as any.
    pub fn tick(&mut self, now: Duration, most: usize, in_flight: usize) {
        let Phase::HalfOpen { permits, until, good, failed } = &mut self.phase else { return };
        if now < *until {
            return;
        }
        let is_good = good.saturating_mul(GOOD_ONE_IN) >= good.saturating_add(*failed);
        if is_good && (*good > 0 || in_flight == 0) {
            *permits = permits.saturating_mul(2);
        } else if *failed > 0 {
            *permits = (*permits / 2).max(1);
        }
        (*until, *good, *failed) = (now + self.rules.ramp_interval, 0, 0);
        if *permits >= most {
            self.phase = Phase::Closed;
            self.failed_probes = 0;
        }
    }

    /// An attempt was accepted.
    pub fn accepted(&mut self, started: Duration, now: Duration) {
        if self.is_straggler_of_suspension(started) {
            return;
        }
        self.rejections.clear();
        self.answered(now);
    }

    /// The platform answered an order for good, so it is there.
    fn answered(&mut self, now: Duration) {
        self.outage.answered(now);
        match &mut self.phase {
            Phase::Closed => {}
            Phase::HalfOpen { good, .. } => *good = good.saturating_add(1),
            Phase::Open { .. } | Phase::Suspended { .. } => self.half_open(now),
        }
    }

    /// An attempt was rejected with `code`. `rightly` are the codes of which an operator has said that they are right:
    /// they make no storm, and are taken out of one.
    pub fn rejected(
        &mut self,
        order: OrderPrint,
        code: Option<i64>,
        rightly: &[i64],
        started: Duration,
        now: Duration,
    ) -> Fate {
        let straggler = self.is_straggler_of_suspension(started);
        self.rejections.forgive(rightly);
        if code.is_none_or(|code| !rightly.contains(&code)) {
            self.rejections.note(order, code);
        }
        if self.rejections.is_storm() {
            self.suspend(Cause::Rejections { orders: self.rules.rejected_orders, err_code: code }, now);
            return Fate::StaysOwed;
        }
        if !straggler {
            self.answered(now);
        }
        Fate::DeadLetter
    }

    /// An attempt failed in a way that may pass: no connection, no answer, a server's fault.
    pub fn failed(&mut self, failure: &Failure, rng: &mut fastrand::Rng, now: Duration) {
        let started = failure.started;
        let is_outage = match &mut self.phase {
            Phase::Closed => {
                self.outage.failed(failure, now);
                self.outage.is_proven(&self.rules, now)
            }
            Phase::HalfOpen { failed, .. } => {
                *failed = failed.saturating_add(1);
                self.outage.failed(failure, now);
                self.outage.is_back(&self.rules, now)
            }
            Phase::Open { since, .. } => started > *since,
            Phase::Suspended { since, probe_at, .. } => {
                if started > *since {
                    *probe_at = now + self.rules.suspended_probe_interval;
                }
                false
            }
        };
        if is_outage {
            self.failed_probes = self.failed_probes.saturating_add(1);
            let wait = self.rules.probe.delay(self.failed_probes, failure.retry_after, rng);
            let since = if let Phase::Open { since, .. } = self.phase { since } else { now };
            self.phase = Phase::Open { since, probe_at: now + wait, by: OpenedBy::Pushes };
        }
    }

    /// An attempt told nothing of the platform: it was not sent, its order is gone, or only its token was refused.
    pub fn told_nothing(&mut self, started: Duration, now: Duration) {
        match &mut self.phase {
            Phase::Closed | Phase::HalfOpen { .. } => {}
            Phase::Open { since, probe_at, .. } => {
                if started > *since {
                    *probe_at = now + UNTOLD_WAIT;
                }
            }
            Phase::Suspended { since, probe_at, .. } => {
                if started > *since {
                    *probe_at = now + self.rules.suspended_probe_interval;
                }
            }
        }
    }

    /// A person must act: the app waits as a whole until a probe is accepted or, where it is no storm, rejected.
    pub fn suspend(&mut self, cause: Cause, now: Duration) {
        let since = if let Phase::Suspended { since, .. } = self.phase { since } else { now };
        self.phase = Phase::Suspended { cause, since, probe_at: now + self.rules.suspended_probe_interval };
    }

    /// A probe is due, and the worker owes nothing that could be one: its orders are another's now, who probes with them. It goes
    /// on as if the platform were back; what comes next tells. Where a token is what is missing, only a token ends it.
    pub fn nothing_to_probe_with(&mut self, now: Duration) {
        let (Phase::Open { probe_at, by: OpenedBy::Pushes, .. } | Phase::Suspended { probe_at, .. }) = self.phase
        else {
            return;
        };
        if now >= probe_at && !matches!(self.cause(), Some(Cause::NoToken { .. })) {
            self.half_open(now);
        }
    }

    /// What has opened it, where it is open.
    pub fn opened_by(&self) -> Option<OpenedBy> {
        match self.phase {
            Phase::Open { by, .. } => Some(by),
            Phase::Closed | Phase::HalfOpen { .. } | Phase::Suspended { .. } => None,
        }
    }

    /// There is no token to push with, and none can be fetched: nothing is sent, so no push can tell of the outage.
    pub fn token_away(&mut self, now: Duration) {
        if matches!(self.phase, Phase::Closed | Phase::HalfOpen { .. }) {
            self.phase = Phase::Open { since: now, probe_at: now, by: OpenedBy::Fetches };
        }
    }

    /// The platform gave the app a token: that was all that a suspension or an outage for want of one waited for.
    pub fn token_came(&mut self, now: Duration) {
        if matches!(self.cause(), Some(Cause::NoToken { .. })) || self.opened_by() == Some(OpenedBy::Fetches) {
            self.half_open(now);
        }
    }

    /// Somebody has done something about what the app is suspended for: the next probe tells whether it was that.
    pub fn probe_at_once(&mut self, now: Duration) {
        if let Phase::Suspended { probe_at, .. } = &mut self.phase {
            *probe_at = now.min(*probe_at);
        }
    }

    fn half_open(&mut self, now: Duration) {
        let until = now + self.rules.ramp_interval;
        self.phase = Phase::HalfOpen { permits: RAMP_FIRST, until, good: 0, failed: 0 };
    }

    /// The answers of attempts that were under way when the app was suspended come in for a while, good ones among
    /// them; each would lift the suspension, and the next refusal would bring it back, with an error log every time.
    fn is_straggler_of_suspension(&self, started: Duration) -> bool {
        matches!(self.phase, Phase::Suspended { since, .. } if started <= since)
    }
}

#[cfg(test)]
#[path = "circuit_tests.rs"]
mod tests;
