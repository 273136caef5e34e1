//! The threads beside the engine: each is named, and tells the engine when it dies.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

use super::log_mode::Closing;
use super::worker::{WorkerError, wall_ms};
use crate::sync::commit::{CommitThread, CutCommit};
use crate::sync::engine::{Ended, Engine};
use crate::sync::ports::{Inbox, Input, PortError};
use crate::sync::runner;

/// Runs the engine to its end, then waits for the threads beside it.
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
    for thread in threads {
        thread.join().ok();
    }
    ended
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
