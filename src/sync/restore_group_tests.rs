//! Whose positions a restore takes.

use super::tests::{World, world};
use super::*;
use crate::sync::commit::CutPart;
use crate::sync::log_fakes::part;

fn by(mut part: CutPart, group: Option<&str>) -> CutPart {
    part.position.group = group.map(Arc::from);
    part
}

fn refused(mut world: World) {
    let Err(PortError::Fatal(words)) = world.run() else { panic!("taken for ours") };
    let expected =
        ["g.changelog/0", "orders/0 of group theirs", "group ours", "kafka.changelog_topic", "kafka.group_id"];
    assert!(expected.iter().all(|part| words.contains(part)), "{words}");
}

#[test]
fn what_another_group_has_committed_is_not_restored() {
    let check = |group: Option<&str>, is_ours: bool| {
        // Alone, and behind what an earlier release has committed.
        for before in [0, 1] {
            let mut world = world();
            world.site.group = "ours".into();
            (0..before).for_each(|_| world.commit(&by(part(0, 1, 1, "A", 5, &[]), None)));
            world.commit(&by(part(0, 1, before + 1, "B", 6, &[]), group));
            if is_ours {
                assert!(matches!(world.run(), Ok(Step::Done)), "{group:?}");
                assert_eq!((world.stamp("A"), world.stamp("B")), ((before == 1).then_some(5), Some(6)));
            } else {
                refused(world);
            }
        }
    };
    check(None, true);
    check(Some("ours"), true);
    check(Some("theirs"), false);
}

#[test]
fn a_store_that_is_gone_on_from_takes_nothing_of_another_group_either() {
    // Before the other group has committed once more, and after it.
    for behind in [false, true] {
        let mut world = world();
        world.site.group = "theirs".into();
        world.commit(&by(part(0, 1, 1, "A", 5, &[]), Some("theirs")));
        world.run().unwrap();
        if behind {
            world.commit(&by(part(0, 1, 2, "B", 6, &[]), Some("theirs")));
        }
        world.again();
        world.site.group = "ours".into();
        refused(world);
    }
}

#[test]
fn what_another_group_has_committed_of_another_topic_is_nothing_to_us() {
    let mut world = world();
    world.site.group = "ours".into();
    let mut others = by(part(0, 1, 1, "A", 5, &[]), Some("theirs"));
    others.source.topic = "refunds".into();
    world.commit(&others);
    world.commit(&by(part(0, 1, 1, "B", 6, &[]), Some("ours")));
    assert!(matches!(world.run(), Ok(Step::Done)));
    assert_eq!(world.stamp("B"), Some(6));
}
