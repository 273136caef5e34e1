//! The three token endpoints: what is asked of them, and the judgement of what they say (douyin-api §4).
//!
//! When to fetch and how long to keep a token is the caller's business. No message made here holds a secret, a token,
//! or any of the platform's own words.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{Reply, begins_as_object, integer, text};
use super::table::{Endpoint, Finding, OutcomeTable};
use super::verdict::{Exchange, Judgement, Verdict, judge};

/// The longest lifetime that is believed; real ones are two hours.
const LIFETIME_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Which endpoint gives the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// getAccessToken, the one that the push documentation names (§4.1).
    AccessToken,
    /// `client_token` (§4.2): each fetch evicts; only the two newest live.
    ClientToken,
    /// `stable_client_token` (§4.2): gives the same token while it lives.
    StableClientToken,
}

impl TokenKind {
    /// The path on its host: `developer.toutiao.com` for getAccessToken, `open.douyin.com` for the others.
    pub const fn path(self) -> &'static str {
        match self {
            Self::AccessToken => "/api/apps/v2/token",
            Self::ClientToken => "/oauth/client_token/",
            Self::StableClientToken => "/oauth/stable_client_token/",
        }
    }

    const fn endpoint(self) -> Endpoint {
        match self {
            Self::AccessToken => Endpoint::AccessToken,
            Self::ClientToken | Self::StableClientToken => Endpoint::ClientToken,
        }
    }
}

/// A token as the platform gave it.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The token.
    pub token: SecretString,
    /// How long it lives from the answer on, by the platform's word; above 0, at most 30 days.
    pub lifetime: Duration,
}

/// Whose business a missing token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Who gives tokens was asked: what it said, or its silence, tells of an outage.
    Giver,
    /// It was not asked: what lies on this side is in the way.
    Ours,
}

/// There is no token.
#[derive(Clone, Debug)]
pub struct Refused {
    /// `Retry` or `Suspend`.
    pub judgement: Judgement,
    /// Whose business it is.
    pub fault: Fault,
    /// For people; holds no secret.
    pub message: String,
}

/// The JSON body of a token request; it holds the secret. Note `appid`, without an underscore (§4.1, §8).
pub fn request_body(kind: TokenKind, app_id: &str, secret: &SecretString) -> SecretString {
    let secret = secret.expose_secret();
    let body = match kind {
        TokenKind::AccessToken => {
            serde_json::json!({"appid": app_id, "secret": secret, "grant_type": "client_credential"})
        }
        TokenKind::ClientToken | TokenKind::StableClientToken => {
            serde_json::json!({"grant_type": "client_credential", "client_key": app_id, "client_secret": secret})
        }
    };
    SecretString::from(body.to_string())
}

/// Judges what a token request came to. Only a 2xx with code 0, a token and a lifetime is a success.
pub fn judge_token(kind: TokenKind, exchange: &Exchange, table: &OutcomeTable) -> Result<Fetched, Refused> {
    let at = kind.endpoint();
    let read: &dyn Fn(&[u8]) -> Reply = match kind {
        TokenKind::AccessToken => &|body| TokenReply::read(body).access_token(),
        TokenKind::ClientToken | TokenKind::StableClientToken => &|body| TokenReply::read(body).client_token(),
    };
    let mut fetched = None;
    let judgement = judge(exchange, table, at, read, |_| {
        fetched = match exchange {
            Exchange::Answered(answer) => TokenReply::read(&answer.body).fetched(),
            Exchange::Broken(_) => None,
        };
        table.on_finding(at, Finding::NoToken, Some(0))
    });
    fetched.ok_or_else(|| refused(judgement, table))
}

/// Judges what a company's own token server answered: `{"access_token": "…", "expires_in": 7200}`, or what the
/// platform's endpoint would have said.
pub fn judge_served(kind: TokenKind, exchange: &Exchange, table: &OutcomeTable) -> Result<Fetched, Refused> {
    let served = match exchange {
        Exchange::Answered(answer) if (200..300).contains(&answer.status) && begins_as_object(&answer.body) => {
            serde_json::from_slice::<TokenBody<'_>>(&answer.body).ok().and_then(|body| body.fetched())
        }
        Exchange::Answered(_) | Exchange::Broken(_) => None,
    };
    served.map_or_else(|| judge_token(kind, exchange, table), Ok)
}

/// At a token endpoint nothing can be accepted, refreshed or rejected: what is for good is a wrong configuration.
fn refused(judgement: Judgement, table: &OutcomeTable) -> Refused {
    let verdict = match judgement.verdict {
        Verdict::Retry => Verdict::Retry,
        Verdict::Accepted | Verdict::RefreshToken | Verdict::Reject | Verdict::Suspend => Verdict::Suspend,
    };
    let meaning = table.rule(&judgement.rule).map_or("no rule names this answer", |rule| rule.meaning.as_str());
    let message = match judgement.err_code {
        Some(code) => format!("no token: {meaning} (rule {}, code {code})", judgement.rule),
        None => format!("no token: {meaning} (rule {})", judgement.rule),
    };
    Refused { judgement: Judgement { verdict, ..judgement }, fault: Fault::Giver, message }
}

