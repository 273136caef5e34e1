//! `verify` on a real Kafka: what a healthy run is, and what damage it finds.

use serde_json::{Value, json};

use super::fixture::{OPEN_ID, World, assert_silent, event};
use super::planting::{Entry, Planting, check_found, check_sound, compacted, last, without_settings};
use crate::support::real_kafka::RealKafka;

#[test]
fn real_kafka_verify_accounts_for_a_healthy_run() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    world.send(kafka, &[("G-9", event("G-9", 0, "paid"))]);
    let planting = Planting { kafka, world: &world };
    let told = planting.verify(&[]);
    check_sound(&told);
    assert_silent(&format!("{told:?}"));
    insta::assert_snapshot!("verify", world.steady(&told.out));
    let json = planting.verify(&["--output", "json"]).out();
    insta::assert_snapshot!("verify_json", world.steady(&json));
    // A part of it.
    let told = planting.verify(&["--from", "1", "--until", "3", "--output", "json"]).lines();
    let last = told.last().unwrap();
    assert_eq!((&last["records"], &last["outcomes"]["delivered"]), (&json!(2), &json!(1)), "{last}");
    assert_eq!(last["outcomes"]["stale"], 1, "{last}");
    let told = planting.verify(&["--from", "2100-01-01T00:00:00Z", "--output", "json"]).lines();
    assert_eq!(told.last().unwrap()["records"], 0);
}

#[test]
fn real_kafka_verify_says_what_it_cannot_do() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, false);
    world.check_refused(&["verify"], 7, &["there is no changelog", "kafka.exactly_once"]);
    world.check_refused(&["verify", "--topic", "x"], 7, &["there is no changelog"]);
    world.check_refused(&["verify", "--from", "yesterday"], 2, &["is no place"]);
    world.check_refused(&["verify", "--set", "kafka.group_id=another"], 7, &["kafka.group_id"]);
}

/// Commands, other settings, an order with another app's unit: none of it is damage, be the changelog compacted or not.
#[test]
fn real_kafka_verify_takes_commands_and_settings_as_the_log_has_them() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let planting = Planting { kafka, world: &world };
    let id = |offset: i64| format!("{}/0/{offset}", world.topic);
    world.mend();
    let now = order_sync::app::worker::wall_ms();
    let mut future = event("T-1", 0, "paid");
    future["occurred_at"] = json!(now + 3_600_000);
    let mut long = event("L-1", 0, "paid");
    long["order"]["items"][0]["title"] = json!("长".repeat(400));
    // Offsets 7 and 8.
    world.goes_on(kafka, &[("T-1", future), ("L-1", long)]);
    let give = |args: &[&str]| drop(world.run(&[args, &["--no-wait", "--why", "a test"]].concat()).out());
    give(&["dead-letters", "redrive", &id(6)]);
    give(&["dead-letters", "discard", &id(4)]);
    give(&["orders", "fold", &id(2)]);
    give(&["orders", "resync", "G-2"]);
    world.goes_on(kafka, &[("G-1", event("G-1", 5, "redeemed")), ("G-2", event("G-2", 5, "redeemed"))]);
    give(&["orders", "resync", "G-1"]);
    world.catch_up();
    check_sound(&planting.verify(&[]));
    let whole = planting.changelog();
    for cleaned in [whole.len() / 2, whole.len() - 3, whole.len()] {
        check_sound(&planting.verify_by(&compacted(&whole, cleaned)));
    }
    // The source's beginning is gone.
    kafka.delete_records(&world.topic, 0, 4);
    let told = planting.verify(&[]);
    check_sound(&told);
    assert!(told.out.contains("4 offsets are gone"), "{}", told.out);
    check_sound(&planting.verify_by(&compacted(&whole, whole.len())));
}

