//! Workers that share tokens through a log which the test holds in its hands: what each says, what each is told, when.

#![expect(clippy::wildcard_enum_match_arm, reason = "tests stop at what they do not expect")]

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use order_sync::config::{App, Secret};
use order_sync::douyin::OutcomeTable;
use order_sync::http::{GroupMail, GroupReader, GroupTokens, HttpEdge};
use order_sync::order::{AppId, OrderType, TimeUnit};
use order_sync::record::RecordOffset;
use order_sync::sync::ports::{AttemptStart, Attempts as _, Closed, Inbox, Input, Ticket, TokenFrom, TokenGeneration};
use order_sync::sync::token_log::{LogEntry, TokenLog, TokenLogReader as _};
use tokio::runtime::Runtime;

use crate::http_harness::{APP, douyin};
use crate::http_server::{Reply, Server};

const OTHER_APP: &str = "tt0002";
const PATIENCE: Duration = Duration::from_secs(20);
/// When the first worker's records were written, by the broker's clock.
const WRITTEN_MS: i64 = 1_800_000_000_000;
const MINUTE_MS: i64 = 60_000;

struct Queue(SyncSender<Input>);

impl Inbox for Queue {
    fn send(&self, input: Input) -> Result<(), Closed> {
        self.0.send(input).map_err(|_| Closed)
    }
}

/// What a worker appends goes to the test, which gives it to whom it likes.
struct Appended(SyncSender<(String, Vec<u8>)>);

impl TokenLog for Appended {
    fn name(&self) -> &'static str {
        "g.tokens"
    }

    fn append(&self, key: &str, value: &[u8]) {
        self.0.send((key.to_owned(), value.to_vec())).unwrap();
    }

    fn trouble(&self) -> Option<String> {
        None
    }
}

/// The token endpoint: the n-th token is `token-n`, two hours long; the test may keep an answer back.
struct Platform {
    server: Server,
    gate: Arc<Mutex<()>>,
}

impl Platform {
    fn start() -> Self {
        let gate: Arc<Mutex<()>> = Arc::default();
        let (door, count) = (Arc::clone(&gate), Mutex::new(0));
        let server = Server::start(move |_| {
            drop(door.lock().unwrap_or_else(PoisonError::into_inner));
            let mut count = count.lock().unwrap();
            *count += 1;
            let body = format!(
                r#"{{"err_no":0,"err_tips":"success","data":{{"access_token":"token-{count}","expires_in":7200}}}}"#
            );
            Reply::Keep(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())
        });
        Self { server, gate }
    }
}

struct Worker {
    edge: HttpEdge,
    inputs: Receiver<Input>,
    appended: Receiver<(String, Vec<u8>)>,
    reader: GroupReader,
    hello: Vec<u8>,
    // One thread: what is asked first is heard first.
    _runtime: Runtime,
}

impl Worker {
    /// It has greeted the log and read nothing yet.
    fn start(platform: &Platform, secret: &Secret) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (sender, inputs) = sync_channel(64);
        let app = |app_id| App {
            app_id: AppId::new(app_id),
            secret: secret.clone(),
            client_key: None,
            order_types: OrderType::ALL.to_vec(),
            update_time_unit: TimeUnit::Seconds,
        };
        let (douyin, table) = (douyin(&platform.server.url()), Arc::new(OutcomeTable::built_in().unwrap()));
        let (apps, inbox) = ([app(APP), app(OTHER_APP)], Arc::new(Queue(sender)));
        let edge = HttpEdge::new(&douyin, &apps, 8, table, runtime.handle().clone(), inbox).unwrap();
        let (mail, (log, appended)) = (GroupMail::new(), sync_channel(64));
        let reader = mail.reader();
        let edge = edge.sharing(GroupTokens { group: "g".to_owned(), log: Box::new(Appended(log)), mail }, &douyin);
        let (key, hello) = appended.recv_timeout(PATIENCE).unwrap();
        assert_eq!(key, "hello");
        Self { edge, inputs, appended, reader, hello, _runtime: runtime }
    }

    fn ask(&mut self, app: &str, held: u64) {
        self.edge.fetch_token(&AppId::new(app), TokenGeneration(held));
    }

    fn read(&self, key: &str, value: &[u8], offset: i64, timestamp_ms: i64) {
        let entry =
            LogEntry { key: key.to_owned(), value: value.to_vec(), offset: RecordOffset::new(offset), timestamp_ms };
        self.reader.read(entry).unwrap();
    }

    /// It has read everything that lay in the log at its start, which began at this time.
    fn catch_up(&self, offset: i64, timestamp_ms: i64) {
        self.read("hello", &self.hello, offset, timestamp_ms);
    }

    /// What it appends next, which must have this key.
    fn appends(&self, key: &str) -> Vec<u8> {
        let (seen, value) = self.appended.recv_timeout(PATIENCE).unwrap();
        assert_eq!(seen, key);
        value
    }

    /// The token that its engine is told of next.
    fn token(&self) -> (u64, Duration, TokenFrom) {
        match self.inputs.recv_timeout(PATIENCE).unwrap() {
            Input::TokenFetched { token, lifetime, from, .. } => (token.0, lifetime, from),
            other => panic!("no token: {other:?}"),
        }
    }

    /// Asks, is granted, fetches: the sealed token.
    fn fetches(&mut self) -> Vec<u8> {
        self.ask(APP, 0);
        let claim = self.appends("tt0001/claim");
        self.read("tt0001/claim", &claim, 1, WRITTEN_MS);
        let token = self.appends("tt0001/token");
        assert_eq!(self.token(), (1, Duration::from_secs(7200), TokenFrom::Platform));
        token
    }
}