#[derive(Default, Deserialize)]
struct TokenReply<'a> {
    #[serde(borrow)]
    err_no: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(skip)]
    is_object: bool,
}

#[derive(Default, Deserialize)]
struct TokenBody<'a> {
    #[serde(borrow)]
    access_token: Option<&'a RawValue>,
    #[serde(borrow)]
    expires_in: Option<&'a RawValue>,
    #[serde(borrow)]
    error_code: Option<&'a RawValue>,
}

impl<'a> TokenReply<'a> {
    fn read(body: &'a [u8]) -> Self {
        if !begins_as_object(body) {
            return Self::default();
        }
        serde_json::from_slice(body).map_or_else(|_| Self::default(), |reply| Self { is_object: true, ..reply })
    }

    fn data(&self) -> TokenBody<'a> {
        let raw = self.data.map_or("", RawValue::get);
        if begins_as_object(raw.as_bytes()) {
            serde_json::from_str(raw).unwrap_or_default()
        } else {
            TokenBody::default()
        }
    }

    /// `{"err_no": int, "err_tips": string, "data": {"access_token", "expires_in"}}`
    fn access_token(&self) -> Reply {
        Reply { is_object: self.is_object, code: self.err_no.and_then(integer), ..Reply::default() }
    }

    /// `{"data": {"access_token", "error_code": int, "expires_in"}, "message": string}`; a gateway in front of it may
    /// answer with `err_no` instead, which can only be an error.
    fn client_token(&self) -> Reply {
        let gateway = self.err_no.and_then(integer).filter(|code| *code != 0);
        let code = self.data().error_code.and_then(integer).or(gateway);
        Reply { is_object: self.is_object, code, ..Reply::default() }
    }

    fn fetched(&self) -> Option<Fetched> {
        self.data().fetched()
    }
}

