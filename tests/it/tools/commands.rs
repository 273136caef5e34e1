//! Commands as an operator gives them, on a real Kafka: the very records, and how outcomes are waited for. The owner of the
//! partition is played, so that its answers are those of the test.

use std::process::{Child, Stdio};

use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::record::{NextOffset, RecordOffset};
use order_sync::sync::changelog::ChangelogKey;
use order_sync::sync::command::{CommandDone, Outcome};
use serde_json::{Value, json};

use super::fixture::{Told, World, assert_silent, event};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

/// The commands that lie in the topic, in their order.
pub fn written(kafka: &RealKafka, world: &World) -> Vec<Value> {
    let records = kafka.read_all(&format!("{}.commands", world.site.group()));
    let one = |(partition, record): (i32, order_sync::record::Record)| {
        let value: Value = serde_json::from_slice(&record.value.unwrap()).unwrap();
        assert_eq!((value["id"].as_str().unwrap().as_bytes(), partition), (&*record.key.unwrap(), 0));
        value
    };
    records.into_iter().map(one).collect()
}

/// The command without what differs from run to run.
pub fn steady(world: &World, command: &Value) -> Value {
    let mut command = command.clone();
    assert!(command["at_ms"].as_i64().unwrap() > 1_700_000_000_000);
    command["at_ms"] = "(number)".into();
    let id = command["id"].as_str().unwrap().replace(&world.topic, "orders");
    let (round, name) = id.split_once('/').unwrap();
    command["id"] = format!("{}-(round)/{name}", round.split('-').next().unwrap()).into();
    command["topic"] = command["topic"].as_str().unwrap().replace(&world.topic, "orders").into();
    command
}

/// Lets a command wait until the owner, which is played, has answered all that it has written: `count` of them.
fn answered(kafka: &RealKafka, world: &World, args: &[&str], count: usize, answer: (Outcome, &str)) -> Told {
    let before = written(kafka, world).len();
    let child: Child = world.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("the commands are written", || written(kafka, world).len() >= before + count);
    let producer = Producer::connect(&kafka.brokers).unwrap();
    for (number, command) in written(kafka, world).iter().enumerate().skip(before) {
        let done = CommandDone {
            command: command["command"].as_str().unwrap().into(),
            outcome: answer.0,
            message: answer.1.into(),
            offset: command["offset"].as_i64().map(RecordOffset::new),
            app_id: None,
            order_id: None,
            update_time: None,
            next: NextOffset::new(7),
            command_offset: RecordOffset::new(i64::try_from(number).unwrap()),
            at_ms: 1_795_593_600_007,
            who: command["who"].as_str().unwrap().into(),
            why: command["why"].as_str().unwrap().into(),
        };
        let key = ChangelogKey::Command(command["id"].as_str().unwrap().into()).encode(&world.topic);
        let value = done.encode().unwrap();
        let (key, value) = (Some(key.as_slice()), Some(value.as_slice()));
        let topic = format!("{}.changelog", world.site.group());
        producer.send(&topic, Outgoing { partition: Some(0), key, value, ..Outgoing::default() }).unwrap();
    }
    producer.flush().unwrap();
    Told::of(child.wait_with_output().unwrap())
}

#[test]
fn real_kafka_an_app_is_paused_in_every_partition_and_the_outcome_is_told() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let pause = ["apps", "pause", "tt1", "--why", "搬家", "--who", "alice"];
    let told = answered(kafka, &world, &pause, 1, (Outcome::Done, "paused here"));
    assert_silent(&told.out);
    insta::assert_snapshot!("commands_pause", world.steady(&told.out()));
    insta::assert_json_snapshot!("commands_pause_record", steady(&world, &written(kafka, &world)[0]));
    // Nobody answers: it is said, with a code of its own, and the command stays.
    let resume = ["apps", "resume", "tt1", "--timeout", "1s", "--output", "json"];
    let told = world.run(&resume);
    assert_eq!(told.code, Some(9), "{told:?}");
    assert!(told.err.contains("they are in the topic, and are executed when a worker"), "{told:?}");
    let line: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((&line["outcome"], &line["command"], &line["at"]), (&"waiting".into(), &"resume".into(), &Value::Null));
    let told = world.run(&["apps", "accept-rejections", "tt1", "-5", "--why", "right", "--no-wait"]).out();
    assert_eq!(world.steady(&told), "written  tt1 in orders/0");
    let commands = written(kafka, &world);
    assert_eq!((commands.len(), &commands[2]["code"], &commands[2]["app_id"]), (3, &json!(-5), &"tt1".into()));
    // Who gave it is the user at this host, unless it is said.
    let output = world.command(&["apps", "resume", "tt1", "--no-wait"]).env("USER", "bob").output().unwrap();
    Told::of(output).out();
    assert!(written(kafka, &world)[3]["who"].as_str().unwrap().starts_with("bob@"));
}

