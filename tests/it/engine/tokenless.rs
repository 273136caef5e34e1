//! An outage in which an app has no token, so that no push can tell of it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use order_sync::douyin::OutcomeTable;
use order_sync::douyin::token::{Fault, Refused, TokenKind, judge_token};
use order_sync::douyin::verdict::{Exchange, Judgement, Verdict};
use order_sync::order::AppId;
use order_sync::sync::ports::{AttemptStart, Input};

use super::world::{Scene, World, answer, event, ok};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(100);

/// A platform that gives some apps no token, and the times at which it was asked for one in vain.
pub(super) struct Away {
    apps: Vec<&'static str>,
    pub(super) refused: Refused,
    asked: Vec<Duration>,
}

impl Away {
    pub(super) fn new(apps: &[&'static str]) -> Self {
        let rule = Arc::from("http_5xx");
        let judgement = Judgement { verdict: Verdict::Retry, rule, err_code: None, retry_after: None };
        let refused = Refused { judgement, fault: Fault::Giver, message: "no token: no answer".to_owned() };
        Self { apps: apps.to_vec(), refused, asked: Vec::new() }
    }

    pub(super) fn run(
        &mut self,
        world: &mut World,
        time: Duration,
        platform: &mut dyn FnMut(&AttemptStart) -> Exchange,
    ) {
        let end = world.now.mono + time;
        while world.now.mono < end {
            world.turn();
            let asked = std::mem::take(&mut world.asked.lock().unwrap().fetches);
            let (away, here): (Vec<AppId>, Vec<AppId>) =
                asked.into_iter().partition(|app_id| self.apps.contains(&app_id.as_str()));
            world.asked.lock().unwrap().fetches = here;
            world.answer_tokens();
            for app_id in away {
                self.asked.push(world.now.mono);
                world.handle(Input::TokenRefused { app_id, refused: self.refused.clone() });
            }
            world.pass(STEP);
            world.answer_attempts(platform);
            world.finish_commit();
        }
        world.turn();
    }

    fn pauses(&self) -> impl Iterator<Item = Duration> {
        self.asked.windows(2).map(|pair| pair[1].saturating_sub(pair[0]))
    }

    fn longest_pause(&self) -> Duration {
        self.pauses().max().unwrap_or_default()
    }
}

fn orders(app: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| event(app, &format!("{app}-{n}"), 1)).collect()
}

/// The most attempts under way at the end of each second, from the moment the platform is back.
fn starts_by_second(world: &mut World, seconds: usize) -> Vec<usize> {
    let mut most = Vec::new();
    for _ in 0..seconds {
        let mut at_once = 0;
        for _ in 0..10 {
            world.turn();
            world.answer_tokens();
            world.turn();
            at_once = at_once.max(world.asked.lock().unwrap().attempts.len());
            world.pass(STEP);
            world.answer_attempts(&mut |_| ok());
            world.finish_commit();
        }
        most.push(at_once);
    }
    most
}

/// A worker that starts in an outage: it says so as in any other, asks at the pace of probes, and its backlog leaves in a
/// ramp. Another app goes on.
#[test]
fn a_worker_that_starts_in_an_outage_waits_and_ramps_as_one_that_meets_it() {
    let (mut world, source) = World::with_partition(&Scene { apps: vec!["tt1", "tt2"], ..Scene::default() });
    world.produce(&source, &orders("tt1", 4000));
    world.produce(&source, &orders("tt2", 10));
    let mut away = Away::new(&["tt1"]);
    let mut seen: BTreeMap<&str, Duration> = BTreeMap::new();
    for _ in 0..600 {
        away.run(&mut world, S, &mut |_| ok());
        seen.entry(world.app("tt1").circuit).or_insert(world.now.mono);
    }
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), ["closed", "open"], "once, and for good");
    assert!(seen["open"] < 12 * S, "{:?}", seen["open"]);
    assert!(away.longest_pause() <= 10 * S + STEP, "{:?}", away.longest_pause());
    assert!(away.asked.len() < 130, "{}", away.asked.len());
    let status = world.app("tt1");
    assert_eq!((status.has_token, status.no_token.as_deref()), (false, Some("no token: no answer")));
    assert!(!status.token_is_ours && status.suspended.is_none());
    assert_eq!((world.app("tt2").circuit, world.sent.len(), world.owed_in_store()), ("closed", 10, 4000));

    let since = world.now.mono;
    while world.app("tt1").circuit == "open" {
        away.apps.clear();
        away.run(&mut world, STEP, &mut |_| ok());
    }
    assert!(world.now.mono.saturating_sub(since) <= 11 * S);
    let most = starts_by_second(&mut world, 15);
    assert!(most[0] <= 4 && most[2] <= 32 && most.iter().zip(&most[1..]).all(|(a, b)| *b <= a * 2 + 2), "{most:?}");
    assert!(world.letters.is_empty());
    assert_eq!((world.owed_in_store(), world.app("tt1").circuit), (0, "closed"));
}

