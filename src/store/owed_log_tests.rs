//! The index against a plain map, over random commits; space, and reading everything back.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::order::{AppId, Identity, UpdateTime};

fn key(n: u32) -> OwedKey {
    OwedKey {
        identity: Identity::new(AppId::new("tt1"), format!("order-{}", n / 3)),
        stamp: UpdateTime(i64::from(n % 3)),
    }
}

fn owed(n: u32, bytes: usize) -> Owed {
    let request = format!(r#"{{"n":{n},"pad":"{}"}}"#, "x".repeat(bytes));
    Owed { request: request.into(), offset: i64::from(n), timestamp_ms: None }
}

/// A log with the rows that it would have on disk.
#[derive(Default)]
struct World {
    log: OwedLog,
    chunks: HashMap<u64, Vec<u8>>,
    marks: HashMap<u64, Vec<u8>>,
}

impl World {
    fn commit(&mut self, settled: &[OwedKey], owed: &[(OwedKey, Owed)]) {
        let plan = self.log.plan(settled, owed, |n| Ok(self.chunks[&n].as_slice())).unwrap();
        for number in &plan.removed {
            self.chunks.remove(number);
            self.marks.remove(number);
        }
        self.chunks.extend(plan.chunks.iter().cloned());
        self.marks.extend(plan.marks.iter().cloned());
        self.log.apply(plan);
    }

    fn reopened(&self) -> OwedLog {
        let mut log = OwedLog::default();
        for (number, bytes) in &self.chunks {
            let settled = self.marks.get(number).map(|row| marks(row).unwrap()).unwrap_or_default();
            log.load(*number, bytes, settled).unwrap();
        }
        log
    }

    fn read(&self) -> BTreeMap<OwedKey, Owed> {
        let mut found = BTreeMap::new();
        for (number, bytes) in &self.chunks {
            for (at, entry) in (0..).zip(chunk::entries(bytes).unwrap()) {
                let entry = entry.unwrap();
                if self.log.is_owed(*number, at) {
                    assert!(self.log.candidates(&entry.key()).any(|p| p == Place::new(*number, at)));
                    assert!(found.insert(entry.key(), Owed::decode(entry.owed).unwrap()).is_none());
                }
            }
        }
        found
    }

    fn bytes(&self) -> usize {
        self.chunks.values().chain(self.marks.values()).map(Vec::len).sum()
    }
}

proptest! {
    #[test]
    fn it_holds_what_a_map_holds(
        commits in proptest::collection::vec(
            (proptest::collection::vec(0u32..60, 0..20), proptest::collection::btree_map(0u32..60, 0usize..9000, 0..20)),
            1..30,
        ),
    ) {
        let (mut world, mut map) = (World::default(), BTreeMap::new());
        for (settled, new) in commits {
            let settled: Vec<_> = settled.into_iter().map(key).collect();
            let new: Vec<_> = new.into_iter().map(|(n, bytes)| (key(n), owed(n, bytes))).collect();
            world.commit(&settled, &new);
            map.retain(|key, _| !settled.contains(key));
            map.extend(new);
            prop_assert_eq!(&world.read(), &map);
            prop_assert_eq!(world.log.len(), map.len());
            let again = world.reopened();
            prop_assert_eq!(&again.places, &world.log.places);
            prop_assert_eq!(&again.chunks, &world.log.chunks);
        }
    }
}

#[test]
fn what_stays_owed_among_much_that_is_settled_takes_little_room() {
    let mut world = World::default();
    let all: Vec<_> = (0..3000).map(|n| (key(n), owed(n, 900))).collect();
    world.commit(&[], &all);
    let full = world.bytes();
    // One of ten stays; the others are settled in three commits, mixed.
    for part in 0..3 {
        let settled: Vec<_> = (0..3000).filter(|n| n % 10 != 0 && (n / 10) % 3 == part).map(key).collect();
        world.commit(&settled, &[]);
    }
    assert_eq!(world.log.len(), 300);
    assert!(world.bytes() < full * 4 / 10, "{} of {full}", world.bytes());
    let settled: Vec<_> = (0..3000).map(key).collect();
    world.commit(&settled, &[]);
    assert_eq!((world.log.len(), world.bytes()), (0, 0));
}

#[test]
fn a_settled_key_may_be_owed_again_in_the_same_commit() {
    let mut world = World::default();
    world.commit(&[], &[(key(1), owed(1, 10)), (key(2), owed(2, 10))]);
    world.commit(&[key(1)], &[(key(1), owed(7, 10))]);
    assert_eq!(world.read(), [(key(1), owed(7, 10)), (key(2), owed(2, 10))].into());
}
