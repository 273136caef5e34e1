//! The commit without transactions: the order of its steps is the promise.

use std::sync::Mutex;

use super::super::ports::OrderCount;
use super::*;
use crate::order::{DeadLetterReason, Stage};
use crate::record::RecordOffset;
use crate::sync::log_fakes::{cut, letter_desk, part, source};
use crate::sync::overlay::Overlay;

/// What was done, in its order; what is named here fails.
#[derive(Clone, Default)]
struct Steps(Arc<Mutex<Vec<&'static str>>>, Option<&'static str>);

impl Steps {
    fn take(&self, step: &'static str) -> Result<(), PortError> {
        self.0.lock().unwrap().push(step);
        if self.1 == Some(step) { Err(PortError::Passing("not now".to_owned())) } else { Ok(()) }
    }
}

impl OrderCount for Steps {
    fn orders(&self) -> Result<u64, PortError> {
        Ok(7)
    }
}

impl StateWriter for Steps {
    fn commit(&mut self, _: &[PartitionCut]) -> Result<(), PortError> {
        self.take("store")
    }
}

impl DeadLetterSink for Steps {
    fn write(&mut self, letters: Vec<Letter>) -> Result<(), PortError> {
        assert_eq!(letters.len(), 1);
        self.take("letters")
    }
}

impl OffsetCommits for Steps {
    fn commit(&mut self, _: &[(TopicPartition, NextOffset)]) {
        self.take("offset").unwrap();
    }
}

fn with_a_letter() -> CommitCut {
    let mut overlay = Overlay::default();
    overlay.put_letter(DeadLetter {
        source: source(0),
        offset: RecordOffset::new(4),
        record: None,
        reason: DeadLetterReason::MalformedEvent,
        stage: Stage::Decode,
        message: String::new(),
        order_id: None,
        app_id: None,
        update_time: None,
        delivery: None,
        times: 1,
        first_failed_ms: 0,
        last_failed_ms: 0,
    });
    cut(vec![CutPart { layer: overlay.cut().unwrap(), ..part(0, 1, 1, "A", 5, &[]) }])
}

/// Letters that are not acknowledged keep the store where it was, and a store that fails keeps the group where it was: the
/// next try, or the next process, does all of it again.
#[test]
fn letters_come_before_the_store_and_the_store_before_the_offset() {
    let check = |fails: Option<&'static str>, expect: &[&str]| {
        let steps = Steps(Arc::default(), fails);
        let meters = Meters::default();
        let mut commit = LocalCommit {
            writer: Box::new(steps.clone()),
            sink: Box::new(steps.clone()),
            letters: letter_desk(),
            offsets: Box::new(steps.clone()),
            meters: meters.clone(),
        };
        assert_eq!(commit.commit(&with_a_letter()).is_err(), fails.is_some());
        assert_eq!(*steps.0.lock().unwrap(), expect);
        assert_eq!(meters.render().contains("order_sync_store_orders 7\n"), fails.is_none());
    };
    check(None, &["letters", "store", "offset"]);
    check(Some("letters"), &["letters"]);
    check(Some("store"), &["letters", "store"]);
}

/// Counts its rests.
struct Idle(Arc<Mutex<usize>>);

impl CutCommit for Idle {
    fn commit(&mut self, _: &CommitCut) -> Result<(), PortError> {
        Ok(())
    }

    fn is_at_end(&mut self, _: &TopicPartition, _: NextOffset) -> Result<bool, PortError> {
        Ok(true)
    }

    fn rest(&mut self) {
        *self.0.lock().unwrap() += 1;
    }

    fn close(&mut self) {}
}

struct Nobody;

impl Inbox for Nobody {
    fn send(&self, _: Input) -> Result<(), crate::sync::ports::Closed> {
        Ok(())
    }
}

#[test]
fn a_thread_without_work_looks_after_its_clients() {
    let rests = Arc::new(Mutex::new(0));
    let (queue, run) = CommitThread::new(Box::new(Idle(Arc::clone(&rests))), Arc::new(Nobody));
    let thread = std::thread::spawn(run);
    let began = std::time::Instant::now();
    while *rests.lock().unwrap() < 2 {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::park_timeout(Duration::from_millis(20));
    }
    drop(queue);
    thread.join().unwrap();
}
