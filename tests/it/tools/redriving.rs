//! Redrive, resync and fold as an operator gives them, on a real Kafka: what is said beforehand, and what is written.

use serde_json::{Value, json};

use super::commands::{steady, written};
use super::fixture::{REFUSED, World, assert_silent, event};
use crate::support::real_kafka::RealKafka;

#[test]
fn real_kafka_what_a_redrive_will_do_is_said_before_it_is_done() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let dry = ["dead-letters", "redrive", "--status", "open", "--dry-run"];
    let plan = world.run(&dry).out();
    insta::assert_snapshot!("redrive_plan", world.steady(&plan));
    let plan = world.run(&[&dry[..], &["--output", "json"]].concat());
    insta::assert_snapshot!("redrive_plan_json", world.steady(&plan.out()));
    assert_eq!(world.run(&["dead-letters", "redrive", "--dry-run"]).code, Some(2), "no filter is no choice");
    assert!(written(kafka, &world).is_empty());
    // Given in any order, they are written in that of their events, each with the place of its letter.
    let [incomplete, refused] = [5, 6].map(|offset| format!("{}/0/{offset}", world.topic));
    let redrive = ["dead-letters", "redrive", &refused, &incomplete, "--no-wait", "--who", "alice", "--why", "上架"];
    let told = world.run(&redrive).out();
    assert_silent(&told);
    let commands = written(kafka, &world);
    let places: Vec<_> = commands.iter().map(|c| (c["offset"].clone(), c["letter"].clone())).collect();
    let place = |offset: i64| json!({"partition": 0, "offset": offset});
    let letters = kafka.read_all(&format!("{}.dead-letters", world.site.group()));
    let offsets: Vec<i64> = letters.iter().map(|(_, record)| record.offset.get()).collect();
    assert_eq!(places, [(json!(5), place(offsets[1])), (json!(6), place(offsets[2]))]);
    let mut command = steady(&world, &commands[1]);
    command["letter"]["offset"] = "(number)".into();
    insta::assert_json_snapshot!("redrive_record", command);
}

#[test]
fn real_kafka_what_would_put_an_older_state_over_a_newer_one_is_not_given() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    // Set aside in the fold, and then the order goes on.
    let mut faulty = event("G-2", 3, "paid");
    faulty["order"]["total_price"] = json!("nineteen");
    world.goes_on(kafka, &[("G-2", faulty), ("G-2", event("G-2", 5, "redeemed"))]);
    // Of the refused order a newer state is accepted.
    world.heal(kafka);
    let redrive = ["dead-letters", "redrive", "--app", "tt1", "--status", "open", "--status", "superseded"];
    let told = world.run(&[&redrive[..], &["--no-wait", "--output", "json"]].concat()).lines();
    let plans: Vec<(&str, &str)> = told
        .iter()
        .filter(|line| line["kind"] == "plan")
        .map(|line| (line["order_id"].as_str().unwrap(), line["will"].as_str().unwrap()))
        .collect();
    assert_eq!(plans, [("I-1", "fold again"), (REFUSED, "superseded"), ("G-2", "stale")]);
    let offsets: Vec<Value> = written(kafka, &world).into_iter().map(|command| command["offset"].clone()).collect();
    assert_eq!(offsets, [json!(5)], "only what acts is given");
    // `fold` is the operator's word for it; a record that the fold has yet to come to is not.
    let [stale, ahead] = [2, 99].map(|offset| format!("{}/0/{offset}", world.topic));
    let told = world.run(&["orders", "fold", &ahead, "--why", "clock"]);
    assert_eq!((told.code, told.out.starts_with("refused ")), (Some(1), true), "{told:?}");
    assert_eq!(world.run(&["orders", "fold", &ahead, "--why", "clock", "--dry-run"]).code, Some(0));
    let applied = format!("{}/0/8", world.topic);
    let told = world.run(&["orders", "fold", &applied, "--why", "clock", "--output", "json"]).lines();
    assert_eq!((told.len(), &told[0]["will"]), (1, &json!("unchanged")), "{told:?}");
    let told = world.run(&["orders", "fold", &stale, "--why", "clock", "--who", "alice", "--no-wait"]).out();
    assert!(told.starts_with("fold again  ") && told.contains("the order becomes cancelled"), "{told}");
    insta::assert_json_snapshot!("fold_record", steady(&world, written(kafka, &world).last().unwrap()));
    assert_eq!(world.run(&["orders", "fold", "another/0/2", "--why", "clock"]).code, Some(2));
    // A record that the source has no more is not given: no worker finds it either.
    let given = written(kafka, &world).len();
    kafka.delete_records(&world.topic, 0, 3);
    let told = world.run(&["orders", "fold", &stale, "--why", "clock", "--no-wait"]);
    let refused =
        |out: &str| out.starts_with("refused ") && out.contains("neither the source nor a letter has the record");
    assert!(told.code == Some(1) && refused(&told.out), "{told:?}");
    let told = world.run(&["orders", "fold", &stale, "--why", "clock", "--dry-run"]);
    assert!(told.code == Some(0) && refused(&told.out), "{told:?}");
    assert_eq!(written(kafka, &world).len(), given);
}

#[test]
fn real_kafka_orders_are_sent_again_by_id_by_file_or_all() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let ids = |from: usize| -> Vec<String> {
        let commands = written(kafka, &world);
        commands[from..].iter().map(|command| command["order_id"].as_str().unwrap().to_owned()).collect()
    };
    let told = world.run(&["orders", "resync", "G-1", "nobody", "--no-wait"]);
    assert_eq!((told.code, told.out.as_str()), (Some(1), ""), "{told:?}");
    assert!(told.err.contains("\"nobody\" among them") && written(kafka, &world).is_empty(), "{told:?}");
    assert_eq!(world.run(&["orders", "resync"]).code, Some(2), "no order is no choice");
    let dry = world.run(&["orders", "resync", "--all", "--dry-run"]).out();
    insta::assert_snapshot!("resync_plan", world.steady(&dry));
    world.run(&["orders", "resync", "G-1", "--no-wait", "--who", "alice"]).out();
    insta::assert_json_snapshot!("resync_record", steady(&world, &written(kafka, &world)[0]));
    let file = world.site.home().join("ids.txt");
    std::fs::write(&file, format!("G-2\n\n{REFUSED}\n")).unwrap();
    world.run(&["orders", "resync", "--file", file.to_str().unwrap(), "--no-wait"]).out();
    assert_eq!(ids(1), ["G-2", REFUSED]);
    world.run(&["orders", "resync", "--all", "--app", "tt1", "--no-wait"]).out();
    assert_eq!(ids(3), ["G-1", "G-2", REFUSED]);
    world.run(&["orders", "resync", "--all", "--app", "tt2", "--no-wait"]).out();
    assert_eq!(written(kafka, &world).len(), 6);
}
