//! A restore that is cut off between two of its batches.

use std::sync::{Arc, Mutex};

use super::*;
use crate::douyin::{GoodsEntryType, TextPolicy, TicketLists};
use crate::order::{AppId, TimeUnit, UpdateTime};
use crate::store::MemoryStore;
use crate::sync::changelog::SettingsFrom;
use crate::sync::fold_settings::{AppFolding, FoldedBy};
use crate::sync::log_fakes::{FakeLog, identity, part, source};
use crate::sync::log_ports::{CacheStore as _, Transaction};
use crate::sync::ports::By;
use crate::sync::units::Units;

fn units(unit: TimeUnit) -> Arc<UnitsInForce> {
    Arc::new(Units::from([(AppId::new("tt1"), unit)]).into())
}

/// Each record is a batch of its own.
fn site(log: &FakeLog, store: &MemoryStore) -> RestoreSite {
    RestoreSite {
        changelog: Box::new(log.clone()),
        cache: Cache::new(Arc::new(store.clone()), Meters::default()),
        meters: Meters::default(),
        topic: "g.changelog".to_owned(),
        group: "g".into(),
        tombstones_kept: Duration::from_secs(1000),
        batch_bytes: 1,
        units: units(TimeUnit::Seconds),
    }
}

fn run(log: &FakeLog, store: &MemoryStore) -> Result<Step, PortError> {
    run_at(&mut site(log, store))
}

fn run_at(site: &mut RestoreSite) -> Result<Step, PortError> {
    run_of(site, 0)
}

fn run_of(site: &mut RestoreSite, partition: i32) -> Result<Step, PortError> {
    let mut restore = Restore::new(Epoch(1), source(partition));
    let now = RestoreNow { mono: Duration::ZERO, wall_ms: 1_800_000_000_000 };
    loop {
        match restore.step(site, now)? {
            Step::More => {}
            step @ (Step::Done | Step::Waits) => return Ok(step),
        }
    }
}

/// A checkpoint says that all before it is there: one that came with a batch would make rows be missed for good.
#[test]
fn what_a_restore_wrote_before_it_was_cut_off_is_taken_for_no_more_than_it_is() {
    let commit =
        |log: &FakeLog, part| log.content().write(&Transaction { parts: vec![part], ..Transaction::default() }, true);
    let orders = ["A", "B", "C", "D"];
    // As far as each offset of the changelog, which has each order's state, its debt, and the position, and a marker.
    for (begun, cut_at) in [(0, 4), (0, 9), (2, 9), (2, 13), (3, 13)] {
        let (log, store) = (FakeLog::default(), MemoryStore::new());
        let mut before = None;
        for (number, order) in (1..).zip(orders) {
            if number == begun + 1 && begun > 0 {
                assert!(matches!(run(&log, &store), Ok(Step::Done)));
                before = store.checkpoint(&source(0)).unwrap();
            }
            commit(&log, part(0, 1, number, order, 4 + i64::try_from(number).unwrap(), &[]));
        }
        log.content().broken_from = Some(cut_at);
        assert!(matches!(run(&log, &store), Err(PortError::Fatal(_))));
        let stamp = |order: &str| store.state(&source(0), &identity(order)).unwrap().map(|state| state.update_time.0);
        let written = orders.iter().filter(|order| stamp(order).is_some()).count();
        assert!(written > usize::try_from(begun).unwrap(), "something has been written: {begun} {cut_at}");
        let seen = store.checkpoint(&source(0)).unwrap().map(|checkpoint| checkpoint.changelog);
        assert_eq!(seen, before.map(|checkpoint| checkpoint.changelog), "{begun} {cut_at}");

        log.content().broken_from = None;
        assert!(matches!(run(&log, &store), Ok(Step::Done)), "{begun} {cut_at}");
        assert_eq!(orders.map(stamp), [Some(5), Some(6), Some(7), Some(8)], "{begun} {cut_at}");
    }
}

