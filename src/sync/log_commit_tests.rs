//! A commit by a transaction, whatever the answer: once in the log, and known to be there before it is delivered.

use std::sync::{Arc, Mutex};

use super::*;
use crate::store::MemoryStore;
use crate::sync::log_fakes::{FakeLog, Patient, Plan, cut, key, letter_desk, part, source};
use crate::sync::log_ports::Checkpoint;
use crate::sync::ports::Epoch;
use crate::sync::recent::cache_write;

struct Site {
    log: FakeLog,
    cache: Cache,
    commit: LogCommit,
}

fn site(plans: &[Plan]) -> Site {
    let log = FakeLog::default();
    log.content().plans = plans.iter().copied().collect();
    let cache = Cache::new(Arc::new(MemoryStore::new()), crate::telemetry::Meters::default());
    for partition in 0..2 {
        cache.begin(&source(partition), Epoch(1)).unwrap();
    }
    let commit = LogCommit {
        log: Box::new(log.clone()),
        changelog: Box::new(log.clone()),
        cache: cache.clone(),
        writer: None,
        letters: letter_desk(),
        patience: Box::new(Patient(Mutex::new(3))),
    };
    Site { log, cache, commit }
}

impl Site {
    /// How often each offset was committed, by the positions in the log.
    fn positions(&self, partition: i32) -> Vec<i64> {
        let mut found = Vec::new();
        let mut log = self.log.clone();
        let mut visit = |record: &ChangelogRecord| {
            let mut one = Gathered::default();
            one.take("orders", record).unwrap();
            found.extend(one.position.map(|position| position.next.get()));
            Ok(())
        };
        log.read(partition, NextOffset::new(0), &mut visit).unwrap();
        found
    }
}

#[test]
fn a_commit_is_in_the_changelog_and_in_the_cache() {
    let mut site = site(&[]);
    site.commit.commit(&cut(vec![part(0, 1, 1, "A", 5, &[])])).unwrap();
    assert_eq!(site.positions(0), [5]);
    assert_eq!(site.cache.position(&source(0)).unwrap().unwrap().next.get(), 5);
    assert!(site.cache.owed(&source(0), &key("A", 5)).unwrap().is_some());
}

#[test]
fn an_aborted_commit_changes_nothing_and_is_tried_again() {
    let mut site = site(&[Plan::Abort]);
    let cut = cut(vec![part(0, 1, 1, "A", 5, &[])]);
    assert!(matches!(site.commit.commit(&cut), Err(PortError::Passing(_))));
    assert_eq!(site.cache.position(&source(0)).unwrap(), None);
    site.commit.commit(&cut).unwrap();
    assert_eq!(site.positions(0), [5]);
}

#[test]
fn a_changelog_made_anew_under_a_worker_takes_no_commit() {
    let mut site = site(&[Plan::Yes, Plan::UnknownAborted]);
    site.commit.commit(&cut(vec![part(0, 1, 1, "A", 5, &[])])).unwrap();
    site.log.content().make_anew();
    let refused = site.commit.commit(&cut(vec![part(0, 1, 2, "A", 6, &[])]));
    assert!(matches!(refused, Err(PortError::Refused(..))), "{refused:?}");
    assert_eq!(site.positions(0), [0; 0]);
    assert_eq!(site.cache.position(&source(0)).unwrap().unwrap().next.get(), 5, "the cache is of the log before");
    // One that restored it stands where its store says.
    let mut site = self::site(&[]);
    let checkpoint = Some(Checkpoint { changelog: NextOffset::new(7), written_ms: 0 });
    site.cache.fill(cache_write(&source(0), Gathered::default(), checkpoint)).unwrap();
    let refused = site.commit.commit(&cut(vec![part(0, 1, 1, "A", 6, &[]), part(1, 1, 1, "B", 6, &[])]));
    assert!(matches!(refused, Err(PortError::Refused(..))), "{refused:?}");
    assert_eq!((site.positions(0), site.positions(1)), (vec![], vec![]));
}

#[test]
fn an_unknown_commit_that_was_made_is_not_made_again() {
    let mut site = site(&[Plan::UnknownCommitted]);
    site.commit.commit(&cut(vec![part(0, 1, 1, "A", 5, &[]), part(1, 1, 1, "B", 6, &[])])).unwrap();
    assert_eq!((site.positions(0), site.positions(1)), (vec![5], vec![6]));
    assert_eq!(site.cache.position(&source(1)).unwrap().unwrap().next.get(), 6);
    assert_eq!(site.log.asked()[..3], ["transact", "recover", "extent"], "an end is put to it before it is looked for");
}

