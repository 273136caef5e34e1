//! What the engine promises, case by case, on the real engine over hand-held edges.

use std::collections::HashSet;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use order_sync::douyin::verdict::{Break, Exchange};
use order_sync::order::DeadLetterReason;
use order_sync::record::TopicPartition;
use order_sync::sync::Ended;
use order_sync::sync::ports::{Input, PortError, StartAt};
use order_sync::sync::rules::End;

use super::world::{FakeStore, Scene, World, answer, event, ok};

const S: Duration = Duration::from_secs(1);

#[test]
fn nothing_is_pushed_before_its_commit() {
    let (mut world, source) = World::with_partition(Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.turn();
    world.answer_tokens();
    world.pass(S);
    world.turn();
    assert!(world.asked.lock().unwrap().attempts.is_empty(), "the commit is under way");
    assert!(world.finish_commit());
    world.turn();
    assert_eq!(world.asked.lock().unwrap().attempts.len(), 1);
    assert_eq!(world.position_in_store(&source), Some(1));
}

#[test]
fn every_state_of_an_order_is_pushed_in_stamp_order_one_at_a_time() {
    let (mut world, source) = World::with_partition(Scene::default());
    let events: Vec<_> = (0..20).map(|n| event("tt1", "A", n / 4 * 4 + n)).collect();
    world.produce(&source, &events);
    let mut under_way = 0;
    world.run(S, &mut |_| {
        under_way += 1;
        assert_eq!(under_way, 1);
        under_way = 0;
        ok()
    });
    let stamps = world.stamps("A");
    assert_eq!(stamps.len(), 20);
    assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]), "{stamps:?}");
    assert_eq!(world.owed_in_store(), 0);
}

#[test]
fn orders_run_side_by_side_up_to_the_bound() {
    let (mut world, source) = World::with_partition(Scene { max_in_flight: 16, ..Scene::default() });
    world.produce(&source, &(0..100).map(|n| event("tt1", &format!("O{n}"), 1)).collect::<Vec<_>>());
    world.turn();
    world.answer_tokens();
    world.pass(S);
    world.turn();
    world.finish_commit();
    world.turn();
    let asked = world.asked.lock().unwrap();
    assert_eq!(asked.attempts.len(), 16);
    let orders: HashSet<_> = asked.attempts.iter().map(|attempt| attempt.request.clone()).collect();
    assert_eq!(orders.len(), 16);
}

#[test]
fn folding_does_not_wait_for_delivery() {
    let (mut world, source) = World::with_partition(Scene { max_in_flight: 4, ..Scene::default() });
    for batch in 0..20 {
        let orders: Vec<_> = (0..100).map(|n| event("tt1", &format!("O{}", batch * 100 + n), 1)).collect();
        world.produce(&source, &orders);
        world.turn();
        world.pass(S);
        world.turn();
        world.finish_commit();
    }
    world.pass(S);
    world.turn();
    world.finish_commit();
    assert_eq!(world.position_in_store(&source), Some(2000), "no attempt was ever answered");
    assert_eq!(world.owed_in_store(), 2000);
}

#[test]
fn a_failing_order_delays_no_other_and_its_own_next_states_wait() {
    let (mut world, source) = World::with_partition(Scene::default());
    world.produce(&source, &[event("tt1", "bad", 1), event("tt1", "bad", 2), event("tt1", "good", 1)]);
    world.run(60 * S, &mut |attempt| {
        if attempt.request.starts_with(b"{\"order_id\":\"bad\"") { answer(500, "") } else { ok() }
    });
    assert_eq!(world.stamps("good").len(), 1);
    let bad: HashSet<_> = world.stamps("bad").into_iter().collect();
    assert_eq!(bad.len(), 1, "only the first state is tried");
    assert!((5..40).contains(&world.stamps("bad").len()), "{}", world.stamps("bad").len());
    world.run(120 * S, &mut |_| ok());
    assert_eq!(world.stamps("bad").iter().collect::<HashSet<_>>().len(), 2);
    assert_eq!(world.owed_in_store(), 0);
    assert!(world.letters.is_empty());
}

#[test]
fn a_hot_order_with_ten_thousand_debts_delays_no_other() {
    let (mut world, source) = World::with_partition(Scene::default());
    let hot: Vec<_> = (0..10_000).map(|n| event("tt1", "hot", n)).collect();
    world.produce(&source, &hot);
    world.turn();
    world.produce(&source, &[event("tt1", "cool", 1)]);
    world.answer_tokens();
    for _ in 0..2 {
        world.pass(S);
        world.turn();
        world.finish_commit();
    }
    world.turn();
    let first: Vec<_> = world.asked.lock().unwrap().attempts.iter().map(|attempt| attempt.request.clone()).collect();
    assert_eq!(first.len(), 2, "one of each order");
    world.run_in_steps(4 * S, Duration::from_millis(100), &mut |_| ok());
    assert_eq!(world.stamps("hot").len(), 10_000);
    assert_eq!(world.owed_in_store(), 0);
}

