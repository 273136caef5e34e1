//! The worker's own topics as users meet them: `order-sync topics`, and what `run` says of those that are lost.

use std::process::Command;
use std::time::Duration;

use order_sync::config;
use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::record::{NextOffset, TopicPartition};
use order_sync::sandbox::SandboxHandle;
use order_sync::store::{Owner, SledStore};
use order_sync::sync::log_ports::{CacheStore as _, CacheWrite, Checkpoint};
use order_sync::sync::ports::Position;

use crate::run::{Site, produce, sandbox, terminate};
use crate::support::NOBODY;
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

/// Cases that run side by side.
const AT_ONCE: usize = 4;

/// Exit code and output of `order-sync topics`.
fn topics(site: &Site, words: &[&str]) -> (Option<i32>, String) {
    site.tool(&[&["topics"], words].concat())
}

/// Runs a worker until it ends; its exit code.
fn run(site: &Site) -> Option<i32> {
    site.run(&["--until-caught-up"])
}

/// Runs all cases, some at a time: most of their time they wait for brokers.
fn side_by_side<C: Sync>(cases: &[C], check: impl Fn(&C) + Sync) {
    for some in cases.chunks(AT_ONCE) {
        std::thread::scope(|scope| some.iter().for_each(|case| drop(scope.spawn(|| check(case)))));
    }
}

/// A group that has been at work.
fn worked(kafka: &RealKafka) -> (Site, SandboxHandle) {
    let topic = kafka.topic("own", 1, &[]);
    produce(kafka, &topic, 3);
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(&kafka.brokers, &topic, &sandbox.base_url());
    assert_eq!(run(&site), Some(0), "{}", site.log());
    (site, sandbox)
}

#[test]
fn real_kafka_a_lost_topic_of_commands_or_dead_letters_is_told_and_only_made_by_who_is_asked_to() {
    let Some(kafka) = RealKafka::shared() else { return };
    side_by_side(&["commands", "dead-letters"], |what| {
        let (site, _sandbox) = worked(kafka);
        let topic = format!("{}.{what}", site.group());
        let missing = || topics(&site, &["check"]).1.contains(&format!("topic {topic} does not exist, but "));
        let refused = |known_by: &str| {
            assert_eq!(run(&site), Some(7), "{}", site.log());
            let log = site.log();
            let words = format!("topic {topic} does not exist, but {known_by}: ");
            assert!(log.contains(&words) && log.contains("`order-sync topics create`"), "{words} {log}");
            assert!(missing(), "it was made");
        };
        kafka.delete(&topic);
        refused("this worker's store holds positions");
        // One without a store: the group's offsets tell.
        std::fs::remove_dir_all(site.home().join("store")).unwrap();
        refused(&format!("the group {} has committed offsets", site.group()));
        let (code, words) = topics(&site, &["check"]);
        assert_eq!((code, words.matches("fault").count()), (Some(7), 1), "{words}");
        let (code, words) = topics(&site, &["create"]);
        assert!(code == Some(0) && words.contains(&format!("created  {topic}: ")), "{words}");
        assert_eq!(run(&site), Some(0), "{}", site.log());
    });
}

#[test]
fn real_kafka_topics_check_says_what_it_does_itself() {
    let Some(kafka) = RealKafka::shared() else { return };
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(&kafka.brokers, &kafka.topic("checked", 2, &[]), &sandbox.base_url());
    let (code, words) = topics(&site, &["check"]);
    let makes = "does not exist. `order-sync topics create` makes it, or: kafka-topics.sh --bootstrap-server ";
    assert_eq!((code, words.matches(makes).count()), (Some(7), 4), "{words}");
    assert!(!words.contains("create_topics"), "it was not asked to make any: {words}");
    for command in ["check", "create"] {
        let (code, words) = topics(&site, &[command, "--set", "kafka.topics=[\"nosuch\",\"neither\"]"]);
        assert_eq!(code, Some(7), "{words}");
        for topic in ["nosuch", "neither"] {
            let told =
                format!("fault    {topic}: the source topic {topic} does not exist, or this user may not see it");
            assert!(words.contains(&told), "{words}");
        }
        assert!(words.matches("fault").count() == 2 && !words.contains("waiting"), "{words}");
    }
}

