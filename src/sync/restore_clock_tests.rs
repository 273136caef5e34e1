//! What a restore makes of a checkpoint that another clock has written.

use super::tests::{World, world};
use super::*;
use crate::sync::log_fakes::{key, part, source};

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;

/// A store whose checkpoint was written by a clock that was ahead by so much; the debt that it holds was settled by another
/// owner, and the changelog has dropped the tombstone since.
fn settled_elsewhere(kept: Duration, ahead_ms: i64) -> World {
    let mut world = world();
    world.site.tombstones_kept = kept;
    world.commit(&part(0, 1, 1, "A", 5, &[]));
    world.now.wall_ms += ahead_ms;
    assert!(matches!(world.run(), Ok(Step::Done)));
    assert!(is_owed(&world, "A", 5));
    world.now.wall_ms -= ahead_ms;
    world.commit(&part(0, 1, 2, "B", 6, &[key("A", 5)]));
    world.log.content().compact();
    world.again();
    world
}

fn is_owed(world: &World, order: &str, stamp: i64) -> bool {
    world.store.owed(&source(0), &key(order, stamp)).unwrap().is_some()
}

#[test]
fn a_checkpoint_from_the_future_is_of_no_known_age() {
    let week = Duration::from_secs(7 * 86_400);
    let check = |kept: Duration, ahead_ms: i64, later_ms: i64, is_believed: bool| {
        let mut world = settled_elsewhere(kept, ahead_ms);
        world.now.wall_ms += later_ms;
        assert!(matches!(world.run(), Ok(Step::Done)));
        assert_eq!(is_owed(&world, "A", 5), is_believed, "{kept:?} {ahead_ms} {later_ms}");
        assert_eq!((world.stamp("A"), world.stamp("B"), is_owed(&world, "B", 6)), (Some(5), Some(6), true));
    };
    // The age alone tells that a clock was right.
    check(week, 0, 10 * DAY_MS, false);
    check(week, 30 * DAY_MS, 10 * DAY_MS, false);
    check(week, 12 * DAY_MS, 12 * DAY_MS - HOUR_MS - 1, false);
    check(week, DAY_MS, 0, false);
    // Clocks differ, and are set back: that is no reason to read everything anew.
    check(week, HOUR_MS, 0, true);
    check(week, 0, 0, true);
    // Where tombstones go soon, so does the belief.
    check(Duration::from_secs(1000), 500_001, 0, false);
    check(Duration::from_secs(1000), 500_000, 0, true);
}

#[test]
fn a_changelog_without_its_beginning_cannot_replace_a_store_from_the_future() {
    let mut world = settled_elsewhere(Duration::from_secs(7 * 86_400), DAY_MS);
    world.log.content().low = 1;
    let Err(PortError::Refused(_, words)) = world.run() else { panic!("taken") };
    assert!(words.contains("its time lies ahead of this clock"), "{words}");
    assert!(is_owed(&world, "A", 5), "it may be the best copy that there is");
}
