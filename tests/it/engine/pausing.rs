//! Commands about an app, and what comes of commands when their partition leaves or the worker is to end.

use std::time::Duration;

use order_sync::order::AppId;
use order_sync::record::{NextOffset, TopicPartition};
use order_sync::sync::command::{Action, Outcome};
use order_sync::sync::command_ports::CommandNews;
use order_sync::sync::engine::Ended;
use order_sync::sync::ports::{AttemptStart, Epoch, Input};
use order_sync::sync::rules::End;

use super::commands_site::{S, Site, T, pause, reject, resume, resync, scene, source};
use super::fakes::FakeStore;
use super::world::{Scene, answer, event, ok};

#[test]
fn a_paused_app_starts_nothing_and_stays_paused_over_restarts() {
    let mut site = Site::new();
    site.produce(&[event("tt1", "A", 1)]);
    site.world.until_started();
    assert_eq!(site.world.asked.lock().unwrap().attempts.len(), 1, "A is in flight");
    site.give("p1", pause());
    site.produce(&[event("tt1", "B", 1), event("tt1", "A", 2)]);
    // The attempt under way is answered: A fails, and waits like everybody.
    site.world.run(S, &mut |_| answer(503, ""));
    assert_eq!((site.outcome("p1"), site.world.sent.len(), site.world.owed_in_store()), (Outcome::Done, 1, 3));
    assert_eq!((site.world.status().in_flight, site.world.app("tt1").paused, site.world.app("tt1").owed), (0, 1, 3));
    let text = site.world.meters.render();
    assert!(text.contains(r#"order_sync_app_paused_partitions{app_id="tt1"} 1"#), "{text}");
    let mut site = site.restart();
    site.world.run(Duration::from_secs(120), &mut |_| ok());
    assert_eq!((site.world.sent.len(), site.world.app("tt1").lanes, site.world.app("tt1").owed), (0, 0, 3));
    site.give("u1", resume());
    site.run(&mut |_| ok());
    assert_eq!(
        (site.outcome("u1"), site.world.stamps("A"), site.world.stamps("B")),
        (Outcome::Done, vec![T + 1, T + 2], vec![T + 1])
    );
    assert!(site.position().paused_apps.is_empty());
    site.give("p2", Action::Pause { app_id: AppId::new("other") });
    site.run(&mut |_| ok());
    assert_eq!(site.outcome("p2"), Outcome::Refused);
}

#[test]
fn an_app_paused_in_one_partition_runs_in_the_other() {
    let mut site = Site::over(FakeStore::default(), &Scene { max_lanes: 2, ..scene() });
    site.give("p1", pause());
    site.run(&mut |_| ok());
    site.produce(&(0..20).map(|n| event("tt1", &format!("P{n}"), 1)).collect::<Vec<_>>());
    let other = TopicPartition::new("orders", 1);
    site.world.assign(&other, 0);
    site.world.handle(Input::Restored { epoch: Epoch(2), source: other.clone(), result: Ok(()) });
    site.world.started(&other, 0);
    let orders: Vec<String> = (0..20).map(|n| event("tt1", &format!("R{n}"), 1)).collect();
    site.world.produce(&other, &orders);
    site.world.run(5 * S, &mut |_| ok());
    assert_eq!(site.world.sent.len(), 20, "those that rest stand in nobody's way");
    assert!(site.world.sent.iter().all(|(_, body)| body.contains("\"R")));
    assert_eq!(site.world.owed_in_store(), 20);
}

#[test]
fn accepted_rejections_are_no_storm() {
    let mut site = Site::new();
    site.give("a1", Action::AcceptRejections { app_id: AppId::new("tt1"), code: 40003 });
    site.produce(&(0..40).map(|n| event("tt1", &format!("A{n}"), 1)).collect::<Vec<_>>());
    site.world.run(5 * S, &mut reject);
    assert_eq!(
        (site.outcome("a1"), site.world.letters.len(), site.world.app("tt1").suspended.clone()),
        (Outcome::Done, 40, None)
    );
    let mut site = site.restart();
    site.log = (0..40).map(|n| event("tt1", &format!("A{n}"), 1)).collect();
    site.produce(&(40..80).map(|n| event("tt1", &format!("A{n}"), 1)).collect::<Vec<_>>());
    site.world.run(5 * S, &mut reject);
    assert_eq!((site.world.letters.len(), site.world.status().apps[0].suspended.clone()), (40, None), "remembered");
}

/// The code was accepted in a partition that has left; the other one knows nothing of it.
#[test]
fn accepted_rejections_leave_with_their_partition() {
    let mut site = Site::new();
    site.give("a1", Action::AcceptRejections { app_id: AppId::new("tt1"), code: 40003 });
    site.run(&mut reject);
    let other = TopicPartition::new("orders", 1);
    site.world.assign(&other, 0);
    site.world.handle(Input::Restored { epoch: Epoch(2), source: other.clone(), result: Ok(()) });
    site.world.started(&other, 0);
    let orders = |from: usize| (from..from + 40).map(|n| event("tt1", &format!("A{n}"), 1)).collect::<Vec<_>>();
    site.world.produce(&other, &orders(0));
    site.world.run(5 * S, &mut reject);
    assert_eq!(
        (site.world.letters.len(), site.world.app("tt1").circuit),
        (40, "closed"),
        "said by one, good for the app"
    );
    let _released = site.world.revoke(&source());
    site.world.produce(&other, &orders(40));
    site.world.run(5 * S, &mut reject);
    assert_eq!((site.world.letters.len(), site.world.app("tt1").circuit), (59, "suspended"));
}

#[test]
fn what_comes_for_an_assignment_that_is_over_gives_its_budget_back() {
    let mut site = Site::new();
    site.give("s1", resync("A"));
    let _released = site.world.revoke(&source());
    let waited = site.world.asked.lock().unwrap().refilled;
    assert!(waited > 0, "what waited is given back, too");
    site.give("s2", resync("A"));
    assert_eq!(site.world.asked.lock().unwrap().refilled, 2 * waited);
    site.run(&mut |_| ok());
    assert!(site.world.asked.lock().unwrap().followed.is_empty() && site.done("s1").is_none());
}

#[test]
fn a_catch_up_goes_on_to_the_end_of_the_commands_and_does_not_wait_for_a_paused_app() {
    let mut site = Site::over(FakeStore::default(), &Scene { end: End::WhenCaughtUp, ..scene() });
    site.run(&mut |_| ok());
    assert!(site.world.ended.is_none(), "nobody knows yet where the commands end");
    site.tell(CommandNews::Followed(NextOffset::new(3)));
    site.produce(&[event("tt1", "A", 1)]);
    site.give("p1", pause());
    site.give("s1", resync("A"));
    site.run(&mut |_| ok());
    assert!(site.world.ended.is_none(), "one more is to come");
    site.tell(CommandNews::ReadTo(NextOffset::new(3)));
    site.run(&mut |_| ok());
    assert!(matches!(site.world.ended, Some(Ended::CaughtUp(_))), "{:?}", site.world.ended);
    assert!(site.done("s1").is_some());
}

/// What is left out of the sum of what is owed is not taken off it a second time.
#[test]
fn an_app_that_is_paused_while_it_is_suspended_loosens_no_bound_of_another() {
    for is_paused in [false, true] {
        let scene = Scene { apps: vec!["tt1", "tt2"], max_owed: 50, ..scene() };
        let mut site = Site::over(FakeStore::default(), &scene);
        let platform = &mut |attempt: &AttemptStart| match attempt.app_id.as_str() {
            "tt2" => answer(200, r#"{"err_code":40016,"err_msg":"appname"}"#),
            _ => answer(503, ""),
        };
        for batch in 0..10 {
            site.produce(&(0..40).map(|n| event("tt2", &format!("S{batch}-{n}"), 1)).collect::<Vec<_>>());
            site.world.run(5 * S, platform);
        }
        assert_eq!((site.world.app("tt2").circuit, site.world.app("tt2").owed), ("suspended", 400));
        if is_paused {
            site.give("p1", Action::Pause { app_id: AppId::new("tt2") });
            site.world.run(S, platform);
        }
        for batch in 0..10 {
            site.produce(&(0..20).map(|n| event("tt1", &format!("A{batch}-{n}"), 1)).collect::<Vec<_>>());
            site.world.run(5 * S, platform);
        }
        assert!(site.world.status().intake_held, "tt1 owes {}", site.world.app("tt1").owed);
    }
}
