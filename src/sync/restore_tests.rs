//! What a restore asks, in which order, how long it waits, and what it refuses.

use std::sync::Arc;

use super::*;
use crate::store::MemoryStore;
use crate::sync::commit::CutPart;
use crate::sync::log_fakes::{FakeLog, identity, key, part, source};
use crate::sync::log_ports::{CacheStore as _, CacheWrite, Transaction};

pub(super) struct World {
    pub(super) log: FakeLog,
    pub(super) store: MemoryStore,
    pub(super) site: RestoreSite,
    restore: Restore,
    pub(super) now: RestoreNow,
}

const WALL_MS: i64 = 1_800_000_000_000;

pub(super) fn world() -> World {
    let (log, store) = (FakeLog::default(), MemoryStore::new());
    let now = RestoreNow { mono: Duration::ZERO, wall_ms: WALL_MS };
    let site = RestoreSite {
        changelog: Box::new(log.clone()),
        cache: Cache::new(Arc::new(store.clone()), Meters::default()),
        meters: Meters::default(),
        topic: "g.changelog".to_owned(),
        group: "g".into(),
        tombstones_kept: Duration::from_secs(1000),
        batch_bytes: BATCH_BYTES,
        units: Arc::default(),
    };
    World { log, store, site, restore: Restore::new(Epoch(1), source(0)), now }
}

fn transaction(part: &CutPart) -> Transaction {
    Transaction { parts: vec![part.clone()], ..Transaction::default() }
}

impl World {
    pub(super) fn commit(&self, part: &CutPart) {
        self.log.content().write(&transaction(part), true);
    }

    /// Steps until it is done or waits.
    pub(super) fn run(&mut self) -> Result<Step, PortError> {
        for _ in 0..10 {
            match self.restore.step(&mut self.site, self.now)? {
                Step::More => {}
                step @ (Step::Done | Step::Waits) => return Ok(step),
            }
        }
        panic!("a restore without end");
    }

    pub(super) fn again(&mut self) {
        self.restore = Restore::new(Epoch(2), source(0));
    }

    pub(super) fn stamp(&self, order: &str) -> Option<i64> {
        self.store.state(&source(0), &identity(order)).unwrap().map(|state| state.update_time.0)
    }

    fn refused(&mut self) -> String {
        assert!(matches!(self.run(), Ok(Step::Waits)), "a difference is looked at more than once");
        self.now.mono += Duration::from_secs(20);
        match self.run() {
            Err(PortError::Fatal(words)) => words,
            other => panic!("not refused: {other:?}"),
        }
    }
}

#[test]
fn the_questions_come_in_their_order_and_all_is_there() {
    let mut world = world();
    world.commit(&part(0, 1, 1, "A", 5, &[]));
    world.commit(&part(1, 1, 1, "other partition", 6, &[]));
    world.commit(&part(0, 1, 2, "B", 9, &[key("A", 5)]));
    assert!(matches!(world.run(), Ok(Step::Done)));
    assert_eq!(world.log.asked(), ["committed", "extent", "read"]);
    assert_eq!((world.stamp("A"), world.stamp("B"), world.stamp("other partition")), (Some(5), Some(9), None));
    assert_eq!(world.store.owed(&source(0), &key("A", 5)).unwrap(), None);
    assert!(world.store.owed(&source(0), &key("B", 9)).unwrap().is_some());
    let checkpoint = world.store.checkpoint(&source(0)).unwrap().unwrap();
    assert_eq!(checkpoint.changelog.get(), world.log.content().end());
    assert!(world.site.meters.render().contains("order_sync_restored_orders_total 2"));
}

