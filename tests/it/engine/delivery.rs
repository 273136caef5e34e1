//! What the engine promises of deliveries, case by case, over hand-held edges.

use std::collections::HashSet;
use std::time::Duration;

use order_sync::douyin::verdict::{Answer, Break, Exchange};
use order_sync::order::DeadLetterReason;
use order_sync::sync::{Acceptance, LastError};

use super::world::{Scene, World, answer, event, ok};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

#[test]
fn nothing_is_pushed_before_its_commit() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.until_commit();
    assert!(world.asked.lock().unwrap().attempts.is_empty(), "the commit is under way");
    assert!(world.finish_commit());
    world.turn();
    assert_eq!(world.asked.lock().unwrap().attempts.len(), 1);
    assert_eq!(world.position_in_store(&source), Some(1));
}

#[test]
fn every_state_of_an_order_is_pushed_in_stamp_order_one_at_a_time() {
    let (mut world, source) = World::with_partition(&Scene::default());
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
    let (mut world, source) = World::with_partition(&Scene { max_in_flight: 16, ..Scene::default() });
    world.produce(&source, &(0..100).map(|n| event("tt1", &format!("O{n}"), 1)).collect::<Vec<_>>());
    world.until_started();
    let asked = world.asked.lock().unwrap();
    assert_eq!(asked.attempts.len(), 16);
    let orders: HashSet<_> = asked.attempts.iter().map(|attempt| attempt.request.clone()).collect();
    assert_eq!(orders.len(), 16);
}

#[test]
fn folding_does_not_wait_for_delivery() {
    let (mut world, source) = World::with_partition(&Scene { max_in_flight: 4, ..Scene::default() });
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
    let (mut world, source) = World::with_partition(&Scene::default());
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
    let (mut world, source) = World::with_partition(&Scene::default());
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

#[test]
fn an_order_that_fails_while_others_succeed_is_given_up() {
    let (mut world, source) = World::with_partition(&Scene::default());
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
    let (mut world, source) = World::with_partition(&Scene::default());
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

/// What is committed with a settled delivery tells how it was accepted; one that becomes a letter is not accepted.
#[test]
fn an_accepted_delivery_is_committed_with_its_attempts_its_last_error_and_the_platforms_log_id() {
    let (mut world, source) = World::with_partition(&Scene::default());
    let orders = ["at-once", "busy", "cut-off", "refused"];
    world.produce(&source, &orders.map(|order| event("tt1", order, 1)));
    let mut tries = std::collections::HashMap::new();
    world.run(60 * S, &mut |attempt| {
        let text = String::from_utf8_lossy(&attempt.request);
        let order = orders.into_iter().find(|order| text.contains(*order)).unwrap();
        let count = tries.entry(order).or_insert(0);
        *count += 1;
        match (order, *count) {
            ("busy", 1) => Exchange::Broken(Break::Timeout),
            ("busy", 2) => answer(503, ""),
            ("busy", _) => answer(200, r#"{"err_code":0,"err_msg":"","body":"","extra":{"logid":"20261126x"}}"#),
            ("cut-off", 1) => Exchange::Broken(Break::Reset),
            ("refused", _) => answer(200, r#"{"err_code":40003,"err_msg":"openid","body":"","extra":{"logid":"no"}}"#),
            _ => ok(),
        }
    });
    let accepted = world.store.0.lock().unwrap()[&source].accepted.clone();
    let told: std::collections::BTreeMap<_, _> =
        accepted.iter().map(|(key, how)| (key.identity.order_id.to_string(), how.clone())).collect();
    let how = |attempts, last_error, log_id: Option<&str>| Acceptance {
        attempts,
        last_error,
        log_id: log_id.map(Into::into),
    };
    assert_eq!(accepted.len(), 3, "{accepted:?}");
    assert_eq!(told["at-once"], how(1, None, None));
    assert_eq!(told["busy"], how(3, Some(LastError::Status(503)), Some("20261126x")));
    assert_eq!(told["cut-off"], how(2, Some(LastError::Broken(Break::Reset)), None));
    assert_eq!(world.letters.len(), 1);
}

/// The platform never answers tt1, of which much is ready: what lies behind it is folded all the same.
#[test]
fn a_slow_app_with_much_owed_holds_up_neither_another_nor_a_dead_letter() {
    let scene = Scene { apps: vec!["tt1", "tt2"], ..Scene::default() };
    let (mut world, source) = World::with_partition(&scene);
    let mut events: Vec<_> = (0..20_000).map(|n| event("tt1", &format!("slow{n}"), 1)).collect();
    events.extend(["nope".to_owned(), event("tt2", "X", 1)]);
    world.produce(&source, &events);
    world.turn();
    world.answer_tokens();
    for _ in 0..100 {
        world.pass(Duration::from_millis(10));
        world.turn();
        world.finish_commit();
    }
    world.turn();
    let asked = world.asked.lock().unwrap();
    assert!(asked.attempts.iter().any(|attempt| attempt.app_id.as_str() == "tt2"), "within a second");
    assert_eq!(world.letters.len(), 1);
}

#[test]
fn a_refused_token_is_replaced_and_costs_no_budget() {
    let (mut world, source) = World::with_partition(&Scene::default());
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

/// The platform says for how long to leave it alone, longer than an order or a probe would wait by itself.
#[test]
fn a_retry_after_is_waited_by_an_order_and_by_a_probe() {
    let busy = |wait| Exchange::Answered(Answer { status: 503, retry_after: Some(wait), body: Vec::new() });
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.run(S, &mut |_| busy(30 * S));
    world.run(28 * S, &mut |_| ok());
    assert_eq!(world.sent.len(), 1);
    world.run(3 * S, &mut |_| ok());
    assert_eq!((world.sent.len(), world.owed_in_store()), (2, 0));

    world.produce(&source, &(0..30).map(|n| event("tt1", &format!("O{n}"), 1)).collect::<Vec<_>>());
    while world.app("tt1").circuit != "open" {
        world.run_with_latency(50 * MS, 50 * MS, &mut |_| answer(503, ""));
    }
    let before = world.sent.len();
    while world.sent.len() == before {
        world.run_with_latency(50 * MS, 50 * MS, &mut |_| busy(9 * S));
    }
    world.run_with_latency(8900 * MS, 50 * MS, &mut |_| ok());
    assert_eq!(world.sent.len(), before + 1, "the probe alone");
    world.run_with_latency(20 * S, 50 * MS, &mut |_| ok());
    assert_eq!((world.owed_in_store(), world.app("tt1").circuit), (0, "closed"));
}
