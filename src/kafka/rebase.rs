//! Writes a store's states into the changelog, outside of any assignment: the group must have no member meanwhile.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use super::chatter::Chatter;
use super::client::{self, ASK_TIMEOUT};
use super::consumer::lookup;
use super::failure::port_error;
use super::status::Status;
use super::transactions::TRANSACTION_TIMEOUT;
use crate::config::{self, StartFrom};
use crate::record::{NextOffset, TopicPartition};
use crate::sync::changelog::ChangelogRecord;
use crate::sync::ports::PortError;

/// How long one step may take.
const STEP: Duration = Duration::from_secs(15);

/// The changelog, for one who writes it anew.
pub struct RebaseLog {
    topic: String,
    commands: String,
    group_id: String,
    producer: BaseProducer<DefaultProducerContext>,
    group: BaseConsumer<Chatter>,
}

impl RebaseLog {
    /// Connects under the store's own transactional id: a worker on the same store is fenced.
    pub fn connect(config: &config::Kafka, store_id: &str) -> Result<Self, PortError> {
        let id = format!("{}.{store_id}", config.group_id);
        let producer: BaseProducer<DefaultProducerContext> = client::transactions(config, &id, TRANSACTION_TIMEOUT)?
            .create()
            .map_err(|e| port_error("cannot make a producer", &e))?;
        producer.init_transactions(STEP).map_err(|e| port_error("transactions cannot begin", &e))?;
        let group = client::reader(config)?
            .create_with_context(Chatter::new(config, Status::new()))
            .map_err(|e| port_error("cannot make a reader", &e))?;
        let (topic, commands) = (config.changelog_topic.clone(), config.commands_topic());
        Ok(Self { topic, commands, group_id: config.group_id.clone(), producer, group })
    }

    /// The group that it is written for.
    pub fn group_id(&self) -> &str {
        &self.group_id
    }

    /// How many members the group has.
    pub fn members(&self) -> Result<usize, PortError> {
        let found = self.group.fetch_group_list(Some(&self.group_id), ASK_TIMEOUT);
        let found = found.map_err(|e| port_error("cannot ask who is in the group", &e))?;
        Ok(found.groups().iter().filter(|g| g.name() == self.group_id).map(|g| g.members().len()).sum())
    }

    /// The oldest offset of a partition, and its end.
    pub fn extent(&self, source: &TopicPartition) -> Result<(NextOffset, NextOffset), PortError> {
        let extents = lookup::extents(&self.group, std::slice::from_ref(source), StartFrom::Earliest)
            .map_err(|e| port_error(&format!("cannot ask how far {source} reaches"), &e))?;
        let extent = extents.get(source).ok_or_else(|| PortError::Passing(format!("{source}: no answer")))?;
        Ok((NextOffset::new(extent.low), NextOffset::new(extent.high)))
    }

    /// A partition of the commands topic, its oldest offset and its end; `None` where there is no such topic.
    pub fn commands(&self, partition: i32) -> Result<Option<(TopicPartition, NextOffset, NextOffset)>, PortError> {
        let doing = |e: &KafkaError| port_error(&format!("cannot ask how far {} reaches", self.commands), e);
        if lookup::partition_count(self.group.client(), &self.commands).map_err(|e| doing(&e))?.is_none() {
            return Ok(None);
        }
        let place = TopicPartition::new(self.commands.as_str(), partition);
        let (low, end) = self.extent(&place)?;
        Ok(Some((place, low, end)))
    }

    /// Writes records into the changelog partition of this source partition, and the group's offset with them where one is
    /// given, in one transaction.
    pub fn write(
        &self,
        source: &TopicPartition,
        records: &[ChangelogRecord],
        offset: Option<NextOffset>,
    ) -> Result<(), PortError> {
        let write = || -> Result<(), KafkaError> {
            self.producer.begin_transaction()?;
            for ChangelogRecord { key, value } in records {
                let mut record: BaseRecord<'_, [u8], [u8]> =
                    BaseRecord::to(&self.topic).partition(source.partition).key(key);
                record.payload = value.as_deref();
                self.producer.send(record).map_err(|(error, _)| error)?;
                self.producer.poll(Duration::ZERO);
            }
            if let (Some(next), Some(metadata)) = (offset, self.group.group_metadata()) {
                let mut list = TopicPartitionList::new();
                list.add_partition_offset(&source.topic, source.partition, Offset::Offset(next.get()))?;
                self.producer.send_offsets_to_transaction(&list, &metadata, STEP)?;
            }
            self.producer.commit_transaction(STEP)
        };
        write().map_err(|e| port_error(&format!("the states of {source} cannot be written to {}", self.topic), &e))
    }
}
