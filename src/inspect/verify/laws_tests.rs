//! What holds for every log: a healthy one is accounted for, and damage is found wherever it can be.

use super::fakes::{FakeLog, FakeWorker, Statuses, rules};
use super::outcome::Reason;
use super::partition::{Asked, verify_within};
use super::rules::{Start, VerifyRules};
use super::spread::Spread;
use super::tally::Report;
use crate::order::OrderState;
use crate::record::TopicPartition;

pub(super) fn asked(range: (i64, i64)) -> Asked {
    Asked {
        source: TopicPartition::new("orders", 0),
        partitions_of_topic: 1,
        changelog: "changelog".to_owned(),
        dead_letters: "letters".to_owned(),
        commands: "commands".to_owned(),
        range,
    }
}

pub(super) fn report(log: &FakeLog, bytes_max: u64) -> Report {
    verify_within(
        &mut log.clone(),
        &rules(&Statuses::default()),
        &asked((0, i64::MAX)),
        bytes_max,
        &mut Spread::default(),
        &mut |_| {},
    )
    .unwrap()
}

/// Sixty events of eight orders, in cuts, some of them stale, unchanged or duplicates; now and then an order leaves. Half of
/// the workers record their settings, and change them between two cuts.
fn worker(rng: &mut fastrand::Rng) -> FakeWorker {
    let mut worker = FakeWorker::default();
    let mut now = 1_700_000_000;
    let records = rng.bool();
    if records {
        worker.set("k0");
    }
    for number in 0..60 {
        let order = format!("A{}", rng.u8(..8));
        now += rng.i64(0..3);
        let at_s = if rng.u8(..8) == 0 { now + rng.i64(0..3) } else { now };
        let status = ["pending_payment", "paid", "redeemed"][rng.usize(..3)];
        worker.event(&order, &format!("e{number}"), status, at_s);
        if rng.u8(..4) == 0 {
            worker.cut();
            if records && rng.bool() {
                worker.set(&format!("k{}", rng.u8(..3)));
            }
        }
        if rng.u8(..12) == 0 {
            worker.cut();
            worker.cut();
            let leaver = format!("A{}", rng.u8(..8));
            worker.leave(&leaver);
            worker.cut();
            // Above what has left.
            now += 5;
        }
    }
    worker.cut();
    worker
}

/// Compacted to some extent.
fn compacted(worker: &FakeWorker, rng: &mut fastrand::Rng) -> FakeLog {
    let mut log = worker.log.clone();
    let records = log.topics["changelog"].len();
    log.compact("changelog", if rng.bool() { rng.usize(..=records) } else { records });
    log
}

#[test]
fn a_healthy_log_is_accounted_for_however_it_is_compacted_cut_off_and_looked_at() {
    for seed in 0..120 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let worker = worker(&mut rng);
        let mut log = if rng.bool() { worker.log.clone() } else { compacted(&worker, &mut rng) };
        let whole = report(&log, u64::MAX);
        assert_eq!(whole.unaccounted, [], "seed {seed}");
        assert_eq!((whole.records, whole.outcomes.values().sum::<u64>()), (60, 60), "seed {seed}");
        let in_parts = report(&log, 1 + rng.u64(..2000));
        assert_eq!((&in_parts.outcomes, &in_parts.unaccounted), (&whole.outcomes, &vec![]), "seed {seed}");
        // Retention takes the beginning of the source.
        let low = rng.i64(0..60);
        log.topics.get_mut("orders").unwrap().retain(|record| record.offset.get() >= low);
        log.low.insert("orders".to_owned(), low);
        let cut_off = report(&log, if rng.bool() { u64::MAX } else { 1500 });
        assert_eq!(cut_off.unaccounted, [], "seed {seed}, from {low}");
        let sum = cut_off.outcomes.values().sum::<u64>();
        assert_eq!((cut_off.gone, sum), (low.unsigned_abs(), 60 - low.unsigned_abs()), "seed {seed}");
    }
}

/// Changes the last state of some order.
fn tamper(log: &mut FakeLog, rng: &mut fastrand::Rng, change: impl Fn(&mut OrderState)) -> i64 {
    let records = log.topics.get_mut("changelog").unwrap();
    let key = |at: usize, records: &[crate::record::Record]| records[at].key.clone();
    let is_state = |at: &usize| records[*at].key.as_deref().is_some_and(|key| key.starts_with(b"[1,\"state\""));
    let is_last = |at: &usize| (at + 1..records.len()).all(|later| key(later, records) != key(*at, records));
    let last: Vec<usize> =
        (0..records.len()).filter(is_state).filter(is_last).filter(|at| records[*at].value.is_some()).collect();
    let at = last[rng.usize(..last.len())];
    let mut state = OrderState::decode(records[at].value.as_deref().unwrap()).unwrap();
    change(&mut state);
    let mut value = Vec::new();
    state.encode(&mut value);
    records[at].value = Some(value.into());
    state.applied_offset
}