/// The worker's own topics of a new group, one of them with other settings than it needs.
fn faulty(kafka: &RealKafka, site: &Site, faulty: &str, settings: &[(&str, &str)]) {
    let room = ("max.message.bytes", "4259840");
    let made: [(&str, &[(&str, &str)]); 4] = [
        ("changelog", &[room, ("cleanup.policy", "compact"), ("delete.retention.ms", "604800000")]),
        ("commands", &[room, ("retention.ms", "-1")]),
        ("dead-letters", &[room, ("retention.ms", "-1")]),
        ("tokens", &[("cleanup.policy", "compact"), ("message.timestamp.type", "LogAppendTime")]),
    ];
    for (what, made) in made {
        let mut all: Vec<_> = made.to_vec();
        if what == faulty {
            all.retain(|(name, _)| settings.iter().all(|(other, _)| other != name));
            // The brokers' default is one of the faults.
            all.extend(settings.iter().filter(|(_, value)| !value.is_empty()));
        }
        kafka.create(&format!("{}.{what}", site.group()), 1, &all);
    }
}

#[test]
fn real_kafka_a_setting_that_loses_something_is_a_fault_and_run_refuses_it_or_warns() {
    let Some(kafka) = RealKafka::shared() else { return };
    let source = kafka.topic("settings", 1, &[]);
    let sandbox = sandbox(Duration::ZERO);
    let platform = sandbox.base_url();
    let check = |topic: &str, setting: (&str, &str), expected: (&str, &str), code: i32| {
        let site = Site::new(&kafka.brokers, &source, &platform);
        faulty(kafka, &site, topic, &[setting]);
        let name = format!("{}.{topic}", site.group());
        let (is, wanted) = expected;
        let words = format!("{} is {is}, but must be {wanted}: else ", setting.0);
        let (ended, told) = topics(&site, &["check"]);
        let faults: Vec<_> = told.lines().filter(|line| line.starts_with("fault ")).collect();
        let line = faults.first().copied().unwrap_or_default();
        assert!(line.starts_with(&format!("fault    {name}: {words}")), "{words} {told}");
        let set = format!("--alter --entity-type topics --entity-name {name} --add-config {}=", setting.0);
        assert!(line.contains(" Set it: kafka-configs.sh --bootstrap-server ") && line.contains(&set), "{line}");
        assert_eq!((ended, faults.len()), (Some(7), 1), "{told}");
        assert_eq!(run(&site), Some(code), "{setting:?} {}", site.log());
        let level = if code == 0 { "\"level\":\"WARN\"" } else { "\"level\":\"ERROR\"" };
        let said = |line: &str| line.contains(&words) && line.contains(level);
        assert_eq!(site.log().lines().filter(|line| said(line)).count(), 1, "{words} {}", site.log());
    };
    let inherited = |value: &str| format!("{value} (the brokers' default: the topic sets none)");
    let (small, policy, never) = ("4259840 or more", "cleanup.policy", "-1");
    let (week, small_one, much) = (inherited("604800000"), ("1048588", small), ("1000000", never));
    let room = ("max.message.bytes", "1048588");
    let mut cases = vec![
        ("changelog", (policy, "delete"), ("delete", "compact"), 7),
        ("changelog", (policy, "compact,delete"), ("compact,delete", "compact"), 7),
        ("changelog", room, small_one, 0),
        ("changelog", ("delete.retention.ms", "1000"), ("1000", "604800000 or more"), 0),
        ("tokens", (policy, "delete"), ("delete", "compact"), 0),
        ("tokens", ("max.message.bytes", "900000"), ("900000", "1000012 or more"), 0),
        ("tokens", ("message.timestamp.type", "CreateTime"), ("CreateTime", "LogAppendTime"), 0),
    ];
    for topic in ["dead-letters", "commands"] {
        cases.push((topic, ("retention.ms", ""), (&week, never), 0));
        cases.push((topic, (policy, "compact"), ("compact", "delete"), 7));
        cases.push((topic, ("retention.bytes", "1000000"), much, 0));
        cases.push((topic, room, small_one, 0));
    }
    side_by_side(&cases, |(topic, setting, expected, code)| check(topic, *setting, *expected, *code));
}

