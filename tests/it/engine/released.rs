//! What an app came to owe while it waited for a person: when it is back, or after a restart, it holds no other app up.

use std::time::Duration;

use order_sync::douyin::verdict::Exchange;
use order_sync::record::TopicPartition;
use order_sync::sync::ports::AttemptStart;

use super::gone::orders;
use super::suspension::refused;
use super::world::{Scene, World, answer, event, ok};

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
/// What tt1 owes when it comes back, three times what intake is held back at.
const OWED: usize = 300;

/// Two apps, and a platform that takes ten pushes a second.
fn scene() -> Scene {
    Scene { apps: vec!["tt1", "tt2"], max_owed: OWED / 3, max_in_flight: 1, ..Scene::default() }
}

fn run(world: &mut World, time: Duration, tt1: &dyn Fn() -> Exchange) {
    let mut platform = |attempt: &AttemptStart| if attempt.app_id.as_str() == "tt1" { tt1() } else { ok() };
    world.run_with_latency(time, 100 * MS, &mut platform);
}

/// tt1 is suspended, and owes what came meanwhile.
fn suspended() -> (World, TopicPartition) {
    let (mut world, source) = World::with_partition(&scene());
    world.produce(&source, &orders("O", OWED));
    run(&mut world, 10 * S, &refused);
    assert_eq!((world.app("tt1").circuit, world.app("tt1").owed), ("suspended", OWED));
    (world, source)
}

/// An event of tt2 is pushed at once.
fn check_the_other(world: &mut World, source: &TopicPartition, order: &str, tt1: &dyn Fn() -> Exchange) {
    world.produce(source, &[event("tt2", order, 1)]);
    run(world, S, tt1);
    let owed = world.app("tt1").owed;
    assert_eq!(world.stamps(order).len(), 1, "{order}, while tt1 owes {owed}");
    assert!(world.asked.lock().unwrap().paused.is_empty(), "tt1 owes {owed}");
}

#[test]
fn an_app_that_comes_back_holds_no_other_up_while_it_is_paid_off() {
    let (mut world, source) = suspended();
    let mut second = 0;
    while world.app("tt1").circuit != "closed" || world.app("tt1").owed > 0 {
        second += 1;
        assert!(second < 200, "{:?}", world.app("tt1"));
        check_the_other(&mut world, &source, &format!("X{second}"), &ok);
    }
    assert!(second > 30, "ten a second, and the other's");
    // What counts from now on counts as ever: an outage fills the room, and no more.
    world.produce(&source, &orders("P", OWED));
    run(&mut world, 10 * S, &|| answer(500, ""));
    assert!(world.asked.lock().unwrap().paused.contains(&source));
    assert!((100..=164).contains(&world.app("tt1").owed), "{:?}", world.app("tt1"));
}

#[test]
fn what_it_comes_to_owe_meanwhile_counts() {
    let (mut world, source) = suspended();
    run(&mut world, 70 * S, &ok);
    let left = world.app("tt1").owed;
    assert!(world.app("tt1").circuit == "closed" && left > 100, "{:?}", world.app("tt1"));
    world.produce(&source, &orders("P", OWED));
    run(&mut world, 10 * S, &|| answer(500, ""));
    assert!(world.asked.lock().unwrap().paused.contains(&source));
    let owed = world.app("tt1").owed;
    assert!((left + 80..=left + 164).contains(&owed), "{owed} after {left}");
}

#[test]
fn a_restart_while_it_is_paid_off_holds_the_other_up_for_a_tenth_of_the_room() {
    let (world, source) = suspended();
    let store = world.store.clone();
    drop(world);
    let mut world = World::new(&scene(), store);
    world.assign(&source, 10_000);
    run(&mut world, 2 * S, &ok);
    assert!(world.app("tt1").owed > 2 * OWED / 3, "{:?}", world.app("tt1"));
    check_the_other(&mut world, &source, "X", &ok);
}

#[test]
fn a_restart_with_a_token_that_is_refused_holds_the_other_up_no_longer_than_the_first_refusal() {
    let (world, source) = suspended();
    let store = world.store.clone();
    drop(world);
    let token_refused = || answer(200, r#"{"err_code":40014,"err_msg":"access_token"}"#);
    let mut world = World::new(&scene(), store);
    world.assign(&source, 10_000);
    for second in 0..200 {
        check_the_other(&mut world, &source, &format!("X{second}"), &token_refused);
    }
    assert_eq!((world.app("tt1").circuit, world.app("tt1").owed), ("suspended", OWED));
}
