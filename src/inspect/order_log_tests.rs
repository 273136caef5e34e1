//! What the changelog says of one order, over a log in memory: in several partitions and topics, and within bounds.

use std::collections::BTreeMap;

use super::fake_log::FakeLog;
use super::{Debt, OrderRead, read_order};
use crate::douyin::{GoodsEntryType, Mapper, TextPolicy, TicketLists};
use crate::order::{AppId, Digest, EventTime, Identity, OrderState, OrderType, Status, UpdateTime};
use crate::record::{NextOffset, RecordOffset, TopicPartition};
use crate::sync::changelog::{ChangelogKey, SettingsFrom};
use crate::sync::command::{CommandDone, Outcome};
use crate::sync::fold_settings::{FoldSettings, FoldedBy};
use crate::sync::{Owed, OwedKey};

fn identity(app: &str) -> Identity {
    Identity::new(AppId::new(app), "A1")
}

fn state(stamp: i64) -> Vec<u8> {
    let state = OrderState {
        order_type: OrderType::Normal,
        status: Status::Paid,
        document: "{}".into(),
        applied_offset: stamp,
        event_ids: Vec::new(),
        sequence: None,
        occurred_at: EventTime(1),
        update_time: UpdateTime(stamp),
        digest: Digest([0; 32]),
        dead_letter: None,
    };
    let mut value = Vec::new();
    state.encode(&mut value);
    value
}

fn owed(offset: i64, timestamp_ms: Option<i64>) -> Vec<u8> {
    let mut value = Vec::new();
    Owed { request: "{}".into(), offset, timestamp_ms }.encode(&mut value);
    value
}

fn read(log: &mut FakeLog, sources: &[&str]) -> OrderRead {
    let sources: Vec<String> = sources.iter().map(|source| (*source).to_owned()).collect();
    let within = log.whole("changelog");
    read_order(log, "changelog", &within, &sources, "A1", &mut |_| {}).unwrap()
}

#[test]
fn an_order_is_found_in_every_partition_of_every_topic_that_was_read() {
    let mut log = FakeLog::default();
    let key = |app: &str, topic: &str| ChangelogKey::State(identity(app)).encode(topic);
    log.put("changelog", 0, &key("tt1", "orders"), Some(state(1)));
    log.put("changelog", 1, &key("tt1", "orders"), Some(state(2)));
    log.put("changelog", 1, &key("tt1", "returns"), Some(state(3)));
    log.put("changelog", 1, &key("tt2", "returns"), Some(state(4)));
    log.put(
        "changelog",
        0,
        &ChangelogKey::State(Identity::new(AppId::new("tt1"), "A10")).encode("orders"),
        Some(state(5)),
    );
    // Another hand's.
    let spoiled = log.put("changelog", 0, &key("tt9", "orders"), Some(b"{}".to_vec()));
    let told = |read: &OrderRead| -> Vec<String> {
        let mut told = Vec::new();
        for ((place, identity), log) in &read.orders {
            told.push(format!("{place} {} {}", identity.app_id, log.state.as_ref().unwrap().update_time));
        }
        told
    };
    let both = read(&mut log, &["orders", "returns"]);
    assert_eq!(told(&both), ["orders/0 tt1 1", "orders/1 tt1 2", "returns/1 tt1 3", "returns/1 tt2 4"]);
    assert_eq!((both.unread.count, both.unread.first[0].1), (1, spoiled));
    assert_eq!(told(&read(&mut log, &["orders"])), ["orders/0 tt1 1", "orders/1 tt1 2"]);
}

