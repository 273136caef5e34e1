//! The changelog as a topic: whether it is there and fits the source, and when a missing one must not be made.

use std::time::Duration;

use super::changelog::Changelog;
use super::own_topics::{Looked, OwnTopic};
use super::spans::Fallen;
use super::topics::{Ensured, Topics, creation};
use crate::config;
use crate::sync::ports::PortError;
use crate::sync::retired;
use crate::telemetry::event;

/// How long tombstones of the changelog are kept, as we make it: a store that is older than half of that is rebuilt.
pub const TOMBSTONES_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

impl Topics {
    /// Sees to it that the changelog is there with exactly as many partitions as the widest source topic: partition n of
    /// a source topic has its states in partition n, and a source that has grown keys its orders elsewhere. One with more of
    /// them is right where a topic that was so wide is in the settings no more.
    /// `missing_is_a_loss` says, in words, why a missing one must not be made, where it must not.
    pub fn ensure_changelog(
        &self,
        config: &config::Kafka,
        missing_is_a_loss: impl FnOnce() -> Result<Option<String>, PortError>,
    ) -> Result<Ensured, PortError> {
        let (source, needed) = self.widest(config)?;
        let topic = &config.changelog_topic;
        let Some(there) = self.partition_count(topic)? else {
            if let Some(loss) = missing_is_a_loss()? {
                return Err(PortError::Fatal(lost(topic, &loss)));
            }
            if self.makes(config) {
                return self.create(config, OwnTopic::Changelog, needed);
            }
            return Err(self.missing(&format!("the changelog topic {topic}"), &changelog_command(config, needed)));
        };
        if there != needed && width_of_retired(config, needed, there)?.is_none() {
            let retired = if there > needed { UNEXPLAINED } else { "" };
            return Err(PortError::Fatal(format!(
                "the changelog topic {topic} has {there} partitions, but {source} has {needed}: an order's states are in the \
                 partition of its source's number. If {source} has grown, its orders are keyed to other partitions now, and \
                 going on would split them: set kafka.topics to a topic that was made with all its partitions, under a new \
                 group id, and let the merchant write there{retired}"
            )));
        }
        Ok(Ensured::Present(there))
    }

    /// How long a tombstone of the changelog is to be found there for certain: as long as the topic keeps it, and never more
    /// than as we make it. Where the brokers do not tell, it is taken for ours.
    pub fn tombstones_kept(&self, config: &config::Kafka) -> Result<Duration, PortError> {
        let lapses = match self.look(config, OwnTopic::Changelog)? {
            Looked::Seen { lapses, .. } => lapses,
            Looked::Unseen(reason) => {
                event::TombstonesAssumed { reason: &reason }.emit();
                return Ok(TOMBSTONES_KEPT);
            }
        };
        let kept = lapses.iter().find(|lapse| lapse.setting == "delete.retention.ms");
        // What is no number of milliseconds is nothing to go by.
        let kept = kept.map(|lapse| Duration::from_millis(lapse.is.parse().unwrap_or(0)));
        Ok(kept.unwrap_or(TOMBSTONES_KEPT).min(TOMBSTONES_KEPT))
    }
}

/// Beside that: why a changelog that is wider is not taken.
const UNEXPLAINED: &str = "; if a wider topic was taken out of kafka.topics, the changelog holds no position of it in the \
                           partitions that are too many: put it back; if somebody has given the changelog more partitions, \
                           stop every worker, delete it, and let `order-sync store rebase` write their stores into a new one";

/// The topic that explains why the changelog has `there` partitions where `needed` would do: it was as wide, and is in the
/// settings no more.
pub fn width_of_retired(config: &config::Kafka, needed: i32, there: i32) -> Result<Option<Box<str>>, PortError> {
    if there <= needed {
        return Ok(None);
    }
    retired::retired(&mut Changelog::connect(config)?, needed..there, &config.topics, &config.group_id)
}

/// The changelog is gone, in words; `known_by` says why there must have been one.
pub fn lost(topic: &str, known_by: &str) -> String {
    format!(
        "the changelog topic {topic} does not exist, but {known_by}: the states of its orders were there, or are in a store \
         that ran without kafka.exactly_once. Bring the topic back; or write a store into a new one with `order-sync store \
         rebase`; or begin anew with another group id and an empty store"
    )
}

/// The changelog is another than this worker has written to, in words.
pub(super) fn renewed(topic: &str, Fallen { partition, known, written }: Fallen) -> String {
    format!(
        "the changelog {topic}/{partition} reached to offset {known}, and what was written to it now lies at {written}: it was \
         deleted and created again, or has lost its end, under this worker, and the states of its orders with it. Nothing was \
         committed to what is there now, and this worker's store has what was committed before. Stop every worker and write \
         their stores into the changelog with `order-sync store rebase`: docs/upgrading.md has the steps"
    )
}

/// The command that creates the changelog as the worker itself would.
pub fn changelog_command(config: &config::Kafka, partitions: i32) -> String {
    creation(config, OwnTopic::Changelog, partitions)
}
