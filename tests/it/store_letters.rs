//! What every store promises of dead letters' statuses, and of orders that leave: on sled and on its twin in memory.

use std::sync::Arc;

use order_sync::order::{AppId, DeadLetterReason, UpdateTime};
use order_sync::record::{NextOffset, RecordOffset, TopicPartition};
use order_sync::store::{MemoryStore, SledStore};
use order_sync::sync::changelog::{LetterState, LetterStatus};
use order_sync::sync::log_ports::{CacheStore, CacheWrite, Checkpoint};
use order_sync::sync::ports::{PartitionCut, StateReader, StateWriter};
use order_sync::sync::sweep::StatePages;

use super::store_contract::{cut, open, order, state};

fn status(order: Option<&str>, state: LetterState, times: u32) -> LetterStatus {
    LetterStatus {
        state,
        reason: DeadLetterReason::RejectedByPlatform,
        at_ms: 1,
        times,
        first_failed_ms: None,
        app_id: order.map(|_| AppId::new("tt1")),
        order_id: order.map(Into::into),
        stamp: order.map(|_| UpdateTime(1)),
    }
}

fn at(offset: i64) -> RecordOffset {
    RecordOffset::new(offset)
}

fn source() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

fn changing(letters: Vec<(i64, Option<LetterStatus>)>, next: i64) -> PartitionCut {
    let letters = letters.into_iter().map(|(offset, status)| (at(offset), status)).collect();
    PartitionCut { letters, ..cut(&source(), next) }
}

fn open_of(store: &dyn StateReader, id: &str) -> Vec<i64> {
    store.open_letters(&source(), &order(id)).unwrap().into_keys().map(RecordOffset::get).collect()
}

trait Pages: StatePages + StateWriter {}
impl<T: StatePages + StateWriter> Pages for T {}
trait Store: CacheStore + StateWriter {}
impl<T: CacheStore + StateWriter> Store for T {}

/// Runs a case before and a case after a restart, on both stores.
fn check_restart(before: impl Fn(&mut dyn Store), after: impl Fn(&mut dyn Store)) {
    let mut memory = MemoryStore::new();
    before(&mut memory);
    after(&mut memory.crash(0));
    let folder = tempfile::tempdir().unwrap();
    before(&mut open(folder.path()));
    after(&mut open(folder.path()));
}

#[test]
fn statuses_are_found_by_offset_and_what_is_open_by_its_order() {
    use LetterState::{Discarded, Open, Superseded};
    check_restart(
        |store| {
            let first =
                (0..300).map(|n| (n, Some(status(Some(if n % 3 == 0 { "A" } else { "B" }), Open, 1)))).collect();
            store.commit(&[changing(first, 1)]).unwrap();
            store
                .commit(&[changing(vec![(700, Some(status(None, Open, 1))), (701, Some(status(None, Open, 1)))], 2)])
                .unwrap();
            let closed = (0..270).map(|n| (n, Some(status(Some(if n % 3 == 0 { "A" } else { "B" }), Superseded, 1))));
            let more = [(701, Some(status(None, Discarded, 1))), (271, None), (272, Some(status(Some("B"), Open, 2)))];
            store.commit(&[changing(closed.chain(more).collect(), 3)]).unwrap();
            assert_eq!(store.open_letter_count(&source()).unwrap(), 30);
        },
        |store| {
            assert_eq!(open_of(store, "A"), (270..300).step_by(3).collect::<Vec<_>>());
            assert_eq!(open_of(store, "B").len(), 19);
            assert_eq!(open_of(store, "C"), [0; 0]);
            assert_eq!(store.open_letter_count(&source()).unwrap(), 30);
            assert_eq!(store.letter(&source(), at(269)).unwrap(), Some(status(Some("B"), Superseded, 1)));
            assert_eq!(store.letter(&source(), at(271)).unwrap(), None);
            assert_eq!(store.letter(&source(), at(272)).unwrap().unwrap().times, 2);
            assert_eq!(store.letter(&source(), at(701)).unwrap().unwrap().state, Discarded);
            assert_eq!(store.letter(&source(), at(999)).unwrap(), None);
            let other = TopicPartition::new("orders", 1);
            assert_eq!((store.letter(&other, at(700)).unwrap(), store.open_letter_count(&other).unwrap()), (None, 0));
            // As a cache: read a second time, replaced; then forgotten.
            let letters = vec![(at(700), None), (at(272), Some(status(Some("B"), Open, 2)))];
            let write = CacheWrite {
                source: source(),
                states: Vec::new(),
                owed: Vec::new(),
                settled: Vec::new(),
                letters,
                commands: Vec::new(),
                position: None,
                checkpoint: Some(Checkpoint { changelog: NextOffset::new(1), written_ms: 1 }),
            };
            store.write(vec![write]).unwrap();
            assert_eq!(store.open_letter_count(&source()).unwrap(), 29);
            store.forget(&source()).unwrap();
            assert_eq!((open_of(store, "A"), store.open_letter_count(&source()).unwrap()), (vec![], 0));
        },
    );
}

