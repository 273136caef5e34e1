//! An app that waits for a person: wrong settings, a reject storm; and what a refused token is no evidence of.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use order_sync::douyin::token::{Fault, Refused};
use order_sync::douyin::verdict::{Exchange, Judgement, Verdict};
use order_sync::order::{AppId, DeadLetterReason};
use order_sync::sync::Ended;
use order_sync::sync::ports::{AttemptStart, Input, TokenFrom, TokenGeneration};

use super::evidence::order_of;
use super::world::{Scene, World, answer, event, ok};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

fn rejected() -> Exchange {
    answer(200, r#"{"err_code":40003,"err_msg":"openid","body":""}"#)
}

pub(super) fn refused() -> Exchange {
    answer(200, r#"{"err_code":40016,"err_msg":"appname"}"#)
}

fn orders(count: usize) -> Vec<String> {
    (0..count).map(|n| event("tt1", &format!("O{n}"), 1)).collect()
}

#[test]
fn a_suspended_app_is_probed_by_the_minute_and_slows_no_other() {
    let scene = Scene { apps: vec!["tt1", "tt2"], ..Scene::default() };
    let (mut world, source) = World::with_partition(&scene);
    let mut events = orders(50);
    events.push(event("tt2", "X", 1));
    world.produce(&source, &events);
    let mut probes = Vec::new();
    world.run_in_steps(300 * S, 500 * MS, &mut |attempt| {
        if attempt.app_id.as_str() == "tt2" {
            return ok();
        }
        probes.push(order_of(attempt));
        refused()
    });
    assert_eq!(world.stamps("X").len(), 1);
    assert!((50..=56).contains(&probes.len()), "those in flight, then one a minute: {}", probes.len());
    assert_eq!(probes.iter().collect::<HashSet<_>>().len(), 50, "those in flight");
    assert_eq!(probes[50..].iter().collect::<HashSet<_>>().len(), probes.len() - 50, "probes rotate");
    let status = world.app("tt1");
    assert_eq!(status.circuit, "suspended");
    assert_eq!(status.suspended.as_deref(), Some("rule app_name_wrong, code 40016"));
    assert!(world.meters.render().contains("order_sync_circuit_state{app_id=\"tt1\"} 3"));
    world.run(75 * S, &mut |_| ok());
    assert_eq!((world.owed_in_store(), world.letters.len()), (0, 0));
    assert_eq!((world.app("tt1").circuit, world.app("tt1").suspended), ("closed", None));
}

/// A quota is used up while 256 attempts are under way: some are refused, some accepted. The app is suspended once.
#[test]
fn answers_to_what_was_under_way_do_not_lift_a_suspension() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &orders(1000));
    for _ in 0..3 {
        world.turn();
        world.pass(S);
        world.finish_commit();
    }
    let mut turn = 0;
    world.run_with_latency(S, 100 * MS, &mut |_| {
        turn += 1;
        if turn % 2 == 1 { answer(200, r#"{"err_code":28003017,"err_msg":"quota"}"#) } else { ok() }
    });
    assert_eq!(world.app("tt1").circuit, "suspended");
    assert_eq!(world.sent.len(), 256, "nothing was started after the first refusal");
}

#[test]
fn a_reject_storm_suspends_the_app_before_the_dead_letter_topic_fills() {
    for at_once in [1, 256] {
        let (mut world, source) = World::with_partition(&Scene { max_in_flight: at_once, ..Scene::default() });
        world.produce(&source, &orders(600));
        world.run_with_latency(20 * S, 100 * MS, &mut |_| rejected());
        assert_eq!(world.letters.len(), 19, "the first nineteen are ordinary dead letters");
        assert!(world.letters.iter().all(|letter| letter.reason == DeadLetterReason::RejectedByPlatform));
        assert_eq!(world.owed_in_store(), 581);
        let status = world.app("tt1");
        assert_eq!(status.circuit, "suspended");
        assert!(status.suspended.unwrap().starts_with("20 orders in a row were rejected"));
        let mut probes: Vec<String> = Vec::new();
        world.run_in_steps(3600 * S, 500 * MS, &mut |attempt| {
            probes.push(order_of(attempt));
            rejected()
        });
        assert!((59..=61).contains(&probes.len()), "{}", probes.len());
        assert_eq!(probes.iter().collect::<HashSet<_>>().len(), probes.len(), "probes rotate");
        assert_eq!((world.letters.len(), world.owed_in_store()), (19, 581), "a rejected probe stays owed");
        world.run_with_latency(100 * S, 100 * MS, &mut |_| ok());
        if at_once > 1 {
            assert_eq!((world.letters.len(), world.owed_in_store()), (19, 0), "an acceptance ends it");
        }
        assert_eq!(world.app("tt1").circuit, "closed");
    }
}

/// A third of all orders is rejected, rightly: that is no storm.
#[test]
fn rejections_among_acceptances_are_ordinary_dead_letters() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &orders(600));
    world.run_with_latency(5 * S, 100 * MS, &mut |attempt| {
        if order_of(attempt)[1..].parse::<u32>().unwrap() % 3 == 0 { rejected() } else { ok() }
    });
    assert_eq!((world.letters.len(), world.owed_in_store(), world.app("tt1").circuit), (200, 0, "closed"));
}