/// It is the merchant's: nobody is kept from his work. An event says what has changed, and the last one alone is not enough.
#[test]
fn real_kafka_a_source_topic_that_is_compacted_is_said_and_read_all_the_same() {
    let Some(kafka) = RealKafka::shared() else { return };
    let platform = sandbox(Duration::ZERO);
    side_by_side(&[("compact", true), ("compact,delete", true), ("delete", false)], |(policy, is_said)| {
        let source = kafka.topic("merchants", 1, &[("cleanup.policy", policy)]);
        produce(kafka, &source, 3);
        let site = Site::new(&kafka.brokers, &source, &platform.base_url());
        let words = format!("cleanup.policy is {policy}, but should be delete: ");
        let set = format!("--alter --entity-type topics --entity-name {source} --add-config cleanup.policy=delete");
        let is_warning = |line: &str| line.contains(&words) && line.contains(&set) && line.contains(&source);
        assert_eq!(run(&site), Some(0), "{}", site.log());
        let log = site.log();
        let said = log.lines().filter(|line| is_warning(line) && line.contains("\"level\":\"WARN\"")).count();
        assert_eq!(said, usize::from(*is_said), "{policy} {log}");
        let (code, told) = topics(&site, &["check"]);
        let said = told.lines().filter(|line| line.starts_with("note ") && is_warning(line)).count();
        assert_eq!((code, said), (Some(0), usize::from(*is_said)), "{policy} {told}");
        let mut check = Command::new(env!("CARGO_BIN_EXE_order-sync"));
        let output = check.args(["check", "--config"]).arg(site.config_file()).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let said = told.lines().filter(|line| line.starts_with("warning  kafka: ") && is_warning(line)).count();
        assert_eq!((output.status.code(), said), (Some(0), usize::from(*is_said)), "{policy} {told}");
    });
}

/// A store of this group that stands at this offset of the changelog's first partition.
fn store_at(site: &Site, source: &TopicPartition, stands: i64) {
    let path = site.home().join("store");
    let changelog = Some(format!("{}.changelog", site.group()));
    let owner = Owner { group_id: site.group().to_owned(), cluster_id: None, changelog, now_ms: 0 };
    let store = SledStore::open(&config::Store { path, cache_bytes: 32 << 20, retain: None }, &owner).unwrap();
    let write = CacheWrite {
        source: source.clone(),
        states: Vec::new(),
        owed: Vec::new(),
        settled: Vec::new(),
        letters: Vec::new(),
        commands: Vec::new(),
        position: Some(Position::before(NextOffset::new(0))),
        checkpoint: Some(Checkpoint { changelog: NextOffset::new(stands), written_ms: 0 }),
    };
    store.fill(write).unwrap();
}

#[test]
fn real_kafka_a_changelog_without_its_beginning_is_a_fault_and_each_store_is_told_whether_it_has_it() {
    let Some(kafka) = RealKafka::shared() else { return };
    let source = kafka.topic("beginning", 1, &[]);
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(&kafka.brokers, &source, &sandbox.base_url());
    // A broker deletes no records by command where the policy is compact alone.
    faulty(kafka, &site, "changelog", &[("cleanup.policy", "delete")]);
    let changelog = format!("{}.changelog", site.group());
    let faults = |code: i32| {
        let (ended, told) = topics(&site, &["check"]);
        let faults: Vec<String> = told.lines().filter(|line| line.starts_with("fault ")).map(str::to_owned).collect();
        assert_eq!(ended, Some(code), "{told}");
        faults
    };
    assert_eq!(faults(7).len(), 1, "the policy");
    let producer = Producer::connect(&kafka.brokers).unwrap();
    for _ in 0..3 {
        let record = Outgoing { partition: Some(0), value: Some(b"a record"), ..Outgoing::default() };
        producer.send(&changelog, record).unwrap();
    }
    producer.flush().unwrap();
    kafka.delete_records(&changelog, 0, 2);
    let begins = format!("the changelog {changelog}/0 begins at offset 2: records before that were deleted");
    let found = faults(7);
    assert!(found.len() == 2 && found[0].starts_with(&format!("fault    {changelog}: {begins}")), "{found:?}");
    assert!(found[0].contains("`order-sync store rebase`"), "{found:?}");
    let source = TopicPartition::new(source.as_str(), 0);
    for (stands, ends, words) in [(1, 7, "it cannot take the partition"), (2, 0, "it can take the partition")] {
        store_at(&site, &source, stands);
        let mut check = Command::new(env!("CARGO_BIN_EXE_order-sync"));
        let told = check.args(["store", "check", "--config"]).arg(site.config_file()).output().unwrap();
        let said = String::from_utf8(told.stderr).unwrap();
        assert!(said.contains(&begins) && said.contains(words), "{said}");
        assert_eq!(told.status.code(), Some(ends), "{said}");
    }
    // Into the topic as it is a rebase would leave out what this store alone has, and the store would be none of it then.
    let right = [("cleanup.policy", "compact"), ("max.message.bytes", "4259840"), ("delete.retention.ms", "604800000")];
    kafka.set(&changelog, &right);
    let (code, said) = site.tool(&["store", "rebase"]);
    assert!(code == Some(7) && said.contains("delete the topic"), "{code:?} {said}");
    assert_eq!(site.tool(&["store", "check"]).0, Some(0));
}

