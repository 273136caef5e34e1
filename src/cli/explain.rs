//! `order-sync explain`: judges one answer of the platform as the worker would, and names the rule.
//!
//! It sends nothing. The rules are those of config/error-codes.toml, and before them `douyin.error_codes` of the settings; it needs none.

use std::io::Read as _;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::exit::Exit;
use super::render::Output;
use super::shell::Shell;
use crate::app::settings;
use crate::config::Need;
use crate::douyin::table::{Endpoint, OutcomeTable, Rule, Trigger};
use crate::douyin::verdict::{Answer, Break, Exchange, Judgement, Verdict, judge_push};

/// The platform's answers are at most this long; more is judged as `too_large`.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Options of `order-sync explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// The HTTP status of the answer
    #[arg(long, value_name = "CODE", default_value_t = 200, conflicts_with = "transport")]
    pub status: u16,
    /// The body of the answer; `@FILE` reads a file, `@-` standard input
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["status", "transport", "list"], conflicts_with = "transport")]
    pub body: Option<String>,
    /// The answer's Retry-After, in seconds
    #[arg(long, value_name = "SECONDS", conflicts_with = "transport")]
    pub retry_after: Option<u64>,
    /// There was no whole answer: how the attempt broke
    #[arg(long, value_name = "HOW", value_parser = ["connect", "timeout", "reset", "too_large", "protocol"])]
    pub transport: Option<String>,
    /// Print every rule, in the order in which they are tried
    #[arg(long, conflicts_with_all = ["status", "body", "retry_after", "transport"])]
    pub list: bool,
}

const HELP: &str = "\
Examples:
  order-sync explain --body '{\"err_code\":40014,\"err_msg\":\"bad access token\",\"body\":\"\"}'
  order-sync explain --status 503 --body upstream --retry-after 30 --output json
  order-sync explain --transport timeout
  curl … | order-sync explain --body @-
  order-sync explain --list";

/// Runs `order-sync explain`.
pub fn execute(args: Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    let table = settings::outcomes(&shell.config(Need::Judge)?)?;
    if args.list {
        list(&table, shell)?;
        return Ok(Exit::Done);
    }
    let judgement = judge_push(&exchange(args)?, &table);
    let rule = table.rule(&judgement.rule).context("the judging rule is not in the table")?;
    match shell.output() {
        Output::Json => shell.out.json(&json!({
            "verdict": judgement.verdict.as_str(),
            "rule": &*judgement.rule,
            "next": next(&judgement),
            "err_code": judgement.err_code,
            "meaning": rule.meaning,
            "source": rule.source,
            "retry_after_seconds": judgement.retry_after.map(|wait| wait.as_secs()),
        }))?,
        Output::Text => {
            let code = judgement.err_code.map_or_else(|| "none".to_owned(), |code| code.to_string());
            let lines = [
                ("verdict", judgement.verdict.as_str()),
                ("rule", &*judgement.rule),
                ("code", &code),
                ("why", &rule.meaning),
                ("source", &rule.source),
                ("next", &next(&judgement)),
            ];
            for (name, text) in lines {
                shell.out.line(format!("{name:<9}{text}"))?;
            }
        }
    }
    Ok(Exit::Done)
}

fn exchange(args: Args) -> anyhow::Result<Exchange> {
    if let Some(word) = args.transport {
        let broken = Break::from_word(&word).with_context(|| format!("unknown --transport {word}"))?;
        return Ok(Exchange::Broken(broken));
    }
    let body = body(&args.body.unwrap_or_default())?;
    if body.len() > BODY_BYTES_MAX {
        return Ok(Exchange::Broken(Break::TooLarge));
    }
    let retry_after = args.retry_after.map(Duration::from_secs);
    Ok(Exchange::Answered(Answer { status: args.status, retry_after, body }))
}

fn body(text: &str) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    // One byte more than is allowed shows that it is too much.
    let bound = BODY_BYTES_MAX as u64 + 1;
    match text.strip_prefix('@') {
        None => body.extend_from_slice(text.as_bytes()),
        Some("-") => {
            std::io::stdin().lock().take(bound).read_to_end(&mut body).context("cannot read standard input")?;
        }
        Some(path) => {
            let file = std::fs::File::open(path).with_context(|| format!("cannot open the body's file {path}"))?;
            file.take(bound).read_to_end(&mut body).with_context(|| format!("cannot read {path}"))?;
        }
    }
    Ok(body)
}

