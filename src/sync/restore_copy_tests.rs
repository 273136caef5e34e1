//! What is kept of a store that a restore cannot go on from.

use super::tests::{World, world};
use super::*;
use crate::record::TopicPartition;
use crate::sync::log_fakes::{part, source};
use crate::sync::log_ports::{CacheStore as _, CacheWrite};

/// A store that knows order A up to offset 5, and was told of no changelog: as one whose rebase has left the partition out.
fn holding() -> World {
    let world = world();
    let copied = part(0, 1, 1, "A", 5, &[]);
    let states = copied.layer.states().map(|(id, state)| (id.clone(), Some(Arc::clone(state)))).collect();
    let write = CacheWrite {
        source: source(0),
        states,
        owed: copied.layer.owed().to_vec(),
        settled: Vec::new(),
        letters: Vec::new(),
        commands: Vec::new(),
        position: Some(copied.position.clone()),
        checkpoint: None,
    };
    world.store.write(vec![write]).unwrap();
    world
}

/// Of the partition nothing is there, though of others there is, and whatever offset the group has: nothing is dropped, however
/// often it is tried. Once the changelog has it, the store is rebuilt from that.
#[test]
fn the_last_copy_of_a_partition_is_not_dropped() {
    for group in [None, Some(5), Some(9)] {
        let mut world = holding();
        world.commit(&part(1, 1, 1, "B", 3, &[]));
        let mut other = part(0, 1, 1, "C", 4, &[]);
        other.source = TopicPartition::new("others", 0);
        world.commit(&other);
        world.log.content().offsets.extend(group.map(|group| (source(0), group)));
        for _ in 0..2 {
            let Err(PortError::Fatal(words)) = world.run() else { panic!("gone on from, or dropped") };
            for expected in ["orders/0 up to offset 5", "g.changelog has nothing", "last copy", "store rebase"] {
                assert!(words.contains(expected), "{words}");
            }
            assert_eq!(world.stamp("A"), Some(5), "{group:?}");
            world.again();
        }
        world.commit(&part(0, 1, 1, "D", 7, &[]));
        world.log.content().offsets.insert(source(0), 7);
        assert!(matches!(world.run(), Ok(Step::Done)));
        assert_eq!((world.stamp("A"), world.stamp("D")), (None, Some(7)));
    }
}
