//! An operator's session after a storm: what was set aside is looked at, sent again or decided against, and in the end the
//! platform holds what the log says, and every offset is accounted for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use order_sync::sandbox::Faults;
use serde_json::Value;

use super::acts::{Act, script};
use super::fleet::Fleet;
use super::history::content;
use super::stage::Stage;
use super::{oracle, storm};
use crate::reference::Push;
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

/// What a tool prints, line by line; it must end with this code.
fn run(stage: &Stage, code: i32, args: &[&str]) -> Vec<Value> {
    let told = stage.tool(args).output().unwrap();
    let (out, err) = (String::from_utf8(told.stdout).unwrap(), String::from_utf8_lossy(&told.stderr).into_owned());
    assert_eq!(told.status.code(), Some(code), "{args:?}: {err}\n{out}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// The letters by id, with reason and status.
fn letters(stage: &Stage, filter: &[&str]) -> BTreeMap<String, (String, String)> {
    let lines = run(stage, 0, &[&["dead-letters", "list", "--limit", "0"], filter].concat());
    let one = |line: &Value| {
        (text(line, "id").to_owned(), (text(line, "reason").to_owned(), text(line, "status").to_owned()))
    };
    lines.iter().map(one).collect()
}

/// Every order's pushes, as the second reading has them.
fn orders(stage: &Stage) -> impl Iterator<Item = (&str, &str, &[Push])> {
    stage
        .expected
        .values()
        .flat_map(|folded| &folded.pushes)
        .map(|((app, order), pushes)| (&**app, &**order, &**pushes))
}

/// The platform holds each order's last state, under the stamp that it must have, or a later one where it was sent anew.
fn check_held(stage: &Stage, anew: &BTreeSet<(String, String)>) {
    for (app, order, pushes) in orders(stage) {
        let (held, last) = (stage.sandbox.order(app, order), pushes.last().unwrap());
        let held = held.unwrap_or_else(|| panic!("{app}/{order} is not there"));
        let stamp = held.stamp.unwrap();
        if anew.contains(&(app.to_owned(), order.to_owned())) {
            assert!(stamp > last.stamp, "{app}/{order}: {stamp}");
            assert_eq!(content(&held.body).1, last.order_detail, "{app}/{order}");
        } else {
            assert_eq!((stamp, content(&held.body)), (last.stamp, (last.request.clone(), last.order_detail.clone())));
        }
    }
}

#[test]
fn real_kafka_an_operators_session_after_a_storm_brings_platform_and_log_to_equality() {
    let Some(kafka) = RealKafka::shared() else { return };
    let storm = storm(6_000, 600);
    let stage = Stage::set(kafka, &storm);
    let mut fleet = Fleet::start(kafka, &stage, 2, storm.seed);
    for (share, act) in script(storm.seed, &[Act::Kill, Act::KillOntoEmpty, Act::Outage(Duration::from_secs(4))]) {
        fleet.play(share, act);
    }
    oracle::check(kafka, &stage, &fleet.end());
    stage.sandbox.set_faults(Faults::default());
    // What was set aside? Each letter can be shown, with what to do about it.
    let expected: usize = stage.expected.values().map(|folded| stage.letters(folded).len()).sum();
    let all = letters(&stage, &[]);
    assert_eq!(all.len(), expected);
    let mut shown = BTreeSet::new();
    for (id, (reason, _)) in &all {
        if shown.insert(reason.clone()) {
            let letter = &run(&stage, 0, &["dead-letters", "show", id])[0];
            assert_eq!((text(letter, "id"), text(letter, "reason")), (id.as_str(), reason.as_str()));
        }
    }
    // The platform takes the poison by now: it is sent again.
    let mut worker = stage.spawn(9, &[]);
    let poison: BTreeSet<&str> = orders(&stage).map(|(_, order, _)| order).filter(|id| stage.is_poison(id)).collect();
    let rejected = ["--reason", "rejected_by_platform"];
    let redriven =
        run(&stage, 0, &[&["dead-letters", "redrive"][..], &rejected, &["--why", "it takes them now"]].concat());
    let sent = redriven.iter().filter(|line| line["kind"] == "outcome" && line["outcome"] == "sent").count();
    assert_eq!(sent, poison.len(), "the last state of each: {redriven:?}");
    eventually("no rejected letter is open", || {
        letters(&stage, &rejected).values().all(|(_, status)| status != "open")
    });
    check_held(&stage, &BTreeSet::new());
    // The others never were folded; nobody needs them.
    let open: Vec<String> = letters(&stage, &["--status", "open"]).into_keys().collect();
    let ids: Vec<&str> = open.iter().map(String::as_str).collect();
    run(&stage, 0, &[&["dead-letters", "discard", "--why", "the merchant knows"], &ids[..]].concat());
    assert_eq!(letters(&stage, &["--status", "open"]).len(), 0);
    // One order is sent anew.
    let (app, order, _) = orders(&stage).find(|(_, order, _)| !poison.contains(order)).unwrap();
    let outcome = run(&stage, 0, &["orders", "resync", order, "--app", app, "--why", "the customer sees nothing"]);
    assert!(outcome.iter().any(|line| line["outcome"] == "sent"), "{outcome:?}");
    let before = run(&stage, 0, &["orders", "show", order, "--app", app]).remove(0)["update_time"].as_i64().unwrap();
    eventually("it is there", || stage.sandbox.order(app, order).unwrap().stamp == Some(before));
    check_held(&stage, &BTreeSet::from([(app.to_owned(), order.to_owned())]));
    // Is there anything else? No, says the log, folded again twice.
    let replayed = run(&stage, 0, &["replay", "--verify-only"]).pop().unwrap();
    let count = |name: &str| replayed[name].as_u64().unwrap();
    assert_eq!((count("differing"), count("never_delivered"), count("pushes")), (0, 0, 0), "{replayed}");
    // It has seen more: orders of which no event was ever folded.
    assert_eq!(count("same"), u64::try_from(orders(&stage).count()).unwrap(), "{replayed}");
    let account = run(&stage, 0, &["verify"]).pop().unwrap();
    assert_eq!(account["unaccounted"], serde_json::json!([]), "{account}");
    worker.kill().unwrap();
    worker.wait().unwrap();
}
