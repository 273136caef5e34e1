//! Runs restores one after another on the thread that calls it; one that waits lets the others go first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use super::ports::{Epoch, Inbox, Input, Restorer};
use super::restore::{Restore, RestoreNow, RestoreSite, Step};
use crate::record::TopicPartition;

/// Jobs that may wait: a begin and a cancel for each partition, and many more.
const JOBS_MAX: usize = 16_384;
/// Pause when every restore waits.
const PAUSE: Duration = Duration::from_millis(50);

enum Job {
    Begin(Restore),
    Cancel(TopicPartition),
}

/// The engine's end of the restore thread.
pub struct RestoreThread {
    jobs: SyncSender<Job>,
}

impl RestoreThread {
    /// The restorer, and the loop that the caller runs on a thread of its own: it ends when the restorer is dropped.
    /// `wall_ms` reads the wall clock, milliseconds since the epoch.
    pub fn new(
        mut site: RestoreSite,
        inbox: Arc<dyn Inbox>,
        wall_ms: impl Fn() -> i64 + Send,
    ) -> (Self, impl FnOnce() + Send) {
        let (jobs, queue): (_, Receiver<Job>) = sync_channel(JOBS_MAX);
        let run = move || {
            let start = Instant::now();
            let mut waiting: VecDeque<Restore> = VecDeque::new();
            let mut idle = 0;
            loop {
                if !take_jobs(&queue, &mut waiting, &mut idle) {
                    break;
                }
                let Some(mut restore) = waiting.pop_front() else { continue };
                let now = RestoreNow { mono: start.elapsed(), wall_ms: wall_ms() };
                let result = match restore.step(&mut site, now) {
                    Ok(Step::More) => {
                        idle = 0;
                        waiting.push_front(restore);
                        continue;
                    }
                    Ok(Step::Waits) => {
                        idle += 1;
                        waiting.push_back(restore);
                        continue;
                    }
                    Ok(Step::Done) => Ok(()),
                    Err(error) => Err(error),
                };
                idle = 0;
                if inbox.send(Input::Restored { epoch: restore.epoch, source: restore.source, result }).is_err() {
                    break;
                }
            }
        };
        (Self { jobs }, run)
    }
}

/// Takes what the engine wants; waits where there is nothing to do, and a moment where all restores wait. False at the end.
fn take_jobs(queue: &Receiver<Job>, waiting: &mut VecDeque<Restore>, idle: &mut usize) -> bool {
    let first = if waiting.is_empty() {
        queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
    } else if *idle >= waiting.len() {
        *idle = 0;
        queue.recv_timeout(PAUSE)
    } else {
        queue.try_recv().map_err(|error| match error {
            TryRecvError::Empty => RecvTimeoutError::Timeout,
            TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
        })
    };
    let first = match first {
        Ok(job) => job,
        Err(RecvTimeoutError::Timeout) => return true,
        Err(RecvTimeoutError::Disconnected) => return false,
    };
    for job in std::iter::once(first).chain(queue.try_iter()) {
        match job {
            Job::Begin(restore) => {
                waiting.retain(|other| other.source != restore.source);
                waiting.push_back(restore);
            }
            Job::Cancel(source) => waiting.retain(|restore| restore.source != source),
        }
    }
    true
}

impl Restorer for RestoreThread {
    fn begin(&mut self, epoch: Epoch, source: &TopicPartition) {
        // A full or closed queue means that the thread has died; the supervisor sees that and ends the process.
        drop(self.jobs.try_send(Job::Begin(Restore::new(epoch, source.clone()))));
    }

    fn cancel(&mut self, source: &TopicPartition) {
        drop(self.jobs.try_send(Job::Cancel(source.clone())));
    }
}
