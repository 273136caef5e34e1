//! A changelog under another name: what the old one knows beyond the store is not lost.

use std::fs;
use std::path::PathBuf;

use super::fixture::{World, event};
use super::rebased::copy;
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

/// A worker was killed behind a resync: its store has not heard of that, and the group's offset is the same.
struct Behind {
    world: World,
    store: PathBuf,
    /// What the platform holds since.
    stamp: Option<i64>,
}

impl Behind {
    fn new(kafka: &RealKafka) -> Self {
        let world = World::new(kafka, true);
        let (store, older) = (world.site.home().join("store"), world.site.home().join("older"));
        copy(&store, &older);
        let committed = kafka.committed(world.site.group(), &world.topic);
        let before = world.held("G-1");
        world.resync();
        assert_eq!(kafka.committed(world.site.group(), &world.topic), committed);
        let stamp = world.held("G-1");
        assert!(stamp > before, "{before:?} {stamp:?}");
        fs::remove_dir_all(&store).unwrap();
        fs::rename(&older, &store).unwrap();
        Self { world, store, stamp }
    }

    /// From here on the settings name another changelog.
    fn renamed(&self, name: &str) -> String {
        let file = self.world.site.config_file();
        let settings = fs::read_to_string(&file).unwrap();
        let changelog = format!("{}.{name}", self.world.site.group());
        let line = format!("[kafka]\nchangelog_topic = \"{changelog}\"\n");
        fs::write(&file, settings.replacen("[kafka]\n", &line, 1)).unwrap();
        changelog
    }

    fn old(&self) -> String {
        format!("{}.changelog", self.world.site.group())
    }

    /// A further event of the order is pushed under a stamp that the platform takes.
    fn goes_on_above(&self, kafka: &RealKafka) {
        self.world.goes_on(kafka, &[("G-1", event("G-1", 9, "redeemed"))]);
        assert!(self.world.held("G-1") > self.stamp, "{:?} {:?}", self.world.held("G-1"), self.stamp);
        assert_eq!(self.world.sandbox().report().violations_total, 0);
    }
}

impl World {
    /// An order is sent again under a new stamp, by a command.
    fn resync(&self) {
        let pushes = self.pushes("G-1");
        self.run(&["orders", "resync", "G-1", "--why", "a test", "--no-wait"]).out();
        self.catch_up();
        eventually("it is sent again", || self.pushes("G-1") > pushes);
    }
}

#[test]
fn real_kafka_a_rebase_into_another_name_takes_no_stamp_back() {
    let Some(kafka) = RealKafka::shared() else { return };
    let behind = Behind::new(kafka);
    let (world, place) = (&behind.world, format!("{}/0", behind.world.topic));
    let second = world.site.home().join("second");
    copy(&behind.store, &second);
    let settings = fs::read(world.site.config_file()).unwrap();
    let new = behind.renamed("renamed");
    let out = world.run(&["store", "rebase"]).out();
    let brought = format!("{place}: had less than the changelog {}, and has all of it now", behind.old());
    assert!(out.find(&brought) < out.find("orders and 0 owed") && out.contains(&brought), "{out}");
    assert!(!out.contains("was not asked"), "{out}");
    // The directory of another worker, as far behind: all of it is there already.
    let other = format!("store.path={}", second.display());
    let out = world.run(&["store", "rebase", "--set", &other]).out();
    assert!(out.contains(&format!("a cache of {new} now")) && !out.contains("written"), "{out}");
    behind.goes_on_above(kafka);
    // And again, with nothing behind it: no more is asked than the number of the last commit.
    fs::write(world.site.config_file(), settings).unwrap();
    behind.renamed("once-more");
    let out = world.run(&["store", "rebase"]).out();
    assert!(out.contains("written") && !out.contains("had less") && !out.contains("was not asked"), "{out}");
    world.is_accounted_for();
}

/// A rebase was made, and then a worker was started under the old name all the same.
#[test]
fn real_kafka_a_changelog_that_its_predecessor_has_left_behind_is_not_taken_for_whole() {
    let Some(kafka) = RealKafka::shared() else { return };
    let mut behind = Behind::new(kafka);
    let (settings, older) = (behind.world.site.config_file(), behind.world.site.home().join("older"));
    let under_old = fs::read(&settings).unwrap();
    copy(&behind.store, &older);
    let new = behind.renamed("renamed");
    behind.world.run(&["store", "rebase"]).out();
    let under_new = fs::read(&settings).unwrap();
    let back = || {
        fs::remove_dir_all(&behind.store).unwrap();
        copy(&older, &behind.store);
    };
    back();
    fs::write(&settings, under_old).unwrap();
    behind.world.resync();
    back();
    fs::write(&settings, under_new).unwrap();
    let words = [&*format!("{} has later commits", behind.old()), &format!("Delete the topic {new}")];
    behind.world.check_refused(&["store", "rebase"], 6, &words);
    kafka.delete(&new);
    behind.world.run(&["store", "rebase"]).out();
    behind.stamp = behind.world.held("G-1");
    behind.goes_on_above(kafka);
}

/// Nobody can tell any more what the store lacks: that is said. And it is said to whoever wants the store as it is.
#[test]
fn real_kafka_a_rebase_says_what_it_could_not_ask() {
    let Some(kafka) = RealKafka::shared() else { return };
    let behind = Behind::new(kafka);
    let (world, copied) = (&behind.world, behind.world.site.home().join("copied"));
    copy(&behind.store, &copied);
    let said = format!("the changelog {} was not asked: ", behind.old());
    behind.renamed("set-back");
    let out = world.run(&["store", "rebase", "--set-back"]).out();
    assert!(out.contains(&said) && out.contains("written") && !out.contains("had less"), "{out}");

    fs::remove_dir_all(&behind.store).unwrap();
    fs::rename(&copied, &behind.store).unwrap();
    kafka.delete(&behind.old());
    let gone = format!("kafka.changelog_topic={}.gone", world.site.group());
    let out = world.run(&["store", "rebase", "--set", &gone]).out();
    assert!(out.find(&said) < out.find("orders and 0 owed") && out.contains(&said), "{out}");
}

/// The old name has another log: the store is the best copy there is, and nothing of it is forgotten for that.
#[test]
fn real_kafka_a_rebase_believes_no_other_changelog_of_the_old_name() {
    let Some(kafka) = RealKafka::shared() else { return };
    let behind = Behind::new(kafka);
    kafka.delete(&behind.old());
    kafka.create(&behind.old(), 1, &[("cleanup.policy", "compact")]);
    behind.renamed("renamed");
    let words = ["has a later commit of", "which knows nothing", "--set-back"];
    behind.world.check_refused(&["store", "rebase"], 6, &words);
    let out = behind.world.run(&["store", "rebase", "--set-back"]).out();
    assert!(out.contains(": 3 orders and ") && out.contains("was not asked"), "{out}");
}
