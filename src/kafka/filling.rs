//! What a transaction is filled with: the records of its parts for the changelog, and its dead letters.

use std::ops::Range;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, ProducerContext};

use super::dead_letters::outgoing;
use super::producer::acceptance_headers;
use super::wait::serve;
use crate::config;
use crate::sync::changelog::write_records;
use crate::sync::commit::CutPart;
use crate::sync::log_ports::Transaction;
use crate::sync::ports::PortError;

/// Why a transaction could not be filled.
#[derive(Debug)]
pub(super) enum FillError {
    /// The client.
    Kafka(KafkaError),
    /// The content itself.
    Content(PortError),
}

impl FillError {
    /// Whether it says no more than that the producer is in no state for what it was asked to do.
    pub(super) fn is_of_state(&self) -> bool {
        matches!(self, Self::Kafka(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::State))
    }
}

impl From<KafkaError> for FillError {
    fn from(error: KafkaError) -> Self {
        Self::Kafka(error)
    }
}

impl From<PortError> for FillError {
    fn from(error: PortError) -> Self {
        Self::Content(error)
    }
}

/// Queues the records of a transaction; what has become of them is told when it is committed.
///
/// One record of each partition goes ahead of all others: the client asks the brokers to take partitions into the transaction
/// as it meets them, one request after another, and what it meets while one is under way waits for the next. Met side by
/// side they are one request.
pub(super) fn fill<C: ProducerContext<DeliveryOpaque = ()>>(
    producer: &BaseProducer<C>,
    config: &config::Kafka,
    transaction: &Transaction,
) -> Result<(), FillError> {
    for part in &transaction.parts {
        put(producer, config, part, 0..1)?;
    }
    for part in &transaction.parts {
        put(producer, config, part, 1..usize::MAX)?;
    }
    for letter in &transaction.letters {
        queue(producer, outgoing(letter).record(&config.dead_letter_topic))?;
    }
    Ok(())
}

/// Queues these of a partition's records.
fn put<C: ProducerContext<DeliveryOpaque = ()>>(
    producer: &BaseProducer<C>,
    config: &config::Kafka,
    part: &CutPart,
    which: Range<usize>,
) -> Result<(), FillError> {
    let mut at = 0;
    let done = write_records(part, &mut |key, value, acceptance| {
        if which.contains(&at) {
            let mut record: BaseRecord<'_, [u8], [u8]> =
                BaseRecord::to(&config.changelog_topic).partition(part.source.partition).key(key);
            record.payload = value;
            record.headers = acceptance.map(acceptance_headers);
            queue(producer, record)?;
        }
        at += 1;
        // At once: the next one would be encoded for nothing.
        if at == which.end { Err(Stop::Enough) } else { Ok(()) }
    });
    match done {
        Ok(()) | Err(Stop::Enough) => Ok(()),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Why no further record of a partition is queued.
enum Stop {
    Enough,
    Failed(FillError),
}

impl From<KafkaError> for Stop {
    fn from(error: KafkaError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<PortError> for Stop {
    fn from(error: PortError) -> Self {
        Self::Failed(error.into())
    }
}

fn queue<C: ProducerContext<DeliveryOpaque = ()>>(
    producer: &BaseProducer<C>,
    mut record: BaseRecord<'_, [u8], [u8]>,
) -> Result<(), KafkaError> {
    loop {
        let Err((error, back)) = producer.send(record) else { return Ok(()) };
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
            return Err(error);
        }
        record = back;
        serve(producer);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use rdkafka::ClientContext;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{DefaultProducerContext, DeliveryResult, Producer as _};
    use rdkafka::statistics::Statistics;

    use super::*;
    use crate::kafka::client;
    use crate::record::{NextOffset, RecordOffset, TopicPartition};
    use crate::sync::overlay::Overlay;
    use crate::sync::ports::{Epoch, Position};

    const PARTITIONS: i32 = 12;
    const STATUSES: i64 = 500;

    /// How often partitions were asked for so far.
    #[derive(Default)]
    struct Asked(Mutex<Option<i64>>);

    impl ClientContext for Asked {
        fn stats(&self, statistics: Statistics) {
            let asked = statistics.brokers.values().filter_map(|broker| broker.req.get("AddPartitionsToTxn"));
            *self.0.lock().unwrap() = Some(asked.sum());
        }
    }

    impl ProducerContext for Asked {
        type DeliveryOpaque = ();

        fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
            assert!(result.is_ok(), "{result:?}");
        }
    }

    fn part(partition: i32) -> CutPart {
        let mut overlay = Overlay::default();
        for offset in 0..STATUSES {
            overlay.put_status(RecordOffset::new(offset), None);
        }
        overlay.advance(NextOffset::new(STATUSES));
        CutPart {
            source: TopicPartition::new("orders", partition),
            epoch: Epoch(1),
            layer: overlay.cut().unwrap(),
            position: Position { commit_number: 1, ..Position::before(NextOffset::new(STATUSES)) },
            settings: None,
        }
    }

    #[test]
    fn the_brokers_are_asked_once_for_all_partitions_of_a_transaction() {
        let cluster: MockCluster<'static, DefaultProducerContext> = MockCluster::new(1).unwrap();
        cluster.create_topic("group.changelog", PARTITIONS, 1).unwrap();
        let config = client::tests::settings(&cluster.bootstrap_servers());
        let mut properties = client::transactions(&config, "id", Duration::from_secs(10)).unwrap();
        properties.set("statistics.interval.ms", "50");
        let producer: BaseProducer<Asked> = properties.create_with_context(Asked::default()).unwrap();
        producer.init_transactions(Duration::from_secs(15)).unwrap();
        producer.begin_transaction().unwrap();
        let parts = (0..PARTITIONS).map(part).collect();
        fill(&producer, &config, &Transaction { parts, letters: Vec::new(), behind: Vec::new() }).unwrap();
        producer.commit_transaction(Duration::from_secs(15)).unwrap();
        *producer.context().0.lock().unwrap() = None;
        let asked = loop {
            producer.poll(Duration::from_millis(50));
            if let Some(asked) = *producer.context().0.lock().unwrap() {
                break asked;
            }
        };
        // More than once, where this thread was held up between the first record and the twelfth.
        assert!((1..=3).contains(&asked), "{asked} requests");
    }
}