/// An outage of two hours, one order on a quiet app: no evidence, no dead letter.
#[test]
fn an_outage_dead_letters_nothing() {
    let (mut world, source) = World::with_partition(Scene::default());
    world.produce(&source, &[event("tt1", "A", 1), event("tt1", "B", 1)]);
    world.run_in_steps(7200 * S, S, &mut |_| Exchange::Broken(Break::Connect));
    assert!(world.letters.is_empty());
    world.run_in_steps(120 * S, S, &mut |_| ok());
    assert_eq!(world.owed_in_store(), 0);
}

#[test]
fn an_order_that_fails_while_others_succeed_is_given_up() {
    let (mut world, source) = World::with_partition(Scene::default());
    world.produce(&source, &[event("tt1", "bad", 1)]);
    for n in 0..40 {
        world.produce(&source, &[event("tt1", &format!("good{n}"), 1)]);
        world.run_in_steps(60 * S, S, &mut |attempt| {
            if attempt.request.starts_with(b"{\"order_id\":\"bad\"") { answer(200, r#"{"err_code":-1}"#) } else { ok() }
        });
    }
    assert_eq!(world.letters.len(), 1);
    let letter = &world.letters[0];
    assert_eq!(letter.reason, DeadLetterReason::RetriesExhausted);
    assert_eq!(letter.update_time, Some(1_700_000_001));
    let delivery = letter.delivery.as_ref().unwrap();
    assert!(delivery.attempts > 15, "{}", delivery.attempts);
    assert!(delivery.attempt_log.lines().last().unwrap().ends_with("3ms 200 -1"), "{}", delivery.attempt_log);
    assert_eq!(world.owed_in_store(), 0);
}

#[test]
fn a_rejected_order_is_dead_lettered_and_owed_again_under_the_same_stamp() {
    let (mut world, source) = World::with_partition(Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.run(S, &mut |_| answer(200, r#"{"err_code":40003,"err_msg":"openid","body":""}"#));
    assert_eq!(world.letters.len(), 1);
    assert_eq!(world.letters[0].reason, DeadLetterReason::RejectedByPlatform);
    assert_eq!(world.letters[0].delivery.as_ref().unwrap().err_code, Some(40003));
    assert_eq!(world.owed_in_store(), 0);
    // The same content again: the delivery's letter stands, so it is owed again, byte for byte.
    let again = event("tt1", "A", 1).replace("A-1", "A-again");
    world.produce(&source, &[again]);
    world.run(S, &mut |_| ok());
    assert_eq!(world.sent.len(), 2);
    assert_eq!(world.sent[0], world.sent[1]);
    // And once more: accepted by now, so nothing is sent.
    world.produce(&source, &[event("tt1", "A", 1).replace("A-1", "A-third")]);
    world.run(S, &mut |_| ok());
    assert_eq!(world.sent.len(), 2);
    // A newer state supersedes.
    world.produce(&source, &[event("tt1", "A", 2)]);
    world.run(S, &mut |_| ok());
    assert_eq!(world.stamps("A"), [1_700_000_001, 1_700_000_001, 1_700_000_002]);
}

#[test]
fn a_restart_repeats_only_what_was_not_recorded_byte_for_byte() {
    let (mut world, source) = World::with_partition(Scene::default());
    let events: Vec<_> = (0..50).map(|n| event("tt1", &format!("O{}", n % 10), n)).collect();
    world.produce(&source, &events);
    // Accepted, but the result never reaches the store.
    world.turn();
    world.answer_tokens();
    world.pass(S);
    world.turn();
    world.finish_commit();
    world.turn();
    world.answer_attempts(&mut |_| ok());
    let before = world.sent.clone();
    assert_eq!(before.len(), 10);
    let store: FakeStore = world.store.clone();
    drop(world);

    let mut world = World::new(&Scene::default(), store);
    assert_eq!(world.assign(&source, 50), StartAt::Position(order_sync::record::NextOffset::new(50)));
    world.run(S, &mut |_| ok());
    assert_eq!(world.sent.len(), 50, "the ten that were not recorded, and the other forty");
    for sent in &before {
        assert!(world.sent.contains(sent), "the repeat is identical");
    }
    assert_eq!(world.owed_in_store(), 0);
}

#[test]
fn a_failed_commit_is_tried_again_and_nothing_of_it_is_due_until_then() {
    let (mut world, source) = World::with_partition(Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.turn();
    world.answer_tokens();
    world.pass(S);
    world.turn();
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
    let (mut world, source) = World::with_partition(Scene::default());
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
    let (mut world, source) = World::with_partition(Scene { max_owed: 100, max_in_flight: 1, ..Scene::default() });
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
    let (mut world, source) = World::with_partition(scene);
    world.produce(&source, &(0..1000).map(|n| event("tt1", &format!("O{n}"), 1)).collect::<Vec<_>>());
    world.turn();
    assert!(world.asked.lock().unwrap().paused.contains(&source));
    world.run(60 * S, &mut |_| ok());
    assert_eq!(world.position_in_store(&source), Some(1000));
    assert_eq!(world.owed_in_store(), 0);
}

#[test]
fn a_revoke_commits_first_and_late_results_are_dropped() {
    let (mut world, source) = World::with_partition(Scene::default());
    world.produce(&source, &[event("tt1", "A", 1), event("tt1", "B", 1)]);
    world.turn();
    world.answer_tokens();
    world.pass(S);
    world.turn();
    world.finish_commit();
    world.turn();
    world.produce(&source, &[event("tt1", "C", 1)]);
    world.turn();
    let (reply, released) = sync_channel(1);
    world.handle(Input::Revoked { partitions: vec![source.clone()], lost: false, reply });
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
fn a_revoke_ends_at_its_deadline() {
    let (mut world, source) = World::with_partition(Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.pass(S);
    world.turn();
    let (reply, released) = sync_channel(1);
    world.handle(Input::Revoked { partitions: vec![source], lost: false, reply });
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
    let (mut world, source) = World::with_partition(Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.pass(S);
    world.turn();
    let (reply, _released) = sync_channel(1);
    world.handle(Input::Revoked { partitions: vec![source.clone()], lost: true, reply });
    let start = world.offer(&source);
    assert!(start.try_recv().is_err(), "the store does not hold the cut yet");
    world.finish_commit();
    assert_eq!(start.try_recv().unwrap().unwrap(), [StartAt::Position(order_sync::record::NextOffset::new(1))]);
}

#[test]
fn a_refused_token_is_replaced_and_costs_no_budget() {
    let (mut world, source) = World::with_partition(Scene::default());
    world.run(60 * S, &mut |_| ok());
    world.produce(&source, &[event("tt1", "A", 1)]);
    let mut first = true;
    world.run(S, &mut |_| {
        if std::mem::take(&mut first) { answer(200, r#"{"err_code":40002,"err_msg":"access_token"}"#) } else { ok() }
    });
    assert_eq!(world.sent.len(), 2);
    assert_eq!(world.tokens.values().sum::<u64>(), 2);
    assert_eq!(world.owed_in_store(), 0);
}

#[test]
fn a_suspended_app_is_probed_by_the_minute_and_slows_no_other() {
    let scene = Scene { apps: vec!["tt1", "tt2"], ..Scene::default() };
    let (mut world, source) = World::with_partition(scene);
    let mut events: Vec<_> = (0..50).map(|n| event("tt1", &format!("O{n}"), 1)).collect();
    events.push(event("tt2", "X", 1));
    world.produce(&source, &events);
    let mut probes = 0;
    world.run_in_steps(300 * S, Duration::from_millis(500), &mut |attempt| {
        if attempt.app_id.as_str() == "tt2" {
            return ok();
        }
        probes += 1;
        answer(200, r#"{"err_code":40016,"err_msg":"appname"}"#)
    });
    assert_eq!(world.stamps("X").len(), 1);
    assert!((50..=56).contains(&probes), "those in flight, then one a minute: {probes}");
    world.run(70 * S, &mut |_| ok());
    assert_eq!(world.owed_in_store(), 0);
    assert!(world.letters.is_empty());
}

#[test]
fn shutdown_waits_for_answers_and_commits_them() {
    let (mut world, source) = World::with_partition(Scene::default());
    world.produce(&source, &[event("tt1", "A", 1), event("tt1", "A", 2)]);
    world.turn();
    world.answer_tokens();
    world.pass(S);
    world.turn();
    world.finish_commit();
    world.turn();
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
    let (mut world, source) = World::with_partition(Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.turn();
    world.answer_tokens();
    world.pass(S);
    world.turn();
    world.finish_commit();
    world.turn();
    world.handle(Input::Shutdown);
    while world.ended.is_none() {
        world.pass(S);
        world.turn();
    }
    assert!((8..=10).contains(&(world.now.mono.as_secs() - 1)), "{:?}", world.now.mono);
    let Some(Ended::Stopped(left)) = &world.ended else { panic!("it goes on") };
    assert_eq!((left.in_flight, left.uncommitted, left.owed), (1, 0, 1));
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
