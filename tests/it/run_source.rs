//! Starts on a source topic that is not what it was: it has grown while no worker ran, or was deleted and made anew.

use std::process::Command;
use std::time::Duration;

use order_sync::kafka::changelog::Changelog;
use order_sync::record::Record;
use order_sync::sandbox::{Faults, SandboxHandle};

use crate::run::{Site, produce, sandbox, terminate};
use crate::support::kafka::{committed, eventually, settings};
use crate::support::raw_produce;
use crate::support::real_kafka::RealKafka;

struct World {
    site: Site,
    sandbox: SandboxHandle,
    topic: String,
    pushes: u64,
}

/// A worker over a wide topic and a narrow one with orders, caught up.
fn world(kafka: &RealKafka, lines: &str) -> World {
    let (wide, topic) = (kafka.topic("wide", 4, &[]), kafka.topic("narrow", 2, &[]));
    let pushes = u64::try_from(produce(kafka, &topic, 30)).unwrap();
    let sandbox = sandbox(Duration::ZERO);
    let topics = format!("{wide}\", \"{topic}");
    let world = World { site: Site::with(&kafka.brokers, &topics, &sandbox.base_url(), lines), sandbox, topic, pushes };
    world.ends_with(0);
    world
}

impl World {
    fn ends_with(&self, code: i32) {
        assert_eq!(self.site.run(&["--until-caught-up"]), Some(code), "{}", self.site.log());
        let report = self.sandbox.report();
        assert_eq!((report.received, report.violations_total), (self.pushes, 0), "{}", self.site.log());
    }
}

/// The wide topic is taken out of the settings: the changelog has more partitions than what is left.
fn check_retired(kafka: &RealKafka) {
    let world = world(kafka, "");
    let left = format!("kafka.topics=[\"{}\"]", world.topic);
    let ends_with = |code: i32| {
        let mut worker = world.site.spawn(&["--until-caught-up", "--set", &left]);
        eventually("the worker ends", || worker.try_wait().unwrap().is_some());
        assert_eq!(worker.wait().unwrap().code(), Some(code), "{}", world.site.log());
    };
    ends_with(0);
    // It hides no growth.
    kafka.grow(&world.topic, 3);
    ends_with(7);
    let words = format!("topic {} had 2 partitions and has 3 now", world.topic);
    assert!(world.site.log().contains(&words), "{}", world.site.log());
}

/// Growth within the changelog's width: only what was noted tells.
fn check(kafka: &RealKafka, lines: &str, keep_store: bool) {
    let world = world(kafka, lines);
    kafka.grow(&world.topic, 3);
    if !keep_store {
        std::fs::remove_dir_all(world.site.home().join("store")).unwrap();
    }
    produce(kafka, &world.topic, 60);
    world.ends_with(7);
    let words = format!("topic {} had 2 partitions and has 3 now", world.topic);
    assert!(world.site.log().contains(&words), "{}", world.site.log());
}

#[test]
fn real_kafka_a_source_topic_that_has_grown_is_refused_at_the_start() {
    let Some(kafka) = RealKafka::shared() else { return };
    check_retired(kafka);
    check(kafka, "", true);
    // By what the group has noted beside its offsets.
    check(kafka, "", false);
    check(kafka, "exactly_once = false", true);
}

/// Exit code and words of `order-sync store`.
fn store(site: &Site, command: &str) -> (Option<i32>, String) {
    site.tool(&["store", command])
}

/// The offsets are gone, and the store: the positions in the changelog have noted the count, and are asked before a partition
/// is begun. A rebase notes it beside the offsets that it commits.
#[test]
fn real_kafka_a_source_topic_that_has_grown_is_refused_where_the_groups_offsets_are_gone() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = world(kafka, "");
    kafka.delete(&format!("{}.changelog", world.site.group()));
    let (code, words) = store(&world.site, "rebase");
    assert_eq!(code, Some(0), "{words}");
    let config = settings(&kafka.brokers, world.site.group(), &[&world.topic]);
    let topics = [(world.topic.clone(), Some(2))].into();
    let offsets = || Changelog::connect(&config).unwrap().group_offsets(&topics).unwrap();
    assert_eq!(offsets().noted, [(world.topic.clone(), 2), (world.topic.clone(), 2)]);

    kafka.delete_group(world.site.group());
    assert!(!offsets().any);
    kafka.grow(&world.topic, 3);
    std::fs::remove_dir_all(world.site.home().join("store")).unwrap();
    produce(kafka, &world.topic, 60);
    let before = world.site.log().len();
    world.ends_with(7);
    let log = world.site.log().split_off(before);
    assert!(log.contains(&format!("topic {} had 2 partitions and has 3 now", world.topic)), "{log}");
    assert!(!log.contains("is restored from the changelog"), "nothing is begun: {log}");
}

