//! A topic that is not there is no empty topic: every tool that reads it says so, in the same words.

use super::fixture::World;
use crate::support::real_kafka::RealKafka;

#[test]
fn real_kafka_every_tool_says_which_of_its_topics_is_not_there() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let check = |args: &[&str], setting: &str, words: &[&str]| {
        world.check_refused(&[args, &["--set", setting]].concat(), 7, words);
    };
    let of_orders: [&[&str]; 6] = [
        &["orders", "list"],
        &["orders", "export"],
        &["orders", "show", "G-1"],
        &["orders", "resync", "--all", "--why", "x", "--dry-run"],
        &["verify"],
        &["replay"],
    ];
    for args in of_orders.iter().copied().chain([&["apps", "list"][..]]) {
        check(args, "kafka.topics=[\"nosuch\"]", &["the source topic nosuch does not exist", "kafka.topics"]);
        let one_of_two = format!("kafka.topics=[\"{}\",\"nosuch\"]", world.topic);
        check(args, &one_of_two, &["the source topic nosuch does not exist", "kafka.topics"]);
        check(args, "kafka.changelog_topic=nosuch", &["there is no changelog nosuch", "kafka.changelog_topic"]);
    }
    for args in [&["dead-letters", "list"][..], &["orders", "show", "G-1"], &["verify"], &["replay"]] {
        check(
            args,
            "kafka.dead_letter_topic=nosuch",
            &["the dead-letter topic nosuch does not exist", "topics create"],
        );
    }
}
