//! Replays over a log in memory: what each kind of order is called, and that a bound on memory changes none of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::{Finding, Looks, Range, ReplayRules, Tally, read_held, replay_partition};
use crate::inspect::Personal;
use crate::order::event::{EventRules, decode};
use crate::order::fold::{FoldRules, fold};
use crate::order::{
    AppId, DeadLetterReason, Fault, Identity, Json, MapInput, MapOrder, Mapped, OrderState, TimeUnit, Transition,
    UpdateTime,
};
use crate::record::{NextOffset, Record, RecordOffset, TopicPartition};
use crate::sync::changelog::{ChangelogKey, LetterState, LetterStatus};
use crate::sync::command::{CommandDone, Outcome};
use crate::sync::ports::Position;
use crate::sync::scan::{LogScan, ScanError, Span, Visit};

const T0: i64 = 1_760_000_000_000;

/// Sends `a` and the status; without `a` the order is incomplete.
struct SendsA;

impl MapOrder for SendsA {
    fn map(&self, input: &MapInput<'_>) -> Result<Mapped, Fault> {
        let missing = || Fault::new(DeadLetterReason::IncompleteOrder, "a is missing");
        let a = input.document.get("a").and_then(Json::as_integer).ok_or_else(missing)?;
        Ok(Mapped {
            draft: format!("{{\"a\":{a},\"status\":{:?}}}", input.status.as_str()).into(),
            ..Mapped::default()
        })
    }
}

/// A source and its changelog, one partition each.
#[derive(Default)]
struct Log {
    source: Vec<Record>,
    changelog: Vec<Record>,
    states: BTreeMap<String, OrderState>,
    removed: Option<i64>,
    /// Where the group began to read.
    begun: Option<i64>,
    /// Readings of the source.
    readings: usize,
    /// Another hand writes over what lies in the changelog once it was read.
    is_overwritten: bool,
}

impl LogScan for Log {
    fn partitions(&mut self, _: &str) -> Result<Option<i32>, ScanError> {
        Ok(Some(1))
    }

    fn extents(&mut self, _: &str, _: &[i32]) -> Result<Vec<Span>, ScanError> {
        Ok(Vec::new())
    }

    fn at_time(&mut self, _: &str, _: &[i32], _: i64) -> Result<Vec<Option<NextOffset>>, ScanError> {
        Ok(Vec::new())
    }

