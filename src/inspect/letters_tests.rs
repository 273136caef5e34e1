//! Letters and their statuses over a log in memory: the newest first, each once, and no more read than it takes.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::{Copies, Filter, Letters, Statuses, find_letters};
use crate::order::DeadLetterReason;
use crate::record::{Header, NextOffset, Record, RecordOffset};
use crate::sync::changelog::{ChangelogKey, LetterState, LetterStatus};
use crate::sync::ports::Position;
use crate::sync::scan::{LogScan, ScanError, Span, Visit};

/// Topics in memory; the offset of a record is its place.
#[derive(Default)]
struct FakeLog {
    topics: HashMap<String, Vec<Vec<Record>>>,
    read: usize,
    /// Statuses that the last list could not read.
    unread: Vec<(i32, i64, String)>,
}

impl FakeLog {
    fn put(&mut self, topic: &str, partition: usize, mut record: Record) {
        let partitions = self.topics.entry(topic.to_owned()).or_insert_with(|| vec![Vec::new(); 2]);
        record.offset = RecordOffset::new(i64::try_from(partitions[partition].len()).unwrap());
        partitions[partition].push(record);
    }

    /// A letter of the record at `offset`, written at `ms`.
    fn letter(&mut self, partition: usize, offset: i64, times: u32, stamp: Option<i64>, ms: i64) {
        self.letter_of("orders", (partition, offset), times, stamp, ms);
    }

    fn letter_of(&mut self, topic: &str, (partition, offset): (usize, i64), times: u32, stamp: Option<i64>, ms: i64) {
        let mut headers = vec![
            header("__connect.errors.topic", topic),
            header("__connect.errors.partition", &partition.to_string()),
            header("__connect.errors.offset", &offset.to_string()),
            header("order-sync.reason", "retries_exhausted"),
            header("order-sync.times", &times.to_string()),
        ];
        headers.extend(stamp.map(|stamp| header("order-sync.update-time", &stamp.to_string())));
        self.put("letters", partition, Record { headers, ..record(ms) });
    }

    fn status(&mut self, partition: usize, offset: i64, state: LetterState, ms: i64) {
        self.status_of("orders", (partition, offset), state, ms);
    }

    fn status_of(&mut self, topic: &str, (partition, offset): (usize, i64), state: LetterState, ms: i64) {
        let reason = DeadLetterReason::RetriesExhausted;
        let status = LetterStatus {
            state,
            reason,
            at_ms: ms,
            times: 1,
            first_failed_ms: None,
            app_id: None,
            order_id: None,
            stamp: None,
        };
        let key = ChangelogKey::Letter(RecordOffset::new(offset)).encode(topic);
        let value = Some(status.encode().unwrap().into());
        self.put("changelog", partition, Record { key: Some(key.into()), value, ..record(ms) });
    }

    fn position(&mut self, partition: usize, ms: i64) {
        let key = ChangelogKey::Position.encode("orders");
        let value = Some(Position::before(NextOffset::new(1)).encode().unwrap().into());
        self.put("changelog", partition, Record { key: Some(key.into()), value, ..record(ms) });
    }

    fn list(&mut self, filter: Filter) -> Vec<(String, u32, LetterState)> {
        let spans = |log: &mut Self, topic: &str| log.extents(topic, &[0, 1]).unwrap();
        let (letters, changelog) = (spans(self, "letters"), spans(self, "changelog"));
        let statuses = Statuses::of("changelog", &changelog);
        let mut letters = Letters::new("letters", &letters, statuses, filter);
        let mut told = Vec::new();
        while let Some(listed) = letters.next(self, &mut |_| {}).unwrap() {
            told.push((listed.row.id.to_string(), listed.row.times, listed.state()));
        }
        self.unread = letters.unread().first.clone();
        told
    }
}

fn header(name: &str, value: &str) -> Header {
    Header { name: name.to_owned(), value: Some(value.as_bytes().into()) }
}

fn record(ms: i64) -> Record {
    Record { offset: RecordOffset::new(0), timestamp_ms: Some(ms), key: None, value: None, headers: Vec::new() }
}

impl LogScan for FakeLog {
    fn partitions(&mut self, topic: &str) -> Result<Option<i32>, ScanError> {
        Ok(self.topics.get(topic).map(|partitions| i32::try_from(partitions.len()).unwrap()))
    }

    fn extents(&mut self, topic: &str, partitions: &[i32]) -> Result<Vec<Span>, ScanError> {
        let length = |partition: i32| {
            let partitions = self.topics.get(topic);
            partitions.map_or(0, |all| i64::try_from(all[usize::try_from(partition).unwrap()].len()).unwrap())
        };
        let span = |partition: &i32| Span {
            partition: *partition,
            from: NextOffset::new(0),
            until: NextOffset::new(length(*partition)),
        };
        Ok(partitions.iter().map(span).collect())
    }

