//! The port `Attempts` over reqwest: starts requests, fetches tokens, tells the engine what came of each.
//!
//! It decides nothing: no retry, no limit, no judgement of a push. The engine bounds what is in flight.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Client, Url};
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use super::answer;
use super::client::{self, ClientError};
use super::fetch::{self, TokenSource};
use super::group::Group;
use super::mail::{GroupTokens, Mail};
use super::promise::Promise;
use super::token::TokenCell;
use super::token_file;
use crate::config::{App, Douyin};
use crate::douyin::OutcomeTable;
use crate::douyin::token::Refused;
use crate::douyin::verdict::{Break, Exchange, Verdict};
use crate::order::AppId;
use crate::sync::ports::{AttemptStart, Attempts, Inbox, Input, TokenGeneration};

/// The path of the push under `douyin.base_url` (douyin-api §1).
const PUSH_PATH: &str = "/api/apps/order/v2/push";

/// Starts attempts on a tokio runtime and answers through an inbox.
pub struct HttpEdge {
    runtime: Handle,
    shared: Arc<Shared>,
    /// Where tokens are asked for that the group shares; without it, each is fetched here.
    group: Option<Sender<Mail>>,
    /// What goes on beside the attempts; ends with the edge.
    beside: JoinSet<()>,
}

pub(super) struct Shared {
    client: Client,
    push_url: Url,
    pub(super) tokens: TokenSource,
    pub(super) apps: HashMap<AppId, AppSlot, foldhash::fast::RandomState>,
    pub(super) inbox: Arc<dyn Inbox>,
}

pub(super) struct AppSlot {
    pub(super) app: App,
    pub(super) token: TokenCell,
}

impl HttpEdge {
    /// An edge for these apps. `max_in_flight` bounds the connections that are kept, not the attempts: the engine
    /// does that. Every attempt and every fetch sends exactly one input to `inbox`, from a task of `runtime`.
    pub fn new(
        douyin: &Douyin,
        apps: &[App],
        max_in_flight: usize,
        table: Arc<OutcomeTable>,
        runtime: Handle,
        inbox: Arc<dyn Inbox>,
    ) -> Result<Self, ClientError> {
        let push_url = client::endpoint("douyin.base_url", &douyin.base_url, PUSH_PATH)?;
        let token_url = fetch::token_url(douyin)?;
        let client = client::build(douyin, &[&push_url, &token_url], max_in_flight)?;
        let tokens = TokenSource::with_client(douyin, table, client.clone(), token_url);
        let slot = |app: &App| (app.app_id.clone(), AppSlot { app: app.clone(), token: TokenCell::default() });
        let apps = apps.iter().map(slot).collect();
        let shared = Arc::new(Shared { client, push_url, tokens, apps, inbox });
        let mut beside = JoinSet::new();
        for (app_id, slot) in &shared.apps {
            if let Some(file) = shared.tokens.file(&slot.app) {
                beside.spawn_on(token_file::watch(Arc::clone(&shared), app_id.clone(), file), &runtime);
            }
        }
        Ok(Self { runtime, shared, group: None, beside })
    }

    /// From now on shares tokens with the other workers of the group.
    #[must_use]
    pub fn sharing(mut self, tokens: GroupTokens, douyin: &Douyin) -> Self {
        self.group = Some(tokens.mail.sender.clone());
        let group = Group::new(Arc::clone(&self.shared), tokens, douyin.request_timeout);
        self.beside.spawn_on(group.run(), &self.runtime);
        self
    }
}

impl fmt::Debug for HttpEdge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpEdge").field("apps", &self.shared.apps.len()).finish_non_exhaustive()
    }
}

impl Attempts for HttpEdge {
    fn start(&mut self, attempt: AttemptStart) {
        let started = Instant::now();
        // A task answers even where nothing is to be sent: the engine thread must not wait for its own queue.
        self.runtime.spawn(push(Arc::clone(&self.shared), attempt, started));
    }

    fn fetch_token(&mut self, app_id: &AppId, held: TokenGeneration) {
        let (shared, app_id) = (Arc::clone(&self.shared), app_id.clone());
        match self.group.clone() {
            Some(group) => drop(self.runtime.spawn(ask_group(shared, group, app_id, held))),
            None => drop(self.runtime.spawn(fetch_token(shared, app_id))),
        }
    }
}

async fn push(shared: Arc<Shared>, attempt: AttemptStart, started: Instant) {
    let AttemptStart { ticket, app_id, request } = attempt;
    let attempted = |token, exchange, latency| Input::Attempted { ticket, token, exchange, latency };
    let token = shared.apps.get(&app_id).and_then(|slot| slot.token.current());
    let generation = token.as_ref().map_or(TokenGeneration(0), |token| token.generation);
    let lost = attempted(generation, Exchange::Broken(Break::Reset), Duration::ZERO);
    let promise = Promise::new(Arc::clone(&shared.inbox), lost);
    let exchange = match token {
        Some(token) => {
            let body = token.splice(&request);
            // The engine keeps these bytes as long as it needs them; here they would only be held twice.
            drop(request);
            let mut exchange = answer::exchange(&shared.client, shared.push_url.clone(), body).await;
            answer::redact(&mut exchange, token.text());
            exchange
        }
        None => Exchange::Broken(Break::Connect),
    };
    promise.keep(attempted(generation, exchange, started.elapsed()));
}

/// Hands the wish on; it is answered in time by the group's task, and here only where that has ended.
async fn ask_group(shared: Arc<Shared>, group: Sender<Mail>, app_id: AppId, held: TokenGeneration) {
    if group.send(Mail::Want(app_id.clone(), held)).await.is_err() {
        shared.inbox.send(Input::TokenRefused { app_id, refused: fetch::cut_short() }).unwrap_or(());
    }
}

async fn fetch_token(shared: Arc<Shared>, app_id: AppId) {
    let refused = |refused: Refused| Input::TokenRefused { app_id: app_id.clone(), refused };
    let lost = refused(fetch::cut_short());
    let promise = Promise::new(Arc::clone(&shared.inbox), lost);
    let Some(slot) = shared.apps.get(&app_id) else {
        let words = format!("app {app_id} is not in the settings; add it to [[apps]]");
        let unknown = fetch::refused(Verdict::Suspend, "unknown_app", words);
        return promise.keep(refused(unknown));
    };
    let input = match shared.tokens.fetch(&slot.app).await {
        Ok(fetched) => {
            let from = shared.tokens.from(slot.token.differs(&fetched.token));
            let token = slot.token.replace(fetched.token);
            Input::TokenFetched { app_id: app_id.clone(), token, lifetime: fetched.lifetime, from }
        }
        Err(refusal) => refused(refusal),
    };
    promise.keep(input);
}
