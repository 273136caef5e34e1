//! The worker's own topics as users meet them: `order-sync topics`, and what `run` says of those that are lost.

use std::process::Command;
use std::time::Duration;

use order_sync::sandbox::SandboxHandle;

use crate::run::{Site, produce, sandbox};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

/// Exit code and output of `order-sync topics`.
fn topics(site: &Site, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_order-sync"));
    let output = command.arg("topics").args(words).arg("--config").arg(site.config_file()).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// Runs a worker until it ends; its exit code.
fn run(site: &Site) -> Option<i32> {
    let mut worker = site.spawn(&["--until-caught-up"]);
    eventually("the worker ends", || worker.try_wait().unwrap().is_some());
    worker.wait().unwrap().code()
}

/// A group that has been at work.
fn worked(kafka: &RealKafka) -> (Site, SandboxHandle) {
    let topic = kafka.topic("own", 1, &[]);
    produce(kafka, &topic, 3);
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(&kafka.brokers, &topic, &sandbox.base_url());
    assert_eq!(run(&site), Some(0), "{}", site.log());
    (site, sandbox)
}

#[test]
fn real_kafka_a_lost_topic_of_commands_or_dead_letters_is_told_and_only_made_by_who_is_asked_to() {
    let Some(kafka) = RealKafka::shared() else { return };
    let (site, _sandbox) = worked(kafka);
    for what in ["commands", "dead-letters"] {
        let topic = format!("{}.{what}", site.group());
        let missing = || topics(&site, &["check"]).1.contains(&format!("topic {topic} does not exist, but "));
        let refused = |known_by: &str| {
            assert_eq!(run(&site), Some(7), "{}", site.log());
            let log = site.log();
            let words = format!("topic {topic} does not exist, but {known_by}: ");
            assert!(log.contains(&words) && log.contains("`order-sync topics create`"), "{words} {log}");
            assert!(missing(), "it was made");
        };
        kafka.delete(&topic);
        refused("this worker's store holds positions");
        // One without a store: the group's offsets tell.
        std::fs::remove_dir_all(site.home().join("store")).unwrap();
        refused(&format!("the group {} has committed offsets", site.group()));
        let (code, words) = topics(&site, &["check"]);
        assert_eq!((code, words.matches("fault").count()), (Some(7), 1), "{words}");
        let (code, words) = topics(&site, &["create"]);
        assert!(code == Some(0) && words.contains(&format!("created  {topic}: ")), "{words}");
        assert_eq!(run(&site), Some(0), "{}", site.log());
    }
}

#[test]
fn real_kafka_topics_check_says_what_it_does_itself() {
    let Some(kafka) = RealKafka::shared() else { return };
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(&kafka.brokers, &kafka.topic("checked", 2, &[]), &sandbox.base_url());
    let (code, words) = topics(&site, &["check"]);
    let makes = "does not exist. `order-sync topics create` makes it, or: kafka-topics.sh --bootstrap-server ";
    assert_eq!((code, words.matches(makes).count()), (Some(7), 4), "{words}");
    assert!(!words.contains("create_topics"), "it was not asked to make any: {words}");
    for command in ["check", "create"] {
        let (code, words) = topics(&site, &[command, "--set", "kafka.topics=[\"nosuch\",\"neither\"]"]);
        assert_eq!(code, Some(7), "{words}");
        for topic in ["nosuch", "neither"] {
            let told =
                format!("fault    {topic}: the source topic {topic} does not exist, or this user may not see it");
            assert!(words.contains(&told), "{words}");
        }
        assert!(words.matches("fault").count() == 2 && !words.contains("waiting"), "{words}");
    }
}
