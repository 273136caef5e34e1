//! Partitions whose state lives in the changelog: assigned, restored, running, leaving, one way through.

use std::time::Duration;

use order_sync::record::{NextOffset, TopicPartition};
use order_sync::sync::engine::Ended;
use order_sync::sync::ports::{AttemptStart, Epoch, Input, PortError, StartAt};

use super::fakes::FakeStore;
use super::world::{Scene, Truth, World, answer, event, ok};

const S: Duration = Duration::from_secs(1);

fn world() -> World {
    World::new(&Scene { truth: Truth::Changelog, ..Scene::default() }, FakeStore::default())
}

fn restored(world: &mut World, epoch: u64, source: &TopicPartition, result: Result<(), PortError>) {
    world.handle(Input::Restored { epoch: Epoch(epoch), source: source.clone(), result });
}

#[test]
fn restored_partitions_run_while_others_restore() {
    let mut world = world();
    let (first, second) = (TopicPartition::new("orders", 0), TopicPartition::new("orders", 1));
    assert_eq!(world.assign(&first, 1), StartAt::Later);
    assert_eq!(world.assign(&second, 1), StartAt::Later);
    assert_eq!(world.asked.lock().unwrap().restores, [(Epoch(1), first.clone()), (Epoch(2), second.clone())]);
    assert_eq!(world.status().restoring, 2);
    restored(&mut world, 2, &second, Ok(()));
    assert_eq!(world.asked.lock().unwrap().begun, [(Epoch(2), second.clone(), StartAt::Fresh)]);
    world.produce(&second, &[event("tt1", "A", 1)]);
    world.run(S, &mut |_| ok());
    assert_eq!((world.position_in_store(&second), world.sent.len()), (Some(1), 1));
    assert_eq!((world.position_in_store(&first), world.status().restoring), (None, 1));
}

#[test]
fn nothing_is_taken_before_the_restore_and_then_from_the_position() {
    let mut world = world();
    let source = TopicPartition::new("orders", 0);
    assert_eq!(world.assign(&source, 9), StartAt::Later);
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.run(S, &mut |_| ok());
    assert_eq!((world.budget.used(), world.position_in_store(&source)), (0, None), "given back unread");
    world.store.place(&source, 7);
    restored(&mut world, 1, &source, Ok(()));
    let begun = world.asked.lock().unwrap().begun.clone();
    assert_eq!(begun, [(Epoch(1), source, StartAt::Position(NextOffset::new(7)))]);
}

#[test]
fn a_restore_of_an_assignment_that_is_over_counts_for_nothing() {
    let mut world = world();
    let source = TopicPartition::new("orders", 0);
    world.assign(&source, 1);
    let released = world.revoke(&source);
    world.turn();
    assert!(released.try_recv().is_ok(), "nothing is to be committed");
    assert_eq!(world.asked.lock().unwrap().cancelled, std::slice::from_ref(&source));
    world.assign(&source, 1);
    restored(&mut world, 1, &source, Ok(()));
    assert!(world.asked.lock().unwrap().begun.is_empty(), "the first restore is not that of the second assignment");
    restored(&mut world, 2, &source, Ok(()));
    assert_eq!(world.asked.lock().unwrap().begun.len(), 1);
}

#[test]
fn a_partition_that_cannot_be_restored_ends_the_worker_with_its_words() {
    let mut world = world();
    let source = TopicPartition::new("orders", 0);
    world.assign(&source, 1);
    restored(&mut world, 1, &source, Err(PortError::Fatal("states are missing".to_owned())));
    world.turn();
    let Some(Ended::Failed(error)) = world.ended else { panic!("it goes on") };
    assert_eq!(error.to_string(), "states are missing");
}

