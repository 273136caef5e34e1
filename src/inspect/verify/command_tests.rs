//! What commands have left in the log: taken as given, and missed where it is gone or is another thing.

use super::fakes::{FakeLog, FakeWorker};
use super::laws_tests::report;
use crate::record::Record;

/// What of the changelog one has lost or changed.
pub(super) struct Planted<'a> {
    pub(super) worker: &'a FakeWorker,
    pub(super) cleaned: usize,
}

impl Planted<'_> {
    /// The offsets that are found and their reasons, without the last record whose key is of this kind and names this.
    pub(super) fn without(&self, kinds: &[(&str, &str)]) -> Vec<(i64, &'static str)> {
        let mut log = self.worker.log.clone();
        for (kind, names) in kinds {
            let records = log.topics.get_mut("changelog").unwrap();
            let at = last(records, kind, names);
            records.remove(at);
        }
        self.found(log)
    }

    /// The same after this text in its value has become another one.
    pub(super) fn changed(&self, kind: &str, names: &str, from: &str, to: &str) -> Vec<(i64, &'static str)> {
        let mut log = self.worker.log.clone();
        let records = log.topics.get_mut("changelog").unwrap();
        let at = last(records, kind, names);
        let value = String::from_utf8(records[at].value.clone().unwrap().into_vec()).unwrap();
        assert!(value.contains(from), "{value}");
        records[at].value = Some(value.replacen(from, to, 1).into_bytes().into());
        self.found(log)
    }

    fn last(&self, kind: &str, names: &str) -> String {
        let records = &self.worker.log.topics["changelog"];
        String::from_utf8(records[last(records, kind, names)].value.clone().unwrap().into_vec()).unwrap()
    }

    pub(super) fn found(&self, mut log: FakeLog) -> Vec<(i64, &'static str)> {
        log.compact("changelog", self.cleaned);
        found(&log)
    }
}

pub(super) fn found(log: &FakeLog) -> Vec<(i64, &'static str)> {
    report(log, u64::MAX).unaccounted.iter().map(|found| (found.offset, found.reason.code())).collect()
}

pub(super) fn last(records: &[Record], kind: &str, names: &str) -> usize {
    let is_it = |record: &Record| {
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap()).into_owned();
        key.starts_with(&format!("[1,\"{kind}\"")) && key.contains(names) && record.value.is_some()
    };
    records.iter().rposition(is_it).unwrap_or_else(|| panic!("no {kind} {names}"))
}