#[test]
fn an_open_transaction_is_waited_for_and_what_it_commits_is_read() {
    let mut world = world();
    world.commit(&part(0, 1, 1, "A", 5, &[]));
    let opened = world.log.content().end();
    world.commit(&part(0, 1, 2, "B", 9, &[]));
    // As one sees it whose transaction has no marker yet: written, not decided.
    {
        let mut content = world.log.content();
        content.open_from = Some(opened);
        content.offsets.insert(source(0), 5);
    }
    assert!(matches!(world.run(), Ok(Step::Waits)));
    assert!(matches!(world.run(), Ok(Step::Waits)));
    assert_eq!(world.stamp("B"), None);
    // It has waited for long, as one does whose process was stopped: a first difference says nothing all the same.
    world.now.mono += Duration::from_secs(60);
    {
        let mut content = world.log.content();
        content.open_from = None;
        content.offsets.insert(source(0), 9);
    }
    // The offset that it was told before is older now: everything is asked again.
    assert!(matches!(world.run(), Ok(Step::Waits)));
    assert!(matches!(world.run(), Ok(Step::Done)));
    assert_eq!((world.stamp("B"), world.store.position(&source(0)).unwrap().unwrap().next.get()), (Some(9), 9));
}

#[test]
fn offset_and_position_must_be_equal() {
    let check = |group: Option<i64>, position: Option<i64>, expect: &[&str]| {
        let mut world = world();
        if let Some(position) = position {
            world.commit(&part(0, 1, 1, "A", position, &[]));
        }
        {
            let mut content = world.log.content();
            content.offsets.clear();
            content.offsets.extend(group.map(|group| (source(0), group)));
        }
        if expect.is_empty() {
            assert!(matches!(world.run(), Ok(Step::Done)), "{group:?} {position:?}");
            assert_eq!(world.store.position(&source(0)).unwrap().map(|p| p.next.get()), position);
        } else {
            let words = world.refused();
            assert!(expect.iter().all(|part| words.contains(part)), "{words}");
        }
    };
    check(None, None, &[]);
    check(Some(5), Some(5), &[]);
    check(None, Some(5), &[]);
    check(Some(7), Some(5), &["7 of orders/0 is ahead of position 5", "g.changelog", "run on without kafka.exactly_"]);
    check(Some(3), Some(5), &["offset 3 of orders/0 is behind position 5"]);
    check(Some(3), None, &["committed offset 3 of orders/0", "g.changelog knows nothing"]);
}

#[test]
fn a_commit_between_the_questions_is_no_loss() {
    let mut world = world();
    world.commit(&part(0, 1, 1, "A", 5, &[]));
    assert!(matches!(world.restore.step(&mut world.site, world.now), Ok(Step::More)), "asked");
    world.commit(&part(0, 1, 2, "A", 8, &[]));
    assert!(matches!(world.run(), Ok(Step::Waits)), "the offset that was told is behind what is read");
    assert!(matches!(world.run(), Ok(Step::Done)));
    assert_eq!(world.stamp("A"), Some(8));
}

#[test]
fn a_store_is_brought_up_from_where_it_stands() {
    let mut world = world();
    world.commit(&part(0, 1, 1, "A", 5, &[]));
    world.run().unwrap();
    world.log.asked();
    world.commit(&part(0, 1, 2, "B", 6, &[key("A", 5)]));
    world.again();
    assert!(matches!(world.run(), Ok(Step::Done)));
    assert_eq!((world.stamp("A"), world.stamp("B")), (Some(5), Some(6)));
    assert_eq!(world.store.owed(&source(0), &key("A", 5)).unwrap(), None);
    assert!(world.site.meters.render().contains("order_sync_restored_orders_total 2"), "A was not read again");
}