/// No token for who asks; says whether somebody did.
fn refuse_tokens(world: &mut World, verdict: Verdict) -> bool {
    let asked = std::mem::take(&mut world.asked.lock().unwrap().fetches);
    for app_id in &asked {
        let rule = "token_secret_wrong".into();
        let judgement = Judgement { verdict, rule, err_code: Some(40017), retry_after: None };
        let refused = Refused { judgement, fault: Fault::Giver, message: "40017".to_owned() };
        world.handle(Input::TokenRefused { app_id: app_id.clone(), refused });
    }
    !asked.is_empty()
}

/// The token endpoint says that the secret is wrong; a person puts it right.
#[test]
fn a_bad_secret_suspends_until_a_token_comes() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &orders(3));
    let mut fetches = Vec::new();
    for second in 0..600 {
        world.turn();
        fetches.extend(refuse_tokens(&mut world, Verdict::Suspend).then_some(second));
        world.finish_commit();
        world.pass(S);
    }
    assert_eq!(fetches, (0..10).map(|minute| minute * 60).collect::<Vec<_>>());
    assert_eq!(world.app("tt1").suspended.as_deref(), Some("no token: rule token_secret_wrong, code 40017"));
    world.run(70 * S, &mut |_| ok());
    assert_eq!((world.owed_in_store(), world.app("tt1").circuit), (0, "closed"));
    assert!(world.letters.is_empty());
}

/// The hourly renewal fails for the secret: the token at hand is good for another hour.
#[test]
fn an_app_is_not_suspended_for_its_secret_while_it_has_a_good_token() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.run(S, &mut |_| ok());
    for (order, circuit, pushes) in [("A", "closed", 1), ("B", "suspended", 0)] {
        world.pass(3600 * S);
        world.turn();
        assert!(refuse_tokens(&mut world, Verdict::Suspend));
        world.produce(&source, &[event("tt1", order, 1)]);
        world.run(5 * S, &mut |_| ok());
        assert_eq!((world.app("tt1").circuit, world.stamps(order).len()), (circuit, pushes));
    }
}

#[test]
fn a_token_endpoint_that_is_away_is_asked_ever_more_rarely() {
    let (mut world, _) = World::with_partition(&Scene::default());
    let mut asked = Vec::new();
    for _ in 0..6000 {
        world.turn();
        asked.extend(refuse_tokens(&mut world, Verdict::Retry).then_some(world.now.mono));
        world.pass(100 * MS);
    }
    let waits: Vec<Duration> = asked.windows(2).map(|two| two[1].saturating_sub(two[0])).collect();
    assert!(waits[0] <= 2 * S && waits[8..].iter().all(|wait| *wait >= 4 * S), "{waits:?}");
}

/// Every token is refused. That is no outage; and it is a person's business once three in a row were.
#[test]
fn a_refused_token_is_no_evidence_of_an_outage() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &orders(300));
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..1200 {
        world.run_with_latency(250 * MS, 250 * MS, &mut |_| answer(200, r#"{"err_code":40002,"err_msg":"token"}"#));
        *seen.entry(world.app("tt1").circuit).or_default() += 1;
    }
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), ["closed", "suspended"]);
    assert!(world.letters.is_empty());
    world.run_with_latency(130 * S, 250 * MS, &mut |_| ok());
    assert_eq!((world.owed_in_store(), world.letters.len()), (0, 0));
}

