//! A worker whose disk is full, whose store panics or whose directory goes: it stops with words and the code of the store,
//! and nothing is lost.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use order_sync::sandbox::SandboxHandle;

use crate::run::{Site, produce, sandbox, terminate};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;
use crate::support::running::Running;
use crate::support::sled_damage::{holds, misnumber_all_pages, misnumber_later_pages};

/// A file may have about 1 MiB: a store can be begun in it, and not filled. To the writer it is a disk that is full.
const SMALL_DISK: &str = "trap '' XFSZ; ulimit -f 2100";
/// The exit code of a store that cannot be used.
const STORE: i32 = 6;
const SLOW: &str = "--set=delivery.max_in_flight=4";

struct World {
    site: Site,
    topic: String,
    sandbox: SandboxHandle,
    pushes: u64,
}

fn world(kafka: &RealKafka, orders: usize, latency: Duration) -> World {
    let topic = kafka.topic("disk", 1, &[]);
    let pushes = u64::try_from(produce(kafka, &topic, orders)).unwrap();
    let sandbox = sandbox(latency);
    World { site: Site::new(&kafka.brokers, &topic, &sandbox.base_url()), topic, sandbox, pushes }
}

impl World {
    /// A worker on the small disk ends by itself.
    fn ends_on_a_small_disk(&self, args: &[&str]) {
        self.ends(self.site.spawn_behind(SMALL_DISK, args), STORE);
    }

    fn ends(&self, mut worker: Running, code: i32) {
        eventually("the worker ends", || worker.try_wait().unwrap().is_some());
        assert_eq!(worker.wait().unwrap().code(), Some(code), "{}", self.site.log());
    }

    fn store(&self) -> PathBuf {
        self.site.home().join("store")
    }

    /// A start meets a panic of sled, ends with `code`, and has set the store aside; the next start goes on.
    fn meets_a_panic(&mut self, code: i32) {
        self.ends(self.site.spawn(&["--until-caught-up"]), code);
        self.says("moved aside");
        self.says(&format!("store directory {} cannot be read: sled panicked", self.store().display()));
        self.lacks("restore a backup");
        if code == STORE {
            self.says("start again, and a new one is rebuilt from the changelog");
        }
        let beside = std::fs::read_dir(self.site.home()).unwrap().map(Result::unwrap);
        assert_eq!(beside.filter(|f| f.file_name().to_string_lossy().starts_with("store.aside-")).count(), 1);
        self.goes_on();
        assert_eq!(self.sandbox.report().repeats, 0);
    }

    fn catches_up(&self) {
        self.ends(self.site.spawn(&["--until-caught-up"]), 0);
    }

    /// With room again everything arrives once: an order that got another stamp would be applied once more.
    fn goes_on(&self) {
        self.catches_up();
        let report = self.sandbox.report();
        assert_eq!((report.applied, report.violations_total), (self.pushes, 0), "{}", self.site.log());
    }

    fn lacks(&self, words: &str) {
        assert!(!self.site.log().contains(words), "{words}: {}", self.site.log());
    }

    fn says(&self, words: &str) {
        assert!(self.site.log().contains(words), "{words}: {}", self.site.log());
    }
}

const FULL: &str = "the disk is full (file too large); make room and start again, nothing that was committed";

#[cfg(unix)]
#[test]
fn real_kafka_a_full_disk_stops_the_commit_with_words_and_loses_nothing() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = world(kafka, 600, Duration::from_millis(20));
    world.ends_on_a_small_disk(&[SLOW]);
    world.says(FULL);
    let applied = world.sandbox.report().applied;
    assert!(applied > 0 && applied < world.pushes, "{applied} of {}", world.pushes);
    world.goes_on();
}

#[cfg(unix)]
#[test]
fn real_kafka_a_full_disk_stops_a_restore_with_words_and_loses_nothing() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = world(kafka, 2000, Duration::from_millis(2));
    world.goes_on();
    std::fs::remove_dir_all(world.site.home().join("store")).unwrap();
    world.ends_on_a_small_disk(&[]);
    world.says(FULL);
    world.goes_on();
}

