//! Compares what the sandbox and Kafka hold in the end with what the second reading says, and prints what it was.

use std::collections::{BTreeMap, BTreeSet};

use order_sync::record::Record;
use order_sync::sandbox::ViolationKind;
use serde_json::{Value, json};

use super::changelog;
use super::history::{self, Fate, Window};
use super::stage::{Commit, Stage};
use crate::reference::Outcome;
use crate::support::real_kafka::RealKafka;

pub fn check(kafka: &RealKafka, stage: &Stage, windows: &[Window]) {
    let report = stage.sandbox.report();
    let overlaps = check_violations(stage, windows);
    assert_eq!(report.memory["entries_dropped"], 0, "the sandbox has forgotten something");
    let (mut orders, mut late, mut repeats) = (0, 0, 0);
    for folded in stage.expected.values() {
        for ((app, order), pushes) in &folded.pushes {
            let history = stage.sandbox.history(app, order);
            let fate = if stage.is_poison(order) { Fate::Rejected } else { Fate::Taken };
            let seen = history::check(&format!("{app}/{order}"), &history, pushes, fate, windows);
            orders += 1;
            late += seen.late;
            repeats += seen.repeats;
        }
    }
    assert_eq!(stage.sandbox.orders().len(), orders, "orders that nobody wrote");
    let (letters, reasons) = check_letters(kafka, stage);
    println!("orders                    {orders:>8}");
    println!("pushes applied            {:>8}, each once", report.applied);
    println!("pushes received           {:>8}, {repeats} of them repeats", report.received);
    println!("older ones, again         {late:>8}, all ignored");
    println!("at once, of two owners    {overlaps:>8}");
    println!("dead letters              {letters:>8} of {reasons} reasons");
    if stage.commit == Commit::Transactions {
        let (read, live) = changelog::check(kafka, stage);
        println!("changelog records         {read:>8}, {live} of them live, nothing owed");
        check_account(stage);
    }
}

/// `verify` comes to what the second reading has come to, and accounts for everything.
fn check_account(stage: &Stage) {
    let told = stage.tool(&["verify"]).output().unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{}\n{text}", String::from_utf8_lossy(&told.stderr));
    let total: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
    for folded in stage.expected.values() {
        let letters = stage.letters(folded);
        for (outcome, offset) in folded.outcomes.iter().zip(0..) {
            let word = if letters.contains_key(&offset) { "dead_letter" } else { word(outcome) };
            *expected.entry(word).or_default() += 1;
        }
    }
    println!("verify                    {total}");
    let mut found = total["outcomes"].clone();
    found.as_object_mut().unwrap().retain(|_, count| *count != 0);
    assert_eq!((found, &total["unaccounted"]), (json!(expected), &json!([])));
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Advanced => "delivered",
        Outcome::Unchanged => "unchanged",
        Outcome::Duplicate => "duplicate",
        Outcome::Stale => "stale",
        Outcome::Tombstone => "tombstone",
        Outcome::DeadLetter(_) => "dead_letter",
    }
}

/// No rule is broken, but for what two owners of a partition may do when it moves: the old one's attempt is still under
/// way while the new one begins. That is so when members come and go, and at no other time.
fn check_violations(stage: &Stage, windows: &[Window]) -> usize {
    let report = stage.sandbox.report();
    let listed = &report.violation_list;
    assert_eq!(u64::try_from(listed.len()).unwrap(), report.violations_total, "more than are listed");
    for violation in listed {
        let at_ms = i64::try_from(violation.at_ms).unwrap();
        let of_two_owners = match violation.kind {
            ViolationKind::Overlap | ViolationKind::OverlapSameBody => true,
            ViolationKind::OneStampTwoBodies | ViolationKind::StampWentBack | ViolationKind::UnitMixed => false,
        };
        let explained = windows.iter().any(|window| window.explains(at_ms));
        assert!(stage.commit == Commit::Transactions && of_two_owners && explained, "{violation:?}, {windows:?}");
    }
    listed.len()
}

/// Every record that must be set aside is, with its reason; a kill may leave a letter twice where there are no transactions,
/// and no more than that. Returns how many there are, and of how many reasons.
fn check_letters(kafka: &RealKafka, stage: &Stage) -> (usize, usize) {
    let mut expected: BTreeMap<(i32, i64), &str> = BTreeMap::new();
    for (partition, folded) in &stage.expected {
        let letters = stage.letters(folded);
        expected.extend(letters.into_iter().map(|(offset, reason)| ((*partition, offset), reason)));
    }
    let letters = kafka.read_all(&format!("{}.dead-letters", stage.group));
    let mut found: BTreeMap<(i32, i64), String> = BTreeMap::new();
    for (partition, letter) in &letters {
        assert_eq!(header(letter, "__connect.errors.topic"), stage.topic);
        assert_eq!(header(letter, "__connect.errors.partition"), partition.to_string());
        let offset = header(letter, "__connect.errors.offset").parse().unwrap();
        let before = found.insert((*partition, offset), header(letter, "order-sync.reason"));
        assert!(stage.commit == Commit::Local || before.is_none(), "{partition}/{offset} has a second letter");
    }
    let same = found.iter().map(|(id, reason)| (*id, reason.as_str())).eq(expected.clone());
    assert!(same, "letters {found:?}, and not {expected:?}");
    let reasons: BTreeSet<&str> = expected.values().copied().collect();
    (letters.len(), reasons.len())
}

fn header(letter: &Record, name: &str) -> String {
    let header = letter.headers.iter().rfind(|header| header.name == name).unwrap_or_else(|| panic!("no {name}"));
    String::from_utf8(header.value.clone().unwrap().into_vec()).unwrap()
}
