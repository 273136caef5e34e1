//! `replay --apply` on a real Kafka: what is given, and that a kill in the middle of it costs nothing and repeats nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::order::{Digest, OrderState};
use order_sync::sync::changelog::ChangelogKey;
use order_sync::sync::command::{CommandDone, Outcome};
use serde_json::Value;

use super::commands::written;
use super::fixture::{REFUSED, Told, World, assert_silent, event};
use super::replay::replayed;
use crate::run::terminate;
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

const ORDERS: usize = 40;

fn name(number: usize) -> String {
    format!("K-{number:02}")
}

/// Orders whose content is held under another digest: as after a change of settings that changes what is sent.
fn mapped_otherwise(kafka: &RealKafka, world: &World) {
    let orders: Vec<String> = (0..ORDERS).map(name).collect();
    let events: Vec<_> = orders.iter().map(|order| (order.as_str(), event(order, 0, "paid"))).collect();
    world.goes_on(kafka, &events);
    let producer = Producer::connect(&kafka.brokers).unwrap();
    let changelog = format!("{}.changelog", world.site.group());
    let mut newest = BTreeMap::new();
    for (_, record) in kafka.read_all(&changelog) {
        let key = record.key.unwrap();
        if let Some(ChangelogKey::State(identity)) = ChangelogKey::decode(&key, &world.topic).unwrap()
            && identity.order_id.starts_with("K-")
        {
            newest.insert(key, record.value.unwrap());
        }
    }
    assert_eq!(newest.len(), ORDERS);
    for (key, value) in newest {
        let mut state = OrderState::decode(&value).unwrap();
        state.digest = Digest([9; 32]);
        let mut value = Vec::new();
        state.encode(&mut value);
        let outgoing = Outgoing { partition: Some(0), key: Some(&key), value: Some(&value), ..Outgoing::default() };
        producer.send(&changelog, outgoing).unwrap();
    }
    producer.flush().unwrap();
}

/// What the changelog says of the resyncs: outcomes by the command's id.
fn outcomes(kafka: &RealKafka, world: &World) -> BTreeMap<String, CommandDone> {
    let mut outcomes = BTreeMap::new();
    for (_, record) in kafka.read_all(&format!("{}.changelog", world.site.group())) {
        if let Ok(Some(ChangelogKey::Command(id))) = ChangelogKey::decode(&record.key.unwrap(), &world.topic) {
            let done = CommandDone::decode(&record.value.unwrap()).unwrap();
            let before = outcomes.insert(id.to_string(), done.clone());
            assert!(before.is_none_or(|before| before == done), "told again, it is the same");
        }
    }
    outcomes
}

fn given(state: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(state).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| line["given"].as_u64()).collect()
}

#[test]
fn real_kafka_a_replay_that_is_killed_goes_on_and_gives_nothing_twice() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    mapped_otherwise(kafka, &world);
    let (told, _) = replayed(&world, &[]);
    assert_eq!((&told["differing"], &told["pushes"]), (&ORDERS.into(), &(ORDERS + 2).into()), "{told}");
    let mut worker = world.site.spawn(&[]);
    let state = world.site.home().join("progress.ndjson");
    let path = state.to_str().unwrap();
    let apply = ["replay", "--apply", "--rate", "4", "--state", path, "--why", "a test", "--output", "json"];
    let mut child = world.command(&apply).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("some of it is given", || given(&state).len() >= 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let before = written(kafka, &world).len();
    assert!((8..ORDERS).contains(&before), "{before}");
    // Begun anew it is refused: nothing of it is forgotten.
    world.check_refused(&apply, 2, &["commands are given: --resume goes on with it", "--state"]);
    // The worst kill: commands are written, and nothing says so; and a line is torn.
    let text = std::fs::read_to_string(&state).unwrap();
    let plan: Vec<&str> = text.lines().filter(|line| !line.contains("\"given\"")).collect();
    std::fs::write(&state, format!("{}\n{{\"giv", plan.join("\n"))).unwrap();
    let resumed =
        Told::of(world.command(&["replay", "--resume", "--state", path, "--output", "json"]).output().unwrap());
    assert_silent(&format!("{}{}", resumed.out, resumed.err));
    assert!(resumed.err.contains("0 of 41 commands are given already"), "{resumed:?}");
    let lines = resumed.lines();
    assert_eq!(lines.len(), ORDERS + 2, "an outcome for each, and the summary");
    assert_eq!(lines[ORDERS + 1], told, "the summary of the replay that was begun");
    let commands = written(kafka, &world);
    assert_eq!(commands.len(), before + ORDERS + 1, "all were written once more");
    assert!(commands.iter().all(|command| command["why"] == "a test"));
    let outcomes = outcomes(kafka, &world);
    assert_eq!(outcomes.len(), ORDERS + 1, "and acted once");
    assert!(outcomes.values().all(|done| done.outcome == Outcome::Sent), "{outcomes:?}");
    eventually("everything is delivered", || (0..ORDERS).all(|number| world.pushes(&name(number)) >= 2));
    world.mend();
    // Once more: there is nothing left to give, and what became of everything is told again.
    let told = world.run(&["replay", "--resume", "--state", path]);
    assert_eq!((told.code, told.out.lines().count()), (Some(0), ORDERS + 1), "{told:?}");
    assert_eq!(written(kafka, &world).len(), commands.len());
    assert_eq!(terminate(&mut worker), Some(0));
    for number in 0..ORDERS {
        assert_eq!(world.pushes(&name(number)), 2, "{}: its event, and one resync", name(number));
    }
    assert_eq!(replayed(&world, &[]).0["differing"], 0);
}

