//! Runs restores on threads of their own, a few side by side: on each one after another; one that waits lets the others
//! go first.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use super::commit::REST_EVERY;
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
                if waiting.is_empty() {
                    // One that was taken back may have left a reading.
                    site.changelog.rest();
                }
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
        queue.recv_timeout(REST_EVERY)
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

/// Several restore threads. The memory of a restore is that of each of them.
pub struct RestoreThreads {
    threads: Vec<RestoreThread>,
    /// Which thread a partition has, for good: so whatever is left of an earlier restore of it has ended when the next one
    /// begins. Partitions take turns as they come, and there are no more of them than the topics have.
    places: HashMap<TopicPartition, usize>,
}

impl RestoreThreads {
    /// At least one.
    pub fn new(threads: Vec<RestoreThread>) -> Self {
        Self { threads, places: HashMap::new() }
    }

    fn of(&mut self, source: &TopicPartition) -> Option<&mut RestoreThread> {
        let next = self.places.len() % self.threads.len().max(1);
        let place = *self.places.entry(source.clone()).or_insert(next);
        self.threads.get_mut(place)
    }
}

impl Restorer for RestoreThreads {
    fn begin(&mut self, epoch: Epoch, source: &TopicPartition) {
        if let Some(thread) = self.of(source) {
            thread.begin(epoch, source);
        }
    }

    fn cancel(&mut self, source: &TopicPartition) {
        if let Some(thread) = self.of(source) {
            thread.cancel(source);
        }
    }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

    use super::*;
    use crate::record::NextOffset;
    use crate::store::MemoryStore;
    use crate::sync::cache::Cache;
    use crate::sync::changelog::ChangelogRecord;
    use crate::sync::log_ports::{ChangelogExtent, ChangelogSource, ReadTo};
    use crate::sync::ports::{Closed, PortError};
    use crate::telemetry::Meters;

    type Visit<'v> = dyn FnMut(&ChangelogRecord) -> Result<(), PortError> + 'v;

    /// A changelog that comes in parts, and never to its end: where each partition is, and how often nothing is read.
    struct Endless(Arc<[AtomicI64; 2]>, Arc<AtomicUsize>);

    impl ChangelogSource for Endless {
        fn committed(&mut self, _source: &TopicPartition) -> Result<Option<NextOffset>, PortError> {
            Ok(None)
        }

        fn extent(&mut self, _partition: i32) -> Result<ChangelogExtent, PortError> {
            Ok(ChangelogExtent { low: NextOffset::new(0), high: NextOffset::new(i64::MAX) })
        }

        fn read(&mut self, partition: i32, from: NextOffset, _: &mut Visit<'_>) -> Result<ReadTo, PortError> {
            self.0[usize::try_from(partition).unwrap()].store(from.get(), Ordering::Relaxed);
            Ok(ReadTo::Part(NextOffset::new(from.get() + 1)))
        }

        fn rest(&mut self) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Deaf;

    impl Inbox for Deaf {
        fn send(&self, _input: Input) -> Result<(), Closed> {
            Ok(())
        }
    }

    /// A large one takes minutes: neither a partition that moves on nor the worker's end waits for it.
    #[test]
    fn a_restore_under_way_ends_when_it_is_taken_back_and_with_the_worker() {
        let (read, rests) = (Arc::new([const { AtomicI64::new(0) }; 2]), Arc::new(AtomicUsize::new(0)));
        let site = RestoreSite {
            changelog: Box::new(Endless(Arc::clone(&read), Arc::clone(&rests))),
            cache: Cache::new(Arc::new(MemoryStore::new()), Meters::default()),
            meters: Meters::default(),
            topic: "g.changelog".to_owned(),
            group: "g".into(),
            tombstones_kept: Duration::from_secs(1000),
            batch_bytes: 1,
            units: Arc::default(),
        };
        let (mut restorer, run) = RestoreThread::new(site, Arc::new(Deaf), || 0);
        let thread = std::thread::spawn(run);
        let how_far = |partition: usize| read[partition].load(Ordering::Relaxed);
        let until = |what: &str, holds: &dyn Fn() -> bool| {
            let began = Instant::now();
            while !holds() {
                assert!(began.elapsed() < Duration::from_secs(20), "{what}: {read:?}");
                std::thread::yield_now();
            }
        };
        let until_beyond = |partition: usize, at: i64| until("it stands still", &|| how_far(partition) > at);
        restorer.begin(Epoch(1), &TopicPartition::new("orders", 0));
        until_beyond(0, 100);
        restorer.cancel(&TopicPartition::new("orders", 0));
        restorer.begin(Epoch(2), &TopicPartition::new("orders", 1));
        until_beyond(1, 100);
        let stopped_at = how_far(0);
        until_beyond(1, how_far(1) + 100);
        assert_eq!(how_far(0), stopped_at);
        let rested = rests.load(Ordering::Relaxed);
        restorer.cancel(&TopicPartition::new("orders", 1));
        until("what was fetched is kept for nobody", &|| rests.load(Ordering::Relaxed) > rested);
        restorer.begin(Epoch(3), &TopicPartition::new("orders", 0));
        until_beyond(0, stopped_at);
        drop(restorer);
        until("it reads on for nobody", &|| thread.is_finished());
        thread.join().unwrap();
    }

    fn jobs(queue: &Receiver<Job>) -> Vec<(bool, i32)> {
        let tell = |job| match job {
            Job::Begin(restore) => (true, restore.source.partition),
            Job::Cancel(source) => (false, source.partition),
        };
        queue.try_iter().map(tell).collect()
    }

    #[test]
    fn a_partition_stays_with_its_thread_and_they_share_the_work() {
        let (threads, queues): (Vec<_>, Vec<_>) = (0..2)
            .map(|_| {
                let (jobs, queue) = sync_channel(16);
                (RestoreThread { jobs }, queue)
            })
            .unzip();
        let mut restorer = RestoreThreads::new(threads);
        let source = |partition| TopicPartition::new("orders", partition);
        for partition in [0, 2, 4, 6] {
            restorer.begin(Epoch(1), &source(partition));
        }
        restorer.cancel(&source(2));
        restorer.begin(Epoch(2), &source(2));
        restorer.begin(Epoch(2), &source(8));
        assert_eq!(jobs(&queues[0]), [(true, 0), (true, 4), (true, 8)]);
        assert_eq!(jobs(&queues[1]), [(true, 2), (true, 6), (false, 2), (true, 2)]);
    }
}
