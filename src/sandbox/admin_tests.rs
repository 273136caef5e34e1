//! What scripts read and set under `/_sandbox/`.

use serde_json::json;

use super::super::kit::{call, eventually, push, sandbox, send, token};

const STAMP: i64 = 1_694_761_400;

#[test]
fn report_orders_and_reset() {
    let handle = sandbox(|_| {});
    let token = token(&handle);
    for order in ["a/1", "b&2", "<script>"] {
        send(&handle, &push(&token, order, STAMP)).unwrap();
    }
    send(&handle, &push("0801x", "a/1", STAMP)).unwrap();
    let get = |path: &str| call(&handle, "GET", path, "").unwrap();
    let report = get("/_sandbox/report").json();
    assert_eq!((&report["received"], &report["applied"], &report["orders"]), (&json!(3), &json!(3), &json!(3)));
    assert_eq!(report["endpoints"]["/api/apps/order/v2/push"], 4);
    assert_eq!(report["unattributed"]["err_code 40002"], 1);
    assert_eq!(report["recent_refusals"][0]["err_code"], 40002);
    assert_eq!(report["recent_tokens"][0]["endpoint"], "/api/apps/v2/token");
    assert!(report["recent_tokens"][0]["at_ms"].as_u64() > Some(1_700_000_000_000), "{report}");
    assert_eq!(report["violations"].as_object().unwrap().len(), 5);
    eventually("CPU time is counted", || handle.report().cpu.seconds > 0.0);
    assert_eq!(get("/_sandbox/orders?search=b%262").json()["total"], 1);
    assert_eq!(get("/_sandbox/orders?app_id=tt2").json()["total"], 0);
    assert_eq!(get("/_sandbox/orders?limit=2&offset=2").json()["orders"].as_array().unwrap().len(), 1);
    let order = get("/_sandbox/orders/tt1/a%2F1").json();
    assert_eq!((&order["stamp"], &order["detail"]["order_id"]), (&json!(STAMP), &json!("a/1")));
    assert_eq!(order["history"][0]["digest"].as_str().unwrap().len(), 64);
    assert_eq!(order["history"][0]["body"], push("", "a/1", STAMP).to_string());
    assert_eq!(get("/_sandbox/orders/tt1/none").status, 404);
    assert_eq!(call(&handle, "DELETE", "/_sandbox/orders", "").unwrap().status, 200);
    assert_eq!(get("/_sandbox/report").json()["received"], 0);
    assert_eq!(send(&handle, &push(&token, "a/1", STAMP)).unwrap().err_code(), 0);
}

#[test]
fn faults_outages_tokens_and_clock() {
    let handle = sandbox(|_| {});
    let token = token(&handle);
    let put = |path: &str, body: &str| call(&handle, "PUT", path, body).unwrap();
    let set = put("/_sandbox/faults", r#"{"faults":["code:5/a, b@x"],"latency":"1ms","jitter":"2ms"}"#).json();
    assert_eq!(set, json!({ "faults": ["code:5/a, b@order:x"], "latency": "1ms", "jitter": "2ms" }));
    assert_eq!(send(&handle, &push(&token, "x", STAMP)).unwrap().err_code(), 5);
    assert_eq!(put("/_sandbox/faults", r#"{"faults":"boom"}"#).status, 400);
    assert_eq!(put("/_sandbox/faults", r#"{"fault":"reset"}"#).status, 400);
    call(&handle, "DELETE", "/_sandbox/faults", "").unwrap();
    assert_eq!(send(&handle, &push(&token, "x", STAMP)).unwrap().err_code(), 0);
    assert_eq!(put("/_sandbox/outages", r#"{"outages":["refuse"]}"#).status, 400);
    let outages = put("/_sandbox/outages", r#"{"outages":["http:503 after 1h for 5s"]}"#).json();
    assert!(outages["outages"][0].as_str().unwrap().starts_with("http:503 after "), "{outages}");
    assert_eq!(send(&handle, &push(&token, "x", STAMP)).unwrap().status, 200);
    call(&handle, "POST", "/_sandbox/clock/advance", r#"{"by":"1h"}"#).unwrap();
    assert_eq!(send(&handle, &push(&token, "x", STAMP)).unwrap().status, 503);
    call(&handle, "DELETE", "/_sandbox/outages", "").unwrap();
    let evicted = call(&handle, "POST", "/_sandbox/tokens/evict", r#"{"app_id":"tt1"}"#).unwrap().json();
    assert_eq!(evicted, json!({ "evicted": 1 }));
    assert_eq!(send(&handle, &push(&token, "x", STAMP)).unwrap().err_code(), 40014);
}

#[test]
fn simple_requests_of_other_sites_change_nothing() {
    let handle = sandbox(|_| {});
    let body = r#"{"faults":"reset"}"#;
    let request = format!(
        "PUT /_sandbox/faults HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(super::super::kit::raw(handle.address(), &request).unwrap().status, 415);
}

#[test]
fn percent_codes() {
    for (text, expected) in [("a%2Fb", "a/b"), ("%E5%8D%95", "单"), ("100%", "100%"), ("%zz", "%zz"), ("%单", "%单")]
    {
        assert_eq!(super::decode(text), expected);
    }
}