#[test]
fn real_kafka_letters_are_discarded_by_their_ids_or_none_of_them() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let [first, second, none] = [4, 5, 99].map(|offset| format!("{}/0/{offset}", world.topic));
    let told = world.run(&["dead-letters", "discard", &first, &none, "--why", "tests"]);
    assert_eq!((told.code, told.out.as_str()), (Some(1), ""), "{told:?}");
    assert!(told.err.contains("Nothing was written") && written(kafka, &world).is_empty(), "{told:?}");
    assert_eq!(world.run(&["dead-letters", "discard", &first]).code, Some(2), "a reason is needed");
    assert_eq!(world.run(&["dead-letters", "discard", &first, "--why", ""]).code, Some(2), "an empty one is none");
    let discard = ["dead-letters", "discard", &second, &first, "--why", "tests", "--who", "alice", "--output", "json"];
    let told = answered(kafka, &world, &discard, 2, (Outcome::Refused, "no"));
    assert_eq!(told.code, Some(1), "what is refused has failed");
    let lines: Vec<Value> = told.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let offsets: Vec<_> = lines.iter().map(|line| line["offset"].as_i64().unwrap()).collect();
    assert_eq!(offsets, [4, 5], "in offset order");
    let mut line = lines[0].clone();
    line["command_id"] = "(id)".into();
    insta::assert_snapshot!("commands_discard_json", world.steady(&line.to_string()));
    insta::assert_json_snapshot!("commands_discard_record", steady(&world, &written(kafka, &world)[0]));
}

#[test]
fn real_kafka_commands_that_nobody_would_read_are_refused() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let check = |args: &[&str], code: i32, words: &[&str]| world.check_refused(args, code, words);
    let pause = |setting: &'static str| ["apps", "pause", "tt1", "--why", "x", "--set", setting];
    check(&pause("kafka.exactly_once=false"), 2, &["kafka.exactly_once", "no worker reads them"]);
    check(&pause("kafka.group_id=another"), 7, &["another.commands does not exist", "topics create"]);
    check(&["apps", "pause", "tt2", "--why", "x"], 2, &["no app \"tt2\"", "tt1"]);
    let long = "x".repeat(300);
    check(&["apps", "pause", "tt1", "--why", "x", "--who", &long], 2, &["has 300 bytes", "--who"]);
    assert!(written(kafka, &world).is_empty());
}

#[test]
fn real_kafka_apps_are_listed_from_kafka_alone() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let list = world.run(&["apps", "list"]).out();
    insta::assert_snapshot!("apps_list", world.steady(&list));
    let json = world.run(&["apps", "list", "--output", "json"]).lines();
    let expect = json!({
        "app_id": "tt1", "is_configured": true, "paused_partitions": 0, "partitions": 1, "accepted_codes": [],
        "orders": 3, "owed": 0, "oldest_owed_at": null, "dead_letters": 1, "workers": [], "silent_workers": [],
    });
    assert_eq!(json, [expect]);
    // Circuit and token are a worker's own: it is asked.
    let mut worker = world.site.spawn(&[]);
    eventually("the worker has been asked for readiness", || world.site.get("/readyz").is_some());
    world.send(kafka, &[("G-7", event("G-7", 0, "paid"))]);
    let has_token = |(_, body): (u16, String)| body.contains(r#""token_age_seconds":{"tt1":"#);
    eventually("it has a token", || world.site.get("/readyz").is_some_and(has_token));
    let admin = world.site.admin();
    let asked = world.run(&["apps", "list", "--admin", &admin, "--output", "json"]).lines().remove(0);
    let said = &asked["workers"][0];
    assert_eq!((&said["admin"], &said["circuit"]), (&admin.as_str().into(), &"closed".into()), "{asked}");
    assert!(said["token_age_seconds"].as_u64().is_some_and(|age| age < 60), "{asked}");
    let text = world.run(&["apps", "list", "--admin", &admin]).out();
    assert!(text.contains("closed") && text.contains(" s\n"), "{text}");
    // One of several is another thing: what the worker says is told all the same.
    let other = world.sandbox().base_url();
    let told = world.run(&["apps", "list", "--admin", &other, "--admin", &admin]);
    assert_eq!((told.code, told.out.contains("closed"), told.out.lines().count()), (Some(1), true, 2), "{told:?}");
    assert!(told.err.contains(&other) && told.err.contains("no answer of a worker"), "{told:?}");
    worker.kill().unwrap();
    worker.wait().unwrap();
    let told = world.run(&["apps", "list", "--admin", &admin, "--output", "json"]);
    let line: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(
        (told.code, &line["orders"], &line["silent_workers"]),
        (Some(1), &json!(4), &json!([admin])),
        "{told:?}"
    );
    assert!([&admin, "no answer", "admin.listen"].iter().all(|words| told.err.contains(words)), "{told:?}");
    world.check_refused(&["apps", "list", "--admin", "nowhere"], 2, &["--admin is not an http:// or https:// URL"]);
}
