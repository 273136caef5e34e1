//! The three token endpoints, each in its own words (douyin-api §4.1, §4.2).
//!
//! The life of tokens stands in `token`.

use std::sync::PoisonError;

use bytes::Bytes;
use serde_json::json;

use super::answer::{self, Answer};
use super::fault::FaultKind;
use super::json::{self, Object, Value};
use super::outage::OutageMode;
use super::push_route::Due;
use super::refusal::Refusal;
use super::report::RecentToken;
use super::state::{self, State};
use super::token::{Denied, Issue, Issued};

/// An error of a token endpoint.
struct TokenError(i64, String);

/// Answers a token request; `None` is the bare HTTP 400 for what is no JSON object.
pub(super) fn take(state: &State, issue: Issue, body: &str, outage: Option<OutageMode>) -> Option<Due> {
    let request = json::parse_object(body)?;
    let endpoint = endpoint(issue);
    state.count_endpoint(endpoint);
    let n = {
        let tallies = state.tallies();
        tallies.endpoints.values().sum()
    };
    let plan = state.faults();
    let rule = plan.pick_for_token(state.chance, n);
    let fault = match outage {
        Some(OutageMode::Fault(fault)) => Some((format!("outage:{fault}"), fault)),
        Some(OutageMode::Refuse) | None => rule.map(|rule| (format!("token:{}", rule.name()), rule.fault.clone())),
    };
    let lets_through = fault.as_ref().is_none_or(|(_, fault)| fault.lets_through());
    let truth = if lets_through {
        words(issue, give(state, issue, &request))
    } else {
        words(issue, Err(TokenError(-1, "系统错误".to_owned())))
    };
    let mut after = plan.delay(state.chance, "token", n);
    let answer = fault.and_then(|(name, fault)| {
        *state.tallies().faults.entry(name.into()).or_default() += 1;
        if let FaultKind::Code(code, text) = &fault.kind {
            let text = text.clone().unwrap_or_else(|| Refusal::of_code(*code).text.into_owned());
            return Some(Answer::json(words(issue, Err(TokenError(*code, text)))));
        }
        if let FaultKind::Late(late) = &fault.kind {
            after += *late;
        }
        answer::of_fault(&fault.kind, &truth, "", None)
    });
    Some(Due { answer: answer.unwrap_or_else(|| Answer::json(truth)), after, in_flight: None })
}

/// The path of an endpoint.
pub(super) const fn endpoint(issue: Issue) -> &'static str {
    match issue {
        Issue::Access => "/api/apps/v2/token",
        Issue::Client => "/oauth/client_token/",
        Issue::Stable => "/oauth/stable_client_token/",
    }
}

fn give(state: &State, issue: Issue, request: &Object<'_>) -> Result<Issued, TokenError> {
    let text = |name| json::member(request, name).and_then(Value::as_text).unwrap_or_default();
    let (name, secret) = match issue {
        Issue::Access => ("appid", "secret"),
        Issue::Client | Issue::Stable => ("client_key", "client_secret"),
    };
    let (id, secret, grant_type) = (text(name), text(secret), text("grant_type"));
    let error = |denied| Err(denied_words(issue, denied));
    let now_ms = state.clock.now_ms();
    let issued = match (issue, grant_type) {
        _ if id.is_empty() => error(Missing::Id),
        _ if secret.is_empty() => error(Missing::Secret),
        (_, "client_credential") => {
            let mut tokens = state.tokens.write().unwrap_or_else(PoisonError::into_inner);
            tokens.issue(issue, id, secret, now_ms).or_else(|denied| error(Missing::Denied(denied)))
        }
        _ => error(Missing::GrantType),
    };
    let mut tallies = state.tallies();
    match &issued {
        Ok(_) => {
            *tallies.tokens_issued.entry(endpoint(issue)).or_default() += 1;
            let token = RecentToken { at_ms: now_ms, app_id: id.to_owned(), endpoint: endpoint(issue) };
            state::remember(&mut tallies.tokens, token);
        }
        Err(_) => tallies.tokens_denied += 1,
    }
    issued
}

/// What is wrong with a token request.
#[derive(Clone, Copy)]
enum Missing {
    Id,
    Secret,
    GrantType,
    Denied(Denied),
}

fn denied_words(issue: Issue, missing: Missing) -> TokenError {
    let (code, text) = match (issue, missing) {
        (Issue::Access, Missing::Id | Missing::Denied(Denied::UnknownApp)) => (40015, "bad appid"),
        (Issue::Access, Missing::Secret | Missing::Denied(Denied::WrongSecret)) => (40017, "bad secret"),
        (Issue::Access, Missing::GrantType) => (40020, "bad grant_type"),
        (Issue::Access, Missing::Denied(Denied::TooOften)) => (-1, "系统错误"),
        (Issue::Client | Issue::Stable, Missing::Id | Missing::Secret | Missing::GrantType) => (10002, "参数错误"),
        (Issue::Client | Issue::Stable, Missing::Denied(Denied::UnknownApp)) => (10003, "配置无效"),
        (Issue::Client | Issue::Stable, Missing::Denied(Denied::WrongSecret)) => (10013, "client_secret错误"),
        (Issue::Client | Issue::Stable, Missing::Denied(Denied::TooOften)) => (10020, "请求过于频繁"),
    };
    TokenError(code, text.to_owned())
}

fn words(issue: Issue, outcome: Result<Issued, TokenError>) -> Bytes {
    let answer = match (issue, outcome) {
        (Issue::Access, Ok(Issued { token, expires_in_s })) => json!({
            "err_no": 0, "err_tips": "success",
            "data": { "access_token": &*token, "expires_in": expires_in_s },
        }),
        (Issue::Access, Err(TokenError(code, text))) => json!({
            "err_no": code, "err_tips": text, "data": { "access_token": "", "expires_in": 0 },
        }),
        (Issue::Client | Issue::Stable, Ok(Issued { token, expires_in_s })) => json!({
            "data": { "access_token": &*token, "description": "", "error_code": 0, "expires_in": expires_in_s },
            "message": "success",
        }),
        (Issue::Client | Issue::Stable, Err(TokenError(code, text))) => json!({
            "data": { "captcha": "", "desc_url": "", "description": text, "error_code": code },
            "message": "error",
        }),
    };
    Bytes::from(answer.to_string())
}
