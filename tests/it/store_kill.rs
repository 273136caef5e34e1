//! A process that commits is killed at any moment: what it reported is there, and no cut is half there.
//!
//! The process is this binary again, running [`commits_until_killed`] with [`FOLDER`] set.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use order_sync::order::{Identity, OrderState};
use order_sync::record::{NextOffset, TopicPartition};
use order_sync::store::SledStore;
use order_sync::sync::log_ports::{CacheStore, CacheWrite, Checkpoint};
use order_sync::sync::ports::{OrderCount as _, PartitionCut, StateReader, StateWriter};
use order_sync::sync::{Owed, OwedKey};

use crate::store_contract::{all_owed, cut, key, open, order, state};

const FOLDER: &str = "ORDER_SYNC_TEST_KILL_FOLDER";
const PARTITIONS: i32 = 3;
const PER_CUT: i64 = 20;
const ORDERS: i64 = 50;
const KILLS: u64 = 30;

fn sources() -> Vec<TopicPartition> {
    (0..PARTITIONS).map(|partition| TopicPartition::new("orders", partition)).collect()
}

fn order_ids(n: i64) -> impl Iterator<Item = String> {
    (0..PER_CUT).map(move |j| format!("order-{}", (n * 7 + j) % ORDERS))
}

fn owed(n: i64) -> Owed {
    let request = format!(r#"{{"update_time":{n},"pad":"{}"}}"#, "x".repeat(usize::try_from(n % 9).unwrap() * 700));
    Owed { request: request.into(), offset: n, timestamp_ms: None }
}

fn owed_keys(n: i64) -> impl Iterator<Item = OwedKey> {
    order_ids(n).map(move |id| key(&id, n))
}

/// The n-th cut of a partition: everything of it follows from `n`. What is owed is settled three commits later, but
/// for one of twenty, which stays for a hundred.
fn nth_cut(source: &TopicPartition, n: i64) -> PartitionCut {
    let soon = owed_keys(n - 3).skip(1);
    let late = owed_keys(n - 100).take(1);
    PartitionCut {
        states: order_ids(n).map(|id| (order(&id), state(n))).collect(),
        owed: owed_keys(n).map(|key| (key, owed(n))).collect(),
        settled: soon.chain(late).collect(),
        ..cut(source, n)
    }
}

fn commit_number(store: &SledStore, source: &TopicPartition) -> i64 {
    store.position(source).unwrap().map_or(0, |position| position.commit_number.try_into().unwrap())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the parent tells this process its part")]
fn commits_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut store = open(Path::new(&folder));
    let mut n = sources().iter().map(|source| commit_number(&store, source)).min().unwrap();
    loop {
        n += 1;
        let behind = sources().into_iter().filter(|source| commit_number(&store, source) < n);
        let cuts: Vec<_> = behind.map(|source| nth_cut(&source, n)).collect();
        store.commit(&cuts).unwrap();
        writeln!(std::io::stdout(), "\ncommitted {n}").unwrap();
    }
}

/// Runs the process until it has committed a little, kills it, and returns the last commit that it reported.
fn run_and_kill(test: &str, folder: &Path, wait: Duration) -> i64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (report, reported) = sync_channel(64);
    let reader = std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some(n) = line.strip_prefix("committed ") {
                report.send(n.parse::<i64>().unwrap()).unwrap();
            }
        }
    });
    let mut last = reported.recv_timeout(Duration::from_secs(30)).expect("a first commit within 30 s");
    let end = std::time::Instant::now() + wait;
    loop {
        match reported.recv_timeout(end.saturating_duration_since(std::time::Instant::now())) {
            Ok(n) => last = n,
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => panic!("the process ended by itself"),
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
    reported.try_iter().last().unwrap_or(last)
}

fn check(store: &SledStore, source: &TopicPartition, reported: i64) -> i64 {
    let n = commit_number(store, source);
    assert!(n >= reported, "{source}: commit {reported} was reported, the store is at {n}");
    let mut stamps = BTreeMap::new();
    for m in (n - ORDERS).max(1)..=n {
        stamps.extend(order_ids(m).map(|id| (id, m)));
    }
    for (id, m) in stamps {
        assert_eq!(store.state(source, &order(&id)).unwrap().as_deref(), Some(&*state(m)), "{source} {id} at {n}");
    }
    let late = ((n - 99).max(1)..=n).flat_map(|m| owed_keys(m).take(1).map(move |key| (key, m)));
    let soon = ((n - 2).max(1)..=n).flat_map(|m| owed_keys(m).skip(1).map(move |key| (key, m)));
    let expect: BTreeMap<_, _> = late.chain(soon).collect();
    let found: BTreeMap<_, _> = all_owed(store, source).into_iter().map(|(key, entry)| (key, entry.offset)).collect();
    assert_eq!(found, expect, "{source} at {n}");
    for (key, m) in expect {
        assert_eq!(store.owed(source, &key).unwrap(), Some(owed(m)), "{source} at {n}");
    }
    n
}

fn moment(rng: &mut fastrand::Rng) -> Duration {
    Duration::from_micros(rng.u64(0..120_000))
}

#[test]
fn a_kill_at_any_moment_loses_no_commit_and_halves_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = fastrand::Rng::with_seed(7);
    let mut last = 0;
    for _ in 0..KILLS {
        let reported = run_and_kill("store_kill::commits_until_killed", folder.path(), moment(&mut rng));
        assert!(reported > last);
        let store = open(folder.path());
        let found: Vec<_> = sources().iter().map(|source| check(&store, source, reported)).collect();
        let mut states = 0;
        for source in sources() {
            let mut count = |_, _| {
                states += 1;
                Ok(())
            };
            store.scan_states(&source, &mut count).unwrap();
        }
        assert_eq!(store.orders().unwrap(), states, "the count behind {reported}");
        // Nothing lies between the partitions of one commit but the moment of the kill.
        assert!(found.iter().all(|n| *n <= reported + 1), "{found:?} after {reported}");
        last = reported;
    }
}

