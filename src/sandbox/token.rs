//! The tokens that were given out, and the rules of their life (douyin-api §4.1, §4.2).
//!
//! Time is an argument. What an endpoint answers stands in `token_route`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::app_text::AppCredentials;
use super::chance::Chance;
use super::clock::millis;

/// Most apps of an open sandbox.
const APPS_MAX: usize = 10_000;
/// Tokens of one app that are remembered, dead ones included, to tell a dead token from an unknown one.
const TOKENS_PER_APP: usize = 256;
/// Calls of `client_token` in [`CALLS_WINDOW_MS`] (douyin-api §4.2).
const CALLS_MAX: usize = 500;
const CALLS_WINDOW_MS: u64 = 300_000;

/// Which endpoint gives a token out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Issue {
    /// `/api/apps/v2/token`: cuts the previous tokens of its kind short.
    Access,
    /// `/oauth/client_token/`: the same, and only the two newest live.
    Client,
    /// `/oauth/stable_client_token/`: the same token while it lives.
    Stable,
}

/// A token with its remaining life.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Issued {
    pub(super) token: Arc<str>,
    pub(super) expires_in_s: u64,
}

/// Why no token is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    UnknownApp,
    WrongSecret,
    TooOften,
}

/// What a token of a push is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Alive, of this app.
    Live(usize),
    /// It was this app's token.
    Dead(usize),
    Unknown,
}

/// All apps and tokens.
pub(super) struct TokenBook {
    lifetime_ms: u64,
    retire_ms: u64,
    open: bool,
    chance: Chance,
    given_out: u64,
    apps: Vec<App>,
    by_name: HashMap<Arc<str>, usize>,
    tokens: HashMap<Arc<str>, Token>,
}

struct App {
    id: Arc<str>,
    credentials: Option<AppCredentials>,
    /// Oldest first.
    tokens: VecDeque<(Issue, Arc<str>)>,
    calls: VecDeque<u64>,
}

struct Token {
    app: usize,
    dies_at_ms: u64,
}

impl TokenBook {
    /// Knows these apps; without any, every app that asks.
    pub(super) fn new(apps: &[AppCredentials], lifetime: Duration, retire: Duration, chance: Chance) -> Self {
        let mut book = Self {
            lifetime_ms: millis(lifetime),
            retire_ms: millis(retire),
            open: apps.is_empty(),
            chance,
            given_out: 0,
            apps: Vec::new(),
            by_name: HashMap::new(),
            tokens: HashMap::new(),
        };
        for app in apps {
            let index = book.add(&app.app_id, Some(app.clone()));
            if let Some(client_key) = &app.client_key {
                book.by_name.insert(client_key.as_str().into(), index);
            }
        }
        book
    }

    fn add(&mut self, id: &str, credentials: Option<AppCredentials>) -> usize {
        let id: Arc<str> = id.into();
        self.by_name.insert(id.clone(), self.apps.len());
        self.apps.push(App { id, credentials, tokens: VecDeque::new(), calls: VecDeque::new() });
        self.apps.len() - 1
    }

    /// Gives a token to an app that names itself by id or client key.
    pub(super) fn issue(&mut self, issue: Issue, name: &str, secret: &str, now_ms: u64) -> Result<Issued, Denied> {
        let app = match self.by_name.get(name) {
            Some(app) => *app,
            None if self.open && self.apps.len() < APPS_MAX => self.add(name, None),
            None => return Err(Denied::UnknownApp),
        };
        if self.apps[app].credentials.as_ref().is_some_and(|known| known.secret.expose_secret() != secret) {
            return Err(Denied::WrongSecret);
        }
        match issue {
            Issue::Access => self.retire(app, issue, now_ms, usize::MAX),
            Issue::Client => {
                self.count_call(app, now_ms)?;
                self.retire(app, issue, now_ms, 1);
            }
            Issue::Stable => {
                if let Some(same) = self.living(app, issue, now_ms) {
                    return Ok(same);
                }
            }
        }
        Ok(self.give_out(app, issue, now_ms))
    }

