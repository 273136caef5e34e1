//! The cache: readers see what is committed at once, the store sees little of it, and late words are not taken.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::changelog::{Debt, LetterState};
use super::super::commit::CutPart;
use super::super::log_ports::Checkpoint;
use super::super::overlay::Overlay;
use super::super::ports::OrderCount;
use super::*;
use crate::order::DeadLetterReason;
use crate::store::MemoryStore;
use crate::sync::log_fakes::{cut, identity, key, part, source};

fn cache() -> (Cache, MemoryStore) {
    let store = MemoryStore::new();
    let cache = Cache::new(Arc::new(store.clone()), Meters::default());
    cache.begin(&source(0), Epoch(1)).unwrap();
    (cache, store)
}

/// As the commit does it that has no thread to write beside it.
fn commit(cache: &Cache, cut: &CommitCut, receipts: &[Receipt], now_ms: i64) {
    if cache.commit(cut, receipts, now_ms) != Due::Later {
        cache.write_out().unwrap();
    }
}

fn receipt(next: i64) -> Vec<Receipt> {
    vec![(source(0), NextOffset::new(next))]
}

fn debts(reader: &dyn StateReader) -> Vec<OwedKey> {
    let mut found = Vec::new();
    reader.scan_owed(&source(0), &mut |key, _| found.push(key)).unwrap();
    found
}

/// Where no commit comes any more, what is gathered is written all the same, and the orders are counted.
#[test]
fn what_is_gathered_is_written_though_nothing_more_comes() {
    let (cache, store) = cache();
    assert_eq!(cache.commit(&cut(vec![part(0, 1, 1, "A", 5, &[])]), &receipt(4), 0), Due::Later);
    let (inbox, _inputs) = crate::sync::runner::queue(1);
    let (writer, run) = CacheWriter::with_looks(cache, inbox, Duration::from_millis(20));
    let thread = std::thread::spawn(run);
    let began = std::time::Instant::now();
    while store.orders().unwrap() == 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "nobody has written it");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert_eq!(store.checkpoint(&source(0)).unwrap().unwrap().changelog.get(), 4);
    drop(writer);
    thread.join().unwrap();
}

/// Little is written soon, so that it is counted; much may become less while it waits, but not for ever.
#[test]
fn little_is_written_at_the_first_look_and_much_at_the_last() {
    let written_at = |bytes| (1..10).find(|look| is_written_at(*look, bytes));
    assert_eq!(written_at(0), Some(1));
    assert_eq!(written_at(MUCH_BYTES - 1), Some(1));
    assert_eq!(written_at(MUCH_BYTES), Some(LAST_LOOK));
    assert!(LOOK_EVERY * LAST_LOOK <= GATHER_TIME, "no later than a commit would have it written");
}

#[test]
fn committed_is_seen_at_once_and_written_later() {
    let (cache, store) = cache();
    commit(&cache, &cut(vec![part(0, 1, 1, "A", 5, &[])]), &receipt(4), 0);
    assert_eq!(cache.state(&source(0), &identity("A")).unwrap().unwrap().update_time.0, 5);
    assert_eq!(debts(&cache), [key("A", 5)]);
    assert_eq!(store.position(&source(0)).unwrap(), None);
    assert_eq!(store.checkpoint(&source(0)).unwrap(), None, "a store that is behind does not say that it is not");
    // What is settled before it was written never touches the store.
    commit(&cache, &cut(vec![part(0, 1, 2, "B", 6, &[key("A", 5)])]), &receipt(8), 10_000);
    assert_eq!(debts(&store), [key("B", 6)]);
    assert_eq!(store.position(&source(0)).unwrap().unwrap().commit_number, 2);
    assert_eq!(store.checkpoint(&source(0)).unwrap().unwrap().changelog.get(), 8);
    assert_eq!((debts(&cache), cache.changelog(&source(0)).unwrap()), (vec![key("B", 6)], Some(NextOffset::new(8))));
    // A debt that the store holds is settled there.
    commit(&cache, &cut(vec![part(0, 1, 3, "C", 7, &[key("B", 6)])]), &receipt(9), 11_000);
    assert_eq!((debts(&cache), debts(&store)), (vec![key("C", 7)], vec![key("B", 6)]));
    assert_eq!(cache.owed(&source(0), &key("B", 6)).unwrap(), None);
    cache.write_out().unwrap();
    assert_eq!(debts(&store), [key("C", 7)]);
}

