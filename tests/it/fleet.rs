//! State that follows the partition, as users meet it: whole workers, lost and damaged stores, and the commands about them.

use std::process::Command;
use std::time::Duration;

use order_sync::kafka::embedded::EmbeddedBroker;
use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::sandbox::SandboxHandle;

use crate::run::{Site, produce, sandbox};
use crate::support::kafka::{committed, eventually, settings};
use crate::support::real_kafka::RealKafka;

const LOG_MODE: [&str; 2] = ["--set", "kafka.exactly_once=true"];
const LOCAL_MODE: [&str; 2] = ["--set", "kafka.exactly_once=false"];

/// Runs a worker until it has caught up.
fn catch_up(site: &Site, mode: [&str; 2]) {
    let mut worker = site.spawn(&[&mode[..], &["--until-caught-up"]].concat());
    eventually("the worker has caught up", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(0), "{}", site.log());
}

/// Runs a command of the binary: exit code and output.
fn command(site: &Site, mode: [&str; 2], words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_order-sync"))
        .args(words)
        .arg("--config")
        .arg(site.home().join("order-sync.toml"))
        .args(mode)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

struct World {
    site: Site,
    sandbox: SandboxHandle,
    topic: String,
    pushes: u64,
}

fn world(kafka: &RealKafka, orders: usize) -> World {
    let topic = kafka.topic("fleet", 1, &[]);
    let pushes = u64::try_from(produce(kafka, &topic, orders)).unwrap();
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(&kafka.brokers, &topic, &sandbox.base_url());
    World { site, sandbox, topic, pushes }
}

impl World {
    /// Everything was pushed once, and nothing was pushed again.
    fn check(&self) {
        let report = self.sandbox.report();
        let seen = (report.applied, report.received, report.violations_total);
        assert_eq!(seen, (self.pushes, self.pushes, 0), "{}", self.site.log());
    }
}

/// One that is set to the changelog of this world's, with a directory that knows nothing.
fn another_group_is_refused(world: &World) {
    let other = Site::new(&RealKafka::shared().unwrap().brokers, &world.topic, &world.sandbox.base_url());
    let setting = format!("kafka.changelog_topic={}.changelog", world.site.group());
    let expected = format!("of group {}, and this is group {}", world.site.group(), other.group());
    let mut worker = other.spawn(&[LOG_MODE[0], LOG_MODE[1], "--set", &setting]);
    eventually("it is refused", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(1), "{}", other.log());
    assert!(other.log().contains(&expected), "{}", other.log());
    let (code, words) = command(&other, ["--set", &setting], &["store", "rebase"]);
    assert!(code != Some(0) && words.contains(&expected), "{code:?} {words}");
}

#[test]
fn real_kafka_a_lost_or_damaged_store_costs_nothing() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = world(kafka, 100);
    let store = world.site.home().join("store");
    catch_up(&world.site, LOG_MODE);
    world.check();
    std::fs::remove_dir_all(&store).unwrap();
    catch_up(&world.site, LOG_MODE);
    world.check();
    assert!(world.site.log().contains("a partition is restored from the changelog"));

    another_group_is_refused(&world);

    let mut bytes = std::fs::read(store.join("db")).unwrap();
    let half = bytes.len() / 2;
    bytes[..half].fill(0xA5);
    std::fs::write(store.join("db"), bytes).unwrap();
    std::fs::remove_dir_all(store.join("snap")).ok();
    for file in std::fs::read_dir(&store).unwrap().map(Result::unwrap) {
        if file.file_name().to_string_lossy().starts_with("snap") {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
    catch_up(&world.site, LOG_MODE);
    world.check();
    assert!(world.site.log().contains("moved aside"), "{}", world.site.log());
    let aside = std::fs::read_dir(world.site.home()).unwrap().map(Result::unwrap);
    assert_eq!(aside.filter(|f| f.file_name().to_string_lossy().starts_with("store.aside-")).count(), 1);
}

#[test]
fn real_kafka_a_store_filled_without_transactions_is_refused_until_it_is_rebased() {
    let Some(kafka) = RealKafka::shared() else { return };
    let mut world = world(kafka, 100);
    // A topic that is taken out of the settings afterwards, wider than the other one, and gone by then.
    let retired = kafka.topic("retired", 3, &[]);
    let producer = Producer::connect(&kafka.brokers).unwrap();
    producer.send(&retired, Outgoing { partition: Some(2), value: Some(b"no event"), ..Outgoing::default() }).unwrap();
    producer.flush().unwrap();
    let both = format!("kafka.topics=[\"{}\", \"{retired}\"]", world.topic);
    let mut worker = world.site.spawn(&[LOCAL_MODE[0], LOCAL_MODE[1], "--set", &both, "--until-caught-up"]);
    eventually("the worker has caught up", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(0), "{}", world.site.log());
    world.check();
    kafka.delete(&retired);
    let mut worker = world.site.spawn(&LOG_MODE);
    eventually("it is refused", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(6));
    assert!(world.site.log().contains("store rebase"), "{}", world.site.log());

    // A second group with the same states in its way: the group has offsets and the changelog is not there.
    let (code, words) = command(&world.site, LOG_MODE, &["topics", "create"]);
    assert_eq!(code, Some(7), "{words}");
    assert!(words.contains("has committed offsets"), "{words}");

    let (code, words) = command(&world.site, LOG_MODE, &["store", "rebase"]);
    assert_eq!(code, Some(0), "{words}");
    assert!(
        words.contains("orders and 0 owed deliveries written") && words.contains("goes on where it was"),
        "{words}"
    );
    assert!(words.contains(&format!("{retired}/2: left out")), "{words}");
    catch_up(&world.site, LOG_MODE);
    world.check();
    let (code, words) = command(&world.site, LOG_MODE, &["store", "check"]);
    assert_eq!((code, words.contains("changelog offset")), (Some(0), true), "{words}");
    let elsewhere = EmbeddedBroker::start(&[]).unwrap();
    let brokers = format!("kafka.brokers={}", elsewhere.brokers());
    let (code, words) = command(&world.site, LOG_MODE, &["store", "check", "--set", &brokers]);
    assert_eq!((code, words.contains("belongs to Kafka cluster")), (Some(6), true), "{words}");

    // A second start on an empty directory has the states; the same log once more says nothing new.
    let config = settings(&kafka.brokers, world.site.group(), &[&world.topic]);
    let before = committed(&config, &world.topic, 0).unwrap();
    let (code, words) = command(&world.site, LOG_MODE, &["store", "rebuild"]);
    assert_eq!((code, words.contains("set aside as")), (Some(0), true), "{words}");
    produce(kafka, &world.topic, 100);
    catch_up(&world.site, LOG_MODE);
    world.pushes = world.sandbox.report().applied;
    world.check();
    assert!(committed(&config, &world.topic, 0).unwrap() > before);
    assert_eq!(world.sandbox.report().repeats, 0);
    let mut worker = world.site.spawn(&LOCAL_MODE);
    eventually("the way back is refused", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(6));
}

#[test]
fn real_kafka_topics_are_made_and_checked_by_command() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = world(kafka, 1);
    // The changelog, the commands, the dead letters, and the tokens that workers with transactions share.
    let (code, words) = command(&world.site, LOG_MODE, &["topics", "check"]);
    assert_eq!((code, words.matches("fault").count()), (Some(7), 4), "{words}");
    let (code, words) = command(&world.site, LOG_MODE, &["topics", "create"]);
    assert_eq!((code, words.matches("created").count()), (Some(0), 4), "{words}");
    let (code, words) = command(&world.site, LOG_MODE, &["topics", "check", "--output", "json"]);
    assert_eq!((code, words.matches(r#""outcome":"ok""#).count()), (Some(0), 4), "{words}");
}

#[test]
fn real_kafka_a_changelog_that_was_lost_is_said_and_the_store_is_written_into_a_new_one() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = world(kafka, 50);
    catch_up(&world.site, LOG_MODE);
    let changelog = format!("{}.changelog", world.site.group());
    kafka.delete(&changelog);
    let mut worker = world.site.spawn(&LOG_MODE);
    eventually("the loss is told", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(7), "{}", world.site.log());
    assert!(world.site.log().contains("store holds positions"), "{}", world.site.log());
    // Somebody makes an empty one: the store is past its end.
    kafka.create(&changelog, 1, &[("cleanup.policy", "compact"), ("max.message.bytes", "4259840")]);
    let mut worker = world.site.spawn(&LOG_MODE);
    eventually("it is not taken for ours", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(1), "{}", world.site.log());
    assert!(world.site.log().contains("deleted and created again"), "{}", world.site.log());
    let (code, words) = command(&world.site, LOG_MODE, &["store", "rebase"]);
    assert_eq!(code, Some(0), "{words}");
    catch_up(&world.site, LOG_MODE);
    world.check();
}
