//! The way back from transactions: the store becomes the only copy, with all that the changelog has.

use std::fs;

use order_sync::sandbox::SandboxHandle;

use super::fixture::{World, event};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

const ALONE: &str = "--set=kafka.exactly_once=false";

/// Runs a worker without transactions until it has caught up; its exit code.
fn alone(world: &World) -> Option<i32> {
    let mut worker = world.site.spawn(&["--until-caught-up", ALONE]);
    eventually("the worker ends", || worker.try_wait().unwrap().is_some());
    worker.wait().unwrap().code()
}

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
    assert_eq!(alone(&world), Some(6), "{}", world.site.log());
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
    assert_eq!(world.run(&["dead-letters", "list", ALONE]).out(), letters);

    // The next event's own time lies before the stamp that the platform has.
    let mut next = event("G-1", 2, "redeemed");
    next["event_id"] = "G-1-next".into();
    next["occurred_at"] = (1_760_000_000_000_i64 + 2 * 60_000 + 1).into();
    world.send(kafka, &[("G-1", next)]);
    assert_eq!(alone(&world), Some(0), "{}", world.site.log());
    assert!(world.held("G-1").unwrap() > held, "{:?} {held}", world.held("G-1"));
    let given = stamps(world.sandbox(), "G-1");
    assert!(given.windows(2).all(|pair| pair[0] < pair[1]), "{given:?}");
    assert_eq!(world.sandbox().report().violations_total, 0);

    // And forward again, into a changelog that knows nothing of it.
    let forward = format!("--set=kafka.changelog_topic={}.forward", world.site.group());
    let told = world.run(&["store", "rebase", &forward]).out();
    assert!(told.contains("next offset 8"), "{told}");
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