#[test]
fn an_assignment_waits_for_no_commit() {
    let mut world = world();
    let (first, second) = (TopicPartition::new("orders", 0), TopicPartition::new("orders", 1));
    world.assign(&first, 1);
    restored(&mut world, 1, &first, Ok(()));
    world.produce(&first, &[event("tt1", "A", 1)]);
    world.pass(S);
    world.turn();
    assert_eq!(world.asked.lock().unwrap().cuts.len(), 1, "a commit is under way");
    assert_eq!(world.offer(&second).try_recv().unwrap().unwrap(), [StartAt::Later]);
}

#[test]
fn after_a_silence_nothing_starts_until_a_commit_has_succeeded_and_one_is_made_at_once() {
    let scene = Scene { truth: Truth::Changelog, commit_interval: 3600 * S, ..Scene::default() };
    let mut world = World::new(&scene, FakeStore::default());
    let source = TopicPartition::new("orders", 0);
    world.assign(&source, 2);
    restored(&mut world, 1, &source, Ok(()));
    world.started(&source, 2);
    world.produce(&source, &[event("tt1", "A", 1), event("tt1", "A", 2)]);
    world.turn();
    world.answer_tokens();
    world.pass(S);
    world.turn();
    assert!(world.finish_commit());
    world.pass(S);
    // Two states of A are owed and due; nothing else is to be committed when the process is found to have been stopped.
    world.asked.lock().unwrap().in_doubt = true;
    world.turn();
    assert!(world.asked.lock().unwrap().attempts.is_empty(), "another worker may have gone on with A");
    assert_eq!(world.asked.lock().unwrap().cuts.len(), 1, "positions alone");
    world.pass(S);
    world.turn();
    assert!(world.asked.lock().unwrap().attempts.is_empty());
    let cut = world.asked.lock().unwrap().cuts.pop_front().unwrap();
    assert_eq!(cut.parts[0].position.next, NextOffset::new(2));
    world.handle(Input::Committed(Err(PortError::Passing("no member just now".to_owned()))));
    world.pass(S);
    world.turn();
    assert!(world.asked.lock().unwrap().attempts.is_empty(), "a commit that failed proves nothing");
    assert!(world.finish_commit());
    world.turn();
    assert_eq!(world.asked.lock().unwrap().attempts.len(), 1);
    assert!(!world.asked.lock().unwrap().in_doubt);
    world.run(S, &mut |_| ok());
    assert_eq!(world.stamps("A").len(), 2);
}

/// A partition that runs, with one event that is committed.
fn with_one_committed(world: &mut World) -> TopicPartition {
    let source = TopicPartition::new("orders", 0);
    world.assign(&source, 1);
    restored(world, 1, &source, Ok(()));
    world.started(&source, 1);
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.until_commit();
    assert!(world.finish_commit());
    source
}

/// The commit was made before the process was stopped a second time; its answer was read behind that.
#[test]
fn a_commit_proves_nothing_against_a_silence_that_came_while_it_was_under_way() {
    let mut world = world();
    with_one_committed(&mut world);
    for is_last in [false, true] {
        world.asked.lock().unwrap().in_doubt = true;
        world.turn();
        assert_eq!(world.asked.lock().unwrap().cuts.len(), 1, "one that is to prove it");
        world.asked.lock().unwrap().in_doubt = !is_last;
        assert!(world.finish_commit());
        world.turn();
        assert_eq!(world.asked.lock().unwrap().attempts.len(), usize::from(is_last));
    }
}

#[test]
fn a_doubt_outlives_the_partitions_that_it_was_raised_over_and_ends_with_those_that_come() {
    let mut world = world();
    let source = with_one_committed(&mut world);
    world.asked.lock().unwrap().in_doubt = true;
    world.turn();
    let cut = world.asked.lock().unwrap().cuts.pop_front();
    assert!(cut.is_some(), "positions alone");
    // The group had expelled this worker: the partition is lost, the commit refused, and the partition comes back.
    let _released = world.lose(&source);
    world.handle(Input::Committed(Err(PortError::Passing("has moved on".to_owned()))));
    world.assign(&source, 1);
    restored(&mut world, 2, &source, Ok(()));
    world.started(&source, 1);
    world.run(S, &mut |_| ok());
    assert_eq!((world.stamps("A").len(), world.owed_in_store()), (1, 0), "what is owed is pushed");
}

