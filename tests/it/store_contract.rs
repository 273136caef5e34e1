//! What every store promises: the same cases on sled, in a directory, and on its twin in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use order_sync::config;
use order_sync::order::{
    AppId, Digest, EventTime, Identity, OrderState, OrderType, Sequence, Status, TimeUnit, UpdateTime,
};
use order_sync::record::{NextOffset, TopicPartition};
use order_sync::store::{MemoryStore, Owner, SledStore};
use order_sync::sync::log_ports::{CacheStore, CacheWrite, Checkpoint};
use order_sync::sync::ports::{OwedEntry, PartitionCut, Position, StateReader, StateWriter, UnitLedger};
use order_sync::sync::{Owed, OwedKey};

pub fn owner() -> Owner {
    Owner { group_id: "shop".to_owned(), cluster_id: None, changelog: None, now_ms: 1_700_000_000_000 }
}

pub fn open(path: &std::path::Path) -> SledStore {
    SledStore::open(&config::Store { path: path.to_owned(), cache_bytes: 32 << 20, retain: None }, &owner()).unwrap()
}

pub fn order(id: &str) -> Identity {
    Identity::new(AppId::new("tt1"), id)
}

pub fn key(id: &str, stamp: i64) -> OwedKey {
    OwedKey { identity: order(id), stamp: UpdateTime(stamp) }
}