/// Behind a slow way a changelog never comes without pauses: each goes on where the one before it ended. Until the end is
/// there, no checkpoint says that it is.
#[test]
fn a_changelog_that_comes_in_parts_is_read_once_and_to_its_end() {
    let (log, store) = (FakeLog::default(), MemoryStore::new());
    for (number, order) in (1..).zip(["A", "B", "C", "D"]) {
        let part = part(0, 1, number, order, 4 + i64::try_from(number).unwrap(), &[]);
        log.content().write(&Transaction { parts: vec![part], ..Transaction::default() }, true);
    }
    log.content().slow = Some(3);
    let end = log.content().end();
    let (mut site, mut restore) = (site(&log, &store), Restore::new(Epoch(1), source(0)));
    let now = RestoreNow { mono: Duration::ZERO, wall_ms: 1_800_000_000_000 };
    let mut steps = 0;
    while !matches!(restore.step(&mut site, now).unwrap(), Step::Done) {
        steps += 1;
        assert!(steps < end, "it begins again and again");
        assert!(store.checkpoint(&source(0)).unwrap().is_none(), "it is not all there");
    }
    assert_eq!(steps, 1 + (end - 1) / 3, "one for the questions, one for each part");
    assert_eq!(restore.orders, 4, "and counted once");
    assert_eq!(store.checkpoint(&source(0)).unwrap().map(|it| it.changelog), Some(NextOffset::new(end)));
    let mut whole = 0;
    let reached = site.changelog.read_through(0, NextOffset::new(0), &mut |_| {
        whole += 1;
        Ok(())
    });
    assert_eq!(reached.unwrap(), NextOffset::new(end));
    assert_eq!(whole, end - 4, "every record but for the four markers");
}

/// A checkpoint without a position was never written by a commit: what is before it in the changelog is read.
#[test]
fn a_checkpoint_without_a_position_stands_for_nothing() {
    let (log, store) = (FakeLog::default(), MemoryStore::new());
    let first = Transaction { parts: vec![part(0, 1, 1, "A", 5, &[])], ..Transaction::default() };
    log.content().write(&first, true);
    let checkpoint = Checkpoint { changelog: NextOffset::new(log.content().end()), written_ms: 1_800_000_000_000 };
    store.write(vec![cache_write(&source(0), Gathered::default(), Some(checkpoint))]).unwrap();
    assert!(matches!(run(&log, &store), Ok(Step::Done)));
    assert!(store.state(&source(0), &identity("A")).unwrap().is_some());
    assert_eq!(store.position(&source(0)).unwrap().map(|position| position.next), Some(NextOffset::new(5)));
}

#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A restore of a second a step, as one behind a slow way is: how far it is stands in the log every five, and what is read is
/// counted with every part.
#[test]
fn a_long_restore_says_how_far_it_is() {
    let (log, store) = (FakeLog::default(), MemoryStore::new());
    for number in 1_u32..=20 {
        let part = part(0, 1, u64::from(number), &format!("o{number:02}"), 4 + i64::from(number), &[]);
        log.content().write(&Transaction { parts: vec![part], ..Transaction::default() }, true);
    }
    // An order's state, its debt, the position and a marker: four offsets.
    log.content().slow = Some(4);
    let (said, mut counts) = (Said::default(), Vec::new());
    let writer = said.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    // Where only one subscriber lives, a thread that has none switches an event off for all.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    tracing::subscriber::with_default(subscriber, || {
        let (mut site, mut restore) = (site(&log, &store), Restore::new(Epoch(1), source(0)));
        for second in 0..21 {
            let now = RestoreNow { mono: Duration::from_secs(second), wall_ms: 1_800_000_000_000 };
            restore.step(&mut site, now).unwrap();
            let metrics = site.meters.render();
            let line = metrics.lines().find_map(|line| line.strip_prefix("order_sync_restored_orders_total "));
            counts.push(line.unwrap().parse::<u64>().unwrap());
        }
    });
    assert_eq!(counts[1..=20], (1..=20).collect::<Vec<_>>(), "a part a second behind the questions");
    let text = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let fields = |message: &str| {
        let lines = lines.iter().map(|line| &line["fields"]).filter(|fields| fields["message"] == message);
        lines.cloned().collect::<Vec<_>>()
    };
    let far: Vec<_> = fields("restoring a partition from the changelog")
        .iter()
        .map(|it| ["at", "until", "orders"].map(|name| it[name].as_i64().unwrap()))
        .collect();
    assert_eq!(far, [[16, 80, 4], [36, 80, 9], [56, 80, 14], [76, 80, 19]]);
    assert_eq!(fields("a partition is restored from the changelog").len(), 1);
}