/// Settings that change stamps, requests and what is refused, one after another; the log is explained by all of them.
#[test]
fn real_kafka_verify_knows_that_settings_were_others() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let planting = Planting { kafka, world: &world };
    world.mend();
    let long = |number: i64| {
        let mut event = event("L-1", number, "paid");
        event["order"]["items"][0]["title"] = json!("长".repeat(400));
        event
    };
    let coupon = |number: i64| {
        let mut coupon: Value =
            serde_json::from_str(include_str!("../../golden/group_coupon_paid.event.json")).unwrap();
        (coupon["app_id"], coupon["order_id"]) = (json!("tt1"), json!("C-1"));
        (coupon["event_id"], coupon["sequence"]) = (json!(format!("C-1-{number}")), Value::Null);
        coupon["occurred_at"] = json!(1_760_000_000_000_i64 + number);
        coupon
    };
    let config = std::fs::read_to_string(world.site.config_file()).unwrap();
    let configure = |lines: &[(&str, &str)]| {
        let changed = lines.iter().fold(config.clone(), |config, (at, line)| {
            assert!(config.contains(at), "{config}");
            config.replacen(at, &format!("{at}\n{line}"), 1)
        });
        std::fs::write(world.site.config_file(), changed).unwrap();
    };
    let (app, douyin) = ("client_key = \"ck\"", "[douyin]");
    let ms = "update_time_unit = \"milliseconds\"";
    configure(&[(app, &format!("{ms}\n[limits]\ntext = \"strict\""))]);
    world.goes_on(kafka, &[("L-1", long(0)), ("G-1", event("G-1", 10, "refunding")), ("C-1", coupon(1))]);
    configure(&[(app, ms), (douyin, "goods_entry_type = \"integer\"")]);
    let again = [("G-1", event("G-1", 11, "refunded")), ("L-1", long(1)), ("C-1", coupon(2))];
    world.goes_on(kafka, &again);
    configure(&[(app, ms)]);
    world.goes_on(kafka, &[("C-1", coupon(3)), ("L-1", long(2))]);
    check_sound(&planting.verify(&[]));
    let whole = planting.changelog();
    check_sound(&planting.verify_by(&compacted(&whole, whole.len())));
    // A log from before settings were recorded is explained by all that may have been.
    let whole = without_settings(&whole);
    for older in [whole.clone(), compacted(&whole, whole.len())] {
        let told = planting.verify_by(&older);
        check_sound(&told);
        assert!(told.err.contains("by other settings than today's"), "{told:?}");
    }
    // None of them explains a stamp that is one off.
    let state = planting.key("state", r#""tt1","C-1""#);
    let one_off = changed(&whole, &state, |state| {
        state["update_time"] = json!(state["update_time"].as_i64().unwrap() + 1);
    });
    check_found(&planting.verify_by(&one_off), &[(13, "stamp_differs")]);
}

/// The value of the last record of a key, changed.
pub fn changed(entries: &[Entry], key: &str, change: impl FnOnce(&mut Value)) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    let at = entries.iter().rposition(|(other, value)| other == key && value.is_some());
    let at = at.unwrap_or_else(|| panic!("no {key}"));
    let mut value: Value = serde_json::from_str(entries[at].1.as_deref().unwrap()).unwrap();
    change(&mut value);
    entries[at].1 = Some(value.to_string());
    entries
}

