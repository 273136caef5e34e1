//! What the edge puts on the wire, and how many wires it opens.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use order_sync::config::Secret;
use order_sync::douyin::verdict::{Break, Exchange};

use crate::http_harness::{Harness, REQUEST, douyin};
use crate::http_server::{Reply, Seen, Server, accepted, answer, serve, token};
use crate::support::NOBODY;

/// A platform that accepts everything.
fn script(seen: &Seen) -> Reply {
    if seen.is_token() { token("0801\"canary") } else { accepted() }
}

#[test]
fn a_push_is_one_post_with_the_token_in_front() {
    let server = Server::start(script);
    assert_eq!(Harness::ready(&format!("{}/", server.url())).answered().status, 200);
    let [push] = &server.pushes()[..] else { panic!("one push") };
    assert_eq!(push.line, "POST /api/apps/order/v2/push HTTP/1.1");
    let length = push.body.len().to_string();
    let mut headers: Vec<_> = push.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.sort_unstable();
    let host = server.address.to_string();
    // `accept` is the HTTP library's own; nothing names a user agent, nothing is chunked or compressed.
    let expect =
        [("accept", "*/*"), ("content-length", length.as_str()), ("content-type", "application/json"), ("host", &host)];
    assert_eq!(headers, expect);
    assert_eq!(String::from_utf8_lossy(&push.body), format!(r#"{{"access_token":"0801\"canary",{}"#, &REQUEST[1..]));
    let body: serde_json::Value = serde_json::from_slice(&push.body).unwrap();
    assert_eq!(body["access_token"], "0801\"canary");
}

#[test]
fn a_path_of_the_base_url_stays() {
    let server = Server::start(script);
    Harness::ready(&format!("{}/douyin", server.url())).answered();
    let lines: Vec<_> = server.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(lines, ["POST /douyin/api/apps/v2/token HTTP/1.1", "POST /douyin/api/apps/order/v2/push HTTP/1.1"]);
}

#[test]
fn one_after_another_needs_one_connection() {
    let server = Server::start(script);
    let mut harness = Harness::ready(&server.url());
    (0..1_000).for_each(|_| assert_eq!(harness.answered().status, 200));
    assert_eq!((server.pushes().len(), server.connections()), (1_000, 1));
}

#[test]
fn connections_are_kept_for_all_in_flight() {
    const IN_FLIGHT: usize = 16;
    let server = Server::start(script);
    let mut harness = Harness::ready(&server.url());
    (0..IN_FLIGHT as u64).for_each(|ticket| harness.start(ticket));
    let mut ended = HashSet::new();
    for next in IN_FLIGHT as u64..1_000 + IN_FLIGHT as u64 {
        let (ticket, _, exchange, _) = harness.attempted();
        assert!(matches!(exchange, Exchange::Answered(_)), "{exchange:?}");
        assert!(ended.insert(ticket), "each attempt ends once");
        if next < 1_000 {
            harness.start(next);
        }
    }
    assert_eq!(server.pushes().len(), 1_000);
    // A request that finds all in use opens one and may still be served by another that comes free.
    assert!(server.connections() <= 2 * IN_FLIGHT, "{} connections", server.connections());
}

#[test]
fn a_connection_that_was_closed_meanwhile_costs_no_attempt() {
    let server = Server::start(|seen| match script(seen) {
        Reply::Keep(bytes) => Reply::Close(bytes),
        other @ (Reply::Close(_) | Reply::Silence) => other,
    });
    let mut harness = Harness::ready(&server.url());
    for _ in 0..20 {
        // The peer's close takes a moment to arrive; a request that is sent in it is lost, as it is with any client.
        std::thread::yield_now();
        match harness.push() {
            Exchange::Answered(answer) => assert_eq!(answer.status, 200),
            Exchange::Broken(why) => assert_eq!(why, Break::Reset),
        }
    }
}

#[test]
fn an_echoed_token_does_not_come_back() {
    let server = Server::start(|seen| {
        if seen.is_token() {
            return token("0801canary");
        }
        let echo = format!("blocked: {}", String::from_utf8_lossy(&seen.body));
        Reply::Keep(answer("403 Forbidden", "", &echo))
    });
    let answer = Harness::ready(&server.url()).answered();
    let body = String::from_utf8(answer.body).unwrap();
    assert!(body.starts_with(r#"blocked: {"access_token":"[redacted]","app_name":"#), "{body}");
}

#[test]
fn a_proxy_carries_everything() {
    // A proxy for plain HTTP gets the whole URL; that this server answers itself changes nothing for the client.
    let proxy = Server::start(script);
    let mut settings = douyin("http://developer.invalid");
    settings.proxy = Some(format!("http://user:p%40ss@{}", proxy.address).into());
    let mut harness = Harness::new(&settings, Secret::Inline("s3cret".into()));
    harness.fetch().unwrap();
    assert_eq!(harness.answered().status, 200);
    let [push] = &proxy.pushes()[..] else { panic!("one push") };
    assert_eq!(push.line, "POST http://developer.invalid/api/apps/order/v2/push HTTP/1.1");
    assert_eq!(push.header("proxy-authorization"), Some("Basic dXNlcjpwQHNz"));
    assert_eq!(push.header("host"), Some("developer.invalid"));
}

#[test]
fn a_socks_proxy_too() {
    let proxy = Server::accept(|server, socket| {
        socks_greeting(&socket);
        serve(&server, &mut BufReader::new(socket.try_clone().unwrap()), socket, &script);
    });
    let mut settings = douyin("http://127.0.0.9:81");
    settings.proxy = Some(format!("socks5://{}", proxy.address).into());
    let mut harness = Harness::new(&settings, Secret::Inline("s3cret".into()));
    harness.fetch().unwrap();
    assert_eq!(harness.answered().status, 200);
    assert_eq!(proxy.pushes()[0].line, "POST /api/apps/order/v2/push HTTP/1.1");
}

/// RFC 1928 without authentication, to an IPv4 address.
fn socks_greeting(mut socket: &TcpStream) {
    let mut greeting = [0; 2];
    socket.read_exact(&mut greeting).unwrap();
    socket.read_exact(&mut vec![0; usize::from(greeting[1])]).unwrap();
    socket.write_all(&[5, 0]).unwrap();
    let mut connect = [0; 10];
    socket.read_exact(&mut connect).unwrap();
    assert_eq!(connect, [5, 1, 0, 1, 127, 0, 0, 9, 0, 81]);
    socket.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
}

#[test]
fn a_proxy_that_is_not_there_is_no_connection() {
    let mut settings = douyin("http://developer.invalid");
    settings.proxy = Some(format!("http://{NOBODY}").into());
    settings.request_timeout = Duration::from_secs(2);
    let mut harness = Harness::new(&settings, Secret::Inline("s3cret".into()));
    assert!(harness.fetch().unwrap_err().contains("verdict: Retry"));
}
