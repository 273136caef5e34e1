//! Timelines of made-up orders: what their events come to when they are folded again, and what of their app stands in them.

use super::order_log::{Debt, Executed, OrderLog};
use super::timeline::{Agreement, Entry, Happened, Judge, timeline};
use super::{Eras, Judged, LetterDetail};
use crate::douyin::{GoodsEntryType, TextPolicy, TicketLists};
use crate::order::again::resync;
use crate::order::event::{EventRules, decode};
use crate::order::fold::{FoldAs, FoldRules, fold_as};
use crate::order::{
    AppId, DeadLetterReason, Fault, Identity, MapInput, MapOrder, Mapped, OrderState, TimeUnit, Transition, UpdateTime,
};
use crate::record::{Header, NextOffset, Record, RecordOffset, TopicPartition};
use crate::sync::changelog::{LetterState, SettingsFrom};
use crate::sync::command::{Action, Command, CommandDone, Outcome};
use crate::sync::fold_settings::{AppFolding, FoldSettings, FoldedBy};

/// When records come; those of the future lie an hour ahead of it.
const T0: i64 = 1_760_000_000_000;
const HOUR_MS: i64 = 3_600_000;

/// Sends the status.
struct SendsStatus;

impl MapOrder for SendsStatus {
    fn map(&self, input: &MapInput<'_>) -> Result<Mapped, Fault> {
        Ok(Mapped { draft: format!("{{\"status\":{:?}}}", input.status.as_str()).into(), ..Mapped::default() })
    }
}

fn judge() -> Judge<'static> {
    let events = EventRules { apps: vec![AppId::new("tt1")], max_clock_skew_ms: 0 };
    let rules = FoldRules { unit: TimeUnit::Seconds, removed_stamp: UpdateTime::ZERO };
    Judge { then: Eras::default(), events, rules, mapper: &SendsStatus }
}

fn identity() -> Identity {
    Identity::new(AppId::new("tt1"), "A1")
}

/// An event of the order, whose record comes `offset` seconds after the first.
fn event(offset: i64, status: &str, occurred_ms: i64) -> Record {
    let value = format!(
        r#"{{"event_id":"e{offset}","order_id":"A1","order_type":"normal","status":"{status}","occurred_at":{occurred_ms},"order":{{}}}}"#
    );
    let (key, value) = (Some(b"A1".as_slice().into()), Some(value.into_bytes().into()));
    let timestamp_ms = Some(T0 + offset * 1000);
    Record { offset: RecordOffset::new(offset), timestamp_ms, key, value, headers: Vec::new() }
}

/// A letter of the event at this offset.
fn letter(offset: i64, times: u32, stage: &str, reason: &str) -> Judged {
    let header = |name: &str, value: &str| Header { name: name.into(), value: Some(value.as_bytes().into()) };
    let headers = vec![
        header("__connect.errors.topic", "orders"),
        header("__connect.errors.partition", "0"),
        header("__connect.errors.offset", &offset.to_string()),
        header("__connect.errors.stage", stage),
        header("order-sync.reason", reason),
        header("order-sync.times", &times.to_string()),
    ];
    let at_ms = T0 + offset * 1000 + i64::from(times);
    let record = Record { offset: RecordOffset::new(1), timestamp_ms: Some(at_ms), key: None, value: None, headers };
    (LetterDetail::read(&(0, record)).unwrap(), LetterState::Redriven)
}

/// What a worker has executed at this second, before the record at `next`.
fn executed(command: &str, outcome: Outcome, at_s: i64, offset: Option<i64>, next: i64) -> Executed {
    let names_order = !matches!(command, "pause" | "resume" | "accept_rejections");
    let done = CommandDone {
        command: command.into(),
        outcome,
        message: "".into(),
        offset: offset.map(RecordOffset::new),
        app_id: Some(AppId::new("tt1")),
        order_id: names_order.then(|| "A1".into()),
        update_time: None,
        next: NextOffset::new(next),
        command_offset: RecordOffset::new(at_s),
        at_ms: T0 + at_s * 1000,
        who: "alice".into(),
        why: "a test".into(),
    };
    Executed { source: TopicPartition::new("orders", 0), id: format!("{command}@{at_s}").into(), done }
}