#[test]
fn without_a_receipt_the_older_place_stands() {
    let (cache, store) = cache();
    commit(&cache, &cut(vec![part(0, 1, 1, "A", 5, &[])]), &receipt(4), 0);
    commit(&cache, &cut(vec![part(0, 1, 2, "A", 6, &[])]), &[], 1);
    cache.write_out().unwrap();
    assert_eq!(store.checkpoint(&source(0)).unwrap().unwrap().changelog.get(), 4);
    assert_eq!(store.position(&source(0)).unwrap().unwrap().next.get(), 6);
}

#[test]
fn a_commit_of_an_earlier_assignment_comes_too_late() {
    let (cache, store) = cache();
    commit(&cache, &cut(vec![part(0, 1, 1, "A", 5, &[])]), &receipt(4), 0);
    cache.begin(&source(0), Epoch(2)).unwrap();
    assert_eq!(store.position(&source(0)).unwrap().unwrap().next.get(), 5, "what was gathered is written");
    commit(&cache, &cut(vec![part(0, 1, 2, "A", 6, &[])]), &receipt(7), 2);
    cache.write_out().unwrap();
    assert_eq!(store.position(&source(0)).unwrap().unwrap().next.get(), 5);
    cache.leave(&source(0), Epoch(2));
    commit(&cache, &cut(vec![part(0, 2, 2, "A", 6, &[])]), &receipt(7), 4);
    assert_eq!(cache.position(&source(0)).unwrap().unwrap().next.get(), 5);
}

#[test]
fn an_assignment_outlives_what_is_found_out_of_an_earlier_one() {
    let (cache, store) = cache();
    cache.begin(&source(0), Epoch(2)).unwrap();
    cache.leave(&source(0), Epoch(1));
    commit(&cache, &cut(vec![part(0, 2, 1, "A", 5, &[])]), &receipt(4), 2);
    assert_eq!(cache.position(&source(0)).unwrap().unwrap().next.get(), 5, "its commits are taken");
    cache.write_out().unwrap();
    assert_eq!(store.position(&source(0)).unwrap().unwrap().next.get(), 5);
}

#[test]
fn a_debt_that_comes_and_goes_between_two_writes_leaves_no_trace() {
    let (cache, store) = cache();
    let gathered = |cache: &Cache| cache.lock()[&source(0)].newest_first().next().unwrap().owed.clone();
    // A is owed and written; then it is settled and owed again under its stamp, as content is that was rejected.
    commit(&cache, &cut(vec![part(0, 1, 1, "A", 5, &[])]), &receipt(4), 0);
    cache.write_out().unwrap();
    commit(&cache, &cut(vec![part(0, 1, 2, "A", 5, &[key("A", 5)])]), &receipt(5), 2);
    commit(&cache, &cut(vec![part(0, 1, 3, "B", 6, &[key("A", 5)])]), &receipt(6), 3);
    assert_eq!(gathered(&cache)[&key("A", 5)], Debt::Settled, "the store has a row of it");
    // B was owed since: once it is settled there is nothing to be told of it.
    commit(&cache, &cut(vec![part(0, 1, 4, "C", 7, &[key("B", 6)])]), &receipt(7), 4);
    assert_eq!(gathered(&cache).keys().collect::<Vec<_>>(), [&key("A", 5), &key("C", 7)]);
    let before = cache.lock()[&source(0)].gathered_bytes();
    commit(&cache, &cut(vec![part(0, 1, 5, "C", 8, &[key("C", 7)])]), &receipt(8), 5);
    assert_eq!(cache.lock()[&source(0)].gathered_bytes(), before, "and it costs nothing");
    cache.write_out().unwrap();
    assert_eq!((debts(&store), debts(&cache)), (vec![key("C", 8)], vec![key("C", 8)]));
}

#[test]
fn a_checkpoint_is_as_old_as_the_place_that_it_names() {
    let (cache, store) = cache();
    commit(&cache, &cut(vec![part(0, 1, 1, "A", 5, &[])]), &receipt(4), 1000);
    commit(&cache, &cut(vec![part(0, 1, 2, "A", 6, &[])]), &[], 1001);
    // The partition was elsewhere for days, and comes back: tombstones may have come and gone meanwhile.
    cache.begin(&source(0), Epoch(2)).unwrap();
    let checkpoint = store.checkpoint(&source(0)).unwrap().unwrap();
    assert_eq!((checkpoint.changelog.get(), checkpoint.written_ms), (4, 1000));
}