/// The company's file or server comes to hold another token, after three were refused, or while a probe is under way with the
/// one before: it is tried at once. Where it is the same as before, that is no reason.
#[test]
fn another_token_of_the_companys_is_a_probe_at_once() {
    for (is_other, in_probe) in [(true, false), (true, true), (false, false)] {
        let (mut world, source) = World::with_partition(&Scene::default());
        world.produce(&source, &orders(300));
        let mut refusing = |_: &AttemptStart| answer(200, r#"{"err_code":40002,"err_msg":"token"}"#);
        world.run_with_latency(S, 250 * MS, &mut refusing);
        while world.app("tt1").circuit != "suspended" {
            world.run_with_latency(S, 250 * MS, &mut refusing);
        }
        while in_probe && world.asked.lock().unwrap().attempts.is_empty() {
            world.answer_tokens();
            world.pass(S);
            world.turn();
        }
        world.answer_tokens();
        let app_id = AppId::new("tt1");
        let next = world.tokens[&app_id] + 1;
        let (token, lifetime, from) = (TokenGeneration(next), 7_200 * S, TokenFrom::Company { is_other });
        world.handle(Input::TokenFetched { app_id: app_id.clone(), token, lifetime, from });
        assert_eq!(world.answer_attempts(&mut refusing), usize::from(in_probe));
        world.tokens.insert(app_id, next);
        world.run_with_latency(10 * S, 250 * MS, &mut |_| ok());
        assert_eq!(world.owed_in_store() == 0, is_other, "{in_probe}");
    }
}

/// One order is told that the token or the app's name is wrong, again and again; all others are accepted. It is that order's
/// own trouble: the app goes on with the token that it has, and the order is given up when its time has come.
#[test]
fn an_order_that_alone_is_told_of_token_or_settings_stops_nobody() {
    for code in [40002, 40016, 28_003_017] {
        for pause in [S / 4, 3 * S] {
            let (mut world, source) = World::with_partition(&Scene::default());
            let words = format!(r#"{{"err_code":{code},"err_msg":"you"}}"#);
            let mut platform =
                |attempt: &AttemptStart| if order_of(attempt) == "bad" { answer(200, &words) } else { ok() };
            let mut turn = 0;
            while world.letters.is_empty() {
                if turn == 1 {
                    world.produce(&source, &[event("tt1", "bad", 1)]);
                }
                let good = format!("good{turn}");
                world.produce(&source, &[event("tt1", &good, 1)]);
                world.run_with_latency(pause, S / 4, &mut platform);
                world.run_with_latency(S, S / 4, &mut platform);
                assert_eq!(world.stamps(&good).len(), 1, "{code}: {good} does not wait");
                turn += 1;
                assert!(world.now.mono < 1200 * S, "{code}: it is given up some day");
            }
            assert_eq!(world.letters[0].reason, DeadLetterReason::RetriesExhausted);
            assert!(world.now.mono > 800 * S, "{code}: after its time only");
            assert_eq!(world.tokens[&AppId::new("tt1")], 1, "{code}: nothing is fetched for it");
        }
    }
}

/// While the circuit is open the token is refused, too: the probe is made again with a new one, and nothing is spent.
#[test]
fn a_probe_whose_token_is_refused_is_made_again_with_another() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &orders(30));
    world.run_with_latency(40 * S, 50 * MS, &mut |_| answer(502, ""));
    assert_eq!((world.app("tt1").circuit, world.tokens[&AppId::new("tt1")]), ("open", 1));
    let mut refusals = 0;
    let mut platform = |_: &AttemptStart| {
        refusals += 1;
        if refusals == 1 { answer(200, r#"{"err_code":40002,"err_msg":"token"}"#) } else { ok() }
    };
    world.run_with_latency(25 * S, 50 * MS, &mut platform);
    assert_eq!(world.tokens[&AppId::new("tt1")], 2);
    assert_eq!((world.owed_in_store(), world.app("tt1").circuit), (0, "closed"));
}

/// One app is suspended for three days in which it takes in far more than may be owed; the other works all the time.
#[test]
fn an_app_suspended_for_days_costs_little_memory_and_slows_no_other() {
    let scene = Scene { apps: vec!["tt1", "tt2"], max_lanes: 50, max_owed: 100, ..Scene::default() };
    let (mut world, source) = World::with_partition(&scene);
    let mut states = 0;
    for hour in 0..72 {
        let mut events: Vec<String> =
            (0..60).map(|n| event("tt1", &format!("O{}", (hour * 37 + n * 11) % 1500), hour * 60 + n)).collect();
        states += events.len();
        events.push(event("tt2", &format!("X{hour}"), 1));
        world.produce(&source, &events);
        world.run_with_latency(3 * S, 250 * MS, &mut |attempt| {
            if attempt.app_id.as_str() == "tt2" { ok() } else { refused() }
        });
        assert_eq!(world.stamps(&format!("X{hour}")).len(), 1, "within three seconds");
        world.run_in_steps(3597 * S, 30 * S, &mut |_| refused());
        let app = world.app("tt1");
        assert!(app.circuit == "suspended" && app.lanes <= 50, "{} orders in memory", app.lanes);
        assert_eq!(app.owed, states);
    }
    assert_eq!(world.owed_in_store(), states);
    let before = world.sent.len();
    world.run_with_latency(100 * S, 50 * MS, &mut |_| ok());
    assert_eq!((world.owed_in_store(), world.letters.len(), world.app("tt1").circuit), (0, 0, "closed"));
    assert_eq!(world.sent.len() - before, states, "each state once");
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    for (_, request) in &world.sent[before..] {
        let request: serde_json::Value = serde_json::from_str(request).unwrap();
        let (order, stamp) = (request["order_id"].to_string(), request["update_time"].as_i64().unwrap());
        assert!(last.get(&order).is_none_or(|last| *last < stamp), "{request} after {last:?}");
        last.insert(order, stamp);
    }
}

#[test]
fn what_is_left_to_the_store_is_still_owed() {
    let (mut world, source) = World::with_partition(&Scene { max_lanes: 50, ..Scene::default() });
    world.produce(&source, &orders(300));
    world.run_with_latency(2 * S, 100 * MS, &mut |_| refused());
    assert!(world.app("tt1").lanes <= 50 && world.app("tt1").owed == 300, "{:?}", world.app("tt1"));
    world.handle(Input::Shutdown);
    world.turn();
    let Some(Ended::Stopped(left)) = &world.ended else { panic!("it goes on") };
    assert_eq!(left.owed, 300);
}

/// A broken shard: more orders fail for ever than an app may have in memory. The good ones find room all the same.
#[test]
fn orders_that_fail_take_no_room_from_the_others() {
    let (mut world, source) = World::with_partition(&Scene { max_lanes: 20, ..Scene::default() });
    let bad = |attempt: &AttemptStart| order_of(attempt).starts_with("bad");
    for second in 0..120 {
        let good = format!("good{second}");
        world.produce(&source, &[event("tt1", &format!("bad{second}"), 1), event("tt1", &good, 1)]);
        world.run_with_latency(S, 100 * MS, &mut |attempt| if bad(attempt) { answer(500, "") } else { ok() });
        assert_eq!(world.stamps(&good).len(), 1, "{good}");
    }
    assert_eq!(world.owed_in_store(), 120);
}

/// What waits for long holds no request in memory: it is read from the store again, where the test has written another.
#[test]
fn requests_of_a_suspended_app_and_of_a_long_wait_are_given_back_to_the_store() {
    let check = |platform: &mut dyn FnMut(&AttemptStart) -> Exchange, count: usize| {
        let (mut world, source) = World::with_partition(&Scene::default());
        world.produce(&source, &orders(count));
        world.run(15 * S, platform);
        world.produce(&source, &[event("tt1", "later", 1)]);
        world.run(15 * S, platform);
        for owed in world.store.0.lock().unwrap().get_mut(&source).unwrap().owed.values_mut() {
            owed.request = String::from_utf8_lossy(&owed.request).replace("paid", "from the store").into_bytes().into();
        }
        let before = world.sent.len();
        world.run_in_steps(120 * S, 500 * MS, &mut |_| ok());
        assert_eq!(world.owed_in_store(), 0);
        let again = &world.sent[before..];
        let held = again.iter().filter(|(_, request)| !request.contains("from the store"));
        assert_eq!((again.len(), held.count()), (count + 1, 0));
    };
    check(&mut |_| refused(), 20);
    check(&mut |_| answer(500, ""), 3);
}