/// The token runs out in an outage that pushes have told of: it stays one outage, and a push ends it.
#[test]
fn a_token_that_runs_out_in_an_outage_makes_it_no_longer() {
    let (mut world, source) = World::with_partition(&Scene::default());
    let mut away = Away::new(&[]);
    away.run(&mut world, S, &mut |_| ok());
    world.produce(&source, &orders("tt1", 300));
    away.apps.push("tt1");
    let down = |_: &AttemptStart| answer(503, "");
    away.run(&mut world, 60 * S, &mut { down });
    assert_eq!(world.app("tt1").circuit, "open");
    away.run(&mut world, 7130 * S, &mut { down });
    let pushed = world.sent.len();
    away.asked.clear();
    away.run(&mut world, 100 * S, &mut { down });
    let status = world.app("tt1");
    assert_eq!((status.circuit, status.has_token), ("open", false));
    assert!(status.no_token.is_some() && !status.token_is_ours);
    assert!(away.longest_pause() <= 10 * S + STEP && away.asked.len() > 9, "{:?}", away.asked);
    assert!(world.sent.len() <= pushed + 1, "nothing to push with");
    away.apps.clear();
    away.run(&mut world, 11 * S, &mut |_| ok());
    assert_ne!(world.app("tt1").circuit, "open");
    away.run(&mut world, 15 * S, &mut |_| ok());
    assert_eq!((world.owed_in_store(), world.letters.len(), world.app("tt1").circuit), (0, 0, "closed"));
}

/// A start in normal times takes a moment, and may meet a fault or two; a file that is missing is no outage.
#[test]
fn what_is_no_outage_opens_nothing() {
    for (failures, fault) in [(0, Fault::Giver), (3, Fault::Giver), (100, Fault::Ours)] {
        let (mut world, source) = World::with_partition(&Scene::default());
        world.produce(&source, &orders("tt1", 500));
        let mut away = Away::new(&["tt1"]);
        away.refused.fault = fault;
        while away.asked.len() < failures {
            away.run(&mut world, 50 * MS, &mut |_| ok());
            assert_eq!(world.app("tt1").circuit, "closed");
            assert_eq!(world.app("tt1").token_is_ours, fault == Fault::Ours && world.app("tt1").no_token.is_some());
        }
        assert!(away.longest_pause() <= 10 * S + STEP, "{:?}", away.longest_pause());
        away.apps.clear();
        away.run(&mut world, 12 * S, &mut |_| ok());
        assert_eq!((world.owed_in_store(), world.app("tt1").circuit), (0, "closed"));
    }
}

/// Somebody fetches tokens by the hundred, and the platform asks the app to leave its endpoint alone. Pushes go on with the
/// token at hand; without one, there is nothing to push with, and orders wait as in any outage.
#[test]
fn too_many_fetches_stop_no_push_while_a_token_is_at_hand() {
    let (mut world, source) = World::with_partition(&Scene::default());
    let mut away = Away::new(&[]);
    away.run(&mut world, S, &mut |_| ok());
    let body = r#"{"data":{"description":"","error_code":10020},"message":"error"}"#;
    let judged = judge_token(TokenKind::ClientToken, &answer(200, body), &OutcomeTable::built_in().unwrap());
    (away.apps, away.refused) = (vec!["tt1"], judged.unwrap_err());
    for minute in 1..119 {
        world.produce(&source, &[event("tt1", &format!("{minute}"), 1)]);
        away.run(&mut world, 60 * S, &mut |_| ok());
        assert_eq!((world.app("tt1").circuit, world.sent.len(), world.owed_in_store()), ("closed", minute, 0));
    }
    assert!(away.asked.len() > 9 && away.pauses().all(|pause| pause >= 300 * S), "{:?}", away.asked);

    away.run(&mut world, 120 * S, &mut |_| ok());
    let pushed = world.sent.len();
    world.produce(&source, &orders("tt1", 100));
    away.run(&mut world, 1200 * S, &mut |_| ok());
    assert_eq!((world.sent.len(), world.owed_in_store(), world.letters.len()), (pushed, 100, 0));
    let status = world.app("tt1");
    assert_eq!((status.circuit, status.suspended), ("open", None), "{:?}", status.no_token);
    assert!(status.no_token.is_some_and(|why| why.contains("10020")) && !status.token_is_ours);
    away.apps.clear();
    away.run(&mut world, 320 * S, &mut |_| ok());
    assert_eq!((world.owed_in_store(), world.letters.len(), world.app("tt1").circuit), (0, 0, "closed"));
}

/// All that was under way is refused with the token; behind that a few try the young one again, and each new one, until one is
/// accepted. Why nothing else is sent is said meanwhile.
#[test]
fn behind_a_refused_token_a_few_orders_try_it_and_not_all() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &orders("tt1", 1000));
    let refused = Cell::new(0);
    let mut refuse = |_: &_| {
        refused.set(refused.get() + 1);
        answer(200, r#"{"err_code":40014,"err_msg":"access_token"}"#)
    };
    world.run_with_latency(2 * S, 50 * MS, &mut refuse);
    let under_way = refused.get();
    assert!(under_way > 20, "else a few are all: {under_way}");
    let status = world.app("tt1");
    let why = status.no_token.unwrap_or_default();
    assert!(why.starts_with("the platform refuses the one at hand; it is young, and is tried again in "), "{why}");
    assert_eq!((status.circuit, status.has_token, status.token_is_ours), ("closed", false, false));
    world.run_with_latency(70 * S, 50 * MS, &mut refuse);
    assert_eq!(world.tokens.values().sum::<u64>(), 2, "the young one was tried again, and replaced");
    let behind = refused.get() - under_way;
    assert!((2..=4 * 2).contains(&behind), "{behind}");
    world.run_with_latency(70 * S, 50 * MS, &mut |_| ok());
    assert_eq!((world.owed_in_store(), world.letters.len(), world.app("tt1").no_token), (0, 0, None));
}
