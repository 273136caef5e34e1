//! `replay` on a real Kafka: what is the same, what is planted, and what it says of each.

use std::process::Stdio;

use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::order::{AppId, Digest, Identity, OrderState, Status};
use order_sync::record::NextOffset;
use order_sync::sync::changelog::ChangelogKey;
use order_sync::sync::ports::Position;
use serde_json::{Value, json};

use super::fixture::{OPEN_ID, REFUSED, Told, World, assert_silent, event};
use crate::support::real_kafka::RealKafka;

/// The last line of `replay --output json`, and the rows of orders by their ids.
pub fn replayed(world: &World, args: &[&str]) -> (Value, Vec<Value>) {
    let told = world.run(&[&["replay", "--output", "json"], args].concat());
    assert_silent(&format!("{}{}", told.out, told.err));
    let mut lines: Vec<Value> = told.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap_or_else(|| panic!("{told:?}"));
    (summary, lines)
}

fn summary(events: u64, orders: u64, same: u64, differing: u64, never_delivered: u64) -> Value {
    json!({
        "events": events, "orders": orders, "same": same, "differing": differing,
        "never_delivered": never_delivered, "pushes": differing + never_delivered,
    })
}

fn row<'r>(rows: &'r [Value], order: &str) -> &'r Value {
    rows.iter().find(|row| row["order_id"] == order).unwrap_or_else(|| panic!("no {order} in {rows:?}"))
}

fn verdict(rows: &[Value], order: &str) -> String {
    let row = row(rows, order);
    let word = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
    format!("{} {} {}", word("verdict"), word("why"), word("will"))
}

/// Writes into the changelog behind the workers' backs.
fn plant(kafka: &RealKafka, world: &World, key: &ChangelogKey, value: Option<&[u8]>) {
    let producer = Producer::connect(&kafka.brokers).unwrap();
    let key = key.encode(&world.topic);
    let topic = format!("{}.changelog", world.site.group());
    producer.send(&topic, Outgoing { partition: Some(0), key: Some(&key), value, ..Outgoing::default() }).unwrap();
    producer.flush().unwrap();
}

fn state_key(order: &str) -> ChangelogKey {
    ChangelogKey::State(Identity::new(AppId::new("tt1"), order))
}

/// The newest value under a key.
fn held(kafka: &RealKafka, world: &World, key: &ChangelogKey) -> Vec<u8> {
    let key = key.encode(&world.topic);
    let records = kafka.read_all(&format!("{}.changelog", world.site.group()));
    let newest = records.into_iter().rev().find(|(_, record)| record.key.as_deref() == Some(&key[..]));
    newest.unwrap().1.value.unwrap().into()
}

/// Changes the state that the changelog holds.
fn change(kafka: &RealKafka, world: &World, order: &str, change: impl FnOnce(&mut OrderState)) {
    let mut state = OrderState::decode(&held(kafka, world, &state_key(order))).unwrap();
    change(&mut state);
    let mut value = Vec::new();
    state.encode(&mut value);
    plant(kafka, world, &state_key(order), Some(&value));
}

#[test]
fn real_kafka_a_replay_says_what_never_was_delivered() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let told = world.run(&["replay"]);
    assert_silent(&format!("{}{}", told.out, told.err));
    insta::assert_snapshot!("replay", world.steady(&told.out()));
    let json = world.run(&["replay", "--output", "json"]).out();
    insta::assert_snapshot!("replay_json", world.steady(&json));
    assert_eq!(world.run(&["replay", "--verify-only"]).code, Some(4));
    let (told, rows) = replayed(&world, &["--order", "G-1", "--verify-only"]);
    assert_eq!((told, rows.len()), (summary(7, 1, 1, 0, 0), 1), "the stale event of it differs from nothing");
    // What the workers have not come to is pending, and differs from nothing.
    world.send(kafka, &[("G-2", event("G-2", 5, "refunding")), ("N-1", event("N-1", 0, "paid"))]);
    let (told, rows) = replayed(&world, &[]);
    assert_eq!(told, summary(7, 4, 2, 0, 2));
    assert_eq!(rows.last().unwrap()["pending"], 2);
}

