//! Draining on request: what is waited for, and what is said to be left.

use std::time::Duration;

use order_sync::sync::engine::Ended;
use order_sync::sync::ports::Input;

use super::world::{Scene, World, event, ok};

const S: Duration = Duration::from_secs(1);

#[test]
fn shutdown_waits_for_answers_and_commits_them() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "A", 1), event("tt1", "A", 2)]);
    world.until_started();
    world.handle(Input::Shutdown);
    world.pass(S);
    world.turn();
    assert!(world.ended.is_none(), "an attempt is under way");
    world.answer_attempts(&mut |_| ok());
    world.turn();
    assert!(world.finish_commit());
    world.turn();
    let Some(Ended::Stopped(left)) = &world.ended else { panic!("it goes on") };
    assert_eq!((left.in_flight, left.uncommitted, left.owed), (0, 0, 1));
    assert_eq!(world.owed_in_store(), 1);
}

#[test]
fn shutdown_ends_at_its_deadline_and_says_what_it_abandoned() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.until_started();
    world.handle(Input::Shutdown);
    while world.ended.is_none() {
        world.pass(S);
        world.turn();
    }
    assert!((8..=10).contains(&(world.now.mono.as_secs() - 1)), "{:?}", world.now.mono);
    let Some(Ended::Stopped(left)) = &world.ended else { panic!("it goes on") };
    assert_eq!((left.in_flight, left.uncommitted, left.owed), (1, 0, 1));
}

/// Kafka went away, or the group took them: nobody drained what they held.
#[test]
fn shutdown_says_which_partitions_left_before_they_were_drained() {
    for is_answered in [false, true] {
        let (mut world, source) = World::with_partition(&Scene::default());
        world.produce(&source, &[event("tt1", "A", 1)]);
        world.until_started();
        world.handle(Input::Shutdown);
        if is_answered {
            world.answer_attempts(&mut |_| ok());
        }
        let _released = world.lose(&source);
        world.answer_attempts(&mut |_| ok());
        world.turn();
        let Some(Ended::Stopped(left)) = &world.ended else { panic!("it goes on") };
        assert_eq!((left.in_flight, left.uncommitted, left.owed), (0, 1, 0), "answered: {is_answered}");
    }
}

/// However short the time is, most of it belongs to the attempts under way.
#[test]
fn a_short_shutdown_waits_for_answers_too() {
    let scene = Scene { shutdown_timeout: 2 * S, ..Scene::default() };
    let (mut world, source) = World::with_partition(&scene);
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.until_started();
    world.handle(Input::Shutdown);
    world.pass(Duration::from_millis(1_200));
    world.turn();
    assert!(world.ended.is_none(), "the answer may still come");
    world.run(S, &mut |_| ok());
    let Some(Ended::Stopped(left)) = &world.ended else { panic!("it goes on") };
    assert_eq!((left.in_flight, left.owed), (0, 0));
}
