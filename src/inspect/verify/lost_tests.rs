//! What the log has lost or says otherwise and something else of it tells: letters, the last position, states between two
//! others, and what an outcome says of its command.

use super::command_tests::{Planted, each_way, found, last};
use super::fakes::{FakeLog, FakeWorker};
use super::laws_tests::report;
use crate::record::{Header, Record, RecordOffset};

/// A worker that has set one event aside and folded it on a redrive, set another aside, decided against it and been told by
/// a later event, and given up a push.
fn with_letters() -> (FakeWorker, [i64; 3]) {
    let mut worker = FakeWorker::default();
    worker.set("k0");
    worker.event("A", "a1", "paid", 1_700_000_000);
    let redriven = worker.set_aside("A", "a2", "redeemed");
    let discarded = worker.set_aside("B", "b1", "paid");
    let given_up = worker.event("C", "c1", "paid", 1_700_000_000);
    worker.cut();
    worker.give_up("C");
    worker.discard("B", discarded);
    worker.redrive("A", redriven);
    worker.cut();
    worker.event("A", "a3", "refunding", 1_900_000_009);
    worker.cut();
    (worker, [redriven, discarded, given_up])
}

#[test]
fn letters_that_are_lost_are_told_by_their_statuses_alone_and_hide_nothing() {
    let (worker, letters) = with_letters();
    each_way(&worker, |planted| {
        let mut log = planted.worker.log.clone();
        let held = std::mem::take(log.topics.get_mut("letters").unwrap());
        assert_eq!(planted.found(log.clone()), letters.map(|at| (at, "letter_missing")));
        // An import has them stand behind one another.
        held.into_iter().rev().for_each(|letter| put(&mut log, letter));
        assert_eq!(planted.found(log), []);
    });
}

fn put(log: &mut FakeLog, letter: Record) {
    let at = log.put("letters", b"", None);
    let lain = Record { offset: RecordOffset::new(at), ..letter };
    *log.topics.get_mut("letters").unwrap().last_mut().unwrap() = lain;
}

/// A worker whose push of `A` was given up three times; the offset.
fn came_back() -> (FakeWorker, i64) {
    let mut worker = FakeWorker::default();
    worker.event("B", "b1", "paid", 1_700_000_000);
    let at = worker.event("A", "a1", "paid", 1_700_000_000);
    worker.cut();
    for time in 0..3 {
        if time > 0 {
            worker.send_again("A", at);
            worker.cut();
        }
        assert_eq!(worker.give_up("A"), at);
        worker.cut();
    }
    (worker, at)
}

fn header<'a>(letter: &'a mut Record, name: &str) -> &'a mut Header {
    letter.headers.iter_mut().rev().find(|header| header.name == name).unwrap()
}

#[test]
fn every_letter_of_a_record_that_came_back_is_held_against_the_others() {
    let (worker, at) = came_back();
    let letters = |log: &mut FakeLog| log.topics.get_mut("letters").unwrap().len();
    assert_eq!(letters(&mut worker.log.clone()), 3);
    each_way(&worker, |planted| {
        for which in 0..3 {
            let with = |change: &dyn Fn(&mut Vec<Record>)| {
                let mut log = planted.worker.log.clone();
                change(log.topics.get_mut("letters").unwrap());
                planted.found(log)
            };
            assert_eq!(with(&|letters| drop(letters.remove(which))), [(at, "letter_missing")], "{which}");
            let changed = |name: &str, value: &str| {
                with(&|letters| header(&mut letters[which], name).value = Some(value.as_bytes().into()))
            };
            for (name, value) in [
                ("order-sync.order-id", "Z"),
                ("order-sync.app-id", "tt2"),
                ("order-sync.times", "9"),
                ("order-sync.times", "0"),
                ("order-sync.update-time", "1700000001"),
                ("__connect.errors.stage", "delivex"),
            ] {
                let told = changed(name, value);
                assert_eq!(told.len(), 1, "{which} {name} {told:?}");
                assert_eq!(told[0].0, at, "{which} {name} {told:?}");
                assert!(matches!(told[0].1, "letter_differs" | "letter_unexplained"), "{which} {name} {told:?}");
            }
            for (name, value) in [("__connect.errors.topic", "order"), ("__connect.errors.partition", "1")] {
                assert_eq!(changed(name, value), [(at, "letter_missing")], "{which} {name}");
            }
        }
        let twice = |letters: &mut Vec<Record>| *header(&mut letters[0], "order-sync.times") = second(letters);
        let mut log = planted.worker.log.clone();
        twice(log.topics.get_mut("letters").unwrap());
        assert_eq!(planted.found(log), [(at, "letter_differs")]);
    });
    // One that stands twice, as without transactions and after an import, is no other.
    let mut log = worker.log.clone();
    let copy = log.topics["letters"][1].clone();
    put(&mut log, copy);
    assert_eq!(found(&log), []);
}

