//! The cache: readers see what is committed at once, the store sees little of it, and late words are not taken.

use std::sync::Arc;

use super::*;
use crate::store::MemoryStore;
use crate::sync::log_fakes::{cut, identity, key, part, source};

fn cache() -> (Cache, MemoryStore) {
    let store = MemoryStore::new();
    let cache = Cache::new(Arc::new(store.clone()), Meters::default());
    cache.begin(&source(0), Epoch(1)).unwrap();
    (cache, store)
}

fn receipt(next: i64) -> Vec<Receipt> {
    vec![(source(0), NextOffset::new(next))]
}

fn debts(reader: &dyn StateReader) -> Vec<OwedKey> {
    let mut found = Vec::new();
    reader.scan_owed(&source(0), &mut |key, _| found.push(key)).unwrap();
    found
}

#[test]
fn committed_is_seen_at_once_and_written_later() {
    let (cache, store) = cache();
    cache.commit(&cut(vec![part(0, 1, 1, "A", 5, &[])]), &receipt(4), 0).unwrap();
    assert_eq!(cache.state(&source(0), &identity("A")).unwrap().unwrap().update_time.0, 5);
    assert_eq!(debts(&cache), [key("A", 5)]);
    assert_eq!(store.position(&source(0)).unwrap(), None);
    assert_eq!(store.checkpoint(&source(0)).unwrap(), None, "a store that is behind does not say that it is not");
    // What is settled before it was written never touches the store.
    cache.commit(&cut(vec![part(0, 1, 2, "B", 6, &[key("A", 5)])]), &receipt(8), 5000).unwrap();
    assert_eq!(debts(&store), [key("B", 6)]);
    assert_eq!(store.position(&source(0)).unwrap().unwrap().commit_number, 2);
    assert_eq!(store.checkpoint(&source(0)).unwrap().unwrap().changelog.get(), 8);
    assert_eq!((debts(&cache), cache.changelog(&source(0)).unwrap()), (vec![key("B", 6)], Some(NextOffset::new(8))));
    // A debt that the store holds is settled there.
    cache.commit(&cut(vec![part(0, 1, 3, "C", 7, &[key("B", 6)])]), &receipt(9), 6000).unwrap();
    assert_eq!((debts(&cache), debts(&store)), (vec![key("C", 7)], vec![key("B", 6)]));
    assert_eq!(cache.owed(&source(0), &key("B", 6)).unwrap(), None);
    cache.write_out().unwrap();
    assert_eq!(debts(&store), [key("C", 7)]);
}

#[test]
fn without_a_receipt_the_older_place_stands() {
    let (cache, store) = cache();
    cache.commit(&cut(vec![part(0, 1, 1, "A", 5, &[])]), &receipt(4), 0).unwrap();
    cache.commit(&cut(vec![part(0, 1, 2, "A", 6, &[])]), &[], 1).unwrap();
    cache.write_out().unwrap();
    assert_eq!(store.checkpoint(&source(0)).unwrap().unwrap().changelog.get(), 4);
    assert_eq!(store.position(&source(0)).unwrap().unwrap().next.get(), 6);
}

#[test]
fn a_commit_of_an_earlier_assignment_comes_too_late() {
    let (cache, store) = cache();
    cache.commit(&cut(vec![part(0, 1, 1, "A", 5, &[])]), &receipt(4), 0).unwrap();
    cache.begin(&source(0), Epoch(2)).unwrap();
    assert_eq!(store.position(&source(0)).unwrap().unwrap().next.get(), 5, "what was gathered is written");
    cache.commit(&cut(vec![part(0, 1, 2, "A", 6, &[])]), &receipt(7), 2).unwrap();
    cache.write_out().unwrap();
    assert_eq!(store.position(&source(0)).unwrap().unwrap().next.get(), 5);
    cache.leave(&source(0), Epoch(2));
    cache.commit(&cut(vec![part(0, 2, 2, "A", 6, &[])]), &receipt(7), 4).unwrap();
    assert_eq!(cache.position(&source(0)).unwrap().unwrap().next.get(), 5);
}

#[test]
fn an_assignment_outlives_what_is_found_out_of_an_earlier_one() {
    let (cache, store) = cache();
    cache.begin(&source(0), Epoch(2)).unwrap();
    cache.leave(&source(0), Epoch(1));
    cache.commit(&cut(vec![part(0, 2, 1, "A", 5, &[])]), &receipt(4), 2).unwrap();
    assert_eq!(cache.position(&source(0)).unwrap().unwrap().next.get(), 5, "its commits are taken");
    cache.write_out().unwrap();
    assert_eq!(store.position(&source(0)).unwrap().unwrap().next.get(), 5);
}

#[test]
fn a_debt_that_comes_and_goes_between_two_writes_leaves_no_trace() {
    let (cache, store) = cache();
    let gathered = |cache: &Cache| cache.lock()[&source(0)].gathered.owed.clone();
    // A is owed and written; then it is settled and owed again under its stamp, as content is that was rejected.
    cache.commit(&cut(vec![part(0, 1, 1, "A", 5, &[])]), &receipt(4), 0).unwrap();
    cache.write_out().unwrap();
    cache.commit(&cut(vec![part(0, 1, 2, "A", 5, &[key("A", 5)])]), &receipt(5), 2).unwrap();
    cache.commit(&cut(vec![part(0, 1, 3, "B", 6, &[key("A", 5)])]), &receipt(6), 3).unwrap();
    assert_eq!(gathered(&cache)[&key("A", 5)], Debt::Settled, "the store has a row of it");
    // B was owed since: once it is settled there is nothing to be told of it.
    cache.commit(&cut(vec![part(0, 1, 4, "C", 7, &[key("B", 6)])]), &receipt(7), 4).unwrap();
    assert_eq!(gathered(&cache).keys().collect::<Vec<_>>(), [&key("A", 5), &key("C", 7)]);
    let before = cache.lock()[&source(0)].gathered.bytes();
    cache.commit(&cut(vec![part(0, 1, 5, "C", 8, &[key("C", 7)])]), &receipt(8), 5).unwrap();
    assert_eq!(cache.lock()[&source(0)].gathered.bytes(), before, "and it costs nothing");
    cache.write_out().unwrap();
    assert_eq!((debts(&store), debts(&cache)), (vec![key("C", 8)], vec![key("C", 8)]));
}

#[test]
fn a_checkpoint_is_as_old_as_the_place_that_it_names() {
    let (cache, store) = cache();
    cache.commit(&cut(vec![part(0, 1, 1, "A", 5, &[])]), &receipt(4), 1000).unwrap();
    cache.commit(&cut(vec![part(0, 1, 2, "A", 6, &[])]), &[], 1001).unwrap();
    // The partition was elsewhere for days, and comes back: tombstones may have come and gone meanwhile.
    cache.begin(&source(0), Epoch(2)).unwrap();
    let checkpoint = store.checkpoint(&source(0)).unwrap().unwrap();
    assert_eq!((checkpoint.changelog.get(), checkpoint.written_ms), (4, 1000));
}