#[test]
fn an_unknown_commit_that_was_not_made_is_made_once() {
    let mut site = site(&[Plan::Yes, Plan::UnknownAborted, Plan::Yes]);
    site.commit.commit(&cut(vec![part(0, 1, 1, "A", 5, &[])])).unwrap();
    site.commit.commit(&cut(vec![part(0, 1, 2, "A", 7, &[])])).unwrap();
    assert_eq!(site.positions(0), [5, 7]);
    assert_eq!(site.log.asked().iter().filter(|asked| **asked == "transact").count(), 3);
}

/// Offsets that are gone cannot be read: whoever asked for them would ask for ever.
#[test]
fn an_unknown_commit_is_looked_for_where_the_changelog_begins_though_more_was_known() {
    for (plan, expect) in [(Plan::UnknownCommitted, 2), (Plan::UnknownAborted, 3)] {
        let mut site = site(&[Plan::Yes, plan]);
        site.commit.commit(&cut(vec![part(0, 1, 1, "A", 5, &[])])).unwrap();
        // The first commit, and an offset behind it, are removed.
        let mut content = site.log.content();
        content.write(&Transaction::default(), false);
        content.low = content.end();
        drop(content);
        site.commit.commit(&cut(vec![part(0, 1, 2, "A", 6, &[])])).unwrap();
        assert_eq!(site.log.asked().iter().filter(|asked| **asked == "transact").count(), expect, "{plan:?}");
        assert_eq!(site.cache.position(&source(0)).unwrap().unwrap().next.get(), 6);
    }
}

#[test]
fn until_the_outcome_is_known_it_is_asked_for_and_the_end_of_the_worker_ends_that() {
    let mut site = site(&[Plan::UnknownCommitted, Plan::UnknownCommitted]);
    site.log.content().deaf = 2;
    site.commit.commit(&cut(vec![part(0, 1, 1, "A", 5, &[])])).unwrap();
    assert_eq!(site.positions(0), [5]);
    site.log.content().deaf = 99;
    let ended = site.commit.commit(&cut(vec![part(0, 1, 2, "A", 6, &[])]));
    assert!(matches!(ended, Err(PortError::Passing(words)) if words.contains("worker ends")));
    assert_eq!(site.cache.position(&source(0)).unwrap().unwrap().next.get(), 5, "nothing is taken for committed");
}

#[test]
fn a_number_that_the_next_owner_wrote_is_not_taken_for_ours() {
    let mut site = site(&[Plan::UnknownAborted]);
    let ours = cut(vec![part(0, 1, 1, "A", 5, &[]), part(1, 1, 1, "B", 6, &[])]);
    // Partition 0 has moved, and its new owner has made a commit of the same number.
    let theirs = part(0, 9, 1, "A", 4, &[]);
    site.log.content().write(&Transaction { parts: vec![theirs], ..Transaction::default() }, true);
    site.log.content().plans.push_back(Plan::Abort);
    assert!(site.commit.commit(&ours).is_err(), "partition 1 says that it was never made, so it is tried again");
    assert_eq!(site.positions(1), [0; 0]);
    assert_eq!(site.cache.position(&source(1)).unwrap(), None, "B is not delivered");
}

#[test]
fn the_same_position_with_other_results_is_the_next_owners() {
    let mut site = site(&[Plan::UnknownAborted]);
    // No event has come: both settle what was owed before, and each has heard of another delivery.
    let ours = cut(vec![part(0, 1, 1, "A", 5, &[key("B", 3)])]);
    let theirs = part(0, 9, 1, "A", 5, &[key("C", 4)]);
    site.log.content().write(&Transaction { parts: vec![theirs], ..Transaction::default() }, true);
    site.commit.commit(&ours).unwrap();
    assert_eq!(site.positions(0), [5], "it is not written behind theirs");
    assert_eq!(site.cache.position(&source(0)).unwrap(), None, "and nothing of it is taken for committed");
}

#[test]
fn what_the_next_owner_went_on_with_is_not_kept() {
    let mut site = site(&[Plan::UnknownAborted]);
    let parts = vec![part(0, 1, 2, "A", 5, &[]), part(1, 1, 1, "B", 6, &[])];
    // Ours was made; then partition 0 has moved, and its new owner has gone on. All that we had is there, and more.
    let made = |parts| site.log.content().write(&Transaction { parts, ..Transaction::default() }, true);
    made(parts.clone());
    made(vec![part(0, 9, 3, "A", 9, &[])]);
    site.commit.commit(&cut(parts)).unwrap();
    assert_eq!((site.positions(0), site.positions(1)), (vec![5, 9], vec![6]), "nothing is written behind theirs");
    assert_eq!(site.cache.position(&source(0)).unwrap(), None, "the cache never has what is not the newest");
    assert_eq!(site.cache.owed(&source(0), &key("A", 5)).unwrap(), None);
    assert_eq!(site.cache.position(&source(1)).unwrap().unwrap().next.get(), 6);
}
