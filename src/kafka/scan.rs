//! Reads bounded parts of topics for the operators' tools: assigned by hand, committed records only, several partitions at
//! once. It joins no group, commits nothing and disturbs nobody.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use super::chatter::Chatter;
use super::consumer::lookup;
use super::failure::{describe, port_error};
use super::status::Status;
use super::topics::Topics;
use super::unjoined::Unjoined;
use super::{client, convert};
use crate::config::{self, StartFrom};
use crate::record::{NextOffset, Record, RecordOffset, TopicPartition};
use crate::sync::ports::PortError;
use crate::sync::scan::{LogScan, ScanError, Seen, Span, Visit};

/// How long nothing may come while something must be there.
const SILENCE: Duration = Duration::from_secs(15);
/// One look at the reader's queue.
const LOOK: Duration = Duration::from_millis(50);
/// One fetch of one partition, as it lies at the broker.
const FETCH_BYTES: &str = "131072";
/// What is fetched and not taken.
const QUEUE_KBYTES: &str = "4096";
/// So many records are taken between two looks for a stop.
const RECORDS_PER_LOOK: u32 = 512;

/// The reader.
pub struct Scanner {
    topics: Topics,
    consumer: Unjoined,
    stop: CancellationToken,
}

/// What of a scan is still to be read.
struct Open {
    /// By the partition's number.
    spans: Vec<Option<Span>>,
    left: usize,
}

impl Open {
    fn new(spans: &[Span]) -> Self {
        let mut open = Self { spans: Vec::new(), left: 0 };
        for span in spans.iter().filter(|span| span.from < span.until) {
            let at = usize::try_from(span.partition).unwrap_or_default();
            open.spans.resize(open.spans.len().max(at + 1), None);
            open.left += usize::from(open.spans[at].replace(*span).is_none());
        }
        open
    }

    fn span(&self, partition: i32) -> Option<Span> {
        self.spans.get(usize::try_from(partition).ok()?).copied().flatten()
    }

    /// True where it was open.
    fn close(&mut self, partition: i32) -> bool {
        let at = usize::try_from(partition).unwrap_or(usize::MAX);
        let closed = self.spans.get_mut(at).is_some_and(|span| span.take().is_some());
        self.left -= usize::from(closed);
        closed
    }
}

impl Scanner {
    /// Makes the clients; talks to nobody yet.
    pub fn connect(config: &config::Kafka, stop: CancellationToken) -> Result<Self, PortError> {
        let consumer = client::reader(config)?
            // Read as fast as it comes, in a bounded memory: this queue, and one fetch of every partition, which letters and
            // their statuses, each like the last, unpack to thirty times its size.
            .set("fetch.message.max.bytes", FETCH_BYTES)
            .set("queued.max.messages.kbytes", QUEUE_KBYTES)
            .create_with_context(Chatter::new(config, Status::new()))
            .map_err(|e| port_error("cannot make a reader of topics", &e))?;
        Ok(Self { topics: Topics::connect(config)?, consumer, stop })
    }

    fn go_on(&self) -> Result<(), ScanError> {
        if self.stop.is_cancelled() { Err(ScanError::Stopped) } else { Ok(()) }
    }

    fn extents_from(&self, topic: &str, partitions: &[i32], from: StartFrom) -> Result<Vec<Found>, ScanError> {
        self.go_on()?;
        let places: Vec<_> = partitions.iter().map(|partition| TopicPartition::new(topic, *partition)).collect();
        let mut extents = lookup::extents(&self.consumer, &places, from)
            .map_err(|e| port_error(&format!("cannot ask how far {topic} reaches"), &e))?;
        let one = |place: &TopicPartition| {
            let no_answer = || PortError::Passing(format!("cannot ask how far {place} reaches: no answer"));
            let extent = extents.remove(place).ok_or_else(no_answer)?;
            let span = Span {
                partition: place.partition,
                from: NextOffset::new(extent.low),
                until: NextOffset::new(extent.high),
            };
            Ok(Found { span, at_time: extent.at_time.map(NextOffset::new) })
        };
        places.iter().map(one).collect()
    }

