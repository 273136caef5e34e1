//! The topic through which a group's workers share tokens: one compacted partition, read from its beginning by all.
//!
//! What is in the records is sealed elsewhere; here they are bytes under a key. A lost record is noticed by who misses
//! it in what is read, so nothing waits for an acknowledgement.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use super::chatter::Chatter;
use super::client;
use super::failure::{describe, port_error};
use super::status::{Problem, Status};
use super::token_writing::TokenWriting;
use super::topics::Topics;
use super::unjoined::Unjoined;
use crate::config;
use crate::record::RecordOffset;
use crate::sync::ports::PortError;
use crate::sync::token_log::{LogEntry, TokenLog, TokenLogReader};
use crate::telemetry::event;

/// How long the reader waits for a record before it looks whether it is to stop.
const POLL: Duration = Duration::from_millis(100);

/// How often it is looked whether the topic is there. A reader alone may hear of it late, and a writer never.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// And how soon after it was gone, or could not be read.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long brokers that were away are given to answer: the reader's end waits for it.
const ANSWER: Duration = Duration::from_millis(500);

/// Reads and writes the topic until it is dropped.
pub struct TokenTopic {
    site: Arc<Site>,
    stop: CancellationToken,
    reader: Option<JoinHandle<()>>,
}

/// The writing end.
pub struct TokenWriter(Arc<Site>);

struct Site {
    topic: String,
    producer: BaseProducer<TokenWriting>,
    trouble: Mutex<Option<String>>,
}

impl Site {
    fn is_in_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

impl TokenTopic {
    /// Starts to read into `reader`, on a thread of its own.
    pub fn start(config: &config::Kafka, reader: Box<dyn TokenLogReader>) -> Result<Self, PortError> {
        let topic = config.token_topic();
        let status = Status::new();
        let mut producing = client::producer(config)?;
        // A claim that is late is worth nothing any more.
        producing.set("message.timeout.ms", "10000");
        let producer = producing
            .create_with_context(TokenWriting(Chatter::new(config, status.clone())))
            .map_err(|e| port_error("cannot make the producer of shared tokens", &e))?;
        let mut reading = client::reader(config)?;
        // The topic may be compacted, or made anew: whatever is there is read from its beginning. A long wait is no
        // delay, as the broker answers as soon as there is a record.
        reading.set("auto.offset.reset", "earliest").set("fetch.wait.max.ms", "500");
        let consumer: Unjoined = reading
            .create_with_context(Chatter::new(config, status))
            .map_err(|e| port_error("cannot make the reader of shared tokens", &e))?;
        begin(&consumer, &topic).map_err(|e| port_error(&format!("cannot read topic {topic}"), &e))?;
        let mut watch = Watch {
            topics: Topics::connect(config)?,
            config: config.clone(),
            next: Instant::now() + LOOK_EVERY,
            gone: None,
            unread: None,
        };
        let site = Arc::new(Site { topic, producer, trouble: Mutex::default() });
        let stop = CancellationToken::new();
        let (for_thread, stopped) = (Arc::clone(&site), stop.clone());
        let thread = std::thread::Builder::new()
            .name("tokens".to_owned())
            .spawn(move || read(&consumer, &for_thread, &mut watch, reader.as_ref(), &stopped))
            .map_err(|error| PortError::Fatal(format!("cannot start the reader of shared tokens: {error}")))?;
        Ok(Self { site, stop, reader: Some(thread) })
    }

    /// The writing end; it may live longer than this.
    pub fn writer(&self) -> TokenWriter {
        TokenWriter(Arc::clone(&self.site))
    }
}

impl Drop for TokenTopic {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap_or(());
        }
    }
}

impl TokenLog for TokenWriter {
    fn name(&self) -> &str {
        &self.0.topic
    }