/// The state that a worker comes to.
fn folded(steps: &[(FoldAs, &Record)]) -> OrderState {
    let (mut state, judge) = (None, judge());
    for (way, record) in steps {
        let event = decode(record.value.as_deref().unwrap(), &judge.events, i64::MAX).unwrap();
        let offset = record.offset.get();
        match fold_as(*way, state.as_ref(), &event, offset, judge.rules, judge.mapper).unwrap() {
            Transition::Advanced(after) | Transition::Unchanged(after) => state = Some(after.state),
            Transition::Duplicate | Transition::Stale => {}
        }
    }
    state.unwrap()
}

fn told(log: &OrderLog, records: &[Record], letters: &[Judged], commands: &[Executed]) -> (Vec<Entry>, Agreement) {
    let commands: Vec<&Executed> = commands.iter().collect();
    timeline(&identity(), log, records, letters, (&commands, &[]), &judge())
}

/// The outcomes of the events, with why they were set aside.
fn outcomes(entries: &[Entry]) -> Vec<(&'static str, Option<&str>)> {
    let told = entries.iter().filter_map(|entry| {
        let Happened::Event { outcome, reason, .. } = &entry.what else { return None };
        Some((outcome.unwrap_or("unknown"), reason.as_deref()))
    });
    told.collect()
}

#[test]
fn an_event_that_was_redriven_is_folded_where_its_command_stood() {
    let late = Record { timestamp_ms: Some(T0 + 3 * HOUR_MS), ..event(2, "refunding", T0 + 2 * HOUR_MS) };
    let records = [event(0, "paid", T0), event(1, "redeemed", T0 + HOUR_MS), late];
    let letters = [letter(1, 1, "decode", "time_in_future")];
    let redrive = executed("redrive", Outcome::Folded, 5000, Some(1), 2);
    let [first, future, last] = &records;
    let steps = [(FoldAs::Event, first), (FoldAs::Redrive, future), (FoldAs::Event, last)];
    let log = OrderLog { state: Some(folded(&steps)), ..OrderLog::default() };
    let (entries, agreement) = told(&log, &records, &letters, &[redrive]);
    assert_eq!(agreement, Agreement::Agrees);
    let aside = ("dead_letter", Some("time_in_future"));
    assert_eq!(outcomes(&entries), [("advanced", None), aside, ("advanced", None)]);
    // An order of which nothing else is known, and the same without the command.
    let log = OrderLog { state: Some(folded(&[(FoldAs::Redrive, future)])), ..OrderLog::default() };
    let redrive = executed("redrive", Outcome::Folded, 5000, Some(1), 2);
    assert_eq!(told(&log, &records[1..2], &letters, &[redrive]).1, Agreement::Agrees);
    assert_eq!(told(&log, &records[1..2], &letters, &[]).1, Agreement::Unknown);
    let refused = executed("redrive", Outcome::Refused, 5000, Some(1), 2);
    assert_eq!(told(&log, &records[1..2], &letters, &[refused]).1, Agreement::Unknown);
}

#[test]
fn an_event_that_an_operator_has_had_folded_comes_in_behind_what_stood_before() {
    let records = [event(0, "paid", T0), event(1, "cancelled", T0 - HOUR_MS), event(2, "redeemed", T0 + 1)];
    let [first, stale, last] = &records;
    let steps = [(FoldAs::Event, first), (FoldAs::Word, stale), (FoldAs::Event, last)];
    let log = OrderLog { state: Some(folded(&steps)), ..OrderLog::default() };
    let command = executed("fold", Outcome::Folded, 9, Some(1), 2);
    let (entries, agreement) = told(&log, &records, &[], &[command]);
    assert_eq!(outcomes(&entries), [("advanced", None), ("stale", None), ("advanced", None)]);
    assert_eq!(agreement, Agreement::Agrees);
    // The stamp of the last one lies above that of the fold.
    assert_eq!(told(&log, &records, &[], &[]).1, Agreement::Differs);
}