    fn read(&mut self, topic: &str, spans: &[Span], visit: &mut Visit<'_>) -> Result<(), ScanError> {
        self.readings += usize::from(topic == "orders");
        let records = if topic == "orders" { &self.source } else { &self.changelog };
        let is_second = self.is_overwritten && topic != "orders" && self.readings > 0;
        let within = |record: &&Record| spans[0].from.covers(record.offset) || spans[0].until.covers(record.offset);
        for record in records.iter().filter(within).filter(|record| !spans[0].from.covers(record.offset)) {
            let value = if is_second { Some(b"{}".as_slice().into()) } else { record.value.clone() };
            if visit(&(0, Record { value, ..record.clone() })).is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn record(at: usize, key: Option<Vec<u8>>, value: Option<Vec<u8>>) -> Record {
    let offset = RecordOffset::new(i64::try_from(at).unwrap());
    Record { offset, timestamp_ms: Some(T0), key: key.map(Into::into), value: value.map(Into::into), headers: vec![] }
}

fn rules() -> ReplayRules<'static> {
    let events = EventRules { apps: vec![AppId::new("tt1")], max_clock_skew_ms: 0 };
    ReplayRules { events, units: [(AppId::new("tt1"), TimeUnit::Seconds)].into(), mapper: &SendsA, others: Vec::new() }
}

fn event(order: &str, minute: i64, status: &str, document: &str) -> String {
    let at = T0 + minute * 60_000;
    format!(
        r#"{{"event_id":"{order}-{minute}","order_id":"{order}","order_type":"normal","status":"{status}","occurred_at":{at},"order":{document}}}"#
    )
}

impl Log {
    /// An event that nobody folds.
    fn passed(&mut self, event: &str) -> i64 {
        self.source.push(record(self.source.len(), None, Some(event.as_bytes().to_vec())));
        i64::try_from(self.source.len() - 1).unwrap()
    }

    /// An event that a worker folds.
    fn folded(&mut self, event: &str) -> i64 {
        let offset = self.passed(event);
        let event = decode(event.as_bytes(), &rules().events, i64::MAX).unwrap();
        let order = event.order_id.to_string();
        let fold_rules = FoldRules { unit: TimeUnit::Seconds, removed_stamp: UpdateTime::ZERO };
        let transition = fold(self.states.get(&order), &event, offset, fold_rules, &SendsA).unwrap();
        if let Transition::Advanced(advanced) | Transition::Unchanged(advanced) = transition {
            self.states.insert(order, advanced.state);
        }
        offset
    }

    fn put(&mut self, key: &ChangelogKey, value: Option<Vec<u8>>) {
        self.changelog.push(record(self.changelog.len(), Some(key.encode("orders")), value));
    }

    fn letter(&mut self, offset: i64, state: LetterState, stamp: Option<i64>) {
        let reason = DeadLetterReason::TimeInFuture;
        let stamp = stamp.map(UpdateTime);
        let status = LetterStatus {
            state,
            reason,
            at_ms: T0,
            times: 1,
            first_failed_ms: None,
            app_id: None,
            order_id: None,
            stamp,
        };
        self.put(&ChangelogKey::Letter(RecordOffset::new(offset)), Some(status.encode().unwrap()));
    }

    /// Writes states and position as a worker has them that stands at `next`.
    fn commit(&mut self, next: i64) {
        for (order, state) in self.states.clone() {
            let mut value = Vec::new();
            state.encode(&mut value);
            self.put(&ChangelogKey::State(Identity::new(AppId::new("tt1"), order)), Some(value));
        }
        let mut position = Position::before(NextOffset::new(next));
        position.removed_stamps =
            self.removed.map(|stamp| (AppId::new("tt1"), UpdateTime(stamp))).into_iter().collect();
        position.begun = self.begun.map(NextOffset::new);
        self.put(&ChangelogKey::Position, Some(position.encode().unwrap()));
    }

    /// `order verdict why` of every order, by their names.
    fn replay_within(&mut self, from: i64, until: i64, bytes_max: usize) -> (Vec<String>, Tally) {
        let span = |from, until| Span { partition: 0, from: NextOffset::new(from), until: NextOffset::new(until) };
        let within = span(0, i64::try_from(self.changelog.len()).unwrap());
        let held = read_held(self, "changelog", within, "orders", &mut |_| {}).unwrap();
        let (source, only) = (TopicPartition::new("orders", 0), BTreeSet::new());
        let range = Range { source, span: span(from, until), only: &only, changelog: ("changelog", within), bytes_max };
        let (mut tally, mut told) = (Tally::default(), Vec::new());
        let mut looks = Looks { left: 9, personal: Personal::Masked };
        let mut tell = |finding: Finding| {
            let why = finding.verdict.why().map_or(String::new(), |why| format!(" {why}"));
            told.push(format!("{} {}{why}", finding.identity.order_id, finding.verdict.as_str()));
            ControlFlow::Continue(())
        };
        replay_partition(self, &rules(), &range, &held, &mut looks, &mut tally, &mut tell, &mut |_| {}).unwrap();
        told.sort();
        (told, tally)
    }

    fn replay(&mut self, from: i64) -> Vec<String> {
        let end = i64::try_from(self.source.len()).unwrap();
        self.replay_within(from, end, usize::MAX).0
    }
}

#[test]
fn what_the_workers_have_set_aside_is_not_folded_whatever_todays_clock_says() {
    let mut log = Log::default();
    log.folded(&event("A", 0, "paid", r#"{"a":1}"#));
    let ahead = log.passed(&event("A", 9, "refunded", r#"{"a":2}"#));
    let only = log.passed(&event("B", 9, "paid", r#"{"a":2}"#));
    let decided = log.passed(&event("C", 9, "paid", r#"{"a":2}"#));
    log.letter(ahead, LetterState::Open, None);
    log.letter(only, LetterState::Open, None);
    log.letter(decided, LetterState::Discarded, None);
    log.commit(4);
    assert_eq!(log.replay(0), ["A same", "B never_delivered set_aside", "C undecided only_set_aside"]);
    // Without its letter the event is one that was lost.
    log.put(&ChangelogKey::Letter(RecordOffset::new(ahead)), None);
    assert_eq!(log.replay(0)[0], "A differing missed");
    assert_eq!(log.replay(1)[0], "A differing missed");
}

#[test]
fn of_an_order_that_began_earlier_nothing_is_said_that_is_not_certain() {
    let mut log = Log::default();
    log.folded(&event("A", 5, "paid", r#"{"a":1,"b":{"c":1,"d":2}}"#));
    // Stale behind what a later beginning does not see.
    log.folded(&event("A", 1, "cancelled", "{}"));
    log.folded(&event("B", 0, "paid", r#"{"a":1}"#));
    // What it patches is all that it says.
    log.folded(&event("B", 1, "refunding", r#"{"b":7}"#));
    log.folded(&event("A", 6, "refunding", r#"{"b":{"c":3}}"#));
    log.commit(5);
    assert_eq!(log.replay(0), ["A same", "B same"]);
    assert_eq!(log.replay(1), ["A same", "B same"]);
    assert_eq!(log.replay(3), ["A same", "B same"]);
    assert_eq!(log.replay_within(1, 4, usize::MAX).0, ["A later", "B same"]);
    // Of the last event alone: the stale one, to which nothing newer is known.
    let mut log = Log::default();
    log.folded(&event("A", 5, "paid", r#"{"a":1}"#));
    log.folded(&event("A", 1, "cancelled", "{}"));
    log.commit(2);
    assert_eq!(log.replay(1), ["A same"]);
    // One that came with the whole order, and is not in it.
    log.passed(&event("A", 7, "refunded", "{}"));
    log.commit(3);
    assert_eq!(log.replay(1), ["A differing missed"]);
}

#[test]
fn what_retention_has_removed_is_no_difference() {
    let mut log = Log::default();
    log.passed(&event("A", 0, "redeemed", r#"{"a":1}"#));
    log.passed(&event("B", 0, "paid", r#"{"a":1}"#));
    log.passed(&event("C", 0, "refunded", r#"{"a":1,"b":1}"#));
    // It came back after it had left, and so without what it was.
    log.folded(&event("C", 9, "paid", r#"{"a":2}"#));
    log.states.get_mut("C").unwrap().document = r#"{"a":2}"#.into();
    log.removed = Some(T0 / 1000);
    log.commit(4);
    assert_eq!(log.replay(0), ["A left", "B never_delivered no_state", "C same"]);
    log.passed(&event("C", 10, "paid", r#"{"b":3}"#));
    log.states.get_mut("C").unwrap().digest = crate::order::Digest([1; 32]);
    log.commit(4);
    assert_eq!(log.replay_within(0, 4, usize::MAX).0[2], "C undecided may_have_left");
    log.removed = None;
    log.commit(4);
    assert_eq!(log.replay_within(0, 4, usize::MAX).0[0], "A never_delivered no_state");
}

#[test]
fn what_a_command_has_folded_is_folded_where_it_stood() {
    let mut log = Log::default();
    log.folded(&event("A", 5, "paid", r#"{"a":1}"#));
    let passed_by = log.folded(&event("A", 1, "cancelled", r#"{"a":2}"#));
    log.folded(&event("B", 0, "paid", r#"{"a":1}"#));
    let done = CommandDone {
        command: "fold".into(),
        outcome: Outcome::Folded,
        message: "".into(),
        offset: Some(RecordOffset::new(passed_by)),
        app_id: Some(AppId::new("tt1")),
        order_id: Some("A".into()),
        update_time: None,
        next: NextOffset::new(3),
        command_offset: RecordOffset::new(0),
        at_ms: T0,
        who: "".into(),
        why: "".into(),
    };
    let state = log.states.get_mut("A").unwrap();
    state.status = crate::order::Status::Cancelled;
    state.document = r#"{"a":2}"#.into();
    state.digest = crate::order::Digest::of(br#"{"a":2,"status":"cancelled"}"#);
    log.commit(3);
    assert_eq!(log.replay(0), ["A differing state", "B same"]);
    log.put(&ChangelogKey::Command("c".into()), Some(done.encode().unwrap()));
    assert_eq!(log.replay(0), ["A same", "B same"]);
    assert_eq!(log.replay(1), ["A same", "B same"]);
    assert_eq!(log.replay(2), ["A undecided commanded", "B same"], "its record was not read");
    assert_eq!(log.replay_within(0, 2, usize::MAX).0, ["A later"]);
}

#[test]
fn a_delivery_that_failed_is_told_from_one_that_was_decided_against() {
    let mut log = Log::default();
    let offset = log.folded(&event("A", 0, "paid", r#"{"a":1}"#));
    log.states.get_mut("A").unwrap().dead_letter =
        Some(crate::order::state::DeadLetterMark { offset, reason: DeadLetterReason::RejectedByPlatform, times: 1 });
    log.commit(1);
    log.letter(offset, LetterState::Open, Some(T0 / 1000));
    assert_eq!(log.replay(0), ["A never_delivered dead_letter"]);
    log.letter(offset, LetterState::Discarded, Some(T0 / 1000));
    assert_eq!(log.replay(0), ["A discarded"]);
    let owed = crate::sync::Owed { request: "{}".into(), offset, timestamp_ms: None };
    let mut value = Vec::new();
    owed.encode(&mut value);
    let identity = Identity::new(AppId::new("tt1"), "A");
    let key = ChangelogKey::Owed(crate::sync::OwedKey { identity, stamp: UpdateTime(T0 / 1000) });
    log.put(&key, Some(value));
    assert_eq!(log.replay(0), ["A never_delivered owed"]);
    log.put(&key, None);
    assert_eq!(log.replay(0), ["A discarded"]);
}

#[test]
fn little_memory_means_more_readings_and_the_same_findings() {
    let mut log = Log::default();
    for number in 0..200 {
        log.folded(&event(&format!("O{:03}", number % 50), number, "paid", &format!(r#"{{"a":{number}}}"#)));
    }
    log.states.get_mut("O007").unwrap().digest = crate::order::Digest([1; 32]);
    log.states.remove("O008");
    log.commit(200);
    let all = log.replay_within(0, 200, usize::MAX);
    assert_eq!((log.readings, all.0.len(), all.1.events, all.1.same), (1, 50, 200, 48));
    assert_eq!((all.1.differing, all.1.never_delivered), (1, 1));
    log.readings = 0;
    let shared = log.replay_within(0, 200, 8_000);
    assert!(log.readings > 2, "{}", log.readings);
    assert_eq!(shared, all);
}

#[test]
fn a_state_that_cannot_be_read_the_second_time_has_changed_and_ends_nothing() {
    let mut log = Log::default();
    log.folded(&event("A", 0, "paid", r#"{"a":1}"#));
    log.folded(&event("B", 0, "paid", r#"{"a":1}"#));
    log.commit(2);
    log.passed(&event("A", 1, "refunded", "{}"));
    log.commit(3);
    assert_eq!(log.replay(0), ["A differing missed", "B same"]);
    (log.readings, log.is_overwritten) = (0, true);
    assert_eq!(log.replay(0), ["A undecided changing", "B same"]);
}

#[test]
fn what_lies_before_the_groups_start_is_not_asked_of_it() {
    let mut log = Log::default();
    log.passed(&event("A", 0, "paid", r#"{"a":9}"#));
    log.passed(&event("B", 0, "paid", r#"{"a":1}"#));
    log.folded(&event("A", 1, "paid", r#"{"a":1}"#));
    log.commit(3);
    assert_eq!(log.replay(0).len(), 2);
    log.begun = Some(2);
    log.commit(3);
    assert_eq!(log.replay(0), ["A same"]);
    assert_eq!(log.replay_within(0, 1, usize::MAX).0, Vec::<String>::new());
}
