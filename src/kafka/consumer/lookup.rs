//! Questions to the brokers: how far partitions reach, and what topics there are. Each is bounded in time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::start::Extent;
use crate::config::StartFrom;
use crate::kafka::client::ASK_TIMEOUT;
use crate::record::{NextOffset, TopicPartition};

/// How long a group's coordinator that is not ready is asked again: of a new cluster the first question after a group's
/// offsets makes the topic in which they lie.
const COORDINATOR_PATIENCE: Duration = Duration::from_secs(5);
/// How long the leader of a partition that denies it is asked again: a commit waits for the consumer's thread for twice as long at
/// most, and that one asks, too.
const LEADER_PATIENCE: Duration = Duration::from_secs(1);
/// The pause before either is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// The group's committed offsets of these partitions. What concerns one of them alone, an error too, is told with it. A transaction
/// that is open on one takes all of the time that there is, and who restores has to say so: it is not asked again for that.
pub(in crate::kafka) fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &TopicPartitionList,
) -> KafkaResult<TopicPartitionList> {
    ask_committed(consumer, partitions, coordinator_not_ready, |_| false)
}

/// As [`committed`], for those who wait for each: where the error of one may pass, all are asked for again; so they are where the
/// time is up, in which librdkafka may have asked who the coordinator is, and nothing else.
pub(in crate::kafka) fn committed_of_each<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &TopicPartitionList,
) -> KafkaResult<TopicPartitionList> {
    let is_unanswered = |code| coordinator_not_ready(code) || code == RDKafkaErrorCode::OperationTimedOut;
    ask_committed(consumer, partitions, is_unanswered, |found| {
        let is_to_pass = |error: &KafkaError| error.rdkafka_error_code().is_some_and(passes_soon);
        found.elements().iter().any(|element| element.error().is_err_and(|error| is_to_pass(&error)))
    })
}

fn ask_committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &TopicPartitionList,
    is_unanswered: impl Fn(RDKafkaErrorCode) -> bool,
    is_partial: impl Fn(&TopicPartitionList) -> bool,
) -> KafkaResult<TopicPartitionList> {
    let deadline = Instant::now() + COORDINATOR_PATIENCE;
    let mut left = COORDINATOR_PATIENCE;
    loop {
        let found = consumer.committed_offsets(partitions.clone(), left.min(ASK_TIMEOUT));
        left = deadline.saturating_duration_since(Instant::now()).saturating_sub(ASK_AGAIN);
        let again = match &found {
            Err(error) => error.rdkafka_error_code().is_some_and(&is_unanswered),
            Ok(found) => is_partial(found),
        };
        if !again || left.is_zero() {
            return found;
        }
        std::thread::park_timeout(ASK_AGAIN);
    }
}

/// Whether the coordinator is not there yet.
fn coordinator_not_ready(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::NotCoordinator
            | RDKafkaErrorCode::CoordinatorNotAvailable
            | RDKafkaErrorCode::CoordinatorLoadInProgress
    )
}

/// Whether the error of a single partition passes by itself: the broker has not heard of it yet, or the coordinator is not ready,
/// which old brokers tell of each.
fn passes_soon(code: RDKafkaErrorCode) -> bool {
    coordinator_not_ready(code) || code == RDKafkaErrorCode::UnknownTopicOrPartition
}

/// The end of each partition, as a reader of committed records sees it: one request per broker.
pub(in crate::kafka) fn ends<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    sources: &[TopicPartition],
) -> KafkaResult<BTreeMap<TopicPartition, NextOffset>> {
    let found = ask(consumer, sources, Offset::End)?;
    Ok(found.into_iter().filter_map(|(source, offset)| Some((source, NextOffset::new(offset?)))).collect())
}

/// The first offset that there is of each partition.
pub(in crate::kafka) fn beginnings<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    sources: &[TopicPartition],
) -> KafkaResult<BTreeMap<TopicPartition, i64>> {
    let found = ask(consumer, sources, Offset::Beginning)?;
    Ok(found.into_iter().filter_map(|(source, offset)| Some((source, offset?))).collect())
}

/// How far each partition reaches, and where the time of `from` lies in it. All or an error.
pub(in crate::kafka) fn extents<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    sources: &[TopicPartition],
    from: StartFrom,
) -> KafkaResult<BTreeMap<TopicPartition, Extent>> {
    extents_and(consumer, sources, from, || {})
}