    fn append(&self, key: &str, value: &[u8]) {
        let record: BaseRecord<'_, str, [u8]> = BaseRecord::to(&self.0.topic).partition(0).key(key).payload(value);
        if let Err((error, _)) = self.0.producer.send(record) {
            self.0.is_in_trouble(Some(format!("topic {} cannot be written: {}", self.0.topic, describe(&error))));
        }
    }

    fn trouble(&self) -> Option<String> {
        let trouble = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        trouble.or_else(|| self.0.producer.context().status().problems().into_iter().next())
    }
}

/// Looks whether the topic is there, and makes it anew: it holds nothing but tokens, which are fetched again.
struct Watch {
    topics: Topics,
    config: config::Kafka,
    next: Instant,
    /// Where the topic is gone, what was said of that.
    gone: Option<String>,
    /// Reading has failed: it goes on anew then, as an end that was reached before is not told of a second time.
    unread: Option<Instant>,
}

impl Watch {
    fn look(&mut self, consumer: &BaseConsumer<Chatter>, site: &Site) {
        self.topics.rest();
        let topic = site.topic.as_str();
        if self.unread.is_some_and(|again| Instant::now() >= again) {
            self.unread = go_on(consumer, topic).err().map(|_| Instant::now() + LOOK_AGAIN);
        }
        if Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + LOOK_EVERY;
        let status = site.producer.context().status();
        // A long question to brokers that are away would hold up the reader's end.
        if status.stands(&Problem::Brokers) && !self.topics.answers(topic, ANSWER) {
            return;
        }
        status.clear(&Problem::Brokers);
        match self.topics.partition_count(topic) {
            Ok(Some(_)) if self.gone.take().is_some() => {
                // Another worker may have written to it meanwhile; our place in the one before says nothing.
                let begun = begin(consumer, topic);
                site.is_in_trouble(
                    begun.err().map(|error| format!("topic {topic} cannot be read: {}", describe(&error))),
                );
                event::TokenTopicBack { topic }.emit();
            }
            Ok(None) if self.gone.is_some() || matches!(self.topics.is_gone(topic), Ok(true)) => self.make(site),
            Ok(_) | Err(_) => {}
        }
    }

    fn make(&mut self, site: &Site) {
        let topic = site.topic.as_str();
        let made = self.topics.ensure_tokens(&self.config);
        if matches!(made, Ok(_) | Err(PortError::Passing(_))) {
            self.next = Instant::now() + LOOK_AGAIN;
        }
        let words = gone(topic, made.err().as_ref());
        if self.gone.as_ref() != Some(&words) {
            event::TokenTopicGone { topic, words: &words }.emit();
        }
        site.is_in_trouble(Some(words.clone()));
        self.gone = Some(words);
    }
}

/// The topic is gone, in words; who makes it anew depends on how the making of it went.
fn gone(topic: &str, failed: Option<&PortError>) -> String {
    let what = match failed {
        None => "this worker makes it anew".to_owned(),
        Some(PortError::Passing(why)) => {
            format!("the workers try to make it anew, and so may you with `order-sync topics create`: {why}")
        }
        Some(error) => format!("`order-sync topics create` makes it anew: {error}"),
    };
    format!("topic {topic} was deleted; {what}")
}

/// Reads it from its beginning on.
fn begin(consumer: &BaseConsumer<Chatter>, topic: &str) -> Result<(), KafkaError> {
    read_from(consumer, topic, Offset::Beginning)
}

/// Reads on from where it stands.
fn go_on(consumer: &BaseConsumer<Chatter>, topic: &str) -> Result<(), KafkaError> {
    let position = consumer.position()?;
    match position.find_partition(topic, 0).map(|element| element.offset()) {
        Some(next @ Offset::Offset(_)) => read_from(consumer, topic, next),
        _ => begin(consumer, topic),
    }
}

fn read_from(consumer: &BaseConsumer<Chatter>, topic: &str, next: Offset) -> Result<(), KafkaError> {
    let mut partition = TopicPartitionList::new();
    partition.add_partition_offset(topic, 0, next)?;
    consumer.assign(&partition)
}