    fn count_call(&mut self, app: usize, now_ms: u64) -> Result<(), Denied> {
        let calls = &mut self.apps[app].calls;
        while calls.front().is_some_and(|at| at + CALLS_WINDOW_MS <= now_ms) {
            calls.pop_front();
        }
        if calls.len() >= CALLS_MAX {
            return Err(Denied::TooOften);
        }
        calls.push_back(now_ms);
        Ok(())
    }

    /// Cuts the earlier tokens to their last minutes, and kills all but the newest `keep` of them.
    fn retire(&mut self, app: usize, issue: Issue, now_ms: u64, keep: usize) {
        let earlier = self.apps[app].tokens.iter().rev().filter(|(kind, _)| *kind == issue);
        for (age, (_, token)) in earlier.enumerate() {
            if let Some(token) = self.tokens.get_mut(token) {
                let last_moment = if age < keep { now_ms + self.retire_ms } else { now_ms };
                token.dies_at_ms = token.dies_at_ms.min(last_moment);
            }
        }
    }

    fn living(&self, app: usize, issue: Issue, now_ms: u64) -> Option<Issued> {
        let (_, token) = self.apps[app].tokens.iter().rev().find(|(kind, _)| *kind == issue)?;
        let left_ms = self.tokens.get(token)?.dies_at_ms.saturating_sub(now_ms);
        (left_ms > 0).then(|| Issued { token: token.clone(), expires_in_s: left_ms.div_ceil(1000) })
    }

    fn give_out(&mut self, app: usize, issue: Issue, now_ms: u64) -> Issued {
        self.given_out += 1;
        let chance = self.chance.nth(self.given_out);
        let prefix = match issue {
            Issue::Access => "0801121",
            Issue::Client | Issue::Stable => "clt.",
        };
        let token: Arc<str> = format!("{prefix}{:016x}{:016x}", chance.bits(), chance.nth(1).bits()).into();
        self.tokens.insert(token.clone(), Token { app, dies_at_ms: now_ms + self.lifetime_ms });
        let tokens = &mut self.apps[app].tokens;
        tokens.push_back((issue, token.clone()));
        if tokens.len() > TOKENS_PER_APP
            && let Some((_, oldest)) = tokens.pop_front()
        {
            self.tokens.remove(&oldest);
        }
        Issued { token, expires_in_s: self.lifetime_ms / 1000 }
    }

    /// Whose token it is.
    pub(super) fn lookup(&self, token: &str, now_ms: u64) -> Lookup {
        match self.tokens.get(token) {
            Some(token) if now_ms < token.dies_at_ms => Lookup::Live(token.app),
            Some(token) => Lookup::Dead(token.app),
            None => Lookup::Unknown,
        }
    }

    /// Kills one token at once.
    pub(super) fn evict(&mut self, token: &str, now_ms: u64) {
        if let Some(token) = self.tokens.get_mut(token) {
            token.dies_at_ms = now_ms;
        }
    }

    /// Kills every token of an app, or of all apps, and says how many were alive.
    pub(super) fn evict_all(&mut self, app: Option<&str>, now_ms: u64) -> usize {
        let app = app.map(|name| self.by_name.get(name).copied());
        let alive = self.tokens.values_mut().filter(|token| token.dies_at_ms > now_ms);
        let evicted = alive.filter(|token| app.is_none_or(|app| app == Some(token.app)));
        evicted.map(|token| token.dies_at_ms = now_ms).count()
    }

    /// The id of an app.
    pub(super) fn app_id(&self, app: usize) -> Arc<str> {
        self.apps[app].id.clone()
    }

    /// The place of an app that has asked for a token or is configured.
    pub(super) fn app(&self, id: &str) -> Option<usize> {
        self.by_name.get(id).copied()
    }

    /// Whether a POI push of this app may carry this client key.
    pub(super) fn takes_client_key(&self, app: usize, client_key: &str) -> bool {
        let known = self.apps[app].credentials.as_ref().and_then(|known| known.client_key.as_deref());
        known.is_none_or(|known| known == client_key)
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
