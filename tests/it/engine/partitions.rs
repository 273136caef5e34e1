//! What the engine promises of commits, partitions and its own end, case by case, over hand-held edges.

use std::time::Duration;

use order_sync::record::{NextOffset, TopicPartition};
use order_sync::sync::Ended;
use order_sync::sync::ports::{Epoch, Input, PortError};
use order_sync::sync::rules::End;

use super::fakes::FakeStore;
use super::world::{Scene, World, event, ok};

const S: Duration = Duration::from_secs(1);

#[test]
fn a_restart_repeats_only_what_was_not_recorded_byte_for_byte() {
    let (mut world, source) = World::with_partition(&Scene::default());
    let events: Vec<_> = (0..50).map(|n| event("tt1", &format!("O{}", n % 10), n)).collect();
    world.produce(&source, &events);
    // Accepted, but the result never reaches the store.
    world.until_started();
    world.answer_attempts(&mut |_| ok());
    let before = world.sent.clone();
    assert_eq!(before.len(), 10);
    let store: FakeStore = world.store.clone();
    drop(world);

    let mut world = World::new(&Scene::default(), store);
    assert_eq!(world.assign(&source, 50).position(), Some(NextOffset::new(50)));
    world.run(S, &mut |_| ok());
    assert_eq!(world.sent.len(), 50, "the ten that were not recorded, and the other forty");
    for sent in &before {
        assert!(world.sent.contains(sent), "the repeat is identical");
    }
    assert_eq!(world.owed_in_store(), 0);
}

#[test]
fn a_topic_that_has_another_number_of_partitions_than_was_committed_is_refused() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.run(S, &mut |_| ok());
    let store: FakeStore = world.store.clone();
    drop(world);
    store.0.lock().unwrap().get_mut(&source).unwrap().position.as_mut().unwrap().partitions = Some(3);
    let mut world = World::new(&Scene::default(), store);
    let refused = world.offer(&source).try_recv().unwrap().unwrap_err().to_string();
    assert!(refused.contains("orders had 3 partitions and has 2 now"), "{refused}");
}

#[test]
fn a_failed_commit_is_tried_again_and_nothing_of_it_is_due_until_then() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.until_commit();
    for _ in 0..5 {
        assert!(world.asked.lock().unwrap().cuts.pop_front().is_some());
        world.handle(Input::Committed(Err(PortError::Passing("the broker is away".into()))));
        world.produce(&source, &[event("tt1", "B", 1)]);
        world.pass(20 * S);
        world.turn();
        assert!(world.asked.lock().unwrap().attempts.is_empty());
    }
    world.run(S, &mut |_| ok());
    assert_eq!(world.stamps("A").len(), 1);
    assert_eq!(world.position_in_store(&source), Some(6));
}

#[test]
fn a_fatal_commit_ends_the_worker_with_its_words() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.pass(S);
    world.turn();
    world.handle(Input::Committed(Err(PortError::Fatal("the disk is full".into()))));
    world.turn();
    let Some(Ended::Failed(error)) = world.ended else { panic!("it goes on") };
    assert_eq!(error.to_string(), "the disk is full");
}

#[test]
fn too_much_owed_pauses_intake_and_lets_it_go_on_later() {
    let (mut world, source) = World::with_partition(&Scene { max_owed: 100, max_in_flight: 1, ..Scene::default() });
    for batch in 0..4 {
        let orders: Vec<_> = (0..64).map(|n| event("tt1", &format!("O{}", batch * 64 + n), 1)).collect();
        world.produce(&source, &orders);
        world.turn();
        world.pass(S);
        world.turn();
        world.finish_commit();
        world.turn();
    }
    assert!(world.asked.lock().unwrap().paused.contains(&source));
    assert!(world.position_in_store(&source).unwrap() < 256);
    world.run(60 * S, &mut |_| ok());
    assert!(world.asked.lock().unwrap().paused.is_empty());
    assert_eq!(world.position_in_store(&source), Some(256));
    assert_eq!(world.owed_in_store(), 0);
}

