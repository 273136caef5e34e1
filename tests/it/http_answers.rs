//! What the edge makes of whole answers, and of those that are none.

use std::time::{Duration, SystemTime};

use order_sync::config::{Secret, TokenKind};
use order_sync::douyin::verdict::Break;

use crate::http_harness::{Harness, douyin};
use crate::http_server::{Reply, Seen, Server, answer, token};
use crate::support::NOBODY;

/// Tokens are given, pushes answered by `reply`.
fn server(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |seen: &Seen| if seen.is_token() { token("0801canary") } else { reply() })
}

fn check_answer(status: &str, headers: &str, body: &'static str, expect: (u16, Option<Duration>)) {
    let bytes = answer(status, headers, body);
    let server = server(move || Reply::Keep(bytes.clone()));
    let seen = Harness::ready(&server.url()).answered();
    assert_eq!((seen.status, seen.retry_after), expect, "{status} {headers:?}");
    assert_eq!(seen.body, body.as_bytes());
    assert_eq!(server.pushes().len(), 1, "one attempt is one request: {status}");
}

#[test]
fn whole_answers_come_as_they_are() {
    let secs = |secs| Some(Duration::from_secs(secs));
    check_answer("200 OK", "", r#"{"err_code":0,"err_msg":"","body":""}"#, (200, None));
    check_answer("200 OK", "", r#"{"err_code":40014,"err_msg":"bad access token","body":""}"#, (200, None));
    check_answer("200 OK", "", "", (200, None));
    check_answer("429 Too Many Requests", "Retry-After: 3\r\n", "slow down", (429, secs(3)));
    check_answer("429 Too Many Requests", "Retry-After: 999999999999999999999\r\n", "", (429, secs(86_400)));
    check_answer("429 Too Many Requests", "Retry-After: soon\r\n", "", (429, None));
    let dates = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:47 GMT\r\n";
    check_answer("503 Service Unavailable", dates, "", (503, secs(10)));
    check_answer("500 Internal Server Error", "", "<html>oops</html>", (500, None));
    check_answer("400 Bad Request", "", "", (400, None));
    check_answer("302 Found", "Location: /elsewhere\r\n", "", (302, None));
    check_answer("307 Temporary Redirect", "Location: http://127.0.0.1:1/\r\n", "", (307, None));
    check_answer("200 OK", "Content-Type: text/html\r\n", "<html>login</html>", (200, None));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the edge reads the same clock")]
fn a_retry_date_without_a_date_counts_from_our_clock() {
    let until = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
    let bytes = answer("429 Too Many Requests", &format!("Retry-After: {until}\r\n"), "");
    let server = server(move || Reply::Keep(bytes.clone()));
    let wait = Harness::ready(&server.url()).answered().retry_after.unwrap();
    assert!((Duration::from_secs(60)..=Duration::from_secs(100)).contains(&wait), "{wait:?}");
}

#[test]
fn an_answer_has_64_kib_at_most() {
    let chunked = |length: usize| {
        let body = "x".repeat(length);
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n").into_bytes()
    };
    let whole = |length: usize| answer("200 OK", "", &"x".repeat(length));
    for bytes in [whole(65_536), chunked(65_536)] {
        let server = server(move || Reply::Keep(bytes.clone()));
        assert_eq!(Harness::ready(&server.url()).answered().body.len(), 65_536);
    }
    let announced = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec();
    for bytes in [whole(65_537), chunked(65_537), announced] {
        let server = server(move || Reply::Close(bytes.clone()));
        assert_eq!(Harness::ready(&server.url()).broken(), Break::TooLarge);
    }
}

fn check_break(reply: impl Fn() -> Reply + Send + Sync + 'static, expect: Break) {
    let server = server(reply);
    assert_eq!(Harness::ready(&server.url()).broken(), expect);
}

#[test]
fn answers_that_are_none() {
    let close = |bytes: &'static [u8]| move || Reply::Close(bytes.to_vec());
    check_break(close(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"err_code\":0,"), Break::Reset);
    check_break(close(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"err"), Break::Reset);
    check_break(close(b"HTTP/1.1 200 OK\r\nContent-Le"), Break::Reset);
    check_break(close(b""), Break::Reset);
    check_break(close(b"SSH-2.0-OpenSSH_9.6\r\n"), Break::Protocol);
    check_break(close(b"HTTP/1.1 2000 OK\r\n\r\n"), Break::Protocol);
    check_break(close(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"), Break::Protocol);
}

/// The kernel resets a connection that is closed with unread bytes in it.
#[test]
fn a_reset_before_the_request_was_read() {
    let server = Server::accept(|server, socket| {
        if server.connections() == 1 {
            // The token's connection serves one request and says so.
            let reply = |_: &Seen| match token("0801canary") {
                Reply::Keep(bytes) => Reply::Close(bytes),
                other @ (Reply::Close(_) | Reply::Silence) => other,
            };
            let mut reader = std::io::BufReader::new(socket.try_clone().unwrap());
            return crate::http_server::serve(&server, &mut reader, socket, &reply);
        }
        socket.peek(&mut [0]).unwrap();
    });
    assert_eq!(Harness::ready(&server.url()).broken(), Break::Reset);
}

#[test]
fn silence_ends_with_the_time_out() {
    let server = server(|| Reply::Silence);
    let mut settings = douyin(&server.url());
    settings.request_timeout = Duration::from_millis(300);
    let mut harness = Harness::new(&settings, Secret::Inline("s3cret".into()));
    harness.fetch().unwrap();
    harness.start(1);
    let (_, _, exchange, latency) = harness.attempted();
    assert!(matches!(exchange, order_sync::douyin::verdict::Exchange::Broken(Break::Timeout)), "{exchange:?}");
    assert!((Duration::from_millis(300)..Duration::from_secs(3)).contains(&latency), "{latency:?}");
}

/// A body that trickles in does not outlive the attempt either.
#[test]
fn a_half_answer_ends_with_the_time_out() {
    let server = server(|| Reply::Keep(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{".to_vec()));
    let mut settings = douyin(&server.url());
    settings.request_timeout = Duration::from_millis(300);
    let mut harness = Harness::new(&settings, Secret::Inline("s3cret".into()));
    harness.fetch().unwrap();
    assert_eq!(harness.broken(), Break::Timeout);
}

#[test]
fn nobody_there() {
    let tokens = Server::start(|_| {
        let body = r#"{"data":{"access_token":"clt.canary","error_code":0,"expires_in":7200},"message":"success"}"#;
        Reply::Keep(answer("200 OK", "", body))
    });
    let mut settings = douyin(&format!("http://{NOBODY}"));
    let mut harness = Harness::new(&settings, Secret::Inline("s3cret".into()));
    let refusal = harness.fetch().unwrap_err();
    assert!(refusal.contains("verdict: Retry"), "{refusal}");

    settings.token = TokenKind::ClientToken;
    settings.open_base_url = tokens.url();
    let mut harness = Harness::new(&settings, Secret::Inline("s3cret".into()));
    harness.fetch().unwrap();
    assert_eq!(harness.broken(), Break::Connect);
}
