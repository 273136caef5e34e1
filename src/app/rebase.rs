//! Writes a store into the changelog: one that was filled without transactions, or one that is the best copy there is of a
//! changelog that was lost.
//!
//! A partition is done when its position stands in the changelog; whatever was cut off before that is begun again.

use crate::config::Config;
use crate::kafka::changelog::Changelog;
use crate::kafka::rebase::RebaseLog;
use crate::kafka::source::SourceTopics;
use crate::kafka::topics::Topics;
use crate::record::{NextOffset, RecordOffset, TopicPartition};
use crate::store::SledStore;
use crate::sync::changelog::{ChangelogKey, ChangelogRecord, Gathered};
use crate::sync::log_ports::ChangelogSource as _;
use crate::sync::owed;
use crate::sync::ports::{PortError, Position, SourceReader as _, StateReader as _};

/// Bytes of one transaction.
const STEP_BYTES: usize = 2 << 20;
/// The offset of a state that no record of the topic has made: every record of it is new.
const NO_OFFSET: i64 = -1;

/// What was written for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebased {
    /// The source partition.
    pub source: TopicPartition,
    /// Orders.
    pub orders: u64,
    /// Owed deliveries.
    pub owed: u64,
    /// Where it goes on.
    pub next: NextOffset,
    /// What was done about the source topic.
    pub note: &'static str,
}

/// Writes every partition of the store into the changelog, and makes the store a cache of it. `done` is told of each.
pub fn rebase(
    config: &Config,
    store: &SledStore,
    done: &mut dyn FnMut(&Rebased) -> Result<(), PortError>,
) -> Result<(), PortError> {
    let kafka = &config.kafka;
    let log = RebaseLog::connect(kafka, &store.store_id())?;
    let members = log.members()?;
    if members > 0 {
        return Err(PortError::Fatal(format!(
            "group {} has {members} members: stop every worker first, as a rebase moves offsets under them",
            kafka.group_id
        )));
    }
    let topics = Topics::connect(kafka)?;
    // The store is what a missing one is made from.
    topics.ensure_changelog(kafka, || Ok(None))?;
    let mut changelog = Changelog::connect(kafka)?;
    let mut records = SourceTopics::connect(kafka)?;
    for source in store.sources() {
        let Some(position) = store.position(&source)? else { continue };
        match there(&mut changelog, &source)? {
            None => done(&partition(&log, &mut records, store, &source, position)?)?,
            // What an earlier rebase has done.
            Some(there) if there.commit_number == position.commit_number => {}
            Some(there) => {
                return Err(PortError::Fatal(format!(
                    "the changelog {} holds {source} at offset {} already, and the store at {}: a rebase writes into a \
                     changelog that knows nothing of a partition. Which of them is right is for you to say: delete the \
                     topic, or move the store away",
                    kafka.changelog_topic, there.next, position.next
                )));
            }
        }
    }
    store.adopt_changelog(&kafka.changelog_topic)
}

/// The position that the changelog holds of a partition.
fn there(changelog: &mut Changelog, source: &TopicPartition) -> Result<Option<Position>, PortError> {
    let extent = changelog.extent(source.partition)?;
    let key = ChangelogKey::Position.encode(&source.topic);
    let mut found = Gathered::default();
    let mut visit = |record: &ChangelogRecord| {
        if record.key == key {
            found.take(&source.topic, record).map_err(|error| PortError::Fatal(error.to_string()))?;
        }
        Ok(())
    };
    let reached = changelog.read(source.partition, extent.low, &mut visit)?;
    if reached < extent.high {
        return Err(PortError::Passing("a transaction on the changelog is still open; try again in 10 s".to_owned()));
    }
    Ok(found.position)
}

/// Whether another record stands where the last one was that the store knows.
fn is_another(records: &mut SourceTopics, source: &TopicPartition, position: &Position) -> Result<bool, PortError> {
    let Some(last) = position.last else { return Ok(false) };
    let found = records.read(source, RecordOffset::new(last.offset))?;
    Ok(found.is_some_and(|record| last.is_contradicted_by(&record)))
}

fn partition(
    log: &RebaseLog,
    records: &mut SourceTopics,
    store: &SledStore,
    source: &TopicPartition,
    mut position: Position,
) -> Result<Rebased, PortError> {
    let (low, end) = log.extent(source)?;
    let is_new = position.next > end || is_another(records, source, &position)?;
    if is_new {
        position.next = low;
        position.partitions = None;
        position.last = None;
    }
    let note = if is_new {
        "the source topic is a new one: it is read from its beginning, and every record of it counts as new"
    } else {
        "goes on where it was"
    };
    let mut step = Step { log, source, records: Vec::new(), bytes: 0 };
    let mut rebased = Rebased { source: source.clone(), orders: 0, owed: 0, next: position.next, note };
    store.scan_states(source, &mut |identity, mut state| {
        if is_new {
            state.applied_offset = NO_OFFSET;
            if let Some(mark) = &mut state.dead_letter {
                mark.offset = owed::gone(mark.offset);
            }
        }
        let mut value = Vec::new();
        state.encode(&mut value);
        rebased.orders += 1;
        step.put(&ChangelogKey::State(identity), value)
    })?;
    let mut keys = Vec::new();
    store.scan_owed(source, &mut |key, _| keys.push(key))?;
    for key in keys {
        let Some(mut owed) = store.owed(source, &key)? else { continue };
        if is_new {
            owed.offset = owed::gone(owed.offset);
        }
        let mut value = Vec::new();
        owed.encode(&mut value);
        rebased.owed += 1;
        step.put(&ChangelogKey::Owed(key), value)?;
    }
    // Those of a topic that is gone, too: what was discarded stays so, and a letter of the new one at the same offset has
    // the last word on it.
    store.scan_letters(source, &mut |offset, status| {
        let value = status.encode().map_err(|error| PortError::Fatal(error.to_string()))?;
        step.put(&ChangelogKey::Letter(offset), value)
    })?;
    store.scan_commands(source, &mut |id, done| {
        let value = done.encode().map_err(|error| PortError::Fatal(error.to_string()))?;
        step.put(&ChangelogKey::Command(id), value)
    })?;
    // What was executed is known of no store for certain, as it may be behind: nothing is executed twice.
    position.commands = log.commands_end(source.partition)?;
    let value = position.encode().map_err(|error| PortError::Fatal(error.to_string()))?;
    step.records.push(ChangelogRecord { key: ChangelogKey::Position.encode(&source.topic), value: Some(value) });
    log.write(source, &step.records, Some(position.next))?;
    Ok(rebased)
}

/// Records that wait for their transaction.
struct Step<'a> {
    log: &'a RebaseLog,
    source: &'a TopicPartition,
    records: Vec<ChangelogRecord>,
    bytes: usize,
}

impl Step<'_> {
    fn put(&mut self, key: &ChangelogKey, value: Vec<u8>) -> Result<(), PortError> {
        self.bytes += value.len();
        self.records.push(ChangelogRecord { key: key.encode(&self.source.topic), value: Some(value) });
        if self.bytes < STEP_BYTES {
            return Ok(());
        }
        self.bytes = 0;
        self.log.write(self.source, &std::mem::take(&mut self.records), None)
    }
}