/// The brokers name no member that speaks the newer protocol, and refuse an offset of somebody else while there is one.
#[test]
fn real_kafka_offsets_are_moved_under_no_member_of_either_protocol() {
    let Some(kafka) = RealKafka::shared() else { return };
    for (lines, words) in
        [("", " has 1 members: "), ("[kafka.properties]\n\"group.protocol\" = \"consumer\"\n", " has members, ")]
    {
        let topic = kafka.topic("members", 1, &[]);
        produce(kafka, &topic, 3);
        let sandbox = sandbox(Duration::ZERO);
        let site = Site::with(&kafka.brokers, &topic, &sandbox.base_url(), lines);
        let config = settings(&kafka.brokers, site.group(), &[&topic]);
        let mut worker = site.spawn(&[]);
        eventually("it has committed", || committed(&config, &topic, 0).is_some_and(|next| next > 0));
        let (code, told) = store(&site, "skip-lost");
        assert!(code == Some(7) && told.contains(words) && told.contains("stop every worker first"), "{code:?} {told}");
        let next = committed(&config, &topic, 0);
        terminate(&mut worker);
        let (code, told) = store(&site, "skip-lost");
        assert_eq!(code, Some(0), "{told}");
        assert_eq!(committed(&config, &topic, 0), next, "it stands where it stood");
        assert_eq!(site.log().matches("\"level\":\"ERROR\"").count(), 0, "{}", site.log());
    }
}

/// Made anew with more records than were read of the old one: only the last record tells.
fn check_anew(kafka: &RealKafka, lines: &str) {
    let world = world(kafka, lines);
    kafka.delete(&world.topic);
    kafka.create(&world.topic, 2, &[]);
    produce(kafka, &world.topic, 60);
    world.ends_with(1);
    let words = format!("{}/0 has another record at offset ", world.topic);
    assert!(world.site.log().contains(&words), "{}", world.site.log());
}

#[test]
fn real_kafka_a_source_topic_made_anew_with_more_records_is_refused() {
    let Some(kafka) = RealKafka::shared() else { return };
    check_anew(kafka, "");
    check_anew(kafka, "exactly_once = false");
}

fn header(record: &Record, name: &str) -> String {
    let found = record.headers.iter().find(|header| header.name == name);
    String::from_utf8(found.and_then(|h| h.value.as_deref()).unwrap_or_default().to_vec()).unwrap()
}

/// What is owed of a topic that is gone becomes dead letters with their requests, and never with records of the new topic.
#[test]
fn real_kafka_a_rebase_onto_a_new_topic_keeps_no_offset_of_the_old_one() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("rebased", 1, &[]);
    let owed = produce(kafka, &topic, 3);
    let records = i64::try_from(kafka.read_all(&topic).len()).unwrap();
    let sandbox = sandbox(Duration::ZERO);
    sandbox.set_outages(&["http:503 for 600s".parse().unwrap()]);
    let site = Site::new(&kafka.brokers, &topic, &sandbox.base_url());
    let mut worker = site.spawn(&["--set", "kafka.exactly_once=false"]);
    let config = settings(&kafka.brokers, site.group(), &[&topic]);
    eventually("everything is folded", || committed(&config, &topic, 0) == Some(records));
    terminate(&mut worker);

    kafka.delete(&topic);
    kafka.create(&topic, 1, &[]);
    let news = usize::try_from(records).unwrap() + 5;
    for _ in 0..news {
        raw_produce::produce(&kafka.brokers, &topic, b"no event", &[]);
    }
    let mut rebase = Command::new(env!("CARGO_BIN_EXE_order-sync"));
    let output = rebase.args(["store", "rebase", "--config"]).arg(site.config_file()).output().unwrap();
    let words = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && words.contains("the source topic is a new one"), "{words}");

    sandbox.set_outages(&[]);
    sandbox.set_faults(Faults::parse("code:40003").unwrap());
    let mut worker = site.spawn(&["--until-caught-up"]);
    eventually("the worker has caught up", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(0), "{}", site.log());
    let letters = kafka.read_all(&format!("{}.dead-letters", site.group()));
    let (gone, new): (Vec<_>, Vec<_>) = letters.iter().partition(|(_, letter)| letter.value.is_none());
    assert_eq!((gone.len(), new.len()), (owed, news));
    for (_, letter) in gone {
        assert_eq!(header(letter, "order-sync.reason"), "rejected_by_platform");
        assert!(header(letter, "order-sync.request").contains("update_time"));
        assert!(header(letter, "__connect.errors.exception.message").contains("no longer in the source topic"));
    }
    for (_, letter) in new {
        assert_eq!(header(letter, "order-sync.reason"), "malformed_event");
    }
}

