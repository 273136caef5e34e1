//! Fetches a token: the secret as it is now, one POST, the platform's word judged.
//!
//! It keeps nothing; when to fetch is the engine's business, where the token lives is the edge's.

use std::path::PathBuf;
use std::sync::Arc;

use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};

use super::client::{self, ClientError};
use super::{answer, secret, token_file};
use crate::config::{APP_ID, App, Douyin, Secret};
use crate::douyin::OutcomeTable;
use crate::douyin::token::{Fault, Fetched, Refused, TokenKind, judge_served, judge_token, request_body};
use crate::douyin::verdict::{Exchange, Judgement, Verdict};
use crate::sync::ports::TokenFrom;

/// The rule that suspends an app whose secret cannot be read.
const SECRET_RULE: &str = "secret_unreadable";

/// The rule for a fetch that ended without a word.
const CUT_SHORT_RULE: &str = "fetch_cut_short";

/// The rule for a log of shared tokens that does not answer.
pub(super) const LOG_RULE: &str = "token_topic";

/// The rule for a fetch of another worker that failed.
const UNSERVED_RULE: &str = "group_unserved";

/// Where tokens come from.
#[derive(Clone)]
pub struct TokenSource {
    client: Client,
    place: Place,
    kind: TokenKind,
    table: Arc<OutcomeTable>,
}

#[derive(Clone)]
enum Place {
    /// The platform's endpoint.
    Platform(Url),
    /// A token server of the company; the app's id is yet to be put in.
    Server(String),
    /// A file that another program keeps; likewise.
    File(String),
}

impl TokenSource {
    /// The token endpoint of the settings, with a client of its own. The worker's edge shares its client instead.
    pub fn new(douyin: &Douyin, table: Arc<OutcomeTable>) -> Result<Self, ClientError> {
        let url = token_url(douyin)?;
        let client = client::build(douyin, &[&url], 1)?;
        Ok(Self::with_client(douyin, table, client, url))
    }

    pub(super) fn with_client(douyin: &Douyin, table: Arc<OutcomeTable>, client: Client, url: Url) -> Self {
        let place = match (&douyin.token_url, &douyin.token_file) {
            (Some(server), _) => Place::Server(server.clone()),
            (None, Some(file)) => Place::File(file.clone()),
            (None, None) => Place::Platform(url),
        };
        Self { client, place, kind: kind(douyin.token), table }
    }

    /// Fetches a token for the app, once, within `douyin.request_timeout`. Each fetch from the platform may cut the
    /// life of the tokens before it (douyin-api §4).
    ///
    /// # Errors
    /// The judgement of the answer; `Suspend` where the secret cannot be read.
    pub async fn fetch(&self, app: &App) -> Result<Fetched, Refused> {
        match &self.place {
            Place::Platform(url) => judge_token(self.kind, &self.ask(url.clone(), app).await?, &self.table),
            Place::Server(server) => {
                let url = server_url(server, app.app_id.as_str());
                let url = url.map_err(|error| refused(Verdict::Suspend, "token_url", error.to_string()))?;
                judge_served(self.kind, &self.ask(url, app).await?, &self.table)
            }
            Place::File(_) => token_file::fetch(self.file(app).unwrap_or_default()).await,
        }
    }

    /// Whom a token that was fetched is from.
    pub(super) fn from(&self, is_other: bool) -> TokenFrom {
        match self.place {
            Place::Platform(_) => TokenFrom::Platform,
            Place::Server(_) | Place::File(_) => TokenFrom::Company { is_other },
        }
    }

    /// The file that holds the app's token, where it comes from one.
    pub(super) fn file(&self, app: &App) -> Option<PathBuf> {
        match &self.place {
            Place::File(file) => Some(file.replace(APP_ID, app.app_id.as_str()).into()),
            Place::Platform(_) | Place::Server(_) => None,
        }
    }

    /// The platform's own question, also to a token server, which may pass it on.
    async fn ask(&self, url: Url, app: &App) -> Result<Exchange, Refused> {
        let secret = read_secret(&app.secret).await?;
        let body = request_body(self.kind, app.app_id.as_str(), &secret);
        Ok(answer::exchange(&self.client, url, body.expose_secret().as_bytes().to_vec()).await)
    }
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSource").field("kind", &self.kind).finish_non_exhaustive()
    }
}

fn server_url(server: &str, app_id: &str) -> Result<Url, ClientError> {
    let url = server.replace(APP_ID, app_id);
    // The path stands in the setting, a slash at its end included.
    client::url("douyin.token_url", &url)
}

/// The endpoint that is asked: the token server's, or that of the configured kind.
pub(super) fn token_url(douyin: &Douyin) -> Result<Url, ClientError> {
    if let Some(server) = &douyin.token_url {
        return server_url(server, "app");
    }
    let kind = kind(douyin.token);
    let (key, base) = match kind {
        TokenKind::AccessToken => ("douyin.base_url", &douyin.base_url),
        TokenKind::ClientToken | TokenKind::StableClientToken => ("douyin.open_base_url", &douyin.open_base_url),
    };
    client::endpoint(key, base, kind.path())
}

const fn kind(configured: crate::config::TokenKind) -> TokenKind {
    match configured {
        crate::config::TokenKind::AccessToken => TokenKind::AccessToken,
        crate::config::TokenKind::ClientToken => TokenKind::ClientToken,
        crate::config::TokenKind::StableClientToken => TokenKind::StableClientToken,
    }
}

/// Reads the secret beside the runtime's workers: a file may lie on a slow disk.
pub(super) async fn read_secret(source: &Secret) -> Result<SecretString, Refused> {
    let source = source.clone();
    match tokio::task::spawn_blocking(move || secret::read(&source)).await {
        Ok(Ok(secret)) => Ok(secret),
        Ok(Err(error)) => Err(refused(Verdict::Suspend, SECRET_RULE, error.to_string())),
        Err(_) => Err(cut_short()),
    }
}

/// The refusal of a fetch whose task has ended before its time.
pub(super) fn cut_short() -> Refused {
    refused(Verdict::Retry, CUT_SHORT_RULE, String::from("fetching a token was cut short"))
}

/// A refusal that is not the platform's.
pub(super) fn refused(verdict: Verdict, rule: &str, message: String) -> Refused {
    let judgement = Judgement { verdict, rule: Arc::from(rule), err_code: None, retry_after: None };
    Refused { judgement, fault: Fault::Ours, message }
}

/// What was written to the topic is not read, and nobody knows of a trouble.
pub(super) fn unread(topic: &str) -> String {
    format!(
        "what was written to topic {topic} has not come back; where the topic was deleted and made anew, this passes by \
         itself; where it lasts, `order-sync topics check` tells whether the topic fits, and this user needs Read, Write and \
         Describe on it"
    )
}

/// Who fetches for the group has failed: as good as a fetch of our own that did.
pub(super) fn unserved() -> Refused {
    let words = "no token: the worker that was to fetch for the group has brought none; its log says why";
    Refused { fault: Fault::Giver, ..refused(Verdict::Retry, UNSERVED_RULE, words.to_owned()) }
}
