//! The threads beside the engine: each is named, and tells the engine when it dies.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::log_mode::Closing;
use super::worker::{WorkerError, wall_ms};
use crate::sync::commit::{CommitThread, CutCommit};
use crate::sync::engine::{Ended, Engine};
use crate::sync::ports::{Inbox, Input, PortError};
use crate::sync::runner;

/// How long the threads may take to end behind the engine, all of them together. What they wait for themselves ends with it;
/// what holds one longer is a call of the Kafka client or of the disk, and the process does not wait for those: the changelog
/// has all that was committed.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// Between two looks at a thread that has not ended.
const LOOK: Duration = Duration::from_millis(5);

/// Runs the engine to its end, then waits for the threads beside it, but not for ever.
pub(super) fn run_beside(
    engine: Engine,
    inputs: Receiver<Input>,
    closing: &Closing,
    threads: Vec<JoinHandle<()>>,
) -> Ended {
    let ended = runner::run(engine, &inputs, wall_ms);
    // The queue is gone with `inputs`: the consumer's last words to the engine are not waited for.
    drop(inputs);
    closing.close();
    join(threads, LAST_WAIT);
    ended
}

/// Waits until the threads have ended; the names of those that have not in this time.
fn join(threads: Vec<JoinHandle<()>>, longest: Duration) -> Vec<String> {
    let began = Instant::now();
    let mut left = Vec::new();
    for thread in threads {
        while !thread.is_finished() && began.elapsed() < longest {
            std::thread::park_timeout(LOOK);
        }
        if thread.is_finished() {
            thread.join().ok();
        } else {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            tracing::warn!(thread = name, "a thread waits for Kafka or for the disk; the process ends without it");
            left.push(name);
        }
    }
    left
}

/// Starts the commit's thread.
pub(super) fn spawn_commit(
    commit: Box<dyn CutCommit>,
    inbox: &Arc<dyn Inbox>,
) -> Result<(CommitThread, JoinHandle<()>), WorkerError> {
    let (thread, run) = CommitThread::new(commit, Arc::clone(inbox));
    Ok((thread, spawn("commit", run, inbox)?))
}

/// Starts a thread beside the engine. Where it dies, the engine is told and ends.
pub(super) fn spawn(
    name: &'static str,
    run: impl FnOnce() + Send + 'static,
    inbox: &Arc<dyn Inbox>,
) -> Result<JoinHandle<()>, WorkerError> {
    let guard = DeathNotice(name, Arc::clone(inbox));
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            run();
            drop(guard);
        })
        .map_err(|error| broken(&format!("cannot start the {name} thread: {error}")))
}

/// What only a fault of ours explains.
pub(super) fn broken(words: &str) -> WorkerError {
    WorkerError::Engine(PortError::Fatal(words.to_owned()))
}

/// Tells the engine when it is dropped by a panic.
struct DeathNotice(&'static str, Arc<dyn Inbox>);

impl Drop for DeathNotice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let words = format!("the {} thread has panicked; please report it", self.0);
            self.1.send(Input::Failed(PortError::Fatal(words))).ok();
        }
    }
}

#[cfg(test)]
#[path = "threads_tests.rs"]
mod tests;
