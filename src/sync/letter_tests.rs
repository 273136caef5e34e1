//! What a dead letter's record looks like, to the byte.

use bytes::Bytes;

use super::*;
use crate::order::Stage;
use crate::record::{RecordOffset, TopicPartition};
use crate::sync::dead_letter::DeliveryRecord;

fn origin() -> Origin {
    Origin { group: "shop".to_owned(), version: "0.1.0".to_owned() }
}

fn record(value: &[u8]) -> Record {
    Record {
        offset: RecordOffset::new(41),
        timestamp_ms: Some(1_700_000_000_123),
        key: Some(b"A-1".as_slice().into()),
        value: Some(value.into()),
        headers: vec![
            Header { name: "trace".to_owned(), value: Some(vec![0xff, 0].into()) },
            Header { name: "trace".to_owned(), value: None },
        ],
    }
}

fn dead(reason: DeadLetterReason, record: Option<Record>) -> DeadLetter {
    DeadLetter {
        source: TopicPartition::new("orders", 3),
        offset: RecordOffset::new(41),
        record,
        reason,
        stage: Stage::Decode,
        message: "not a JSON object".to_owned(),
        order_id: None,
        app_id: None,
        update_time: None,
        delivery: None,
        times: 1,
        first_failed_ms: 1_700_000_000_500,
        last_failed_ms: 1_700_000_060_000,
    }
}

fn delivered(record: Option<Record>) -> DeadLetter {
    DeadLetter {
        reason: DeadLetterReason::RejectedByPlatform,
        stage: Stage::Deliver,
        message: "the platform rejected the order".to_owned(),
        order_id: Some("A-1".to_owned()),
        app_id: Some("tt1".to_owned()),
        update_time: Some(1_700_000_000),
        delivery: Some(DeliveryRecord {
            attempts: 2,
            attempt_log: "2023-11-14T22:13:20.500Z 12ms 200 40001".to_owned(),
            err_code: Some(-7),
            response: Some(br#"{"err_code":-7}"#.to_vec()),
            request: Bytes::from_static(br#"{"order_id":"A-1"}"#),
        }),
        times: 3,
        ..dead(DeadLetterReason::RejectedByPlatform, record)
    }
}

fn shown(headers: &[Header]) -> String {
    let line = |h: &Header| {
        let value = h.value.as_deref().map_or_else(|| "null".into(), String::from_utf8_lossy);
        format!("{}: {value}\n", h.name)
    };
    headers.iter().map(line).collect()
}

fn header<'a>(letter: &'a Letter, name: &str) -> Option<&'a str> {
    let found = letter.headers.iter().find(|h| h.name == name)?;
    Some(std::str::from_utf8(found.value.as_deref().unwrap()).unwrap())
}

