//! `dead-letters import` on a real Kafka: what the topic has lost comes back, and nothing else.

use std::collections::BTreeMap;

use super::fixture::{REFUSED, World};
use crate::support::real_kafka::RealKafka;

/// The letters in the topic by their ids, with everything that is theirs but the offset.
fn letters(kafka: &RealKafka, world: &World) -> BTreeMap<String, String> {
    let records = kafka.read_all(&format!("{}.dead-letters", world.site.group()));
    let with_id = |(partition, record): (i32, order_sync::record::Record)| {
        let header = |name: &str| {
            let header = record.headers.iter().rfind(|header| header.name == name).unwrap();
            String::from_utf8(header.value.clone().unwrap().into()).unwrap()
        };
        let id = format!("{partition}/{}", header("__connect.errors.offset"));
        let rest = format!("{:?} {:?} {:?} {:?}", record.timestamp_ms, record.key, record.value, record.headers);
        (id, rest)
    };
    let count = records.len();
    let letters: BTreeMap<String, String> = records.into_iter().map(with_id).collect();
    assert_eq!(letters.len(), count, "each id once");
    letters
}

#[test]
fn real_kafka_lost_letters_are_imported_as_they_were() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let [malformed, incomplete, refused] = [4, 5, 6].map(|offset| format!("{}/0/{offset}", world.topic));
    let file = world.site.home().join("letters.ndjson");
    let file = file.to_str().unwrap();
    world.run(&["dead-letters", "export", "--to", file]).out();
    let outcomes = |args: &[&str]| -> Vec<(String, String)> {
        let told = world.run(&[&["dead-letters", "import", file, "--output", "json"], args].concat()).lines();
        let text = |line: &serde_json::Value, name: &str| line[name].as_str().unwrap().to_owned();
        told.iter().map(|line| (text(line, "id"), text(line, "outcome"))).collect()
    };
    let all = |[a, b, c]: [&str; 3]| {
        vec![(malformed.clone(), a.to_owned()), (incomplete.clone(), b.to_owned()), (refused.clone(), c.to_owned())]
    };
    // As long as the topic has them, nothing is written.
    let before = letters(kafka, &world);
    assert_eq!(outcomes(&[]), all(["present"; 3]));
    assert_eq!(letters(kafka, &world), before);
    // One is decided against; then the topic loses all but the last.
    world.run(&["dead-letters", "discard", &malformed, "--why", "a test", "--no-wait"]).out();
    world.catch_up();
    let dead_letters = format!("{}.dead-letters", world.site.group());
    let last = kafka.read_all(&dead_letters).last().unwrap().1.offset.get();
    kafka.delete_records(&dead_letters, 0, last + 1);
    assert_eq!(letters(kafka, &world).len(), 0);
    let while_lost = world.run(&["verify", "--output", "json"]).code;
    assert_eq!(outcomes(&["--dry-run"]), all(["imported"; 3]));
    assert_eq!(letters(kafka, &world).len(), 0);
    let told = world.run(&["dead-letters", "import", file]);
    assert!(told.err.contains("3 of 3 letters written"), "{told:?}");
    let text = world.steady(&told.out());
    insta::assert_snapshot!("letters_import", text);
    assert_eq!(letters(kafka, &world), before, "byte for byte, with their times");
    // The one that is closed is so still, and nothing is missed any more.
    let told = world.run(&["dead-letters", "list", "--status", "discarded", "--output", "json"]).lines();
    assert_eq!((told.len(), &told[0]["id"]), (1, &malformed.as_str().into()));
    assert_eq!((while_lost, world.run(&["verify", "--output", "json"]).code), (Some(5), Some(0)));
    // Again: they are there. And one of them is sent again from its letter.
    assert_eq!(outcomes(&[]), all(["present"; 3]));
    world.mend();
    world.run(&["dead-letters", "redrive", &refused, "--no-wait"]).out();
    world.catch_up();
    assert_eq!(world.held(REFUSED), Some(1_760_000_000));
}