#[test]
fn a_stamp_one_off_and_a_changed_byte_are_found_in_every_last_state() {
    for seed in 0..40 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let worker = worker(&mut rng);
        let log = compacted(&worker, &mut rng);
        let bytes_max = if rng.bool() { u64::MAX } else { 1500 };
        let mut check = |change: &dyn Fn(&mut OrderState), reason: Reason| {
            let mut log = log.clone();
            let offset = tamper(&mut log, &mut rng, change);
            let told = report(&log, bytes_max);
            let found: Vec<_> = told.unaccounted.iter().map(|found| (found.offset, found.reason)).collect();
            assert_eq!(found, [(offset, reason)], "seed {seed}");
            assert_eq!((told.outcomes["unaccounted"], told.outcomes.values().sum::<u64>()), (1, 60), "seed {seed}");
        };
        check(&|state| state.update_time.0 += 1, Reason::StampDiffers);
        check(&|state| state.update_time.0 -= 1, Reason::StampDiffers);
        check(&|state| state.document = state.document.replacen(":1", ":2", 1).into(), Reason::StateDiffers);
        check(&|state| state.digest.0[31] ^= 1, Reason::StateDiffers);
    }
}

/// The worker's cut without an event that it has passed.
#[test]
fn an_event_that_no_cut_holds_is_found_where_nothing_is_compacted() {
    for seed in 0..40 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut worker = worker(&mut rng);
        worker.event("A1", "sound", "refunding", 1_800_000_000);
        worker.cut();
        let mut log = worker.log.clone();
        worker.event("A1", "lost", "refunded", 1_800_000_001);
        let lost = worker.log.topics["orders"].last().unwrap().clone();
        worker.event("A2", "later", "refunding", 1_800_000_001);
        worker.cut();
        // All of the last cut but what is A1's.
        let cut = worker.log.topics["changelog"][log.topics["changelog"].len()..].to_vec();
        let of_a1 = |key: &[u8]| key.windows(4).any(|window| window == b"\"A1\"");
        let is_settled = |record: &crate::record::Record| record.value.is_none();
        for record in cut.into_iter().filter(|record| is_settled(record) || !of_a1(record.key.as_deref().unwrap())) {
            log.put("changelog", &record.key.unwrap(), record.value.map(Vec::from));
        }
        log.topics.insert("orders".to_owned(), worker.log.topics["orders"].clone());
        let found: Vec<_> =
            report(&log, u64::MAX).unaccounted.iter().map(|found| (found.offset, found.reason)).collect();
        assert_eq!(found, [(lost.offset.get(), Reason::NeverOwed)], "seed {seed}");
        let all = log.topics["changelog"].len();
        log.compact("changelog", all);
        let found: Vec<_> =
            report(&log, u64::MAX).unaccounted.iter().map(|found| (found.offset, found.reason)).collect();
        assert_eq!(found, [(lost.offset.get(), Reason::Hole)], "seed {seed}");
    }
}

#[test]
fn what_lies_before_the_first_trace_is_no_hole_where_the_group_began_later() {
    let mut worker = FakeWorker::default();
    for number in 0..3 {
        let value = format!(
            r#"{{"event_id":"e{number}","order_id":"B","app_id":"tt1","order_type":"normal","status":"paid","occurred_at":1700000000000}}"#
        );
        worker.log.put("orders", b"B", Some(value.into_bytes()));
    }
    worker.event("A", "a1", "paid", 1_700_000_000);
    worker.event("A", "a2", "redeemed", 1_700_000_001);
    worker.cut();
    worker.event("A", "a3", "refunded", 1_700_000_002);
    let told = |start: Start| {
        let (asked, mapper) = (asked((0, i64::MAX)), Statuses::default());
        let rules = VerifyRules { start, ..rules(&mapper) };
        let report =
            verify_within(&mut worker.log.clone(), &rules, &asked, u64::MAX, &mut Spread::default(), &mut |_| {})
                .unwrap();
        let found: Vec<_> = report.unaccounted.iter().map(|found| (found.offset, found.reason)).collect();
        (report.outcomes.into_iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>(), found)
    };
    assert_eq!(told(Start::Later), (vec![("before_start", 3), ("owed", 2), ("pending", 1)], vec![]));
    let (_, found) = told(Start::Beginning);
    assert_eq!(found[0], (0, Reason::NeverOwed));
}

