//! `orders` on a real Kafka.

use serde_json::Value;

use super::fixture::{OPEN_ID, REFUSED, World, assert_silent};
use crate::support::real_kafka::RealKafka;

#[test]
fn real_kafka_an_orders_timeline_is_shown() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let good = world.run(&["orders", "show", "G-1"]).out();
    insta::assert_snapshot!("orders_show", world.steady(&good));
    let refused = world.run(&["orders", "show", REFUSED]).out();
    insta::assert_snapshot!("orders_show_refused", world.steady(&refused));
    // It never was folded: there is a letter, and no state.
    let unfolded = world.run(&["orders", "show", "I-1"]).out();
    insta::assert_snapshot!("orders_show_unfolded", world.steady(&unfolded));
    let json = world.run(&["orders", "show", REFUSED, "--output", "json"]).out();
    let mut value: Value = serde_json::from_str(&world.steady(&json)).unwrap();
    for entry in value["timeline"].as_array_mut().unwrap() {
        assert!(entry["at_ms"].is_i64(), "{entry}");
        entry["at_ms"] = "(number)".into();
    }
    let until = value.pointer_mut("/events_read/until").unwrap();
    assert!(until.is_i64(), "{until}");
    insta::assert_json_snapshot!("orders_show_json", value);
    for text in [&good, &refused, &unfolded, &json] {
        assert_silent(text);
    }
    assert!(world.run(&["orders", "show", "G-1", "--show-personal-data"]).out().contains(OPEN_ID));
}

#[test]
fn real_kafka_orders_are_listed_and_exported() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let list = world.run(&["orders", "list"]).out();
    insta::assert_snapshot!("orders_list", world.steady(&list));
    let json = world.run(&["orders", "list", "--undelivered", "--output", "json"]).out();
    insta::assert_snapshot!("orders_list_json", world.steady(&json));
    let ids = |args: &[&str]| -> Vec<String> {
        let told = world.run(&[&["orders", "list", "--output", "json"], args].concat()).lines();
        told.iter().map(|line| line["order_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&[]).len(), 3);
    assert_eq!(ids(&["--status", "refunded"]), Vec::<String>::new());
    assert_eq!(ids(&["--app", "tt2"]), Vec::<String>::new());
    assert_eq!(ids(&["--undelivered"]), [REFUSED]);
    let told = world.run(&["orders", "list", "--limit", "1"]);
    assert!(told.err.contains("the oldest 1 of 3 are shown"), "{told:?}");
    let exported = world.run(&["orders", "export"]).out();
    assert_eq!(exported.lines().count(), 3);
    let line: Value = serde_json::from_str(exported.lines().next().unwrap()).unwrap();
    assert_eq!((&line["state"]["format"], &line["delivery"]), (&1.into(), &"delivered".into()), "{line}");
    for text in [&list, &json, &exported] {
        assert_silent(text);
    }
}

#[test]
fn real_kafka_an_order_that_is_not_there_and_a_group_without_changelog_are_said() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let told = world.run(&["orders", "show", "nobody"]);
    assert_eq!((told.code, told.err.contains("no order \"nobody\"")), (Some(1), true), "{told:?}");
    let told = world.run(&["orders", "show", "G-1", "--app", "tt2"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    for args in [&["orders", "show", "G-1"][..], &["orders", "list"], &["orders", "export"]] {
        let told = world.run(&[args, &["--set", "kafka.changelog_topic=nowhere"]].concat());
        assert_eq!((told.code, told.err.contains("kafka.exactly_once")), (Some(7), true), "{told:?}");
    }
}