/// So many that sled writes some of a part before the rest of it: a megabyte at a time.
const FILLED: usize = 3_000;

/// The n-th part of a restore: the same orders each time, and some that only it has.
fn nth_part(n: i64, checkpoint: Option<i64>) -> CacheWrite {
    let ids = (0..3).map(|j| format!("once-{n}-{j}")).chain((0..FILLED).map(|j| format!("again-{j}")));
    CacheWrite {
        source: sources().swap_remove(0),
        states: ids.map(|id| (order(&id), Some(state(n)))).collect(),
        owed: owed_keys(n).take(1).map(|key| (key, owed(n))).collect(),
        settled: owed_keys(n - 1).take(1).collect(),
        letters: Vec::new(),
        commands: Vec::new(),
        position: Some(cut(&sources()[0], n).position),
        checkpoint: checkpoint.map(|at| Checkpoint { changelog: NextOffset::new(at), written_ms: at }),
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the parent tells this process its part")]
fn fills_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = open(Path::new(&folder));
    let mut n = filled(&store);
    loop {
        n += 1;
        // One part in three has no checkpoint of its own, as most in a long restore.
        store.fill(nth_part(n, (n % 3 > 0).then_some(n))).unwrap();
        if n % 3 > 0 {
            writeln!(std::io::stdout(), "\ncommitted {n}").unwrap();
        }
    }
}

fn filled(store: &SledStore) -> i64 {
    store.checkpoint(&sources()[0]).unwrap().map_or(0, |checkpoint| checkpoint.changelog.get())
}

#[test]
fn a_restore_that_is_killed_leaves_no_checkpoint_ahead_of_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let source = sources().swap_remove(0);
    let mut rng = fastrand::Rng::with_seed(11);
    let mut torn = 0;
    for _ in 0..KILLS {
        let reported = run_and_kill("store_kill::fills_until_killed", folder.path(), moment(&mut rng));
        let store = open(folder.path());
        let n = filled(&store);
        assert!(n >= reported, "{reported} was reported, the checkpoint is {n}");
        let mut states = BTreeMap::new();
        let mut note = |identity: Identity, state: OrderState| {
            states.insert(identity.order_id.to_string(), state.update_time.0);
            Ok(())
        };
        store.scan_states(&source, &mut note).unwrap();
        for m in 1..=n {
            assert!((0..3).all(|j| states.get(&format!("once-{m}-{j}")) == Some(&m)), "part {m} at {n}");
        }
        assert!((0..FILLED).all(|j| states[&format!("again-{j}")] >= n), "a part at {n}");
        assert_eq!(store.orders().unwrap(), u64::try_from(states.len()).unwrap(), "the count at {n}");
        torn += usize::from(states.values().any(|stamp| *stamp > n));
    }
    assert!(torn > 0, "no kill fell into the middle of a restore");
}