/// The position says where the group began, whatever the settings say by now and whatever is compacted: an event from before it
/// that a command folded moves no start.
#[test]
fn where_the_group_began_is_known_of_the_position() {
    let mut worker = FakeWorker::default();
    worker.begun = Some(2);
    for (order, status) in [("B", "paid"), ("C", "paid")] {
        worker.record(order, &format!("{order}0"), status, 1_700_000_000);
    }
    worker.event("A", "a1", "paid", 1_700_000_000);
    worker.event("A", "a2", "redeemed", 1_700_000_001);
    worker.cut();
    worker.fold_on_word("B", 0);
    worker.cut();
    worker.event("A", "a3", "refunding", 1_700_000_002);
    worker.event("B", "b1", "redeemed", 1_700_000_003);
    worker.cut();
    for cleaned in [0, usize::MAX] {
        let mut log = worker.log.clone();
        log.compact("changelog", cleaned);
        for start in [Start::Beginning, Start::Later] {
            let (asked, mapper) = (asked((0, i64::MAX)), Statuses::default());
            let rules = VerifyRules { start, ..rules(&mapper) };
            let report =
                verify_within(&mut log.clone(), &rules, &asked, u64::MAX, &mut Spread::default(), &mut |_| {}).unwrap();
            assert_eq!(report.unaccounted, [], "{start:?}");
            assert_eq!(report.outcomes.get("before_start"), Some(&2), "{start:?}");
        }
    }
}

/// The records of settings, whose loss or change is told, and hides nothing.
#[test]
fn settings_that_are_not_what_was_recorded_are_told_and_hide_no_fault() {
    for seed in 0..40 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut worker = FakeWorker::default();
        let mut from = Vec::new();
        for number in 0..30 {
            if number % 10 == 0 {
                worker.cut();
                worker.set(&format!("k{number}"));
                from.push(number);
            }
            let at_s = 1_700_000_000 + number;
            worker.event(&format!("A{}", rng.u8(..3)), &format!("e{number}"), "paid", at_s);
            if rng.u8(..3) == 0 {
                worker.cut();
            }
        }
        worker.cut();
        let log = if rng.bool() { worker.log.clone() } else { compacted(&worker, &mut rng) };
        assert_eq!(report(&log, u64::MAX).unaccounted, [], "seed {seed}");
        let is_it = |record: &crate::record::Record| record.key.as_deref().unwrap().starts_with(b"[1,\"settings\"");
        let which = rng.usize(..3);
        let at = log.topics["changelog"].iter().enumerate().filter(|(_, record)| is_it(record)).nth(which).unwrap().0;
        let check = |change: &dyn Fn(&mut Vec<crate::record::Record>)| {
            let mut log = log.clone();
            change(log.topics.get_mut("changelog").unwrap());
            let told = report(&log, u64::MAX).unaccounted;
            assert!(told.iter().any(|found| found.reason == Reason::SettingsDiffer), "seed {seed}: {told:?}");
        };
        check(&|records| drop(records.remove(at)));
        let byte = |from: &str, to: &str| {
            check(&|records| {
                let text = String::from_utf8(records[at].value.clone().unwrap().into_vec()).unwrap();
                assert!(text.contains(from), "{text}");
                records[at].value = Some(text.replacen(from, to, 1).into_bytes().into());
            });
        };
        byte("\"client_key\":\"k", "\"client_key\":\"l");
        byte("\"format\":1", "\"format\":2");
        let number = from[which];
        if log.topics["changelog"].len() == worker.log.topics["changelog"].len() {
            byte(&format!("\"next\":{number},"), &format!("\"next\":{},", number + 1));
        }
        // A fault under settings that are recorded, and one under settings that no record tells.
        let mut tampered = log.clone();
        let offset = tamper(&mut tampered, &mut rng, |state| state.update_time.0 += 1);
        let found: Vec<_> =
            report(&tampered, u64::MAX).unaccounted.iter().map(|one| (one.offset, one.reason)).collect();
        assert_eq!(found, [(offset, Reason::StampDiffers)], "seed {seed}");
        tampered.topics.get_mut("changelog").unwrap().retain(|record| !is_it(record));
        assert!(report(&tampered, u64::MAX).unaccounted.iter().any(|one| one.offset == offset), "seed {seed}");
    }
}