/// What it owes may have been gone on with elsewhere, while the process was stopped over its restore.
#[test]
fn a_partition_that_is_restored_over_a_silence_pushes_nothing_until_a_commit_has_succeeded() {
    let mut world = world();
    let source = with_one_committed(&mut world);
    let _released = world.lose(&source);
    world.assign(&source, 1);
    world.asked.lock().unwrap().in_doubt = true;
    world.turn();
    restored(&mut world, 2, &source, Ok(()));
    world.started(&source, 1);
    world.until_commit();
    assert!(world.asked.lock().unwrap().attempts.is_empty(), "another worker may have gone on with A");
    assert_eq!(world.asked.lock().unwrap().cuts.len(), 1, "positions alone");
    assert!(world.finish_commit());
    world.run(S, &mut |_| ok());
    assert_eq!((world.stamps("A").len(), world.owed_in_store()), (1, 0));
}

/// What comes after it is given by the group.
#[test]
fn a_silence_over_no_partition_holds_nothing_up() {
    let mut world = world();
    world.asked.lock().unwrap().in_doubt = true;
    world.turn();
    assert!(!world.asked.lock().unwrap().in_doubt, "it is over");
}

#[test]
fn a_commit_that_failed_for_a_partition_that_has_left_holds_nothing_up() {
    let scene = Scene { truth: Truth::Changelog, max_lanes: 1, ..Scene::default() };
    let mut world = World::new(&scene, FakeStore::default());
    let (first, second) = (TopicPartition::new("orders", 0), TopicPartition::new("orders", 1));
    world.assign(&first, 1);
    world.assign(&second, 1);
    for (epoch, source) in [(1, &first), (2, &second)] {
        restored(&mut world, epoch, source, Ok(()));
        world.handle(Input::Started {
            epoch: Epoch(epoch),
            source: source.clone(),
            at: NextOffset::new(0),
            high_watermark: NextOffset::new(1),
        });
    }
    // The first partition's order has the only lane: that of the second is left to the store.
    for (epoch, source, order) in [(1, &first, "A"), (2, &second, "B")] {
        world.produce_in(Epoch(epoch), source, &[event("tt1", order, 1)]);
        world.pass(S);
        world.turn();
        assert!(world.finish_commit());
        world.turn();
    }
    world.produce_in(Epoch(1), &first, &[event("tt1", "A", 2)]);
    world.pass(S);
    world.turn();
    assert!(world.asked.lock().unwrap().cuts.pop_front().is_some());
    let _released = world.lose(&first);
    world.handle(Input::Committed(Err(PortError::Passing("has moved on".to_owned()))));
    world.run(20 * S, &mut |_| ok());
    assert_eq!(world.stamps("B").len(), 1, "what is left is taken up");
}

/// Starts again and again in an outage, partitions coming in another order each time, with as much to read as may be: what
/// each finds to be owed counts before more is taken in.
#[test]
fn restarts_in_an_outage_do_not_add_up_beyond_what_may_be_owed() {
    let scene = Scene { truth: Truth::Changelog, max_owed: 1000, ..Scene::default() };
    let store = FakeStore::default();
    let sources: Vec<_> = (0..4).map(|n| TopicPartition::new("orders", n)).collect();
    for start in 0..8 {
        let mut world = World::new(&scene, store.clone());
        for source in &sources {
            assert_eq!(world.assign(source, 100_000), StartAt::Later);
        }
        for turn in 0..sources.len() {
            let place = (start + turn) % sources.len();
            let (epoch, source) = (place as u64 + 1, &sources[place]);
            restored(&mut world, epoch, source, Ok(()));
            let at = world.position_in_store(source).unwrap_or(0);
            world.read_on(epoch, source, at);
            let orders: Vec<_> = (at..at + 1500).map(|n| event("tt1", &format!("O{place}-{n}"), 1)).collect();
            world.produce_in(Epoch(epoch), source, &orders);
            for _ in 0..20 {
                world.turn();
            }
        }
        world.run(S, &mut |_| answer(500, ""));
        let owed = world.owed_in_store();
        // Each may come to its share, and a slice more.
        assert!((1000..=1000 + 5 * 64).contains(&owed), "{owed} are owed after start {start}");
    }
}

