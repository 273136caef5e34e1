//! Tombstones, statuses and marks that are lost, and are told by what else has gone with them.

use super::command_tests::{Planted, each_way, found};
use super::fakes::{FakeLog, FakeWorker, Statuses, rules};
use super::laws_tests::asked;
use super::partition::verify_within;
use super::rules::VerifyRules;
use super::spread::Spread;

/// A worker whose push of `A` was given up; the offset of its letter.
fn given_up() -> (FakeWorker, i64) {
    let mut worker = FakeWorker::default();
    worker.event("B", "b1", "paid", 1_700_000_000);
    worker.event("A", "a1", "paid", 1_700_000_000);
    worker.cut();
    let at = worker.give_up("A");
    worker.cut();
    (worker, at)
}

fn letter(at: i64) -> String {
    format!("\"orders\",{at}]")
}

/// Without the last tombstone of a delivery of this order, or the one before.
fn without_tombstone(planted: &Planted<'_>, order: &str, back: usize) -> Vec<(i64, &'static str)> {
    let mut log = planted.worker.log.clone();
    let records = log.topics.get_mut("changelog").unwrap();
    let is_it = |key: &[u8]| {
        let key = String::from_utf8_lossy(key);
        key.starts_with("[1,\"owed\"") && key.contains(order)
    };
    let all = records.iter().enumerate().filter(|(_, record)| record.value.is_none());
    let at = all.filter(|(_, record)| is_it(record.key.as_deref().unwrap())).map(|(at, _)| at).rev().nth(back).unwrap();
    records.remove(at);
    planted.found(log)
}

#[test]
fn a_tombstone_that_is_lost_is_told_by_a_later_one_and_by_a_letter() {
    let (worker, at) = given_up();
    each_way(&worker, |planted| {
        assert_eq!(without_tombstone(planted, "\"A\"", 0), [(at, "tombstone_missing")]);
        // Nothing says that this one is settled.
        assert_eq!(without_tombstone(planted, "\"B\"", 0), []);
    });
    let mut worker = worker;
    worker.event("A", "a2", "redeemed", 1_700_000_002);
    worker.cut();
    worker.event("B", "b2", "redeemed", 1_700_000_002);
    worker.cut();
    worker.cut();
    each_way(&worker, |planted| {
        assert_eq!(without_tombstone(planted, "\"A\"", 1), [(at, "tombstone_missing")]);
        assert_eq!(without_tombstone(planted, "\"B\"", 1), [(0, "tombstone_missing")]);
        assert_eq!(without_tombstone(planted, "\"B\"", 0), []);
    });
    // What is owed again is owed.
    let (mut worker, at) = given_up();
    worker.send_again("A", at);
    worker.cut();
    each_way(&worker, |_| ());
    let (mut worker, _) = given_up();
    worker.event("A", "a2", "paid", 1_700_000_002);
    worker.cut();
    each_way(&worker, |_| ());
}

#[test]
fn the_last_status_of_a_deliverys_letter_is_missed() {
    let (mut worker, at) = given_up();
    each_way(&worker, |planted| {
        assert_eq!(planted.without(&[("letter", &letter(at))]), [(at, "status_missing")]);
    });
    // A later push has said it.
    worker.event("A", "a2", "redeemed", 1_700_000_002);
    worker.cut();
    worker.cut();
    each_way(&worker, |planted| {
        assert_eq!(planted.without(&[("letter", &letter(at))]), [(at, "status_differs")]);
        assert_eq!(planted.without(&[("letter", &letter(at)), ("letter", &letter(at))]), [(at, "status_missing")]);
        assert_eq!(planted.changed("letter", &letter(at), "superseded", "open"), [(at, "status_differs")]);
    });
    // So has the same push, which the same content has owed again.
    let (mut worker, at) = given_up();
    worker.event("A", "a2", "paid", 1_700_000_002);
    worker.cut();
    worker.cut();
    each_way(&worker, |planted| {
        assert_eq!(planted.without(&[("letter", &letter(at))]), [(at, "status_differs")]);
    });
}