#[test]
fn real_kafka_what_is_no_export_of_this_group_is_not_imported() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let file = world.site.home().join("letters.ndjson");
    let path = file.to_str().unwrap();
    world.run(&["dead-letters", "export", "--to", path]).out();
    let before = letters(kafka, &world);
    let lines = std::fs::read_to_string(&file).unwrap();
    let check = |text: &str, words: &[&str]| {
        std::fs::write(&file, text).unwrap();
        world.check_refused(&["dead-letters", "import", path], 1, words);
    };
    check(&format!("{lines}no json\n"), &["letters.ndjson, line 4", "no line of `dead-letters export`"]);
    check(&lines.replace(r#""format":1"#, r#""format":7"#), &["line 1", "its format is 7"]);
    check(&lines.replace("/0/5\"", "/0/3\""), &["was changed after the export"]);
    let renamed = lines.replace(r#""reason":"incomplete_order""#, r#""reason":"malformed_order""#);
    check(&renamed, &["line 2", r#"its reason is "malformed_order""#, r#"headers say "incomplete_order""#]);
    world.check_refused(&["dead-letters", "import", "/nowhere/letters"], 1, &["cannot read /nowhere/letters"]);
    // Another group's: its topic has no letter of them, and no worker of it has set them aside.
    std::fs::write(&file, &lines).unwrap();
    let other = World::new(kafka, true);
    let told = other.run(&["dead-letters", "import", path, "--output", "json"]).lines();
    assert_eq!(told.iter().map(|line| line["outcome"].as_str().unwrap()).collect::<Vec<_>>(), ["unknown"; 3]);
    assert_eq!(letters(kafka, &world), before);
}

/// A record comes back between the loss of its letters and the import: the earlier ones are written, and the newest still counts.
#[test]
fn real_kafka_letters_come_back_behind_which_a_newer_one_was_written() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let id = format!("{}/0/6", world.topic);
    world.run(&["dead-letters", "redrive", &id, "--no-wait"]).out();
    world.catch_up();
    let file = world.site.home().join("letters.ndjson");
    let file = file.to_str().unwrap();
    world.run(&["dead-letters", "export", "--to", file]).out();
    let dead_letters = format!("{}.dead-letters", world.site.group());
    let last = kafka.read_all(&dead_letters).last().unwrap().1.offset.get();
    kafka.delete_records(&dead_letters, 0, last + 1);
    world.run(&["orders", "resync", REFUSED, "--no-wait"]).out();
    world.catch_up();
    let newest = letters(kafka, &world).into_values().collect::<Vec<_>>();
    assert_eq!(newest.len(), 1, "its third letter");
    let told = world.run(&["verify", "--output", "json"]);
    assert_eq!((told.code, told.out.contains("status_differs")), (Some(5), false), "{told:?}");
    let told = world.run(&["dead-letters", "import", file]);
    assert!(told.err.contains("4 of 4 letters written"), "{told:?}");
    let show = || world.run(&["dead-letters", "show", &id, "--output", "json"]).lines().remove(0);
    let listed = || world.run(&["dead-letters", "list", "--order", REFUSED, "--output", "json"]).lines();
    let check = || {
        let (shown, listed) = (show(), listed());
        let times: Vec<_> = shown["letters"].as_array().unwrap().iter().map(|one| one["times"].clone()).collect();
        assert_eq!(times, [1, 2, 3]);
        assert_eq!(listed.len(), 1);
        for told in [&shown, &listed[0]] {
            assert_eq!((told["times"].as_i64(), told["status"].as_str()), (Some(3), Some("open")), "{told}");
        }
        assert_eq!(world.run(&["verify", "--output", "json"]).code, Some(0));
    };
    check();
    // Again: nothing is missing, and nothing is written.
    let before = kafka.read_all(&dead_letters).len();
    let told = world.run(&["dead-letters", "import", file]);
    assert!(told.err.contains("0 of 4 letters written"), "{told:?}");
    assert_eq!(kafka.read_all(&dead_letters).len(), before);
    check();
}
