//! Asks the platform for a token of each app: the address, the proxy, TLS, the app id and the secret in one go.

use std::sync::Arc;

use super::report::Report;
use crate::cli::exit::Exit;
use crate::cli::runtime;
use crate::config::{Config, format_duration};
use crate::douyin::OutcomeTable;
use crate::douyin::verdict::Verdict;
use crate::http::TokenSource;

pub(super) fn check(config: &Config, outcomes: OutcomeTable, report: &mut Report<'_>) -> anyhow::Result<()> {
    let tokens = match TokenSource::new(&config.douyin, Arc::new(outcomes)) {
        Ok(tokens) => tokens,
        Err(error) => return report.fault("platform", error.to_string(), Exit::Usage),
    };
    if config.douyin.token_url.is_none() && config.douyin.token_file.is_none() {
        report.warn("platform", "fetching a token for each app retires the app's older tokens after 5 minutes")?;
    }
    runtime::block_on(async |stop| {
        for app in &config.apps {
            let part = format!("app {}", app.app_id);
            let fetched = tokio::select! {
                biased;
                () = stop.cancelled() => return report.skip(&part, "interrupted"),
                fetched = tokens.fetch(app) => fetched,
            };
            match fetched {
                Ok(token) => {
                    let lifetime = format_duration(token.lifetime);
                    report.ok(&part, format!("the platform gave a token for {lifetime}"))?;
                }
                Err(refused) => {
                    let hint = match refused.judgement.verdict {
                        Verdict::Suspend => "see app_id, its secret, douyin.token and douyin.token_url",
                        Verdict::Retry | Verdict::RefreshToken | Verdict::Accepted | Verdict::Reject => {
                            "see douyin.base_url, token_url, token_file, proxy and the network; `run` keeps trying"
                        }
                    };
                    report.fault(&part, format!("{}; {hint}", refused.message), Exit::Failure)?;
                }
            }
        }
        Ok(())
    })
}
