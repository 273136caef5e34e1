//! A scripted engine: answers the consumer's questions and remembers everything that it was told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use order_sync::record::{NextOffset, Record, TopicPartition};
use order_sync::sync::intake::IntakeBudget;
use order_sync::sync::ports::{Closed, Epoch, Inbox, Input, PortError, StartAt};

/// What the engine has seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub assigned: Vec<(Epoch, TopicPartition, i32)>,
    pub started: Vec<(TopicPartition, NextOffset, NextOffset)>,
    pub revoked: Vec<(TopicPartition, bool)>,
    pub records: Vec<(Epoch, TopicPartition, Record)>,
    pub ends: BTreeMap<TopicPartition, NextOffset>,
    pub failed: Vec<PortError>,
    pub pressed: Vec<bool>,
    pub holding: BTreeMap<TopicPartition, Epoch>,
    pub faults: Vec<String>,
}

struct Queue(SyncSender<Input>);

impl Inbox for Queue {
    fn send(&self, input: Input) -> Result<(), Closed> {
        self.0.send(input).map_err(|_| Closed)
    }
}

/// The fake engine's thread and memory.
pub struct FakeEngine {
    pub budget: Arc<IntakeBudget>,
    seen: Arc<Mutex<Seen>>,
    positions: Arc<Mutex<BTreeMap<TopicPartition, i64>>>,
    folding: Arc<AtomicBool>,
    inbox: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
    ended: Arc<AtomicBool>,
}

impl FakeEngine {
    pub fn start(budget: usize) -> Self {
        let (send, receive) = sync_channel(64);
        let mut engine = Self {
            budget: Arc::new(IntakeBudget::new(budget)),
            seen: Arc::default(),
            positions: Arc::default(),
            folding: Arc::new(AtomicBool::new(true)),
            inbox: Arc::new(Queue(send)),
            thread: None,
            ended: Arc::default(),
        };
        let (seen, positions) = (Arc::clone(&engine.seen), Arc::clone(&engine.positions));
        let (budget, folding) = (Arc::clone(&engine.budget), Arc::clone(&engine.folding));
        let ended = Arc::clone(&engine.ended);
        let thread = std::thread::spawn(move || serve(&receive, &seen, &positions, &budget, &folding, &ended));
        engine.thread = Some(thread);
        engine
    }

    pub fn inbox(&self) -> Arc<dyn Inbox> {
        Arc::clone(&self.inbox) as Arc<dyn Inbox>
    }

    /// The store's position of a partition, as if committed before.
    pub fn position(&self, source: TopicPartition, next: i64) {
        self.positions.lock().unwrap().insert(source, next);
    }

    /// Where a partition goes on.
    pub fn next(&self, source: &TopicPartition) -> Option<i64> {
        self.positions.lock().unwrap().get(source).copied()
    }

    /// While false, what is received is kept and its budget is not put back.
    pub fn fold(&self, folding: bool) {
        self.folding.store(folding, Ordering::SeqCst);
    }

    pub fn look<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap())
    }

    pub fn count(&self) -> usize {
        self.look(|seen| seen.records.len())
    }

    pub fn holds(&self) -> usize {
        self.look(|seen| seen.holding.len())
    }

    pub fn offsets(&self, source: &TopicPartition) -> Vec<i64> {
        self.look(|seen| seen.records.iter().filter(|r| r.1 == *source).map(|r| r.2.offset.get()).collect())
    }

    pub fn failures(&self) -> Vec<String> {
        self.look(|seen| seen.failed.iter().map(ToString::to_string).collect())
    }

    /// No record of a wrong epoch, none twice within an assignment, none out of order.
    pub fn check(&self) {
        self.look(|seen| assert!(seen.faults.is_empty(), "{:?}", seen.faults));
    }
}

impl Drop for FakeEngine {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            // A second panic while the test already unwinds would take the whole binary down.
            assert!(ended.is_ok() || std::thread::panicking(), "the fake engine panicked");
        }
    }
}

fn serve(
    receive: &Receiver<Input>,
    seen: &Mutex<Seen>,
    positions: &Mutex<BTreeMap<TopicPartition, i64>>,
    budget: &IntakeBudget,
    folding: &AtomicBool,
    ended: &AtomicBool,
) {
    let mut unfolded = 0;
    while !ended.load(Ordering::SeqCst) {
        if folding.load(Ordering::SeqCst) && unfolded > 0 {
            budget.refill(std::mem::take(&mut unfolded));
        }
        let input = match receive.recv_timeout(Duration::from_millis(10)) {
            Ok(input) => input,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut seen = seen.lock().unwrap();
        let mut positions = positions.lock().unwrap();
        if let Input::Records { records, .. } = &input {
            unfolded += records.iter().map(IntakeBudget::cost).sum::<usize>();
        }
        take(input, &mut seen, &mut positions);
    }
}

fn take(input: Input, seen: &mut Seen, positions: &mut BTreeMap<TopicPartition, i64>) {
    match input {
        Input::Assigned { epoch, partitions, reply } => {
            let starts = partitions.iter().map(|p| {
                positions.get(&p.source).map_or(StartAt::Fresh, |next| StartAt::Position(NextOffset::new(*next)))
            });
            reply.send(Ok(starts.collect())).unwrap();
            for assigned in partitions {
                seen.holding.insert(assigned.source.clone(), epoch);
                seen.assigned.push((epoch, assigned.source, assigned.partitions_of_topic));
            }
        }
        Input::Started { source, at, high_watermark, .. } => seen.started.push((source, at, high_watermark)),
        Input::Revoked { partitions, lost, reply } => {
            for source in partitions {
                seen.holding.remove(&source);
                seen.revoked.push((source, lost));
            }
            reply.send(()).unwrap();
        }
        Input::Records { epoch, source, records } => {
            if seen.holding.get(&source) != Some(&epoch) {
                seen.faults.push(format!("{source}: records of {epoch:?} while holding {:?}", seen.holding));
            }
            for record in records {
                if positions.get(&source).is_some_and(|next| record.offset.get() < *next) {
                    seen.faults.push(format!("{source}/{} came again", record.offset));
                }
                positions.insert(source.clone(), record.offset.next().get());
                seen.records.push((epoch, source.clone(), record));
            }
        }
        Input::Passed { epoch, source, next } => {
            if seen.holding.get(&source) != Some(&epoch) {
                seen.faults.push(format!("{source}: {epoch:?} has passed {next} while holding {:?}", seen.holding));
            }
            positions.insert(source, next.get());
        }
        Input::HighWatermark { source, high_watermark } => {
            seen.ends.insert(source, high_watermark);
        }
        Input::Failed(error) => seen.failed.push(error),
        Input::RecordsGone(words) => seen.failed.push(PortError::Fatal(words)),
        Input::RecordsPressed(pressed) => seen.pressed.push(pressed),
        other @ (Input::Attempted { .. }
        | Input::TokenFetched { .. }
        | Input::TokenRefused { .. }
        | Input::Committed(_)
        | Input::Restored { .. }
        | Input::EndProbed { .. }
        | Input::Swept(_)
        | Input::Commands(_)
        | Input::Shutdown) => seen.faults.push(format!("not for an engine's consumer: {other:?}")),
    }
}
