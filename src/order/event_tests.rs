//! Every judgement of the envelope, in the contract's order, as tables.

use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_700_000_000_000;

fn rules(apps: &[&str]) -> EventRules {
    EventRules { apps: apps.iter().map(|app| AppId::new(*app)).collect(), max_clock_skew_ms: 600_000 }
}

/// A whole event with `changes` (a merge patch) applied.
fn event(changes: &str) -> Vec<u8> {
    let whole = r#"{"event_id":"e1","order_id":"o1","status":"paid","occurred_at":1699999999000}"#;
    let changes = Json::parse(changes).unwrap();
    let mut text = Vec::new();
    super::super::json::merge(Json::parse(whole).unwrap(), &changes).write(&mut text);
    text
}

fn fault(value: &[u8], apps: &[&str]) -> (DeadLetterReason, String) {
    let fault = decode(value, &rules(apps), NOW).unwrap_err();
    (fault.reason, fault.message)
}

#[test]
fn a_whole_event_is_read() {
    let value = r#"{"schema_version":1,"event_id":"e\u00e9","order_id":"o1","app_id":"tt1","order_type":"ticket","status":"booked",
        "occurred_at":"2023-11-14T22:13:19.5Z","sequence":7,"order":{"b":1,"a":null},"producer":{"host":[1,2,{}]}}"#;
    let event = decode(value.as_bytes(), &rules(&["tt0", "tt1"]), NOW).unwrap();
    assert_eq!((&*event.event_id, &*event.order_id, event.app_id.as_str()), ("eé", "o1", "tt1"));
    assert_eq!((event.order_type, event.status), (Some(OrderType::Ticket), Status::Booked));
    assert_eq!((event.occurred_at, event.sequence), (EventTime(1_699_999_999_500), Some(Sequence(7))));
    assert_eq!(event.order, Some(Json::parse(r#"{"a":null,"b":1}"#).unwrap()));
}

#[test]
fn null_in_an_optional_field_is_absence() {
    let value = r#"{"schema_version":null,"event_id":"e1","order_id":"o1","app_id":null,"order_type":null,"status":"paid",
        "occurred_at":1699999999000,"sequence":null,"order":null}"#;
    let event = decode(value.as_bytes(), &rules(&["tt1"]), NOW).unwrap();
    assert_eq!((event.app_id.as_str(), event.order_type, event.sequence, event.order), ("tt1", None, None, None));
}

#[test]
fn every_faulty_field_is_named_at_once_and_no_value() {
    let check = |value: &[u8], expect: &[&str]| {
        let (reason, message) = fault(value, &["tt1"]);
        assert_eq!(reason, DeadLetterReason::MalformedEvent);
        let named: Vec<&str> = message.split("; ").filter_map(|part| part.split(' ').next()).collect();
        assert_eq!(named, expect, "{message}");
        assert!(!message.contains("secret"));
    };
    check(b"{}", &["event_id", "order_id", "status", "occurred_at"]);
    check(
        br#"{"event_id":null,"order_id":null,"status":null,"occurred_at":null}"#,
        &["event_id", "order_id", "status", "occurred_at"],
    );
    check(
        br#"{"schema_version":"secret","event_id":7,"order_id":"","app_id":{"secret":1},"order_type":"secret","status":"secret",
            "occurred_at":1699999999,"sequence":-1,"order":["secret"]}"#,
        &["schema_version", "event_id", "order_id", "app_id", "order_type", "status", "occurred_at", "sequence", "order"],
    );
    check(&event(r#"{"schema_version":1.0}"#), &["schema_version"]);
    check(&event(r#"{"schema_version":9007199254740992}"#), &["schema_version"]);
    check(&event(r#"{"sequence":1.0}"#), &["sequence"]);
    check(&event(r#"{"sequence":9007199254740992}"#), &["sequence"]);
    check(&event(r#"{"order_type":"Normal"}"#), &["order_type"]);
    check(&event(r#"{"occurred_at":"2023-11-14T22:13:60Z"}"#), &["occurred_at"]);
    check(
        &event(&format!(r#"{{"event_id":"{}","order_id":"{}é"}}"#, "x".repeat(129), "x".repeat(63))),
        &["event_id", "order_id"],
    );
}

#[test]
fn limits_count_bytes() {
    let longest = event(&format!(r#"{{"event_id":"{}é","order_id":"{}"}}"#, "x".repeat(126), "é".repeat(32)));
    assert!(decode(&longest, &rules(&["tt1"]), NOW).is_ok());
}

#[test]
fn what_is_no_json_object_is_malformed() {
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(100), "]".repeat(100));
    for value in [
        b"".as_slice(),
        b" ",
        b"null",
        b"[]",
        b"\"secret\"",
        b"7",
        b"{",
        b"{}{}",
        b"{\"a\":\"\xff\"}",
        b"\xef\xbb\xbf{}",
        br#"{"schema_version":2,"x":"\ud800"}"#,
        deep.as_bytes(),
    ] {
        let (reason, message) = fault(value, &["tt1"]);
        assert_eq!(reason, DeadLetterReason::MalformedEvent, "{message}");
        assert!(message.starts_with("the value is"), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[test]
fn the_earlier_of_two_judgements_is_given() {
    use DeadLetterReason::{MalformedEvent, TimeInFuture, UnknownApp, UnsupportedSchemaVersion};
    let check = |changes: &str, apps: &[&str], expect: DeadLetterReason| {
        assert_eq!(fault(&event(changes), apps).0, expect, "{changes}");
    };
    let one = ["tt1"].as_slice();
    check(r#"{"schema_version":2,"event_id":null,"app_id":"x","occurred_at":1}"#, one, UnsupportedSchemaVersion);
    check(r#"{"schema_version":0}"#, one, UnsupportedSchemaVersion);
    check(r#"{"schema_version":-1}"#, one, UnsupportedSchemaVersion);
    check(r#"{"event_id":null,"app_id":"x","occurred_at":1800000000000}"#, one, MalformedEvent);
    check(r#"{"app_id":"x","occurred_at":1800000000000}"#, one, UnknownApp);
    check(r#"{"app_id":""}"#, one, UnknownApp);
    check("{}", &["tt1", "tt2"], UnknownApp);
    check(r#"{"app_id":"tt3"}"#, &["tt1", "tt2"], UnknownApp);
    check(r#"{"occurred_at":1700000600001}"#, one, TimeInFuture);
    assert!(decode(&event(r#"{"occurred_at":1700000600000,"app_id":"tt2"}"#), &rules(&["tt1", "tt2"]), NOW).is_ok());
}

#[test]
fn a_fault_carries_the_ids_that_could_be_read() {
    let check = |changes: &str, apps: &[&str], expect: (Option<&str>, Option<&str>)| {
        let fault = decode(&event(changes), &rules(apps), NOW).unwrap_err();
        assert_eq!((fault.order_id.as_deref(), fault.app_id.as_deref()), expect, "{changes}");
    };
    check(r#"{"schema_version":2}"#, &["tt1"], (Some("o1"), Some("tt1")));
    check(r#"{"schema_version":2,"app_id":"tt9"}"#, &["tt1"], (Some("o1"), None));
    check(r#"{"order_id":7}"#, &["tt1"], (None, Some("tt1")));
    check(r#"{"status":"x","app_id":"tt2"}"#, &["tt1", "tt2"], (Some("o1"), Some("tt2")));
    check(r#"{"occurred_at":1800000000000}"#, &["tt1"], (Some("o1"), Some("tt1")));
    check(&format!(r#"{{"order_id":"{}"}}"#, "x".repeat(65)), &["tt1"], (None, Some("tt1")));
}

proptest! {
    #[test]
    fn any_bytes_are_answered(value in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(decode(&value, &rules(&["tt1"]), NOW));
    }

    #[test]
    fn a_mutated_event_is_answered(at in 0_usize..200, with in prop::collection::vec(any::<u8>(), 0..4), cut in 0_usize..4) {
        let mut value = event(r#"{"sequence":-0,"order":{"a":[{"b":-0.0,"c":"\u00e9\ud83d\ude00"}],"paid_at":"2023-11-14T22:13:19.5Z"}}"#);
        let at = at.min(value.len());
        let end = (at + cut).min(value.len());
        value.splice(at..end, with);
        drop(decode(&value, &rules(&["tt1"]), NOW));
    }
}