    fn assign(&self, topic: &str, spans: &[Span]) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for span in spans.iter().filter(|span| span.from < span.until) {
            list.add_partition_offset(topic, span.partition, Offset::Offset(span.from.get()))?;
        }
        self.consumer.unassign()?;
        self.consumer.assign(&list)
    }

    /// A pause outlives its assignment.
    fn leave(&self, topic: &str, spans: &[Span]) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for span in spans {
            list.add_partition(topic, span.partition);
        }
        self.consumer.resume(&list)?;
        self.consumer.unassign()
    }

    /// What lies behind a span is not fetched while others are still read.
    fn close(&self, topic: &str, partition: i32, open: &mut Open) -> Result<(), KafkaError> {
        if !open.close(partition) || open.left == 0 {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        self.consumer.pause(&list)
    }

    fn read_on(&self, topic: &str, open: &mut Open, visit: &mut Visit<'_>) -> Result<(), ScanError> {
        let failed = |error: &KafkaError| PortError::Passing(format!("cannot read {topic}: {}", describe(error)));
        let (mut heard, mut last, mut taken) = (Instant::now(), None, 0_u32);
        while open.left > 0 {
            taken = taken.wrapping_add(1);
            if taken.is_multiple_of(RECORDS_PER_LOOK) {
                self.go_on()?;
            }
            match self.consumer.poll(LOOK) {
                Some(Ok(message)) => {
                    let (partition, next) = (message.partition(), RecordOffset::new(message.offset()).next());
                    let Some(span) = open.span(partition) else { continue };
                    let is_within = next > span.from && next <= span.until;
                    if is_within && visit(&Borrowed(&message)).is_break() {
                        return Ok(());
                    }
                    if next >= span.until {
                        self.close(topic, partition, open).map_err(|e| failed(&e))?;
                    }
                    heard = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.close(topic, partition, open).map_err(|e| failed(&e))?;
                    heard = Instant::now();
                }
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                        let words = format!("{topic} has lost the beginning of what is read meanwhile; read it again");
                        return Err(PortError::Passing(words).into());
                    }
                    _ => last = Some(error),
                },
                None => self.go_on()?,
            }
            if heard.elapsed() > SILENCE {
                let why = last.as_ref().map_or_else(|| "no answer".to_owned(), describe);
                return Err(PortError::Passing(format!("cannot read {topic}: {why}")).into());
            }
        }
        Ok(())
    }
}

struct Found {
    span: Span,
    at_time: Option<NextOffset>,
}

impl LogScan for Scanner {
    fn partitions(&mut self, topic: &str) -> Result<Option<i32>, ScanError> {
        self.go_on()?;
        Ok(self.topics.partition_count(topic)?)
    }

    fn extents(&mut self, topic: &str, partitions: &[i32]) -> Result<Vec<Span>, ScanError> {
        let found = self.extents_from(topic, partitions, StartFrom::Earliest)?;
        Ok(found.into_iter().map(|found| found.span).collect())
    }

    fn at_time(&mut self, topic: &str, partitions: &[i32], at_ms: i64) -> Result<Vec<Option<NextOffset>>, ScanError> {
        let found = self.extents_from(topic, partitions, StartFrom::Time(at_ms))?;
        Ok(found.into_iter().map(|found| found.at_time).collect())
    }

    fn read(&mut self, topic: &str, spans: &[Span], visit: &mut Visit<'_>) -> Result<(), ScanError> {
        self.go_on()?;
        let mut open = Open::new(spans);
        if open.left == 0 {
            return Ok(());
        }
        let doing = |e: &KafkaError| port_error(&format!("cannot read {topic}"), e);
        self.assign(topic, spans).map_err(|e| doing(&e))?;
        let read = self.read_on(topic, &mut open, visit);
        self.leave(topic, spans).map_err(|e| doing(&e))?;
        read
    }
}

/// A message of librdkafka, lent.
struct Borrowed<'m, 'c>(&'m BorrowedMessage<'c>);

impl Seen for Borrowed<'_, '_> {
    fn partition(&self) -> i32 {
        self.0.partition()
    }

    fn offset(&self) -> RecordOffset {
        RecordOffset::new(self.0.offset())
    }

    fn timestamp_ms(&self) -> Option<i64> {
        self.0.timestamp().to_millis()
    }

    fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }

    fn value(&self) -> Option<&[u8]> {
        self.0.payload()
    }

    fn headers(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        let Some(headers) = self.0.headers() else { return };
        for index in 0..headers.count() {
            // The binding panics over a name that is not UTF-8, see `convert`.
            if let Ok(Some(header)) = catch_unwind(AssertUnwindSafe(|| headers.try_get(index))) {
                visit(header.key, header.value);
            }
        }
    }

    fn record(&self) -> Record {
        convert::record(self.0)
    }
}
