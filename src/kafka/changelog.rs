//! Reads the changelog and the group's offsets, as a restore needs them. It joins no group and commits nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use super::chatter::Chatter;
use super::client;
use super::consumer::lookup;
use super::failure::{asking_error, describe, port_error};
use super::status::Status;
use super::transactions::PARTITIONS_NOTE;
use super::unjoined::Unjoined;
use super::wait::drain;
use crate::config::{self, StartFrom};
use crate::record::{NextOffset, TopicPartition};
use crate::sync::changelog::ChangelogRecord;
use crate::sync::log_ports::{ChangelogExtent, ChangelogSource, ReadTo};
use crate::sync::ports::PortError;

/// How long nothing may come while something must be there; other partitions wait as long. Brokers that mind a quota are silent
/// for some ten seconds, and a reading that is begun anew then pays for the same bytes again.
const SILENCE: Duration = Duration::from_secs(30);
/// How long at most where even that was too short for a single fetch: some 256 KiB at 2 kB/s.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// How long is read in one go: so long a worker that ends waits for it.
const AT_ONCE: Duration = Duration::from_secs(1);
/// One look at the reader's queue.
const LOOK: Duration = Duration::from_millis(100);

/// The changelog topic.
pub struct Changelog {
    topic: String,
    /// Sees what is committed, and offsets that no transaction is about to change.
    committed: Unjoined,
    /// Sees everything that was written, and the last offset that was committed, whatever a transaction is about to do.
    uncommitted: Unjoined,
    /// How long nothing may come, by what has come before.
    silence: Duration,
    /// What was read last, where there is more of it: it stays assigned.
    reading: Option<Reading>,
}

/// A partition that is read from, up to an end.
struct Reading {
    partition: i32,
    began_at: NextOffset,
    at: NextOffset,
    /// Its last stable offset when it was begun.
    end: NextOffset,
    /// When something came last.
    heard: Instant,
}

/// What the group's committed offsets tell of the source topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupOffsets {
    /// There is one.
    pub any: bool,
    /// How many partitions a topic had when an offset of it was committed, where that was noted.
    pub noted: Vec<(String, i32)>,
}

impl Changelog {
    /// Makes the readers; talks to nobody yet.
    pub fn connect(config: &config::Kafka) -> Result<Self, PortError> {
        let open = |isolation: &str| -> Result<Unjoined, PortError> {
            client::reader(config)?
                .set("isolation.level", isolation)
                // A restore reads one partition as fast as it can.
                .set("queued.max.messages.kbytes", "8192")
                .create_with_context(Chatter::new(config, Status::new()))
                .map_err(|e| port_error("cannot make a reader of the changelog", &e))
        };
        Ok(Self {
            topic: config.changelog_topic.clone(),
            committed: open("read_committed")?,
            uncommitted: open("read_uncommitted")?,
            silence: SILENCE,
            reading: None,
        })
    }

    /// What the group's offsets of these topics tell. Where one is not told, nothing is: a partition that this user may not ask
    /// about need not be one without an offset. An open transaction changes nothing of it, and in a group at work one always is.
    pub fn group_offsets(&self, topics: &BTreeMap<String, Option<i32>>) -> Result<GroupOffsets, PortError> {
        let mut list = TopicPartitionList::new();
        for (topic, count) in topics {
            list.add_partition_range(topic, 0, count.unwrap_or(1) - 1);
        }
        let found = lookup::committed_of_each(&self.uncommitted, &list)
            .map_err(|e| port_error("cannot learn the group's offsets", &e))?;
        let mut offsets = GroupOffsets::default();
        for element in found.elements() {
            element.error().map_err(|e| {
                let place = TopicPartition::new(element.topic(), element.partition());
                port_error(&format!("cannot learn the group's offset of {place}"), &e)
            })?;
            if !matches!(element.offset(), Offset::Offset(_)) {
                continue;
            }
            offsets.any = true;
            if let Some(partitions) = element.metadata().strip_prefix(PARTITIONS_NOTE).and_then(|n| n.parse().ok()) {
                offsets.noted.push((element.topic().to_owned(), partitions));
            }
        }
        Ok(offsets)
    }

    fn place(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(self.topic.as_str(), partition)
    }

