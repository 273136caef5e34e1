//! Writes a store's states into the changelog, outside of any assignment: the group must have no member meanwhile.

use std::cell::RefCell;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use super::bounded_call::BoundedCalls;
use super::chatter::Chatter;
use super::client::{self, ASK_TIMEOUT};
use super::consumer::lookup;
use super::failure::port_error;
use super::status::Status;
use super::transaction_start::start;
use super::transactions::{TRANSACTION_TIMEOUT, add_offset};
use super::unjoined::Unjoined;
use crate::config::{self, StartFrom};
use crate::record::{NextOffset, TopicPartition};
use crate::sync::changelog::ChangelogRecord;
use crate::sync::ports::{PortError, Position};

/// How long one step may take.
const STEP: Duration = Duration::from_secs(15);
/// A step that takes longer is given up: it need not ever end.
const STEP_LOST: Duration = Duration::from_secs(20);

type Writer = BaseProducer<DefaultProducerContext>;

/// The changelog, for one who writes it anew.
pub struct RebaseLog {
    topic: String,
    commands: String,
    group_id: String,
    /// None after a step that did not come back.
    producer: RefCell<Option<Writer>>,
    group: Unjoined,
}

impl RebaseLog {
    /// Connects under the store's own transactional id: a worker on the same store is fenced.
    pub fn connect(config: &config::Kafka, store_id: &str) -> Result<Self, PortError> {
        let id = format!("{}.{store_id}", config.group_id);
        let producer: Writer = client::transactions(config, &id, TRANSACTION_TIMEOUT)?
            .create()
            .map_err(|e| port_error("cannot make a producer", &e))?;
        let (doing, asked) = ("transactions cannot begin", config.changelog_topic.clone());
        let producer = step(doing, producer, move |producer| start(producer, &asked, STEP))?;
        let group = client::reader(config)?
            .create_with_context(Chatter::new(config, Status::new()))
            .map_err(|e| port_error("cannot make a reader", &e))?;
        let (topic, commands) = (config.changelog_topic.clone(), config.commands_topic());
        Ok(Self { topic, commands, group_id: config.group_id.clone(), producer: RefCell::new(Some(producer)), group })
    }

    /// The group that it is written for.
    pub fn group_id(&self) -> &str {
        &self.group_id
    }

    /// How many members the group has, as far as the brokers tell: of one whose members speak group.protocol=consumer they tell
    /// none in the answer that this client asks for.
    pub fn members(&self) -> Result<usize, PortError> {
        let found = self.group.fetch_group_list(Some(&self.group_id), ASK_TIMEOUT);
        let found = found.map_err(|e| port_error("cannot ask who is in the group", &e))?;
        Ok(found.groups().iter().filter(|g| g.name() == self.group_id).map(|g| g.members().len()).sum())
    }

    /// Whether the group has members under any protocol. Of somebody outside of it the brokers take an offset only while it has
    /// none, so one that it has committed is committed once more. A group that has no offset of these partitions is taken for
    /// one without members: no worker of it has come far.
    pub fn has_members(&self, sources: &[TopicPartition]) -> Result<bool, PortError> {
        let mut list = TopicPartitionList::new();
        for source in sources {
            list.add_partition(&source.topic, source.partition);
        }
        let doing = |e: &KafkaError| port_error("cannot ask whether the group has members", e);
        // An offset that a transaction is about to change is not told: what is written here would hide the new one.
        let found = lookup::committed(&self.group, &list).map_err(|e| doing(&e))?;
        for element in found.elements() {
            element.error().map_err(|e| doing(&e))?;
            let Offset::Offset(_) = element.offset() else { continue };
            let mut again = TopicPartitionList::new();
            let mut same = again.add_partition(element.topic(), element.partition());
            same.set_offset(element.offset()).map_err(|e| doing(&e))?;
            same.set_metadata(element.metadata());
            return match self.group.commit(&again, CommitMode::Sync) {
                Ok(()) => Ok(false),
                Err(error) if is_refused_to_strangers(error.rdkafka_error_code()) => Ok(true),
                Err(error) => Err(doing(&error)),
            };
        }
        Ok(false)
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

    /// Writes records into the changelog partition of this source partition, and the group's offset with them where a position
    /// is given, in one transaction.
    pub fn write(
        &self,
        source: &TopicPartition,
        records: &[ChangelogRecord],
        position: Option<&Position>,
    ) -> Result<(), PortError> {
        let doing = format!("the states of {source} cannot be written to {}", self.topic);
        let failed = |e: KafkaError| port_error(&doing, &e);
        let Some(mut producer) = self.producer.take() else { return Err(not_back(&doing)) };
        self.fill(&producer, source, records).map_err(failed)?;
        if let (Some(position), Some(metadata)) = (position, self.group.group_metadata()) {
            let mut list = TopicPartitionList::new();
            add_offset(&mut list, source, position).map_err(failed)?;
            let send = move |producer: &Writer| producer.send_offsets_to_transaction(&list, &metadata, STEP);
            producer = step(&doing, producer, send)?;
        }
        let producer = step(&doing, producer, |producer| producer.commit_transaction(STEP))?;
        self.producer.replace(Some(producer));
        Ok(())
    }

    fn fill(&self, producer: &Writer, source: &TopicPartition, records: &[ChangelogRecord]) -> Result<(), KafkaError> {
        producer.begin_transaction()?;
        for ChangelogRecord { key, value } in records {
            let mut record: BaseRecord<'_, [u8], [u8]> =
                BaseRecord::to(&self.topic).partition(source.partition).key(key);
            record.payload = value.as_deref();
            producer.send(record).map_err(|(error, _)| error)?;
            producer.poll(Duration::ZERO);
        }
        Ok(())
    }
}

/// One step of a transaction, which is given up where it does not come back.
fn step(
    doing: &str,
    producer: Writer,
    call: impl FnOnce(&Writer) -> Result<(), KafkaError> + Send + 'static,
) -> Result<Writer, PortError> {
    let made = BoundedCalls::default().make(doing, producer, STEP_LOST, call);
    let (producer, done) = made.map_err(|_| not_back(doing))?;
    done.map_err(|e| port_error(doing, &e))?;
    Ok(producer)
}

fn not_back(doing: &str) -> PortError {
    PortError::Passing(format!(
        "{doing}: the Kafka client has not come back within {} s, as when a broker has just been stopped; run this again when \
         all brokers are reachable: what is written stays, and what is not is begun anew",
        STEP_LOST.as_secs()
    ))
}

/// What the brokers say, by the group's protocol, to an offset from outside of it.
fn is_refused_to_strangers(code: Option<RDKafkaErrorCode>) -> bool {
    matches!(
        code,
        Some(
            RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::StaleMemberEpoch
        )
    )
}