impl TokenBody<'_> {
    fn fetched(&self) -> Option<Fetched> {
        let token = self.access_token.and_then(text).filter(|token| !token.is_empty())?;
        let seconds = u64::try_from(self.expires_in.and_then(integer)?).ok().filter(|seconds| *seconds > 0)?;
        Some(Fetched {
            token: SecretString::from(token.into_owned()),
            lifetime: Duration::from_secs(seconds).min(LIFETIME_MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::douyin::verdict::{Answer, Break};

    fn answered(status: u16, body: &str) -> Exchange {
        Exchange::Answered(Answer { status, retry_after: None, body: body.as_bytes().to_vec() })
    }

    fn refuse(kind: TokenKind, exchange: &Exchange, verdict: Verdict, rule: &str) -> Refused {
        let table = OutcomeTable::built_in().unwrap();
        let refused = judge_token(kind, exchange, &table).expect_err("a refusal");
        assert_eq!((refused.judgement.verdict, &*refused.judgement.rule), (verdict, rule), "{exchange:?}");
        refused
    }

    #[test]
    fn tokens_are_taken() {
        let table = OutcomeTable::built_in().unwrap();
        let check = |kind, body: &str, token: &str, seconds| {
            let fetched = judge_token(kind, &answered(200, body), &table).unwrap();
            assert_eq!((fetched.token.expose_secret(), fetched.lifetime.as_secs()), (token, seconds));
        };
        let access = r#"{"err_no":0,"err_tips":"success","data":{"access_token":"0801121","expires_in":7200}}"#;
        check(TokenKind::AccessToken, access, "0801121", 7200);
        let client = r#"{"data":{"access_token":"clt.x","description":"","error_code":0,"expires_in":7200},"message":"success"}"#;
        check(TokenKind::ClientToken, client, "clt.x", 7200);
        check(TokenKind::StableClientToken, client, "clt.x", 7200);
        let for_ever = r#"{"err_no":0,"data":{"access_token":"t","expires_in":9223372036854775807}}"#;
        check(TokenKind::AccessToken, for_ever, "t", LIFETIME_MAX.as_secs());
    }

    #[test]
    fn a_token_server_answers_in_either_form() {
        let table = OutcomeTable::built_in().unwrap();
        let check = |status, body: &str, expect: Option<(&str, u64)>| {
            let served = judge_served(TokenKind::AccessToken, &answered(status, body), &table).ok();
            let seen = served.as_ref().map(|served| (served.token.expose_secret(), served.lifetime.as_secs()));
            assert_eq!(seen, expect, "{body}");
        };
        check(200, r#"{"access_token":"0801","expires_in":60}"#, Some(("0801", 60)));
        check(200, r#"{"err_no":0,"data":{"access_token":"0801","expires_in":7200}}"#, Some(("0801", 7200)));
        check(500, r#"{"access_token":"0801","expires_in":60}"#, None);
        check(200, r#"{"access_token":"","expires_in":60}"#, None);
        check(200, r#"{"access_token":"0801"}"#, None);
        check(200, r#"{"access_token":"0801","expires_in":0}"#, None);
        check(200, r#"{"err_no":40017,"data":{"access_token":"","expires_in":0}}"#, None);
        check(200, r#"["access_token"]"#, None);
    }

    #[test]
    fn access_token_refusals() {
        let check = |status, body: &str, verdict, rule: &str| {
            refuse(TokenKind::AccessToken, &answered(status, body), verdict, rule);
        };
        let empty = r#""data":{"access_token":"","expires_in":0}}"#;
        check(
            200,
            &format!(r#"{{"err_no":40017,"err_tips":"bad secret",{empty}"#),
            Verdict::Suspend,
            "token_secret_wrong",
        );
        check(200, &format!(r#"{{"err_no":40015,{empty}"#), Verdict::Suspend, "token_appid_wrong");
        check(200, &format!(r#"{{"err_no":40020,{empty}"#), Verdict::Suspend, "token_grant_type_wrong");
        check(200, &format!(r#"{{"err_no":12345,{empty}"#), Verdict::Suspend, "token_parameter_empty");
        check(200, &format!(r#"{{"err_no":-1,{empty}"#), Verdict::Retry, "system_error");
        check(200, &format!(r#"{{"err_no":0,{empty}"#), Verdict::Retry, "no_token");
        check(200, r#"{"err_no":0,"data":{"access_token":"t","expires_in":-1}}"#, Verdict::Retry, "no_token");
        check(200, r#"{"err_no":0,"data":{"access_token":"t","expires_in":"7200"}}"#, Verdict::Retry, "no_token");
        check(200, r#"{"err_no":0,"data":null}"#, Verdict::Retry, "no_token");
        check(200, r#"{"err_no":"0","data":{"access_token":"t","expires_in":7200}}"#, Verdict::Retry, "no_err_code");
        check(500, r#"{"err_no":0,"data":{"access_token":"t","expires_in":7200}}"#, Verdict::Retry, "http_5xx");
        check(
            403,
            r#"{"err_no":0,"data":{"access_token":"t","expires_in":7200}}"#,
            Verdict::Retry,
            "success_refuted_by_status",
        );
        check(400, "", Verdict::Retry, "http_4xx");
        check(401, r#"{"err_no":40017}"#, Verdict::Suspend, "token_secret_wrong");
        check(200, r#"{"err_no":28003017}"#, Verdict::Suspend, "gateway_quota_used_up");
        check(200, "<html>", Verdict::Retry, "no_json_object");
        refuse(TokenKind::AccessToken, &Exchange::Broken(Break::Timeout), Verdict::Retry, "timeout");
    }

    #[test]
    fn client_token_refusals() {
        let check = |data: &str, verdict, rule: &str| {
            let body = format!(r#"{{"data":{data},"message":"error"}}"#);
            refuse(TokenKind::ClientToken, &answered(200, &body), verdict, rule)
        };
        check(
            r#"{"captcha":"","description":"配置无效","error_code":10003}"#,
            Verdict::Suspend,
            "client_token_key_unknown",
        );
        check(r#"{"error_code":10002}"#, Verdict::Suspend, "client_token_parameter_missing");
        check(r#"{"error_code":10013}"#, Verdict::Suspend, "client_token_secret_wrong");
        check(r#"{"error_code":31415}"#, Verdict::Retry, "unknown_code");
        check(r#"{"error_code":0,"access_token":"","expires_in":7200}"#, Verdict::Retry, "no_token");
        check(r#"{"access_token":"clt.x","expires_in":7200}"#, Verdict::Retry, "no_err_code");
        let often = check(r#"{"error_code":10020}"#, Verdict::Retry, "client_token_too_often");
        assert_eq!(often.judgement.retry_after, Some(Duration::from_secs(300)));
        refuse(TokenKind::ClientToken, &answered(200, r#"{"err_no":28001005}"#), Verdict::Retry, "gateway_busy");
    }

    #[test]
    fn a_refusal_tells_the_meaning_and_no_word_of_the_platform() {
        let body = r#"{"err_no":40017,"err_tips":"bad secret s3cret","data":{}}"#;
        let refused = refuse(TokenKind::AccessToken, &answered(200, body), Verdict::Suspend, "token_secret_wrong");
        assert!(!format!("{refused:?}").contains("s3cret"));
        assert!(refused.message.contains("apps.secret") && refused.message.contains("40017"));
    }

    #[test]
    fn requests_have_the_documented_names() {
        let secret = SecretString::from("a\"b");
        let check = |kind, expect: serde_json::Value| {
            let body = request_body(kind, "tt1", &secret);
            assert_eq!(serde_json::from_str::<serde_json::Value>(body.expose_secret()).unwrap(), expect);
        };
        let client = serde_json::json!({"grant_type":"client_credential","client_key":"tt1","client_secret":"a\"b"});
        check(
            TokenKind::AccessToken,
            serde_json::json!({"appid":"tt1","secret":"a\"b","grant_type":"client_credential"}),
        );
        check(TokenKind::ClientToken, client.clone());
        check(TokenKind::StableClientToken, client);
    }
}
