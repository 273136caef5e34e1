//! The commands topic as a topic: whether it is there and fits the source. `commands.rs` reads it, the CLI writes it.

use super::own_topics::OwnTopic;
use super::topics::{Ensured, Topics, creation};
use crate::config;
use crate::sync::ports::PortError;

impl Topics {
    /// Sees to it that the commands topic is there with at least as many partitions as the widest source topic, as a
    /// command lies in the partition of its source's number. One that was lost after commands of it were executed is told
    /// by who reads it, too: positions know how far they were.
    pub fn ensure_commands(&self, config: &config::Kafka) -> Result<Ensured, PortError> {
        let (source, needed) = self.widest(config)?;
        let topic = config.commands_topic();
        match self.partition_count(&topic)? {
            Some(there) if there >= needed => Ok(Ensured::Present(there)),
            Some(there) => Err(PortError::Fatal(format!(
                "the commands topic {topic} has {there} partitions, but {source} has {needed}: a command lies in the \
                 partition of the same number. Add partitions: {}",
                widen_commands_command(config, needed)
            ))),
            None if self.makes(config) => self.create(config, OwnTopic::Commands, needed),
            None => Err(self.missing(&format!("the commands topic {topic}"), &create_commands_command(config, needed))),
        }
    }
}

/// The command that creates the commands topic as the worker itself would.
pub fn create_commands_command(config: &config::Kafka, partitions: i32) -> String {
    creation(config, OwnTopic::Commands, partitions)
}

/// The command that gives the commands topic as many partitions as it needs.
pub fn widen_commands_command(config: &config::Kafka, partitions: i32) -> String {
    super::topics::widening(config, &config.commands_topic(), partitions)
}
