//! Partitions that are given back: the last commit, and what is still under way when they come again or do not.

use std::time::Duration;

use order_sync::sync::ports::{Input, PortError, TokenGeneration};

use super::world::{Scene, World, answer, event, ok};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

/// As an eager rebalance does: the partition is taken, and comes back at once, beside an attempt that is under way.
#[test]
fn an_order_whose_attempt_is_still_under_way_waits_for_it_when_its_partition_comes_back() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "A", 1), event("tt1", "A", 2), event("tt1", "B", 1)]);
    world.until_started();
    let attempts = std::mem::take(&mut world.asked.lock().unwrap().attempts);
    let (slow, others): (Vec<_>, Vec<_>) =
        attempts.into_iter().partition(|a| String::from_utf8_lossy(&a.request).contains("\"A\""));
    let [slow] = <[_; 1]>::try_from(slow).unwrap();
    world.asked.lock().unwrap().attempts.extend(others);
    let released = world.revoke(&source);
    world.run(S, &mut |_| ok());
    assert!(released.try_recv().is_ok());
    assert!(world.stamps("A").is_empty(), "the answer was not waited for");
    world.assign(&source, 3);
    world.produce(&source, &[event("tt1", "C", 1)]);
    world.run(S, &mut |_| ok());
    assert!(world.stamps("A").is_empty(), "two pushes of one order at once");
    assert_eq!(world.stamps("C").len(), 1, "another order waits for nothing");
    let (ticket, latency) = (slow.ticket, 2 * S);
    world.handle(Input::Attempted { ticket, token: TokenGeneration(1), exchange: ok(), latency });
    world.run(S, &mut |_| ok());
    let stamps = world.stamps("A");
    assert!(stamps.len() == 2 && stamps[0] < stamps[1], "{stamps:?}");
    assert_eq!((world.engine.in_flight(), world.owed_in_store()), (0, 0));
}

/// The worker owes nothing of the app any more, and so cannot probe: another worker does, and this one is not unready for ever.
#[test]
fn an_app_that_waits_as_a_whole_does_so_no_longer_where_its_orders_have_left() {
    let refusals = [(answer(200, r#"{"err_code":40016,"err_msg":"appname"}"#), "suspended"), (answer(503, ""), "open")];
    for (refusal, word) in refusals {
        let (mut world, source) = World::with_partition(&Scene::default());
        world.produce(&source, &(0..50).map(|n| event("tt1", &format!("O{n}"), 1)).collect::<Vec<_>>());
        world.run_in_steps(90 * S, 50 * MS, &mut |_| refusal.clone());
        assert_eq!(world.app("tt1").circuit, word);
        let released = world.revoke(&source);
        world.run_in_steps(S, 50 * MS, &mut |_| refusal.clone());
        assert!(released.try_recv().is_ok());
        world.run_in_steps(120 * S, 50 * MS, &mut |_| refusal.clone());
        assert_eq!((world.app("tt1").circuit, world.app("tt1").suspended), ("closed", None), "{word}");
    }
}

/// Commits have failed for a while, so that the next is ten seconds off, when the group takes the partition or the worker is told
/// to end.
#[test]
fn the_last_commit_waits_out_no_earlier_failure() {
    for ends in [false, true] {
        let (mut world, source) = World::with_partition(&Scene::default());
        world.produce(&source, &[event("tt1", "A", 1)]);
        let mut failures = 0;
        while failures < 8 {
            failures += usize::from(commit_fails(&mut world));
            world.pass(10 * MS);
        }
        let released = (!ends).then(|| world.revoke(&source));
        if ends {
            world.handle(Input::Shutdown);
        }
        assert!(commit_fails(&mut world), "at once");
        let began = world.now.mono;
        while !commit_fails(&mut world) {
            world.pass(10 * MS);
        }
        let waited = world.now.mono.saturating_sub(began);
        assert!((S..2 * S).contains(&waited), "then by the second: {waited:?}");
        world.run(2 * S, &mut |_| ok());
        assert_eq!(world.position_in_store(&source), Some(1));
        assert!(released.is_none_or(|released| released.try_recv().is_ok()));
    }
}

/// Lets the engine take its turn; whether it has begun a commit, which fails.
fn commit_fails(world: &mut World) -> bool {
    world.turn();
    world.answer_tokens();
    let begun = world.asked.lock().unwrap().cuts.pop_front().is_some();
    if begun {
        world.handle(Input::Committed(Err(PortError::Passing("no broker".to_owned()))));
    }
    begun
}
