use super::*;
use crate::douyin::verdict::{Answer, Break};

fn answered(status: u16, body: &str) -> Exchange {
    Exchange::Answered(Answer { status, retry_after: None, body: body.as_bytes().to_vec() })
}

fn refuse(kind: TokenKind, exchange: &Exchange, verdict: Verdict, rule: &str) -> Refused {
    let table = OutcomeTable::built_in().unwrap();
    let refused = judge_token(kind, exchange, &table).expect_err("a refusal");
    assert_eq!((refused.judgement.verdict, &*refused.judgement.rule), (verdict, rule), "{exchange:?}");
    refused
}

#[test]
fn tokens_are_taken() {
    let table = OutcomeTable::built_in().unwrap();
    let check = |kind, body: &str, token: &str, seconds| {
        let fetched = judge_token(kind, &answered(200, body), &table).unwrap();
        assert_eq!((fetched.token.expose_secret(), fetched.lifetime.as_secs()), (token, seconds));
    };
    let access = r#"{"err_no":0,"err_tips":"success","data":{"access_token":"0801121","expires_in":7200}}"#;
    check(TokenKind::AccessToken, access, "0801121", 7200);
    let client =
        r#"{"data":{"access_token":"clt.x","description":"","error_code":0,"expires_in":7200},"message":"success"}"#;
    check(TokenKind::ClientToken, client, "clt.x", 7200);
    check(TokenKind::StableClientToken, client, "clt.x", 7200);
    let for_ever = r#"{"err_no":0,"data":{"access_token":"t","expires_in":9223372036854775807}}"#;
    check(TokenKind::AccessToken, for_ever, "t", LIFETIME_MAX.as_secs());
}

