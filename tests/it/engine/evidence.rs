//! Failure is judged by evidence: outages, partial ones and poison orders, case by case, in virtual time.

use std::collections::HashSet;
use std::time::Duration;

use order_sync::douyin::verdict::{Break, Exchange};
use order_sync::order::DeadLetterReason;
use order_sync::sync::ports::AttemptStart;

use super::world::{Scene, World, answer, event, ok};

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

fn away() -> Exchange {
    Exchange::Broken(Break::Connect)
}

/// The order of an attempt.
pub fn order_of(attempt: &AttemptStart) -> String {
    let request: serde_json::Value = serde_json::from_slice(&attempt.request).unwrap();
    request["order_id"].as_str().unwrap().to_owned()
}

fn orders(names: std::ops::Range<usize>) -> Vec<String> {
    names.map(|n| event("tt1", &format!("O{n}"), 1)).collect()
}

/// A world whose app has just been found away: `count` orders are owed.
fn world_in_outage(count: usize) -> World {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &orders(0..count));
    world.run_with_latency(40 * S, 50 * MS, &mut |_| away());
    assert_eq!(world.app("tt1").circuit, "open");
    world
}

#[test]
fn an_open_circuit_probes_in_rotation_and_dead_letters_nothing() {
    let mut world = world_in_outage(30);
    assert!(world.meters.render().contains("order_sync_circuit_state{app_id=\"tt1\"} 2"));
    let mut probes: Vec<(String, Duration)> = Vec::new();
    let since = world.now.mono;
    while world.now.mono < since + 3600 * S {
        let now = world.now.mono;
        world.run_with_latency(50 * MS, 50 * MS, &mut |attempt| {
            probes.push((order_of(attempt), now));
            away()
        });
        assert_eq!(world.app("tt1").circuit, "open");
    }
    assert!((360..=720).contains(&probes.len()), "about one in seven seconds and a half: {}", probes.len());
    assert!(probes.windows(2).all(|pair| pair[1].1 >= pair[0].1 + 450 * MS), "one at a time");
    for round in probes.windows(30) {
        let distinct: HashSet<&String> = round.iter().map(|(order, _)| order).collect();
        assert_eq!(distinct.len(), 30, "none twice while another waits");
    }
    world.run_with_latency(30 * S, 50 * MS, &mut |_| ok());
    assert_eq!((world.app("tt1").circuit, world.owed_in_store(), world.letters.len()), ("closed", 0, 0));
    assert!(world.meters.render().contains("order_sync_circuit_state{app_id=\"tt1\"} 0"));
}

/// Twelve orders fail for long beside good ones, so that their own waits have grown; then the whole platform is away. They
/// do not sit out their waits while others probe twice.
#[test]
fn an_order_in_a_long_wait_of_its_own_probes_in_its_turn() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &(0..12).map(|n| event("tt1", &format!("bad{n}"), 1)).collect::<Vec<_>>());
    for second in 0..400 {
        world.produce(&source, &orders(second..second + 1));
        world.run_with_latency(S, 250 * MS, &mut |attempt| {
            if order_of(attempt).starts_with("bad") { away() } else { ok() }
        });
    }
    while world.app("tt1").circuit != "open" {
        world.run_with_latency(50 * MS, 50 * MS, &mut |_| away());
    }
    let mut probes = Vec::new();
    world.run_with_latency(110 * S, 50 * MS, &mut |attempt| {
        probes.push(order_of(attempt));
        away()
    });
    assert_eq!(probes[..12].iter().collect::<HashSet<_>>().len(), 12, "{probes:?}");
}

