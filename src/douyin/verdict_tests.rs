//! The verdict as a table, and its totality.

use std::time::Duration;

use proptest::prelude::*;

use super::table::{OutcomeTable, UserRule};
use super::verdict::{Answer, Break, Exchange, Judgement, Verdict, judge_push};

fn answered(status: u16, body: &[u8]) -> Exchange {
    Exchange::Answered(Answer { status, retry_after: None, body: body.to_vec() })
}

fn judge(status: u16, body: &str) -> Judgement {
    judge_push(&answered(status, body.as_bytes()), &OutcomeTable::built_in().unwrap())
}

fn check(status: u16, body: &str, verdict: Verdict, rule: &str) {
    let judgement = judge(status, body);
    assert_eq!((judgement.verdict, &*judgement.rule), (verdict, rule), "HTTP {status} {body}");
}

fn check_code(code: i64, message: &str, verdict: Verdict, rule: &str) {
    check(200, &format!(r#"{{"err_code":{code},"err_msg":"{message}","body":""}}"#), verdict, rule);
}

/// An answer with `err_code` 0 and this inner body, as JSON text.
fn check_inner(inner: &str, verdict: Verdict, rule: &str) {
    let body = serde_json::json!({"err_code": 0, "err_msg": "", "body": inner}).to_string();
    check(200, &body, verdict, rule);
}

#[test]
fn codes_of_the_push() {
    check_code(0, "", Verdict::Accepted, "success");
    check_code(-1, "系统错误,请重试", Verdict::Retry, "system_error");
    check_code(40002, "", Verdict::RefreshToken, "access_token_wrong");
    for code in [40003, 40012, 40031] {
        check_code(code, "open_id错误", Verdict::Reject, "open_id_wrong");
    }
    check_code(40014, "bad access token", Verdict::RefreshToken, "bad_access_token");
    check_code(40014, "Bad Access_Token", Verdict::RefreshToken, "bad_access_token");
    check_code(40014, "http 参数错误", Verdict::Reject, "bad_parameter");
    check_code(40014, "", Verdict::Reject, "bad_parameter");
    check_code(40016, "", Verdict::Suspend, "app_name_wrong");
    check_code(40022, "担保交易支付订单不存在", Verdict::Retry, "payment_order_unknown");
    check_code(40022, "business_line 错误", Verdict::Reject, "business_line_wrong");
    check_code(40099, "order_detail字段格式错误", Verdict::Reject, "order_detail_malformed");
    check_code(41234, "", Verdict::Retry, "unknown_code");
}

#[test]
fn codes_of_the_gateway() {
    let check = |codes: &[i64], verdict, rule: &str| codes.iter().for_each(|c| check_code(*c, "", verdict, rule));
    check(&[28_001_003, 28_001_008, 2_190_002, 2_190_008], Verdict::RefreshToken, "gateway_token_refused");
    check(&[28_001_005, 28_001_006, 2_100_004], Verdict::Retry, "gateway_busy");
    check(&[28_003_018, 28_001_052], Verdict::Retry, "gateway_slow_down");
    check(&[28_003_017, 2_190_001], Verdict::Suspend, "gateway_quota_used_up");
    check(&[28_001_007, 2_100_005], Verdict::Reject, "gateway_bad_parameter");
    check(&[28_001_015, 28_001_045, 28_001_046, 28_001_047], Verdict::Reject, "gateway_user_refused");
    check(
        &[28_001_014, 28_001_016, 28_001_056, 2_100_007, 2_190_004, 2_190_016],
        Verdict::Suspend,
        "gateway_app_refused",
    );
}

#[test]
fn what_is_no_such_answer_is_tried_again() {
    for body in ["", " ", "<html>", "null", "0", "[0,\"\",\"\"]", "\"ok\"", r#"{"err_code":0"#, r#"{"err_code":0}x"#] {
        check(200, body, Verdict::Retry, "no_json_object");
    }
    for code in [r#""0""#, "0.0", "1.0", "0e0", "true", "null", "[]", "{}", "99999999999999999999"] {
        check(200, &format!(r#"{{"err_code":{code},"err_msg":"","body":""}}"#), Verdict::Retry, "no_err_code");
    }
    check(200, "{}", Verdict::Retry, "no_err_code");
    check(200, r#"{"err_no":0,"err_tips":"success"}"#, Verdict::Retry, "no_err_code");
}

#[test]
fn the_status_weighs_against_the_body() {
    let ok = r#"{"err_code":0,"err_msg":"","body":""}"#;
    check(201, ok, Verdict::Accepted, "success");
    check(204, "", Verdict::Retry, "no_json_object");
    check(400, "", Verdict::Reject, "http_400");
    check(400, "<html>Bad Request</html>", Verdict::Reject, "http_400");
    check(400, r#"{"err_code":40002,"err_msg":""}"#, Verdict::RefreshToken, "access_token_wrong");
    check(400, r#"{"err_code":777,"err_msg":""}"#, Verdict::Retry, "unknown_code");
    check(401, r#"{"err_code":40014,"err_msg":"bad access token"}"#, Verdict::RefreshToken, "bad_access_token");
    check(403, r#"{"err_code":40016,"err_msg":""}"#, Verdict::Suspend, "app_name_wrong");
    for status in [400, 401, 403, 404] {
        check(status, ok, Verdict::Retry, "success_refuted_by_status");
    }
    for status in [401, 403, 404, 405, 408, 413, 499] {
        check(status, "no", Verdict::Retry, "http_4xx");
    }
    check(429, ok, Verdict::Retry, "http_429");
    for status in [500, 502, 503, 504, 599] {
        check(status, ok, Verdict::Retry, "http_5xx");
        check(status, r#"{"err_code":40003}"#, Verdict::Retry, "http_5xx");
    }
    for status in [301, 302, 307] {
        check(status, ok, Verdict::Retry, "http_redirect");
    }
    for status in [0, 101, 600, 999] {
        check(status, ok, Verdict::Retry, "http_unexpected");
    }
}

#[test]
fn no_whole_answer_is_tried_again() {
    let table = OutcomeTable::built_in().unwrap();
    let rules = ["no_connection", "timeout", "connection_lost", "answer_too_large", "not_http"];
    for (broken, rule) in Break::ALL.into_iter().zip(rules) {
        let judgement = judge_push(&Exchange::Broken(broken), &table);
        assert_eq!((judgement.verdict, &*judgement.rule), (Verdict::Retry, rule));
    }
}

#[test]
fn the_inner_body_can_refute_a_success() {
    check_inner("", Verdict::Accepted, "success");
    check_inner("{}", Verdict::Accepted, "success");
    check_inner(r#"{"data":{"error_code":0,"description":"","order_id":"1"}}"#, Verdict::Accepted, "success");
    check_inner(r#"{"data":{"error_code":"0"},"extra":{"error_code":0,"logid":"x"}}"#, Verdict::Accepted, "success");
    check_inner(r#"{"data":null,"extra":[]}"#, Verdict::Accepted, "success");
    check_inner("ok", Verdict::Accepted, "success_opaque_body");
    check_inner("[1", Verdict::Accepted, "success_opaque_body");
    check_inner(r#"{"data":{"error_code":40"#, Verdict::Retry, "inner_body_cut_off");
    for inner in [r#"{"error_code":40003}"#, r#"{"data":{"error_code":"40003"}}"#, r#"{"extra":{"error_code":40003}}"#]
    {
        check_inner(inner, Verdict::Reject, "open_id_wrong");
    }
    check_inner(r#"{"data":{"error_code":0},"extra":{"error_code":2100004}}"#, Verdict::Retry, "gateway_busy");
    check_inner(
        r#"{"data":{"error_code":40014,"description":"bad access token"}}"#,
        Verdict::RefreshToken,
        "bad_access_token",
    );
    check_inner(r#"{"data":{"error_code":5,"description":"?"}}"#, Verdict::Retry, "unknown_inner_code");
    check_inner(r#"{"data":{"err_no":"6"}}"#, Verdict::Retry, "unknown_inner_code");
    check_inner(r#"{"data":{"error_code":"E1"}}"#, Verdict::Retry, "inner_code_unreadable");
    check_inner(r#"{"data":{"error_code":true}}"#, Verdict::Retry, "inner_code_unreadable");
    check(200, r#"{"err_code":0,"body":{"data":{"error_code":40003}}}"#, Verdict::Reject, "open_id_wrong");
    check(200, r#"{"err_code":0,"body":null}"#, Verdict::Accepted, "success");
    check(200, r#"{"err_code":0}"#, Verdict::Accepted, "success");
    check(200, r#"{"err_code":-1,"body":"{\"error_code\":40003}"}"#, Verdict::Retry, "system_error");
    assert_eq!(judge(200, r#"{"err_code":0,"body":"{\"error_code\":\"40003\"}"}"#).err_code, Some(40003));
}

#[test]
fn retry_after_is_kept_and_codes_are_told() {
    let table = OutcomeTable::built_in().unwrap();
    let wait = Some(Duration::from_secs(7));
    for (status, body) in [(429, "".as_bytes()), (503, b""), (200, br#"{"err_code":-1}"#)] {
        let answer = Answer { status, retry_after: wait, body: body.to_vec() };
        assert_eq!(judge_push(&Exchange::Answered(answer), &table).retry_after, wait);
    }
    assert_eq!(judge(200, r#"{"err_code":-1}"#).err_code, Some(-1));
    assert_eq!(judge(200, "").err_code, None);
}

#[test]
fn a_code_that_the_user_calls_accepted_needs_a_2xx() {
    let rule = UserRule { code: 61, message_contains: None, verdict: "accepted".into(), meaning: "seen".into() };
    let table = OutcomeTable::new(&[rule]).unwrap();
    let check = |status, body: &[u8], verdict| {
        assert_eq!(judge_push(&answered(status, body), &table).verdict, verdict);
    };
    check(200, br#"{"err_code":61}"#, Verdict::Accepted);
    check(200, br#"{"err_code":0,"body":"{\"error_code\":61}"}"#, Verdict::Accepted);
    check(400, br#"{"err_code":61}"#, Verdict::Retry);
    check(500, br#"{"err_code":61}"#, Verdict::Retry);
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof!["-?[0-9]{1,20}", "\"[0-9a-z]{0,3}\"", Just("0".to_owned()), Just("null".to_owned())];
    let inner = prop_oneof!["\\PC{0,20}", r#"\{"data":\{"error_code":"?[0-9]{1,5}"?\}\}"#, Just(String::new())];
    let reply = (code, "\\PC{0,12}", inner).prop_map(|(code, message, body)| {
        let (message, body) = (serde_json::json!(message), serde_json::json!(body));
        format!(r#"{{"err_code":{code},"err_msg":{message},"body":{body}}}"#).into_bytes()
    });
    prop_oneof![reply, proptest::collection::vec(any::<u8>(), 0..64)]
}

proptest! {
    #[test]
    fn every_answer_has_a_named_verdict(status in prop_oneof![any::<u16>(), 100u16..600], body in bodies()) {
        let table = OutcomeTable::built_in().unwrap();
        let judgement = judge_push(&answered(status, &body), &table);
        prop_assert!(table.rule(&judgement.rule).is_some(), "{}", judgement.rule);
        if judgement.verdict == Verdict::Accepted {
            prop_assert!((200..300).contains(&status));
            let reply: serde_json::Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(reply["err_code"].as_i64(), Some(0));
            let inner: serde_json::Value =
                serde_json::from_str(reply["body"].as_str().unwrap_or_default()).unwrap_or_default();
            let code = &inner["data"]["error_code"];
            prop_assert!(code.is_null() || code == 0 || code.as_str().is_some_and(|c| c.trim_start_matches('0').is_empty()));
        }
    }
}