#[test]
fn real_kafka_topics_check_reads_well() {
    let Some(kafka) = RealKafka::shared() else { return };
    let source = kafka.topic("reads", 1, &[]);
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(&kafka.brokers, &source, &sandbox.base_url());
    let settings = [("retention.ms", "604800000"), ("retention.bytes", "1000000")];
    faulty(kafka, &site, "dead-letters", &settings);
    let told = |words: &[&str]| {
        let (code, told) = topics(&site, words);
        assert_eq!(code, Some(7), "{told}");
        let lines = told.lines().filter(|line| !line.starts_with("warning: "));
        let lines = lines.map(|line| line.replace(site.group(), "shop").replace(&kafka.brokers, "kafka:9092"));
        lines.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!("topics_check", told(&["check"]));
    insta::assert_snapshot!("topics_check_json", told(&["check", "--output", "json"]));
}

#[test]
fn real_kafka_a_topic_that_is_deleted_under_a_worker_ends_it_with_its_name() {
    let Some(kafka) = RealKafka::shared() else { return };
    let cases = [
        ("changelog", ""),
        ("dead-letters", ""),
        ("dead-letters", "exactly_once = false\n[kafka.properties]\nmessage.timeout.ms = 4000\n"),
    ];
    side_by_side(&cases, |(what, lines)| {
        let source = kafka.topic("deleted", 1, &[]);
        let sandbox = sandbox(Duration::ZERO);
        let site = Site::with(&kafka.brokers, &source, &sandbox.base_url(), lines);
        let pushes = u64::try_from(produce(kafka, &source, 3)).unwrap();
        let mut worker = site.spawn(&[]);
        eventually("it has worked", || sandbox.report().applied == pushes);
        let topic = format!("{}.{what}", site.group());
        kafka.delete(&topic);
        let producer = Producer::connect(&kafka.brokers).unwrap();
        let garbage = Outgoing { partition: Some(0), key: Some(b"k"), value: Some(b"none"), ..Outgoing::default() };
        producer.send(&source, garbage).unwrap();
        producer.flush().unwrap();
        eventually("the worker ends", || worker.try_wait().unwrap().is_some());
        assert_eq!(worker.wait().unwrap().code(), Some(7), "{}", site.log());
        let words = format!("topic {topic} does not exist, but this worker wrote to it: ");
        assert!(site.log().contains(&words), "{words} {}", site.log());
        // The next start has the same words, but for how it knows.
        assert_eq!(run(&site), Some(7), "{}", site.log());
        let words = format!("topic {topic} does not exist, but this worker's store holds positions: ");
        assert!(site.log().contains(&words), "{words} {}", site.log());
    });
}

#[test]
fn real_kafka_what_is_owed_of_a_topic_that_was_taken_out_is_told_and_pushed_when_it_is_back() {
    let Some(kafka) = RealKafka::shared() else { return };
    let (topic, other) = (kafka.topic("out", 1, &[]), kafka.topic("left", 1, &[]));
    let pushes = produce(kafka, &topic, 3);
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(&kafka.brokers, &topic, &sandbox.base_url());
    let mut worker = site.spawn(&["--set", &format!("douyin.base_url=http://{NOBODY}")]);
    let owed = format!("\norder_sync_owed_deliveries{{app_id=\"tt1\"}} {pushes}\n");
    eventually("all of it is owed", || site.get("/metrics").is_some_and(|(_, text)| text.contains(&owed)));
    assert_eq!(terminate(&mut worker), Some(0), "{}", site.log());
    let without = format!("kafka.topics=[\"{other}\"]");
    let mut worker = site.spawn(&["--until-caught-up", "--set", &without]);
    eventually("the worker ends", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(0), "{}", site.log());
    let log = site.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("a topic that is not in kafka.topics")).collect();
    let fields = [format!("\"topic\":\"{topic}\""), format!("\"owed\":{pushes}"), "\"level\":\"WARN\"".to_owned()];
    assert!(told.len() == 1 && fields.iter().all(|field| told[0].contains(field)), "{log}");
    let words = format!("deliveries that this store owes of topic {topic}: {pushes}. It is not in kafka.topics");
    for (command, words) in [(&["store", "check"][..], &*words), (&["check", "--offline"], &format!("store: {words}"))]
    {
        let says = |args: &[&str]| {
            let mut order_sync = Command::new(env!("CARGO_BIN_EXE_order-sync"));
            let output = order_sync.args(command).arg("--config").arg(site.config_file()).args(args).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{command:?}");
            String::from_utf8([output.stdout, output.stderr].concat()).unwrap().contains(words)
        };
        assert!(says(&["--set", &without]) && !says(&[]), "{command:?}");
    }
    assert_eq!(run(&site), Some(0), "{}", site.log());
    assert_eq!(sandbox.report().applied, u64::try_from(pushes).unwrap());
}