pub fn owed(offset: i64) -> Owed {
    Owed { request: format!(r#"{{"update_time":{offset}}}"#).into(), offset, timestamp_ms: Some(offset * 2) }
}

pub fn state(stamp: i64) -> Arc<OrderState> {
    Arc::new(OrderState {
        order_type: OrderType::Normal,
        status: Status::Paid,
        document: format!(r#"{{"total_price":{stamp},"note":"面"}}"#).into(),
        applied_offset: stamp,
        event_ids: vec!["e\"1".into()],
        sequence: Some(Sequence(stamp)),
        occurred_at: EventTime(1_700_000_000_000 + stamp),
        update_time: UpdateTime(stamp),
        digest: Digest([7; 32]),
        dead_letter: None,
    })
}

pub fn cut(source: &TopicPartition, next: i64) -> PartitionCut {
    PartitionCut {
        source: source.clone(),
        states: Vec::new(),
        owed: Vec::new(),
        settled: Vec::new(),
        letters: Vec::new(),
        removed: Vec::new(),
        position: Position { commit_number: next.unsigned_abs(), ..Position::before(NextOffset::new(next)) },
    }
}

pub fn all_owed(store: &dyn StateReader, source: &TopicPartition) -> Vec<(OwedKey, OwedEntry)> {
    let mut found = Vec::new();
    store.scan_owed(source, &mut |key, entry| found.push((key, entry))).unwrap();
    found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    found
}

trait Store: StateReader + StateWriter + UnitLedger {}
impl<T: StateReader + StateWriter + UnitLedger> Store for T {}

/// Runs a case on both stores.
fn check(case: impl Fn(&mut dyn Store)) {
    case(&mut MemoryStore::new());
    let folder = tempfile::tempdir().unwrap();
    case(&mut open(folder.path()));
}

/// Runs a case before and a case after a restart, on both stores.
fn check_restart(before: impl Fn(&mut dyn Store), after: impl Fn(&mut dyn Store)) {
    let mut memory = MemoryStore::new();
    before(&mut memory);
    after(&mut memory.crash(0));
    let folder = tempfile::tempdir().unwrap();
    before(&mut open(folder.path()));
    after(&mut open(folder.path()));
}

/// Ids that a careless key layout takes for one another.
const NASTY: [&str; 10] = ["a", "a/b", "a\0", "a\0b", "ab", "b", "单号", "单", "\u{10ffff}", "0"];

fn nasty_sources() -> Vec<TopicPartition> {
    [("a/b", 1), ("a", 1), ("a/b/1", 1), ("1/a", 1), ("a/b", 11), ("单", 0)]
        .into_iter()
        .map(|(topic, partition)| TopicPartition::new(topic, partition))
        .collect()
}

#[test]
fn a_new_store_knows_nothing() {
    check(|store| {
        let source = TopicPartition::new("orders", 0);
        assert_eq!(store.position(&source).unwrap(), None);
        assert_eq!(store.state(&source, &order("a")).unwrap(), None);
        assert_eq!(store.owed(&source, &key("a", 1)).unwrap(), None);
        assert_eq!(all_owed(&*store, &source), []);
    });
}

#[test]
fn odd_names_are_kept_apart_and_survive_a_restart() {
    let stamp = |s: usize, i: usize| i64::try_from(s * 100 + i + 1).unwrap();
    check_restart(
        |store| {
            let cuts: Vec<_> = (0..)
                .zip(nasty_sources())
                .map(|(s, source)| {
                    let mut cut = cut(&source, stamp(s, 50));
                    cut.position.removed_stamps.insert(AppId::new("tt单"), UpdateTime(stamp(s, 0)));
                    cut.states = NASTY.iter().enumerate().map(|(i, id)| (order(id), state(stamp(s, i)))).collect();
                    cut.owed =
                        NASTY.iter().enumerate().map(|(i, id)| (key(id, stamp(s, i)), owed(stamp(s, i)))).collect();
                    cut
                })
                .collect();
            store.commit(&cuts).unwrap();
        },
        |store| {
            for (s, source) in nasty_sources().iter().enumerate() {
                let position = store.position(source).unwrap().unwrap();
                assert_eq!(
                    (position.next, position.commit_number),
                    (NextOffset::new(stamp(s, 50)), stamp(s, 50).unsigned_abs())
                );
                assert_eq!(position.removed_stamps[&AppId::new("tt单")], UpdateTime(stamp(s, 0)));
                for (i, id) in NASTY.iter().enumerate() {
                    let stamp = stamp(s, i);
                    assert_eq!(store.state(source, &order(id)).unwrap().as_deref(), Some(&*state(stamp)), "{id:?}");
                    assert_eq!(store.owed(source, &key(id, stamp)).unwrap(), Some(owed(stamp)), "{id:?}");
                    assert_eq!(store.owed(source, &key(id, stamp + 1)).unwrap(), None);
                }
                assert_eq!(all_owed(&*store, source).len(), NASTY.len());
            }
        },
    );
}

#[test]
fn what_is_owed_is_listed_once_and_whole() {
    check(|store| {
        let source = TopicPartition::new("orders", 3);
        let mut first = cut(&source, 1);
        first.owed =
            [("b", 300), ("a", 20), ("a", 3), ("ab", 1), ("b", -1)].map(|(id, n)| (key(id, n), owed(n.abs()))).into();
        let mut second = cut(&source, 2);
        second.owed = vec![(key("a", 7), owed(7))];
        store.commit(&[first]).unwrap();
        store.commit(&[second]).unwrap();
        let found = all_owed(&*store, &source);
        let keys: Vec<_> = found.iter().map(|(key, _)| (&*key.identity.order_id, key.stamp.0)).collect();
        assert_eq!(keys, [("a", 3), ("a", 7), ("a", 20), ("ab", 1), ("b", -1), ("b", 300)]);
        let expect = OwedEntry { offset: 7, request_bytes: owed(7).request.len(), timestamp_ms: Some(14) };
        assert_eq!(found[1].1, expect);
    });
}

#[test]
fn settled_is_gone_for_good_and_may_be_owed_again() {
    let source = TopicPartition::new("orders", 0);
    let settling = |keys: &[OwedKey], next| PartitionCut { settled: keys.to_vec(), ..cut(&source, next) };
    check_restart(
        |store| {
            let mut first = cut(&source, 1);
            first.owed = (0..100).map(|n| (key("a", n), owed(n))).collect();
            store.commit(&[first]).unwrap();
            let settled: Vec<_> = (0..100).filter(|n| n % 7 != 0).map(|n| key("a", n)).collect();
            store.commit(&[settling(&settled, 2)]).unwrap();
            store.commit(&[settling(&[key("a", 14), key("a", 15), key("never", 1)], 3)]).unwrap();
            let again = PartitionCut { owed: vec![(key("a", 7), owed(777))], ..settling(&[key("a", 7)], 4) };
            store.commit(&[again]).unwrap();
        },
        |store| {
            let found: Vec<_> =
                all_owed(&*store, &source).into_iter().map(|(key, entry)| (key.stamp.0, entry.offset)).collect();
            let expect = (0..100).step_by(7).filter(|n| *n != 14).map(|n| (n, if n == 7 { 777 } else { n }));
            assert_eq!(found, expect.collect::<Vec<_>>());
            assert_eq!(store.owed(&source, &key("a", 14)).unwrap(), None);
            assert_eq!(store.owed(&source, &key("a", 21)).unwrap(), Some(owed(21)));
            assert_eq!(store.position(&source).unwrap().unwrap().commit_number, 4);
        },
    );
}

#[test]
fn a_later_state_replaces_an_earlier_one_and_large_ones_fit() {
    let source = TopicPartition::new("orders", 0);
    let large = |stamp| {
        let mut state = OrderState::clone(&state(stamp));
        state.document = format!(r#"{{"note":"{}"}}"#, "x".repeat(255 * 1024)).into();
        Arc::new(state)
    };
    check_restart(
        |store| {
            let states = (0..40).map(|n| (order(&format!("{n}")), large(n))).collect();
            let request = format!(r#"{{"pad":"{}"}}"#, "y".repeat(300 * 1024));
            let big = Owed { request: request.into(), ..owed(1) };
            store.commit(&[PartitionCut { states, owed: vec![(key("0", 1), big)], ..cut(&source, 1) }]).unwrap();
            store.commit(&[PartitionCut { states: vec![(order("3"), state(99))], ..cut(&source, 2) }]).unwrap();
        },
        |store| {
            assert_eq!(store.state(&source, &order("3")).unwrap().as_deref(), Some(&*state(99)));
            assert_eq!(store.state(&source, &order("4")).unwrap().as_deref(), Some(&*large(4)));
            assert_eq!(store.owed(&source, &key("0", 1)).unwrap().unwrap().request.len(), 300 * 1024 + 10);
        },
    );
}

#[test]
fn a_unit_changes_only_where_no_stamp_can_go_back() {
    use TimeUnit::{Milliseconds, Seconds};
    let units = |unit| ["tt1", "tt2", "tt3"].map(|app| (AppId::new(app), unit)).into();
    let one = |app: &str, unit| BTreeMap::from([(AppId::new(app), unit)]);
    let source = TopicPartition::new("orders", 0);
    check_restart(
        |store| {
            store.agree_units(&units(Seconds)).unwrap();
            let states = vec![(order("a"), state(1_700_000_000)), (order("c"), state(1_700_000_001))];
            store.commit(&[PartitionCut { states, ..cut(&source, 1) }]).unwrap();
            // Tried, and nothing folded under it. What was there before is given back.
            assert_eq!(store.agree_units(&units(Milliseconds)).unwrap(), units(Seconds));
        },
        |store| {
            store.agree_units(&units(Seconds)).unwrap();
            store.agree_units(&units(Milliseconds)).unwrap();
            let mut later = cut(&source, 2);
            later.states.push((order("b"), state(1_700_000_000_000)));
            later.position.removed_stamps.insert(AppId::new("tt3"), UpdateTime(1_600_000_000_000));
            store.commit(&[later]).unwrap();
            let error = store.agree_units(&one("tt1", Seconds)).unwrap_err().to_string();
            assert!(error.contains("app tt1") && error.contains("update_time_unit = \"milliseconds\""), "{error}");
            // What is refused is not remembered, and an order that retention has removed counts.
            store.agree_units(&one("tt1", Seconds)).unwrap_err();
            store.agree_units(&one("tt3", Seconds)).unwrap_err();
            // The other app has no orders here, and an app that is not configured is not asked about.
            store.agree_units(&one("tt2", Seconds)).unwrap();
            store.agree_units(&one("tt1", Milliseconds)).unwrap();
        },
    );
}

#[test]
fn in_memory_a_crash_keeps_whole_cuts_only() {
    let store = MemoryStore::new();
    let sources = [TopicPartition::new("orders", 0), TopicPartition::new("orders", 1)];
    store.stage(&[cut(&sources[0], 5), cut(&sources[1], 6)]);
    assert_eq!(store.position(&sources[0]).unwrap(), None);
    let next = store.crash(1);
    assert_eq!(next.position(&sources[0]).unwrap().unwrap().next, NextOffset::new(5));
    assert_eq!(next.position(&sources[1]).unwrap(), None);
    store.flush();
    assert!(store.position(&sources[1]).unwrap().is_some());
    assert_eq!(next.position(&sources[1]).unwrap(), None);
}

fn cache_write(source: &TopicPartition, stamp: i64, settled: &[OwedKey], changelog: Option<i64>) -> CacheWrite {
    CacheWrite {
        source: source.clone(),
        states: vec![(order("A"), Some(state(stamp)))],
        owed: vec![(key("A", stamp), owed(stamp))],
        settled: settled.to_vec(),
        letters: Vec::new(),
        commands: Vec::new(),
        position: Some(cut(source, stamp).position),
        checkpoint: changelog.map(|at| Checkpoint { changelog: NextOffset::new(at), written_ms: at }),
    }
}

fn as_cache(store: &dyn CacheStore) {
    let source = TopicPartition::new("orders", 0);
    assert_eq!(store.checkpoint(&source).unwrap(), None);
    store.write(vec![cache_write(&source, 1, &[], None)]).unwrap();
    assert_eq!(store.checkpoint(&source).unwrap(), None, "a part is no whole");
    store.write(vec![cache_write(&source, 2, &[], Some(7))]).unwrap();
    // Read a second time from an older place: replaced, not doubled; what is settled need not be there.
    store.write(vec![cache_write(&source, 2, &[key("A", 1), key("B", 9)], None)]).unwrap();
    assert_eq!(store.checkpoint(&source).unwrap().unwrap().changelog.get(), 7);
    let debts: Vec<OwedKey> = all_owed(store, &source).into_iter().map(|(key, _)| key).collect();
    assert_eq!((debts, store.orders().unwrap()), (vec![key("A", 2)], 1));
    let gone = CacheWrite { states: vec![(order("A"), None)], ..cache_write(&source, 3, &[], None) };
    store.write(vec![gone]).unwrap();
    assert_eq!((store.state(&source, &order("A")).unwrap(), store.orders().unwrap()), (None, 0));
    assert_eq!(store.position(&source).unwrap().unwrap().next.get(), 3);
    // What a restore fills in counts the same, whether it is new, replaced or removed.
    let states = vec![(order("B"), Some(state(5))), (order("A"), Some(state(5))), (order("C"), None)];
    store.fill(CacheWrite { states, ..cache_write(&source, 5, &[key("A", 2)], None) }).unwrap();
    store.fill(CacheWrite { states: vec![(order("A"), None)], ..cache_write(&source, 6, &[], None) }).unwrap();
    assert_eq!((store.state(&source, &order("B")).unwrap(), store.orders().unwrap()), (Some(state(5)), 1));
    assert_eq!(
        (store.state(&source, &order("A")).unwrap(), store.checkpoint(&source).unwrap().unwrap().changelog.get()),
        (None, 7)
    );
    store.forget(&source).unwrap();
    assert_eq!((store.position(&source).unwrap(), store.checkpoint(&source).unwrap()), (None, None));
    assert!(all_owed(store, &source).is_empty());
    store.write(vec![cache_write(&source, 4, &[], Some(9))]).unwrap();
    assert_eq!((all_owed(store, &source).len(), store.orders().unwrap()), (1, 1));
}

#[test]
fn as_a_cache_it_takes_what_it_has_already_and_forgets_a_partition() {
    as_cache(&MemoryStore::new());
    let folder = tempfile::tempdir().unwrap();
    let source = TopicPartition::new("orders", 0);
    as_cache(&open(folder.path()));
    let store = open(folder.path());
    assert_eq!(store.checkpoint(&source).unwrap().unwrap().changelog.get(), 9, "it survives");
    assert_eq!(all_owed(&store, &source).len(), 1);
    store.adopt_changelog("shop.changelog").unwrap();
    assert_eq!(store.checkpoint(&source).unwrap(), None, "a place in another changelog");
}

#[test]
fn a_store_of_another_regime_is_refused_once_it_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let settings = config::Store { path: folder.path().to_owned(), cache_bytes: 32 << 20, retain: None };
    let of = |changelog: Option<&str>| Owner { changelog: changelog.map(str::to_owned), ..owner() };
    let refused = |changelog: Option<&str>, expect: &str| {
        let words = SledStore::open(&settings, &of(changelog)).unwrap_err().to_string();
        assert!(words.contains(expect), "{words}");
    };
    drop(open(folder.path()));
    let store = SledStore::open(&settings, &of(Some("one"))).unwrap();
    store.write(vec![cache_write(&TopicPartition::new("orders", 0), 1, &[], Some(1))]).unwrap();
    store.check_cluster("cluster-2").unwrap();
    store.agree_cluster("cluster-1").unwrap();
    store.check_cluster("cluster-1").unwrap();
    assert!(store.check_cluster("cluster-2").unwrap_err().to_string().contains("cluster-1"));
    assert!(store.agree_cluster("cluster-2").unwrap_err().to_string().contains("cluster-1"));
    drop(store);
    refused(None, "is a cache of the changelog one");
    refused(Some("two"), "kafka.changelog_topic is two");
    SledStore::open(&settings, &of(Some("one"))).unwrap();
}
