//! What is not there, a topic or a record, is no empty one: every tool that reads it says so, in the same words.

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

#[test]
fn real_kafka_a_range_that_can_hold_nothing_is_refused_and_an_empty_one_is_noted() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    for tool in ["verify", "replay"] {
        let refused = |args: &[&str], words: &[&str]| world.check_refused(&[&[tool], args].concat(), 2, words);
        let meant = "did you mean 2023-09-15T07:02:03Z?";
        refused(&["--from", "1694761323"], &["lies beyond the end of every partition", meant, "13 digits"]);
        refused(&["--until", "1694761323"], &["--until 1694761323 lies beyond", meant]);
        refused(&["--from", "999999"], &["--from 999999 lies beyond the end of every partition"]);
        refused(&["--from", "yesterday"], &["is no place: write an offset (1024), a time", "earliest or latest"]);
        refused(&["--topic", "nowhere"], &["nowhere is no source topic of these settings; there are ", &world.topic]);
        let unknown = ["--partition", "0", "--partition", "7"];
        refused(&unknown, &["1 partitions, counted from 0: there is no partition 7"]);
        refused(&["--from", "5", "--until", "3"], &["--until 3 does not lie behind --from 5"]);
        let (later, sooner) = ("2026-11-25T08:00:00Z", "2026-11-24T08:00:00Z");
        refused(&["--from", later, "--until", sooner], &["does not lie behind --from 2026-11-25T08:00:00"]);
        for from in ["7", "2099-01-01T00:00:00Z"] {
            let told = world.run(&[tool, "--from", from]);
            let noted = told.err.contains("no record lies in this range, so nothing was looked at");
            assert!(told.code == Some(0) && noted, "{told:?}");
            assert!(!told.out.contains("every offset is accounted for"), "{told:?}");
        }
        // Every form of a place, and a partition named twice.
        let summary = |args: &[&str]| {
            let told = world.run(&[&[tool, "--output", "json", "--partition", "0", "--partition", "0"], args].concat());
            told.lines().last().unwrap().clone()
        };
        let whole = summary(&[]);
        for until in ["latest", "7", "2099-01-01T00:00:00Z", "4070908800000"] {
            assert_eq!(summary(&["--from", "earliest", "--until", until]), whole, "{tool} {until}");
        }
        let told = world.run(&[tool, "--from", "6"]);
        assert!(told.code == Some(0) && !told.err.contains("no record lies"), "{told:?}");
    }
}
