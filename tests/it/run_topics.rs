//! The worker's own topics as users meet them.

use std::process::Command;
use std::time::Duration;

use crate::run::{Site, sandbox};
use crate::support::real_kafka::RealKafka;

/// Exit code and output of `order-sync topics`.
fn topics(site: &Site, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_order-sync"));
    let output = command.arg("topics").args(words).arg("--config").arg(site.config_file()).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
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
