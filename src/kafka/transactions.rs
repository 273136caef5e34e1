//! The worker's transactions: changelog, dead letters and offsets at once, fenced by the group.
//!
//! What an error means for the transaction is judged here: aborted for certain, or not known. What to do about the
//! latter is the engine's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use super::bounded_call::BoundedCalls;
use super::consumer::{Fence, GroupFence};
use super::dead_letters::LetterWatch;
use super::ends::{self, Ends, Written};
use super::failure::port_error;
use super::filling::{FillError, fill};
use super::spans::{Fallen, Spans};
use super::transaction_judge::{TransactionJudge, nothing_was_committed};
use super::transaction_start::start;
use super::transaction_time::TransactionTime;
use super::wait::{drain_producer, serve};
use super::{changelog_topic, client};
use crate::config;
use crate::record::{NextOffset, TopicPartition};
use crate::sync::commit::CutPart;
use crate::sync::log_ports::{Receipt, TransactError, Transaction, TransactionLog};
use crate::sync::ports::{By, PortError, Position};
use crate::telemetry::Meters;

/// The broker aborts what has been open for longer, so that a killed worker holds its successor up no longer than this; save
/// where a slow way to the brokers needs more ([`TransactionTime`]).
pub(super) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How the number of the source topic's partitions is noted beside an offset: a worker at its start learns from the group
/// what its own partitions may not tell.
pub(super) const PARTITIONS_NOTE: &str = "partitions=";
/// How long the consumer thread may take to say who we are.
const FENCE_TIMEOUT: Duration = Duration::from_secs(2);
/// Behind the time that a call was given it is taken for lost.
const LOST_MARGIN: Duration = Duration::from_secs(5);

/// The transactions of one worker, under the id of its group and store.
pub struct Transactions {
    config: config::Kafka,
    fence: GroupFence,
    /// None until the first transaction, and after an error that only a new producer gets over.
    producer: Option<BaseProducer<Ends>>,
    judge: TransactionJudge,
    time: TransactionTime,
    letters: LetterWatch,
    calls: BoundedCalls,
}

/// The id of the transactions of the worker with this store.
pub fn transactional_id(config: &config::Kafka, store_id: &str) -> String {
    format!("{}.{store_id}", config.group_id)
}

impl Transactions {
    /// Talks to nobody yet. `store_id` is the store's own id: two workers on copies of one store fence each other.
    pub fn new(config: &config::Kafka, store_id: &str, fence: GroupFence, meters: Meters) -> Self {
        Self {
            letters: LetterWatch::new(&config.dead_letter_topic, meters),
            config: config.clone(),
            judge: TransactionJudge::new(config, transactional_id(config, store_id)),
            fence,
            producer: None,
            time: TransactionTime::new(),
            calls: BoundedCalls::default(),
        }
    }

    /// A producer that has ended every earlier transaction of this id.
    fn open(&mut self) -> Result<BaseProducer<Ends>, PortError> {
        loop {
            let ends = Ends::new(&self.config);
            let producer: BaseProducer<Ends> = client::transactions(&self.config, self.judge.id(), self.time.whole())?
                .create_with_context(ends)
                .map_err(|e| port_error("cannot make the producer of commits", &e))?;
            let (doing, topic) = ("transactions cannot begin", self.config.changelog_topic.clone());
            let (producer, begun) = self.call(doing, producer, move |producer, step| start(producer, &topic, step))?;
            match begun {
                Ok(()) => return Ok(producer),
                Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::InvalidTransactionTimeout) => {
                    let refused = self.time.whole().as_secs();
                    if !self.time.was_refused() {
                        return Err(PortError::Fatal(format!(
                            "the brokers allow no transaction of {refused} s; set their transaction.max.timeout.ms to \
                             {refused}000 or more"
                        )));
                    }
                    let seconds = self.time.whole().as_secs();
                    tracing::warn!(
                        refused,
                        seconds,
                        "the brokers allow no transaction of this length: where commits do not get through, raise their \
                         transaction.max.timeout.ms, and start this worker anew"
                    );
                }
                Err(error) => return Err(self.judge.error(doing, &error)),
            }
        }
    }

    /// One step, which gets its time and is given up where it takes longer all the same.
    fn call<T: Send + 'static>(
        &self,
        doing: &str,
        producer: BaseProducer<Ends>,
        call: impl FnOnce(&BaseProducer<Ends>, Duration) -> T + Send + 'static,
    ) -> Result<(BaseProducer<Ends>, T), PortError> {
        let step = self.time.step();
        self.calls.make(doing, producer, step + LOST_MARGIN, move |producer| call(producer, step))
    }

    fn send_offsets(
        &self,
        doing: &str,
        producer: BaseProducer<Ends>,
        offsets: &Arc<(TopicPartitionList, ConsumerGroupMetadata)>,
    ) -> Result<(BaseProducer<Ends>, Result<(), FillError>), PortError> {
        let offsets = Arc::clone(offsets);
        let send = move |producer: &BaseProducer<Ends>, step| {
            producer.send_offsets_to_transaction(&offsets.0, &offsets.1, step).map_err(FillError::Kafka)
        };
        self.call(doing, producer, send)
    }

    fn producer(&mut self) -> Result<BaseProducer<Ends>, PortError> {
        match self.producer.take() {
            Some(producer) => Ok(producer),
            None => self.open(),
        }
    }

    fn refuse(&self, fence: Option<&Fence>, transaction: &Transaction) -> Result<(), PortError> {
        let Some(fence) = fence else {
            return Err(PortError::Passing(format!("no member of group {} just now", self.config.group_id)));
        };
        match transaction.parts.iter().find(|part| fence.owned.get(&part.source) != Some(&part.epoch)) {
            Some(part) => Err(PortError::Passing(format!("{} has moved on since this was folded", part.source))),
            None => Ok(()),
        }
    }
}