/// What the worker would do.
fn next(judgement: &Judgement) -> String {
    match judgement.verdict {
        Verdict::Accepted => "nothing more is owed under this stamp; the order's next push may go".to_owned(),
        Verdict::Retry => {
            let wait = match judgement.retry_after {
                Some(wait) => format!("after {} s or this order's backoff, whichever is longer", wait.as_secs()),
                None => "after this order's backoff (200 ms, doubling with jitter, at most 60 s)".to_owned(),
            };
            format!(
                "the same bytes under the same stamp again, {wait}; a dead letter (retries_exhausted) only once it has \
                 kept failing for delivery.give_up_after (15 min) while other orders of the app were accepted"
            )
        }
        Verdict::RefreshToken => "a new token is fetched, once for all, and the same bytes go again with it; no retry \
                                  budget is spent. Fresh tokens that are refused three times in a row suspend the app"
            .to_owned(),
        Verdict::Reject => "a dead letter (rejected_by_platform); the order's next event supersedes it if it is \
                            accepted, and other orders go on"
            .to_owned(),
        Verdict::Suspend => "all pushes of this app wait and nothing is dead-lettered; it is probed every minute and \
                             readiness fails with this reason until a push is accepted: a person must look"
            .to_owned(),
    }
}

fn list(table: &OutcomeTable, shell: &mut Shell) -> anyhow::Result<()> {
    match shell.output() {
        Output::Json => {
            for rule in table.rules() {
                let at: Vec<_> = rule.at.iter().map(|at| endpoint(*at)).collect();
                shell.out.json(&json!({
                    "rule": &*rule.name,
                    "at": at,
                    "on": on(rule),
                    "verdict": rule.verdict.as_str(),
                    "meaning": rule.meaning,
                    "source": rule.source,
                }))?;
            }
        }
        Output::Text => {
            let rows = table.rules().iter().map(|rule| {
                let at: Vec<_> = rule.at.iter().map(|at| endpoint(*at)).collect();
                vec![
                    rule.name.to_string(),
                    rule.verdict.as_str().to_owned(),
                    on(rule),
                    at.join(", "),
                    rule.meaning.clone(),
                ]
            });
            shell.out.table(&["RULE", "VERDICT", "ON", "AT", "MEANING"], rows)?;
        }
    }
    Ok(())
}

const fn endpoint(at: Endpoint) -> &'static str {
    match at {
        Endpoint::Push => "push",
        Endpoint::AccessToken => "access_token",
        Endpoint::ClientToken => "client_token",
    }
}

fn on(rule: &Rule) -> String {
    match &rule.on {
        Trigger::Code { codes, contains } => {
            let codes: Vec<_> = codes.iter().map(ToString::to_string).collect();
            let text = if contains.is_empty() {
                String::new()
            } else {
                format!(" with “{}”", contains.join("” or “"))
            };
            format!("code {}{text}", codes.join(", "))
        }
        Trigger::Broken(broken) => format!("transport {}", broken.as_str()),
        Trigger::Http(range) if range.start() == range.end() => format!("HTTP {}", range.start()),
        Trigger::Http(range) => format!("HTTP {}–{}", range.start(), range.end()),
        Trigger::Found(finding) => format!("{finding:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(status: u16, body: &str) -> Args {
        Args { status, body: Some(body.to_owned()), retry_after: Some(7), transport: None, list: false }
    }

    fn next_of(args: Args) -> (Verdict, String) {
        let table = OutcomeTable::built_in().unwrap();
        let judgement = judge_push(&exchange(args).unwrap(), &table);
        (judgement.verdict, next(&judgement))
    }

    #[test]
    fn every_verdict_says_what_comes_next() {
        let check = |status, body: &str, verdict, expect: &str| {
            let (found, next) = next_of(args(status, body));
            assert_eq!(found, verdict);
            assert!(next.contains(expect), "{next}");
        };
        check(200, r#"{"err_code":0}"#, Verdict::Accepted, "nothing more is owed");
        check(503, "upstream", Verdict::Retry, "after 7 s");
        check(200, r#"{"err_code":40002}"#, Verdict::RefreshToken, "new token");
        check(200, r#"{"err_code":40003}"#, Verdict::Reject, "rejected_by_platform");
        check(200, r#"{"err_code":40016}"#, Verdict::Suspend, "probed every minute");
    }

    #[test]
    fn transport_and_long_bodies_break_the_exchange() {
        let broken = Args { status: 200, body: None, retry_after: None, transport: Some("reset".into()), list: false };
        assert!(matches!(exchange(broken).unwrap(), Exchange::Broken(Break::Reset)));
        let long = args(200, &"x".repeat(BODY_BYTES_MAX + 1));
        assert!(matches!(exchange(long).unwrap(), Exchange::Broken(Break::TooLarge)));
    }
}
