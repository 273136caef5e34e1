//! The worker's side of the group: partitions given, partitions taken, offsets committed, leaving.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer as _, RebalanceProtocol};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::context::{self, Rebalance};
use super::partition::Stage;
use super::worker::{Ended, Worker};
use crate::kafka::failure::describe;
use crate::kafka::status::Problem;
use crate::record::TopicPartition;
use crate::sync::ports::Input;

/// The engine keeps `kafka.revoke_timeout` itself; this much later it is not waited for any more.
pub(in crate::kafka) const ENGINE_GRACE: Duration = Duration::from_millis(500);

/// What is said of a place in the group that is lost, until the group gives partitions again.
const LOST: &str = "this worker has lost its place in the group, and joins again by itself; where this lasts, the group's coordinator \
                    takes nobody in: look at that broker's log, and at what keeps topic __consumer_offsets from being written";

impl Worker {
    pub(super) fn rebalance(&mut self, rebalance: Rebalance) -> Result<(), Ended> {
        match rebalance {
            Rebalance::Assign(partitions) => {
                tracing::info!(partitions = partitions.len(), "the group gave partitions");
                self.status.clear(&Problem::Group);
                for source in partitions {
                    self.partitions.insert(source, Stage::Given);
                }
                self.start_at = Instant::now();
                self.accept();
                self.look_for_others()?;
            }
            Rebalance::Revoke { partitions, lost } => {
                tracing::info!(partitions = partitions.len(), lost, "the group takes partitions");
                if lost {
                    self.company = self.company.lost();
                    // Until the next assignment: with a coordinator that takes nobody in it may never come.
                    self.status.raise(Problem::Group, LOST);
                }
                let told = self.revoke(&partitions, lost);
                context::release(&self.consumer, &partitions);
                self.status.hold(self.partitions.len());
                told?;
            }
        }
        self.status.hold(self.partitions.len());
        Ok(())
    }

    /// Answers an assignment with what is being read already: the new partitions join when their start is known.
    fn accept(&self) {
        let result = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => self.consumer.incremental_assign(&TopicPartitionList::new()),
            RebalanceProtocol::Eager | RebalanceProtocol::None => self.consumer.assign(&self.positions()),
        };
        if let Err(error) = result {
            tracing::warn!(%error, "could not take an assignment");
        }
    }

    /// Everything that is being read, with where to go on.
    pub(super) fn positions(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (source, reading) in self.reading() {
            if let Err(error) =
                list.add_partition_offset(&source.topic, source.partition, Offset::Offset(reading.from()))
            {
                tracing::error!(%source, %error, "could not name a position");
            }
        }
        list
    }

    /// Tells the engine, waits for its last commit, and forgets the partitions.
    fn revoke(&mut self, leaving: &[TopicPartition], lost: bool) -> Result<(), Ended> {
        let mut known = Vec::new();
        for source in leaving {
            match self.partitions.remove(source) {
                Some(Stage::Told { epoch, .. } | Stage::Restoring { epoch }) => {
                    known.push((source.clone(), Some(epoch)));
                }
                Some(Stage::Reading(reading)) => known.push((source.clone(), Some(reading.epoch))),
                Some(Stage::Broken) => known.push((source.clone(), None)),
                Some(Stage::Given) | None => {}
            }
            self.status.clear(&Problem::Partition(source.to_string()));
        }
        let mut result = Ok(());
        if !known.is_empty() {
            let partitions = known.iter().map(|(source, _)| source.clone()).collect();
            if !lost {
                self.leaving = known.into_iter().filter_map(|(source, epoch)| Some((source, epoch?))).collect();
            }
            let (reply, answered) = sync_channel(1);
            result = self.tell(Input::Revoked { partitions, lost, reply });
            let longest = self.revoke_timeout + ENGINE_GRACE;
            if result.is_ok() && self.wait_for(&answered, Some(longest)) == Err(RecvTimeoutError::Timeout) {
                tracing::warn!("the engine did not finish its last commit in time; the next owner repeats it");
            }
            self.leaving.clear();
        }
        if !lost {
            self.commit_offsets(leaving);
        }
        for source in leaving {
            self.shared.forget(source);
        }
        result
    }

    /// Sends queued offset commits of partitions that we hold.
    pub(super) fn commit(&mut self) {
        let held: Vec<TopicPartition> = self.partitions.keys().cloned().collect();
        self.commit_offsets(&held);
    }

    fn commit_offsets(&mut self, ours: &[TopicPartition]) {
        let mut list = TopicPartitionList::new();
        for (source, next) in self.shared.take_commits() {
            if !ours.contains(&source) {
                continue;
            }
            if let Err(error) = list.add_partition_offset(&source.topic, source.partition, Offset::Offset(next.get())) {
                tracing::warn!(%source, %error, "could not name an offset to commit");
            }
        }
        if list.count() > 0
            && let Err(error) = self.consumer.commit(&list, CommitMode::Async)
        {
            tracing::info!(error = %describe(&error), "offsets not committed; the store has the position");
        }
    }

    /// A record beside its partition's queue: partitions get their queues before they are assigned, so there is none.
    pub(super) fn stray(&mut self, message: &BorrowedMessage<'_>) {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        tracing::error!(topic, partition, offset, "a record came beside its queue; the partition starts again");
        let source = TopicPartition::new(topic, partition);
        if let Some(Stage::Reading(reading)) = self.partitions.get_mut(&source) {
            reading.send_back();
            let back = Offset::Offset(reading.next.get());
            if let Err(error) = self.consumer.seek(topic, partition, back, Duration::from_secs(1)) {
                tracing::error!(%source, %error, "could not go back");
            }
        }
    }

    /// Gives everything back and closes. Nothing here waits for a broker that is away for long.
    pub(super) fn leave(mut self) {
        self.commit();
        let held: Vec<TopicPartition> = self.partitions.keys().cloned().collect();
        if self.revoke(&held, false).is_err() {
            tracing::debug!("the engine had ended before its partitions were given back");
        }
        self.consumer.context().close();
        // The queues hold the consumer, and went with the partitions; this is the last handle, and closes it.
        drop(self.consumer);
    }
}
