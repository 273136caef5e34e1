//! A log of cuts becomes records, in any batches and compacted at any point, and comes back as what was committed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proptest::prelude::*;

use super::{ChangelogKey, ChangelogRecord, Debt, Gathered, LetterState, LetterStatus, records, write_records};
use crate::order::{
    AppId, DeadLetterReason, Digest, EventTime, Identity, OrderState, OrderType, Stage, Status, UpdateTime,
};
use crate::record::{NextOffset, RecordOffset, TopicPartition};
use crate::sync::command::{CommandDone, Outcome};
use crate::sync::commit::CutPart;
use crate::sync::overlay::Overlay;
use crate::sync::ports::Position;
use crate::sync::{Acceptance, DeadLetter, LastError, Owed, OwedKey};

fn identity(order: u8) -> Identity {
    Identity::new(AppId::new("tt1"), format!("A\"{order}"))
}

fn state(stamp: i64) -> OrderState {
    OrderState {
        order_type: OrderType::Normal,
        status: Status::Paid,
        document: format!(r#"{{"n":{stamp}}}"#).into(),
        applied_offset: stamp,
        event_ids: vec!["e".into()],
        sequence: None,
        occurred_at: EventTime(1_700_000_000_000),
        update_time: UpdateTime(stamp),
        digest: Digest([7; 32]),
        dead_letter: None,
    }
}

fn owed(stamp: i64) -> Owed {
    Owed { request: format!(r#"{{"update_time":{stamp}}}"#).into(), offset: stamp, timestamp_ms: Some(stamp) }
}

fn letter(source: &TopicPartition, offset: i64) -> DeadLetter {
    DeadLetter {
        source: source.clone(),
        offset: RecordOffset::new(offset),
        record: None,
        reason: DeadLetterReason::UnknownApp,
        stage: Stage::Decode,
        message: String::new(),
        order_id: None,
        app_id: None,
        update_time: None,
        delivery: None,
        times: 1,
        first_failed_ms: 1,
        last_failed_ms: 2,
    }
}

fn done(next: i64) -> CommandDone {
    CommandDone {
        command: "pause".into(),
        outcome: Outcome::Done,
        message: String::new().into(),
        offset: None,
        app_id: None,
        order_id: None,
        update_time: None,
        next: NextOffset::new(next),
        command_offset: RecordOffset::new(1),
        at_ms: 3,
        who: "a".into(),
        why: String::new().into(),
    }
}

/// What one partition's log has come to.
#[derive(Default)]
struct Truth {
    states: HashMap<Identity, i64>,
    owed: BTreeMap<OwedKey, i64>,
    letters: BTreeMap<RecordOffset, LetterState>,
    commands: BTreeMap<Box<str>, CommandDone>,
    position: Option<Position>,
}

/// Writes cuts as an engine does: a debt is settled only in a later cut than the one that owes it. A settled debt closes
/// the last letter, or lets its status go with the order, where that has not changed in this cut.
fn write(cuts: &[Vec<(u8, bool)>]) -> (Truth, Vec<ChangelogRecord>) {
    let source = TopicPartition::new("orders", 3);
    let (mut truth, mut log, mut stamp) = (Truth::default(), Vec::new(), 0);
    for (number, steps) in (1..).zip(cuts) {
        let mut overlay = Overlay::default();
        let mut gone = std::collections::HashSet::new();
        let committed: Vec<OwedKey> = truth.owed.keys().cloned().collect();
        for (order, settles) in steps {
            stamp += 1;
            if *settles && let Some(key) = committed.iter().find(|key| key.identity == identity(*order)) {
                overlay.settle(key.clone(), None);
                truth.owed.remove(key);
                let last = truth.letters.last_key_value().map(|(offset, _)| *offset);
                if let Some(offset) = last.filter(|offset| offset.get() % 2 == 0) {
                    let mut status = LetterStatus::open(&letter(&source, offset.get()));
                    status.state = LetterState::Superseded;
                    overlay.put_status(offset, Some(status));
                    truth.letters.insert(offset, LetterState::Superseded);
                } else if let Some(offset) = last
                    && overlay.state(&key.identity).is_none()
                    && truth.states.remove(&key.identity).is_some()
                {
                    overlay.remove(key.identity.clone(), UpdateTime(stamp));
                    overlay.put_status(offset, None);
                    truth.letters.remove(&offset);
                    gone.insert(key.identity.clone());
                }
            } else if !gone.contains(&identity(*order)) {
                let key = OwedKey { identity: identity(*order), stamp: UpdateTime(stamp) };
                overlay.put_state(key.identity.clone(), Arc::new(state(stamp)));
                overlay.owe(key.clone(), owed(stamp));
                truth.states.insert(key.identity.clone(), stamp);
                truth.owed.insert(key, stamp);
            }
        }
        overlay.advance(NextOffset::new(stamp));
        overlay.put_letter(letter(&source, stamp));
        truth.letters.insert(RecordOffset::new(stamp), LetterState::Open);
        let id: Box<str> = format!("c{}", number % 3).into();
        overlay.put_command(id.clone(), done(stamp));
        truth.commands.insert(id, done(stamp));
        let position = Position { commit_number: number, ..Position::before(NextOffset::new(stamp)) };
        let Some(layer) = overlay.cut() else { continue };
        truth.position = Some(position.clone());
        log.extend(
            records(&CutPart {
                source: source.clone(),
                layer,
                position,
                epoch: crate::sync::ports::Epoch(1),
                settings: None,
            })
            .unwrap(),
        );
        // A topic that shares the partition.
        log.push(ChangelogRecord { key: ChangelogKey::Position.encode("others"), value: Some(b"{}".to_vec()) });
    }
    (truth, log)
}

/// Keeps the last record of each key among the first `dirty`, and all behind.
fn compact(log: &[ChangelogRecord], dirty: usize) -> Vec<ChangelogRecord> {
    let (head, tail) = log.split_at(dirty.min(log.len()));
    let last: HashMap<&[u8], usize> = head.iter().enumerate().map(|(at, r)| (r.key.as_slice(), at)).collect();
    let kept = head.iter().enumerate().filter(|(at, r)| last[r.key.as_slice()] == *at);
    kept.map(|(_, record)| record.clone()).chain(tail.iter().cloned()).collect()
}

fn check(truth: &Truth, log: &[ChangelogRecord]) {
    let mut found = Gathered::default();
    for record in log {
        found.take("orders", record).unwrap();
    }
    let states: HashMap<_, _> =
        found.states.iter().filter_map(|(id, s)| Some((id.clone(), s.as_ref()?.update_time.0))).collect();
    assert_eq!(states, truth.states);
    for state in found.states.values().flatten() {
        assert_eq!(**state, self::state(state.update_time.0));
    }
    let debts: BTreeMap<_, _> = found.owed.iter().filter_map(|(k, o)| Some((k.clone(), o.owed()?.offset))).collect();
    assert_eq!(debts, truth.owed);
    for owed in found.owed.values().filter_map(Debt::owed) {
        assert_eq!(*owed, self::owed(owed.offset));
    }
    let letters: BTreeMap<_, _> = found.letters.iter().filter_map(|(at, status)| Some((at, status?.state))).collect();
    assert_eq!(letters, truth.letters);
    assert_eq!(found.commands, truth.commands);
    assert_eq!(found.position, truth.position);
}

proptest! {
    #[test]
    fn what_was_committed_comes_back_compacted_or_not(
        cuts in proptest::collection::vec(proptest::collection::vec((0u8..6, any::<bool>()), 0..12), 1..12),
        dirty in 0usize..200,
    ) {
        let (truth, log) = write(&cuts);
        check(&truth, &log);
        check(&truth, &compact(&log, dirty));
        // Reading a second time from an older place changes nothing.
        let again: Vec<_> = log.iter().chain(&log[log.len() / 2..]).cloned().collect();
        check(&truth, &again);
    }
}

#[test]
fn a_cut_is_each_thing_once_and_the_position_last() {
    let source = TopicPartition::new("orders", 3);
    let mut overlay = Overlay::default();
    let key = |order, stamp| OwedKey { identity: identity(order), stamp: UpdateTime(stamp) };
    overlay.put_state(identity(1), Arc::new(state(5)));
    overlay.put_state(identity(1), Arc::new(state(6)));
    overlay.owe(key(1, 5), owed(5));
    overlay.owe(key(1, 6), owed(6));
    overlay.settle(key(2, 4), None);
    overlay.settle(key(3, 3), None);
    // Content that stands as a dead letter is owed again under its stamp.
    overlay.owe(key(3, 3), owed(3));
    overlay.put_letter(letter(&source, 9));
    overlay.put_status(RecordOffset::new(7), None);
    overlay.remove(identity(4), UpdateTime(2));
    overlay.put_command("c1".into(), done(9));
    overlay.advance(NextOffset::new(10));
    let position = Position { commit_number: 1, ..Position::before(NextOffset::new(10)) };
    let layer = overlay.cut().unwrap();
    let records =
        records(&CutPart { source, layer, position, epoch: crate::sync::ports::Epoch(1), settings: None }).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let shown: Vec<String> = records
        .iter()
        .map(|r| format!("{} {}", text(&r.key), r.value.as_deref().map_or("gone".to_owned(), text)))
        .collect();
    let mut state6 = Vec::new();
    state(6).encode(&mut state6);
    assert_eq!(
        shown,
        [
            format!(r#"[1,"state","orders","tt1","A\"1"] {}"#, text(&state6)),
            r#"[1,"owed","orders","tt1","A\"2",4] gone"#.to_owned(),
            r#"[1,"owed","orders","tt1","A\"1",5] {"format":1,"offset":5,"timestamp_ms":5,"request":{"update_time":5}}"#.to_owned(),
            r#"[1,"owed","orders","tt1","A\"1",6] {"format":1,"offset":6,"timestamp_ms":6,"request":{"update_time":6}}"#.to_owned(),
            r#"[1,"owed","orders","tt1","A\"3",3] {"format":1,"offset":3,"timestamp_ms":3,"request":{"update_time":3}}"#.to_owned(),
            r#"[1,"letter","orders",7] gone"#.to_owned(),
            r#"[1,"letter","orders",9] {"format":1,"state":"open","reason":"unknown_app","at_ms":2,"times":1,"first_failed_ms":1}"#.to_owned(),
            r#"[1,"state","orders","tt1","A\"4"] gone"#.to_owned(),
            r#"[1,"command","orders","c1"] {"format":1,"command":"pause","outcome":"done","message":"","next":9,"command_offset":1,"at_ms":3,"who":"a","why":""}"#.to_owned(),
            r#"[1,"position","orders"] {"format":1,"next":10,"commit_number":1}"#.to_owned(),
        ]
    );
}

/// The tombstone of an accepted delivery tells how; that of a dead letter tells nothing, and no other record does.
#[test]
fn an_accepted_deliverys_tombstone_tells_how() {
    let mut overlay = Overlay::default();
    let key = |order| OwedKey { identity: identity(order), stamp: UpdateTime(4) };
    let how = Acceptance { attempts: 2, last_error: Some(LastError::Status(503)), log_id: Some("x".into()) };
    let (before, text) = (overlay.bytes(), |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap());
    overlay.settle(key(1), None);
    let plain = overlay.bytes() - before;
    overlay.settle(key(2), Some(how.clone()));
    assert_eq!(overlay.bytes() - before, 2 * plain + 1, "the log id is counted");
    overlay.put_state(identity(3), Arc::new(state(5)));
    overlay.owe(key(3), owed(5));
    overlay.advance(NextOffset::new(10));
    let position = Position { commit_number: 1, ..Position::before(NextOffset::new(10)) };
    let source = TopicPartition::new("orders", 3);
    let part = CutPart {
        source,
        layer: overlay.cut().unwrap(),
        position,
        epoch: crate::sync::ports::Epoch(1),
        settings: None,
    };
    let mut told = Vec::new();
    write_records(&part, &mut |key, value, acceptance| {
        told.extend(acceptance.map(|how| (text(key), value.is_none(), how.clone())));
        Ok::<_, crate::sync::ports::PortError>(())
    })
    .unwrap();
    assert_eq!(told, [(r#"[1,"owed","orders","tt1","A\"2",4]"#.to_owned(), true, how)]);
}

#[test]
fn what_is_not_ours_is_refused_with_words() {
    let take = |key: &[u8], value: Option<&[u8]>| {
        let record = ChangelogRecord { key: key.to_vec(), value: value.map(<[u8]>::to_vec) };
        Gathered::default().take("orders", &record).unwrap_err().to_string()
    };
    let position = ChangelogKey::Position.encode("orders");
    assert!(take(&position, Some(br#"{"format":9}"#)).contains("unknown position format 9"));
    assert!(take(&position, None).contains("never removed"));
    let state = ChangelogKey::State(identity(1)).encode("orders");
    assert!(take(&state, Some(br#"{"format":9}"#)).contains("unknown state format 9"));
}
