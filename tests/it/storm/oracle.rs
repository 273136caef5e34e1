//! Compares what the sandbox and the dead-letter topic hold with what the second reading says.

use std::collections::{BTreeMap, BTreeSet};

use order_sync::record::Record;
use order_sync::sandbox::{Outcome as PushOutcome, ViolationKind};
use serde_json::Value;

use super::stage::{Commit, Stage};
use crate::reference::{Outcome, Push};
use crate::support::real_kafka::RealKafka;

#[expect(clippy::print_stdout, reason = "the figures of a storm are worth reading")]
pub fn check(kafka: &RealKafka, stage: &Stage) {
    let report = stage.sandbox.report();
    // A worker that was cut off may have an attempt under way that it sends late: one more receipt, and nothing else.
    let late: u64 = match stage.commit {
        Commit::Local => 0,
        Commit::Transactions => {
            report.violations[ViolationKind::Overlap.as_str()]
                + report.violations[ViolationKind::OverlapSameBody.as_str()]
        }
    };
    assert_eq!(report.violations_total - late, 0, "{:?}", report.violation_list);
    for folded in stage.expected.values() {
        for ((app, order), pushes) in &folded.pushes {
            check_order(stage, app, order, pushes);
        }
    }
    let orders: usize = stage.expected.values().map(|folded| folded.pushes.len()).sum();
    assert_eq!(stage.sandbox.orders().len(), orders, "orders that nobody wrote");
    check_letters(kafka, stage);
    println!(
        "{} orders, {} pushes applied, {} received, {} repeats, {} dead letters",
        orders,
        report.applied,
        report.received,
        report.repeats,
        stage.expected.values().map(|f| f.outcomes.iter().filter(|o| is_letter(o)).count()).sum::<usize>(),
    );
}

/// Every state of the order was applied, in order, under its stamp, with exactly its content.
fn check_order(stage: &Stage, app: &str, order: &str, pushes: &[Push]) {
    let history = stage.sandbox.history(app, order);
    let applied: Vec<(i64, Value, Value)> = history
        .iter()
        .filter(|push| push.outcome == PushOutcome::Applied)
        .map(|push| {
            let mut request: Value = serde_json::from_slice(&push.body).unwrap();
            let request = request.as_object_mut().unwrap();
            request.remove("access_token");
            let stamp = request.remove("update_time").and_then(|stamp| stamp.as_i64()).unwrap();
            let detail = request.remove("order_detail").unwrap();
            let detail = serde_json::from_str(detail.as_str().unwrap()).unwrap();
            (stamp, Value::Object(request.clone()), detail)
        })
        .collect();
    let expected: Vec<(i64, Value, Value)> =
        pushes.iter().map(|push| (push.stamp, push.request.clone(), push.order_detail.clone())).collect();
    assert_eq!(applied, expected, "{app}/{order}");
}

fn is_letter(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::DeadLetter(_))
}

/// Every record that must be set aside is, with its reason; a kill may leave a letter twice, and no more than that.
#[expect(clippy::print_stdout, reason = "the figures of a storm are worth reading")]
fn check_letters(kafka: &RealKafka, stage: &Stage) {
    let mut expected: BTreeMap<(i32, i64), String> = BTreeMap::new();
    for (partition, folded) in &stage.expected {
        for (outcome, offset) in folded.outcomes.iter().zip(0..) {
            if let Outcome::DeadLetter(reason) = outcome {
                expected.insert((*partition, offset), (*reason).to_owned());
            }
        }
    }
    let letters = kafka.read_all(&format!("{}.dead-letters", stage.group));
    let mut found: BTreeMap<(i32, i64), String> = BTreeMap::new();
    for (partition, letter) in &letters {
        assert_eq!(header(letter, "__connect.errors.topic"), stage.topic);
        assert_eq!(header(letter, "__connect.errors.partition"), partition.to_string());
        let offset = header(letter, "__connect.errors.offset").parse().unwrap();
        found.insert((*partition, offset), header(letter, "order-sync.reason"));
    }
    assert_eq!(found, expected);
    let reasons: BTreeSet<&String> = expected.values().collect();
    let twice = letters.len() - found.len();
    println!("{} letters of {} reasons, {twice} twice", found.len(), reasons.len());
    assert!(stage.commit == Commit::Local || twice == 0, "with transactions a letter stands there once");
}

fn header(letter: &Record, name: &str) -> String {
    let header = letter.headers.iter().rfind(|header| header.name == name).unwrap_or_else(|| panic!("no {name}"));
    String::from_utf8(header.value.clone().unwrap().into_vec()).unwrap()
}
