//! Questions to the brokers: how far partitions reach, and what topics there are. Each is bounded in time.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::start::Extent;
use crate::config::StartFrom;
use crate::kafka::client::ASK_TIMEOUT;
use crate::record::{NextOffset, TopicPartition};

/// The end of each partition, as a reader of committed records sees it: one request per broker.
pub(in crate::kafka) fn ends<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    sources: &[TopicPartition],
) -> KafkaResult<BTreeMap<TopicPartition, NextOffset>> {
    let found = ask(consumer, sources, Offset::End)?;
    Ok(found.into_iter().filter_map(|(source, offset)| Some((source, NextOffset::new(offset?)))).collect())
}

/// How far each partition reaches, and where the time of `from` lies in it. All or an error.
pub(in crate::kafka) fn extents<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    sources: &[TopicPartition],
    from: StartFrom,
) -> KafkaResult<BTreeMap<TopicPartition, Extent>> {
    // Low first: a partition only grows and shrinks forward, so `low <= high` holds whatever happens in between.
    let lows = ask(consumer, sources, Offset::Beginning)?;
    let highs = ask(consumer, sources, Offset::End)?;
    let mut times = match from {
        StartFrom::Time(ms) => ask(consumer, sources, Offset::Offset(ms.max(0)))?,
        StartFrom::Earliest | StartFrom::Latest => BTreeMap::new(),
    };
    let missing = || KafkaError::OffsetFetch(RDKafkaErrorCode::NoOffset);
    let mut extents = BTreeMap::new();
    for source in sources {
        let low = lows.get(source).copied().flatten().ok_or_else(missing)?;
        let high = highs.get(source).copied().flatten().ok_or_else(missing)?;
        let at_time = times.remove(source).flatten();
        extents.insert(source.clone(), Extent { low, high, at_time });
    }
    Ok(extents)
}

/// As [`ask_once`]. While librdkafka asks anew where a topic that it knows lies, it says of each of its partitions that it is
/// unknown; and where that answer is lost with a broker, it says so until the broker is back. So it is asked here.
fn ask<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    sources: &[TopicPartition],
    what: Offset,
) -> KafkaResult<BTreeMap<TopicPartition, Option<i64>>> {
    match ask_once(consumer, sources, what) {
        Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownPartition) => {}
        asked => return asked,
    }
    for topic in sources.iter().map(|source| &*source.topic).collect::<BTreeSet<_>>() {
        consumer.fetch_metadata(Some(topic), ASK_TIMEOUT)?;
    }
    ask_once(consumer, sources, what)
}

/// The protocol's "offset for time" takes -1 for the end and -2 for the start, for many partitions at once.
fn ask_once<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    sources: &[TopicPartition],
    what: Offset,
) -> KafkaResult<BTreeMap<TopicPartition, Option<i64>>> {
    let mut list = TopicPartitionList::new();
    for source in sources {
        list.add_partition_offset(&source.topic, source.partition, what)?;
    }
    let answer = consumer.offsets_for_times(list, ASK_TIMEOUT)?;
    let mut found = BTreeMap::new();
    for element in answer.elements() {
        element.error()?;
        let offset = if let Offset::Offset(offset) = element.offset() { Some(offset) } else { None };
        found.insert(TopicPartition::new(element.topic(), element.partition()), offset);
    }
    Ok(found)
}

/// How many partitions a topic has; `Ok(None)` where there is no such topic.
pub(in crate::kafka) fn partition_count<C: rdkafka::ClientContext>(
    client: &rdkafka::client::Client<C>,
    topic: &str,
) -> KafkaResult<Option<i32>> {
    let metadata = client.fetch_metadata(Some(topic), ASK_TIMEOUT)?;
    let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else { return Ok(None) };
    match found.error().map(RDKafkaErrorCode::from) {
        None => Ok(Some(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)).filter(|count| *count > 0)),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
        Some(code) => Err(KafkaError::MetadataFetch(code)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::kafka::client;
    use crate::kafka::embedded::EmbeddedBroker;

    /// Within so much time the client library does not wait for what it asks about a topic: it takes the topic for unknown.
    const SLOW: Duration = Duration::from_millis(400);

    #[test]
    fn a_topic_that_a_slow_broker_was_not_asked_about_before_is_known_at_the_first_question() {
        let broker = EmbeddedBroker::start(&[("known", 1), ("orders", 2)]).unwrap();
        let config = client::tests::settings(broker.brokers());
        let consumer: BaseConsumer = client::reader(&config).unwrap().create().unwrap();
        let partition = |topic: &str, number| TopicPartition::new(topic, number);
        ends(&consumer, &[partition("known", 0)]).unwrap();
        broker.delay(SLOW).unwrap();
        let asked = [partition("orders", 0), partition("orders", 1)];
        assert_eq!(ends(&consumer, &asked).unwrap().len(), 2);

        // One that was not there a moment ago, too: nobody waits for the client to look by itself.
        let later = [partition("later", 0)];
        assert_eq!(ends(&consumer, &later).unwrap_err().rdkafka_error_code(), Some(RDKafkaErrorCode::UnknownPartition));
        broker.create_topic("later", 1).unwrap();
        assert_eq!(ends(&consumer, &later).unwrap().len(), 1);
    }
}