fn secret() -> Secret {
    Secret::Inline("canary-secret".into())
}

/// A platform, and what a first worker has written: a token.
fn with_a_token() -> (Platform, Vec<u8>) {
    let platform = Platform::start();
    let mut first = Worker::start(&platform, &secret());
    first.catch_up(0, WRITTEN_MS);
    let token = first.fetches();
    (platform, token)
}

/// A worker that starts later uses a token no longer than it lives, whatever its own clock says.
#[test]
fn the_age_of_a_token_that_is_read_is_taken_off_its_life() {
    let (platform, token) = with_a_token();
    let worker = Worker::start(&platform, &secret());
    worker.read("tt0001/token", &token, 2, WRITTEN_MS);
    worker.catch_up(3, WRITTEN_MS + 110 * MINUTE_MS);
    let (generation, left, from) = worker.token();
    assert_eq!((generation, from), (1, TokenFrom::Group));
    assert!(left <= Duration::from_secs(600) && left > Duration::from_secs(570), "{left:?}");
    let mut worker = Worker::start(&platform, &secret());
    worker.read("tt0001/token", &token, 2, WRITTEN_MS);
    worker.catch_up(3, WRITTEN_MS + 121 * MINUTE_MS);
    worker.ask(OTHER_APP, 0);
    worker.appends("tt0002/claim");
    assert!(worker.inputs.try_recv().is_err(), "one whose life is over is not used at all");
}

/// The broker gives a copy of a record a time of its own; the token is as old as before.
#[test]
fn a_copy_of_a_token_lives_no_longer_than_the_token() {
    let (platform, token) = with_a_token();
    let worker = Worker::start(&platform, &secret());
    worker.read("tt0001/token", &token, 2, WRITTEN_MS + 109 * MINUTE_MS);
    worker.catch_up(3, WRITTEN_MS + 110 * MINUTE_MS);
    let (_, left, _) = worker.token();
    // It was fetched a moment after the first worker's clock was set.
    assert!(left <= Duration::from_secs(630) && left > Duration::from_secs(570), "{left:?}");
}