/// A store that does something while it writes, once for each of these, and then takes the write or refuses it.
struct Slow {
    store: MemoryStore,
    meanwhile: Mutex<VecDeque<Meanwhile>>,
}

type Meanwhile = Box<dyn FnOnce() -> Result<(), PortError> + Send>;

impl StateReader for Slow {
    fn position(&self, source: &TopicPartition) -> Result<Option<Position>, PortError> {
        self.store.position(source)
    }
    fn state(&self, source: &TopicPartition, identity: &Identity) -> Result<Option<Arc<OrderState>>, PortError> {
        self.store.state(source, identity)
    }
    fn scan_owed(&self, source: &TopicPartition, visit: &mut dyn FnMut(OwedKey, OwedEntry)) -> Result<(), PortError> {
        self.store.scan_owed(source, visit)
    }
    fn owed(&self, source: &TopicPartition, key: &OwedKey) -> Result<Option<Owed>, PortError> {
        self.store.owed(source, key)
    }
    fn letter(&self, source: &TopicPartition, offset: RecordOffset) -> Result<Option<LetterStatus>, PortError> {
        self.store.letter(source, offset)
    }
    fn open_letters(&self, source: &TopicPartition, identity: &Identity) -> Result<OpenLetters, PortError> {
        self.store.open_letters(source, identity)
    }
    fn open_letter_count(&self, source: &TopicPartition) -> Result<u64, PortError> {
        self.store.open_letter_count(source)
    }
    fn command(&self, source: &TopicPartition, id: &str) -> Result<Option<CommandDone>, PortError> {
        self.store.command(source, id)
    }
}

impl CacheStore for Slow {
    fn checkpoint(&self, source: &TopicPartition) -> Result<Option<Checkpoint>, PortError> {
        self.store.checkpoint(source)
    }
    fn forget(&self, source: &TopicPartition) -> Result<(), PortError> {
        self.store.forget(source)
    }
    fn write(&self, writes: Vec<CacheWrite>) -> Result<(), PortError> {
        let meanwhile = self.meanwhile.lock().unwrap().pop_front();
        meanwhile.map_or(Ok(()), |act| act())?;
        self.store.write(writes)
    }
}

impl OrderCount for Slow {
    fn orders(&self) -> Result<u64, PortError> {
        self.store.orders()
    }
}

fn slow() -> (Cache, Arc<Slow>) {
    let slow = Arc::new(Slow { store: MemoryStore::new(), meanwhile: Mutex::default() });
    let cache = Cache::new(slow.clone(), Meters::default());
    cache.begin(&source(0), Epoch(1)).unwrap();
    (cache, slow)
}

fn during_the_next_write(slow: &Slow, act: impl FnOnce() -> Result<(), PortError> + Send + 'static) {
    slow.meanwhile.lock().unwrap().push_back(Box::new(act));
}

/// A part with no more than a dead letter of order A.
fn letter(number: u64, state: LetterState) -> CutPart {
    let mut overlay = Overlay::default();
    let status = LetterStatus {
        state,
        reason: DeadLetterReason::RejectedByPlatform,
        at_ms: 1,
        times: 1,
        first_failed_ms: None,
        app_id: Some(identity("A").app_id),
        order_id: Some("A".into()),
        stamp: None,
    };
    overlay.put_status(RecordOffset::new(3), Some(status));
    CutPart { layer: overlay.cut().unwrap(), ..part(0, 1, number, "A", 5, &[]) }
}

