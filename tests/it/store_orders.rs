//! How many orders a store says that it holds.

use order_sync::record::TopicPartition;
use order_sync::store::MemoryStore;
use order_sync::sync::ports::{OrderCount as _, PartitionCut, StateWriter};

use crate::store_contract::{cut, open, order, state};

fn counts(store: &mut impl StateWriter) {
    let (one, other) = (TopicPartition::new("orders", 0), TopicPartition::new("orders", 1));
    let mut check = |source: &TopicPartition, changed: &[&str], removed: &[&str], expect: u64| {
        let states = changed.iter().map(|id| (order(id), state(1))).collect();
        let removed = removed.iter().map(|id| order(id)).collect();
        store.commit(&[PartitionCut { states, removed, ..cut(source, 1) }]).unwrap();
        assert_eq!(store.orders().unwrap(), expect, "{expect}");
    };
    check(&one, &["A", "B"], &[], 2);
    check(&one, &["B", "C"], &[], 3);
    check(&other, &["A"], &[], 4);
    check(&one, &["D"], &["A", "never"], 4);
}

#[test]
fn orders_are_counted_as_they_are_committed() {
    counts(&mut MemoryStore::new());
    let folder = tempfile::tempdir().unwrap();
    counts(&mut open(folder.path()));
    assert_eq!(open(folder.path()).orders().unwrap(), 4);
}