/// As [`extents`], with something to be done between two questions.
pub(super) fn extents_and<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    sources: &[TopicPartition],
    from: StartFrom,
    between: impl Fn(),
) -> KafkaResult<BTreeMap<TopicPartition, Extent>> {
    // Low first: a partition only grows and shrinks forward, so `low <= high` holds whatever happens in between.
    let lows = ask(consumer, sources, Offset::Beginning)?;
    between();
    let highs = ask(consumer, sources, Offset::End)?;
    let mut times = match from {
        StartFrom::Time(ms) => {
            between();
            ask(consumer, sources, Offset::Offset(ms.max(0)))?
        }
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
/// unknown; and where that answer is lost with a broker, it says so until the broker is back. A broker that is about to lead a
/// partition, as of a topic made a moment ago, denies it at first, and one that was led by another until now knows it by a newer
/// epoch. So they are asked again here: once, and for a while.
fn ask<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    sources: &[TopicPartition],
    what: Offset,
) -> KafkaResult<BTreeMap<TopicPartition, Option<i64>>> {
    let deadline = Instant::now() + LEADER_PATIENCE;
    let mut is_known = false;
    loop {
        let asked = ask_once(consumer, sources, what);
        match asked.as_ref().err().and_then(KafkaError::rdkafka_error_code) {
            Some(RDKafkaErrorCode::UnknownPartition) if !is_known => is_known = true,
            Some(code) if is_of_its_leader(code) && Instant::now() < deadline => {
                std::thread::park_timeout(ASK_AGAIN);
            }
            _ => return asked,
        }
        for topic in sources.iter().map(|source| &*source.topic).collect::<BTreeSet<_>>() {
            consumer.fetch_metadata(Some(topic), ASK_TIMEOUT)?;
        }
    }
}

/// Whether it says that a partition's leader has just changed: what the client knew of it is old by now.
fn is_of_its_leader(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::FencedLeaderEpoch
            | RDKafkaErrorCode::UnknownLeaderEpoch
            | RDKafkaErrorCode::OffsetNotAvailable
    )
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
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

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

    fn reader(cluster: &MockCluster<'static, DefaultProducerContext>) -> (BaseConsumer, TopicPartitionList) {
        cluster.create_topic("orders", 1, 1).unwrap();
        let config = client::tests::settings(&cluster.bootstrap_servers());
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition("orders", 0);
        (client::reader(&config).unwrap().create().unwrap(), partitions)
    }

    /// What a question after the group's offsets comes to where the coordinator gives these answers first.
    fn after(answers: &[RDKafkaRespErr]) -> KafkaResult<TopicPartitionList> {
        let cluster = MockCluster::new(1).unwrap();
        let (consumer, partitions) = reader(&cluster);
        cluster.request_errors(RDKafkaApiKey::OffsetFetch, answers);
        committed(&consumer, &partitions)
    }

    #[test]
    fn a_leader_that_does_not_know_yet_that_it_leads_is_asked_again() {
        use RDKafkaRespErr::*;
        let after = |answers: &[RDKafkaRespErr]| {
            let cluster = MockCluster::new(1).unwrap();
            let (consumer, _) = reader(&cluster);
            cluster.request_errors(RDKafkaApiKey::ListOffsets, answers);
            ends(&consumer, &[TopicPartition::new("orders", 0)]).map_err(|error| error.rdkafka_error_code())
        };
        for changed in [
            RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
            RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
            RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
        ] {
            assert_eq!(after(&[changed; 2]).map(|found| found.len()), Ok(1), "{changed:?}");
        }
        let never = after(&[RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 1_000]);
        assert_eq!(never, Err(Some(RDKafkaErrorCode::NotLeaderForPartition)));
        let denied = after(&[RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
        assert_eq!(denied, Err(Some(RDKafkaErrorCode::TopicAuthorizationFailed)), "once is enough");
    }

    #[test]
    fn a_coordinator_that_is_not_ready_is_asked_again_for_a_while() {
        use RDKafkaRespErr::*;
        for not_ready in [
            RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
            RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        ] {
            let found = after(&[not_ready; 3]);
            assert_eq!(found.unwrap().elements()[0].offset(), Offset::Invalid, "{not_ready:?}: none is committed");
        }
        let code = |answers| after(answers).unwrap_err().rdkafka_error_code();
        let never = code(&[RD_KAFKA_RESP_ERR_NOT_COORDINATOR; 1_000]);
        assert_eq!(never, Some(RDKafkaErrorCode::NotCoordinator));
        let denied = code(&[RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED]);
        assert_eq!(denied, Some(RDKafkaErrorCode::GroupAuthorizationFailed), "once is enough");
    }

    /// While the library does not know who the coordinator is it puts nobody a question, and says at last that its time is up.
    #[test]
    fn a_coordinator_that_nobody_names_for_a_while_is_asked_for_again() {
        let ask = |named_after: Option<Duration>| {
            let cluster = MockCluster::new(1).unwrap();
            let unnamed = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE; 1_000];
            cluster.request_errors(RDKafkaApiKey::FindCoordinator, &unnamed);
            let (consumer, partitions) = reader(&cluster);
            let began = Instant::now();
            let found = std::thread::scope(|scope| {
                let asks = scope.spawn(|| committed_of_each(&consumer, &partitions));
                if let Some(wait) = named_after {
                    while began.elapsed() < wait {
                        std::thread::park_timeout(ASK_AGAIN);
                    }
                    cluster.clear_request_errors(RDKafkaApiKey::FindCoordinator);
                }
                asks.join().unwrap()
            });
            (found, began.elapsed())
        };
        let (found, took) = ask(None);
        assert_eq!(found.unwrap_err().rdkafka_error_code(), Some(RDKafkaErrorCode::OperationTimedOut));
        assert!(took >= ASK_TIMEOUT, "{took:?}");
        let (found, took) = ask(Some(ASK_TIMEOUT + 2 * ASK_AGAIN));
        assert_eq!(found.unwrap().elements()[0].offset(), Offset::Invalid, "none is committed");
        assert!(took > ASK_TIMEOUT, "{took:?}");
    }
}
