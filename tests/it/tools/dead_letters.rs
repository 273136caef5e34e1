//! `dead-letters` on a real Kafka.

use std::io::Read as _;
use std::process::Stdio;

use super::fixture::{OPEN_ID, REFUSED, World, assert_silent};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

#[test]
fn real_kafka_dead_letters_are_listed_shown_and_counted() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let list = world.run(&["dead-letters", "list"]).out();
    insta::assert_snapshot!("letters_list", world.steady(&list));
    let list = world.run(&["dead-letters", "list", "--output", "json"]).out();
    insta::assert_snapshot!("letters_list_json", world.steady(&list));
    let counts = world.run(&["dead-letters", "list", "--group-by", "reason"]).out();
    insta::assert_snapshot!("letters_counts", counts);
    let id = format!("{}/0/6", world.topic);
    let shown = world.run(&["dead-letters", "show", &id]).out();
    insta::assert_snapshot!("letters_show", world.steady(&shown));
    let json = world.run(&["dead-letters", "show", &id, "--output", "json"]).out();
    let mut value: serde_json::Value = serde_json::from_str(&world.steady(&json)).unwrap();
    for moving in ["/record/timestamp_ms", "/letter_offset"] {
        let number = value.pointer_mut(moving).unwrap();
        assert!(number.is_i64(), "{moving}: {number}");
        *number = "(number)".into();
    }
    insta::assert_json_snapshot!("letters_show_json", value);
    // The record that is no JSON holds an open_id all the same.
    let malformed = world.run(&["dead-letters", "show", &format!("{}/0/4", world.topic)]).out();
    insta::assert_snapshot!("letters_show_malformed", world.steady(&malformed));
    for text in [&list, &counts, &shown, &json, &malformed] {
        assert_silent(text);
    }
    let in_full = world.run(&["dead-letters", "show", &id, "--show-personal-data"]).out();
    assert!(in_full.contains(OPEN_ID));
}

#[test]
fn real_kafka_dead_letters_are_filtered() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let check = |args: &[&str], expect: &[i64]| {
        let told = world.run(&[&["dead-letters", "list", "--output", "json"], args].concat());
        let mut offsets: Vec<i64> = told
            .lines()
            .iter()
            .map(|line| line["id"].as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap())
            .collect();
        offsets.sort_unstable();
        assert_eq!(offsets, expect, "{args:?}");
    };
    check(&[], &[4, 5, 6]);
    check(&["--reason", "malformed_event", "--reason", "incomplete_order"], &[4, 5]);
    check(&["--order", REFUSED], &[6]);
    check(&["--app", "tt1"], &[5, 6]);
    check(&["--app", "tt1", "--reason", "unknown_app"], &[]);
    check(&["--err-code", "40003"], &[6]);
    check(&["--partition", "0"], &[4, 5, 6]);
    check(&["--status", "open"], &[4, 5, 6]);
    check(&["--status", "discarded"], &[]);
    check(&["--since", "2026-01-01T00:00:00Z"], &[4, 5, 6]);
    check(&["--since", "2096-01-01T00:00:00Z"], &[]);
    check(&["--until", "2026-01-01T00:00:00Z"], &[]);
    let told = world.run(&["dead-letters", "list", "--limit", "2"]);
    assert!(told.err.contains("the newest 2 are shown, and there are more"), "{told:?}");
    assert_eq!(told.out().lines().count(), 3, "a header and two rows");
}

