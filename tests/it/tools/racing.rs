//! A redrive races with newer events of the same orders, on a real Kafka: whoever comes first, the older state never
//! stands over the newer one.

use std::collections::BTreeMap;
use std::time::Duration;

use order_sync::sandbox::{Faults, Outcome};

use super::fixture::{Told, World, event};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

/// Fewer than make a storm of rejections.
const ORDERS: usize = 12;

fn letters(world: &World) -> BTreeMap<String, String> {
    let args = ["dead-letters", "list", "--limit", "0", "--reason", "rejected_by_platform", "--output", "json"];
    let text = |line: &serde_json::Value, name: &str| line[name].as_str().unwrap().to_owned();
    let lines = world.run(&args).lines();
    let of_race = lines.iter().filter(|line| text(line, "order_id").starts_with("RACE"));
    of_race.map(|line| (text(line, "order_id"), text(line, "status"))).collect()
}

#[test]
fn real_kafka_a_redrive_races_with_newer_events_and_never_puts_the_older_state_over_them() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let mut worker = world.site.spawn(&[]);
    let orders: Vec<String> = (0..ORDERS).map(|n| format!("RACE-{n:02}")).collect();
    let mut faults = Faults::default();
    faults.add("code:40003").unwrap();
    world.sandbox().set_faults(faults);
    let events = |orders: &[String], number: i64, status: &str| {
        let events: Vec<_> = orders.iter().map(|order| (order.as_str(), event(order, number, status))).collect();
        world.send(kafka, &events);
    };
    events(&orders, 0, "pending_payment");
    eventually("every first state is a letter", || letters(&world).len() == ORDERS);
    let older: i64 = 1_760_000_000;
    let newer = older + 5 * 60;
    world.mend();
    // Letters are taken in the order of their offsets, three a second, after all of them were planned. The first two have
    // no newer event until all is done, and the last two are past it beforehand; of the others the newer events come
    // meanwhile, from the back: some before their command, some after it.
    let (first, last) = (&orders[..2], &orders[ORDERS - 2..]);
    events(last, 5, "paid");
    eventually("the last two are past it", || last.iter().all(|order| world.held(order) == Some(newer)));
    let args = ["dead-letters", "redrive", "--reason", "rejected_by_platform", "--rate", "3", "--output", "json"];
    let mut redrive = world.command(&args);
    let redrive = redrive.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut rng = fastrand::Rng::with_seed(7);
    for order in orders[2..ORDERS - 2].iter().rev() {
        std::thread::park_timeout(Duration::from_millis(300 + rng.u64(..400)));
        events(std::slice::from_ref(order), 5, "paid");
    }
    let told = Told::of(redrive.wait_with_output().unwrap());
    let outcomes: BTreeMap<String, String> = told
        .lines()
        .iter()
        .filter(|line| line["kind"] == "outcome")
        .filter_map(|line| Some((line["order_id"].as_str()?.to_owned(), line["outcome"].as_str()?.to_owned())))
        .collect();
    for order in first {
        assert_eq!(outcomes.get(order).map(String::as_str), Some("sent"), "{order}: {outcomes:?}");
        eventually("its very state is with the platform", || world.held(order) == Some(older));
    }
    events(first, 5, "paid");
    eventually("every order is at its newest", || orders.iter().all(|order| world.held(order) == Some(newer)));
    eventually("no letter is open", || letters(&world).values().all(|status| status != "open"));
    assert!(outcomes.get(&orders[ORDERS - 1]).is_none_or(|outcome| outcome != "sent"), "it was past it: {outcomes:?}");
    for order in &orders {
        let taken = world.sandbox().history("tt1", order);
        let stamps: Vec<_> = taken.iter().filter(|push| push.err_code == 0).map(|push| push.stamp.unwrap()).collect();
        assert!(stamps.is_sorted_by(|a, b| a < b), "{order}: {stamps:?}; {outcomes:?}");
        assert!(taken.iter().all(|push| push.outcome != Outcome::Ignored), "{order}");
        let was_sent = outcomes.get(order).is_some_and(|outcome| outcome == "sent");
        assert!(!was_sent || stamps.len() == 2 || !stamps.contains(&older), "{order}: {stamps:?}");
    }
    worker.kill().unwrap();
    worker.wait().unwrap();
    world.is_accounted_for();
}