#[test]
fn too_much_that_is_not_committed_pauses_intake_and_deliveries() {
    let scene = Scene { max_buffered_bytes: 20_000, ..Scene::default() };
    let (mut world, source) = World::with_partition(&scene);
    world.produce(&source, &(0..1000).map(|n| event("tt1", &format!("O{n}"), 1)).collect::<Vec<_>>());
    world.turn();
    assert!(world.asked.lock().unwrap().paused.contains(&source));
    world.run(60 * S, &mut |_| ok());
    assert_eq!(world.position_in_store(&source), Some(1000));
    assert_eq!(world.owed_in_store(), 0);
    // Commits fail, and the memory is full: an answer that comes in makes no room for the next delivery.
    let (mut world, source) = World::with_partition(&Scene { max_in_flight: 1, ..scene });
    world.produce(&source, &[event("tt1", "A", 1), event("tt1", "B", 1)]);
    world.until_started();
    world.produce(&source, &(0..100).map(|n| event("tt1", &format!("O{n}"), 1)).collect::<Vec<_>>());
    world.turn();
    world.pass(S);
    world.turn();
    for _ in 0..3 {
        world.answer_attempts(&mut |_| ok());
        assert!(world.asked.lock().unwrap().cuts.pop_front().is_some());
        world.handle(Input::Committed(Err(PortError::Passing("no quorum".into()))));
        world.pass(20 * S);
        world.turn();
        assert_eq!((world.sent.len(), world.asked.lock().unwrap().attempts.len()), (1, 0), "A alone was sent");
    }
    world.run(S, &mut |_| ok());
    assert_eq!((world.sent.len(), world.owed_in_store()), (102, 0));
}

#[test]
fn a_revoke_commits_first_and_late_results_are_dropped() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "A", 1), event("tt1", "B", 1)]);
    world.until_started();
    world.produce(&source, &[event("tt1", "C", 1)]);
    world.turn();
    let released = world.revoke(&source);
    world.turn();
    assert!(released.try_recv().is_err(), "the last commit is under way");
    assert!(world.finish_commit());
    world.turn();
    assert!(released.try_recv().is_ok());
    assert_eq!(world.position_in_store(&source), Some(3));
    world.answer_attempts(&mut |_| ok());
    world.pass(S);
    world.turn();
    assert!(!world.finish_commit(), "results of a partition that is gone are dropped");
    assert_eq!(world.owed_in_store(), 3);
}

#[test]
fn a_revoke_and_a_shutdown_do_not_wait_for_the_commit_interval() {
    let ends: [fn(&mut World, TopicPartition); 2] =
        [|world, source| drop(world.revoke(&source)), |world, _| world.handle(Input::Shutdown)];
    for end in ends {
        let (mut world, source) = World::with_partition(&Scene { commit_interval: 60 * S, ..Scene::default() });
        world.produce(&source, &[event("tt1", "A", 1)]);
        world.until_started();
        world.produce(&source, &[event("tt1", "B", 1)]);
        world.pass(S);
        world.turn();
        assert!(!world.finish_commit(), "the interval is not over");
        end(&mut world, source.clone());
        world.turn();
        assert!(world.finish_commit());
        assert_eq!(world.position_in_store(&source), Some(2));
    }
}

/// What the brokers did not take in time is not tried again in ever larger cuts.
#[test]
fn over_a_slow_way_cuts_become_small() {
    let scene = Scene { max_buffered_bytes: 8 << 20, max_in_flight: 100_000, ..Scene::default() };
    let (mut world, source) = World::with_partition(&scene);
    let cut_bytes = |world: &World| {
        let asked = world.asked.lock().unwrap();
        asked.cuts.front().map(|cut| cut.parts.iter().map(|part| part.layer.bytes()).sum::<usize>())
    };
    // Enough for several cuts of 2 MiB, a quarter of what may be buffered.
    world.produce(&source, &(0..20_000).map(|n| event("tt1", &format!("O{n}"), 1)).collect::<Vec<_>>());
    let mut cuts = Vec::new();
    for _ in 0..6 {
        world.until_commit();
        cuts.push(cut_bytes(&world).unwrap());
        world.pass(3 * S);
        world.turn();
        world.finish_commit();
    }
    assert!(cuts[1] > 1 << 20, "{cuts:?}");
    assert!(cuts[1..].windows(2).all(|two| two[1] < two[0] || two[1] < 300 << 10), "{cuts:?}");
    assert!(cuts[5] < 300 << 10, "{cuts:?}");
}

#[test]
fn a_revoke_ends_at_its_deadline() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.pass(S);
    world.turn();
    let released = world.revoke(&source);
    world.turn();
    world.pass(9 * S);
    world.turn();
    assert!(released.try_recv().is_err());
    world.pass(2 * S);
    world.turn();
    assert!(released.try_recv().is_ok());
}

