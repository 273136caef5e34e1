//! From "the group gave it" to "being read": ask the engine, ask the brokers, assign with a plain offset.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use rdkafka::consumer::{Consumer as _, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::lookup;
use super::partition::{Reading, Removed, Stage};
use super::start::{self, Extent, Refused};
use super::watch::Counted;
use super::worker::{Ended, Worker};
use crate::config::StartFrom;
use crate::kafka::failure::{describe, never_passes};
use crate::kafka::status::Problem;
use crate::record::{NextOffset, TopicPartition};
use crate::sync::last_record::LastRecord;
use crate::sync::ports::{Assigned, Epoch, Input, PortError, StartAt};
use crate::telemetry::event;

/// Pause between two tries of a start that failed.
const AGAIN: Duration = Duration::from_millis(500);
/// A new leader may for a moment not know the end: a position beyond it is refused when seen this often.
const DOUBTS: u8 = 3;

/// A partition whose reading begins.
struct Beginning {
    source: TopicPartition,
    epoch: Epoch,
    next: NextOffset,
    extent: Extent,
    /// The record that must stand before `next`.
    proof: Option<LastRecord>,
}

type Answer = Result<Vec<StartAt>, PortError>;

impl Worker {
    pub(super) fn start_partitions(&mut self) -> Result<(), Ended> {
        for (source, (epoch, start)) in self.shared.take_starts() {
            if matches!(self.partitions.get(&source), Some(Stage::Restoring { epoch: of }) if *of == epoch) {
                self.partitions.insert(source, Stage::Told { epoch, start, doubts: 0 });
                self.start_at = Instant::now();
            }
        }
        let waiting = self.partitions.values().any(|s| matches!(s, Stage::Given | Stage::Told { .. }));
        if !waiting || Instant::now() < self.start_at {
            return Ok(());
        }
        self.start_at = Instant::now() + AGAIN;
        self.ask_engine()?;
        self.ask_brokers()
    }

    fn ask_engine(&mut self) -> Result<(), Ended> {
        let given: Vec<TopicPartition> = self
            .partitions
            .iter()
            .filter(|(_, s)| matches!(s, Stage::Given))
            .map(|(source, _)| source.clone())
            .collect();
        let Some(partitions) = self.with_counts(given)? else { return Ok(()) };
        if partitions.is_empty() {
            return Ok(());
        }
        self.epoch = Epoch(self.epoch.0 + 1);
        let (reply, answer) = sync_channel(1);
        self.tell(Input::Assigned { epoch: self.epoch, partitions: partitions.clone(), reply })?;
        let answer: Answer = self.wait_for(&answer, None).map_err(|_| Ended)?;
        match answer {
            Ok(starts) if starts.len() == partitions.len() => {
                for (assigned, start) in partitions.into_iter().zip(starts) {
                    let epoch = self.epoch;
                    let stage = match start {
                        StartAt::Later => Stage::Restoring { epoch },
                        StartAt::Position(_) | StartAt::Behind(..) | StartAt::Fresh => {
                            Stage::Told { epoch, start, doubts: 0 }
                        }
                    };
                    self.partitions.insert(assigned.source, stage);
                }
                Ok(())
            }
            Ok(_) => self.tell(Input::Failed(PortError::Fatal("an assignment was answered in part".to_owned()))),
            Err(PortError::Passing(words)) => {
                tracing::warn!(%words, "partitions cannot start yet");
                Ok(())
            }
            Err(fatal @ (PortError::Fatal(_) | PortError::Damaged(_) | PortError::Refused(..))) => {
                for assigned in partitions {
                    self.partitions.insert(assigned.source, Stage::Broken);
                }
                self.tell(Input::Failed(fatal))
            }
        }
    }

    /// Adds how many partitions each topic has; none where the brokers do not say just now, or say that it has grown: the
    /// group may hear of that before this worker's watch does, and gives a partition that has no position to tell by.
    fn with_counts(&mut self, given: Vec<TopicPartition>) -> Result<Option<Vec<Assigned>>, Ended> {
        let mut counts: BTreeMap<Arc<str>, i32> = BTreeMap::new();
        let mut assigned = Vec::with_capacity(given.len());
        for source in given {
            let partitions_of_topic = match counts.get(&source.topic) {
                Some(count) => *count,
                None => match lookup::partition_count(self.consumer.client(), &source.topic) {
                    Ok(Some(count)) if self.hold_count(&source.topic, count)? == Counted::Grown => return Ok(None),
                    Ok(Some(count)) => *counts.entry(Arc::clone(&source.topic)).or_insert(count),
                    Ok(None) => return Ok(None),
                    Err(error) => {
                        tracing::debug!(%source, error = %describe(&error), "no metadata yet");
                        self.watch.suspect();
                        return Ok(None);
                    }
                },
            };
            assigned.push(Assigned { source, partitions_of_topic, partitions_of_group: 0 });
        }
        let partitions_of_group = self.watch.partitions();
        for assigned in &mut assigned {
            assigned.partitions_of_group = partitions_of_group;
        }
        Ok(Some(assigned))
    }

