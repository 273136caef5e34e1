//! A dead letter that was sent again and came back, on a real Kafka: every attempt of all its times is told.

use serde_json::{Value, json};

use super::fixture::{REFUSED, World, assert_silent};
use crate::support::real_kafka::RealKafka;

/// Redrives the refused letter, which the platform refuses again.
fn comes_back(world: &World, id: &str) {
    world.run(&["dead-letters", "redrive", id, "--no-wait"]).out();
    world.catch_up();
}

fn entries<'a>(order: &'a Value, kind: &str) -> Vec<&'a Value> {
    order["timeline"].as_array().unwrap().iter().filter(|entry| entry["kind"] == kind).collect()
}

#[test]
fn real_kafka_a_letter_that_came_back_tells_every_attempt_of_all_its_times() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let id = format!("{}/0/6", world.topic);
    let list = || world.run(&["dead-letters", "list", "--order", REFUSED, "--output", "json"]).lines().remove(0);
    let show = || world.run(&["dead-letters", "show", &id, "--output", "json"]).lines().remove(0);
    let first_failed_at = list()["first_failed_at"].clone();
    comes_back(&world, &id);
    comes_back(&world, &id);
    assert_eq!(world.pushes(REFUSED), 3);
    let (listed, shown) = (list(), show());
    for told in [&listed, &shown] {
        assert_eq!((&told["times"], &told["status"], &told["attempts"]), (&json!(3), &json!("open"), &json!(1)));
        assert_eq!(told["first_failed_at"], first_failed_at);
        assert!(told["last_failed_at"].as_str() > first_failed_at.as_str(), "{told}");
    }
    let members = |array: &str, name: &str| -> Vec<Value> {
        shown[array].as_array().unwrap().iter().map(|one| one[name].clone()).collect()
    };
    assert_eq!(members("attempt_log", "times"), [1, 2, 3]);
    assert_eq!(members("attempt_log", "code"), [40003, 40003, 40003]);
    assert_eq!(members("letters", "times"), [1, 2, 3]);
    assert_eq!(members("attempt_log", "at")[0], first_failed_at);
    let text = world.run(&["dead-letters", "show", &id]);
    assert_eq!((text.err.contains("note:"), text.out.matches("  200  ").count()), (false, 3), "{text:?}");
    insta::assert_snapshot!("letters_show_came_back", {
        let steady = world.steady(&text.out);
        steady.split("original record").next().unwrap().to_owned()
    });
    // The order tells them, too, each with what became of it.
    let order = world.run(&["orders", "show", REFUSED, "--output", "json"]).lines().remove(0);
    let times = |kind: &str| -> Vec<Value> { entries(&order, kind).iter().map(|one| one["times"].clone()).collect() };
    assert_eq!(
        (times("attempt"), times("dead_letter")),
        (vec![json!(1), json!(2), json!(3)], vec![json!(1), json!(2), json!(3)])
    );
    let statuses: Vec<_> = entries(&order, "dead_letter").iter().map(|one| one["status"].clone()).collect();
    assert_eq!(
        (statuses, &order["dead_letters"]),
        (vec![json!("redriven"), json!("redriven"), json!("open")], &json!(1))
    );
    // Of what retention has taken the attempts are gone, and that is said; when it first failed the letters after it tell.
    let dead_letters = format!("{}.dead-letters", world.site.group());
    let second = shown["letters"][1]["letter_offset"].as_i64().unwrap();
    kafka.delete_records(&dead_letters, 0, second);
    let told = world.run(&["dead-letters", "show", &id, "--output", "json"]);
    assert!(told.err.contains(&format!("note: of its 3 letters 1 are no longer in {dead_letters}")), "{told:?}");
    let shown = told.lines().remove(0);
    assert_eq!((shown["letters"].as_array().unwrap().len(), &shown["first_failed_at"]), (2, &first_failed_at));
    assert_silent(&text.out);
}
