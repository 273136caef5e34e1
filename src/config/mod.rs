//! Settings: raw serde shape, then a validated [`Config`] that cannot be wrong. Every fault is reported at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::order::{AppId, OrderType, TimeUnit};

/// All settings, validated.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[kafka]`
    pub kafka: Kafka,
    /// `[store]`
    pub store: Store,
    /// `[[apps]]`, at least one, no id twice.
    pub apps: Vec<App>,
    /// `[douyin]`
    pub douyin: Douyin,
    /// `[delivery]`
    pub delivery: Delivery,
    /// `[limits]`
    pub limits: Limits,
    /// `[admin]`
    pub admin: Admin,
    /// `[log]`
    pub log: Log,
    /// `shutdown_timeout`: how long draining may take (10 s).
    pub shutdown_timeout: Duration,
}

/// `[kafka]`
#[derive(Clone, Debug)]
pub struct Kafka {
    /// `brokers`: bootstrap servers, `host:port` joined by commas.
    pub brokers: String,
    /// `group_id`
    pub group_id: String,
    /// `topics`: the source topics, at least one.
    pub topics: Vec<String>,
    /// `dead_letter_topic`, default `<group>.dead-letters`.
    pub dead_letter_topic: String,
    /// `create_topics`: create the worker's own missing topics (true).
    pub create_topics: bool,
    /// `exactly_once`: transactions (false until they are there).
    pub exactly_once: bool,
    /// `commit_interval`: at most one commit in this time (100 ms).
    pub commit_interval: Duration,
    /// `start_from`: where to start without a position (earliest).
    pub start_from: StartFrom,
    /// `properties` and `properties_file`, merged, passed through to librdkafka; passwords among them.
    pub properties: BTreeMap<String, SecretString>,
}

/// `kafka.start_from`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// The oldest record there is.
    Earliest,
    /// The end at the first assignment.
    Latest,
    /// The first record at or after this time, milliseconds since the epoch.
    Time(i64),
}

/// `[store]`
#[derive(Clone, Debug)]
pub struct Store {
    /// `path`: the sled directory.
    pub path: PathBuf,
    /// `cache_bytes`: bound of sled's page cache (32 MiB).
    pub cache_bytes: u64,
}

/// One of `[[apps]]`
#[derive(Clone, Debug)]
pub struct App {
    /// `app_id`
    pub app_id: AppId,
    /// `secret` or `secret_file`
    pub secret: Secret,
    /// `client_key`: for group coupons and tickets.
    pub client_key: Option<String>,
    /// `order_types`: all, unless narrowed.
    pub order_types: Vec<OrderType>,
    /// `update_time_unit` (seconds).
    pub update_time_unit: TimeUnit,
}

/// Where an app's secret comes from.
#[derive(Clone, Debug)]
pub enum Secret {
    /// Given as it is (environment, or the file, with a warning).
    Inline(SecretString),
    /// A file that is read again when it changes; surrounding white space is cut.
    File(PathBuf),
}

/// `[douyin]`
#[derive(Clone, Debug)]
pub struct Douyin {
    /// `base_url` of push and of the token endpoint of getAccessToken (`https://developer.toutiao.com`).
    pub base_url: String,
    /// `open_base_url` of the client-token endpoints (`https://open.douyin.com`); a changed `base_url` moves it too,
    /// unless it is given.
    pub open_base_url: String,
    /// `request_timeout`: the whole attempt (5 s).
    pub request_timeout: Duration,
    /// `connect_timeout` (3 s).
    pub connect_timeout: Duration,
    /// `token`: which endpoint gives the token.
    pub token: TokenKind,
    /// `proxy`: `http://`, `https://` or `socks5://`.
    pub proxy: Option<SecretString>,
    /// `ca_file`: further trusted certificates, PEM.
    pub ca_file: Option<PathBuf>,
    /// `ticket_lists` (D4): how `ext_ticket_ids` and `ticket_description` are sent.
    pub ticket_lists: TicketLists,
    /// `goods_entry_type` (D5): `"2"` or `2`.
    pub goods_entry_type: GoodsEntryType,
    /// `error_codes`: rules that stand before the built-in ones, as TOML tables of config/error-codes.toml's form.
    pub error_codes: Vec<ErrorCodeRule>,
}

/// One rule of the outcome table as configured; `douyin` gives it meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorCodeRule {
    /// The `err_code`, outer or inner.
    pub code: i64,
    /// Matches only where the message contains this text, ignoring ASCII case.
    pub message_contains: Option<String>,
    /// `accepted`, `retry`, `refresh_token`, `reject` or `suspend`.
    pub verdict: String,
    /// For people.
    pub meaning: String,
}

/// `douyin.token`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// `access_token`: getAccessToken, `/api/apps/v2/token`.
    AccessToken,
    /// `client_token`: `/oauth/client_token/`.
    ClientToken,
    /// `stable_client_token`: `/oauth/stable_client_token/`.
    StableClientToken,
}

/// `douyin.ticket_lists`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketLists {
    /// `text`: JSON text of an array, the Go SDK's form.
    Text,
    /// `array`: a JSON array.
    Array,
}

/// `douyin.goods_entry_type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoodsEntryType {
    /// `string`: `"2"`, the Go SDK's form.
    String,
    /// `integer`: `2`.
    Integer,
}

/// `[delivery]`
#[derive(Clone, Debug)]
pub struct Delivery {
    /// `max_in_flight`: attempts at once (256).
    pub max_in_flight: usize,
    /// `max_owed`: deliveries owed before intake pauses (1,000,000).
    pub max_owed: usize,
    /// `max_buffered_bytes`: memory of what is not yet committed before intake pauses (64 MiB).
    pub max_buffered_bytes: usize,
    /// `requests_per_second` per app; none is unlimited.
    pub requests_per_second: Option<NonZeroU32>,
    /// `initial_interval` of the backoff (200 ms).
    pub initial_interval: Duration,
    /// `max_interval` of the backoff (60 s).
    pub max_interval: Duration,
    /// `give_up_after`: failing time, by evidence, before an order is given up (15 min).
    pub give_up_after: Duration,
}

/// `[limits]`
#[derive(Clone, Debug)]
pub struct Limits {
    /// `text`: what happens to person-read text over its limit.
    pub text: TextLimit,
    /// `max_clock_skew`: how far ahead of our clock an event may lie (10 min).
    pub max_clock_skew: Duration,
}

/// `limits.text`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextLimit {
    /// `truncate`: cut at a character boundary, and counted.
    Truncate,
    /// `strict`: dead-lettered `field_over_limit`.
    Strict,
}

/// `[admin]`
#[derive(Clone, Debug)]
pub struct Admin {
    /// `listen` (127.0.0.1:9600); `off` turns it off.
    pub listen: Option<SocketAddr>,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// `format`: `auto` (pretty on a terminal, JSON otherwise), `pretty`, `json`.
    pub format: LogFormat,
    /// `level`: an `EnvFilter` directive (`info`).
    pub level: String,
}

/// `log.format`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}
