//! What the engine does with news of tokens. When to fetch is the desk's decision ([`super::token`]).

use std::time::Duration;

use super::circuit::Cause;
use super::engine::Engine;
use super::ports::{TokenFrom, TokenGeneration};
use super::rules::Now;
use crate::douyin::verdict::{Judgement, Verdict};
use crate::order::AppId;
use crate::telemetry::event;

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
        self.progress += 1;
        match from {
            TokenFrom::Platform => event::TokenFetched { app_id, generation: token.0, lifetime }.emit(&self.meters),
            TokenFrom::Group => event::TokenShared { app_id, generation: token.0, lifetime }.emit(&self.meters),
        }
        self.tell_circuit(index);
    }

    /// No token: the endpoint failed, or says that the configuration is wrong.
    pub(super) fn token_refused(&mut self, app_id: &AppId, judgement: &Judgement, message: &str, now: Now) {
        let Some(index) = self.desks.iter().position(|desk| desk.app_id == *app_id) else { return };
        let failures = self.desks[index].token.failures().saturating_add(1);
        let wait = match judgement.verdict {
            Verdict::Suspend => self.rules.circuit.suspended_probe_interval,
            Verdict::Accepted | Verdict::Retry | Verdict::RefreshToken | Verdict::Reject => {
                self.rules.retry.delay(failures, judgement.retry_after, &mut self.rng)
            }
        };
        self.desks[index].token.fetch_failed(wait, now.mono);
        event::TokenRefused { app_id, verdict: judgement.verdict.as_str(), message }.emit(&self.meters);
        if judgement.verdict == Verdict::Suspend && !self.desks[index].token.is_usable(now.mono) {
            let cause = Cause::NoToken { rule: judgement.rule.clone(), err_code: judgement.err_code };
            self.desks[index].circuit.suspend(cause, now.mono);
            self.tell_circuit(index);
        }
    }
}