/// One order, a handful and a crowd; two hours without a single answer; nothing is given up.
#[test]
fn an_outage_dead_letters_nothing() {
    for (count, circuit) in [(1, "closed"), (4, "closed"), (5, "open"), (400, "open")] {
        let (mut world, source) = World::with_partition(&Scene { give_up_after: 300 * S, ..Scene::default() });
        world.produce(&source, &[event("tt1", "first", 1)]);
        world.run(S, &mut |_| ok());
        world.produce(&source, &orders(0..count));
        let codes = [away(), answer(503, ""), answer(200, r#"{"err_code":-1}"#), Exchange::Broken(Break::Timeout)];
        let mut turn = 0;
        world.run_in_steps(7200 * S, 250 * MS, &mut |_| {
            turn += 1;
            codes[turn % codes.len()].clone()
        });
        assert_eq!((world.app("tt1").circuit, world.letters.len()), (circuit, 0), "{count} orders");
        world.run_in_steps(120 * S, 250 * MS, &mut |_| ok());
        assert_eq!((world.owed_in_store(), world.letters.len()), (0, 0), "{count} orders");
    }
}

/// Ten minutes of failing beside accepted orders, a night's outage, four minutes more: not yet fifteen.
#[test]
fn an_outage_spends_none_of_an_orders_time() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "bad", 1)]);
    let mut fresh = 0;
    let mut minutes = |world: &mut World, minutes: usize, good: &dyn Fn() -> Exchange| {
        for _ in 0..minutes {
            for _ in 0..3 {
                fresh += 1;
                world.produce(&source, &[event("tt1", &format!("good{fresh}"), 1)]);
                world.run_in_steps(20 * S, 250 * MS, &mut |attempt| {
                    if order_of(attempt) == "bad" { away() } else { good() }
                });
            }
        }
    };
    minutes(&mut world, 10, &ok);
    minutes(&mut world, 480, &away);
    assert_eq!(world.app("tt1").circuit, "open");
    minutes(&mut world, 4, &ok);
    assert_eq!(world.letters.len(), 0);
    minutes(&mut world, 4, &ok);
    assert_eq!(world.letters.len(), 1);
    assert_eq!(world.letters[0].reason, DeadLetterReason::RetriesExhausted);
    assert_eq!(world.owed_in_store(), 0);
}

/// The platform is back after an outage in which 20,000 orders have piled up. It takes 50 ms for an answer.
#[test]
fn the_backlog_leaves_in_a_ramp_and_not_in_a_stampede() {
    let mut world = world_in_outage(20_000);
    let (mut in_second, mut most, mut first) = (Vec::new(), 0, None);
    let mut up = Duration::ZERO;
    while world.owed_in_store() > 0 {
        let before = world.sent.len();
        world.run_with_latency(50 * MS, 50 * MS, &mut |_| ok());
        let answered = world.sent.len() - before;
        up += 50 * MS;
        if answered > 0 && first.is_none() {
            first = Some(up);
        }
        if let Some(first) = first {
            let second = usize::try_from(up.saturating_sub(first).as_millis() / 1000).unwrap();
            in_second.resize(second + 1, 0);
            in_second[second] = answered.max(in_second[second]);
            most = most.max(answered);
        }
        assert!(up < 60 * S, "{} left", world.owed_in_store());
    }
    for (second, at_once) in in_second.iter().enumerate() {
        assert!(*at_once <= 2 << (second + 1), "{at_once} at once in second {second}: {in_second:?}");
    }
    assert_eq!(most, 256, "in the end as fast as the limits allow");
    // 20,000 at 256 in 50 ms take 4 s; the probe may come 10 s late; eight doublings take a second each.
    assert!(up <= 10 * S + 8 * S + 4 * S, "{up:?}");
    assert!(world.letters.is_empty());
}

