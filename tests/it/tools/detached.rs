//! The way back from transactions: the store becomes the only copy, with all that the changelog has.

use std::fs;

use order_sync::sandbox::SandboxHandle;

use super::fixture::{World, event};
use crate::support::real_kafka::RealKafka;

const ALONE: &str = "--set=kafka.exactly_once=false";

/// Every stamp that the platform was given of an order, in the sequence in which they came.
fn stamps(sandbox: &SandboxHandle, order: &str) -> Vec<i64> {
    sandbox.history("tt1", order).iter().filter_map(|push| push.stamp).collect()
}

#[test]
fn real_kafka_who_goes_back_to_a_store_alone_takes_the_stamps_that_commands_have_moved_along() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    // Twice: its stamp is two ahead of its last event's time.
    for _ in 0..2 {
        world.run(&["orders", "resync", "G-1", "--no-wait"]).out();
        world.catch_up();
    }
    let (held, letters) = (world.held("G-1").unwrap(), world.run(&["dead-letters", "list"]).out());
    // A worker without transactions does not take a cache for the only copy.
    assert_eq!(world.site.run(&["--until-caught-up", ALONE]), Some(6), "{}", world.site.log());
    assert!(world.site.log().contains("order-sync store detach"), "{}", world.site.log());
    world.check_refused(&["store", "detach"], 2, &["set it to false first"]);

    world.run(&["apps", "pause", "tt1", "--why", "a test", "--no-wait"]).out();
    world.catch_up();
    world.check_refused(&["store", "detach", ALONE], 7, &["app tt1 is paused", "order-sync apps resume tt1"]);
    world.run(&["apps", "resume", "tt1", "--no-wait"]).out();
    world.catch_up();

    // All of it is in the changelog.
    fs::remove_dir_all(world.site.home().join("store")).unwrap();
    let told = world.run(&["store", "detach", ALONE]).out();
    let line = format!("{}/0: all that the changelog has; next offset 7, owed 0", world.topic);
    assert!(told.contains(&line) && told.contains("is the only copy now"), "{told}");
    world.check_refused(&["store", "detach", ALONE], 6, &["is the only copy already"]);
    let told = world.run(&["dead-letters", "list", ALONE]);
    assert!(told.err.contains("tells what was so before"), "{told:?}");
    assert_eq!(told.out(), letters);

    // The next event's own time lies before the stamp that the platform has.
    let mut next = event("G-1", 2, "redeemed");
    next["event_id"] = "G-1-next".into();
    next["occurred_at"] = (1_760_000_000_000_i64 + 2 * 60_000 + 1).into();
    world.send(kafka, &[("G-1", next)]);
    world.catch_up_with(&[ALONE]);
    assert!(world.held("G-1").unwrap() > held, "{:?} {held}", world.held("G-1"));
    let given = stamps(world.sandbox(), "G-1");
    assert!(given.windows(2).all(|pair| pair[0] < pair[1]), "{given:?}");
    assert_eq!(world.sandbox().report().violations_total, 0);

    // And forward again, into a changelog that knows nothing of it.
    let forward = format!("--set=kafka.changelog_topic={}.forward", world.site.group());
    let told = world.run(&["store", "rebase", &forward]).out();
    assert!(told.contains("next offset 8"), "{told}");
}

/// One that was taken out of the settings may come back.
#[test]
fn real_kafka_a_store_alone_has_the_topics_that_are_not_in_the_settings_too() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let (other, order) = (kafka.topic("other", 1, &[]), "B-1");
    let both = format!("--set=kafka.topics=[\"{}\",\"{other}\"]", world.topic);
    World::send_to(kafka, &other, &[(order, event(order, 0, "paid"))]);
    world.catch_up_with(&[&both]);
    world.run(&["orders", "resync", order, "--no-wait", &both]).out();
    world.catch_up_with(&[&both]);
    let held = world.held(order).unwrap();

    fs::remove_dir_all(world.site.home().join("store")).unwrap();
    let told = world.run(&["store", "detach", ALONE]).out();
    assert!(told.contains(&format!("{other}/0: all that the changelog has; next offset 1, owed 0")), "{told}");
    let mut next = event(order, 0, "redeemed");
    next["event_id"] = "B-1-next".into();
    next["occurred_at"] = (1_760_000_000_000_i64 + 1).into();
    World::send_to(kafka, &other, &[(order, next)]);
    world.catch_up_with(&[&both, ALONE]);
    assert!(world.held(order).unwrap() > held, "{:?} {held}", world.held(order));
    assert_eq!(world.sandbox().report().violations_total, 0);
}

#[test]
fn real_kafka_a_store_is_not_made_the_only_copy_by_a_changelog_that_lacks_something() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let elsewhere = "--set=kafka.changelog_topic=no-such-changelog";
    world.check_refused(&["store", "detach", ALONE, elsewhere], 6, &["is a cache of the changelog"]);
    kafka.delete(&format!("{}.changelog", world.site.group()));
    world.check_refused(&["store", "detach", ALONE], 7, &["does not exist"]);
    kafka.create(&format!("{}.changelog", world.site.group()), 1, &[("cleanup.policy", "compact")]);
    world.check_refused(&["store", "detach", ALONE], 7, &["has committed offset 7", "knows nothing of it"]);
    // It is as it was.
    assert!(world.run(&["store", "check"]).out().contains("it is a cache of the changelog"));
}
