//! Commands beside a store of another cluster, or of another changelog, than the settings lead to.

use std::path::Path;

use order_sync::config;
use order_sync::kafka::embedded::EmbeddedBroker;
use order_sync::record::{NextOffset, TopicPartition};
use order_sync::store::{Owner, SledStore};
use order_sync::sync::log_ports::{CacheStore as _, CacheWrite, Checkpoint};
use order_sync::sync::ports::{Position, StateReader as _};
use tempfile::TempDir;

use super::cli_frame::order_sync;

/// Nobody listens there.
const SILENT: &str = "127.0.0.1:1";

fn open(folder: &Path, cluster_id: Option<&str>, changelog: Option<&str>) -> SledStore {
    let settings = config::Store { path: folder.join("store"), cache_bytes: 32 << 20, retain: None };
    let [cluster_id, changelog] = [cluster_id, changelog].map(|name| name.map(str::to_owned));
    SledStore::open(&settings, &Owner { group_id: "shop".to_owned(), cluster_id, changelog, now_ms: 0 }).unwrap()
}

fn source() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

/// A directory with settings for these brokers, and a store that is in use.
fn site(brokers: &str, cluster_id: Option<&str>, changelog: Option<&str>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let settings = format!(
        "[kafka]\nbrokers = \"{brokers}\"\ngroup_id = \"shop\"\ntopics = [\"orders\"]\nexactly_once = {}\n[store]\n\
         path = \"store\"\n[[apps]]\napp_id = \"tt1\"\nsecret_file = \"secret\"\nclient_key = \"ck\"\n[douyin]\n\
         base_url = \"http://127.0.0.1:1\"\n[admin]\nlisten = \"127.0.0.1:0\"\n",
        changelog.is_some()
    );
    std::fs::write(folder.path().join("order-sync.toml"), settings).unwrap();
    std::fs::write(folder.path().join("secret"), "a secret").unwrap();
    let store = open(folder.path(), cluster_id, changelog);
    let (states, owed, settled, letters, commands) = Default::default();
    let position = Some(Position::before(NextOffset::new(74)));
    let checkpoint = changelog.map(|_| Checkpoint { changelog: NextOffset::new(9), written_ms: 0 });
    let write = CacheWrite { source: source(), states, owed, settled, letters, commands, position, checkpoint };
    store.write(vec![write]).unwrap();
    folder
}

/// Exit code and everything that a command says.
fn told(folder: &TempDir, args: &[&str]) -> (i32, String) {
    let output = order_sync(folder).args(args).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// A command ends with this code, says this, and the store is where it was.
fn check(folder: &TempDir, args: &[&str], code: i32, words: &str) {
    let (ended, said) = told(folder, args);
    assert!(ended == code && said.contains(words), "{args:?}: {ended} {said}");
    assert!(folder.path().join("store/db").exists(), "{args:?}: {said}");
}

/// Offsets of another cluster's topic say nothing of what this store has read; and what is missing there was never lost.
#[test]
fn a_store_that_is_the_only_copy_is_used_with_its_own_cluster_alone() {
    let broker = EmbeddedBroker::start(&[("orders", 1)]).unwrap();
    let folder = site(broker.brokers(), Some("at-home"), None);
    let elsewhere = "belongs to Kafka cluster at-home";
    check(&folder, &["store", "skip-lost"], 6, elsewhere);
    check(&folder, &["store", "skip-lost", "--dry-run"], 6, elsewhere);
    check(&folder, &["store", "check"], 6, elsewhere);
    check(&folder, &["topics", "create"], 6, elsewhere);
    check(&folder, &["run"], 6, elsewhere);
    check(&folder, &["run", "--set", "kafka.topics=[\"nowhere\"]"], 6, elsewhere);
    check(&folder, &["check"], 6, "FAULT    store: store directory store belongs to Kafka cluster at-home");
    let silent = format!("kafka.brokers={SILENT}");
    check(&folder, &["store", "skip-lost", "--set", &silent], 7, SILENT);
    let next = open(folder.path(), None, None).position(&source()).unwrap().map(|position| position.next.get());
    assert_eq!(next, Some(74));
}

/// One that has never heard of its cluster takes the one that it is used with, and looking is no use.
#[test]
fn a_store_without_a_cluster_takes_the_one_that_it_is_used_with() {
    let broker = EmbeddedBroker::start(&[("orders", 1)]).unwrap();
    let folder = site(broker.brokers(), None, None);
    let knows = || open(folder.path(), None, None).check_cluster("another").is_err();
    check(&folder, &["store", "skip-lost", "--dry-run"], 0, "no partition has lost records");
    assert!(!knows(), "looking remembers nothing");
    check(&folder, &["store", "skip-lost"], 0, "no partition has lost records");
    assert!(knows());
}

#[test]
fn a_cache_of_another_cluster_is_neither_set_aside_nor_rebased() {
    let broker = EmbeddedBroker::start(&[("orders", 1)]).unwrap();
    let folder = site(broker.brokers(), Some("at-home"), Some("shop.changelog"));
    let elsewhere = "belongs to Kafka cluster at-home";
    check(&folder, &["store", "rebuild"], 6, elsewhere);
    check(&folder, &["store", "rebase"], 6, elsewhere);
    check(&folder, &["store", "skip-lost"], 6, elsewhere);
    check(&folder, &["run"], 6, elsewhere);
    check(&folder, &["check"], 6, "FAULT    store: store directory store belongs to Kafka cluster at-home");
    let silent = format!("kafka.brokers={SILENT}");
    check(&folder, &["store", "rebase", "--set", &silent], 7, SILENT);
    // Nothing is deleted by it, and a store that makes trouble may have to go while the brokers are away.
    let (code, said) = told(&folder, &["store", "rebuild", "--set", &silent]);
    assert!(code == 0 && said.contains("set aside as") && said.contains("was not looked at"), "{code} {said}");
}

#[test]
fn a_cache_of_another_changelog_is_told_to_be_rebased_and_not_set_aside() {
    let folder = site(SILENT, None, Some("shop.changelog"));
    let renamed = ["--set", "kafka.changelog_topic=shop.other"];
    let words = "is a cache of the changelog shop.changelog, and kafka.changelog_topic is shop.other: ";
    for command in [&["store", "check"][..], &["store", "rebuild"], &["check", "--offline"], &["run"]] {
        let args = [command, &renamed].concat();
        check(&folder, &args, 6, words);
        check(&folder, &args, 6, "`order-sync store rebase`");
    }
    check(&folder, &["store", "check", renamed[0], renamed[1]], 6, "orders/0: next offset 74");
    let words = "and kafka.exactly_once is false: its states may be behind";
    check(&folder, &["store", "rebuild", "--set", "kafka.exactly_once=false"], 6, words);
    // What cannot be read names nothing.
    std::fs::write(folder.path().join("store/db"), [0xA5; 4096]).unwrap();
    let (code, said) = told(&folder, &["store", "rebuild", renamed[0], renamed[1]]);
    assert!(code == 0 && said.contains("set aside as"), "{code} {said}");
}
