//! Settings that change between two lives of a worker, on a real Kafka: the log records them, and `verify` and `orders show`
//! fold by them.

use serde_json::{Value, json};

use super::fixture::{World, assert_silent, event};
use super::planting::{Entry, Planting, check_found, check_sound, compacted, without_settings};
use super::verify::changed;
use crate::support::real_kafka::RealKafka;

/// A coupon of this app.
fn coupon(app: &str, order: &str, number: i64) -> Value {
    let mut coupon: Value = serde_json::from_str(include_str!("../../golden/group_coupon_paid.event.json")).unwrap();
    (coupon["app_id"], coupon["order_id"]) = (json!(app), json!(order));
    (coupon["event_id"], coupon["sequence"]) = (json!(format!("{order}-{number}")), Value::Null);
    coupon["occurred_at"] = json!(1_760_000_000_000_i64 + number * 60_000);
    coupon["order"]["goods"]["name"] = json!(format!("{number}"));
    coupon
}

/// The order's events, judged again, give its state.
fn check_explained(world: &World, order: &str) {
    let shown = world.run(&["orders", "show", order, "--output", "json"]);
    let line: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(line["folded_again"], "agrees", "{order}: {shown:?}");
}

/// Another client key, fewer order types, an app that comes and goes: the log says by which settings each stretch was folded,
/// and today's explain none of them.
#[test]
fn real_kafka_verify_folds_by_the_settings_that_the_log_records() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let planting = Planting { kafka, world: &world };
    world.mend();
    let id = |offset: i64| format!("{}/0/{offset}", world.topic);
    let first = std::fs::read_to_string(world.site.config_file()).unwrap();
    let configure = |config: &str| std::fs::write(world.site.config_file(), config).unwrap();
    let other_key = first.replacen("client_key = \"ck\"", "client_key = \"other\"", 1);
    assert_ne!(other_key, first);
    let two_apps =
        first.replacen("[[apps]]", "[[apps]]\napp_id = \"tt2\"\nsecret = \"s2\"\nclient_key = \"ck2\"\n\n[[apps]]", 1);
    let narrow = first.replacen("client_key = \"ck\"", "client_key = \"ck\"\norder_types = [\"normal\"]", 1);
    // Offsets 7 to 9: an app that is not known yet.
    world.goes_on(
        kafka,
        &[("C-1", coupon("tt1", "C-1", 1)), ("C-2", coupon("tt1", "C-2", 1)), ("U-1", coupon("tt2", "U-1", 1))],
    );
    configure(&two_apps);
    drop(world.run(&["dead-letters", "redrive", &id(9), "--no-wait", "--why", "a test"]).out());
    world.catch_up();
    world.goes_on(kafka, &[("U-2", coupon("tt2", "U-2", 1)), ("U-1", coupon("tt2", "U-1", 2))]);
    configure(&other_key);
    world.goes_on(kafka, &[("C-1", coupon("tt1", "C-1", 2)), ("U-3", coupon("tt2", "U-3", 1))]);
    configure(&narrow);
    world.goes_on(kafka, &[("C-2", coupon("tt1", "C-2", 2)), ("G-9", event("G-9", 1, "paid"))]);
    let whole = planting.changelog();
    for config in [&narrow, &other_key, &first, &two_apps] {
        configure(config);
        check_sound(&planting.verify(&[]));
        check_sound(&planting.verify_by(&compacted(&whole, whole.len())));
        for order in ["C-1", "C-2", "U-1", "U-2"] {
            check_explained(&world, order);
        }
    }
    // Each change stands there once, with the commit that was the first one under it.
    let recorded: Vec<&Entry> = whole.iter().filter(|(key, _)| key.starts_with(r#"[1,"settings","#)).collect();
    let of = |entry: &Entry| serde_json::from_str::<Value>(entry.1.as_deref().unwrap()).unwrap();
    let begins: Vec<i64> = recorded.iter().map(|entry| of(entry)["next"].as_i64().unwrap()).collect();
    assert_eq!(begins, [0, 10, 12, 14], "{recorded:?}");
    assert_silent(&format!("{recorded:?}"));
    // Without the records it is told that they are missing; in a log from before there were any, what may be the cause.
    let none: Vec<Entry> = whole.iter().filter(|entry| !recorded.contains(entry)).cloned().collect();
    let lost = planting.verify_by(&none);
    let older = planting.verify_by(&without_settings(&whole));
    for (told, words) in [(&lost, "settings_differ"), (&older, "was a setting changed"), (&older, "request_differs")] {
        assert!(told.code == Some(5) && told.out.contains(words), "{words}: {told:?}");
    }
    assert!(!older.out.contains("settings_differ"), "{older:?}");
    // None of them explains a changed byte.
    let key = planting.key("state", r#""tt2","U-2""#);
    let byte = changed(&whole, &key, |state| state["document"]["goods"]["name"] = json!("another"));
    check_found(&planting.verify_by(&byte), &[(10, "state_differs")]);
    let (newest, _) = recorded[3];
    let byte = changed(&whole, newest, |from| from["settings"]["release"] = json!("9.9.9"));
    let told = planting.verify_by(&byte);
    assert!(told.code == Some(5) && told.out.contains("settings_differ"), "{told:?}");
}
