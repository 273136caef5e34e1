//! `order-sync check` against a platform and a Kafka that are there, and against ones that are not.

use order_sync::config;
use order_sync::kafka::topics::Topics;
use order_sync::order::{AppId, TimeUnit};
use order_sync::record::{NextOffset, TopicPartition};
use order_sync::store::{Owner, SledStore};
use order_sync::sync::log_ports::{CacheStore as _, CacheWrite};
use order_sync::sync::ports::{Position, UnitLedger as _};

use super::cli_frame::order_sync;

/// Exit code and report of a check with these settings.
fn check(folder: &tempfile::TempDir, settings: &str, args: &[&str]) -> (i32, String) {
    std::fs::write(folder.path().join("order-sync.toml"), settings).unwrap();
    let output = order_sync(folder).arg("check").args(args).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn settings(brokers: &str, topics: &str) -> String {
    format!(
        "[kafka]\nbrokers = \"{brokers}\"\ngroup_id = \"shop\"\ntopics = [{topics}]\n[store]\npath = \"store\"\n\
         [[apps]]\napp_id = \"tt1\"\nsecret = \"CANARY\"\nclient_key = \"ck\"\n[douyin]\nbase_url = \"http://127.0.0.1:1\"\n"
    )
}

#[test]
fn offline_it_looks_at_settings_and_store_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = check(&folder, &settings("127.0.0.1:1", "\"orders\""), &["--offline"]);
    assert_eq!(code, 0, "{text}");
    insta::assert_snapshot!("check_offline", text);
    assert!(!folder.path().join("store").exists());
}

#[test]
fn as_json_every_fault_is_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let faulty = settings("127.0.0.1:1", "").replace("client_key", "client_kee");
    let faulty = faulty.replace("[store]", "[kafka.properties]\nenable.auto.commit = true\n[store]");
    let (code, text) = check(&folder, &faulty, &["--output", "json"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!("check_faulty_json", text);
}

#[test]
fn properties_that_do_not_go_together_are_a_fault_before_anything_waits_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let properties = "[kafka.properties]\nmax.poll.interval.ms = 8000\nsession.timeout.ms = 10000\n[store]";
    let settings = settings("127.0.0.1:1", "\"orders\"").replace("[store]", properties);
    std::fs::write(folder.path().join("order-sync.toml"), settings).unwrap();
    for command in [&["check", "--offline"][..], &["run"]] {
        let output = order_sync(&folder).args(command).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        let told = "order-sync.toml:6: kafka.properties.max.poll.interval.ms: ";
        let words = ["must be >= `session.timeout.ms` (max.poll", "is 8000, and kafka.revoke_timeout is 10s: "];
        assert!(words.iter().all(|words| text.contains(words)) && text.matches(told).count() == 2, "{text}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_a_fault_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("store"), "a file").unwrap();
    let (code, text) = check(&folder, &settings("127.0.0.1:1", "\"orders\""), &["--offline"]);
    assert_eq!(code, 6, "{text}");
    assert!(text.contains("FAULT    store: store cannot be written: "), "{text}");
}

#[test]
fn a_store_that_is_in_use_is_no_fault_and_is_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings("127.0.0.1:1", "\"orders\"");
    // A cache of another changelog: once it may be looked at, that is a fault.
    let store = config::Store { path: folder.path().join("store"), cache_bytes: 32 << 20, retain: None };
    let owner = Owner { group_id: "shop".into(), cluster_id: None, changelog: Some("other".into()), now_ms: 0 };
    let held = SledStore::open(&store, &owner).unwrap();
    let position = Some(Position::before(NextOffset::new(1)));
    let (states, owed, settled, letters, commands) = Default::default();
    let source = TopicPartition::new("orders", 0);
    let write = CacheWrite { source, states, owed, settled, letters, commands, position, checkpoint: None };
    held.write(vec![write]).unwrap();
    let (code, text) = check(&folder, &settings, &["--offline"]);
    assert_eq!(code, 0, "{text}");
    let expected = ["warning  store: store is in use by another process", "what it holds was not looked at"];
    assert!(expected.iter().all(|words| text.contains(words)), "{text}");
    drop(held);
    let (code, text) = check(&folder, &settings, &["--offline"]);
    assert!(code == 6 && text.contains("FAULT    store: "), "{code} {text}");
}

#[test]
fn with_kafka_but_without_a_platform() {
    let broker = order_sync::kafka::embedded::EmbeddedBroker::start(&[("orders", 3)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = check(&folder, &settings(broker.brokers(), "\"orders\", \"missing\""), &[]);
    assert!(text.contains("ok       kafka: source topic orders has 3 partitions\n"), "{text}");
    assert!(text.contains("FAULT    kafka: source topic missing does not exist"), "{text}");
    assert!(text.contains("FAULT    app tt1: "), "{text}");
    assert!(!text.contains("CANARY"), "{text}");
    assert_eq!(code, 7, "the first fault decides: {text}");
}

#[test]
fn a_missing_dead_letter_topic_comes_with_the_command_that_run_names() {
    let broker = order_sync::kafka::embedded::EmbeddedBroker::start(&[("orders", 3)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut config = crate::support::kafka::settings(broker.brokers(), "shop", &["orders"]);
    config.create_topics = false;
    let refused = Topics::connect(&config).unwrap().ensure_dead_letters(&config).unwrap_err().to_string();
    let command = &refused[refused.find("kafka-topics.sh ").expect("run names the command")..];
    assert!(
        command.contains("--create --topic shop.dead-letters --partitions 3 --config max.message.bytes="),
        "{command}"
    );
    let settings = settings(broker.brokers(), "\"orders\"").replace("[store]", "create_topics = false\n[store]");
    let (code, text) = check(&folder, &settings, &[]);
    assert_eq!(code, 7, "{text}");
    assert!(text.contains(&format!("Create it: {command}\n")), "{text}\n{command}");
}

/// A change to milliseconds cannot be undone: it is told before it is made, as often as it is asked.
#[test]
fn a_unit_that_changes_to_milliseconds_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let seconds = settings("127.0.0.1:1", "\"orders\"");
    let milliseconds = seconds.replace("client_key", "update_time_unit = \"milliseconds\"\nclient_key");
    let store = config::Store { path: folder.path().join("store"), cache_bytes: 32 << 20, retain: None };
    let changelog = Some("shop.changelog".into());
    let mut made =
        SledStore::open(&store, &Owner { group_id: "shop".into(), cluster_id: None, changelog, now_ms: 0 }).unwrap();
    made.agree_units(&[(AppId::new("tt1"), TimeUnit::Seconds)].into()).unwrap();
    drop(made);
    let is_told = |text: &str| text.contains("warning  store: app tt1: update_time_unit has changed");
    for (settings, expect) in [(&milliseconds, true), (&milliseconds, true), (&seconds, false)] {
        let (code, text) = check(&folder, settings, &["--offline"]);
        assert_eq!((code, is_told(&text)), (0, expect), "{text}");
    }
    std::fs::remove_dir_all(&store.path).unwrap();
    let (code, text) = check(&folder, &milliseconds, &["--offline"]);
    assert!(code == 0 && !is_told(&text), "it knows what the store knows: {text}");
}