#[test]
fn commits_go_on_while_the_store_is_written_and_the_newest_word_is_seen() {
    let (cache, slow) = slow();
    assert_eq!(cache.commit(&cut(vec![part(0, 1, 1, "A", 5, &[])]), &receipt(3), 0), Due::Later);
    assert_eq!(cache.commit(&cut(vec![letter(2, LetterState::Open)]), &receipt(4), 0), Due::Later);
    let inside = cache.clone();
    during_the_next_write(&slow, move || {
        assert_eq!((debts(&inside), inside.open_letter_count(&source(0))?), (vec![key("A", 5)], 1), "on its way");
        assert_eq!(inside.open_letters(&source(0), &identity("A"))?.len(), 1);
        inside.commit(&cut(vec![letter(3, LetterState::Discarded)]), &receipt(7), 1);
        inside.commit(&cut(vec![part(0, 1, 4, "A", 6, &[key("A", 5)])]), &receipt(8), 1);
        assert_eq!(debts(&inside), [key("A", 6)]);
        assert_eq!(inside.owed(&source(0), &key("A", 5))?, None);
        assert_eq!(inside.state(&source(0), &identity("A"))?.unwrap().update_time.0, 6);
        assert_eq!(inside.position(&source(0))?.unwrap().commit_number, 4);
        assert_eq!(inside.changelog(&source(0))?, Some(NextOffset::new(8)));
        assert_eq!(inside.open_letter_count(&source(0))?, 0);
        assert!(inside.open_letters(&source(0), &identity("A"))?.is_empty());
        Ok(())
    });
    cache.write_out().unwrap();
    let store = &slow.store;
    assert!(slow.meanwhile.lock().unwrap().is_empty());
    assert_eq!((debts(store), store.checkpoint(&source(0)).unwrap().unwrap().changelog.get()), (vec![key("A", 5)], 4));
    assert_eq!(
        (debts(&cache), cache.open_letter_count(&source(0)).unwrap()),
        (vec![key("A", 6)], 0),
        "still the newest"
    );
    cache.write_out().unwrap();
    assert_eq!((debts(store), store.checkpoint(&source(0)).unwrap().unwrap().changelog.get()), (vec![key("A", 6)], 8));
    assert_eq!((store.open_letter_count(&source(0)).unwrap(), debts(&cache)), (0, vec![key("A", 6)]));
}

#[test]
fn what_a_write_has_failed_to_bring_is_written_before_what_came_later() {
    for begins_anew in [false, true] {
        let (cache, slow) = slow();
        cache.commit(&cut(vec![part(0, 1, 1, "A", 5, &[])]), &receipt(4), 0);
        cache.commit(&cut(vec![part(0, 1, 2, "B", 6, &[])]), &receipt(6), 0);
        during_the_next_write(&slow, || Err(PortError::Fatal("no room".to_owned())));
        cache.write_out().unwrap_err();
        cache.commit(&cut(vec![part(0, 1, 3, "C", 7, &[key("A", 5)])]), &receipt(8), 1);
        let mut seen = debts(&cache);
        seen.sort_unstable();
        assert_eq!(seen, [key("B", 6), key("C", 7)], "readers see both");
        if begins_anew {
            cache.begin(&source(0), Epoch(2)).unwrap();
        } else {
            cache.write_out().unwrap();
        }
        assert_eq!(debts(&slow.store), [key("B", 6), key("C", 7)]);
        assert_eq!(slow.store.position(&source(0)).unwrap().unwrap().commit_number, 3);
    }
}

#[test]
fn a_full_cache_waits_for_the_store_and_any_other_does_not() {
    let (cache, slow) = slow();
    let much = |order: &str, megabytes: usize| {
        let mut overlay = Overlay::default();
        for n in 0..megabytes {
            let owed = Owed { request: vec![b'x'; 1 << 20].into(), offset: 5, timestamp_ms: None };
            overlay.owe(key(&format!("{order}-{n}"), 1), owed);
        }
        CutPart { layer: overlay.cut().unwrap(), ..part(0, 1, 1, order, 5, &[]) }
    };
    assert_eq!(cache.commit(&cut(vec![much("A", 60)]), &receipt(4), 0), Due::Later);
    assert_eq!(cache.commit(&cut(vec![much("B", 5)]), &receipt(4), 0), Due::Soon);
    assert_eq!(cache.commit(&cut(vec![much("C", 70)]), &receipt(4), 0), Due::Now, "nobody has written");
    let inside = cache.clone();
    during_the_next_write(&slow, move || {
        assert_eq!(inside.commit(&cut(vec![much("D", 5)]), &receipt(5), 0), Due::Later);
        assert_eq!(inside.commit(&cut(vec![part(0, 1, 2, "E", 6, &[])]), &receipt(6), 60_000), Due::Soon);
        assert_eq!(inside.commit(&cut(vec![much("F", 60)]), &receipt(7), 60_000), Due::Now, "as much is on its way");
        Ok(())
    });
    cache.write_out().unwrap();
    assert!(slow.meanwhile.lock().unwrap().is_empty());
}