#[test]
fn the_first_letter_says_whether_an_event_was_folded() {
    let records = [event(0, "paid", T0 + HOUR_MS)];
    // It was set aside, redriven, and has come back from Douyin: the newest letter first.
    let letters = [letter(0, 2, "deliver", "rejected_by_platform"), letter(0, 1, "decode", "time_in_future")];
    let redrive = executed("redrive", Outcome::Folded, 5000, Some(0), 1);
    let log = OrderLog { state: Some(folded(&[(FoldAs::Redrive, &records[0])])), ..OrderLog::default() };
    let (entries, agreement) = told(&log, &records, &letters, &[redrive]);
    assert_eq!(outcomes(&entries), [("dead_letter", Some("time_in_future"))]);
    assert_eq!(agreement, Agreement::Agrees);
    assert_eq!(outcomes(&told(&log, &[event(0, "paid", T0)], &letters[..1], &[]).0), [("advanced", None)]);
}

/// The app-wide commands of a timeline.
fn of_app(log: &OrderLog, commands: &[Executed]) -> Vec<String> {
    let records = [event(100, "paid", T0), event(200, "redeemed", T0 + 1)];
    let (entries, _) = told(log, &records, &[], commands);
    let id = |entry: Entry| if let Happened::Command { id, .. } = entry.what { Some(id) } else { None };
    entries.into_iter().filter_map(id).collect()
}

#[test]
fn what_was_said_of_the_app_stands_where_it_falls_into_the_orders_own_time() {
    let done = |command: &str, at_s| executed(command, Outcome::Done, at_s, None, 0);
    let commands = [
        done("pause", 10),
        done("resume", 20),
        done("accept_rejections", 30),
        done("pause", 120),
        done("accept_rejections", 130),
        done("resume", 150),
        done("pause", 900),
    ];
    let within = ["pause@120", "accept_rejections@130", "resume@150"];
    let settled = OrderLog::default();
    assert_eq!(of_app(&settled, &commands), within);
    // What it still owes, the last pause explains.
    let mut owing = OrderLog::default();
    owing.owed.insert(UpdateTime(1), Debt { offset: 200, at_ms: T0 + 200_000 });
    assert_eq!(of_app(&owing, &commands), [&within[..], &["pause@900"]].concat());
    // One that stood when the order came explains why it had to wait; one that was refused never stood.
    assert_eq!(of_app(&settled, &[done("pause", 10), done("resume", 150)]), ["pause@10", "resume@150"]);
    assert_eq!(of_app(&settled, &[executed("pause", Outcome::Refused, 10, None, 0)]), [""; 0]);
    // A command of its own makes its time longer.
    let resync = executed("resync", Outcome::Sent, 950, None, 300);
    let commands = [done("pause", 900), resync, done("resume", 960)];
    assert_eq!(of_app(&settled, &commands), ["pause@900", "resync@950"]);
}

#[test]
fn a_pause_that_waits_stands_where_the_order_owes_something() {
    let action = Action::Pause { app_id: AppId::new("tt1") };
    let source = TopicPartition::new("orders", 0);
    let given = Command { id: "p".into(), source, action, who: "bob".into(), why: "".into(), at_ms: T0 + HOUR_MS };
    let records = [event(0, "paid", T0)];
    let count = |log: &OrderLog| {
        let (entries, _) = timeline(&identity(), log, &records, &[], (&[], &[&given]), &judge());
        entries.iter().filter(|entry| matches!(&entry.what, Happened::Command { outcome: "waiting", .. })).count()
    };
    let mut owing = OrderLog::default();
    owing.owed.insert(UpdateTime(1), Debt { offset: 0, at_ms: T0 });
    assert_eq!((count(&owing), count(&OrderLog::default())), (1, 0));
}

/// Sends the status and which limits there are. Strict ones do not let a paid order pass.
struct Limited(TextPolicy);

impl MapOrder for Limited {
    fn map(&self, input: &MapInput<'_>) -> Result<Mapped, Fault> {
        if (self.0, input.status.as_str()) == (TextPolicy::Strict, "paid") {
            return Err(Fault::new(DeadLetterReason::FieldOverLimit, "too long"));
        }
        let draft = format!("{{\"status\":\"{} {:?}\"}}", input.status.as_str(), self.0);
        Ok(Mapped { draft: draft.into(), ..Mapped::default() })
    }
}

/// Settings from an offset of the source and one of the commands topic on.
fn settings(update_time_unit: TimeUnit, text: TextPolicy, next: i64, commands: i64) -> SettingsFrom {
    let app = AppFolding { update_time_unit, client_key: None, order_types: Vec::new() };
    let settings = FoldSettings {
        release: "1.2.3".into(),
        max_clock_skew_ms: 0,
        text,
        ticket_lists: TicketLists::Text,
        goods_entry_type: GoodsEntryType::String,
        apps: [(AppId::new("tt1"), app)].into(),
    };
    let (next, commands) = (NextOffset::new(next), Some(NextOffset::new(commands)));
    SettingsFrom { next, commands, before: None, by: FoldedBy::new(settings) }
}