/// What a clean stop cannot write any more is in the changelog.
#[cfg(unix)]
#[test]
fn real_kafka_a_full_disk_makes_no_loss_of_a_clean_stop() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = world(kafka, 1500, Duration::from_millis(1));
    let mut worker = world.site.spawn_behind(SMALL_DISK, &[]);
    eventually("some is committed", || world.sandbox.report().applied > 1000);
    assert_eq!(terminate(&mut worker), Some(0), "{}", world.site.log());
    world.says("the store was not written at the end");
    world.says(FULL);
    world.goes_on();
}

/// A page of states alone is read when an order comes.
fn misnumber_states(store: &Path) {
    misnumber_later_pages(store, |rows| holds(rows, "\"applied_offset\""));
}

#[test]
fn real_kafka_a_panic_of_sled_at_the_opening_sets_the_store_aside() {
    let Some(kafka) = RealKafka::shared() else { return };
    let mut world = world(kafka, 600, Duration::ZERO);
    world.goes_on();
    misnumber_all_pages(&world.store());
    world.meets_a_panic(0);
}

/// The engine's thread reads a state.
#[test]
fn real_kafka_a_panic_of_sled_over_a_state_sets_the_store_aside() {
    let Some(kafka) = RealKafka::shared() else { return };
    let mut world = world(kafka, 600, Duration::ZERO);
    world.goes_on();
    misnumber_states(&world.store());
    // The same log again says nothing new.
    produce(kafka, &world.topic, 600);
    world.meets_a_panic(STORE);
}

/// The restore's thread writes states beside others: the store is older than the changelog.
#[test]
fn real_kafka_a_panic_of_sled_in_a_write_sets_the_store_aside() {
    let Some(kafka) = RealKafka::shared() else { return };
    let mut world = world(kafka, 600, Duration::ZERO);
    world.goes_on();
    let older = world.site.home().join("older");
    assert!(Command::new("cp").arg("-a").args([world.store(), older.clone()]).status().unwrap().success());
    produce(kafka, &world.topic, 700);
    world.catches_up();
    world.pushes = world.sandbox.report().applied;
    std::fs::remove_dir_all(world.store()).unwrap();
    std::fs::rename(older, world.store()).unwrap();
    misnumber_states(&world.store());
    world.meets_a_panic(STORE);
}

/// The only copy is never moved away by us.
#[test]
fn real_kafka_a_panic_of_sled_over_the_only_copy_leaves_it_where_it_is() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = world(kafka, 600, Duration::ZERO);
    let alone = ["--until-caught-up", "--set=kafka.exactly_once=false"];
    world.ends(world.site.spawn(&alone), 0);
    misnumber_states(&world.store());
    produce(kafka, &world.topic, 600);
    world.ends(world.site.spawn(&alone), STORE);
    world.says("sled panicked; it is the only copy (kafka.exactly_once = false): restore a backup of it");
    world.lacks("moved aside");
    assert!(world.store().join("db").exists());
}

/// Somebody cleans up: the next write of the commit's thread meets a directory that is gone.
#[test]
fn real_kafka_a_store_that_is_deleted_under_a_worker_stops_it_and_is_rebuilt() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = world(kafka, 600, Duration::from_millis(20));
    let worker = world.site.spawn(&[SLOW]);
    eventually("some is delivered", || world.sandbox.report().applied > 50);
    std::fs::remove_dir_all(world.store()).unwrap();
    world.ends(worker, STORE);
    world.says(&format!("cannot write store directory {}: ", world.store().display()));
    world.says("see to the disk and its permissions, then start again");
    let applied = world.sandbox.report().applied;
    assert!(applied < world.pushes, "{applied} of {}: it had ended its work before", world.pushes);
    world.goes_on();
}
