//! librdkafka's callbacks for the group's consumer. They note what happened; the consumer thread acts on it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::bindings::rd_kafka_resp_err_t as ResponseCode;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientContext, TopicPartitionList};

use super::shared::Shared;
use super::topic_ids::TopicIds;
use crate::config;
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
    topic_ids: Mutex<TopicIds>,
    /// How many events the binding has taken for itself and handed to this context.
    served: AtomicU64,
    /// Whether the user wants to see what `debug` makes the library say.
    debugging: bool,
    closing: AtomicBool,
}

impl GroupContext {
    pub(super) fn new(config: &config::Kafka, chatter: Chatter, shared: Arc<Shared>) -> Self {
        Self {
            chatter,
            shared,
            rebalances: Mutex::default(),
            topic_ids: Mutex::default(),
            served: AtomicU64::new(0),
            debugging: config.properties.contains_key("debug"),
            closing: AtomicBool::new(false),
        }
    }

    /// Grows with each event that went to this context: a poll that answers nothing has found none where it stays.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Acquire)
    }

    fn serving(&self) {
        self.served.fetch_add(1, Ordering::AcqRel);
    }

    /// The topics that were deleted and created again, as far as the group's queue has told; each once.
    pub(super) fn take_renewed(&self) -> BTreeSet<String> {
        self.topic_ids.lock().unwrap_or_else(PoisonError::into_inner).take_renewed()
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
        self.serving();
        if matches!(level, RDKafkaLogLevel::Debug) {
            self.topic_ids.lock().unwrap_or_else(PoisonError::into_inner).hear(facility, message);
            if !self.debugging {
                return;
            }
        }
        self.chatter.log(level, facility, message);
    }

    fn stats_raw(&self, _statistics: &[u8]) {
        self.serving();
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.serving();
        self.chatter.error(error, reason);
        self.shared.bell.ring();
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: ResponseCode, partitions: &mut TopicPartitionList) {
        self.serving();
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
        self.serving();
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
