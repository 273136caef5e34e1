//! What operators have decided outlives the changelog that it stood in.

use std::collections::BTreeMap;

use super::fixture::{REFUSED, World};
use crate::support::real_kafka::RealKafka;

/// The status of each letter by its offset.
fn statuses(world: &World) -> BTreeMap<String, String> {
    let told = world.run(&["dead-letters", "list", "--output", "json"]).lines();
    let text = |line: &serde_json::Value, name: &str| line[name].as_str().unwrap().to_owned();
    told.iter().map(|line| (text(line, "id").rsplit('/').next().unwrap().to_owned(), text(line, "status"))).collect()
}

#[test]
fn real_kafka_what_became_of_letters_is_known_after_a_rebase_onto_a_new_changelog() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let [discarded, refused] = [4, 6].map(|offset| format!("{}/0/{offset}", world.topic));
    world.run(&["dead-letters", "discard", &discarded, "--why", "a test", "--no-wait"]).out();
    world.mend();
    world.run(&["dead-letters", "redrive", &refused, "--no-wait"]).out();
    world.catch_up();
    let before = statuses(&world);
    let words = |offset: &str| before[offset].as_str();
    assert_eq!([words("4"), words("5"), words("6")], ["discarded", "open", "redriven"]);
    let (held, pushes) = (world.held(REFUSED), world.pushes(REFUSED));

    kafka.delete(&format!("{}.changelog", world.site.group()));
    world.run(&["store", "rebase"]).out();
    assert_eq!(statuses(&world), before, "as the rebase has written them");
    std::fs::remove_dir_all(world.site.home().join("store")).unwrap();
    world.catch_up();
    assert_eq!(statuses(&world), before, "as a worker has them that was restored from it");
    // What was decided is not done again; what is open still may be.
    world.run(&["dead-letters", "redrive", &refused, "--no-wait"]).out();
    world.catch_up();
    assert_eq!((world.held(REFUSED), world.pushes(REFUSED)), (held, pushes));
    assert_eq!(statuses(&world), before);
}