/// An empty directory remembers no unit: the stamps in the changelog tell that the app was in milliseconds. Seconds are not
/// refused, nor is an app that is in milliseconds now.
#[test]
fn stamps_in_milliseconds_are_not_gone_back_from_by_an_empty_store() {
    let milliseconds = 1_700_000_000_000;
    let check = |stamp: i64, removed: i64, unit: TimeUnit, is_refused: bool| {
        let (log, store) = (FakeLog::default(), MemoryStore::new());
        let mut part = part(0, 1, 1, "A", stamp, &[]);
        part.position.removed_stamps = [(AppId::new("tt1"), UpdateTime(removed))].into();
        log.content().write(&Transaction { parts: vec![part], ..Transaction::default() }, true);
        let mut site = site(&log, &store);
        site.units = units(unit);
        let result = run_at(&mut site);
        match result {
            Err(PortError::Refused(By::Store, words)) => {
                assert!(is_refused && words.contains("update_time_unit of app tt1"), "{words}");
                assert!(words.contains("the changelog holds"), "{words}");
                assert!(store.position(&source(0)).unwrap().is_none(), "nothing says that it is restored");
            }
            other => assert!(!is_refused && matches!(other, Ok(Step::Done)), "{stamp} {removed} {unit:?}: {other:?}"),
        }
    };
    check(milliseconds, 0, TimeUnit::Seconds, true);
    check(1_700_000_000, milliseconds, TimeUnit::Seconds, true);
    check(1_700_000_000, 1_700_000_000, TimeUnit::Seconds, false);
    check(milliseconds, milliseconds, TimeUnit::Milliseconds, false);
}

fn folded_by(update_time_unit: TimeUnit) -> SettingsFrom {
    let app = AppFolding { update_time_unit, client_key: None, order_types: Vec::new() };
    let settings = FoldSettings {
        release: "1".into(),
        max_clock_skew_ms: 0,
        text: TextPolicy::Truncate,
        ticket_lists: TicketLists::Text,
        goods_entry_type: GoodsEntryType::String,
        apps: [(AppId::new("tt1"), app)].into(),
    };
    SettingsFrom { next: NextOffset::new(0), commands: None, before: None, by: FoldedBy::new(settings) }
}

/// What two partitions were folded by last is told by the changelog alone: a change to milliseconds is said once, and not where
/// they were folded by milliseconds since, nor where the app still has seconds.
#[test]
fn an_empty_store_learns_from_the_changelog_that_the_unit_has_changed() {
    use TimeUnit::{Milliseconds, Seconds};
    let check = |units_then: &[TimeUnit], now: TimeUnit, expect: usize| {
        let (log, store) = (FakeLog::default(), MemoryStore::new());
        for (number, unit) in (1_u32..).zip(units_then) {
            for partition in 0..2 {
                let name = format!("{partition}-{number}");
                let mut part = part(partition, 1, u64::from(number), &name, i64::from(number), &[]);
                part.settings = Some(folded_by(*unit));
                log.content().write(&Transaction { parts: vec![part], ..Transaction::default() }, true);
            }
        }
        let said = Said::default();
        let subscriber = tracing_subscriber::fmt().json().with_writer({
            let said = said.clone();
            move || said.clone()
        });
        tracing::subscriber::with_default(subscriber.finish(), || {
            let mut site = site(&log, &store);
            site.units = units(now);
            for partition in 0..2 {
                assert!(matches!(run_of(&mut site, partition), Ok(Step::Done)));
            }
        });
        let text = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
        let warned = text.lines().filter(|line| line.contains("\"WARN\"") && line.contains("update_time_unit"));
        assert_eq!(warned.filter(|line| line.contains("\"app_id\":\"tt1\"")).count(), expect, "{units_then:?}: {text}");
    };
    check(&[Seconds], Milliseconds, 1);
    check(&[Seconds, Milliseconds], Milliseconds, 0);
    check(&[Seconds], Seconds, 0);
    check(&[], Milliseconds, 0);
}
