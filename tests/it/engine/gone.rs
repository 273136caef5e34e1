//! Source records were removed before they were read: what is at hand is made durable before the worker ends, and with what words.

use std::time::Duration;

use order_sync::record::TopicPartition;
use order_sync::sync::engine::Ended;
use order_sync::sync::ports::{Epoch, Input};

use super::world::{Scene, World, event, ok};

const S: Duration = Duration::from_secs(1);
const FIRST: Epoch = Epoch(1);
const SECOND: Epoch = Epoch(2);
/// What each partition folds before too much is owed: one slice.
const TAKEN: i64 = 64;

pub(super) fn orders(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| event("tt1", &format!("{prefix}{n}"), 1)).collect()
}

/// Two partitions of an app that owes as much as it may, as the platform does not answer: the other records of each wait.
fn held() -> (World, [TopicPartition; 2]) {
    let (mut world, first) = World::with_partition(&Scene { max_owed: 100, max_in_flight: 1, ..Scene::default() });
    let second = TopicPartition::new("orders", 1);
    world.assign(&second, 0);
    for many in [100, 300] {
        for (epoch, source) in [(FIRST, &first), (SECOND, &second)] {
            world.produce_in(epoch, source, &orders(&format!("{}-{many}-", source.partition), many));
        }
        for _ in 0..3 {
            world.until_started();
        }
        assert_eq!(world.asked.lock().unwrap().paused.len(), 2, "too much is owed");
    }
    assert_eq!([&first, &second].map(|source| world.position_in_store(source)), [Some(TAKEN); 2]);
    (world, [first, second])
}

fn words(world: &World) -> String {
    match &world.ended {
        Some(Ended::Failed(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_at_hand_is_committed_before_the_worker_ends_over_removed_records() {
    let (mut world, [first, second]) = held();
    world.handle(Input::RecordsGone("orders/0 has lost some".to_owned()));
    world.turn();
    assert!(world.ended.is_none(), "it is not committed yet");
    // A stop that is asked for meanwhile does not make it forget.
    world.handle(Input::Shutdown);
    let later = orders("later", 300);
    world.produce_in(SECOND, &second, &later);
    // The platform does not answer, so as much is owed as before.
    for _ in 0..100 {
        world.turn();
        world.finish_commit();
        world.pass(S / 20);
    }
    assert_eq!(words(&world), "orders/0 has lost some");
    assert_eq!(world.position_in_store(&first), Some(400));
    assert!(world.position_in_store(&second) >= Some(400));
}

#[test]
fn what_is_found_later_is_committed_and_named_too() {
    let (mut world, [first, second]) = held();
    world.handle(Input::RecordsGone("orders/0 has lost some".to_owned()));
    for _ in 0..2 {
        world.turn();
        world.pass(S / 5);
    }
    assert!(world.ended.is_none(), "the commit is under way");
    world.produce_in(SECOND, &second, &orders("later", 300));
    world.handle(Input::RecordsGone("orders/0 and orders/1 have lost some".to_owned()));
    for _ in 0..100 {
        world.turn();
        world.finish_commit();
        world.pass(S / 20);
    }
    assert_eq!(words(&world), "orders/0 and orders/1 have lost some");
    assert_eq!([&first, &second].map(|source| world.position_in_store(source)), [Some(400), Some(700)]);
}

#[test]
fn what_is_found_later_does_not_put_off_the_end() {
    let (mut world, _) = held();
    let began = world.now.mono;
    for more in 0..20 {
        world.handle(Input::RecordsGone(format!("{more} have lost some")));
        world.turn();
        if world.ended.is_some() {
            break;
        }
        world.pass(S);
    }
    assert_eq!(world.now.mono, began + 10 * S, "the time of a shutdown since the first");
    assert!(words(&world).starts_with("10 have lost some. In 2 partitions"), "{}", words(&world));
}

#[test]
fn what_may_be_gone_from_its_topic_is_folded_whatever_is_owed() {
    let (mut world, [first, second]) = held();
    let steps = |world: &mut World| {
        for _ in 0..100 {
            world.turn();
            world.finish_commit();
            world.pass(S / 20);
        }
        [&first, &second].map(|source| world.position_in_store(source))
    };
    world.handle(Input::RecordsPressed(true));
    assert_eq!(steps(&mut world), [Some(400); 2]);
    assert_eq!(world.budget.used(), 0, "and there is room for more");
    assert_eq!(world.asked.lock().unwrap().paused.len(), 2, "what is not pressed goes on waiting");
    world.handle(Input::RecordsPressed(false));
    world.produce_in(SECOND, &second, &orders("later", 300));
    assert_eq!(steps(&mut world), [Some(400); 2]);
    world.handle(Input::RecordsPressed(true));
    world.run(60 * S, &mut |_| ok());
    assert_eq!(world.position_in_store(&second), Some(700));
    assert!(world.asked.lock().unwrap().paused.is_empty(), "less is owed");
}

#[test]
fn a_worker_that_cannot_commit_what_is_at_hand_ends_over_removed_records_in_time() {
    let (mut world, [first, _]) = held();
    world.handle(Input::RecordsGone("orders/0 has lost some".to_owned()));
    let began = world.now.mono;
    while world.ended.is_none() {
        world.pass(S);
        world.turn();
    }
    assert_eq!(world.now.mono, began + 10 * S, "the time of a shutdown");
    assert_eq!(world.position_in_store(&first), Some(TAKEN));
    let words = words(&world);
    assert!(words.starts_with("orders/0 has lost some. In 2 partitions"), "{words}");
}

#[test]
fn a_partition_that_has_left_is_not_waited_for_over_removed_records() {
    let (mut world, [first, second]) = held();
    world.handle(Input::RecordsGone("orders/0 has lost some".to_owned()));
    let _released = world.lose(&second);
    world.run(5 * S, &mut |_| ok());
    assert_eq!(words(&world), "orders/0 has lost some");
    assert_eq!(world.position_in_store(&first), Some(400));
}