#[test]
fn a_store_that_cannot_be_gone_on_from_is_rebuilt() {
    let check = |spoil: &dyn Fn(&mut World)| {
        let mut world = world();
        world.commit(&part(0, 1, 1, "A", 5, &[]));
        world.run().unwrap();
        // A state that compaction has taken, tombstone and all: nobody will say that it is gone.
        let stale = part(0, 1, 1, "Z", 4, &[]);
        let states = stale.layer.states().map(|(id, state)| (id.clone(), Some(Arc::clone(state)))).collect();
        let (owed, settled) = (stale.layer.owed().to_vec(), Vec::new());
        let write = CacheWrite {
            source: source(0),
            states,
            owed,
            settled,
            letters: Vec::new(),
            commands: Vec::new(),
            position: None,
            checkpoint: None,
        };
        world.store.write(vec![write]).unwrap();
        spoil(&mut world);
        world.again();
        assert!(matches!(world.run(), Ok(Step::Done)));
        assert_eq!((world.stamp("A"), world.stamp("Z")), (Some(5), None));
        assert_eq!(world.store.owed(&source(0), &key("Z", 4)).unwrap(), None);
    };
    check(&|world| world.now.wall_ms += 501 * 1000);
    check(&|world| world.store.forget(&source(0)).unwrap());
}

#[test]
fn a_changelog_that_has_lost_its_beginning_is_not_taken_for_the_whole() {
    // The store stands behind the first commit, and `lost` offsets of the changelog are gone.
    let check = |lost: fn(i64) -> i64, spoil: &dyn Fn(&mut World), expect: &[&str]| {
        let mut world = world();
        world.commit(&part(0, 1, 1, "A", 5, &[]));
        world.run().unwrap();
        let stands = world.log.content().end();
        world.commit(&part(0, 1, 2, "B", 6, &[]));
        world.log.content().low = lost(stands);
        spoil(&mut world);
        world.again();
        match world.run() {
            Ok(Step::Done) if expect.is_empty() => assert_eq!((world.stamp("A"), world.stamp("B")), (Some(5), Some(6))),
            Err(PortError::Refused(crate::sync::ports::By::Kafka, words)) if !expect.is_empty() => {
                assert!(expect.iter().all(|part| words.contains(part)), "{words}");
                let is_of_no_use = words.contains("begins behind it");
                assert!(!is_of_no_use || world.stamp("A") == Some(5), "it may be the best copy that there is");
            }
            other => panic!("{other:?}"),
        }
    };
    check(|stands| stands, &|_| (), &[]);
    check(|stands| stands - 1, &|_| (), &[]);
    let words = ["g.changelog/0 begins at offset 5", "store rebase", "begins behind it"];
    check(|stands| stands + 1, &|_| (), &words);
    check(|stands| stands, &|world| world.store.forget(&source(0)).unwrap(), &["begins at offset 4", "it has none"]);
    check(|stands| stands, &|world| world.now.wall_ms += 501 * 1000, &["so old"]);
    check(
        |_| 1,
        &|world| world.site.cache = Cache::new(Arc::new(MemoryStore::new()), Meters::default()),
        &["offset 1:"],
    );
}

#[test]
fn a_store_that_has_all_of_a_changelog_that_is_empty_now_is_gone_on_from() {
    let mut world = world();
    world.commit(&part(0, 1, 1, "A", 5, &[]));
    world.run().unwrap();
    let end = world.log.content().end();
    world.log.content().low = end;
    world.again();
    assert!(matches!(world.run(), Ok(Step::Done)));
}

#[test]
fn a_store_beyond_the_changelogs_end_is_of_another_one() {
    let mut others = part(0, 1, 1, "A", 5, &[]);
    others.source.topic = "others".into();
    for (there, commits) in [(part(0, 1, 1, "A", 5, &[]), 1), (others, 3)] {
        let mut world = world();
        world.commit(&part(0, 1, 1, "A", 5, &[]));
        world.commit(&part(0, 1, 2, "A", 5, &[]));
        world.run().unwrap();
        world.log = FakeLog::default();
        world.site.changelog = Box::new(world.log.clone());
        (0..commits).for_each(|_| world.commit(&there));
        world.again();
        let Err(PortError::Fatal(words)) = world.run() else { panic!("taken for ours") };
        assert!(words.contains("g.changelog/0") && words.contains("store rebase"), "{words}");
        assert_eq!(world.stamp("A"), Some(5), "the best copy there is stays whole");
    }
}