    fn assign(&self, partition: i32, from: NextOffset) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, Offset::Offset(from.get()))?;
        self.committed.unassign()?;
        self.committed.assign(&list)
    }

    /// `None` where nothing is to be read from there on.
    fn begin(&self, partition: i32, from: NextOffset) -> Result<Option<Reading>, PortError> {
        let place = self.place(partition);
        let doing = |e: &KafkaError| asking_error(&format!("cannot read {place}"), e);
        // The last stable offset: an open transaction holds it back, and markers do not.
        let ends = lookup::ends(&self.committed, std::slice::from_ref(&place)).map_err(|e| doing(&e))?;
        let Some(end) = ends.get(&place).copied() else {
            return Err(PortError::Passing(format!("{place}: no answer")));
        };
        if end <= from {
            return Ok(None);
        }
        self.assign(partition, from).map_err(|e| doing(&e))?;
        Ok(Some(Reading { partition, began_at: from, at: from, end, heard: Instant::now() }))
    }

    /// Reads until the end has been passed: by a record, or by librdkafka's word that nothing is left before the last
    /// stable offset, which was `end` or more when it was asked; until nothing has come for a while; or for a moment.
    fn read_on(
        &self,
        reading: &mut Reading,
        visit: &mut dyn FnMut(&ChangelogRecord) -> Result<(), PortError>,
    ) -> Result<ReadTo, PortError> {
        let (began, mut last) = (Instant::now(), None);
        while reading.at < reading.end {
            match self.committed.poll(LOOK) {
                Some(Ok(message)) => {
                    let (key, value) = (message.key().unwrap_or_default().to_vec(), message.payload().map(Vec::from));
                    reading.at = NextOffset::new(message.offset() + 1);
                    drop(message);
                    visit(&ChangelogRecord { key, value })?;
                    reading.heard = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(ReadTo::End(reading.end)),
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                        let at = reading.at;
                        let words =
                            format!("{} no longer has offset {at}; asking again how far it reaches", self.topic);
                        return Err(PortError::Passing(words));
                    }
                    _ => last = Some(describe(&error)),
                },
                None => {}
            }
            if reading.heard.elapsed() > self.silence {
                let why = last.unwrap_or_else(|| "no answer".to_owned());
                let words = format!("cannot read {} at offset {}: {why}", self.topic, reading.at);
                // What has come counts: behind a way with a quota it is never all that comes without a pause.
                return if reading.at > reading.began_at {
                    Ok(ReadTo::Pause(reading.at, words))
                } else {
                    Err(PortError::Passing(words))
                };
            }
            if began.elapsed() > AT_ONCE {
                return Ok(ReadTo::Part(reading.at));
            }
        }
        Ok(ReadTo::End(reading.at))
    }
}

impl ChangelogSource for Changelog {
    /// librdkafka asks for stable offsets because this client reads committed records only: an offset that a transaction
    /// is about to change is not told, and asked for again until the time is up.
    fn committed(&mut self, source: &TopicPartition) -> Result<Option<NextOffset>, PortError> {
        let doing = || format!("cannot learn the group's offset of {source}");
        if self.reading.is_none() {
            drain(&self.committed);
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(&source.topic, source.partition);
        let found = lookup::committed(&self.committed, &list).map_err(|e| port_error(&doing(), &e))?;
        let Some(element) = found.elements().into_iter().next() else {
            return Err(PortError::Passing(format!("{}: no answer", doing())));
        };
        element.error().map_err(|e| port_error(&doing(), &e))?;
        Ok(if let Offset::Offset(next) = element.offset() { Some(NextOffset::new(next)) } else { None })
    }

    fn extent(&mut self, partition: i32) -> Result<ChangelogExtent, PortError> {
        drain(&self.uncommitted);
        let place = self.place(partition);
        let extents = lookup::extents(&self.uncommitted, std::slice::from_ref(&place), StartFrom::Earliest)
            .map_err(|e| asking_error(&format!("cannot ask how far {place} reaches"), &e))?;
        match extents.get(&place) {
            Some(extent) => {
                Ok(ChangelogExtent { low: NextOffset::new(extent.low), high: NextOffset::new(extent.high) })
            }
            None => Err(PortError::Passing(format!("{place}: no answer"))),
        }
    }

    fn read(
        &mut self,
        partition: i32,
        from: NextOffset,
        visit: &mut dyn FnMut(&ChangelogRecord) -> Result<(), PortError>,
    ) -> Result<ReadTo, PortError> {
        if self.reading.as_ref().is_some_and(|reading| (reading.partition, reading.at) != (partition, from)) {
            self.rest();
        }
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => match self.begin(partition, from)? {
                Some(reading) => reading,
                None => return Ok(ReadTo::End(from)),
            },
        };
        let read = self.read_on(&mut reading, visit);
        if let Ok(ReadTo::Part(_)) = read {
            self.reading = Some(reading);
            return read;
        }
        self.committed.unassign().map_err(|e| asking_error(&format!("cannot read {}", self.place(partition)), &e))?;
        self.silence = if read.is_ok() { SILENCE } else { (self.silence * 2).min(SILENCE_MAX) };
        read
    }

    fn rest(&mut self) {
        if self.reading.take().is_some() {
            // Whatever stays assigned is put right by the next reading, which begins with this, too.
            self.committed.unassign().unwrap_or(());
        }
        drain(&self.committed);
        drain(&self.uncommitted);
    }
}

#[cfg(test)]
#[path = "changelog_tests.rs"]
mod tests;