#[test]
fn real_kafka_what_an_operator_has_done_is_no_difference() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    world.mend();
    let [passed_by, malformed, incomplete, refused] = [2, 4, 5, 6].map(|offset| format!("{}/0/{offset}", world.topic));
    let later = ["--no-wait", "--why", "a test"];
    world.run(&[&["orders", "fold", &passed_by], &later[..]].concat()).out();
    world.run(&[&["dead-letters", "redrive", &refused], &later[..1]].concat()).out();
    world.run(&[&["dead-letters", "discard", &malformed, &incomplete], &later[..]].concat()).out();
    world.catch_up();
    // G-1 was folded on the operator's word, and so is cancelled; a whole log says so as well as its end.
    let state = OrderState::decode(&held(kafka, &world, &state_key("G-1"))).unwrap();
    assert_eq!(state.status, Status::Cancelled);
    let (told, rows) = replayed(&world, &["--verify-only"]);
    assert_eq!(told, summary(7, 4, 3, 0, 0), "{rows:?}");
    assert_eq!(verdict(&rows, "I-1"), "undecided only_set_aside nothing");
    for from in ["1", "2", "3", "5"] {
        let (told, rows) = replayed(&world, &["--from", from]);
        assert_eq!((&told["differing"], &told["never_delivered"]), (&0.into(), &0.into()), "{from}: {rows:?}");
    }
    // Up to the middle of it: what has moved on since is not called differing either.
    for until in ["1", "2", "3", "5"] {
        let (told, rows) = replayed(&world, &["--until", until]);
        assert_eq!((&told["differing"], &told["never_delivered"]), (&0.into(), &0.into()), "{until}: {rows:?}");
    }
    assert_eq!(verdict(&replayed(&world, &["--until", "1"]).1, "G-1"), "later - nothing");
}

#[test]
fn real_kafka_a_changed_state_and_a_lost_one_are_found() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    change(kafka, &world, "G-1", |state| {
        state.status = Status::PendingPayment;
        state.document = state.document.replace("canary0042", "canary0043").replace("1990", "1991").into();
    });
    let told = world.run(&["replay", "--verify-only"]);
    assert_eq!(told.code, Some(4), "{told:?}");
    assert_silent(&told.out);
    assert!(!told.out.contains("canary0043"), "{}", told.out);
    insta::assert_snapshot!("replay_differing", world.steady(&told.out));
    let shown = world.run(&["replay", "--show-personal-data"]).out();
    assert!(shown.contains(OPEN_ID), "{shown}");
    let (told, rows) = replayed(&world, &[]);
    assert_eq!(told, summary(7, 4, 1, 1, 2));
    assert_eq!(verdict(&rows, "G-1"), "differing state look");
    // Begun in the middle, its last event alone proves it.
    assert_eq!(verdict(&replayed(&world, &["--from", "1"]).1, "G-1"), "differing state look");
    // Another content of the same document: this is what a change of settings looks like.
    change(kafka, &world, "G-2", |state| state.digest = Digest([9; 32]));
    assert_eq!(verdict(&replayed(&world, &[]).1, "G-2"), "differing mapping resync");
    assert_eq!(verdict(&replayed(&world, &["--from", "1"]).1, "G-2"), "differing mapping resync");
    let text = world.run(&["replay"]).out();
    assert!(text.contains("what was sent then is not in the changelog any more"), "{text}");
    // A state that is gone, with nothing that says so.
    plant(kafka, &world, &state_key("G-2"), None);
    let (told, rows) = replayed(&world, &[]);
    assert_eq!((told, verdict(&rows, "G-2").as_str()), (summary(7, 4, 0, 1, 3), "never_delivered no_state look"));
    let text = world.run(&["replay"]).out();
    assert!(text.contains("neither a state nor a dead letter is held"), "{text}");
}

#[test]
fn real_kafka_what_is_mapped_otherwise_is_told_field_by_field() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let mut coupon: Value = serde_json::from_str(include_str!("../../golden/group_coupon_paid.event.json")).unwrap();
    (coupon["app_id"], coupon["order_id"]) = ("tt1".into(), "C-1".into());
    world.goes_on(kafka, &[("C-1", coupon)]);
    let differences = |args: &[&str]| {
        let (_, rows) = replayed(&world, args);
        assert_eq!(verdict(&rows, "C-1"), "differing mapping resync", "{args:?}");
        row(&rows, "C-1")["differences"].clone()
    };
    // Another choice of a setting gives the request of then.
    let entry_type = ["--set", "douyin.goods_entry_type=integer"];
    let expect = json!([{"field": "request.order_detail.goods_entry_type", "log": 2, "changelog": "2"}]);
    assert_eq!(differences(&entry_type), expect);
    assert_eq!(differences(&[&entry_type[..], &["--samples", "0"]].concat()), json!([]));
    // None does; the changelog still has it.
    let config = std::fs::read_to_string(world.site.config_file()).unwrap();
    let other = config.replace("client_key = \"ck\"", "client_key = \"ck-2\"");
    assert_ne!(config, other);
    std::fs::write(world.site.config_file(), other).unwrap();
    let expect = json!([{"field": "request.client_key", "log": "ck-2", "changelog": "ck"}]);
    for from in ["earliest", "7"] {
        assert_eq!(differences(&["--from", from]), expect, "{from}");
    }
    let text = world.run(&["replay"]).out();
    assert!(text.contains(r#"request.client_key: "ck-2" by these settings, "ck" sent then"#), "{text}");
}

#[test]
fn real_kafka_a_replay_whose_reader_has_gone_ends_quietly() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    for form in ["text", "json"] {
        let mut command = world.command(&["replay", "--output", form]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let told = Told::of(child.wait_with_output().unwrap());
        assert_eq!(
            (told.code, told.err.contains("error"), told.err.contains("panicked")),
            (Some(0), false, false),
            "{told:?}"
        );
    }
}

#[test]
fn real_kafka_a_lost_event_is_found() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    world.send(kafka, &[("G-2", event("G-2", 5, "refunding"))]);
    // The position passes it, and nothing of it was folded.
    let mut position = Position::decode(&held(kafka, &world, &ChangelogKey::Position)).unwrap();
    position.next = NextOffset::new(8);
    plant(kafka, &world, &ChangelogKey::Position, Some(&position.encode().unwrap()));
    for from in ["earliest", "5", "7"] {
        let (told, rows) = replayed(&world, &["--from", from, "--verify-only"]);
        assert_eq!(verdict(&rows, "G-2"), "differing missed look", "{from}: {told}");
        assert_eq!(row(&rows, "G-2")["last_offset"], 7);
    }
    // Up to the lost one all is well.
    assert_eq!(replayed(&world, &["--until", "7"]).0["differing"], 0);
}

