//! `orders` on a real Kafka.

use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::sandbox::Faults;
use serde_json::Value;

use super::fixture::{OPEN_ID, REFUSED, World, assert_silent, event};
use crate::support::kafka::eventually;
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

/// A delivery that was accepted says how; one that became a letter has the letter alone, also after it was accepted later.
#[test]
fn real_kafka_a_timeline_says_how_each_delivery_was_accepted() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let timeline = |order: &str| {
        let shown = world.run(&["orders", "show", order, "--output", "json"]).lines().remove(0);
        shown["timeline"].as_array().unwrap().clone()
    };
    let rows = |order: &str, kind: &str| -> Vec<Value> {
        timeline(order).into_iter().filter(|entry| entry["kind"] == kind).collect()
    };
    assert_eq!((rows(REFUSED, "accepted").len(), rows(REFUSED, "dead_letter").len()), (0, 1));
    // The platform is busy for a while.
    let mut busy = Faults::parse("http:503@F-1").unwrap();
    busy.rules.extend(Faults::parse(&format!("code:40003@{REFUSED}")).unwrap().rules);
    world.sandbox().set_faults(busy);
    world.send(kafka, &[("F-1", event("F-1", 0, "paid")), (REFUSED, event(REFUSED, 3, "redeemed"))]);
    let mut worker = world.site.spawn(&["--until-caught-up"]);
    eventually("it was tried twice", || world.pushes("F-1") >= 2);
    let owed = world.run(&["orders", "show", "F-1"]).out();
    assert!(owed.contains("is to be delivered, owed since 20") && owed.contains("apps list --admin"), "{owed}");
    assert_eq!(rows("F-1", "accepted").len(), 0);
    world.mend();
    eventually("the worker has caught up", || worker.try_wait().unwrap().is_some());
    let accepted = rows("F-1", "accepted");
    assert_eq!(accepted.len(), 1, "{accepted:?}");
    let pushes = i64::try_from(world.pushes("F-1")).unwrap();
    assert_eq!((&accepted[0]["attempts"], &accepted[0]["last_error"]), (&pushes.into(), &"status 503".into()));
    // The platform's name for its answer is told as it gave it.
    let log_id = |order: &str| world.sandbox().log_id("tt1", order, world.pushes(order) - 1).unwrap();
    assert_eq!(accepted[0]["update_time"], Value::from(world.held("F-1")));
    assert_eq!(accepted[0]["log_id"], Value::from(log_id("F-1")));
    let text = world.run(&["orders", "show", "F-1"]).out();
    let words = format!("after {pushes} attempts, last error status 503 (log id {})", log_id("F-1"));
    assert!(text.contains(&words), "{text}");
    let letter = world.run(&["dead-letters", "show", &format!("{}/0/8", world.topic), "--output", "json"]).lines();
    assert_eq!(letter[0]["response"]["extra"]["logid"], Value::from(log_id(REFUSED)), "{letter:?}");
    assert_eq!((rows(REFUSED, "accepted").len(), rows(REFUSED, "dead_letter").len()), (0, 2));
    world.goes_on(kafka, &[(REFUSED, event(REFUSED, 4, "refunded"))]);
    assert_eq!((rows(REFUSED, "accepted").len(), rows(REFUSED, "dead_letter").len()), (1, 2));
    world.is_accounted_for();
    // A store that is read from such a changelog anew delivers nothing again.
    let before = world.pushes("F-1");
    std::fs::remove_dir_all(world.site.home().join("store")).unwrap();
    world.catch_up();
    assert_eq!((world.pushes("F-1"), rows("F-1", "accepted").len()), (before, 1));
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
    assert_eq!(ids(&["--app", "tt1"]).len(), 3);
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

#[test]
fn real_kafka_a_timeline_has_what_is_the_orders_under_whatever_key_and_nothing_else() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let producer = Producer::connect(&kafka.brokers).unwrap();
    let send = |key: Option<&str>, event: &Value| {
        let value = event.to_string();
        let (key, value) = (key.map(str::as_bytes), Some(value.as_bytes()));
        producer.send(&world.topic, Outgoing { partition: Some(0), key, value, ..Outgoing::default() }).unwrap();
    };
    send(Some("another-key"), &event("G-2", 5, "redeemed"));
    for number in 0..3 {
        send(None, &event("G-9", number, "paid"));
    }
    let mut unknown = event("U-1", 0, "paid");
    unknown["app_id"] = "ttX".into();
    send(Some("U-1"), &unknown);
    producer.flush().unwrap();
    world.catch_up();
    let shown = |order: &str| world.run(&["orders", "show", order, "--output", "json"]).lines().remove(0);
    let timeline = |order: &str| shown(order)["timeline"].as_array().unwrap().clone();
    // The keyless ones are nobody's, and the one under another key says so.
    let mut events = timeline("G-2");
    events.retain(|entry| entry["kind"] == "event");
    let keys: Vec<_> = events.iter().map(|entry| entry["other_key"].as_str()).collect();
    assert_eq!(keys, [None, Some("another-key")], "{events:?}");
    assert_eq!((&events[1]["outcome"], &shown("G-2")["folded_again"]), (&"advanced".into(), &"agrees".into()));
    assert!(world.run(&["orders", "show", "G-2"]).out().contains(", KEYED BY another-key"));
    // An app that nobody knows: its letter is there all the same.
    let told = shown("U-1");
    assert_eq!((&told["app_id"], &told["delivery"]), (&Value::Null, &"dead_letter".into()), "{told}");
    let events = timeline("U-1");
    let event = events.iter().find(|entry| entry["reason"] == "unknown_app").unwrap();
    assert_eq!((&event["event_id"], event["occurred_at_ms"].is_i64()), (&"U-1-0".into(), true), "{event}");
    world.check_refused(
        &["orders", "show", "G-1", "--set", "kafka.topics=[\"nosuch\"]"],
        7,
        &["nosuch does not exist"],
    );
    world.check_refused(&["apps", "accept-rejections", "tt1", "0", "--why", "x"], 2, &["0 is no rejection"]);
}

#[test]
fn real_kafka_a_timeline_has_the_stamps_that_were_sent_also_behind_a_resync() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    world.run(&["orders", "resync", "G-1", "--no-wait"]).out();
    world.catch_up();
    let resynced = world.held("G-1").unwrap();
    world.goes_on(kafka, &[("G-1", event("G-1", 3, "redeemed"))]);
    assert_eq!(world.held("G-1"), Some(resynced + 1));
    let shown = world.run(&["orders", "show", "G-1", "--output", "json"]).lines().remove(0);
    let timeline = shown["timeline"].as_array().unwrap();
    let events: Vec<&Value> = timeline.iter().filter(|entry| entry["kind"] == "event").collect();
    assert_eq!(events.last().unwrap()["update_time"], resynced + 1, "{shown}");
    assert_eq!(events[1]["update_time"], 1_760_000_120, "{shown}");
    assert_eq!(shown["folded_again"], "agrees");
}