impl TransactionLog for Transactions {
    fn transact(&mut self, transaction: &Transaction) -> Result<Vec<Receipt>, TransactError> {
        let began = Instant::now();
        let bytes = transaction.parts.iter().map(|part| part.layer.bytes()).sum();
        let done = self.transact_within(transaction);
        if self.time.ended(bytes, began.elapsed(), done.is_ok()) {
            tracing::info!(
                bytes,
                seconds = self.time.whole().as_secs(),
                "commits have another time to get through from now on"
            );
            // The time is a setting of the producer.
            self.producer = None;
        }
        done
    }

    fn rest(&mut self) {
        if let Some(producer) = &self.producer {
            drain_producer(producer);
        }
    }

    fn recover(&mut self) -> Result<(), PortError> {
        self.producer = None;
        self.producer = Some(self.open()?);
        Ok(())
    }
}

impl Transactions {
    fn transact_within(&mut self, transaction: &Transaction) -> Result<Vec<Receipt>, TransactError> {
        let producer = self.producer()?;
        let fence = self.fence.take(FENCE_TIMEOUT);
        if let Err(refused) = self.refuse(fence.as_ref(), transaction) {
            self.producer = Some(producer);
            return Err(refused.into());
        }
        let Some(fence) = fence else { return Ok(Vec::new()) };
        let step = self.time.step();
        producer.context().with(|written| *written = Written::default());
        self.judge.begins(self.time.whole());
        if let Err(error) = producer.begin_transaction() {
            // The producer is dropped with whatever is wrong with it.
            return Err(self.judge.error("a commit cannot begin", &error).into());
        }
        let doing = "a commit was aborted";
        let offsets = match offsets(transaction) {
            Ok(offsets) => Arc::new((offsets, fence.metadata)),
            Err(error) => {
                self.abort(producer);
                return Err(self.judge.error(doing, &error).into());
            }
        };
        let (producer, filled) = match fill(&producer, &self.config, transaction) {
            Ok(()) => self.send_offsets(doing, producer, &offsets)?,
            failed @ Err(_) => (producer, failed),
        };
        let (producer, filled) = match filled {
            // A transaction that has failed beneath takes nothing more, and does not say why; asked for offsets it does.
            Err(error) if error.is_of_state() => {
                let (producer, why) = self.send_offsets(doing, producer, &offsets)?;
                (producer, Err(why.err().unwrap_or(error)))
            }
            filled => (producer, filled),
        };
        if let Err(error) = filled {
            let words = match error {
                FillError::Kafka(error) => self.failed(doing, &producer, &error),
                FillError::Content(error) => error,
            };
            self.abort(producer);
            return Err(words.into());
        }
        deliver(&producer, step);
        if let Some(error) = self.unwritten(doing, &producer, transaction) {
            self.abort(producer);
            return Err(error.into());
        }
        let asked = self.call("a commit", producer, BaseProducer::commit_transaction);
        let (producer, committed) = asked.map_err(|error| TransactError::Unknown(error.to_string()))?;
        match committed {
            Ok(()) => {
                self.judge.committed();
                let written = producer.context().with(std::mem::take);
                self.producer = Some(producer);
                self.letters.take(&written.letters);
                Ok(receipts(transaction, &written.changelog))
            }
            Err(error) if nothing_was_committed(&error) => {
                let words = self.failed("a commit was aborted", &producer, &error);
                self.abort(producer);
                Err(words.into())
            }
            Err(error) => match self.judge.error("a commit", &error) {
                PortError::Passing(words)
                | PortError::Fatal(words)
                | PortError::Damaged(words)
                | PortError::Refused(_, words) => Err(TransactError::Unknown(words)),
            },
        }
    }

