//! What the engine's threads tell the consumer thread. Every part is bounded by the number of partitions.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bell::Bell;
use super::fence::FenceDesk;
use super::silence::Silence;
use crate::config;
use crate::record::{NextOffset, TopicPartition};
use crate::sync::ports::{Epoch, Intake, OffsetCommits, StartAt};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) bell: Bell,
    pub(super) fence: FenceDesk,
    pub(super) silence: Silence,
    stopping: AtomicBool,
    starts: Mutex<BTreeMap<TopicPartition, (Epoch, StartAt)>>,
    paused: Mutex<HashSet<TopicPartition>>,
    commits: Mutex<BTreeMap<TopicPartition, NextOffset>>,
}

impl Shared {
    pub(super) fn new(config: &config::Kafka) -> Self {
        Self {
            bell: Bell::default(),
            fence: FenceDesk::default(),
            silence: Silence::new(config),
            stopping: AtomicBool::new(false),
            starts: Mutex::default(),
            paused: Mutex::default(),
            commits: Mutex::default(),
        }
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.bell.ring();
    }

    pub(super) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(super) fn is_paused(&self, source: &TopicPartition) -> bool {
        lock(&self.paused).contains(source)
    }

    /// A partition that left comes back unpaused.
    pub(super) fn forget(&self, source: &TopicPartition) {
        lock(&self.paused).remove(source);
        lock(&self.commits).remove(source);
    }

    /// Partitions whose start the engine has named since the last look.
    pub(super) fn take_starts(&self) -> BTreeMap<TopicPartition, (Epoch, StartAt)> {
        std::mem::take(&mut *lock(&self.starts))
    }

    pub(super) fn take_commits(&self) -> BTreeMap<TopicPartition, NextOffset> {
        std::mem::take(&mut *lock(&self.commits))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The engine's hold on intake. A paused partition stays in the group and keeps what librdkafka has fetched.
#[derive(Clone, Debug)]
pub struct IntakeControl(pub(super) Arc<Shared>);

impl Intake for IntakeControl {
    fn pause(&mut self, sources: &[TopicPartition]) {
        lock(&self.0.paused).extend(sources.iter().cloned());
    }

    fn begin(&mut self, epoch: Epoch, source: &TopicPartition, start: StartAt) {
        lock(&self.0.starts).insert(source.clone(), (epoch, start));
        self.0.bell.ring();
    }

    fn resume(&mut self, sources: &[TopicPartition]) {
        {
            let mut paused = lock(&self.0.paused);
            for source in sources {
                paused.remove(source);
            }
        }
        self.0.bell.ring();
    }
}

/// Commits offsets to the group in the background; only the latest of a partition is kept while the broker is slow.
#[derive(Clone, Debug)]
pub struct GroupCommits(pub(super) Arc<Shared>);

impl OffsetCommits for GroupCommits {
    fn commit(&mut self, positions: &[(TopicPartition, NextOffset)]) {
        lock(&self.0.commits).extend(positions.iter().cloned());
        self.0.bell.ring();
    }
}
