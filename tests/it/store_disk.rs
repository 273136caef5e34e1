//! The sled directory when the world is not as it should be: in use, another's, damaged, full, growing.

use std::path::Path;
use std::process::Command;

use order_sync::config;
use order_sync::record::TopicPartition;
use order_sync::store::{Owner, SledStore, is_here};
use order_sync::sync::Owed;
use order_sync::sync::ports::{PartitionCut, PortError, StateReader, StateWriter};

use crate::store_contract::{cut, key, open, order, owner, state};
use crate::support::kafka::eventually;
use crate::support::sled_damage::{holds, misnumber_later_pages};

const FOLDER: &str = "ORDER_SYNC_TEST_DISK_FOLDER";

fn source() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

fn settings(path: &Path) -> config::Store {
    config::Store { path: path.to_owned(), cache_bytes: 32 << 20, retain: None }
}

/// Opening is refused for good, with words that name the directory and hold `expect`.
fn refused(path: &Path, owner: &Owner, expect: &str) {
    match SledStore::open(&settings(path), owner) {
        Err(PortError::Fatal(words) | PortError::Damaged(words) | PortError::Refused(_, words)) => {
            assert!(words.contains(expect) && words.contains(&*path.to_string_lossy()), "{words}");
        }
        Err(PortError::Passing(words)) => panic!("passing: {words}"),
        Ok(_) => panic!("opened, though {expect}"),
    }
}

/// A store with some content, closed again.
fn filled(orders: i64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let states = (0..orders).map(|n| (order(&n.to_string()), state(n))).collect();
    store.commit(&[PartitionCut { states, owed: vec![(key("1", 1), large(1))], ..cut(&source(), 1) }]).unwrap();
    folder
}

fn large(n: i64) -> Owed {
    let request = format!(r#"{{"n":{n},"pad":"{}"}}"#, "x".repeat(950));
    Owed { request: request.into(), offset: n, timestamp_ms: Some(n) }
}

/// Changes one row behind the store's back.
fn change_row(path: &Path, tree: &str, key: &[u8], change: impl Fn(&str) -> String) {
    // Another test's fork holds the lock of a directory that was just closed for a moment longer.
    let mut opened = None;
    eventually("the directory is let go", || {
        opened = sled::Config::new().path(path).segment_size(1 << 20).open().ok();
        opened.is_some()
    });
    let db = opened.unwrap();
    let tree = db.open_tree(tree).unwrap();
    let old = tree.get(key).unwrap().expect("the row is there");
    tree.insert(key, change(std::str::from_utf8(&old).unwrap()).as_bytes()).unwrap();
    db.flush().unwrap();
}

#[test]
fn a_directory_serves_one_process() {
    let folder = filled(1);
    let first = open(folder.path());
    refused(folder.path(), &owner(), "in use by another process");
    drop(first);
    open(folder.path());
}

#[test]
fn a_directory_serves_one_group_of_one_cluster() {
    let folder = filled(1);
    let id = open(folder.path()).store_id();
    refused(folder.path(), &Owner { group_id: "other".to_owned(), ..owner() }, "belongs to group shop");
    let cluster = |id: &str| Owner { cluster_id: Some(id.to_owned()), ..owner() };
    let open_as = |owner: &Owner| SledStore::open(&settings(folder.path()), owner).unwrap().store_id();
    assert_eq!(open_as(&cluster("c1")), id);
    refused(folder.path(), &cluster("c2"), "belongs to Kafka cluster c1");
    assert_eq!(open_as(&owner()), id);
    assert_eq!(id.len(), 32);
    assert_ne!(open(filled(1).path()).store_id(), id);
}

/// What is read from a changelog goes into an empty partition: without a position nothing else would tell.
#[test]
fn a_store_that_was_to_become_the_only_copy_is_none_before_it_has_everything() {
    let folder = tempfile::TempDir::new().unwrap();
    let cache = Owner { changelog: Some("shop.changelog".to_owned()), ..owner() };
    let open_as = |owner: &Owner| SledStore::open(&settings(folder.path()), owner).unwrap();
    open_as(&cache).begin_detaching().unwrap();
    refused(folder.path(), &owner(), "`order-sync store detach` was begun");
    // A cache restores what it lacks.
    open_as(&cache).become_only_copy().unwrap();
    assert_eq!(open_as(&owner()).changelog(), None);
}

#[test]
fn another_format_is_refused_with_words() {
    let folder = filled(3);
    change_row(folder.path(), "p/0/orders", b"s\0\x03tt12", |row| row.replace("\"format\":1", "\"format\":9"));
    let store = open(folder.path());
    let error = store.state(&source(), &order("2")).unwrap_err().to_string();
    assert!(error.contains("unknown state format 9") && error.contains("partition orders/0"), "{error}");
    assert!(store.state(&source(), &order("1")).unwrap().is_some());
    drop(store);
    change_row(folder.path(), "meta", b"store", |row| row.replace("\"format\":1", "\"format\":2"));
    refused(folder.path(), &owner(), "has format 2, and this release reads 1");
}

#[test]
fn a_damaged_directory_is_refused_and_never_taken_for_a_new_one() {
    let damage = |what: &str, damage: &dyn Fn(&Path), expect: &str| {
        let folder = filled(5000);
        damage(folder.path());
        println!("{what}");
        refused(folder.path(), &owner(), expect);
    };
    let db = |path: &Path| path.join("db");
    damage("emptied", &|path| std::fs::write(db(path), b"").unwrap(), "its content is gone");
    damage("gone", &|path| std::fs::remove_file(db(path)).unwrap(), "its content is gone");
    damage("garbage", &|path| std::fs::write(db(path), vec![0xa5; 8 << 20]).unwrap(), "cannot be read");
    damage("settings", &|path| std::fs::write(path.join("conf"), b"no: settings\nat all").unwrap(), "cannot be read");
    damage("another's", &|path| std::fs::write(path.join("order-sync-store"), b"0").unwrap(), "two different stores");
}

/// Who only looks opens nothing that would become a store by it.
#[test]
fn a_store_is_where_its_label_is_or_something_of_its_content() {
    let check = |files: &[(&str, &str)], expect: bool| {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        assert_eq!(is_here(folder.path()), expect, "{files:?}");
    };
    check(&[], false);
    check(&[("db", "")], false);
    check(&[("conf", "x")], false);
    check(&[("db", "x")], true);
    check(&[("order-sync-store", "")], true);
    assert!(is_here(filled(1).path()));
}

#[test]
fn a_path_that_is_no_directory_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    refused(file.path(), &owner(), "cannot open store directory");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the parent tells this process its part")]
fn fills_a_small_disk() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut store = open(Path::new(&folder));
    for n in 1.. {
        let states = (0..500).map(|k| (order(&format!("{n}-{k}")), state(n))).collect();
        let owed = (0..500).map(|k| (key(&format!("{n}-{k}"), n), large(n))).collect();
        if let Err(error) = store.commit(&[PartitionCut { states, owed, ..cut(&source(), n) }]) {
            println!("\nrefused after {}: {error}", n - 1);
            // What follows is said at once, too: the worker ends here.
            store.commit(&[cut(&source(), n)]).unwrap_err();
            std::process::exit(7);
        }
    }
}