#[test]
fn a_delivery_is_owed_since_the_commit_that_holds_it() {
    let mut log = FakeLog::default();
    let key = |stamp| {
        let key = OwedKey { identity: identity("tt1"), stamp: UpdateTime(stamp) };
        ChangelogKey::Owed(key).encode("orders")
    };
    for at in 0..3 {
        log.put("changelog", 0, format!("another {at}").as_bytes(), None);
    }
    // By an event of long before, and by a resync, whose debt has the time of the command.
    log.put("changelog", 0, &key(7), Some(owed(40, Some(-5))));
    log.put("changelog", 0, &key(8), Some(owed(41, Some(1_000))));
    log.put("changelog", 0, &key(9), Some(owed(42, None)));
    log.put("changelog", 0, &key(9), None);
    let found = read(&mut log, &["orders"]);
    let debts: Vec<_> = found.orders.values().flat_map(|log| log.owed.iter()).map(|(at, debt)| (at.0, *debt)).collect();
    assert_eq!(debts, [(7, Debt { offset: 40, at_ms: 3 }), (8, Debt { offset: 41, at_ms: 4 })]);
}

#[test]
fn what_was_said_of_apps_and_records_crowds_out_nothing_that_names_the_order() {
    let mut log = FakeLog::default();
    let mut put = |id: &str, command: &str, order: Option<&str>, offset: Option<i64>| {
        let done = CommandDone {
            command: command.into(),
            outcome: Outcome::Done,
            message: "".into(),
            offset: offset.map(RecordOffset::new),
            app_id: Some(AppId::new("tt1")),
            order_id: order.map(Into::into),
            update_time: None,
            next: NextOffset::new(1),
            command_offset: RecordOffset::new(1),
            at_ms: 1,
            who: "alice".into(),
            why: "".into(),
        };
        log.put("changelog", 0, &ChangelogKey::Command(id.into()).encode("orders"), Some(done.encode().unwrap()));
    };
    put("mine", "resync", Some("A1"), None);
    put("another's", "resync", Some("B1"), None);
    for number in 0..250 {
        put(&format!("pause-{number}"), "pause", None, None);
        put(&format!("discard-{number}"), "discard", None, Some(number));
    }
    let found = read(&mut log, &["orders"]);
    let ids: Vec<&str> = found.commands.iter().map(|executed| &*executed.id).collect();
    assert_eq!((ids.len(), ids[0]), (401, "mine"));
    assert_eq!((ids[1], ids[2], ids[400]), ("pause-50", "discard-50", "discard-249"));
}

#[test]
fn the_settings_of_each_source_partition_are_its_own_and_those_that_cannot_be_read_are_told() {
    let mut log = FakeLog::default();
    let mut put = |topic: &str, partition, number, next, release: &str| {
        let by = FoldedBy::new(FoldSettings {
            release: release.into(),
            max_clock_skew_ms: 0,
            text: TextPolicy::Strict,
            ticket_lists: TicketLists::Text,
            goods_entry_type: GoodsEntryType::String,
            apps: BTreeMap::new(),
        });
        let value = SettingsFrom { next: NextOffset::new(next), commands: None, before: None, by }.encode().unwrap();
        let value = if release.is_empty() { b"{}".to_vec() } else { value };
        log.put("changelog", partition, &ChangelogKey::Settings(number).encode(topic), Some(value))
    };
    put("orders", 0, 1, 0, "1");
    put("returns", 0, 1, 5, "2");
    put("orders", 1, 4, 10, "3");
    put("orders", 0, 9, 20, "2");
    let spoiled = put("orders", 0, 12, 30, "");
    let found = read(&mut log, &["orders", "returns"]);
    let told = |topic: &str, partition, offset| {
        let eras = found.eras(&TopicPartition::new(topic, partition), |by| Box::new(Mapper::new(by.map_settings())));
        eras.at(offset).map(|by| by.release.to_string())
    };
    let is = |release: &str| Some(release.to_owned());
    assert_eq!([told("returns", 0, 4), told("returns", 0, 5)], [None, is("2")]);
    assert_eq!([told("orders", 1, 9), told("orders", 1, 10)], [None, is("3")]);
    // From where on what cannot be read was in force, is not known.
    assert_eq!([told("orders", 0, 0), told("orders", 0, 19), told("orders", 0, 20)], [is("1"), is("1"), None]);
    assert_eq!((found.unread.count, found.unread.first[0].1), (1, spoiled));
}