#[test]
fn real_kafka_what_replay_gives_brings_douyin_to_what_the_log_says() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    world.mend();
    // With no worker the commands wait in their topic. The default place of the file is the current directory.
    let mut command = world.command(&["replay", "--apply", "--timeout", "1s"]);
    let told = Told::of(command.current_dir(world.site.home()).output().unwrap());
    assert_silent(&format!("{}{}", told.out, told.err));
    assert_eq!(told.code, Some(9), "{told:?}");
    let file = world.site.home().join(format!("order-sync-replay-{}.ndjson", world.site.group()));
    assert_silent(&std::fs::read_to_string(&file).unwrap());
    let id = written(kafka, &world)[0]["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with(&format!("resync-replay/{}/0/tt1/{REFUSED}/", world.topic)), "{id}");
    // Given once more, by a plan of its own and by going on with it, it is the same command, and waits.
    let in_home = |args: &[&str]| {
        Told::of(world.command(&[args, &["--timeout", "1s"]].concat()).current_dir(world.site.home()).output().unwrap())
    };
    for args in [&["replay", "--apply"][..], &["replay", "--resume"]] {
        let told = in_home(args);
        let line = format!("waiting     {REFUSED} of tt1");
        assert!(told.code == Some(9) && told.out.contains(&line), "{told:?}");
    }
    let commands = written(kafka, &world);
    assert!(commands.iter().all(|command| command["id"] == id.as_str()), "{commands:?}");
    let before = world.pushes(REFUSED);
    world.catch_up();
    assert!(world.held(REFUSED).is_some(), "it was never delivered before");
    assert_eq!((outcomes(kafka, &world).len(), world.pushes(REFUSED)), (1, before + 1), "and acts once");
    let told = in_home(&["replay", "--resume"]);
    assert!(told.code == Some(0) && told.out.contains(&format!("sent        {REFUSED} of tt1")), "{told:?}");
    assert_eq!(written(kafka, &world).len(), commands.len(), "what has an outcome is not given again");
    let incomplete = format!("{}/0/5", world.topic);
    world.run(&["dead-letters", "discard", &incomplete, "--why", "a test", "--no-wait"]).out();
    world.catch_up();
    let told = world.run(&["replay", "--verify-only"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    // What an operator has decided against is not sent again.
    assert!(told.out.contains("pushes needed: 0"), "{told:?}");
    let idle = world.site.home().join("idle.ndjson");
    let told = world.run(&["replay", "--apply", "--order", "nobody", "--state", idle.to_str().unwrap()]);
    assert_eq!((told.code, told.err.contains("no event of these orders"), idle.exists()), (Some(0), true, false));
    world.check_refused(
        &["replay", "--resume", "--state", world.site.config_file().to_str().unwrap()],
        2,
        &["is no progress file"],
    );
    let other = ["replay", "--resume", "--state", file.to_str().unwrap(), "--set", "kafka.group_id=another"];
    world.check_refused(&other, 2, &["holds a replay for group", "kafka.group_id is another"]);
}