/// A limit of file size stands in for a full disk: both are an error of write, in the middle of a commit.
#[cfg(unix)]
#[test]
fn a_write_that_fails_stops_with_words_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 20000; exec \"$0\" --exact store_disk::fills_a_small_disk --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert_eq!(run.status.code(), Some(7), "{said}{}", String::from_utf8_lossy(&run.stderr));
    let (committed, words) = said.split_once("refused after ").unwrap().1.split_once(": ").unwrap();
    assert!(words.contains("store directory") && words.contains("start again"), "{words}");
    let committed: i64 = committed.parse().unwrap();
    let store = open(folder.path());
    let position = store.position(&source()).unwrap().unwrap();
    assert!(position.commit_number >= committed.unsigned_abs() && committed > 0, "{committed} {position:?}");
    for n in 1..=committed {
        assert_eq!(store.owed(&source(), &key(&format!("{n}-7"), n)).unwrap(), Some(large(n)));
    }
}

fn folder_bytes(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).unwrap().map(Result::unwrap);
    entries.map(|e| if e.path().is_dir() { folder_bytes(&e.path()) } else { e.metadata().unwrap().len() }).sum()
}

#[test]
fn the_directory_stays_small_when_debts_come_and_go() {
    const EACH: i64 = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let mut sizes = Vec::new();
    for round in 0..6 {
        for part in 0..20 {
            let keys = |round: i64| (0..EACH / 20).map(move |n| key(&format!("{}", part * EACH + n), round));
            let owed = keys(round).map(|key| (key, large(round))).collect();
            let settled = keys(round - 1).collect();
            store.commit(&[PartitionCut { owed, settled, ..cut(&source(), round * 20 + part + 1) }]).unwrap();
        }
        sizes.push(folder_bytes(folder.path()) >> 20);
    }
    println!("MiB after each round: {sizes:?}");
    assert_eq!(store.owed_count(&source()), usize::try_from(EACH).unwrap());
    let live = (u64::try_from(EACH).unwrap() * 1000) >> 20;
    assert!(sizes.iter().all(|size| *size < live * 4), "{sizes:?}, {live} MiB are owed");
}

/// What the commit's thread calls: a panic of sled in a write is told, by the directory's name, and ends no thread.
#[test]
fn a_panic_of_sled_in_a_write_is_damage_that_is_told() {
    let folder = filled(5000);
    // In the middle of the tree, where the opening does not look.
    misnumber_later_pages(folder.path(), |rows| holds(rows, "\"applied_offset\":25"));
    let mut store = open(folder.path());
    let states = (0..5000).map(|n| (order(&n.to_string()), state(n))).collect();
    let error = store.commit(&[PartitionCut { states, ..cut(&source(), 2) }]).unwrap_err();
    let expected = format!("store directory {} cannot be read: sled panicked", folder.path().display());
    assert!(matches!(&error, PortError::Damaged(words) if *words == expected), "{error:?}");
}
