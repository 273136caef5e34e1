//! `[douyin]`: the platform's side, and how it is reached.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::ErrorCodeRule;
use super::key::{Absent, Key, Kind, Section, Shape};
use super::reader::Reader;

/// `[douyin]`
#[derive(Clone, Debug)]
pub struct Douyin {
    /// `base_url` of push and of the token endpoint of getAccessToken (`https://developer.toutiao.com`), without a
    /// slash at its end.
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
    /// `token_url`: a token server of the company, asked instead of the platform; `{app_id}` stands for the app.
    pub token_url: Option<String>,
    /// `token_file`: a file that always holds the app's token; `{app_id}` stands for the app.
    pub token_file: Option<String>,
    /// `share_tokens`: one worker of the group fetches for all (as `kafka.exactly_once`, unless a token server or file
    /// shares them already).
    pub share_tokens: bool,
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

/// What stands for the app's id in `token_url` and `token_file`.
pub const APP_ID: &str = "{app_id}";

const MINUTE: Duration = Duration::from_secs(60);

pub(super) const SECTION: Section = Section {
    path: "douyin",
    shape: Shape::Table,
    doc: "The platform, and how it is reached.",
    keys: &[
        Key {
            name: "base_url",
            kind: Kind::Text,
            absent: Absent::Default("\"https://developer.toutiao.com\""),
            doc: "Where order/v2/push and getAccessToken are. Point it at `order-sync sandbox` to test.",
        },
        Key {
            name: "open_base_url",
            kind: Kind::Text,
            absent: Absent::Nothing("\"https://open.douyin.com\""),
            doc: "Where the client-token endpoints are. When left out: https://open.douyin.com, or `base_url` where that \
                  has been changed.",
        },
        Key {
            name: "request_timeout",
            kind: Kind::Span(Duration::from_millis(10), MINUTE),
            absent: Absent::Default("\"5s\""),
            doc: "The whole of one attempt, from connecting to the last byte of the answer. After it the outcome is \
                  unknown and the same bytes are sent again.",
        },
        Key {
            name: "connect_timeout",
            kind: Kind::Span(Duration::from_millis(10), MINUTE),
            absent: Absent::Default("\"3s\""),
            doc: "Connecting alone, TLS included. Raise it behind slow proxies.",
        },
        Key {
            name: "token",
            kind: Kind::Word(&["access_token", "client_token", "stable_client_token"]),
            absent: Absent::Default("\"access_token\""),
            doc: "Which endpoint gives the token. `stable_client_token` where several programs fetch tokens for one app: \
                  it does not retire those of the others.",
        },
        Key {
            name: "token_url",
            kind: Kind::Text,
            absent: Absent::Nothing("\"https://tokens.example/douyin/{app_id}\""),
            doc: "A token server of your own, asked instead of the platform, with the same POST. It answers as the \
                  platform's endpoint does, or {\"access_token\": \"…\", \"expires_in\": 7200}. `{app_id}` in it becomes \
                  the app's id.",
        },
        Key {
            name: "token_file",
            kind: Kind::Text,
            absent: Absent::Nothing("\"/run/tokens/{app_id}\""),
            doc: "A file in which another program always keeps the app's token: the token alone, or \
                  {\"access_token\": \"…\"}. It is looked at every second; another token in it is used at once, and a \
                  suspended app probed with it. `{app_id}` in it becomes the app's id, and has to be there with more \
                  than one app.",
        },
        Key {
            name: "share_tokens",
            kind: Kind::Switch,
            absent: Absent::Nothing("true"),
            doc: "Whether one worker of the group fetches for all: each fetch retires the tokens of the others. They \
                  share through the topic `<group>.tokens`, sealed with the app's secret. When left out: as \
                  kafka.exactly_once, and false with token_url or token_file.",
        },
        Key {
            name: "proxy",
            kind: Kind::Secret,
            absent: Absent::Nothing("\"http://proxy.example:3128\""),
            doc: "A proxy for everything that goes to the platform: http://, https:// or socks5://, with user and \
                  password if it wants them.",
        },
        Key {
            name: "ca_file",
            kind: Kind::Text,
            absent: Absent::Nothing("\"/etc/ssl/company-ca.pem\""),
            doc: "Further trusted certificates, PEM, for a proxy that opens TLS or for a test platform.",
        },
        Key {
            name: "ticket_lists",
            kind: Kind::Word(&["text", "array"]),
            absent: Absent::Default("\"text\""),
            doc: "How ext_ticket_ids and ticket_description are sent: as JSON text, as the platform's own SDK does, or \
                  as a JSON array. Change it only if the platform refuses the text.",
        },
        Key {
            name: "goods_entry_type",
            kind: Kind::Word(&["string", "integer"]),
            absent: Absent::Default("\"string\""),
            doc: "How goods_entry_type is sent: \"2\", as the platform's own SDK does, or 2. Change it only if the \
                  platform refuses the text.",
        },
    ],
};

/// What other sections mean for this one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    /// How many apps there are.
    pub(super) apps: usize,
    /// `kafka.exactly_once`: several workers may be in the group.
    pub(super) exactly_once: bool,
}