    fn at_time(&mut self, _: &str, partitions: &[i32], _: i64) -> Result<Vec<Option<NextOffset>>, ScanError> {
        Ok(vec![None; partitions.len()])
    }

    fn read(&mut self, topic: &str, spans: &[Span], visit: &mut Visit<'_>) -> Result<(), ScanError> {
        for span in spans {
            let records = &self.topics[topic][usize::try_from(span.partition).unwrap()];
            let (from, until) = (span.from.get(), span.until.get());
            for record in &records[usize::try_from(from).unwrap()..usize::try_from(until).unwrap()] {
                self.read += usize::from(topic == "changelog");
                if let ControlFlow::Break(()) = visit(&(span.partition, record.clone())) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

#[test]
fn each_letter_is_told_once_the_newest_first_and_with_its_newest_status() {
    let mut log = FakeLog::default();
    log.letter(0, 7, 1, Some(5), 1_000);
    log.letter(1, 3, 1, None, 2_000);
    log.letter(0, 8, 1, None, 3_000);
    // The first one came back.
    log.letter(0, 7, 2, Some(5), 4_000);
    for (offset, ms) in [(7, 1_000), (8, 3_000)] {
        log.status(0, offset, LetterState::Open, ms);
        log.position(0, ms);
    }
    log.status(0, 8, LetterState::Discarded, 5_000);
    log.position(0, 5_000);
    let told = |told: &[(&str, u32, LetterState)]| -> Vec<(String, u32, LetterState)> {
        told.iter().map(|(id, times, state)| ((*id).to_owned(), *times, *state)).collect()
    };
    let all = [
        ("orders/0/7", 2, LetterState::Open),
        ("orders/0/8", 1, LetterState::Discarded),
        // No worker with transactions has committed its partition.
        ("orders/1/3", 1, LetterState::Open),
    ];
    assert_eq!(log.list(Filter::default()), told(&all));
    let filter = Filter { statuses: vec![LetterState::Discarded], ..Filter::default() };
    assert_eq!(log.list(filter), told(&all[1..2]));
}

#[test]
fn a_letter_whose_status_retention_has_removed_was_closed() {
    let mut log = FakeLog::default();
    log.letter(0, 1, 1, Some(5), 1_000);
    log.letter(0, 2, 1, None, 2_000);
    log.position(0, 9_000);
    let states: Vec<LetterState> = log.list(Filter::default()).into_iter().map(|(_, _, state)| state).collect();
    assert_eq!(states, [LetterState::Discarded, LetterState::Superseded]);
}

#[test]
fn the_changelog_is_read_back_only_as_far_as_the_letters_go() {
    let mut log = FakeLog::default();
    for at in 0..100_000 {
        log.position(0, at * 1_000);
    }
    log.letter(0, 1, 1, None, 99_000_000);
    log.status(0, 1, LetterState::Open, 99_000_000);
    assert_eq!(log.list(Filter::default()).len(), 1);
    assert!(log.read < 5_000, "{}", log.read);
    // A letter without a status is looked for as far back as it was written, and a minute more.
    log.letter(0, 2, 1, None, 99_900_000);
    log.read = 0;
    assert_eq!(log.list(Filter::default()).len(), 2);
    assert!(log.read < 10_000, "{}", log.read);
}

#[test]
fn a_status_is_read_whatever_topic_it_is_of() {
    let mut log = FakeLog::default();
    log.letter_of("gone", (0, 4), 1, None, 1_000);
    log.letter(0, 4, 1, None, 2_000);
    log.letter_of("never", (0, 4), 1, None, 3_000);
    log.status(0, 4, LetterState::Open, 2_000);
    log.status_of("gone", (0, 4), LetterState::Discarded, 4_000);
    let told: Vec<_> = log.list(Filter::default()).into_iter().map(|(id, _, state)| (id, state)).collect();
    let expect =
        [("never/0/4", LetterState::Open), ("orders/0/4", LetterState::Open), ("gone/0/4", LetterState::Discarded)];
    assert_eq!(told, expect.map(|(id, state)| (id.to_owned(), state)));
}

#[test]
fn a_status_that_cannot_be_read_stops_nothing_and_its_letter_stands_as_open() {
    let mut log = FakeLog::default();
    log.letter(0, 1, 1, Some(5), 1_000);
    log.letter(0, 2, 1, None, 2_000);
    log.status(0, 1, LetterState::Discarded, 2_000);
    log.status(0, 2, LetterState::Redriven, 3_000);
    log.position(0, 9_000);
    let redriven = &mut log.topics.get_mut("changelog").unwrap()[0][1].value;
    let text = String::from_utf8(redriven.clone().unwrap().into_vec()).unwrap();
    *redriven = Some(text.replace("redriven", "redrivem").into_bytes().into());
    let states: Vec<LetterState> = log.list(Filter::default()).into_iter().map(|(_, _, state)| state).collect();
    assert_eq!(states, [LetterState::Open, LetterState::Discarded]);
    assert_eq!(log.unread, [(0, 1, r#"[1,"letter","orders",2]"#.to_owned())]);
}

#[test]
fn of_a_record_that_came_back_every_letter_is_found_and_the_first_failure_is_that_of_the_first() {
    let mut log = FakeLog::default();
    log.letter(0, 7, 1, Some(5), 100);
    for other in 20..400 {
        log.letter(0, other, 1, None, 150);
    }
    for (times, ms) in [(2, 200), (2, 210), (3, 300)] {
        log.letter(0, 7, times, Some(5), ms);
    }
    for (letter, log) in log.topics.get_mut("letters").unwrap()[0].iter_mut().enumerate() {
        // As older releases wrote it: each with its own first failure.
        log.headers.push(header("order-sync.first-failed-at", &format!("2026-01-01T00:{:02}:00Z", letter / 10)));
        log.headers.push(header("order-sync.attempt-log", &format!("2026-01-01T00:00:00Z {letter}ms 200 40003")));
    }
    let find = |log: &mut FakeLog, from: i64| {
        let whole = log.extents("letters", &[0]).unwrap()[0];
        let within = Span { from: NextOffset::new(from), ..whole };
        let life = find_letters(log, "letters", within, &"orders/0/7".parse().unwrap(), &mut |_| {}).unwrap().unwrap();
        let of = |once: &super::LetterOnce| (once.row.times, once.attempts[0].latency.clone());
        let first = life.first_failed_at().unwrap_or_default().to_owned();
        (life.letters.iter().map(of).collect::<Vec<_>>(), life.missing(), first, life.newest.row.times)
    };
    let (letters, missing, first, newest) = find(&mut log, 0);
    let expect = [(1, "0ms"), (2, "382ms"), (3, "383ms")].map(|(times, latency)| (times, latency.to_owned()));
    assert_eq!(
        (letters, missing, newest),
        (expect.to_vec(), 0, 3),
        "of two of the same number the one that lies behind"
    );
    assert_eq!(first, "2026-01-01T00:00:00Z");
    let (letters, missing, first, _) = find(&mut log, 1);
    assert_eq!((letters, missing), (expect[1..].to_vec(), 1), "the first is gone");
    assert_eq!(first, "2026-01-01T00:38:00Z");
    let every = Filter { copies: Copies::Every, ids: ["orders/0/7".parse().unwrap()].into(), ..Filter::default() };
    log.status(0, 7, LetterState::Discarded, 310);
    let told: Vec<_> = log.list(every).into_iter().map(|(_, times, state)| (times, state)).collect();
    let redriven = LetterState::Redriven;
    assert_eq!(told, [(3, LetterState::Discarded), (2, redriven), (2, redriven), (1, redriven)]);
}

#[test]
fn all_letters_of_a_record_follow_the_newest_whatever_they_say_themselves() {
    let mut log = FakeLog::default();
    for (offset, times, ms) in [(1, 1, 100), (2, 1, 110), (1, 2, 200), (3, 1, 210), (2, 2, 220)] {
        log.letter(0, offset, times, None, ms);
    }
    for (offset, state) in [(1, LetterState::Open), (2, LetterState::Discarded), (3, LetterState::Open)] {
        log.status(0, offset, state, 300);
    }
    let redriven = LetterState::Redriven;
    let mut list = |filter: Filter| -> Vec<(String, u32, LetterState)> {
        log.list(Filter { copies: Copies::WithNewest, ..filter })
    };
    let expect = |told: &[(i64, u32, LetterState)]| -> Vec<(String, u32, LetterState)> {
        told.iter().map(|(offset, times, state)| (format!("orders/0/{offset}"), *times, *state)).collect()
    };
    let open = [(3, 1, LetterState::Open), (1, 2, LetterState::Open)];
    assert_eq!(
        list(Filter::default()),
        expect(&[(2, 2, LetterState::Discarded), open[0], open[1], (2, 1, redriven), (1, 1, redriven)])
    );
    let statuses = vec![LetterState::Open];
    assert_eq!(list(Filter { statuses, ..Filter::default() }), expect(&[open[0], open[1], (1, 1, redriven)]));
    assert_eq!(
        list(Filter { since_ms: Some(215), ..Filter::default() }),
        expect(&[(2, 2, LetterState::Discarded), (2, 1, redriven)])
    );
}
