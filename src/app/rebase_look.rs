//! What is looked at before anything is written into a changelog by hand.

use std::collections::BTreeMap;

use super::skip_lost::Lost;
use crate::config;
use crate::kafka::changelog::Changelog;
use crate::kafka::rebase::RebaseLog;
use crate::kafka::source::SourceTopics;
use crate::kafka::topics::Topics;
use crate::record::{NextOffset, RecordOffset, TopicPartition};
use crate::sync::changelog::{ChangelogKey, ChangelogRecord, Gathered};
use crate::sync::log_ports::ChangelogSource as _;
use crate::sync::ports::{PortError, Position, SourceReader as _};
use crate::sync::position;
use crate::sync::restore_words::check_group;

/// Offsets are moved under whoever is in the group.
pub(super) fn refuse_members(
    log: &RebaseLog,
    kafka: &config::Kafka,
    counts: &BTreeMap<String, Option<i32>>,
) -> Result<(), PortError> {
    let has = match log.members()? {
        0 if !log.has_members(&partitions(counts))? => return Ok(()),
        0 => "members, of which the brokers tell no number (group.protocol=consumer)".to_owned(),
        members => format!("{members} members"),
    };
    Err(PortError::Fatal(format!(
        "group {} has {has}: stop every worker first, as offsets are moved under them",
        kafka.group_id
    )))
}

/// The partitions of topics that have so many.
pub(super) fn partitions(counts: &BTreeMap<String, Option<i32>>) -> Vec<TopicPartition> {
    let all = counts.iter().flat_map(|(topic, count)| {
        (0..count.unwrap_or_default()).map(|partition| TopicPartition::new(topic.as_str(), partition))
    });
    all.collect()
}

/// The position that the changelog holds of a partition; one of another group is refused.
pub(super) fn there(
    changelog: &mut Changelog,
    kafka: &config::Kafka,
    source: &TopicPartition,
) -> Result<Option<Position>, PortError> {
    let key = ChangelogKey::Position.encode(&source.topic);
    let mut found = Gathered::default();
    read_whole(changelog, source.partition, &mut |record| {
        if record.key == key {
            found.take(&source.topic, record).map_err(|error| PortError::Fatal(error.to_string()))?;
        }
        Ok(())
    })?;
    if let Some(position) = &found.position {
        check_group(&kafka.changelog_topic, source, position, &kafka.group_id)?;
    }
    Ok(found.position)
}

/// Every position that a partition of the changelog holds, whatever its topic; one of another group is refused.
pub(super) fn all_there(
    changelog: &mut Changelog,
    kafka: &config::Kafka,
    partition: i32,
) -> Result<Vec<(TopicPartition, Position)>, PortError> {
    let mut found: BTreeMap<Box<str>, Gathered> = BTreeMap::new();
    read_whole(changelog, partition, &mut |record| {
        let topic = ChangelogKey::topic_of(&record.key).map_err(|error| PortError::Fatal(error.to_string()))?;
        if record.key == ChangelogKey::Position.encode(&topic) {
            let of_topic = found.entry(topic.clone()).or_default();
            of_topic.take(&topic, record).map_err(|error| PortError::Fatal(error.to_string()))?;
        }
        Ok(())
    })?;
    let mut positions = Vec::new();
    for (topic, gathered) in found {
        let Some(position) = gathered.position else { continue };
        let source = TopicPartition::new(topic, partition);
        check_group(&kafka.changelog_topic, &source, &position, &kafka.group_id)?;
        positions.push((source, position));
    }
    Ok(positions)
}

/// Visits everything that a partition of the changelog holds; an error while a transaction may still change that.
fn read_whole(
    changelog: &mut Changelog,
    partition: i32,
    visit: &mut dyn FnMut(&ChangelogRecord) -> Result<(), PortError>,
) -> Result<(), PortError> {
    let extent = changelog.extent(partition)?;
    if changelog.read_through(partition, extent.low, visit)? < extent.high {
        return Err(PortError::Passing("a transaction on the changelog is still open; try again in 10 s".to_owned()));
    }
    Ok(())
}

/// What is asked about source topics.
pub(super) struct Look<'a> {
    pub(super) log: &'a RebaseLog,
    pub(super) records: SourceTopics,
    pub(super) topics: &'a Topics,
    pub(super) kafka: &'a config::Kafka,
    /// How many partitions each has now.
    pub(super) counts: BTreeMap<String, Option<i32>>,
}

impl Look<'_> {
    /// The oldest offset of a topic that is another one than that of the position: it ends before it, or has another record
    /// where the last one was. Its orders must be keyed to the same partitions.
    pub(super) fn begin_of_a_new_topic(
        &mut self,
        source: &TopicPartition,
        position: &Position,
    ) -> Result<Option<NextOffset>, PortError> {
        if let (Some(had), Some(has)) = (position.partitions, self.counts.get(&*source.topic).copied().flatten())
            && had != has
        {
            return Err(PortError::Fatal(position::grown(&source.topic, had, has)));
        }
        let (low, end) = self.log.extent(source)?;
        if position.next > end {
            return Ok(Some(low));
        }
        let Some(last) = position.last else { return Ok(None) };
        // Between the last record and the position there was none.
        let one_more = |records: &mut SourceTopics| {
            let behind = NextOffset::new(last.offset + 1);
            Ok::<_, PortError>(behind < position.next && records.has_record(source, behind, position.next)?)
        };
        let is_another = match self.records.read(source, RecordOffset::new(last.offset))? {
            Some(record) => last.is_contradicted_by(&record) || one_more(&mut self.records)?,
            // Retention or compaction may have taken it; else a marker of a transaction stands there.
            None => last.offset >= low.get() && !self.is_compacted(&source.topic)?,
        };
        Ok(is_another.then_some(low))
    }

    fn is_compacted(&self, topic: &str) -> Result<bool, PortError> {
        Ok(self.topics.look_at_source(self.kafka, topic)?.is_compacted())
    }

    /// What retention has taken between a position and the oldest record that is there.
    pub(super) fn lost(&self, source: &TopicPartition, position: &Position) -> Result<Option<Lost>, PortError> {
        let (low, _) = self.log.extent(source)?;
        Ok(Lost::between(source, position, low))
    }
}