#[test]
fn real_kafka_a_file_of_events_is_compared_with_the_changelog() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let path = world.site.home().join("events.jsonl");
    let mut other = event("G-2", 0, "paid");
    other["order"]["total_price"] = 7.into();
    let older = event("G-1", 0, "pending_payment");
    let write = |events: &[Value]| {
        let lines: Vec<String> = events.iter().map(|event| format!("{event}\n")).collect();
        std::fs::write(&path, lines.concat()).unwrap();
    };
    let file = path.to_str().unwrap();
    write(&[older.clone(), event("G-1", 2, "paid"), event("G-2", 0, "paid")]);
    assert_eq!(replayed(&world, &["--file", file]).0, summary(3, 2, 2, 0, 0));
    write(&[older, other, event("N-9", 0, "paid"), json!({"no": "event"}), event(REFUSED, 0, "paid")]);
    let (told, rows) = replayed(&world, &["--file", file]);
    assert_eq!(told, summary(5, 4, 0, 1, 2));
    assert_eq!(verdict(&rows, "G-1"), "later - nothing", "the log has gone on behind the file");
    assert_eq!(verdict(&rows, "G-2"), "differing state look");
    assert_eq!(verdict(&rows, "N-9"), "never_delivered no_state look");
    assert_eq!(verdict(&rows, REFUSED), "never_delivered dead_letter resync");
    let told = world.run(&["replay", "--file", file, "--verify-only"]);
    assert_eq!(told.code, Some(4));
    assert!(told.out.contains("; its last event is line 2 of the file"), "{told:?}");
    assert!(told.out.contains("1  events that cannot be folded by these settings\n"), "{told:?}");
    assert!(!told.out.contains("have no dead letter"), "{told:?}");
    // What an operator has folded is folded here, too, though no line says when.
    world.run(&["orders", "fold", &format!("{}/0/2", world.topic), "--why", "a test", "--no-wait"]).out();
    world.catch_up();
    let events = [event("G-1", 0, "pending_payment"), event("G-1", 2, "paid"), event("G-1", 1, "cancelled")];
    write(&events);
    assert_eq!(replayed(&world, &["--file", file]).0, summary(3, 1, 1, 0, 0));
    assert_eq!(replayed(&world, &["--order", "G-1"]).0["same"], 1);
    // It hides nothing that is newer than what is held.
    write(&[events[0].clone(), event("G-1", 4, "refunding")]);
    assert_eq!(verdict(&replayed(&world, &["--file", file]).1, "G-1"), "differing missed look");
    world.check_refused(&["replay", "--file", "/nowhere"], 2, &["cannot open"]);
    world.check_refused(&["replay", "--file", file, "--from", "1"], 2, &["cannot be used with"]);
}

#[test]
fn real_kafka_what_cannot_be_replayed_is_said() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let check = |args: &[&str], code: i32, words: &[&str]| {
        world.check_refused(&[&["replay"], args].concat(), code, words);
    };
    check(&["--set", "kafka.exactly_once=false"], 2, &["kafka.exactly_once = false", "nothing to compare"]);
    check(&["--set", "kafka.changelog_topic=nowhere"], 7, &["there is no changelog nowhere", "kafka.exactly_once"]);
    check(&["--set", "kafka.topics=[\"nowhere\"]"], 7, &["source topic nowhere does not exist"]);
    check(&["--topic", "nowhere"], 2, &["no source topic of these settings", &world.topic]);
    check(&["--partition", "1"], 2, &["1 partitions, counted from 0: there is no partition 1"]);
    check(&["--from", "yesterday"], 2, &["is no place"]);
    check(&["--file", "-", "--until", "latest"], 2, &["cannot be used with"]);
    check(&["--resume"], 2, &["no plan to go on with"]);
    check(&["--apply", "--verify-only"], 2, &["cannot be used with"]);
}