    fn ask_brokers(&mut self) -> Result<(), Ended> {
        let told: Vec<TopicPartition> = self
            .partitions
            .iter()
            .filter(|(_, s)| matches!(s, Stage::Told { .. }))
            .map(|(source, _)| source.clone())
            .collect();
        if told.is_empty() {
            return Ok(());
        }
        // All at once; where that fails, a single one, so that one partition without a leader keeps no other waiting.
        if let Ok(extents) = lookup::extents_and(&self.consumer, &told, self.start_from, || self.serve_commits()) {
            return self.begin(extents);
        }
        let one = &told[self.turn % told.len()];
        self.turn = self.turn.wrapping_add(1);
        match lookup::extents_and(&self.consumer, std::slice::from_ref(one), self.start_from, || self.serve_commits()) {
            Ok(extents) => self.begin(extents),
            Err(error) if unusable(&error, self.start_from) => {
                let one = one.clone();
                self.give_up(
                    &one,
                    format!("{one}: the brokers cannot look up kafka.start_from's time: {}", describe(&error)),
                )
            }
            Err(error) => {
                self.cannot_start(one, &error);
                self.watch.suspect();
                Ok(())
            }
        }
    }

    fn cannot_start(&self, source: &TopicPartition, error: &KafkaError) {
        let words = format!("{source} cannot be started yet: {}", describe(error));
        self.status.raise(Problem::Partition(source.to_string()), words);
    }

    /// What the group has committed of those among these that the store does not know. With transactions a restore has seen to it.
    fn committed_of_fresh(
        &self,
        extents: &BTreeMap<TopicPartition, Extent>,
    ) -> Result<BTreeMap<TopicPartition, NextOffset>, KafkaError> {
        let mut asked = TopicPartitionList::new();
        for source in extents.keys().filter(|_| self.store_alone) {
            if let Some(Stage::Told { start: StartAt::Fresh, .. }) = self.partitions.get(source) {
                asked.add_partition(&source.topic, source.partition);
            }
        }
        if asked.count() == 0 {
            return Ok(BTreeMap::new());
        }
        let mut committed = BTreeMap::new();
        for element in lookup::committed_of_each(&self.consumer, &asked)?.elements() {
            element.error()?;
            if let Offset::Offset(next) = element.offset() {
                let source = TopicPartition::new(element.topic(), element.partition());
                committed.insert(source, NextOffset::new(next));
            }
        }
        Ok(committed)
    }

    fn begin(&mut self, extents: BTreeMap<TopicPartition, Extent>) -> Result<(), Ended> {
        let committed = match self.committed_of_fresh(&extents) {
            Ok(committed) => committed,
            Err(error) => {
                for source in extents.keys() {
                    self.cannot_start(source, &error);
                }
                return Ok(());
            }
        };
        let mut beginning = Vec::new();
        for (source, extent) in extents {
            let Some(Stage::Told { epoch, start, doubts }) = self.partitions.get_mut(&source) else { continue };
            match start::decide(*start, self.start_from, extent) {
                Ok(by_setting) => {
                    let (epoch, proof) = (*epoch, start::proof(*start, extent));
                    let next = match committed.get(&source) {
                        Some(group) => {
                            let next = start::fresh(by_setting, *group, extent);
                            event::StoreKnowsNothing { source: &source, group: *group, next }.emit();
                            next
                        }
                        None => by_setting,
                    };
                    beginning.push(Beginning { source, epoch, next, extent, proof });
                }
                Err(Refused::BeyondEnd) if *doubts < DOUBTS => *doubts += 1,
                Err(refused) => {
                    let Some(next) = start.position() else { continue };
                    match refused {
                        Refused::BelowStart => self.found_unread(&source, next, extent.low),
                        Refused::BeyondEnd => {
                            self.give_up(&source, start::beyond(&source, next, extent.high))?;
                        }
                    }
                }
            }
        }
        if beginning.is_empty() {
            return Ok(());
        }
        self.read(&beginning);
        for Beginning { source, epoch, next: at, extent, .. } in beginning {
            self.status.clear(&Problem::Partition(source.to_string()));
            tracing::info!(%source, %at, low = extent.low, high = extent.high, "partition started");
            let high_watermark = NextOffset::new(extent.high);
            self.tell(Input::Started { epoch, source, at, high_watermark })?;
        }
        Ok(())
    }

    /// Gives each partition its queue, then assigns it: in that order no record ever comes beside its queue.
    fn read(&mut self, beginning: &[Beginning]) {
        let mut added = TopicPartitionList::new();
        for Beginning { source, epoch, next, proof, .. } in beginning {
            let Some(mut queue) = self.consumer.split_partition_queue(&source.topic, source.partition) else {
                tracing::error!(%source, "librdkafka has no queue for this partition");
                continue;
            };
            let shared = Arc::clone(&self.shared);
            queue.set_nonempty_callback(move || shared.bell.ring());
            let reading = Reading {
                epoch: *epoch,
                next: *next,
                queue,
                proof: *proof,
                handed: *next,
                has_passed: false,
                last: proof.map(|last| last.offset),
                missing: None,
                is_sent_back: false,
                held: None,
                removed: Removed::Nothing,
            };
            let from = Offset::Offset(reading.from());
            if let Err(error) = added.add_partition_offset(&source.topic, source.partition, from) {
                tracing::error!(%source, %error, "could not name a position");
            }
            self.partitions.insert(source.clone(), Stage::Reading(reading));
        }
        let result = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.consumer.incremental_assign(&added),
            RebalanceProtocol::Eager | RebalanceProtocol::None => self.consumer.assign(&self.positions()),
        };
        if let Err(error) = result {
            tracing::error!(%error, "could not start partitions");
        }
    }
}

/// Whether the brokers do not know how to find an offset by its time (librdkafka's mock cluster does not).
fn unusable(error: &KafkaError, from: StartFrom) -> bool {
    matches!(from, StartFrom::Time(_))
        && error.rdkafka_error_code().is_some_and(|c| never_passes(c) || c == RDKafkaErrorCode::UnsupportedFeature)
}
