//! The changelog as a topic: whether it is there and fits the source, and when a missing one must not be made.

use std::time::Duration;

use rdkafka::admin::ResourceSpecifier;

use super::failure::port_error;
use super::topics::{Ensured, ROOM, Topics, creation, options};
use super::wait::block_on;
use crate::config;
use crate::sync::ports::PortError;

/// Tombstones stay for a week: a store that is older than half of that is rebuilt.
const SETTINGS: &[(&str, &str)] =
    &[("max.message.bytes", ROOM), ("cleanup.policy", "compact"), ("delete.retention.ms", "604800000")];
/// How long tombstones of the changelog are kept, as we make it.
pub const TOMBSTONES_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

impl Topics {
    /// Sees to it that the changelog is there with exactly as many partitions as the widest source topic: partition n of
    /// a source topic has its states in partition n, and a source that has grown keys its orders elsewhere.
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
                return Err(PortError::Fatal(format!(
                    "the changelog topic {topic} does not exist, but {loss}: the states of its orders were there, or are in \
                     a store that ran without kafka.exactly_once. Bring the topic back; or write a store into a new one with \
                     `order-sync store rebase`; or begin anew with another group id and an empty store"
                )));
            }
            if self.makes(config) {
                return self.create(topic, needed, SETTINGS);
            }
            return Err(self.missing(&format!("the changelog topic {topic}"), &changelog_command(config, needed)));
        };
        if there != needed {
            return Err(PortError::Fatal(format!(
                "the changelog topic {topic} has {there} partitions, but {source} has {needed}: an order's states are in the \
                 partition of its source's number. If {source} has grown, its orders are keyed to other partitions now, and \
                 going on would split them: set kafka.topics to a topic that was made with all its partitions, under a new \
                 group id, and let the merchant write there"
            )));
        }
        self.check_cleanup(topic)?;
        Ok(Ensured::Present(there))
    }

    /// A changelog that is deleted by time instead of compacted loses the states of quiet orders.
    fn check_cleanup(&self, topic: &str) -> Result<(), PortError> {
        let doing = format!("cannot read the settings of {topic}");
        let (admin, asked) = (self.admin()?, [ResourceSpecifier::Topic(topic)]);
        let answers = block_on(admin.describe_configs(&asked, &options())).map_err(|e| port_error(&doing, &e))?;
        for answer in answers {
            // A user who may not describe is not stopped for that.
            let Ok(resource) = answer else { continue };
            let policy = resource.get("cleanup.policy").and_then(|entry| entry.value.as_deref()).unwrap_or("compact");
            if policy != "compact" {
                return Err(PortError::Fatal(format!(
                    "the changelog topic {topic} has cleanup.policy={policy}, but must have cleanup.policy=compact: else \
                     Kafka deletes the states of orders that are quiet for a while. Set it with kafka-configs.sh"
                )));
            }
        }
        Ok(())
    }
}

/// The command that creates the changelog as the worker itself would.
pub fn changelog_command(config: &config::Kafka, partitions: i32) -> String {
    creation(config, &config.changelog_topic, partitions, SETTINGS)
}
