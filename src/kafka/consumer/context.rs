//! librdkafka's callbacks for the group's consumer. They note what happened; the consumer thread acts on it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::bindings::rd_kafka_resp_err_t as ResponseCode;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientContext, TopicPartitionList};

use super::shared::Shared;
use crate::kafka::chatter::Chatter;
use crate::kafka::failure::describe;
use crate::kafka::status::Problem;
use crate::record::TopicPartition;

/// The group moved partitions. librdkafka waits until we have answered with an assign or unassign call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rebalance {
    Assign(Vec<TopicPartition>),
    Revoke { partitions: Vec<TopicPartition>, lost: bool },
}

pub(super) struct GroupContext {
    chatter: Chatter,
    shared: Arc<Shared>,
    rebalances: Mutex<VecDeque<Rebalance>>,
    closing: AtomicBool,
}

impl GroupContext {
    pub(super) fn new(chatter: Chatter, shared: Arc<Shared>) -> Self {
        Self { chatter, shared, rebalances: Mutex::default(), closing: AtomicBool::new(false) }
    }

    pub(super) fn next_rebalance(&self) -> Option<Rebalance> {
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// From now on revokes are agreed to on the spot: the thread that would act is closing the consumer.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.chatter.log(level, facility, message);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.chatter.error(error, reason);
        self.shared.bell.ring();
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: ResponseCode, partitions: &mut TopicPartitionList) {
        let assigned = code == ResponseCode::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Acquire) {
            if !assigned {
                release(consumer, &named(partitions));
            }
            return;
        }
        let event = if assigned {
            Rebalance::Assign(named(partitions))
        } else {
            Rebalance::Revoke { partitions: named(partitions), lost: consumer.assignment_lost() }
        };
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
        self.shared.bell.ring();
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        match result {
            Ok(()) => self.chatter.status().clear(&Problem::Group),
            Err(error) => {
                tracing::info!(error = %describe(&error), "offsets not committed; the store has the position");
            }
        }
    }
}

/// Takes `revoked` out of what librdkafka fetches, by the protocol in use, which also answers the revoke.
pub(super) fn release(consumer: &BaseConsumer<GroupContext>, revoked: &[TopicPartition]) {
    let result = match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => {
            // Only what was assigned may be unassigned, and a partition may leave before it was started.
            let assigned = consumer.assignment().map(|list| named(&list)).unwrap_or_default();
            let mut leaving = TopicPartitionList::new();
            for source in revoked.iter().filter(|source| assigned.contains(source)) {
                leaving.add_partition(&source.topic, source.partition);
            }
            consumer.incremental_unassign(&leaving)
        }
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
    };
    if let Err(error) = result {
        tracing::warn!(%error, "could not give partitions back to the group");
    }
}

fn named(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(|e| TopicPartition::new(e.topic(), e.partition())).collect()
}
