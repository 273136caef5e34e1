//! The HTTP edge as a test drives it: the test stands for the engine.

#![expect(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm, reason = "tests")]

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use order_sync::config::{App, Douyin, GoodsEntryType, Secret, TicketLists, TokenKind};
use order_sync::douyin::OutcomeTable;
use order_sync::douyin::verdict::{Answer, Break, Exchange};
use order_sync::http::HttpEdge;
use order_sync::order::{AppId, OrderType, TimeUnit};
use order_sync::sync::ports::{AttemptStart, Attempts, Closed, Inbox, Input, Ticket, TokenGeneration};
use tokio::runtime::Runtime;

/// How long a test waits before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// What every test sends.
pub(crate) const REQUEST: &str = r#"{"app_name":"douyin","update_time":1694761400,"order_detail":"{\"a\":1}"}"#;

/// The only configured app.
pub(crate) const APP: &str = "tt0001";

struct Queue(SyncSender<Input>);

impl Inbox for Queue {
    fn send(&self, input: Input) -> Result<(), Closed> {
        self.0.send(input).map_err(|_| Closed)
    }
}

pub(crate) struct Harness {
    pub(crate) edge: HttpEdge,
    pub(crate) inputs: Receiver<Input>,
    _runtime: Option<Runtime>,
}

impl Harness {
    /// An edge with a token in hand.
    pub(crate) fn ready(url: &str) -> Self {
        let mut harness = Self::new(&douyin(url), Secret::Inline("s3cret".into()));
        harness.fetch().unwrap();
        harness
    }

    pub(crate) fn new(douyin: &Douyin, secret: Secret) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let harness = Self::on(runtime.handle().clone(), douyin, secret);
        Self { _runtime: Some(runtime), ..harness }
    }

    pub(crate) fn on(runtime: tokio::runtime::Handle, douyin: &Douyin, secret: Secret) -> Self {
        let (sender, inputs) = sync_channel(4_096);
        let apps = [App {
            app_id: AppId::new(APP),
            secret,
            client_key: None,
            order_types: OrderType::ALL.to_vec(),
            update_time_unit: TimeUnit::Seconds,
        }];
        let table = Arc::new(OutcomeTable::built_in().unwrap());
        let edge = HttpEdge::new(douyin, &apps, 64, table, runtime, Arc::new(Queue(sender))).unwrap();
        Self { edge, inputs, _runtime: None }
    }

    /// Starts an attempt and does not wait for it.
    pub(crate) fn start(&mut self, ticket: u64) {
        let request = REQUEST.as_bytes().into();
        self.edge.start(AttemptStart { ticket: Ticket(ticket), app_id: AppId::new(APP), request });
    }

    pub(crate) fn input(&self) -> Input {
        self.inputs.recv_timeout(PATIENCE).unwrap()
    }

    /// The next input, with the edge's tasks run by this thread meanwhile.
    pub(crate) fn input_on(&self, runtime: &Runtime) -> Input {
        let next = async {
            loop {
                match self.inputs.try_recv() {
                    Ok(input) => return input,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        runtime.block_on(async { tokio::time::timeout(PATIENCE, next).await.unwrap() })
    }

    /// The next end of an attempt.
    pub(crate) fn attempted(&self) -> (u64, TokenGeneration, Exchange, Duration) {
        match self.input() {
            Input::Attempted { ticket, token, exchange, latency } => (ticket.0, token, exchange, latency),
            other => panic!("not the end of an attempt: {other:?}"),
        }
    }

    /// One attempt from start to end.
    pub(crate) fn push(&mut self) -> Exchange {
        self.start(7);
        let (ticket, _, exchange, _) = self.attempted();
        assert_eq!(ticket, 7);
        exchange
    }

    pub(crate) fn answered(&mut self) -> Answer {
        match self.push() {
            Exchange::Answered(answer) => answer,
            Exchange::Broken(why) => panic!("no answer: {why:?}"),
        }
    }

    pub(crate) fn broken(&mut self) -> Break {
        match self.push() {
            Exchange::Broken(why) => why,
            Exchange::Answered(answer) => panic!("an answer: {answer:?}"),
        }
    }

    /// Fetches a token; the refusal is the input's own text, for a look at its words.
    pub(crate) fn fetch(&mut self) -> Result<(TokenGeneration, Duration), String> {
        self.edge.fetch_token(&AppId::new(APP), TokenGeneration(0));
        match self.input() {
            Input::TokenFetched { token, lifetime, .. } => Ok((token, lifetime)),
            refused @ Input::TokenRefused { .. } => Err(format!("{refused:?}")),
            other => panic!("not the end of a fetch: {other:?}"),
        }
    }
}

/// Settings with short time-outs for a server at `url`.
pub(crate) fn douyin(url: &str) -> Douyin {
    Douyin {
        base_url: url.to_owned(),
        open_base_url: url.to_owned(),
        request_timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(3),
        token: TokenKind::AccessToken,
        token_url: None,
        token_file: None,
        share_tokens: false,
        proxy: None,
        ca_file: None,
        ticket_lists: TicketLists::Text,
        goods_entry_type: GoodsEntryType::String,
        error_codes: Vec::new(),
    }
}
