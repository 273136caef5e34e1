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
use super::verdict::{Answer, Exchange, Judgement, Verdict, judge};

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
    fetched.ok_or_else(|| {
        let refused = refused(judgement, table);
        let fault = if is_wrong_address(exchange, &refused) { Fault::Ours } else { refused.fault };
        Refused { fault, ..refused }
    })
}

/// A 4xx without a code of the platform's: a wrong URL, or a proxy that lets nobody through.
fn is_wrong_address(exchange: &Exchange, refused: &Refused) -> bool {
    let Exchange::Answered(Answer { status, .. }) = exchange else { return false };
    (400..500).contains(status) && !is_busy(*status) && refused.judgement.err_code.is_none()
}

fn is_busy(status: u16) -> bool {
    status >= 500 || matches!(status, 408 | 425 | 429)
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
    served.map_or_else(|| judge_token(kind, exchange, table).map_err(|refused| of_own_server(refused, exchange)), Ok)
}

/// A company's own server that is there and gives no token is no outage of the platform, but something to be put right.
fn of_own_server(refused: Refused, exchange: &Exchange) -> Refused {
    let Exchange::Answered(Answer { status, .. }) = exchange else { return refused };
    let Judgement { verdict, rule, err_code, .. } = &refused.judgement;
    if is_busy(*status) || *verdict != Verdict::Retry || err_code.is_some_and(|code| code != 0) {
        return refused;
    }
    let message = format!(
        "no token: douyin.token_url answered with status {status} and no token that can be used; it must answer 200 with \
         {{\"access_token\": \"…\", \"expires_in\": seconds}}, the seconds a number above 0 (rule {rule})"
    );
    Refused { fault: Fault::Ours, message, ..refused }
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
#[path = "token_tests.rs"]
mod tests;