/// Whoever may write to the log can append what lies there already; nobody is told of an older token for that.
#[test]
fn an_old_token_that_is_appended_again_displaces_no_newer_one() {
    let (platform, old) = with_a_token();
    let mut worker = Worker::start(&platform, &secret());
    worker.read("tt0001/token", &old, 2, WRITTEN_MS);
    worker.catch_up(3, WRITTEN_MS);
    assert_eq!(worker.token().0, 1);
    worker.ask(APP, 1);
    let claim = worker.appends("tt0001/claim");
    let closed = platform.gate.lock().unwrap();
    worker.read("tt0001/claim", &claim, 4, WRITTEN_MS);
    // While another is fetched, and afterwards.
    worker.read("tt0001/token", &old, 5, WRITTEN_MS);
    drop(closed);
    let new = worker.appends("tt0001/token");
    let (generation, _, from) = worker.token();
    assert_eq!((generation, from), (2, TokenFrom::Platform));
    let mut second = Worker::start(&platform, &secret());
    second.read("tt0001/token", &old, 5, WRITTEN_MS);
    for (offset, token) in [(6, &new), (7, &old)] {
        worker.read("tt0001/token", token, offset, WRITTEN_MS);
        second.read("tt0001/token", token, offset, WRITTEN_MS);
    }
    second.catch_up(8, WRITTEN_MS);
    assert_eq!(second.token().0, 1);
    second.edge.start(AttemptStart { ticket: Ticket(1), app_id: AppId::new(APP), request: b"{}".as_slice().into() });
    assert!(matches!(second.inputs.recv_timeout(PATIENCE), Ok(Input::Attempted { .. })));
    let pushed = platform.server.pushes().pop().unwrap();
    assert!(String::from_utf8(pushed.body).unwrap().contains("token-2"), "nor of the copy that came first");
    worker.ask(OTHER_APP, 0);
    worker.appends("tt0002/claim");
    assert!(worker.inputs.try_recv().is_err(), "it is told of nothing else");
}

/// The engine asks with an older token in hand than the one that it is just being told of: that is no wish for another.
#[test]
fn who_asks_while_a_newer_token_is_on_its_way_makes_no_claim() {
    let (platform, token) = with_a_token();
    let mut worker = Worker::start(&platform, &secret());
    worker.read("tt0001/token", &token, 2, WRITTEN_MS);
    worker.catch_up(3, WRITTEN_MS);
    assert_eq!(worker.token().0, 1);
    worker.ask(APP, 0);
    worker.ask(OTHER_APP, 0);
    worker.appends("tt0002/claim");
    worker.ask(APP, 1);
    worker.appends("tt0001/claim");
}

/// While it fetched, another's token came: its own may be the older one, which the platform retires.
#[test]
fn a_fetch_that_has_been_overtaken_is_not_published() {
    let (platform, token) = with_a_token();
    let mut worker = Worker::start(&platform, &secret());
    worker.catch_up(0, WRITTEN_MS);
    let closed = platform.gate.lock().unwrap();
    worker.ask(APP, 0);
    let claim = worker.appends("tt0001/claim");
    worker.read("tt0001/claim", &claim, 1, WRITTEN_MS);
    worker.read("tt0001/token", &token, 2, WRITTEN_MS);
    assert_eq!(worker.token().2, TokenFrom::Group);
    worker.ask(APP, 1);
    drop(closed);
    worker.appends("tt0001/claim");
    assert_eq!(platform.server.seen().len(), 2, "it had fetched");
}

/// As where the topic was made anew between two looks at it: the claim was lost with the old one, and nothing is in trouble.
#[test]
fn a_claim_that_does_not_come_back_is_told_with_the_topic_and_what_to_do() {
    let platform = Platform::start();
    let mut worker = Worker::start(&platform, &secret());
    worker.catch_up(0, WRITTEN_MS);
    worker.ask(APP, 0);
    worker.appends("tt0001/claim");
    let Input::TokenRefused { refused, .. } = worker.inputs.recv_timeout(PATIENCE).unwrap() else { panic!("a token") };
    for words in ["topic g.tokens has not come back", "made anew", "`order-sync topics check`"] {
        assert!(refused.message.contains(words), "{}", refused.message);
    }
    assert_eq!(platform.server.seen().len(), 0, "nothing was fetched");
}

/// The secret is changed on this machine last: what the others sealed with it opens with the next wish.
#[test]
fn a_record_that_did_not_open_is_tried_again_with_the_secret_as_it_is_then() {
    let (platform, token) = with_a_token();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    write(&file, "the old one");
    let mut worker = Worker::start(&platform, &Secret::File(file.clone()));
    worker.read("tt0001/token", &token, 2, WRITTEN_MS);
    worker.catch_up(3, WRITTEN_MS);
    worker.ask(OTHER_APP, 0);
    worker.appends("tt0002/claim");
    assert!(worker.inputs.try_recv().is_err(), "it was read, and does not open");
    write(&file, "canary-secret");
    worker.ask(APP, 0);
    assert_eq!(worker.token().2, TokenFrom::Group);
    assert_eq!(platform.server.seen().len(), 1, "nothing was fetched");
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}