fn of(mut part: CutPart, id: Option<u64>) -> CutPart {
    part.position.changelog_id = id.map(ChangelogId);
    part
}

#[test]
fn a_store_of_another_changelog_of_the_same_name_is_not_gone_on_from() {
    // The store stands behind `stood` commits of a changelog; the one that is there now has three.
    let check = |stood: u64, was: Option<u64>, is: Option<u64>, expect: Option<i64>| {
        let mut world = world();
        for number in 1..=stood {
            world.commit(&of(part(0, 1, number, "A", 5, &[]), was));
        }
        world.run().unwrap();
        world.log = FakeLog::default();
        world.site.changelog = Box::new(world.log.clone());
        for (number, (order, stamp)) in (1..).zip([("A", 7), ("B", 8), ("C", 9)]) {
            world.commit(&of(part(0, 1, number, order, stamp, &[]), is));
        }
        world.again();
        assert!(matches!(world.run(), Ok(Step::Done)), "{stood} {was:?} {is:?}");
        assert_eq!(world.stamp("A"), expect, "{stood} {was:?} {is:?}");
        assert_eq!(world.stamp("C"), Some(9));
        assert!(world.log.asked().len() < 12, "it is found out once");
        world.again();
        assert!(matches!(world.run(), Ok(Step::Done)), "and what is restored then is gone on from");
        assert_eq!(world.stamp("A"), expect);
    };
    for stood in 1..=2 {
        check(stood, Some(1), Some(2), Some(7));
        check(stood, None, Some(2), Some(7));
        check(stood, Some(1), Some(1), Some(5));
        check(stood, None, None, Some(5));
    }
}

#[test]
fn a_store_at_the_very_end_of_another_changelog_is_told_by_the_position_before_it() {
    let check = |quiet: usize, was: u64, expect: i64| {
        let mut world = world();
        world.commit(&of(part(0, 1, 1, "A", 5, &[]), Some(was)));
        (0..quiet).for_each(|_| world.commit(&part(1, 1, 1, "of another partition", 6, &[])));
        world.run().unwrap();
        world.log = FakeLog::default();
        world.site.changelog = Box::new(world.log.clone());
        world.commit(&of(part(0, 1, 1, "B", 5, &[]), Some(2)));
        (0..quiet).for_each(|_| world.commit(&part(1, 1, 1, "of another partition", 6, &[])));
        world.again();
        assert!(matches!(world.run(), Ok(Step::Done)));
        assert_eq!(world.stamp("A").or(world.stamp("B")), Some(expect));
        assert_eq!(world.stamp("A").is_some(), was == 2);
    };
    for quiet in [0, 3, 40, 400] {
        check(quiet, 1, 5);
        check(quiet, 2, 5);
    }
}

#[test]
fn a_position_that_readers_do_not_see_yet_is_waited_for() {
    let mut world = world();
    world.commit(&of(part(0, 1, 1, "A", 5, &[]), Some(1)));
    world.run().unwrap();
    // Committed, and its marker is not written yet.
    world.log.content().open_from = Some(0);
    world.again();
    assert!(matches!(world.run(), Ok(Step::Waits)));
    world.log.content().open_from = None;
    assert!(matches!(world.run(), Ok(Step::Done)));
    assert_eq!(world.stamp("A"), Some(5));
}

#[test]
fn a_rebase_of_a_changelog_onto_itself_is_restored_from_the_beginning_and_once() {
    let mut world = world();
    world.commit(&of(part(0, 1, 1, "A", 5, &[]), Some(1)));
    world.run().unwrap();
    world.commit(&of(part(0, 1, 2, "B", 6, &[]), Some(1)));
    world.commit(&of(part(0, 1, 3, "A", 7, &[]), Some(2)));
    world.again();
    assert!(matches!(world.run(), Ok(Step::Done)));
    assert_eq!((world.stamp("A"), world.stamp("B")), (Some(7), Some(6)));
}