/// What is told after a change of unit and limits before the event at offset 2 and the command at offset 5: the outcomes with
/// stamps or reasons, and whether they give the state.
fn told_by_eras(records: &[Record], letters: &[Judged], command: &Executed, state: OrderState) -> (String, Agreement) {
    let mut then = Eras::default();
    let before = settings(TimeUnit::Seconds, TextPolicy::Truncate, 0, 0);
    for (number, record) in [(1, before), (7, settings(TimeUnit::Milliseconds, TextPolicy::Strict, 2, 5))] {
        then.take(number, Some(record), |by| Box::new(Limited(by.text)));
    }
    let rules = FoldRules { unit: TimeUnit::Milliseconds, removed_stamp: UpdateTime::ZERO };
    let judge = Judge { then, rules, mapper: &Limited(TextPolicy::Strict), ..judge() };
    let log = OrderLog { state: Some(state), ..OrderLog::default() };
    let (entries, agreement) = timeline(&identity(), &log, records, letters, (&[command], &[]), &judge);
    let told = entries.into_iter().filter_map(|entry| {
        let Happened::Event { outcome, update_time, reason, .. } = entry.what else { return None };
        let stamp = update_time.map(|stamp| stamp.to_string());
        Some(format!("{} {}", outcome.unwrap_or("unknown"), stamp.or(reason).unwrap_or_default()))
    });
    (told.collect::<Vec<_>>().join(", "), agreement)
}

/// The state that workers come to by these units and limits, one after another.
fn folded_by(steps: &[(&Record, FoldAs, (TimeUnit, TextPolicy))]) -> OrderState {
    let mut state = None;
    for (record, way, (unit, text)) in steps {
        let event = decode(record.value.as_deref().unwrap(), &judge().events, i64::MAX).unwrap();
        let rules = FoldRules { unit: *unit, removed_stamp: UpdateTime::ZERO };
        let folded = fold_as(*way, state.as_ref(), &event, record.offset.get(), rules, &Limited(*text)).unwrap();
        let Transition::Advanced(advanced) = folded else { panic!("{folded:?}") };
        state = Some(advanced.state);
    }
    state.unwrap()
}

#[test]
fn each_event_and_command_is_judged_by_the_settings_of_its_place() {
    let records = [event(0, "pending_payment", T0), event(1, "paid", T0 + 1000), event(2, "redeemed", T0 + 2000)];
    let [first, second, last] = &records;
    let (then, now) = ((TimeUnit::Seconds, TextPolicy::Truncate), (TimeUnit::Milliseconds, TextPolicy::Strict));
    let nothing = executed("resync", Outcome::Refused, 4, None, 2);
    let [one, two, three] = [(first, FoldAs::Event, then), (second, FoldAs::Event, then), (last, FoldAs::Event, now)];
    let told = "advanced 1760000000, advanced 1760000001, advanced 1760000002000".to_owned();
    let state = folded_by(&[one, two, three]);
    assert_eq!(told_by_eras(&records, &[], &nothing, state), (told, Agreement::Agrees));
    // At one place of the source, the place in the commands topic tells.
    let told = "advanced 1760000000, dead_letter time_in_future".to_owned();
    let state = folded_by(&[one, (second, FoldAs::Redrive, then)]);
    let letters = [letter(1, 1, "decode", "time_in_future")];
    let redrive = executed("redrive", Outcome::Folded, 4, Some(1), 2);
    let judged = told_by_eras(&records[..2], &letters, &redrive, state);
    assert_eq!(judged, (told, Agreement::Agrees));
    for (command, (unit, text)) in [(4, then), (5, now)] {
        let state = resync(&folded_by(&[one]), &identity(), T0 + 9000, unit, &Limited(text)).unwrap().state;
        let mut given = executed("resync", Outcome::Sent, command, None, 2);
        given.done.update_time = Some(state.update_time);
        assert_eq!(told_by_eras(&records[..1], &[], &given, state).1, Agreement::Agrees, "{command}");
    }
}