fn read(
    consumer: &BaseConsumer<Chatter>,
    site: &Site,
    watch: &mut Watch,
    reader: &dyn TokenLogReader,
    stop: &CancellationToken,
) {
    while !stop.is_cancelled() {
        site.producer.poll(Duration::ZERO);
        watch.look(consumer, site);
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => {
                site.is_in_trouble(None);
                if let Some(entry) = entry(&message)
                    && reader.read(entry).is_err()
                {
                    return;
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => site.is_in_trouble(None),
            // Said with what to do.
            Some(Err(_)) if watch.gone.is_some() => {}
            Some(Err(error)) => {
                let words = describe(&error);
                let what = format!("topic {} cannot be read: {words}; it needs Read, Write and Describe", site.topic);
                tracing::debug!(topic = site.topic, error = words, "the token topic cannot be read");
                site.is_in_trouble(Some(what));
                watch.unread = Some(Instant::now() + LOOK_AGAIN);
            }
        }
    }
}

/// The record, unless it is a tombstone or was written by another hand.
fn entry(message: &BorrowedMessage<'_>) -> Option<LogEntry> {
    Some(LogEntry {
        key: String::from_utf8(message.key()?.to_vec()).ok()?,
        value: message.payload()?.to_vec(),
        offset: RecordOffset::new(message.offset()),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;
    use crate::kafka::client::tests::{eventually, settings};
    use crate::kafka::embedded::EmbeddedBroker;
    use crate::sync::ports::Closed;

    struct Ignored;

    impl TokenLogReader for Ignored {
        fn read(&self, _: LogEntry) -> Result<(), Closed> {
            Ok(())
        }
    }

    #[test]
    fn who_makes_a_topic_anew_that_was_deleted_is_told_by_how_that_went() {
        assert_eq!(gone("g.tokens", None), "topic g.tokens was deleted; this worker makes it anew");
        let passing = gone("g.tokens", Some(&PortError::Passing("it was not authorized".to_owned())));
        assert!(passing.contains("the workers try") && passing.ends_with(": it was not authorized"), "{passing}");
        let fatal = gone("g.tokens", Some(&PortError::Fatal("kafka.create_topics is false".to_owned())));
        assert!(fatal.contains("; `order-sync topics create` makes it anew: kafka.create"), "{fatal}");
    }

    #[test]
    fn a_token_that_the_topic_does_not_take_is_told_until_it_takes_one() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("order-sync.tokens", 1, 1).unwrap();
        let mut config = settings(&cluster.bootstrap_servers());
        config.group_id = "order-sync".to_owned();
        let tokens = TokenTopic::start(&config, Box::new(Ignored)).unwrap();
        let writer = tokens.writer();
        cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
        writer.append("tt1", b"large");
        let told = || writer.trouble().is_some_and(|words| words.contains("order-sync.tokens takes no record"));
        eventually("it is told", told);
        writer.append("tt1", b"small");
        eventually("it is over", || writer.trouble().is_none());
        drop((tokens, writer));
    }

    /// Nothing is written meanwhile, so no record would say so: neither to the reader nor to the writer.
    #[test]
    fn brokers_that_are_back_are_no_trouble_any_more() {
        let broker = EmbeddedBroker::start(&[("order-sync.tokens", 1)]).unwrap();
        let mut config = settings(broker.brokers());
        config.group_id = "order-sync".to_owned();
        let tokens = TokenTopic::start(&config, Box::new(Ignored)).unwrap();
        let (site, writer) = (Arc::clone(&tokens.site), tokens.writer());
        writer.append("hello", b"there");
        let unread = || site.trouble.lock().unwrap().is_some();
        for _ in 0..2 {
            broker.down().unwrap();
            eventually("the reader tells it", unread);
            eventually("the writer tells it", || site.producer.context().status().stands(&Problem::Brokers));
            broker.up().unwrap();
            eventually("it is over", || writer.trouble().is_none());
        }
    }
}
