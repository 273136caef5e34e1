//! The topics that a tool reads must be there: checked in one place, and said in one set of words. A topic that is not there
//! looks like one without records, and a tool that reads nothing finds nothing wrong.

use super::exit::{self, Exit};
use super::reading::{Reading, kafka};
use crate::sync::scan::LogScan as _;

/// A topic that a tool reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needed {
    /// Every source topic.
    Sources,
    /// The changelog.
    Changelog,
    /// The dead letters.
    DeadLetters,
    /// The commands.
    Commands,
}

impl Reading {
    /// Ends, with what to do, where one of these topics is not there.
    pub(super) fn needs(&mut self, topics: &[Needed]) -> anyhow::Result<()> {
        for needed in topics {
            for topic in needed.names(self) {
                if self.scan.partitions(&topic).map_err(kafka)?.is_none() {
                    return Err(self.missing(*needed, &topic));
                }
            }
        }
        Ok(())
    }

    /// A topic is not there: why that may be, and what to do.
    pub(super) fn missing(&self, needed: Needed, topic: &str) -> anyhow::Error {
        let kafka = &self.config.kafka;
        let group = &kafka.group_id;
        let words = match needed {
            Needed::Sources => {
                format!("the source topic {topic} does not exist on this cluster: see kafka.topics and kafka.brokers")
            }
            Needed::Changelog => format!(
                "there is no changelog {topic}: no worker of group {group} has run on this cluster yet, or kafka.group_id or \
                 kafka.changelog_topic is another one, or its workers run without transactions (kafka.exactly_once = false): \
                 then what they hold is in their own stores alone (`order-sync store check`)"
            ),
            Needed::DeadLetters => format!(
                "the dead-letter topic {topic} does not exist: no worker of group {group} has run on this cluster, or \
                 kafka.group_id or kafka.dead_letter_topic is another one. `order-sync topics create` makes it"
            ),
            Needed::Commands => format!(
                "the commands topic {topic} does not exist: no worker of this release has run for group {group}, or \
                 kafka.group_id is another one. `order-sync topics create` makes it"
            ),
        };
        exit::fail(Exit::Kafka, anyhow::anyhow!(words))
    }
}

impl Needed {
    fn names(self, reading: &Reading) -> Vec<String> {
        let kafka = &reading.config.kafka;
        match self {
            Self::Sources => kafka.topics.clone(),
            Self::Changelog => vec![kafka.changelog_topic.clone()],
            Self::DeadLetters => vec![kafka.dead_letter_topic.clone()],
            Self::Commands => vec![kafka.commands_topic()],
        }
    }
}