/// One attempt in five fails by chance, on a busy app and on one with a few orders now and then.
#[test]
fn twenty_percent_random_faults_never_open_the_circuit() {
    for (batch, every, seed) in [(100, S, 1), (6, 120 * S, 2), (1, 45 * S, 3), (40, 31 * S, 4)] {
        let (mut world, source) = World::with_partition(&Scene::default());
        let mut rng = fastrand::Rng::with_seed(seed);
        let faults = [away(), answer(500, ""), answer(200, r#"{"err_code":-1}"#), Exchange::Broken(Break::Timeout)];
        let (mut made, mut next) = (0, Duration::ZERO);
        let end = if batch == 100 { 120 * S } else { 7200 * S };
        while world.now.mono < end {
            if world.now.mono >= next {
                world.produce(&source, &orders(made..made + batch));
                (made, next) = (made + batch, next + every);
            }
            world.run_with_latency(250 * MS, 250 * MS, &mut |_| {
                if rng.u8(..5) == 0 { faults[rng.usize(..4)].clone() } else { ok() }
            });
            assert_eq!(world.app("tt1").circuit, "closed", "{batch} orders every {every:?}");
        }
        world.run_in_steps(120 * S, S, &mut |_| ok());
        assert_eq!((world.letters.len(), world.owed_in_store()), (0, 0));
    }
}

/// A part of the platform is away: every tenth order fails for an hour.
#[test]
fn a_partial_outage_dead_letters_nothing() {
    for per_second in [1, 8] {
        let (mut world, source) = World::with_partition(&Scene::default());
        for second in 0..3600 {
            world.produce(&source, &orders(second * per_second..(second + 1) * per_second));
            world.run_with_latency(S, 200 * MS, &mut |attempt| {
                if order_of(attempt).ends_with('7') { answer(200, r#"{"err_code":-1}"#) } else { ok() }
            });
            assert_eq!(world.app("tt1").circuit, "closed");
        }
        assert_eq!(world.owed_in_store(), 360 * per_second);
        world.run_with_latency(120 * S, 200 * MS, &mut |_| ok());
        assert_eq!((world.letters.len(), world.owed_in_store()), (0, 0), "{per_second} orders a second");
    }
}

/// The same to a worker that has a share of the group, with too few orders for the group's own measure: fifteen of 150 where
/// it has one of two partitions, eight of 80 where it has one of eight, most of them of topics that it reads nothing of. And
/// where they are no more than may fail for good: fifteen of a group's 150, three of a worker's 30.
#[test]
fn a_tenth_of_a_workers_share_is_a_partial_outage() {
    for (partitions_of_group, of) in [(2, 150), (8, 80), (1, 150), (8, 30)] {
        let (mut world, source) = World::with_share(&Scene::default(), partitions_of_group);
        for second in 0..1800 {
            let turn = (0..10).map(|n| (second * 10 + n) % of);
            world.produce(&source, &turn.map(|n| event("tt1", &format!("o{n}"), second)).collect::<Vec<_>>());
            world.run_with_latency(S, 200 * MS, &mut |attempt| {
                if order_of(attempt).ends_with('7') { answer(200, r#"{"err_code":-1}"#) } else { ok() }
            });
        }
        world.run_with_latency(400 * S, 200 * MS, &mut |_| ok());
        assert_eq!((world.letters.len(), world.owed_in_store()), (0, 0), "one of {partitions_of_group} partitions");
    }
}

/// Ten poison orders beside a healthy flow in which one attempt in five fails by chance: they, and they alone, are
/// given up when their time has come.
#[test]
fn poison_orders_are_given_up_beside_chance_faults() {
    let (mut world, source) = World::with_partition(&Scene::default());
    let mut rng = fastrand::Rng::with_seed(5);
    world.produce(&source, &(0..10).map(|n| event("tt1", &format!("bad{n}"), 1)).collect::<Vec<_>>());
    for second in 0..1100 {
        world.produce(&source, &orders(second * 10..(second + 1) * 10));
        world.run_with_latency(S, 200 * MS, &mut |attempt| {
            if order_of(attempt).starts_with("bad") || rng.u8(..5) == 0 { answer(500, "") } else { ok() }
        });
        assert!(second > 850 || world.letters.is_empty(), "{second}");
    }
    let given_up: HashSet<_> = world.letters.iter().map(|letter| letter.order_id.clone().unwrap()).collect();
    assert_eq!(given_up, (0..10).map(|n| format!("bad{n}")).collect());
    assert_eq!(world.letters.len(), 10);
}

/// After an outage eight orders go on failing for ever. They are the first to probe, and hold nobody up.
#[test]
fn poison_orders_as_probes_never_keep_the_circuit_open() {
    let (mut world, source) = World::with_partition(&Scene::default());
    let is_poison = |attempt: &AttemptStart| order_of(attempt).len() == 2 && !order_of(attempt).ends_with(['8', '9']);
    world.produce(&source, &orders(0..8));
    world.run_with_latency(40 * S, 50 * MS, &mut |_| away());
    for second in 0..600 {
        world.produce(&source, &orders(10 + second..11 + second));
        world.run_with_latency(S, 50 * MS, &mut |attempt| if is_poison(attempt) { answer(500, "") } else { ok() });
        let circuit = world.app("tt1").circuit;
        assert!(circuit != "open" || second <= 10, "{circuit} in second {second}");
        assert!(circuit == "closed" || second <= 20, "{circuit} in second {second}");
    }
    assert_eq!((world.owed_in_store(), world.letters.len()), (8, 0));
}

/// Two hundred orders go on failing after the outage; five thousand good ones have piled up behind them.
#[test]
fn orders_that_failed_in_the_outage_do_not_hold_up_the_ramp() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "first", 1)]);
    world.run_with_latency(S, 50 * MS, &mut |_| ok());
    world.produce(&source, &orders(0..200));
    world.run_with_latency(40 * S, 50 * MS, &mut |_| away());
    assert_eq!(world.app("tt1").circuit, "open");
    world.produce(&source, &(0..5000).map(|n| event("tt1", &format!("good{n}"), 1)).collect::<Vec<_>>());
    let mut half_open = 0;
    for second in 0..22 {
        world.run_with_latency(S, 50 * MS, &mut |attempt| {
            if order_of(attempt).starts_with("good") { ok() } else { away() }
        });
        let circuit = world.app("tt1").circuit;
        half_open += usize::from(circuit == "half-open");
        assert!(circuit != "open" || second <= 12, "{circuit} in second {second}");
    }
    assert!(half_open <= 8, "the ramp took {half_open} s");
    assert_eq!((world.owed_in_store(), world.app("tt1").circuit), (200, "closed"));
}

/// Eight poison orders are all that a quiet app has; the circuit cannot know better than to open. A good one that comes
/// is the next to probe.
#[test]
fn a_good_order_is_the_next_probe_of_a_circuit_that_poison_orders_opened() {
    let mut world = world_in_outage(8);
    let source = order_sync::record::TopicPartition::new("orders", 0);
    world.run_with_latency(600 * S, 250 * MS, &mut |_| away());
    for good in 0..5 {
        let order = format!("good{good}");
        world.produce(&source, &[event("tt1", &order, 1)]);
        world.run_with_latency(11 * S, 50 * MS, &mut |attempt| {
            if order_of(attempt).starts_with("good") { ok() } else { away() }
        });
        assert_eq!(world.stamps(&order).len(), 1, "{order}");
    }
    assert_eq!(world.owed_in_store(), 8);
}

/// One app's platform hangs: every attempt takes its whole time-out. The other app's orders are pushed at once.
/// Platforms of these apps hang; another app's pushes are made within their second.
fn check_hanging(apps: &[&'static str]) {
    let all = [apps, &["other"]].concat();
    let (mut world, source) = World::with_partition(&Scene { apps: all, ..Scene::default() });
    for app in apps {
        world.produce(&source, &(0..1000).map(|n| event(app, &format!("O{n}"), 1)).collect::<Vec<_>>());
    }
    for second in 0..300 {
        let order = format!("X{second}");
        world.produce(&source, &[event("other", &order, 1)]);
        world.turn();
        world.answer_tokens();
        let mut hanging = Vec::new();
        for _ in 0..4 {
            world.pass(250 * MS);
            world.turn();
            world.finish_commit();
            world.turn();
            let mut asked = world.asked.lock().unwrap();
            let (other, hang): (Vec<_>, Vec<_>) = asked.attempts.drain(..).partition(|a| a.app_id.as_str() == "other");
            hanging.extend(hang);
            asked.attempts.extend(other);
            drop(asked);
            world.answer_attempts(&mut |_| ok());
        }
        assert_eq!(world.stamps(&order).len(), 1, "{order} within its second");
        // Every fifth second the time-outs are over; until then the attempts stay under way.
        world.asked.lock().unwrap().attempts.extend(hanging);
        if second % 5 == 4 {
            world.answer_attempts(&mut |_| Exchange::Broken(Break::Timeout));
        }
    }
    assert!(apps.iter().all(|app| world.app(app).circuit == "open"));
    assert_eq!(world.app("other").circuit, "closed");
}

#[test]
fn an_outage_of_one_app_slows_no_other() {
    check_hanging(&["tt1"]);
}

#[test]
fn an_outage_of_all_apps_but_one_slows_it_not() {
    check_hanging(&["tt1", "tt2"]);
    check_hanging(&["tt1", "tt2", "tt3", "tt4"]);
}
