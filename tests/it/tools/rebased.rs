//! What operators have decided outlives the changelog that it stood in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use order_sync::config;
use order_sync::store::{Owner, SledStore};

use super::fixture::{REFUSED, World, event};
use crate::support::kafka::eventually;
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

    // Given, and executed by nobody: no store knows that, so it is passed over, in words.
    let given = format!("{}/0/5", world.topic);
    world.run(&["dead-letters", "discard", &given, "--why", "a test", "--no-wait"]).out();
    kafka.delete(&format!("{}.changelog", world.site.group()));
    world.run(&["store", "rebase"]).out();
    assert_eq!(statuses(&world), before, "as the rebase has written them");
    fs::remove_dir_all(world.site.home().join("store")).unwrap();
    world.catch_up();
    assert_eq!(statuses(&world), before, "as a worker has them that was restored from it");
    let says = |value: &[u8]| String::from_utf8_lossy(value).contains("a rebase has passed it over");
    let log = kafka.read_all(&format!("{}.changelog", world.site.group()));
    assert_eq!(log.iter().filter(|(_, record)| record.value.as_deref().is_some_and(says)).count(), 1);
    // What was decided is not done again; what is open still may be.
    world.run(&["dead-letters", "redrive", &refused, "--no-wait"]).out();
    world.catch_up();
    assert_eq!((world.held(REFUSED), world.pushes(REFUSED)), (held, pushes));
    assert_eq!(statuses(&world), before);
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// An older directory would set the group back: orders pushed twice under other stamps, and the newest directory refused.
#[test]
fn real_kafka_a_rebase_leaves_what_another_store_knows_better() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let (store, older, newest) =
        (world.site.home().join("store"), world.site.home().join("a"), world.site.home().join("b"));
    copy(&store, &older);
    world.goes_on(kafka, &[("G-2", event("G-2", 5, "redeemed"))]);
    fs::rename(&store, &newest).unwrap();
    let (committed, held) = (kafka.committed(world.site.group(), &world.topic), world.held("G-2"));
    kafka.delete(&format!("{}.changelog", world.site.group()));

    let older = format!("store.path={}", older.display());
    let told = world.run(&["store", "rebase", "--set", &older]);
    let words = format!("{}/0: left, as this store ends at offset 7 and the group goes on at 8", world.topic);
    assert!(told.code == Some(6) && told.out.contains(&words) && told.err.contains("--set-back"), "{told:?}");
    assert_eq!(kafka.committed(world.site.group(), &world.topic), committed);

    fs::rename(&newest, &store).unwrap();
    world.run(&["store", "rebase"]).out();
    world.catch_up();
    assert_eq!((kafka.committed(world.site.group(), &world.topic), world.pushes("G-2")), (committed, 2));

    // Where the newer one is gone for good, the older will do, and says what that means.
    kafka.delete(&format!("{}.changelog", world.site.group()));
    let out = world.run(&["store", "rebase", "--set", &older, "--set-back"]).out();
    assert!(out.contains("the group is set back to this store"), "{out}");
    fs::remove_dir_all(&store).unwrap();
    world.catch_up();
    assert_eq!(world.held("G-2"), held, "the same event again has the same stamp");
}

/// What it holds of its partitions was true of the changelog that was lost, at offsets that the new one has as well.
#[test]
fn real_kafka_a_directory_of_the_changelog_before_is_not_gone_on_from() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let (store, older) = (world.site.home().join("store"), world.site.home().join("older"));
    copy(&store, &older);
    let mut renamed = event("G-2", 5, "paid");
    renamed["order"]["items"][0]["title"] = "second".into();
    world.goes_on(kafka, &[("G-2", renamed)]);
    assert!(world.shows("G-2", "second"));
    kafka.delete(&format!("{}.changelog", world.site.group()));
    world.run(&["store", "rebase"]).out();
    let more: Vec<String> = (0..30).map(|number| format!("M-{number}")).collect();
    let more: Vec<(&str, serde_json::Value)> = more.iter().map(|order| (&**order, event(order, 6, "paid"))).collect();
    world.goes_on(kafka, &more);

    fs::rename(&store, world.site.home().join("newest")).unwrap();
    fs::rename(&older, &store).unwrap();
    let mut difference = event("G-2", 7, "redeemed");
    difference.as_object_mut().unwrap().remove("order");
    world.goes_on(kafka, &[("G-2", difference)]);
    assert!(world.shows("G-2", "second"), "{}", world.site.log());
    assert!(world.site.log().contains("another changelog of this name"), "{}", world.site.log());
    world.is_accounted_for();
    check_what_is_lost_is_gone_behind(kafka, &world);
}

/// Retention takes two events that nobody has read: states and stamps stay, and an event that needs them is folded onto them.
fn check_what_is_lost_is_gone_behind(kafka: &RealKafka, world: &World) {
    let committed = || kafka.committed(world.site.group(), &world.topic)[&0];
    let (stands, held) = (committed(), world.held("G-1"));
    world.send(kafka, &[("G-2", event("G-2", 8, "paid")), ("G-1", event("G-1", 8, "redeemed"))]);
    kafka.delete_records(&world.topic, 0, stands + 2);
    let mut difference = event("G-2", 9, "refunding");
    difference.as_object_mut().unwrap().remove("order");
    world.send(kafka, &[("G-2", difference)]);
    let mut worker = world.site.spawn(&["--until-caught-up"]);
    eventually("the worker ends", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(1), "{}", world.site.log());
    assert!(world.site.log().contains("`order-sync store skip-lost`"), "{}", world.site.log());

    let lost = format!("{}/0: 2 offsets, {stands} to {}, were removed before they were read", world.topic, stands + 1);
    let goes_on = format!("{}/0: goes on at offset {}", world.topic, stands + 2);
    assert!(world.run(&["store", "rebase"]).out().contains(&format!("{lost}; `order-sync store skip-lost`")));
    // The directory is not needed: the positions are in the changelog.
    fs::remove_dir_all(world.site.home().join("store")).unwrap();
    let out = world.run(&["store", "skip-lost", "--dry-run"]).out();
    assert!(out.contains(&lost) && !out.contains(&goes_on) && committed() == stands, "{out}");
    let out = world.run(&["store", "skip-lost"]).out();
    assert!(out.find(&lost) < out.find(&goes_on) && committed() == stands + 2, "{out}");
    let out = world.run(&["store", "skip-lost"]).out();
    assert!(out.contains("no partition has lost records"), "{out}");
    world.catch_up();
    assert!(world.shows("G-2", "second") && world.pushes("I-1") == 0 && world.held("G-1") == held);
    let told = world.run(&["verify"]);
    let says = ["every offset is accounted for", "whether they were read before that is not seen any more"];
    assert!(told.code == Some(0) && says.iter().all(|words| told.out.contains(words)), "{told:?}");
}

#[test]
fn real_kafka_a_rebase_takes_no_store_of_another_cluster() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let path = world.site.home().join("elsewhere");
    let owner = Owner {
        group_id: world.site.group().to_owned(),
        cluster_id: Some("another-cluster".to_owned()),
        changelog: Some(format!("{}.changelog", world.site.group())),
        now_ms: 0,
    };
    drop(SledStore::open(&config::Store { path: path.clone(), cache_bytes: 32 << 20, retain: None }, &owner).unwrap());
    let path = format!("store.path={}", path.display());
    world.check_refused(&["store", "rebase", "--set", &path], 6, &["another-cluster"]);
}