    /// Why a transaction must not be committed whose records have all been told of. Nobody has been asked to commit it by
    /// then, so that it is known not to be there.
    fn unwritten(
        &mut self,
        doing: &str,
        producer: &BaseProducer<Ends>,
        transaction: &Transaction,
    ) -> Option<PortError> {
        let looked = |written: &mut Written| (written.failed.take(), fallen(transaction, &written.changelog));
        let (failed, fallen) = producer.context().with(looked);
        if let Some(failed) = failed {
            return Some(self.judge.unwritten(doing, &failed, self.time.whole()));
        }
        let renewed = |fallen| changelog_topic::renewed(&self.config.changelog_topic, fallen);
        fallen.map(|fallen| PortError::Refused(By::Kafka, renewed(fallen)))
    }

    /// What an error means; where it is that of a record, its own topic is named.
    fn failed(&mut self, doing: &str, producer: &BaseProducer<Ends>, error: &KafkaError) -> PortError {
        match ends::failed(producer, error) {
            Some(failed) => self.judge.unwritten(doing, &failed, self.time.whole()),
            None => self.judge.error(doing, error),
        }
    }

    /// Ends a transaction that was not asked to be committed, and at once: while it is open, whoever restores these
    /// partitions waits. A new producer does that however the old one feels; librdkafka's own way ends in states that take
    /// no further transaction where records were still on their way.
    fn abort(&mut self, producer: BaseProducer<Ends>) {
        drop(producer);
        match self.open() {
            Ok(producer) => self.producer = Some(producer),
            Err(error) => {
                tracing::info!(%error, "an aborted transaction ends with the next commit, or by its time-out");
            }
        }
    }
}

/// Waits until nothing is under way; a record takes no longer than the transaction's time to be written or fail, and a step
/// longer, so all have been told of afterwards. The commit of this binding waits, too, but looks only
/// every 100 ms: that would be most of what a commit takes.
fn deliver(producer: &BaseProducer<Ends>, step: Duration) {
    let began = Instant::now();
    while producer.in_flight_count() > 0 && began.elapsed() < step {
        serve(producer);
    }
}

/// Of every partition that is written, changed or not: the broker does not check the fence of an empty list.
fn offsets(transaction: &Transaction) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for part in &transaction.parts {
        add_offset(&mut list, &part.source, &part.position)?;
    }
    Ok(list)
}

/// Where the group goes on with a partition, and beside it how many its topic has.
pub(super) fn add_offset(
    list: &mut TopicPartitionList,
    source: &TopicPartition,
    position: &Position,
) -> Result<(), KafkaError> {
    let mut element = list.add_partition(&source.topic, source.partition);
    element.set_offset(Offset::Offset(position.next.get()))?;
    if let Some(partitions) = position.partitions {
        element.set_metadata(format!("{PARTITIONS_NOTE}{partitions}"));
    }
    Ok(())
}

/// Whether a partition of the changelog turned out to end before the place that is known of it. Nobody but its owner writes
/// to it.
fn fallen(transaction: &Transaction, written: &Spans) -> Option<Fallen> {
    transaction.behind.iter().find_map(|(source, place)| written.fallen(source.partition, place.get()))
}

fn receipts(transaction: &Transaction, written: &Spans) -> Vec<Receipt> {
    let receipt = |part: &CutPart| Some((part.source.clone(), NextOffset::new(written.end(part.source.partition)?)));
    transaction.parts.iter().filter_map(receipt).collect()
}

#[cfg(test)]
#[path = "transactions_tests.rs"]
mod tests;