/// Compacted not at all, and wholly.
pub(super) fn each_way(worker: &FakeWorker, check: impl Fn(&Planted<'_>)) {
    for cleaned in [0, usize::MAX] {
        let planted = Planted { worker, cleaned };
        assert_eq!(planted.without(&[]), [], "a healthy log");
        check(&planted);
    }
}

/// A worker that has paid `A`, and set an event of it aside.
fn with_a_letter() -> (FakeWorker, i64) {
    let mut worker = FakeWorker::default();
    worker.event("A", "a1", "paid", 1_700_000_000);
    let aside = worker.set_aside("A", "a2", "redeemed");
    worker.event("B", "b1", "paid", 1_700_000_000);
    worker.cut();
    (worker, aside)
}

/// A worker that has redeemed `A`, and passed an older event of it.
fn with_a_stale_event() -> (FakeWorker, i64) {
    let mut worker = FakeWorker::default();
    worker.event("A", "a1", "redeemed", 1_700_000_009);
    let stale = worker.record("A", "a2", "refunding", 1_700_000_001);
    worker.event("B", "b1", "paid", 1_700_000_000);
    worker.cut();
    (worker, stale)
}

#[test]
fn a_state_that_a_command_made_and_that_is_lost_is_a_hole() {
    let (mut worker, aside) = with_a_letter();
    worker.redrive("A", aside);
    worker.cut();
    worker.cut();
    each_way(&worker, |planted| assert_eq!(planted.without(&[("state", "\"A\"")]), [(aside, "hole")]));
    let (mut worker, stale) = with_a_stale_event();
    worker.fold_on_word("A", stale);
    worker.cut();
    worker.cut();
    each_way(&worker, |planted| {
        assert_eq!(planted.without(&[("state", "\"A\"")]), [(stale, "hole")]);
        let without = planted.without(&[("state", "\"A\""), ("owed", "\"A\"")]);
        assert_eq!(without, [(stale, if planted.cleaned == 0 { "never_owed" } else { "hole" })]);
    });
}

/// On an operator's word: above what has left, and under the stamp of what stands as a dead letter.
#[test]
fn a_fold_of_an_order_that_has_left_or_was_given_up_is_accounted_for() {
    let mut worker = FakeWorker::default();
    worker.event("A", "a1", "redeemed", 1_700_000_009);
    let stale = worker.record("A", "a2", "refunding", 1_700_000_001);
    worker.event("B", "b1", "redeemed", 1_700_000_019);
    for _ in 0..2 {
        worker.cut();
    }
    worker.leave("A");
    worker.leave("B");
    worker.cut();
    worker.fold_on_word("A", stale);
    worker.cut();
    each_way(&worker, |_| ());
    let mut worker = FakeWorker::default();
    worker.event("A", "a1", "paid", 1_700_000_009);
    let stale = worker.record("A", "a2", "paid", 1_700_000_001);
    worker.cut();
    worker.give_up("A");
    worker.cut();
    worker.fold_on_word("A", stale);
    worker.cut();
    each_way(&worker, |_| ());
}

/// What each command owes: the record may be gone, its bytes, its stamp and its event may be other ones.
#[test]
fn what_a_command_owes_is_held_against_what_the_log_has_owed() {
    let (mut redriven, aside) = with_a_letter();
    redriven.redrive("A", aside);
    let (mut folded, stale) = with_a_stale_event();
    folded.fold_on_word("A", stale);
    let mut resynced = with_a_letter().0;
    resynced.resync("A");
    let (mut sent, _) = with_a_letter();
    let given_up = sent.give_up("A");
    sent.cut();
    sent.send_again("A", given_up);
    for (mut worker, at) in [(redriven, aside), (folded, stale), (resynced, 0), (sent, given_up)] {
        worker.cut();
        each_way(&worker, |planted| {
            let owed = |from: &str, to: &str| planted.changed("owed", "\"A\"", from, to);
            assert_eq!(owed("status", "statuS"), [(at, "request_differs")]);
            assert_eq!(owed("update_time\":1", "update_time\":2"), [(at, "request_differs")]);
            let (from, to) = (format!("\"offset\":{at}"), format!("\"offset\":{}", at + 1));
            assert!(!owed(&from, &to).is_empty(), "{at}");
            if planted.cleaned == 0 {
                assert_eq!(planted.without(&[("owed", "\"A\"")]), [(at, "never_owed")]);
            }
        });
    }
}

/// A header of the last letter becomes another one.
fn with_header(worker: &FakeWorker, name: &str, value: &str) -> FakeLog {
    let mut log = worker.log.clone();
    let letter = log.topics.get_mut("letters").unwrap().last_mut().unwrap();
    let header = letter.headers.iter_mut().rev().find(|header| header.name == name).unwrap();
    assert_ne!(header.value.as_deref(), Some(value.as_bytes()));
    header.value = Some(value.as_bytes().into());
    log
}

#[test]
fn what_a_letter_says_is_held_against_its_status_and_what_was_sent() {
    for command in ["none", "resync", "redrive"] {
        let mut worker = with_a_letter().0;
        if command == "resync" {
            worker.resync("A");
            worker.cut();
        }
        let at = worker.give_up("A");
        worker.cut();
        if command == "redrive" {
            worker.send_again("A", at);
            worker.cut();
        }
        assert_eq!(found(&worker.log), [], "{command}");
        let check_for = |name: &str, value: &str, reason: &'static str| {
            let mut log = with_header(&worker, name, value);
            assert_eq!(found(&log), [(at, reason)], "{command} {name}");
            log.compact("changelog", usize::MAX);
            assert_eq!(found(&log), [(at, reason)], "{command} {name}, compacted");
        };
        let check = |name: &str, value: &str| check_for(name, value, "letter_differs");
        check("order-sync.update-time", "1700000003");
        check("order-sync.reason", "retries_exhausted");
        check("order-sync.reason", "malformed_order");
        check("order-sync.request", r#"{"order":"A","status":"paiD","update_time":1700000000}"#);
        check("order-sync.order-id", "ZZZ");
        check("order-sync.app-id", "tt2");
        check("order-sync.times", "7");
        check_for("__connect.errors.stage", "fold", "letter_unexplained");
    }
}

#[test]
fn a_letters_status_is_what_the_commands_about_it_have_left() {
    let (mut redriven, aside) = with_a_letter();
    redriven.redrive("A", aside);
    let (mut discarded, _) = with_a_letter();
    discarded.discard("A", aside);
    let (mut sent, _) = with_a_letter();
    let given_up = sent.give_up("A");
    sent.cut();
    sent.send_again("A", given_up);
    for (mut worker, at) in [(redriven, aside), (discarded, aside), (sent, given_up)] {
        worker.cut();
        let letter = format!("\"orders\",{at}]");
        each_way(&worker, |planted| {
            if planted.cleaned == 0 {
                // The letter shows as open.
                assert_eq!(planted.without(&[("letter", &letter)]), [(at, "command_differs")]);
            }
            for (from, to) in [("redriven", "open"), ("discarded", "open")] {
                if planted.last("letter", &letter).contains(from) {
                    assert_eq!(planted.changed("letter", &letter, from, to), [(at, "command_differs")]);
                }
            }
            let without = planted.without(&[("command", "c1")]);
            assert!(without.iter().any(|(offset, _)| *offset == at), "{without:?}");
        });
    }
}

#[test]
fn a_status_or_an_outcome_that_cannot_be_read_is_told_with_its_place_and_stops_nothing() {
    let (mut worker, aside) = with_a_letter();
    worker.redrive("A", aside);
    worker.cut();
    each_way(&worker, |planted| {
        for (kind, names, from, to) in [
            ("letter", "", "redriven", "redrivem"),
            ("letter", "", "time_in_future", "time_in_futur"),
            ("command", "c1", "folded", "folden"),
        ] {
            let told = planted.changed(kind, names, from, to);
            assert!(told.contains(&(aside, "unreadable")), "{kind} {told:?}");
            assert!(told.iter().all(|(offset, _)| *offset == aside || *offset == 0), "{kind} {told:?}");
        }
    });
    let at = last(&worker.log.topics["changelog"], "letter", "");
    worker.log.topics.get_mut("changelog").unwrap()[at].value = Some((*b"{}").into());
    let told = report(&worker.log, u64::MAX).unaccounted;
    let words = format!(r#"offset {at} of the changelog's partition, key [1,"letter","orders",{aside}]"#);
    assert!(told[0].message.ends_with(&words), "{told:?}");
    assert_eq!(report(&worker.log, u64::MAX).records, 3);
}

#[test]
fn a_letter_that_came_back_has_a_status_that_knows_of_it() {
    let mut worker = with_a_letter().0;
    let at = worker.give_up("A");
    worker.cut();
    worker.send_again("A", at);
    worker.cut();
    assert_eq!(worker.give_up("A"), at);
    worker.cut();
    assert_eq!(found(&worker.log), []);
    let letter = format!("\"orders\",{at}]");
    each_way(&worker, |planted| {
        if planted.cleaned == 0 {
            assert_eq!(planted.without(&[("letter", &letter)]), [(at, "letter_differs")]);
        }
    });
}

/// A letter that was discarded is open again where the order was sent again by another command and rejected again; not else.
#[test]
fn a_letter_may_come_back_after_it_was_discarded_where_its_order_was_resynced() {
    let mut worker = with_a_letter().0;
    let at = worker.give_up("A");
    worker.cut();
    worker.discard("A", at);
    worker.cut();
    let letter = format!("\"orders\",{at}]");
    each_way(&worker, |planted| {
        assert_eq!(planted.changed("letter", &letter, "discarded", "open"), [(at, "command_differs")]);
    });
    worker.resync("A");
    worker.cut();
    assert_eq!(worker.give_up("A"), at);
    worker.cut();
    each_way(&worker, |planted| assert!(planted.last("letter", &letter).contains("open")));
}

/// Whatever it came to, and compacted or not: each has left its outcome, from where the log says that they were executed.
#[test]
fn a_command_that_was_executed_and_has_no_outcome_is_told_of_whatever_kind_it_was() {
    let mut worker = FakeWorker::default();
    worker.set("k0");
    worker.event("A", "a1", "paid", 1_700_000_000);
    let aside = worker.set_aside("A", "a2", "redeemed");
    worker.event("B", "b1", "paid", 1_700_000_000);
    worker.cut();
    worker.refuse("B", 2);
    worker.pause_and_resume();
    worker.redrive("A", aside);
    worker.discard("A", aside);
    worker.resync("A");
    worker.cut();
    each_way(&worker, |planted| {
        for (id, at) in [("c1", 2), ("c2", 2), ("c3", 2), ("c4", aside), ("c5", aside), ("c6", aside)] {
            let found = planted.without(&[("command", &format!("\"{id}\""))]);
            assert!(found.contains(&(at, "command_missing")), "{id}: {found:?}");
        }
    });
    // What is not passed yet, and what retention has taken.
    let mut log = worker.log.clone();
    log.put("commands", b"c7", log.topics["commands"][0].value.clone().map(Vec::from));
    assert_eq!(found(&log), []);
    let at = last(&log.topics["changelog"], "command", "\"c1\"");
    log.topics.get_mut("changelog").unwrap().remove(at);
    log.topics.get_mut("commands").unwrap().remove(0);
    assert_eq!(found(&log), []);
    // A changelog that begins with a rebase says nothing of commands before that.
    let mut log = worker.log.clone();
    let all = log.topics.get_mut("changelog").unwrap();
    for record in all.iter_mut().filter(|record| record.key.as_deref().unwrap().starts_with(b"[1,\"settings\"")) {
        let text = String::from_utf8(record.value.clone().unwrap().into_vec()).unwrap();
        record.value = Some(text.replacen("\"next\":0,", "\"next\":0,\"commands\":3,", 1).into_bytes().into());
    }
    assert_eq!(found(&log), []);
    for (id, expect) in [("c3", false), ("c4", true)] {
        let mut log = log.clone();
        let at = last(&log.topics["changelog"], "command", &format!("\"{id}\""));
        log.topics.get_mut("changelog").unwrap().remove(at);
        assert_eq!(found(&log).iter().any(|(_, reason)| *reason == "command_missing"), expect, "{id}");
    }
}
