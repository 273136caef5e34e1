//! What a failing delivery has been through: its attempts, and the give-up clock that only evidence moves.
//!
//! The clock adds up the gaps between two failures of this order in which the app had another order accepted.
//! Without that evidence it stands still: one order on a quiet night never becomes a dead letter because the
//! platform was away. How much of a gap counts is the app's own time ([`super::circuit_patience`]), which stands still
//! while the platform or a part of it is away.

use std::collections::VecDeque;
use std::time::Duration;

use super::acceptance::LastError;
use super::rules::Now;
use crate::douyin::verdict::{Break, Exchange, Judgement};

/// Attempts that the log keeps.
const ATTEMPTS_KEPT: usize = 16;
/// Attempts that a brief log keeps.
const ATTEMPTS_KEPT_BRIEF: usize = 1;
/// Bytes of the platform's last answer that are kept for the dead letter.
pub const RESPONSE_BYTES_MAX: usize = 4 * 1024;

/// One attempt, as the dead letter tells it.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    wall_ms: i64,
    latency: Duration,
    outcome: Outcome,
    err_code: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Status(u16),
    Broken(Break),
}

impl Attempt {
    fn line(&self) -> String {
        let time = jiff::Timestamp::from_millisecond(self.wall_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let status = match self.outcome {
            Outcome::Status(status) => status.to_string(),
            Outcome::Broken(broken) => broken.as_str().to_owned(),
        };
        let code = self.err_code.map_or_else(|| "-".to_owned(), |code| code.to_string());
        format!("{time:.3} {}ms {status} {code}", self.latency.as_millis())
    }
}

/// How much is kept of a failing delivery's attempts. In an outage of a busy app half a million orders fail at once,
/// and none of them becomes a dead letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// The last attempt alone.
    #[default]
    Brief,
    /// What the dead letter tells.
    Full,
}

/// How long an order may be about to be tried, behind others, for it to count as failing.
const TURN: Duration = Duration::from_secs(1);
/// No attempt may take longer (`douyin.request_timeout`): where one did, the process stood still.
const ATTEMPT: Duration = Duration::from_secs(60);

/// The failures of a lane's head.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// Failures that count for the backoff.
    pub failures: u32,
    /// All attempts, refreshes of the token included.
    pub attempts: u32,
    /// Wall clock of the first failure.
    pub first_failed_ms: i64,
    /// Wall clock of the last failure.
    pub last_failed_ms: i64,
    /// The platform's last code.
    pub err_code: Option<i64>,
    /// The platform's last answer, cut.
    pub response: Option<Vec<u8>>,
    /// How much is kept.
    pub detail: Detail,
    log: VecDeque<Attempt>,
    spent: Duration,
    last_failure: Option<(u64, Duration)>,
    /// What it was told to wait last.
    wait: Duration,
}

impl Trouble {
    /// Notes an attempt that was not accepted.
    pub fn note(&mut self, exchange: &Exchange, judgement: &Judgement, latency: Duration, now: Now) {
        if self.attempts == 0 {
            self.first_failed_ms = now.wall_ms;
        }
        self.attempts = self.attempts.saturating_add(1);
        self.last_failed_ms = now.wall_ms;
        self.err_code = judgement.err_code;
        let outcome = match exchange {
            Exchange::Answered(answer) => {
                let kept = answer.body.len().min(RESPONSE_BYTES_MAX);
                self.response = (self.detail == Detail::Full).then(|| answer.body[..kept].to_vec());
                Outcome::Status(answer.status)
            }
            Exchange::Broken(broken) => Outcome::Broken(*broken),
        };
        let kept = match self.detail {
            Detail::Brief => ATTEMPTS_KEPT_BRIEF,
            Detail::Full => ATTEMPTS_KEPT,
        };
        while self.log.len() >= kept {
            self.log.pop_front();
        }
        self.log.push_back(Attempt { wall_ms: now.wall_ms, latency, outcome, err_code: judgement.err_code });
    }

    /// It is to be tried again after `wait`.
    pub fn waits(&mut self, wait: Duration) {
        self.wait = wait;
    }

    /// Moves the give-up clock on a failure: what the app's `counted` time has grown by since the last one counts
    /// where its `acceptances` have grown, too. What it stood behind others for, once its own wait was over, is no failing: behind
    /// a backlog, with a limited rate, that may be longer than all it may fail. Returns the failing time so far.
    pub fn fail(&mut self, acceptances: u64, counted: Duration) -> Duration {
        self.failures = self.failures.saturating_add(1);
        if let Some((accepted_then, counted_then)) = self.last_failure
            && acceptances > accepted_then
        {
            let latency = self.log.back().map_or(Duration::ZERO, |attempt| attempt.latency.min(ATTEMPT));
            self.spent += counted.saturating_sub(counted_then).min(self.wait + latency + TURN);
        }
        self.last_failure = Some((acceptances, counted));
        self.spent
    }

    /// What the last attempt came to. The code 0 is no error by itself.
    pub fn last_error(&self) -> Option<LastError> {
        self.log.back().map(|attempt| match (attempt.err_code, attempt.outcome) {
            (Some(code), _) if code != 0 => LastError::Code(code),
            (_, Outcome::Status(status)) => LastError::Status(status),
            (_, Outcome::Broken(broken)) => LastError::Broken(broken),
        })
    }

    /// The attempt log of the dead letter, one line each: time, latency, status, code.
    pub fn log_text(&self) -> String {
        let lines: Vec<String> = self.log.iter().map(Attempt::line).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::douyin::verdict::Verdict;

    fn at(seconds: u64) -> Now {
        Now { mono: Duration::from_secs(seconds), wall_ms: 1_700_000_000_000 + i64::try_from(seconds).unwrap() * 1000 }
    }

    /// Failures as (counted second of the app, acceptances of the app so far); the failing time that counts.
    fn check_clock(failures: &[(u64, u64)], spent: u64) {
        let mut trouble = Trouble::default();
        let mut last = Duration::ZERO;
        for (second, acceptances) in failures {
            last = trouble.fail(*acceptances, Duration::from_secs(*second));
            trouble.waits(Duration::from_secs(100));
        }
        assert_eq!(last, Duration::from_secs(spent), "{failures:?}");
    }

    #[test]
    fn only_gaps_with_an_acceptance_count() {
        check_clock(&[(0, 0)], 0);
        check_clock(&[(0, 0), (60, 0), (3600, 0)], 0);
        check_clock(&[(0, 0), (60, 1), (120, 2)], 120);
        check_clock(&[(0, 5), (60, 5), (90, 6), (1000, 6)], 30);
        check_clock(&[(0, 0), (1000, 900), (1060, 950)], 100 + TURN.as_secs() + 60);
    }

    #[test]
    fn the_log_keeps_the_last_attempts() {
        let mut trouble = Trouble { detail: Detail::Full, ..Trouble::default() };
        let judgement =
            Judgement { verdict: Verdict::Retry, rule: "timeout".into(), err_code: None, retry_after: None };
        for second in 0..40 {
            trouble.note(&Exchange::Broken(Break::Timeout), &judgement, Duration::from_secs(5), at(second));
        }
        let text = trouble.log_text();
        assert_eq!(text.lines().count(), ATTEMPTS_KEPT);
        assert_eq!(text.lines().last(), Some("2023-11-14T22:13:59.000Z 5000ms timeout -"));
        assert_eq!(trouble.attempts, 40);
        assert!(text.len() <= 4096);
    }
}
