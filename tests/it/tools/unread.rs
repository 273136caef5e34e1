//! Records of the changelog that cannot be read, on a real Kafka: every tool names them and goes on.

use super::fixture::{REFUSED, World};
use super::planting::Planting;
use crate::support::real_kafka::RealKafka;

#[test]
fn real_kafka_what_cannot_be_read_of_the_changelog_is_named_by_every_tool_and_ends_none() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let redriven = format!("{}/0/6", world.topic);
    world.run(&["dead-letters", "redrive", &redriven, "--no-wait"]).out();
    world.catch_up();
    let planting = Planting { kafka, world: &world };
    let mut entries = planting.changelog();
    let mut spoil = |key: &str| {
        let at = entries.iter().rposition(|(known, _)| known.starts_with(key)).unwrap();
        let (key, value) = &mut entries[at];
        *value = Some(value.take().unwrap().replacen("\"format\":1", "\"format\":9", 1));
        (at, key.clone())
    };
    let status = spoil(&planting.key("letter", "6"));
    let outcome = spoil(&planting.key("command", "").replace(']', ","));
    let state = spoil(&planting.key("state", "\"tt1\",\"G-2\""));
    let copy = planting.copy(&entries);
    let setting = format!("kafka.changelog_topic={copy}");
    let check = |args: &[&str], expect: &[&(usize, String)]| {
        let told = world.run(&[args, &["--set", &setting]].concat());
        assert_eq!(told.code, Some(0), "{args:?}: {told:?}");
        for (at, key) in expect {
            assert!(told.err.contains(&format!("{copy}/0/{at} with the key {key}")), "{args:?}: {at} {key}: {told:?}");
        }
        told.out
    };
    check(&["dead-letters", "list"], &[&status]);
    check(&["dead-letters", "list", "--group-by", "status"], &[&status]);
    let shown = check(&["dead-letters", "show", &redriven], &[&status]);
    assert!(shown.contains("open: nobody has dealt with it"), "{shown}");
    let file = world.site.home().join("letters.ndjson");
    check(&["dead-letters", "export", "--to", file.to_str().unwrap()], &[&status]);
    // Into a topic that has lost them all.
    let lost = format!("kafka.dead_letter_topic={}", kafka.topic("lost", 1, &[]));
    check(&["dead-letters", "import", file.to_str().unwrap(), "--dry-run", "--set", &lost], &[&status]);
    check(&["dead-letters", "redrive", "--order", REFUSED, "--dry-run"], &[&status]);
    check(&["dead-letters", "discard", &redriven, "--why", "a test", "--no-wait"], &[&status]);
    let shown = check(&["orders", "show", REFUSED], &[&status, &outcome]);
    assert!(shown.contains("dead letter"), "{shown}");
    let listed = check(&["orders", "list"], &[&state]);
    assert!(listed.contains("G-1") && !listed.contains("G-2"), "{listed}");
    check(&["orders", "export"], &[&state]);
    check(&["apps", "list"], &[&state]);
    let replayed = check(&["replay", "--output", "json"], &[&status, &outcome, &state]);
    // The letter is known by its stamp to be of an event that was folded, and one order alone has no state.
    let count = |why: &str| replayed.matches(&format!("\"why\":\"{why}\"")).count();
    assert_eq!((count("no_state"), count("dead_letter"), count("set_aside")), (1, 1, 1), "{replayed}");
}