/// Reads `[douyin]`; the rules are a section of their own.
pub(super) fn read(reader: &mut Reader<'_, '_>, error_codes: Vec<ErrorCodeRule>, around: Around) -> Douyin {
    let base_url = url(reader, "base_url").unwrap_or_default();
    let open_base_url = url(reader, "open_base_url").unwrap_or_else(|| {
        if reader.given("base_url") { base_url.clone() } else { "https://open.douyin.com".to_owned() }
    });
    let (token_url, token_file) = (token_url(reader), token_file(reader, around.apps));
    Douyin {
        share_tokens: share_tokens(reader, token_url.is_some() || token_file.is_some(), around),
        token_url,
        token_file,
        base_url,
        open_base_url,
        request_timeout: reader.span("request_timeout"),
        connect_timeout: reader.span("connect_timeout"),
        token: match reader.text("token").as_str() {
            "client_token" => TokenKind::ClientToken,
            "stable_client_token" => TokenKind::StableClientToken,
            _ => TokenKind::AccessToken,
        },
        proxy: proxy(reader),
        ca_file: ca_file(reader),
        ticket_lists: if reader.text("ticket_lists") == "array" { TicketLists::Array } else { TicketLists::Text },
        goods_entry_type: match reader.text("goods_entry_type").as_str() {
            "integer" => GoodsEntryType::Integer,
            _ => GoodsEntryType::String,
        },
        error_codes,
    }
}

/// As it stands: a slash at the end may be part of a server's path.
fn token_url(reader: &mut Reader<'_, '_>) -> Option<String> {
    url(reader, "token_url")?;
    reader.maybe_text("token_url")
}

fn url(reader: &mut Reader<'_, '_>, name: &str) -> Option<String> {
    let text = reader.maybe_text(name)?;
    let url = text.trim_end_matches('/').to_owned();
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let plain = |rest: &str| !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || "?#@".contains(c));
    if !rest.is_some_and(plain) {
        reader.fault(name, "is no http:// or https:// address; write scheme and host, without user, `?` or `#`");
    } else if url.starts_with("http://") && !is_loopback(&url) {
        reader.warn(name, "tokens and orders travel unencrypted over http://; use https:// outside of tests");
    }
    Some(url)
}

fn token_file(reader: &mut Reader<'_, '_>, apps: usize) -> Option<String> {
    let path = reader.maybe_text("token_file")?;
    if reader.given("token_url") {
        reader.fault("token_file", "stands beside token_url; keep one of them");
    }
    if apps > 1 && !path.contains(APP_ID) {
        reader.fault("token_file", "names one file for several apps; put {app_id} where their ids belong");
    }
    Some(path)
}

fn share_tokens(reader: &mut Reader<'_, '_>, is_shared_elsewhere: bool, around: Around) -> bool {
    if !reader.given("share_tokens") {
        return around.exactly_once && !is_shared_elsewhere;
    }
    let on = reader.switch("share_tokens");
    if on && is_shared_elsewhere {
        reader.fault("share_tokens", "is of no use beside token_url or token_file, which share tokens; leave it out");
    }
    on
}

fn is_loopback(url: &str) -> bool {
    let host = url.trim_start_matches("http://").split('/').next().unwrap_or_default();
    ["127.", "localhost", "[::1]"].iter().any(|local| host.starts_with(local))
}

fn proxy(reader: &mut Reader<'_, '_>) -> Option<SecretString> {
    let proxy = reader.secret("proxy")?;
    // Without a user and a password the address is no secret; they end with an @.
    if proxy.expose_secret().contains('@') {
        reader.warn_of_secret_flag("proxy");
    }
    let known = ["http://", "https://", "socks5://", "socks5h://"];
    if !known
        .iter()
        .any(|scheme| proxy.expose_secret().len() > scheme.len() && proxy.expose_secret().starts_with(scheme))
    {
        reader.fault("proxy", "is no proxy address; write http://, https:// or socks5:// and host:port");
    }
    Some(proxy)
}

fn ca_file(reader: &mut Reader<'_, '_>) -> Option<PathBuf> {
    let path = reader.path("ca_file")?;
    if reader.context.need == super::Need::Run
        && reader.file("ca_file", &path).is_some_and(|text| !text.contains("-----BEGIN CERTIFICATE-----"))
    {
        reader.fault("ca_file", format!("{} holds no PEM certificate", path.display()));
    }
    Some(path)
}
