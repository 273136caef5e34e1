//! Each fault, outage and check of HTTP over a real socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::kit::{call, coupon_detail, eventually, post, push, raw, sandbox, send, token};
use super::{Faults, LogIds, OutageMode, Outcome, SandboxHandle};

const STAMP: i64 = 1_694_761_400;

fn faults(handle: &SandboxHandle, text: &str) {
    handle.set_faults(Faults::parse(text).unwrap());
}

fn outcome(handle: &SandboxHandle, order: &str) -> Option<Outcome> {
    handle.history("tt1", order).last().map(|received| received.outcome)
}

#[test]
fn a_push_becomes_the_state() {
    let handle = sandbox(|_| {});
    let token = token(&handle);
    let seen = send(&handle, &push(&token, "o-1", STAMP)).unwrap();
    assert_eq!((seen.status, seen.body.as_str()), (200, r#"{"err_code":0,"err_msg":"","body":""}"#));
    let order = handle.order("tt1", "o-1").unwrap();
    assert_eq!((order.stamp, order.order_status, order.order_type), (Some(STAMP), Some(1), 0));
    assert_eq!(order.detail().unwrap()["order_id"], "o-1");
    let history = handle.history("tt1", "o-1");
    assert_eq!(history[0].body, push("", "o-1", STAMP).to_string());
    assert!(!format!("{history:?}{:?}", handle.report()).contains(&token));
}

#[test]
fn a_poi_answer_carries_the_inner_result() {
    let handle = sandbox(|_| {});
    let body = super::kit::body(&token(&handle), 9101, STAMP, &coupon_detail("c-1"));
    let inner = r#"{"data":{"description":"","error_code":0,"order_id":"c-1"}}"#;
    let answer = send(&handle, &body).unwrap().json();
    assert_eq!(answer["body"].as_str().map(serde_json::from_str::<serde_json::Value>).unwrap().unwrap(), {
        serde_json::from_str::<serde_json::Value>(inner).unwrap()
    });
    faults(&handle, "inner:5");
    let answer = send(&handle, &super::kit::body(&token(&handle), 9101, STAMP + 1, &coupon_detail("c-1"))).unwrap();
    assert_eq!(answer.err_code(), 0);
    assert!(answer.json()["body"].as_str().unwrap().contains(r#""error_code":5"#));
    assert_eq!(outcome(&handle, "c-1"), Some(Outcome::Refused));
    assert_eq!(handle.history("tt1", "c-1")[1].err_code, 5);
}

#[test]
fn answers_name_themselves_where_they_are_asked_to() {
    let handle = sandbox(|options| options.log_ids = LogIds::InExtra);
    let token = token(&handle);
    let mut seen = Vec::new();
    let mut logid = |body: &serde_json::Value, order: &str, n: u64| {
        let told = send(&handle, body).unwrap().json()["extra"]["logid"].as_str().unwrap().to_owned();
        assert!(told.len() == 32 && told.bytes().all(|byte| byte.is_ascii_hexdigit()), "{told}");
        assert_eq!(Some(&told), handle.log_id("tt1", order, n).as_ref());
        assert!(!seen.contains(&told), "{told}");
        seen.push(told);
    };
    logid(&push(&token, "o-1", STAMP), "o-1", 0);
    logid(&super::kit::body(&token, 9101, STAMP, &coupon_detail("c-1")), "c-1", 0);
    faults(&handle, "code:40003");
    logid(&push(&token, "o-1", STAMP + 1), "o-1", 1);
    assert_eq!(sandbox(|_| {}).log_id("tt1", "o-1", 0), None);
}

#[test]
fn stale_and_equal_stamps_are_ignored_in_silence() {
    let handle = sandbox(|_| {});
    let token = token(&handle);
    for (stamp, expected) in
        [(5, Outcome::Applied), (5, Outcome::Ignored), (4, Outcome::Ignored), (6, Outcome::Applied)]
    {
        let seen = send(&handle, &push(&token, "o-1", STAMP + stamp)).unwrap();
        assert_eq!((seen.err_code(), outcome(&handle, "o-1")), (0, Some(expected)), "{stamp}");
    }
    assert_eq!(handle.order("tt1", "o-1").unwrap().stamp, Some(STAMP + 6));
    let report = handle.report();
    assert_eq!((report.applied, report.ignored, report.repeats), (2, 2, 1));
}

#[test]
fn tokens_on_the_wire() {
    let handle = sandbox(|options| options.apps = vec!["tt1:s:ck".parse().unwrap()]);
    let access = |body| post(&handle, "/api/apps/v2/token", &body).unwrap().json()["err_no"].as_i64().unwrap();
    let client =
        |body| post(&handle, "/oauth/client_token/", &body).unwrap().json()["data"]["error_code"].as_i64().unwrap();
    let grant = "client_credential";
    for (body, expected) in [
        (json!({ "appid": "tt1", "secret": "s", "grant_type": grant }), 0),
        (json!({ "app_id": "tt1", "secret": "s", "grant_type": grant }), 40015),
        (json!({ "appid": "tt2", "secret": "s", "grant_type": grant }), 40015),
        (json!({ "appid": "tt1", "secret": "x", "grant_type": grant }), 40017),
        (json!({ "appid": "tt1", "grant_type": grant }), 40017),
        (json!({ "appid": "tt1", "secret": "s", "grant_type": "x" }), 40020),
    ] {
        assert_eq!(access(body.clone()), expected, "{body}");
    }
    for (body, expected) in [
        (json!({ "client_key": "ck", "client_secret": "s", "grant_type": grant }), 0),
        (json!({ "client_key": "tt1", "client_secret": "s", "grant_type": grant }), 0),
        (json!({ "client_key": "ck", "grant_type": grant }), 10002),
        (json!({ "client_key": "xx", "client_secret": "s", "grant_type": grant }), 10003),
        (json!({ "client_key": "ck", "client_secret": "x", "grant_type": grant }), 10013),
    ] {
        assert_eq!(client(body.clone()), expected, "{body}");
    }
    let stable = || {
        let body = json!({ "client_key": "ck", "client_secret": "s", "grant_type": grant });
        post(&handle, "/oauth/stable_client_token/", &body).unwrap().json()["data"]["access_token"].to_string()
    };
    assert_eq!(stable(), stable());
    assert_eq!(call(&handle, "POST", "/api/apps/v2/token", "appid=tt1").unwrap().status, 400);
    let other_key = super::kit::body(&token(&handle), 9101, STAMP, &coupon_detail("c-1"));
    let other_key = other_key.to_string().replace("\"client_key\":\"ck\"", "\"client_key\":\"kc\"");
    assert_eq!(call(&handle, "POST", "/api/apps/order/v2/push", &other_key).unwrap().err_code(), 40014);
}

#[test]
fn tokens_expire_retire_and_are_evicted() {
    let handle = sandbox(|_| {});
    let first = token(&handle);
    let says = |token: &str| {
        let seen = send(&handle, &push(token, "o-1", STAMP)).unwrap().json();
        (seen["err_code"].as_i64().unwrap(), seen["err_msg"].as_str().unwrap().to_owned())
    };
    let dead = (40014, "bad access token".to_owned());
    assert_eq!(says("0801nonsense").0, 40002);
    assert_eq!(says(&first).0, 0);
    let second = token(&handle);
    handle.advance_clock(Duration::from_secs(299));
    assert_eq!(says(&first).0, 0);
    handle.advance_clock(Duration::from_secs(1));
    assert_eq!((says(&first), says(&second).0), (dead.clone(), 0));
    handle.advance_clock(Duration::from_secs(7200));
    assert_eq!(says(&second), dead);
    let third = token(&handle);
    assert_eq!(handle.evict_tokens(Some("tt1")), 1);
    assert_eq!(says(&third), dead);
    let fourth = token(&handle);
    faults(&handle, "evict");
    assert_eq!(says(&fourth), dead);
    handle.set_faults(Faults::default());
    assert_eq!(says(&fourth), dead);
}

#[test]
fn http_itself_is_checked() {
    let handle = sandbox(|_| {});
    let body = push(&token(&handle), "o-1", STAMP).to_string();
    let path = "/api/apps/order/v2/push";
    assert_eq!(call(&handle, "GET", path, &body).unwrap().status, 405);
    assert_eq!(call(&handle, "POST", path, "not json").unwrap().status, 400);
    assert_eq!(call(&handle, "POST", path, "[]").unwrap().status, 400);
    assert_eq!(call(&handle, "POST", "/api/apps/order/push", &body).unwrap().status, 404);
    let with = |head: &str, body: &str| {
        raw(handle.address(), &format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n\r\n{body}"))
    };
    let length = format!("Content-Length: {}", body.len());
    assert_eq!(with(&length, &body).unwrap().status, 415);
    assert_eq!(with(&format!("Content-Type: text/plain\r\n{length}"), &body).unwrap().status, 415);
    assert_eq!(with(&format!("Content-Type: application/json; charset=UTF-8\r\n{length}"), &body).unwrap().status, 200);
    let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    assert_eq!(with("Content-Type: application/json\r\nTransfer-Encoding: chunked", &chunk).unwrap().status, 411);
    let huge = "Content-Type: application/json\r\nContent-Length: 1048577";
    assert_eq!(with(huge, "").unwrap().status, 413);
    assert_eq!(handle.report().unattributed["HTTP 400"], 2);
}

#[test]
fn answers_that_are_answers() {
    let handle = sandbox(|_| {});
    let token = token(&handle);
    // fault, status, part of the body, whether the push is taken
    for (at, (fault, status, part, taken)) in [
        ("code:-1", 200, r#""err_code":-1"#, false),
        ("code:-1+applied", 200, r#""err_code":-1"#, true),
        ("code:40022/担保交易支付订单不存在", 200, "担保交易支付订单不存在", false),
        ("http:503", 503, "<html>", false),
        ("http:502+applied", 502, "<html>", true),
        ("throttle:7", 429, "<html>", false),
        ("html", 200, "<html>", false),
        ("cut-json+applied", 200, r#"{"err_code":0,"err"#, true),
        ("string-code+applied", 200, r#""err_code":"0""#, true),
        ("huge+applied", 200, "xxxx", true),
        ("late:30ms", 200, r#""err_code":0"#, true),
        ("slow:80ms", 200, r#""err_code":0,"err_msg":"","body":""}"#, true),
    ]
    .into_iter()
    .enumerate()
    {
        let order = format!("o-{at}");
        faults(&handle, fault);
        let seen = send(&handle, &push(&token, &order, STAMP)).unwrap();
        assert_eq!(seen.status, status, "{fault}");
        assert!(seen.body.contains(part), "{fault}: {}", seen.body);
        let expected = if taken { Outcome::Applied } else { Outcome::Refused };
        assert_eq!(outcome(&handle, &order), Some(expected), "{fault}");
        assert_eq!(handle.history("tt1", &order)[0].fault.as_deref(), Some(fault));
        assert_eq!(handle.report().faults[fault], 1);
        if status == 429 {
            assert!(seen.head.contains("retry-after: 7"), "{}", seen.head);
        }
        if fault.starts_with("huge") {
            assert!(seen.body.len() > 64 * 1024);
        }
    }
}

#[test]
fn answers_that_are_none() {
    let handle = sandbox(|_| {});
    let token = token(&handle);
    for (fault, taken) in [("reset", false), ("reset+applied", true), ("cut-body", false), ("cut-body+applied", true)] {
        faults(&handle, fault);
        let seen = send(&handle, &push(&token, fault, STAMP));
        if fault.starts_with("reset") {
            assert_eq!(seen.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset, "{fault}");
        } else {
            let seen = seen.unwrap();
            let promised = seen.head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            assert!(seen.body.len() < promised.parse().unwrap() && !seen.body.is_empty(), "{seen:?}");
        }
        let expected = if taken { Outcome::Applied } else { Outcome::Refused };
        assert_eq!(outcome(&handle, fault), Some(expected), "{fault}");
        assert_eq!(handle.history("tt1", fault)[0].http_status, None);
    }
}

#[test]
fn silence_lasts_until_the_pusher_leaves() {
    let handle = sandbox(|_| {});
    let body = push(&token(&handle), "o-1", STAMP).to_string();
    faults(&handle, "silent+applied");
    let mut stream = TcpStream::connect(handle.address()).unwrap();
    let head = format!(
        "POST /api/apps/order/v2/push HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    eventually("the push is taken", || outcome(&handle, "o-1") == Some(Outcome::Applied));
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(stream.read(&mut [0; 1]).is_err());
    drop(stream);
    // The pusher may try again at once: that is no overlap.
    handle.set_faults(Faults::default());
    assert_eq!(call(&handle, "POST", "/api/apps/order/v2/push", &body).unwrap().err_code(), 0);
    assert_eq!(handle.report().violations_total, 0);
}

#[test]
fn outages_come_and_pass() {
    let handle = sandbox(|_| {});
    let body = push(&token(&handle), "o-1", STAMP);
    handle.set_outages(&["http:503 after 10s for 30s".parse().unwrap()]);
    assert_eq!(send(&handle, &body).unwrap().status, 200);
    handle.advance_clock(Duration::from_secs(10));
    assert_eq!(send(&handle, &body).unwrap().status, 503);
    assert_eq!(post(&handle, "/api/apps/v2/token", &json!({})).unwrap().status, 503);
    assert_eq!(call(&handle, "GET", "/_sandbox/report", "").unwrap().status, 200);
    handle.advance_clock(Duration::from_secs(30));
    assert_eq!(send(&handle, &body).unwrap().status, 200);
    assert_eq!(handle.history("tt1", "o-1")[1].fault.as_deref(), Some("outage:http:503"));
    handle.set_outages(&[super::Outage::now(OutageMode::Refuse)]);
    eventually("connections are refused", || {
        send(&handle, &body).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    });
    handle.set_outages(&[]);
    eventually("connections are taken again", || send(&handle, &body).is_ok());
}

#[test]
fn faults_of_the_token_endpoint() {
    let handle = sandbox(|_| {});
    let ask = json!({ "appid": "tt1", "secret": "s", "grant_type": "client_credential" });
    faults(&handle, "code:40015@token");
    assert_eq!(post(&handle, "/api/apps/v2/token", &ask).unwrap().json()["err_no"], 40015);
    faults(&handle, "http:500@token");
    assert_eq!(post(&handle, "/api/apps/v2/token", &ask).unwrap().status, 500);
    assert_eq!(send(&handle, &push("x", "o-1", STAMP)).unwrap().status, 200);
    assert!(handle.report().tokens_issued.is_empty());
}

#[test]
fn latency_delays_the_answer_and_shows_overlaps() {
    let handle = sandbox(|options| options.faults.latency = Duration::from_millis(300));
    let token = token(&handle);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for stamp in [1, 2] {
            let (handle, token) = (&handle, &token);
            scope.spawn(move || send(handle, &push(token, "o-1", STAMP + stamp)).unwrap());
        }
        for order in ["o-2", "o-3"] {
            let (handle, token) = (&handle, &token);
            scope.spawn(move || send(handle, &push(token, order, STAMP)).unwrap());
        }
    });
    assert!(started.elapsed() >= Duration::from_millis(300));
    let report = handle.report();
    assert_eq!((report.violations["overlap"], report.violations["overlap_same_body"]), (1, 0));
    assert_eq!(&*report.violation_list.last().unwrap().order_id, "o-1");
}

#[test]
fn a_seed_repeats_its_faults() {
    let run = |seed| {
        let handle = sandbox(|options| options.seed = seed);
        let token = token(&handle);
        faults(&handle, "code:-1=30%,http:503=30%");
        let orders = (0..40).map(|order| order.to_string());
        orders.map(|order| send(&handle, &push(&token, &order, STAMP)).unwrap().status).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
