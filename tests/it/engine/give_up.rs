//! Whose time counts: an order that fails before its app had to wait, and after it, fails for minutes and not for hours.

use std::time::Duration;

use order_sync::douyin::verdict::{Break, Exchange, Verdict};
use order_sync::order::DeadLetterReason;
use order_sync::record::TopicPartition;
use order_sync::sync::ports::{AttemptStart, Input, TokenGeneration};

use super::evidence::order_of;
use super::tokenless::Away;
use super::world::{Scene, World, answer, event, ok};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

/// Everything is accepted but this order.
fn all_but_slow(attempt: &AttemptStart) -> Exchange {
    if order_of(attempt) == "slow" { answer(503, "") } else { ok() }
}

/// Three orders a second are accepted; `slow` is there, and fails.
fn sell(world: &mut World, source: &TopicPartition, from: usize, seconds: usize) {
    for second in 0..seconds {
        world.produce(
            source,
            &(0..3).map(|n| event("tt1", &format!("G{}", from + 3 * second + n), 1)).collect::<Vec<_>>(),
        );
        world.run_in_steps(S, 50 * MS, &mut all_but_slow);
    }
}

/// An order fails for a minute before and for two minutes after `wait`, beside others that are accepted. It may fail for 200 s,
/// so that not even one silence of `wait` may count.
fn check(wait: &mut dyn FnMut(&mut World), expect: &str) {
    let (mut world, source) = World::with_partition(&Scene { give_up_after: 200 * S, ..Scene::default() });
    sell(&mut world, &source, 0, 5);
    world.produce(&source, &[event("tt1", "slow", 1)]);
    sell(&mut world, &source, 1_000, 60);
    world.produce(&source, &(0..100).map(|n| event("tt1", &format!("W{n}"), 1)).collect::<Vec<_>>());
    wait(&mut world);
    assert_eq!(world.app("tt1").circuit, expect);
    sell(&mut world, &source, 2_000, 120);
    assert!(world.letters.is_empty(), "{expect}: {}", world.letters[0].message);
    assert_eq!((world.owed_in_store(), world.app("tt1").circuit), (1, "closed"));
    // Nor is it forgotten.
    sell(&mut world, &source, 3_000, 120);
    assert_eq!(
        world.letters.iter().map(|letter| letter.reason).collect::<Vec<_>>(),
        [DeadLetterReason::RetriesExhausted]
    );
}

#[test]
fn what_an_app_waits_for_as_a_whole_is_not_its_orders_time() {
    let refuse = |world: &mut World, refusal: &Exchange| {
        world.run_in_steps(3 * 3600 * S, 250 * MS, &mut |_| refusal.clone());
    };
    check(&mut |world| refuse(world, &answer(503, "")), "open");
    check(&mut |world| refuse(world, &answer(200, r#"{"err_code":28003017,"err_msg":"quota"}"#)), "suspended");
    check(&mut |world| refuse(world, &answer(200, r#"{"err_code":40016,"err_msg":"appname"}"#)), "suspended");
}

#[test]
fn what_an_app_waits_for_without_a_token_is_not_its_orders_time() {
    for (verdict, expect) in [(Verdict::Retry, "open"), (Verdict::Suspend, "suspended")] {
        let wait = &mut |world: &mut World| {
            let mut away = Away::new(&["tt1"]);
            away.refused.judgement.verdict = verdict;
            away.run(world, 3 * 3600 * S, &mut all_but_slow);
        };
        check(wait, expect);
    }
}

/// Twelve times there is no token, for longer than the order waits between two attempts of its own: none of these waits is its
/// failing, though each time others are accepted before and behind it.
#[test]
fn many_times_without_a_token_add_up_to_nothing() {
    let (mut world, source) = World::with_partition(&Scene { give_up_after: 300 * S, ..Scene::default() });
    world.token_lifetime = 5 * S;
    sell(&mut world, &source, 0, 5);
    world.produce(&source, &[event("tt1", "slow", 1)]);
    sell(&mut world, &source, 1_000, 60);
    for time in 0..12 {
        Away::new(&["tt1"]).run(&mut world, 100 * S, &mut all_but_slow);
        assert_eq!(world.app("tt1").circuit, "open");
        sell(&mut world, &source, 2_000 + 100 * time, 10);
        assert!(world.letters.is_empty(), "the time {time}: {}", world.letters[0].message);
    }
    world.token_lifetime = 7_200 * S;
    sell(&mut world, &source, 4_000, 300);
    assert_eq!(world.letters.len(), 1, "nor is it forgotten");
}

/// The process is stopped for an hour beside an attempt of the order, which fails with the stop in its latency.
#[test]
fn a_time_in_which_the_process_stood_still_is_no_failing() {
    let (mut world, source) = World::with_partition(&Scene { give_up_after: 900 * S, ..Scene::default() });
    sell(&mut world, &source, 0, 5);
    world.produce(&source, &[event("tt1", "slow", 1)]);
    sell(&mut world, &source, 1_000, 60);
    let mut held = None;
    for round in 0..1_000 {
        if held.is_some() && round % 10 == 5 {
            break;
        }
        if round % 10 == 0 {
            world.produce(&source, &[event("tt1", &format!("H{round}"), 1)]);
        }
        world.turn();
        world.answer_tokens();
        let attempts = std::mem::take(&mut world.asked.lock().unwrap().attempts);
        let (slow, others): (Vec<_>, Vec<_>) = attempts.into_iter().partition(|attempt| order_of(attempt) == "slow");
        world.asked.lock().unwrap().attempts.extend(others);
        world.answer_attempts(&mut all_but_slow);
        world.finish_commit();
        held = slow.into_iter().next().or(held);
        world.pass(200 * MS);
    }
    let ticket = held.unwrap().ticket;
    let latency = 3_600 * S;
    world.pass(latency);
    let exchange = Exchange::Broken(Break::Timeout);
    world.handle(Input::Attempted { ticket, token: TokenGeneration(1), exchange, latency });
    sell(&mut world, &source, 2_000, 5);
    assert!(world.letters.is_empty(), "{}", world.letters[0].message);
}

/// Orders that met the first outage stand at the end of its backlog, which leaves at ten a second, for longer than an order may fail
/// at all; then comes another outage.
#[test]
fn what_an_order_stands_behind_others_for_is_not_its_failing() {
    let (mut world, source) = World::with_partition(&Scene { max_in_flight: 1, ..Scene::default() });
    world.produce(&source, &(0..10_500).map(|n| event("tt1", &format!("O{n}"), 1)).collect::<Vec<_>>());
    world.run_with_latency(60 * S, 100 * MS, &mut |_| answer(503, ""));
    assert_eq!(world.app("tt1").circuit, "open");
    world.run_with_latency(1030 * S, 100 * MS, &mut |_| ok());
    assert_eq!((world.app("tt1").circuit, world.owed_in_store() > 0), ("closed", true));
    world.run_with_latency(300 * S, 100 * MS, &mut |_| answer(503, ""));
    assert_eq!(world.app("tt1").circuit, "open");
    assert!(world.letters.is_empty(), "{} of them: {}", world.letters.len(), world.letters[0].message);
    world.run_with_latency(400 * S, 100 * MS, &mut |_| ok());
    assert_eq!((world.owed_in_store(), world.letters.len()), (0, 0));
}
