//! Starts on a source topic that is not what it was: it has grown while no worker ran.

use std::time::Duration;

use order_sync::sandbox::SandboxHandle;

use crate::run::{Site, produce, sandbox};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

struct World {
    site: Site,
    sandbox: SandboxHandle,
    topic: String,
    pushes: u64,
}

/// A worker over a wide topic and a narrow one with orders, caught up.
fn world(kafka: &RealKafka, lines: &str) -> World {
    let (wide, topic) = (kafka.topic("wide", 4, &[]), kafka.topic("narrow", 2, &[]));
    let pushes = u64::try_from(produce(kafka, &topic, 30)).unwrap();
    let sandbox = sandbox(Duration::ZERO);
    let topics = format!("{wide}\", \"{topic}");
    let world = World { site: Site::with(&kafka.brokers, &topics, &sandbox.base_url(), lines), sandbox, topic, pushes };
    world.ends_with(0);
    world
}

impl World {
    fn ends_with(&self, code: i32) {
        let mut worker = self.site.spawn(&["--until-caught-up"]);
        eventually("the worker ends", || worker.try_wait().unwrap().is_some());
        assert_eq!(worker.wait().unwrap().code(), Some(code), "{}", self.site.log());
        let report = self.sandbox.report();
        assert_eq!((report.received, report.violations_total), (self.pushes, 0), "{}", self.site.log());
    }
}

/// Growth within the changelog's width: only what was noted tells.
fn check(kafka: &RealKafka, lines: &str, keep_store: bool) {
    let world = world(kafka, lines);
    kafka.grow(&world.topic, 3);
    if !keep_store {
        std::fs::remove_dir_all(world.site.home().join("store")).unwrap();
    }
    produce(kafka, &world.topic, 60);
    world.ends_with(7);
    let words = format!("topic {} had 2 partitions and has 3 now", world.topic);
    assert!(world.site.log().contains(&words), "{}", world.site.log());
}

#[test]
fn real_kafka_a_source_topic_that_has_grown_is_refused_at_the_start() {
    let Some(kafka) = RealKafka::shared() else { return };
    check(kafka, "", true);
    // By what the group has noted beside its offsets.
    check(kafka, "", false);
    check(kafka, "exactly_once = false", true);
}