#[test]
fn who_owes_its_share_while_others_are_restored_holds_no_other_back() {
    let scene = Scene { truth: Truth::Changelog, max_owed: 400, apps: vec!["tt1", "tt2"], ..Scene::default() };
    let mut world = World::new(&scene, FakeStore::default());
    let sources: Vec<_> = (0..4).map(|n| TopicPartition::new("orders", n)).collect();
    for source in &sources {
        world.assign(source, 10_000);
    }
    for (epoch, source) in (1..).zip(&sources[..2]) {
        restored(&mut world, epoch, source, Ok(()));
        world.read_on(epoch, source, 0);
    }
    let of = |app: &str, prefix: &str, count: i64| {
        (0..count).map(|n| event(app, &format!("{prefix}{n}"), 1)).collect::<Vec<_>>()
    };
    let mut platform = |attempt: &AttemptStart| {
        if attempt.app_id.as_str() == "tt1" { answer(500, "") } else { ok() }
    };
    // The share of each is 100, and a slice is folded at once.
    world.produce_in(Epoch(1), &sources[0], &of("tt1", "A", 900));
    world.run(S, &mut platform);
    assert_eq!(world.position_in_store(&sources[0]), Some(128));
    assert_eq!(world.asked.lock().unwrap().paused, [sources[0].clone()].into());
    assert!(world.status().intake_held, "what waits there is not stuck");
    world.produce_in(Epoch(2), &sources[1], &of("tt2", "B", 300));
    world.run(5 * S, &mut platform);
    assert_eq!((world.position_in_store(&sources[0]), world.position_in_store(&sources[1])), (Some(128), Some(300)));
    assert_eq!(world.sent.iter().filter(|(app_id, _)| app_id.as_str() == "tt2").count(), 300);
    restored(&mut world, 3, &sources[2], Ok(()));
    world.run(S, &mut platform);
    assert_eq!(world.position_in_store(&sources[0]), Some(128), "the last one is not there yet");
    restored(&mut world, 4, &sources[3], Ok(()));
    // All is known: what counts is what all of them owe.
    world.run(S, &mut platform);
    assert_eq!(world.position_in_store(&sources[0]), Some(448));
    assert_eq!(world.asked.lock().unwrap().paused.len(), 4);
}

#[test]
fn what_may_be_gone_is_folded_beyond_its_partitions_share() {
    let scene = Scene { truth: Truth::Changelog, max_owed: 200, ..Scene::default() };
    let mut world = World::new(&scene, FakeStore::default());
    let (first, second) = (TopicPartition::new("orders", 0), TopicPartition::new("orders", 1));
    world.assign(&first, 10_000);
    world.assign(&second, 10_000);
    restored(&mut world, 1, &first, Ok(()));
    world.read_on(1, &first, 0);
    let events: Vec<_> = (0..150).map(|n| event("tt1", &format!("O{n}"), 1)).collect();
    world.produce_in(Epoch(1), &first, &events);
    world.run(S, &mut |_| answer(500, ""));
    assert_eq!(world.position_in_store(&first), Some(128), "its share, and what is left of a slice");
    world.handle(Input::RecordsPressed(true));
    world.run(S, &mut |_| answer(500, ""));
    assert_eq!(world.position_in_store(&first), Some(150));
}