#[test]
fn real_kafka_what_a_later_push_has_said_is_superseded() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    world.heal(kafka);
    let told = world.run(&["dead-letters", "list", "--output", "json"]).lines();
    let statuses: Vec<&str> = told.iter().map(|line| line["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["superseded", "open", "open"]);
    let told = world.run(&["dead-letters", "list", "--status", "superseded", "--output", "json"]).lines();
    assert_eq!((told.len(), &told[0]["order_id"]), (1, &REFUSED.into()));
    let shown = world.run(&["dead-letters", "show", &format!("{}/0/6", world.topic)]).out();
    assert!(shown.contains("superseded: a later state of the order was accepted"), "{shown}");
    let counts = world.run(&["dead-letters", "list", "--group-by", "status", "--output", "json"]).lines();
    assert_eq!(counts[0], serde_json::json!({"group_by": "status", "value": "open", "count": 2}));
    let order = world.run(&["orders", "show", REFUSED, "--output", "json"]).lines();
    assert_eq!((&order[0]["delivery"], &order[0]["status"]), (&"delivered".into(), &"redeemed".into()));
    assert_eq!(order[0]["folded_again"], "agrees");
}

#[test]
fn real_kafka_what_is_exported_is_the_original_and_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, false);
    let file = world.site.home().join("letters.ndjson");
    let to = file.to_str().unwrap();
    let told = world.run(&["dead-letters", "export", "--to", to]);
    assert!(told.err.contains("3 dead letters written") && told.err.contains("there is no changelog"), "{told:?}");
    told.out();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let mut lines: Vec<serde_json::Value> =
        std::fs::read_to_string(&file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["id"].as_str().unwrap().to_owned());
    // The malformed record, byte for byte, with its header.
    let line = &lines[0];
    assert_eq!(
        (&line["reason"], &line["status"], &line["format"]),
        (&"malformed_event".into(), &"open".into(), &1.into())
    );
    let expect = serde_json::json!({
        "key": "TS0x", "headers": [{"name": "trace", "value": "dC0x"}],
        "value": "eyJvcGVuX2lkIjoiXzAwMGNhbmFyeU9QRU5JRGNhbmFyeTAwNDIiLA==",
    });
    assert_eq!(line["record"], expect);
    assert!(line["letter"]["headers"].as_array().unwrap().iter().any(|header| header["name"] == "order-sync.reason"));
    // An existing file is left alone, and stdout is asked for by name.
    let told = world.run(&["dead-letters", "export", "--to", to]);
    assert_eq!((told.code, told.err.contains("is not overwritten")), (Some(1), true), "{told:?}");
    assert_eq!(world.run(&["dead-letters", "export"]).code, Some(2));
    assert_eq!(world.run(&["dead-letters", "export", "--show-personal-data"]).lines().len(), 3);
}

#[test]
fn real_kafka_what_is_not_there_is_said_with_what_to_do() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let check = |args: &[&str], code: i32, words: &[&str]| world.check_refused(args, code, words);
    let list = |setting: &'static str| ["dead-letters", "list", "--set", setting];
    check(&list("kafka.dead_letter_topic=nowhere"), 7, &["nowhere does not exist", "topics create"]);
    check(&list("kafka.brokers=127.0.0.1:9"), 7, &["order-sync check"]);
    check(&["dead-letters", "list", "--partition", "7"], 2, &["1 partitions", "no partition 7"]);
    check(&["dead-letters", "show", "orders/0/99"], 1, &["there is no dead letter orders/0/99", "dead-letters list"]);
    check(&["dead-letters", "show", "orders"], 2, &["topic/partition/offset"]);
    // A slip of the fingers is no empty answer; what the letters themselves name is one.
    check(&["dead-letters", "list", "--topic", "nosuch"], 2, &["no such source topic", "it has", &world.topic]);
    check(&["dead-letters", "list", "--app", "tt2"], 2, &[r#"nothing is of app "tt2""#, r#"did you mean "tt1"?"#]);
    check(&["dead-letters", "list", "--group-by", "reason", "--app", "tt2"], 2, &["did you mean"]);
    check(&["dead-letters", "redrive", "--app", "tt2", "--dry-run"], 2, &["did you mean"]);
    check(&["orders", "list", "--app", "tt2"], 2, &["did you mean"]);
    let file = world.site.home().join("none.ndjson");
    check(&["dead-letters", "export", "--to", file.to_str().unwrap(), "--app", "tt2"], 2, &["did you mean"]);
    assert!(!file.exists());
    assert_eq!(
        world.run(&["dead-letters", "list", "--app", "tt1", "--reason", "unknown_app"]).out(),
        "no dead letters\n"
    );
    let renamed = ["--set", "kafka.topics=other", "--topic", &world.topic, "--output", "json"];
    assert_eq!(world.run(&[&["dead-letters", "list"], &renamed[..]].concat()).lines().len(), 3);
}

#[test]
fn real_kafka_a_list_ends_quietly_on_a_closed_pipe_and_with_130_on_ctrl_c() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = world.command(&["dead-letters", "list"]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), said(&String::from_utf8_lossy(&output.stderr))), (Some(0), vec![]));
    // Nobody answers there: it waits, and the person ends it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let brokers = format!("kafka.brokers={}", silent.local_addr().unwrap());
    let mut child = world
        .command(&["dead-letters", "list", "--set", &brokers])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let connected = silent.accept().unwrap();
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    eventually("it ends", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(said(&text), Vec::<&str>::new());
    drop(connected);
}

/// Lines of stderr, without the warning of the settings that every command of these tests gives.
fn said(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with("warning: ")).collect()
}