fn second(letters: &mut [Record]) -> Header {
    header(&mut letters[1], "order-sync.times").clone()
}

#[test]
fn the_stage_of_a_letter_is_that_of_its_reason() {
    let (worker, [aside, ..]) = with_letters();
    for stage in ["fold", "fozd"] {
        let mut log = worker.log.clone();
        let letter = &mut log.topics.get_mut("letters").unwrap()[0];
        header(letter, "__connect.errors.stage").value = Some(stage.as_bytes().into());
        assert_eq!(found(&log), [(aside, "letter_differs")], "{stage}");
    }
}

fn without_last_position(planted: &Planted<'_>) -> Vec<(i64, &'static str)> {
    planted.without(&[("position", "")])
}

#[test]
fn the_last_position_is_missed_by_what_stands_before_it() {
    let (mut worker, [redriven, ..]) = with_letters();
    // A commit of a position alone leaves nothing that would miss it.
    worker.cut();
    worker.cut();
    each_way(&worker, |planted| assert_eq!(without_last_position(planted), []));
    worker.refuse("A", redriven);
    worker.cut();
    each_way(&worker, |planted| {
        let found = without_last_position(planted);
        assert!(found.iter().any(|(_, reason)| *reason == "position_missing"), "{found:?}");
    });
    let mut advanced = worker;
    let at = advanced.event("A", "a4", "refunded", 1_900_000_019);
    advanced.cut();
    each_way(&advanced, |planted| {
        assert_eq!(without_last_position(planted)[0], (at - 1, "position_missing"));
    });
    let worker = advanced;
    // Of a changelog that had been compacted up to it.
    let mut log = worker.log.clone();
    log.compact("changelog", usize::MAX);
    let at = last(&log.topics["changelog"], "position", "");
    log.topics.get_mut("changelog").unwrap().remove(at);
    assert_eq!(found(&log)[0], (0, "position_missing"));
    // Where other topics' workers write to it, what is read may end in the middle of a commit.
    let mut log = worker.log.clone();
    let at = last(&log.topics["changelog"], "position", "");
    log.topics.get_mut("changelog").unwrap().remove(at);
    log.put("changelog", br#"[1,"position","others"]"#, None);
    assert!(found(&log).iter().all(|(_, reason)| *reason != "position_missing"));
    log.topics.get_mut("changelog").unwrap().last_mut().unwrap().timestamp_ms = Some(1_000_000);
    assert!(found(&log).iter().any(|(_, reason)| *reason == "position_missing"));
}

#[test]
fn a_state_between_two_others_is_missed_by_the_delivery_that_was_owed_with_it() {
    let mut worker = FakeWorker::default();
    worker.event("B", "b1", "paid", 1_700_000_000);
    worker.cut();
    let first = worker.event("A", "a1", "paid", 1_700_000_000);
    worker.cut();
    worker.event("A", "a2", "redeemed", 1_700_000_001);
    worker.event("A", "a3", "refunding", 1_700_000_002);
    worker.cut();
    let mut log = worker.log.clone();
    assert_eq!(found(&log), []);
    let records = log.topics.get_mut("changelog").unwrap();
    let is_state = |record: &Record| record.key.as_deref().unwrap().starts_with(b"[1,\"state\"");
    // Of `B`, then two of `A`.
    let states: Vec<usize> = (0..records.len()).filter(|at| is_state(&records[*at])).collect();
    assert_eq!(states.len(), 3);
    records.remove(states[1]);
    assert_eq!(found(&log), [(first, "state_missing")]);
}

#[test]
fn an_outcome_says_of_its_command_what_the_command_says() {
    let (worker, [redriven, discarded, _]) = with_letters();
    each_way(&worker, |planted| {
        let check = |id: &str, at: i64, from: &str, to: &str| {
            let told = planted.changed("command", &format!("\"{id}\""), from, to);
            assert!(told.contains(&(at, "command_differs")), "{id} {to}: {told:?}");
        };
        check("c1", discarded, "\"command\":\"discard\"", "\"command\":\"discarx\"");
        check("c1", discarded, &format!("\"offset\":{discarded}"), &format!("\"offset\":{}", discarded + 1));
        check("c1", discarded, "\"command_offset\":0", "\"command_offset\":1");
        check("c2", redriven, "\"command\":\"redrive\"", "\"command\":\"redrivx\"");
        check("c2", redriven, "\"command_offset\":1", "\"command_offset\":2");
        if planted.cleaned == 0 {
            check("c2", redriven, "\"next\":4", "\"next\":5");
            check("c2", redriven, "\"next\":4", "\"next\":3");
        }
    });
    // One that was given again has its outcome told again, which says where it lay first.
    let mut again = worker;
    let (id, value) =
        again.log.topics["commands"][1..].iter().map(|c| (c.key.clone(), c.value.clone())).next().unwrap();
    again.give_again(&id.unwrap(), value.map(Vec::from));
    again.cut();
    each_way(&again, |_| ());
}

/// Offsets of commands begin anew, and so do no outcomes: an order that was sent again by both topics at one place of the source
/// has both stamps, in their order.
#[test]
fn commands_of_a_topic_made_anew_are_accounted_for_beside_those_before_it() {
    let mut worker = FakeWorker::default();
    worker.set("k0");
    for order in ["A", "B"] {
        worker.event(order, "1", "paid", 1_700_000_000);
    }
    worker.cut();
    for order in ["B", "A"] {
        worker.resync(order);
        worker.cut();
    }
    worker.commands_made_anew();
    for order in ["A", "B"] {
        worker.resync(order);
        worker.cut();
    }
    each_way(&worker, |planted| assert_eq!(planted.without(&[]), []));
}

#[test]
fn a_position_or_a_key_that_cannot_be_read_is_told_with_its_place_and_ends_no_account() {
    let (worker, _) = with_letters();
    let changelog = &worker.log.topics["changelog"];
    for (at, record) in changelog.iter().enumerate() {
        let key = String::from_utf8(record.key.clone().unwrap().into()).unwrap();
        let mut log = worker.log.clone();
        let changed = &mut log.topics.get_mut("changelog").unwrap()[at];
        let what = if key.contains("position") {
            let value = String::from_utf8(changed.value.clone().unwrap().into()).unwrap();
            changed.value = Some(value.replace("\"next\"", "\"nexu\"").into_bytes().into());
            "a position"
        } else {
            changed.key = Some(key.replacen('"', "'", 1).into_bytes().into());
            "the key of a record"
        };
        let told = report(&log, u64::MAX).unaccounted;
        let words = format!("{what} cannot be read: offset {at} of the changelog's partition");
        // Of one offset the first is told: without the settings, that they are not there.
        let is_told = told.iter().any(|found| found.message.contains(&words));
        assert!(is_told || key.contains("settings") && !told.is_empty(), "{words}: {told:?}");
    }
}
