//! Where tokens come from, and that neither they nor the secrets are ever seen again.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use order_sync::config::{Secret, TokenKind};
use order_sync::douyin::token::Refused;
use order_sync::douyin::verdict::{Break, Exchange};
use order_sync::order::AppId;
use order_sync::sync::ports::{Attempts, Input, TokenGeneration};

use crate::http_harness::{APP, Harness, douyin};
use crate::http_server::{Reply, Seen, Server, accepted, answer, token};
use crate::support::heard::heard;

fn body(seen: &Seen) -> serde_json::Value {
    serde_json::from_slice(&seen.body).unwrap()
}

/// Gives a token named after the secret.
fn script(seen: &Seen) -> Reply {
    if !seen.is_token() {
        return accepted();
    }
    token(&format!("token-of-{}", body(seen)["secret"].as_str().unwrap()))
}

#[test]
fn an_app_without_a_token_sends_nothing() {
    let server = Server::start(script);
    let mut harness = Harness::new(&douyin(&server.url()), Secret::Inline("s3cret".into()));
    harness.start(3);
    let (ticket, generation, exchange, _) = harness.attempted();
    assert_eq!((ticket, generation), (3, TokenGeneration(0)));
    assert!(matches!(exchange, Exchange::Broken(Break::Connect)), "{exchange:?}");
    assert_eq!(server.connections(), 0);
}

#[test]
fn attempts_name_the_token_that_they_carried() {
    let server = Server::start(script);
    let mut harness = Harness::ready(&server.url());
    for expect in 1..4 {
        harness.start(expect);
        let (_, generation, ..) = harness.attempted();
        assert_eq!(generation, TokenGeneration(expect));
        assert_eq!(harness.fetch(), Ok((TokenGeneration(expect + 1), Duration::from_secs(7_200))));
    }
    assert!(server.pushes().iter().all(|push| body(push)["access_token"] == "token-of-s3cret"));
}

#[test]
fn a_changed_secret_file_is_read_again() {
    let server = Server::start(script);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    let mut harness = Harness::new(&douyin(&server.url()), Secret::File(file.clone()));
    let refusal = harness.fetch().unwrap_err();
    assert!(refusal.contains("verdict: Suspend") && refusal.contains("cannot read secret_file"), "{refusal}");
    for secret in ["first", "second"] {
        std::fs::write(&file, format!("  {secret}\n")).unwrap();
        harness.fetch().unwrap();
        harness.answered();
        let push = server.pushes().pop().unwrap();
        assert_eq!(body(&push)["access_token"], format!("token-of-{secret}"));
    }
    std::fs::write(&file, "\n").unwrap();
    let refusal = harness.fetch().unwrap_err();
    assert!(refusal.contains("verdict: Suspend") && refusal.contains("is empty"), "{refusal}");
    // The last token stays in use.
    assert_eq!(harness.answered().status, 200);
}

fn check_endpoint(kind: TokenKind, line: &str, expect: &serde_json::Value) {
    let server = Server::start(|seen| {
        let body = if seen.line.contains("client_token") {
            r#"{"data":{"access_token":"clt.canary","error_code":0,"expires_in":60},"message":"success"}"#
        } else {
            r#"{"err_no":0,"data":{"access_token":"0801canary","expires_in":60}}"#
        };
        Reply::Keep(answer("200 OK", "", body))
    });
    let mut settings = douyin(&server.url());
    settings.token = kind;
    let mut harness = Harness::new(&settings, Secret::Inline("s3cret".into()));
    assert_eq!(harness.fetch(), Ok((TokenGeneration(1), Duration::from_secs(60))));
    let [seen] = &server.seen()[..] else { panic!("one request") };
    assert_eq!((seen.line.as_str(), &body(seen)), (line, expect));
}

#[test]
fn each_kind_asks_its_endpoint() {
    let client = serde_json::json!({"grant_type": "client_credential", "client_key": APP, "client_secret": "s3cret"});
    let access = serde_json::json!({"appid": APP, "secret": "s3cret", "grant_type": "client_credential"});
    check_endpoint(TokenKind::AccessToken, "POST /api/apps/v2/token HTTP/1.1", &access);
    check_endpoint(TokenKind::ClientToken, "POST /oauth/client_token/ HTTP/1.1", &client);
    check_endpoint(TokenKind::StableClientToken, "POST /oauth/stable_client_token/ HTTP/1.1", &client);
}

#[test]
fn an_app_that_is_not_configured_is_refused() {
    let server = Server::start(script);
    let mut harness = Harness::new(&douyin(&server.url()), Secret::Inline("s3cret".into()));
    harness.edge.fetch_token(&AppId::new("tt9999"), TokenGeneration(0));
    let Input::TokenRefused { refused: Refused { message, .. }, .. } = harness.input() else { panic!("a refusal") };
    assert_eq!(message, "app tt9999 is not in the settings; add it to [[apps]]");
}

/// A runtime that ends takes its tasks with it; the engine hears of every one.
#[test]
fn an_attempt_that_is_cut_short_still_ends() {
    let server = Server::start(|seen| if seen.is_token() { token("0801canary") } else { Reply::Silence });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut harness = Harness::on(runtime.handle().clone(), &douyin(&server.url()), Secret::Inline("s3cret".into()));
    harness.fetch().unwrap();
    harness.start(5);
    while server.connections() == 0 || server.pushes().is_empty() {
        std::thread::yield_now();
    }
    runtime.shutdown_background();
    let (ticket, generation, exchange, _) = harness.attempted();
    assert_eq!((ticket, generation), (5, TokenGeneration(1)));
    assert!(matches!(exchange, Exchange::Broken(Break::Reset)), "{exchange:?}");
}

/// Refuses wrong secrets, gives tokens for others, echoes and breaks pushes.
fn echoing(seen: &Seen) -> Reply {
    let body = String::from_utf8_lossy(&seen.body);
    if !seen.is_token() {
        return Reply::Close(format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{body}").into());
    }
    if !body.contains("wrong") {
        return token("token-canary");
    }
    let echo = serde_json::json!({"err_no": 40017, "err_tips": body});
    Reply::Keep(answer("200 OK", "", &echo.to_string()))
}

/// Everything that the edge gives away or logs, at the most talkative level, through every kind of failure.
#[test]
fn no_token_no_secret_and_no_password_is_ever_printed() {
    let server = Server::start(echoing);
    let mut settings = douyin("http://developer.invalid");
    settings.proxy = Some(format!("http://user-canary:password-canary@{}", server.address).into());
    let mut printed = Vec::new();
    // On this thread alone, so that the log is ours alone.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let talkative = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
    let log = heard(
        |said| talkative.with_writer(move || said.clone()).finish(),
        || {
            for secret in ["wrong-canary", "secret-canary"] {
                let mut harness = Harness::on(runtime.handle().clone(), &settings, Secret::Inline(secret.into()));
                printed.push(format!("{:?} {settings:?}", harness.edge));
                harness.edge.fetch_token(&AppId::new(APP), TokenGeneration(0));
                printed.push(format!("{:?}", harness.input_on(&runtime)));
                harness.start(1);
                printed.push(format!("{:?}", harness.input_on(&runtime)));
            }
        },
    );
    printed.push(log);
    let printed = printed.concat();
    for part in ["TokenRefused", "TokenFetched", "Broken(Connect)", "Broken(Reset)", "TRACE"] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    assert!(!printed.contains("canary"), "{printed}");
}