#[test]
fn the_original_stands_unchanged_before_our_headers() {
    let letter = dead(DeadLetterReason::MalformedEvent, Some(record(b"\xff{"))).into_letter(&origin());
    assert_eq!(
        (letter.partition, letter.key.as_deref(), letter.value.as_deref()),
        (3, Some(&b"A-1"[..]), Some(&b"\xff{"[..]))
    );
    assert_eq!(letter.headers[..2], record(b"").headers);
    insta::assert_snapshot!(shown(&letter.headers[2..]), @r"
    __connect.errors.topic: orders
    __connect.errors.partition: 3
    __connect.errors.offset: 41
    __connect.errors.stage: decode
    __connect.errors.exception.message: not a JSON object
    order-sync.reason: malformed_event
    order-sync.first-failed-at: 2023-11-14T22:13:20.500Z
    order-sync.last-failed-at: 2023-11-14T22:14:20.000Z
    order-sync.times: 1
    order-sync.original-timestamp: 1700000000123
    order-sync.group: shop
    order-sync.version: 0.1.0
    ");
}

#[test]
fn a_delivery_says_what_was_tried() {
    let letter = delivered(Some(record(b"{}"))).into_letter(&origin());
    insta::assert_snapshot!(shown(&letter.headers[2..]), @r#"
    __connect.errors.topic: orders
    __connect.errors.partition: 3
    __connect.errors.offset: 41
    __connect.errors.stage: deliver
    __connect.errors.exception.message: the platform rejected the order
    order-sync.reason: rejected_by_platform
    order-sync.order-id: A-1
    order-sync.app-id: tt1
    order-sync.update-time: 1700000000
    order-sync.attempts: 2
    order-sync.attempt-log: 2023-11-14T22:13:20.500Z 12ms 200 40001
    order-sync.first-failed-at: 2023-11-14T22:13:20.500Z
    order-sync.last-failed-at: 2023-11-14T22:14:20.000Z
    order-sync.err-code: -7
    order-sync.response: {"err_code":-7}
    order-sync.request: {"order_id":"A-1"}
    order-sync.times: 3
    order-sync.original-timestamp: 1700000000123
    order-sync.group: shop
    order-sync.version: 0.1.0
    "#);
}

#[test]
fn a_gone_original_is_said() {
    let letter = delivered(None).into_letter(&origin());
    assert_eq!((letter.key.as_ref(), letter.value.as_ref()), (None, None));
    let message = header(&letter, "__connect.errors.exception.message").unwrap();
    assert_eq!(message, "the platform rejected the order; the source no longer has the original record");
    assert_eq!(header(&letter, "order-sync.request"), Some(r#"{"order_id":"A-1"}"#));
    assert_eq!(header(&letter, "order-sync.original-timestamp"), None);
}

#[test]
fn a_record_that_is_too_large_is_measured_and_left_out() {
    let mut big = record(&vec![b'x'; 2_000_000]);
    let letter = dead(DeadLetterReason::RecordTooLarge, Some(big.clone())).into_letter(&origin());
    assert_eq!((letter.key.as_deref(), letter.value.as_deref()), (Some(&b"A-1"[..]), Some(&b""[..])));
    assert_eq!(letter.headers[0].name, "__connect.errors.topic");
    insta::assert_snapshot!(
        header(&letter, "order-sync.omitted").unwrap(),
        @"key_bytes=3;value_bytes=2000000;headers_bytes=12;value_sha256=be8889d3b8893c11d290b8dcf682164c326a90e6998f6bddb25d9a3a02daf666;headers_sha256=398c2a82590dd6a8b1d3133be9d44997bdb2d8e52d769062b0ee187ad2d42521"
    );
    big.key = Some(vec![b'k'; OMITTED_KEY_BYTES_MAX].into());
    assert!(dead(DeadLetterReason::RecordTooLarge, Some(big.clone())).into_letter(&origin()).key.is_some());
    big.key = Some(vec![b'k'; OMITTED_KEY_BYTES_MAX + 1].into());
    big.value = None;
    let letter = dead(DeadLetterReason::RecordTooLarge, Some(big)).into_letter(&origin());
    assert_eq!((letter.key.as_deref(), letter.value.as_deref()), (None, Some(&b""[..])));
    insta::assert_snapshot!(
        header(&letter, "order-sync.omitted").unwrap(),
        @"key_bytes=1025;headers_bytes=12;key_sha256=011cc8dcade24f43d2d7f95605d8481da1d0b86475def49be02bfc20cee86e65;headers_sha256=398c2a82590dd6a8b1d3133be9d44997bdb2d8e52d769062b0ee187ad2d42521"
    );
    let bare = Record { headers: Vec::new(), value: None, ..record(b"") };
    let letter = dead(DeadLetterReason::RecordTooLarge, Some(bare)).into_letter(&origin());
    assert_eq!(header(&letter, "order-sync.omitted"), Some("key_bytes=3;headers_bytes=0"));
}

#[test]
fn headers_keep_their_limits_at_character_boundaries() {
    let mut letter = delivered(Some(record(b"{}")));
    let delivery = letter.delivery.as_mut().unwrap();
    delivery.attempt_log = "line 998\nline 999\n".repeat(500);
    delivery.response = Some("é".repeat(5000).into_bytes());
    delivery.request = "面".repeat(40_000).into();
    let letter = letter.into_letter(&origin());
    let log = header(&letter, "order-sync.attempt-log").unwrap();
    assert!(log.starts_with("line ") && log.ends_with("line 999") && log.len() > 4000 && log.len() <= 4096, "{log}");
    assert_eq!(header(&letter, "order-sync.response"), Some("é".repeat(2048).as_str()));
    assert_eq!(header(&letter, "order-sync.request"), Some("面".repeat(21_845).as_str()));

    let check = |log: &str, expect: &str| assert_eq!(newest_lines(log), expect);
    check("a\nb\n", "a\nb\n");
    check(&"x".repeat(5000), &"x".repeat(4096));
    check(&format!("{}\n{}\n", "a".repeat(10), "b".repeat(4096)), &"b".repeat(4096));
    check(&format!("{}\n{}", "a".repeat(10), "é".repeat(2049)), &"é".repeat(2048));
}

#[test]
fn bytes_that_are_no_text_become_text() {
    let mut letter = delivered(Some(record(b"{}")));
    letter.delivery.as_mut().unwrap().response = Some(vec![0xff; 5000]);
    let letter = letter.into_letter(&origin());
    assert_eq!(header(&letter, "order-sync.response"), Some("\u{fffd}".repeat(1365).as_str()));
}

#[test]
fn headers_by_the_hundred_thousand_never_outgrow_the_topic() {
    let mut many = record(b"{}");
    many.headers = vec![Header { name: String::new(), value: None }; 500_000];
    let letter = dead(DeadLetterReason::MissingKey, Some(many)).into_letter(&origin());
    assert_eq!(letter.value.as_deref(), Some(&b""[..]));
    assert!(header(&letter, "order-sync.omitted").is_some());
    assert!(header(&letter, "__connect.errors.exception.message").unwrap().contains("left out"));
}