#[test]
fn real_kafka_verify_finds_what_is_wrong_in_the_changelog() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    world.goes_on(kafka, &[("G-2", event("G-2", 4, "redeemed"))]);
    world.send(kafka, &[("G-2", event("G-2", 5, "refunding"))]);
    let planting = Planting { kafka, world: &world };
    let sound = planting.changelog();
    check_sound(&planting.verify_by(&sound));
    let (g1, g2) = (planting.key("state", r#""tt1","G-1""#), planting.key("state", r#""tt1","G-2""#));
    let position = planting.key("position", "");
    for all in [sound.clone(), compacted(&sound, sound.len())] {
        // A hole: the order stands as if the event had not been.
        let first = sound.iter().find(|(key, _)| *key == g2).unwrap().clone();
        check_found(&planting.verify_by(&[all.clone(), vec![first]].concat()), &[(7, "hole")]);
        // A hole: the position has passed what nobody folded.
        let is_whole = all.len() == sound.len();
        let ahead = changed(&all, &position, |position| position["next"] = json!(9));
        check_found(&planting.verify_by(&ahead), &[(8, if is_whole { "never_owed" } else { "hole" })]);
        // A changed byte, in the document and elsewhere.
        let byte = changed(&all, &g1, |state| state["document"]["total_price"] = json!(1991));
        check_found(&planting.verify_by(&byte), &[(1, "state_differs")]);
        let byte = changed(&all, &g1, |state| state["event_ids"] = json!(["G-1-3"]));
        check_found(&planting.verify_by(&byte), &[(1, "state_differs")]);
        let byte = changed(&all, &g1, |state| {
            let digest = state["digest"].as_str().unwrap().to_owned();
            let other = if digest.starts_with('0') { "1" } else { "0" };
            state["digest"] = json!(format!("{other}{}", &digest[1..]));
        });
        check_found(&planting.verify_by(&byte), &[(1, "state_differs")]);
        // A stamp that is one off.
        let stamp = last(&all, &g1)["update_time"].as_i64().unwrap();
        for off in [stamp - 1, stamp + 1] {
            let one_off = changed(&all, &g1, |state| state["update_time"] = json!(off));
            check_found(&planting.verify_by(&one_off), &[(1, "stamp_differs")]);
        }
        // A state that is gone, one of nobody, and one that is no state.
        let gone = [all.clone(), vec![(g1.clone(), None)]].concat();
        check_found(&planting.verify_by(&gone), &[(0, "state_missing"), (1, "state_missing")]);
        let mut other = last(&all, &g1);
        other["applied_offset"] = json!(2);
        let nobodys = (planting.key("state", r#""tt1","X-1""#), Some(other.to_string()));
        check_found(&planting.verify_by(&[all.clone(), vec![nobodys]].concat()), &[(2, "state_unexplained")]);
        let torn = [all.clone(), vec![(g1.clone(), Some("{".to_owned()))]].concat();
        check_found(&planting.verify_by(&torn), &[(1, "unreadable")]);
        // A letter without its status, and a status without a letter.
        let status = [all.clone(), vec![(planting.key("letter", "5"), None)]].concat();
        check_found(&planting.verify_by(&status), &[(5, "status_missing")]);
        let mut alone = last(&all, &planting.key("letter", "6"));
        alone["stamp"] = json!(1);
        let alone = (planting.key("letter", "3"), Some(alone.to_string()));
        check_found(&planting.verify_by(&[all.clone(), vec![alone]].concat()), &[(3, "letter_missing")]);
    }
}

/// What only the records between two states tell: they are there until compaction has taken them.
#[test]
fn real_kafka_verify_finds_what_is_wrong_between_two_states() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let planting = Planting { kafka, world: &world };
    let sound = planting.changelog();
    let of = |stamp: i64| planting.key("owed", &format!(r#""tt1","G-1",{stamp}"#));
    let (first, second) = (1_760_000_000, 1_760_000_120);
    let without: Vec<Entry> = sound.iter().filter(|(key, _)| *key != of(first)).cloned().collect();
    assert_eq!(without.len(), sound.len() - 2, "owed, and settled");
    check_found(&planting.verify_by(&without), &[(0, "never_owed")]);
    check_sound(&planting.verify_by(&compacted(&without, without.len())));
    let one_off: Vec<Entry> = sound
        .iter()
        .map(|(key, value)| {
            let is_it = *key == of(second);
            let off = |value: &String| value.replace(&second.to_string(), &(second + 1).to_string());
            if is_it { (of(second + 1), value.as_ref().map(off)) } else { (key.clone(), value.clone()) }
        })
        .collect();
    check_found(&planting.verify_by(&one_off), &[(1, "stamp_differs")]);
    let byte = changed(&sound, &of(second), |owed| owed["request"]["open_id"] = json!("another"));
    check_found(&planting.verify_by(&byte), &[(1, "request_differs")]);
    // One that no event gives, owed this very moment: of the stale event.
    let mut owed = last(&sound[..sound.iter().rposition(|(key, _)| *key == of(second)).unwrap()], &of(second));
    owed["offset"] = json!(2);
    let nobodys = (of(second + 9), Some(owed.to_string()));
    check_found(&planting.verify_by(&[sound, vec![nobodys]].concat()), &[(2, "unexplained_delivery")]);
}

#[test]
fn real_kafka_verify_finds_what_is_wrong_with_letters_and_source() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let planting = Planting { kafka, world: &world };
    let letters = planting.letters();
    check_sound(&planting.verify_by_letters(&letters));
    for (at, offset) in [(0, 4), (1, 5), (2, 6)] {
        let mut fewer = letters.clone();
        fewer.remove(at);
        check_found(&planting.verify_by_letters(&fewer), &[(offset, "letter_missing")]);
        let mut byte = letters.clone();
        let value = byte[at].value.as_mut().unwrap();
        value[3] ^= 1;
        check_found(&planting.verify_by_letters(&byte), &[(offset, "letter_differs")]);
        let mut header = letters.clone();
        let reason = header[at].headers.iter_mut().find(|header| header.name == "order-sync.reason").unwrap();
        if offset != 6 {
            reason.value = Some(b"unsupported_schema_version"[..].into());
            check_found(&planting.verify_by_letters(&header), &[(offset, "letter_unexplained")]);
        }
    }
    // A changed byte of a record: of one that was folded, of one that was set aside, and of the last one.
    let source = planting.source();
    let replaced = |at: usize, from: &str, to: &str| {
        let mut records = source.clone();
        let text = String::from_utf8(records[at].value.clone().unwrap().into_vec()).unwrap();
        assert!(text.contains(from), "{text}");
        records[at].value = Some(text.replace(from, to).into_bytes().into());
        planting.replace_source(&records);
        planting.verify(&[])
    };
    // Where the worker's first commits were cut elsewhere, the state is what is held against it first.
    let told = replaced(1, "1990", "1991");
    let reason = if told.out.contains("state_differs") { "state_differs" } else { "request_differs" };
    check_found(&told, &[(1, reason)]);
    check_found(&replaced(3, r#""event_id":"G-2-0""#, r#""event_id":"G-2-1""#), &[(3, "state_differs")]);
    check_found(&replaced(4, "open_id", "open-id"), &[(4, "letter_differs")]);
    check_found(&replaced(5, OPEN_ID, "another"), &[(5, "letter_differs")]);
    check_found(&replaced(6, "event_id", "event_iD"), &[(6, "record_changed")]);
    planting.replace_source(&source[..6]);
    check_found(&planting.verify(&[]), &[(6, "record_changed")]);
}