/// The changelog stands, and the store at hand is an old one: the rebase goes by the changelog. States, stamps and debts
/// stay, and the new topic is read from its beginning.
#[test]
fn real_kafka_a_rebase_writes_the_changelogs_states_on_for_a_topic_made_anew() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("renewed", 2, &[]);
    for _ in 0..2 {
        raw_produce::produce(&kafka.brokers, &topic, b"no event", &[]);
    }
    let sandbox = sandbox(Duration::ZERO);
    sandbox.set_outages(&["http:503 for 600s".parse().unwrap()]);
    let site = Site::new(&kafka.brokers, &topic, &sandbox.base_url());
    let (store, older) = (site.home().join("store"), site.home().join("older"));
    // Of a shared token the next worker would wait for the one before it, which asked in vain.
    let alone = "--set=douyin.share_tokens=false";
    let ends = |code: i32| {
        let mut worker = site.spawn(&["--until-caught-up", alone]);
        eventually("the worker ends", || worker.try_wait().unwrap().is_some());
        assert_eq!(worker.wait().unwrap().code(), Some(code), "{}", site.log());
    };
    ends(0);
    assert!(Command::new("cp").arg("-a").args([&store, &older]).status().unwrap().success());
    let pushes = u64::try_from(produce(kafka, &topic, 30)).unwrap();
    let records =
        i64::try_from(kafka.read_all(&topic).iter().filter(|(partition, _)| *partition == 0).count()).unwrap();
    let config = settings(&kafka.brokers, site.group(), &[&topic]);
    let mut worker = site.spawn(&[alone]);
    eventually("everything is folded", || committed(&config, &topic, 0) == Some(records));
    terminate(&mut worker);
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::rename(older, &store).unwrap();

    kafka.delete(&topic);
    kafka.create(&topic, 2, &[]);
    raw_produce::produce(&kafka.brokers, &topic, b"no event", &[]);
    produce(kafka, &topic, 30);
    ends(1);
    assert!(site.log().contains("`order-sync store rebase`"), "{}", site.log());
    let rebase = || {
        let mut rebase = Command::new(env!("CARGO_BIN_EXE_order-sync"));
        let output = rebase.args(["store", "rebase", "--config"]).arg(site.config_file()).output().unwrap();
        let words = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{words}");
        words
    };
    let words = rebase();
    let plan = words.find(&format!("{topic}/0: the source topic is a new one"));
    let done = words.find(&format!("and {pushes} owed deliveries written; next offset 0"));
    assert!(plan.is_some() && plan < done, "{words}");
    let words = rebase();
    assert!(!words.contains("written"), "what is done is not done again: {words}");

    sandbox.set_outages(&[]);
    ends(0);
    let report = sandbox.report();
    assert!(report.applied >= pushes && report.applied < 2 * pushes, "{report:?}");
    assert_eq!((report.repeats, report.violations_total), (0, 0), "the same stamps are never given twice");
    let letters = kafka.read_all(&format!("{}.dead-letters", site.group()));
    assert_eq!(letters.len(), 3, "two of the old topic, and one of the new");
    // Where one of the old topic lay is an event of the new one.
    let mut discard = Command::new(env!("CARGO_BIN_EXE_order-sync"));
    let id = format!("{topic}/0/1");
    let discard = discard.args(["dead-letters", "discard", &id, "--why=gone", "--no-wait", "--config"]);
    let told = discard.arg(site.config_file()).output().unwrap();
    assert!(told.status.success(), "{told:?}");
    ends(0);
    let mut verify = Command::new(env!("CARGO_BIN_EXE_order-sync"));
    let told = verify.args(["verify", "--config"]).arg(site.config_file()).output().unwrap();
    assert!(told.status.success(), "{told:?}");
}