#[test]
fn a_token_server_answers_in_either_form() {
    let table = OutcomeTable::built_in().unwrap();
    let check = |status, body: &str, expect: Option<(&str, u64)>| {
        let served = judge_served(TokenKind::AccessToken, &answered(status, body), &table).ok();
        let seen = served.as_ref().map(|served| (served.token.expose_secret(), served.lifetime.as_secs()));
        assert_eq!(seen, expect, "{body}");
    };
    check(200, r#"{"access_token":"0801","expires_in":60}"#, Some(("0801", 60)));
    check(200, r#"{"err_no":0,"data":{"access_token":"0801","expires_in":7200}}"#, Some(("0801", 7200)));
    check(500, r#"{"access_token":"0801","expires_in":60}"#, None);
    check(200, r#"{"access_token":"","expires_in":60}"#, None);
    check(200, r#"{"access_token":"0801"}"#, None);
    check(200, r#"{"access_token":"0801","expires_in":0}"#, None);
    check(200, r#"{"err_no":40017,"data":{"access_token":"","expires_in":0}}"#, None);
    check(200, r#"["access_token"]"#, None);
}

/// One that is away tells of an outage; one that is there and gives no token waits for a person.
#[test]
fn a_token_server_that_is_there_and_gives_no_token_is_no_outage() {
    let table = OutcomeTable::built_in().unwrap();
    let check = |exchange: &Exchange, expect: Fault| {
        let refused = judge_served(TokenKind::AccessToken, exchange, &table).unwrap_err();
        assert_eq!((refused.fault, refused.judgement.verdict), (expect, Verdict::Retry), "{exchange:?}");
        let tells = ["douyin.token_url", "expires_in"].iter().all(|word| refused.message.contains(word));
        assert_eq!(tells, expect == Fault::Ours, "{}", refused.message);
    };
    let as_text = r#"{"err_no":0,"data":{"access_token":"t","expires_in":"7200"}}"#;
    for (status, body) in
        [(401, ""), (404, "<html>"), (200, "<html>"), (200, "{}"), (200, r#"{"access_token":"a"}"#), (200, as_text)]
    {
        check(&answered(status, body), Fault::Ours);
    }
    for status in [408, 429, 500, 503] {
        check(&answered(status, ""), Fault::Giver);
    }
    check(&answered(200, r#"{"err_no":-1}"#), Fault::Giver);
    check(&Exchange::Broken(Break::Connect), Fault::Giver);

    let of_the_platform =
        |status, body: &str| judge_token(TokenKind::AccessToken, &answered(status, body), &table).unwrap_err().fault;
    assert_eq!(of_the_platform(404, "<html>"), Fault::Ours, "a wrong base URL");
    assert_eq!([of_the_platform(429, ""), of_the_platform(200, "<html>")], [Fault::Giver; 2]);
}

#[test]
fn access_token_refusals() {
    let check = |status, body: &str, verdict, rule: &str| {
        refuse(TokenKind::AccessToken, &answered(status, body), verdict, rule);
    };
    let empty = r#""data":{"access_token":"","expires_in":0}}"#;
    check(200, &format!(r#"{{"err_no":40017,"err_tips":"bad secret",{empty}"#), Verdict::Suspend, "token_secret_wrong");
    check(200, &format!(r#"{{"err_no":40015,{empty}"#), Verdict::Suspend, "token_appid_wrong");
    check(200, &format!(r#"{{"err_no":40020,{empty}"#), Verdict::Suspend, "token_grant_type_wrong");
    check(200, &format!(r#"{{"err_no":12345,{empty}"#), Verdict::Suspend, "token_parameter_empty");
    check(200, &format!(r#"{{"err_no":-1,{empty}"#), Verdict::Retry, "system_error");
    check(200, &format!(r#"{{"err_no":0,{empty}"#), Verdict::Retry, "no_token");
    check(200, r#"{"err_no":0,"data":{"access_token":"t","expires_in":-1}}"#, Verdict::Retry, "no_token");
    check(200, r#"{"err_no":0,"data":{"access_token":"t","expires_in":"7200"}}"#, Verdict::Retry, "no_token");
    check(200, r#"{"err_no":0,"data":null}"#, Verdict::Retry, "no_token");
    check(200, r#"{"err_no":"0","data":{"access_token":"t","expires_in":7200}}"#, Verdict::Retry, "no_err_code");
    check(500, r#"{"err_no":0,"data":{"access_token":"t","expires_in":7200}}"#, Verdict::Retry, "http_5xx");
    check(
        403,
        r#"{"err_no":0,"data":{"access_token":"t","expires_in":7200}}"#,
        Verdict::Retry,
        "success_refuted_by_status",
    );
    check(400, "", Verdict::Retry, "http_4xx");
    check(401, r#"{"err_no":40017}"#, Verdict::Suspend, "token_secret_wrong");
    check(200, r#"{"err_no":28003017}"#, Verdict::Suspend, "gateway_quota_used_up");
    check(200, "<html>", Verdict::Retry, "no_json_object");
    refuse(TokenKind::AccessToken, &Exchange::Broken(Break::Timeout), Verdict::Retry, "timeout");
}

#[test]
fn client_token_refusals() {
    let check = |data: &str, verdict, rule: &str| {
        let body = format!(r#"{{"data":{data},"message":"error"}}"#);
        refuse(TokenKind::ClientToken, &answered(200, &body), verdict, rule)
    };
    check(
        r#"{"captcha":"","description":"配置无效","error_code":10003}"#,
        Verdict::Suspend,
        "client_token_key_unknown",
    );
    check(r#"{"error_code":10002}"#, Verdict::Suspend, "client_token_parameter_missing");
    check(r#"{"error_code":10013}"#, Verdict::Suspend, "client_token_secret_wrong");
    check(r#"{"error_code":31415}"#, Verdict::Retry, "unknown_code");
    check(r#"{"error_code":0,"access_token":"","expires_in":7200}"#, Verdict::Retry, "no_token");
    check(r#"{"access_token":"clt.x","expires_in":7200}"#, Verdict::Retry, "no_err_code");
    let often = check(r#"{"error_code":10020}"#, Verdict::Retry, "client_token_too_often");
    assert_eq!(often.judgement.retry_after, Some(Duration::from_secs(300)));
    refuse(TokenKind::ClientToken, &answered(200, r#"{"err_no":28001005}"#), Verdict::Retry, "gateway_busy");
}

#[test]
fn a_refusal_tells_the_meaning_and_no_word_of_the_platform() {
    let body = r#"{"err_no":40017,"err_tips":"bad secret s3cret","data":{}}"#;
    let refused = refuse(TokenKind::AccessToken, &answered(200, body), Verdict::Suspend, "token_secret_wrong");
    assert!(!format!("{refused:?}").contains("s3cret"));
    assert!(refused.message.contains("apps.secret") && refused.message.contains("40017"));
}

#[test]
fn requests_have_the_documented_names() {
    let secret = SecretString::from("a\"b");
    let check = |kind, expect: serde_json::Value| {
        let body = request_body(kind, "tt1", &secret);
        assert_eq!(serde_json::from_str::<serde_json::Value>(body.expose_secret()).unwrap(), expect);
    };
    let client = serde_json::json!({"grant_type":"client_credential","client_key":"tt1","client_secret":"a\"b"});
    check(TokenKind::AccessToken, serde_json::json!({"appid":"tt1","secret":"a\"b","grant_type":"client_credential"}));
    check(TokenKind::ClientToken, client.clone());
    check(TokenKind::StableClientToken, client);
}
