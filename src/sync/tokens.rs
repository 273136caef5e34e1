//! What the engine does with news of tokens. When to fetch is the desk's decision ([`super::token`]).

use std::time::Duration;

use super::circuit::Cause;
use super::engine::Engine;
use super::ports::{TokenFrom, TokenGeneration};
use super::rules::Now;
use crate::douyin::token::{Fault, Refused};
use crate::douyin::verdict::Verdict;
use crate::order::AppId;
use crate::telemetry::event;

/// So long the platform may ask to be left alone by fetches (douyin-api §4.2: code 10020, five minutes).
const ASKED_WAIT_MAX: Duration = Duration::from_secs(300);

impl Engine {
    /// A token is at hand.
    pub(super) fn token_fetched(
        &mut self,
        app_id: &AppId,
        token: TokenGeneration,
        lifetime: Duration,
        from: TokenFrom,
        now: Now,
    ) {
        let Some(index) = self.desks.iter().position(|desk| desk.app_id == *app_id) else { return };
        let desk = &mut self.desks[index];
        desk.token.fetched(token, lifetime, now.mono);
        desk.circuit.token_came(now.mono);
        if from == (TokenFrom::Company { is_other: true }) {
            desk.circuit.probe_at_once(now.mono);
        }
        self.progress += 1;
        match from {
            TokenFrom::Platform | TokenFrom::Company { .. } => {
                event::TokenFetched { app_id, generation: token.0, lifetime }.emit(&self.meters);
            }
            TokenFrom::Group => event::TokenShared { app_id, generation: token.0, lifetime }.emit(&self.meters),
        }
        self.tell_circuit(index, now.mono);
    }

    /// No token: who gives them failed, or says that the configuration is wrong.
    pub(super) fn token_refused(&mut self, app_id: &AppId, refused: &Refused, now: Now) {
        let Some(index) = self.desks.iter().position(|desk| desk.app_id == *app_id) else { return };
        let Refused { judgement, fault, message } = refused;
        let desk = &mut self.desks[index];
        let failures = desk.token.failures().saturating_add(1);
        let is_usable = desk.token.is_usable(now.mono);
        let wait = match judgement.verdict {
            Verdict::Suspend => self.rules.circuit.suspended_probe_interval,
            Verdict::Accepted | Verdict::Retry | Verdict::RefreshToken | Verdict::Reject => {
                // Without a token the fetch is the probe.
                let policy = if is_usable { &self.rules.retry } else { &self.rules.circuit.probe };
                // By a code, and not by a status that a proxy may have set: too many tokens were fetched.
                let asked = judgement.retry_after.filter(|_| judgement.err_code.is_some());
                let asked = asked.unwrap_or_default().min(ASKED_WAIT_MAX);
                policy.delay(failures, judgement.retry_after, &mut self.rng).max(asked)
            }
        };
        // What is a person's business is no outage.
        let fault = if judgement.verdict == Verdict::Suspend { Fault::Ours } else { *fault };
        desk.token.fetch_failed(message, fault, wait, now.mono);
        event::TokenRefused { app_id, verdict: judgement.verdict.as_str(), message }.emit(&self.meters);
        if judgement.verdict == Verdict::Suspend && !is_usable {
            let cause = Cause::NoToken { rule: judgement.rule.clone(), err_code: judgement.err_code };
            self.desks[index].circuit.suspend(cause, now.mono);
        }
        self.look_for_token(index, now.mono);
        self.tell_circuit(index, now.mono);
    }

    /// An app without a token, and with nobody there to give one, waits as in any outage.
    pub(super) fn look_for_token(&mut self, index: usize, now: Duration) {
        let desk = &mut self.desks[index];
        if desk.token.is_away(now) {
            desk.circuit.token_away(now);
        }
    }
}