#[test]
fn an_order_leaves_with_its_cut() {
    check_restart(
        |store| {
            let states = ["A", "B", "AB"].map(|id| (order(id), Arc::clone(&state(5)))).into();
            store.commit(&[PartitionCut { states, ..cut(&source(), 1) }]).unwrap();
            let mut second = PartitionCut { removed: vec![order("A"), order("never")], ..cut(&source(), 2) };
            second.position.removed_stamps.insert(AppId::new("tt1"), UpdateTime(5));
            store.commit(&[second]).unwrap();
        },
        |store| {
            assert_eq!(store.state(&source(), &order("A")).unwrap(), None);
            assert!(["B", "AB"].iter().all(|id| store.state(&source(), &order(id)).unwrap().is_some()));
            let position = store.position(&source()).unwrap().unwrap();
            assert_eq!(position.removed_stamps[&AppId::new("tt1")], UpdateTime(5));
        },
    );
}

/// Reads a store in pages of so many rows, to the end.
fn all_pages(store: &dyn StatePages, source: &TopicPartition, rows: usize) -> (Vec<String>, Vec<i64>) {
    let (mut orders, mut letters) = (Vec::new(), Vec::new());
    loop {
        let (after, before) = (orders.last().cloned(), orders.len());
        store.page_states(source, after.as_ref(), rows, &mut |identity, _| orders.push(identity)).unwrap();
        assert!(orders.len() - before <= rows);
        if orders.len() - before < rows {
            break;
        }
    }
    loop {
        let (after, before) = (letters.last().copied(), letters.len());
        store.page_letters(source, after, rows, &mut |offset, _| letters.push(offset)).unwrap();
        if letters.len() - before < rows {
            break;
        }
    }
    (orders.iter().map(|order| order.order_id.to_string()).collect(), letters.iter().map(|at| at.get()).collect())
}

#[test]
fn pages_have_every_row_once() {
    let check = |store: &mut dyn Pages| {
        assert_eq!(all_pages(store, &source(), 3), (vec![], vec![]));
        let ids = ["", "A", "A\0", "AB", "B", "\u{10ffff}", "单"];
        let mut first = changing((0..7).map(|n| (n * 300, Some(status(None, LetterState::Open, 1)))).collect(), 1);
        first.states = ids.iter().map(|id| (order(id), Arc::clone(&state(5)))).collect();
        first.owed = vec![(super::store_contract::key("A", 5), super::store_contract::owed(1))];
        let other = PartitionCut { states: vec![(order("Z"), state(5))], ..cut(&TopicPartition::new("orders", 1), 1) };
        store.commit(&[first, other]).unwrap();
        for rows in [1, 2, 3, 7, 8, 100] {
            let (orders, letters) = all_pages(store, &source(), rows);
            assert_eq!(orders, ["", "A", "A\0", "AB", "B", "单", "\u{10ffff}"], "{rows}");
            assert_eq!(letters, [0, 300, 600, 900, 1200, 1500, 1800], "{rows}");
        }
    };
    check(&mut MemoryStore::new());
    let folder = tempfile::tempdir().unwrap();
    check(&mut open(folder.path()));
}

/// A million open letters, in one partition: what they cost in memory, by the process's own measure.
#[test]
#[ignore = "it measures: run it alone, with --ignored"]
fn a_million_open_letters() {
    let folder = tempfile::tempdir().unwrap();
    let mut store: SledStore = open(folder.path());
    for batch in 0..1000 {
        let letters = (0..1000).map(|n| {
            let id = format!("order-{}", batch * 1000 + n);
            (batch * 1000 + n, Some(status(Some(&id), LetterState::Open, 1)))
        });
        store.commit(&[changing(letters.collect(), batch + 1)]).unwrap();
    }
    drop(store);
    let before = resident_bytes();
    let begun = std::time::Instant::now();
    let store = open(folder.path());
    let took = begun.elapsed();
    assert_eq!(open_of(&store, "order-77"), [77]);
    assert_eq!(store.open_letter_count(&source()).unwrap(), 1_000_000);
    println!("opened in {took:?}; {} MB more than before", (resident_bytes() - before) >> 20);
}

fn resident_bytes() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() << 10
}
