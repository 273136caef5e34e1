//! Each command of an operator, with the tool killed once it has written it, and the workers killed while they execute it:
//! it acts once, and who runs it again is told how things stand.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use order_sync::sandbox::Outcome;

use super::fixture::{REFUSED, World};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

/// Runs each command until it has written its one, and kills the tool; then workers, at any moment of the execution.
fn give_through_kills(kafka: &RealKafka, world: &World, rng: &mut fastrand::Rng, given: &[&[&str]]) {
    let commands = format!("{}.commands", world.site.group());
    let count = || kafka.read_all(&commands).len();
    let before = count();
    for (n, args) in given.iter().enumerate() {
        let mut tool = world.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        eventually("the command is written", || count() > before + n);
        tool.kill().unwrap();
        tool.wait().unwrap();
    }
    for _ in given.iter().take(2) {
        let mut worker = world.site.spawn(&[]);
        std::thread::park_timeout(Duration::from_millis(rng.u64(..2500)));
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    world.catch_up();
    assert_eq!(count(), before + given.len(), "{given:?}: one command each");
}

/// How often each outcome stands in the changelog, by the command's word.
fn outcomes(kafka: &RealKafka, world: &World) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (_, record) in kafka.read_all(&format!("{}.changelog", world.site.group())) {
        let key = String::from_utf8(record.key.unwrap().into()).unwrap();
        let (true, Some(value)) = (key.starts_with("[1,\"command\","), record.value) else { continue };
        let done: serde_json::Value = serde_json::from_slice(&value).unwrap();
        let name = done["command"].as_str().unwrap().to_owned();
        let before = found.entry(name).or_default().insert(key.clone(), done["outcome"].as_str().unwrap().to_owned());
        assert!(before.is_none_or(|before| done["outcome"] == before), "{key}: two outcomes");
    }
    found.into_iter().map(|(word, ids)| (word, ids.into_values().collect())).collect()
}

/// The stamps that the platform has applied of an order. A worker that is killed may leave several unsettled, and its
/// successor repeats them in their order: those are ignored.
fn taken(world: &World, order: &str) -> Vec<i64> {
    let history = world.sandbox().history("tt1", order);
    let applied = history.iter().filter(|push| push.outcome == Outcome::Applied);
    let stamps: Vec<_> = applied.map(|push| push.stamp.unwrap()).collect();
    assert!(stamps.is_sorted_by(|a, b| a < b), "{order}: {stamps:?}");
    stamps
}

#[test]
fn real_kafka_each_command_acts_once_through_kills_of_the_tool_and_of_workers() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::with(kafka, "properties = { \"session.timeout.ms\" = 6000 }");
    world.mend();
    let mut rng = fastrand::Rng::with_seed(11);
    let [stale, malformed, refused] = [2, 4, 6].map(|offset| format!("{}/0/{offset}", world.topic));
    let mut give = |given: &[&[&str]]| give_through_kills(kafka, &world, &mut rng, given);
    let first = taken(&world, "G-1").len();
    give(&[
        &["dead-letters", "redrive", &refused],
        &["dead-letters", "discard", &malformed, "--why", "a test"],
        &["orders", "resync", "G-1"],
        &["orders", "fold", &stale, "--why", "its clock was wrong"],
    ]);
    assert_eq!(taken(&world, REFUSED), [1_760_000_000], "the very request");
    assert_eq!(taken(&world, "G-1").len(), first + 2, "one for the resync, and one for the event");
    let app = || world.run(&["apps", "list", "--output", "json"]).lines().remove(0);
    give(&[
        &["apps", "pause", "tt1", "--why", "a move"],
        &["apps", "accept-rejections", "tt1", "40003", "--why", "known"],
    ]);
    assert_eq!((&app()["paused_partitions"], &app()["accepted_codes"][0]), (&1.into(), &40003.into()));
    give(&[&["apps", "resume", "tt1"]]);
    assert_eq!(app()["paused_partitions"], 0);
    let expect = [
        ("accept_rejections", "done"),
        ("discard", "done"),
        ("fold", "folded"),
        ("pause", "done"),
        ("redrive", "sent"),
        ("resume", "done"),
        ("resync", "sent"),
    ];
    let expect = expect.map(|(word, outcome)| (word.to_owned(), vec![outcome.to_owned()]));
    assert_eq!(outcomes(kafka, &world), BTreeMap::from(expect));
    // Again, by somebody who does not know how far the killed tools came: nothing is done twice.
    let told = world.run(&["dead-letters", "discard", &malformed, "--why", "a test"]);
    assert!(told.err.contains("is discarded already"), "{told:?}");
    let mut worker = world.site.spawn(&[]);
    let told = world.run(&["dead-letters", "redrive", &refused]).out();
    assert!(told.contains("refused") && told.contains("redriven already"), "{told}");
    let told = world.run(&["orders", "fold", &stale, "--why", "its clock was wrong"]);
    assert!(told.out.contains("nothing that is sent has changed"), "{told:?}");
    worker.kill().unwrap();
    worker.wait().unwrap();
    world.is_accounted_for();
    assert_eq!(taken(&world, REFUSED), [1_760_000_000]);
    assert_eq!(taken(&world, "G-1").len(), first + 2);
}