/// What was given up under the letter that is lost is not taken for accepted: that would close the letters before it.
#[test]
fn nothing_is_told_of_a_status_by_a_delivery_whose_letter_may_be_lost() {
    let (mut worker, first) = given_up();
    let second = worker.event("A", "a2", "redeemed", 1_700_000_002);
    worker.cut();
    assert_eq!(worker.give_up("A"), second);
    worker.cut();
    worker.resync("A");
    worker.cut();
    assert_eq!(worker.give_up("A"), second);
    worker.cut();
    each_way(&worker, |planted| {
        let mut log = planted.worker.log.clone();
        let lost = log.topics.get_mut("letters").unwrap().remove(1);
        assert_eq!(planted.found(log.clone()), [(second, "letter_missing")]);
        // Nor where its topic has none of them, and what stands beside the letters is told as before.
        log.topics.get_mut("letters").unwrap().truncate(1);
        assert_eq!(planted.found(log.clone()), [(second, "letter_missing")]);
        log.topics.get_mut("letters").unwrap().push(lost);
        assert_eq!(planted.found(log), [(second, "letter_missing")]);
    });
    worker.event("A", "a3", "refunded", 1_700_000_004);
    worker.cut();
    worker.cut();
    each_way(&worker, |planted| {
        let mut log = planted.worker.log.clone();
        assert_eq!(planted.changed("letter", &letter(first), "superseded", "open"), [(first, "status_differs")]);
        log.topics.get_mut("letters").unwrap().remove(1);
        let records = log.topics.get_mut("changelog").unwrap();
        let at = super::command_tests::last(records, "letter", &letter(first));
        let value = String::from_utf8(records[at].value.clone().unwrap().into_vec()).unwrap();
        records[at].value = Some(value.replacen("superseded", "open", 1).into_bytes().into());
        // By the status of the later letter.
        assert_eq!(planted.found(log), [(first, "status_differs"), (second, "letter_missing")]);
    });
}

#[test]
fn a_mark_on_a_state_and_its_letters_status_say_the_same() {
    let (mut worker, at) = given_up();
    each_way(&worker, |planted| {
        // The state as it was before.
        if planted.cleaned == 0 {
            assert_eq!(planted.without(&[("state", "\"A\"")]), [(at, "status_differs")]);
        }
        assert_eq!(planted.changed("state", "\"A\"", "\"times\":1", "\"times\":2"), [(at, "state_differs")]);
    });
    worker.send_again("A", at);
    worker.cut();
    worker.cut();
    each_way(&worker, |planted| {
        if planted.cleaned == 0 {
            assert_eq!(planted.without(&[("state", "\"A\"")]), [(at, "state_differs")]);
        }
    });
}

fn found_where_statuses_stay(log: &FakeLog, statuses_stay_ms: i64) -> Vec<(i64, &'static str)> {
    let mapper = Statuses::default();
    let rules = VerifyRules { statuses_stay_ms, ..rules(&mapper) };
    let (asked, mut spread) = (asked((0, i64::MAX)), Spread::default());
    let report = verify_within(&mut log.clone(), &rules, &asked, u64::MAX, &mut spread, &mut |_| {}).unwrap();
    report.unaccounted.iter().map(|found| (found.offset, found.reason.code())).collect()
}

/// Superseded, and forgotten once its order had left.
#[test]
fn what_retention_has_forgotten_is_not_missed_unless_it_cannot_have_forgotten_it() {
    let (mut worker, at) = given_up();
    worker.event("A", "a2", "redeemed", 1_700_000_002);
    worker.cut();
    worker.cut();
    worker.leave("A");
    worker.cut();
    worker.forget(at);
    worker.cut();
    each_way(&worker, |_| ());
    let mut log = worker.log.clone();
    log.compact("changelog", usize::MAX);
    // All of the log lies in the time for which a status stays.
    assert_eq!(found_where_statuses_stay(&log, 0), [(at, "status_missing")]);
    // Where nothing is compacted the forgetting is still there, or has not been.
    assert_eq!(found_where_statuses_stay(&worker.log, 0), []);
    let mut log = worker.log.clone();
    let is_of_letter = |record: &crate::record::Record| record.key.as_deref().unwrap().starts_with(b"[1,\"letter\"");
    log.topics.get_mut("changelog").unwrap().retain(|record| !is_of_letter(record));
    assert_eq!(found(&log), [(at, "status_missing")]);
}

/// With no commands topic to tell it.
#[test]
fn a_letter_that_has_come_back_tells_of_the_redrive_whose_outcome_is_lost() {
    let (mut worker, at) = given_up();
    for _ in 0..2 {
        worker.send_again("A", at);
        worker.cut();
        worker.give_up("A");
        worker.cut();
    }
    each_way(&worker, |planted| {
        for id in ["\"c1\"", "\"c2\""] {
            assert_eq!(planted.without(&[("command", id)]), [(at, "command_missing")], "{id}");
        }
    });
}