#[test]
fn a_partition_that_comes_back_waits_for_the_cut_under_way() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.pass(S);
    world.turn();
    let _released = world.lose(&source);
    let start = world.offer(&source);
    assert!(start.try_recv().is_err(), "the store does not hold the cut yet");
    world.finish_commit();
    assert_eq!(start.try_recv().unwrap().unwrap()[0].position(), Some(NextOffset::new(1)));
}

#[test]
fn what_an_app_owes_that_is_not_configured_is_told_at_the_end() {
    let scene = Scene { apps: vec!["tt1", "tt2"], ..Scene::default() };
    let (mut world, source) = World::with_partition(&scene);
    world.produce(&source, &[event("tt2", "A", 1), event("tt2", "B", 1)]);
    world.until_started();
    world.finish_commit();
    let scene = Scene { end: End::WhenCaughtUp, ..Scene::default() };
    let mut world = World::new(&scene, world.store);
    world.assign(&source, 2);
    world.run(S, &mut |_| ok());
    let Some(Ended::CaughtUp(left)) = &world.ended else { panic!("it goes on") };
    assert_eq!(left.owed, 2);
    assert!(world.meters.render().contains("order_sync_owed_deliveries{app_id=\"tt2\"} 2"));
}

#[test]
fn caught_up_ends_when_all_is_delivered_and_not_before() {
    let scene = Scene { end: End::WhenCaughtUp, ..Scene::default() };
    let mut world = World::new(&scene, FakeStore::default());
    let source = TopicPartition::new("orders", 0);
    world.assign(&source, 4);
    world.produce(&source, &[event("tt1", "A", 1), event("tt1", "A", 2), event("tt1", "B", 1)]);
    world.run(S, &mut |_| ok());
    assert!(world.ended.is_none(), "offset 3 has not come");
    // Offset 3 is a marker: the probe says that nothing is left to read.
    let (source, next) = world.asked.lock().unwrap().probes.pop().unwrap();
    assert_eq!(next.get(), 3);
    world.handle(Input::EndProbed { source, next, at_end: Ok(true) });
    world.run(S, &mut |_| ok());
    assert!(matches!(world.ended, Some(Ended::CaughtUp(_))));
    assert_eq!(world.owed_in_store(), 0);
}

/// Its next owner, be it this very worker, reads them again from where it begins.
#[test]
fn records_of_an_assignment_that_is_over_are_dropped() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.assign(&source, 0);
    world.produce_in(Epoch(1), &source, &[event("tt1", "A", 1)]);
    world.run(S, &mut |_| ok());
    assert!(world.sent.is_empty(), "{:?}", world.sent);
    world.produce(&source, &[event("tt1", "B", 1)]);
    world.run(S, &mut |_| ok());
    assert_eq!(world.sent.len(), 1, "those of this one are not");
}

#[test]
fn where_a_partition_was_begun_is_noted_with_its_first_commit() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.run(S, &mut |_| ok());
    let begun = world.store.0.lock().unwrap()[&source].position.as_ref().unwrap().begun;
    assert_eq!(begun, Some(NextOffset::new(0)));
}

#[test]
fn a_position_goes_behind_what_nobody_reads_once_all_before_it_is_folded() {
    let (mut world, source) = World::with_partition(&Scene::default());
    let epoch = Epoch(1);
    let passed = |epoch, next| Input::Passed { epoch, source: source.clone(), next: NextOffset::new(next) };
    // Before the first record nothing would tell a topic that is made anew.
    world.handle(passed(epoch, 2));
    world.run(S, &mut |_| ok());
    assert_eq!(world.position_in_store(&source), Some(0));
    let events: Vec<_> = (0..3).map(|n| event("tt1", &format!("O{n}"), 1)).collect();
    world.produce_in(epoch, &source, &events);
    // Not yet: the three are at hand and not folded.
    world.handle(passed(epoch, 5));
    world.run(S, &mut |_| ok());
    assert_eq!(world.position_in_store(&source), Some(3));
    assert_eq!(world.sent.len(), 3);
    world.handle(passed(Epoch(7), 9));
    world.handle(passed(epoch, 5));
    // What was said before counts for nothing, and it goes back for nothing.
    world.handle(passed(epoch, 4));
    world.run(S, &mut |_| ok());
    assert_eq!(world.position_in_store(&source), Some(5));
    world.goes_on_at(&source, 5);
    world.produce_in(epoch, &source, &[event("tt1", "O9", 1)]);
    world.run(S, &mut |_| ok());
    assert_eq!(world.position_in_store(&source), Some(6));
    assert_eq!(world.sent.len(), 4);
}
