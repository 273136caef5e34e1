//! A topic's settings as the brokers tell them: the values in force, whether the topic sets them or inherits them. What must be
//! so for the worker's own is in `own_topics.rs`; of a source topic, which is the merchant's, one that loses events is told.

use std::time::Duration;

use rdkafka::admin::{ConfigResource, ConfigSource, ResourceSpecifier};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::failure::port_error;
use super::topics::{Topics, options, tool};
use super::wait::block_on;
use crate::config;
use crate::sync::ports::PortError;

/// The demo's broker does not answer this question at all, and is never asked with transactions.
const UNANSWERED: Duration = Duration::from_secs(1);

/// A value in force.
pub(super) struct Value {
    pub(super) text: String,
    /// Where it comes from, in words; empty where the topic sets it.
    pub(super) from: &'static str,
}

/// All of one topic.
pub(super) struct Settings(ConfigResource);

impl Settings {
    /// `None` where the brokers do not know it.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        let entry = self.0.get(name)?;
        Some(Value { text: entry.value.clone()?, from: origin(&entry.source) })
    }
}

/// Where a value comes from, in words, where that is not the topic.
fn origin(source: &ConfigSource) -> &'static str {
    match source {
        ConfigSource::DynamicTopic | ConfigSource::Unknown => "",
        ConfigSource::DynamicBroker
        | ConfigSource::DynamicDefaultBroker
        | ConfigSource::StaticBroker
        | ConfigSource::Default => " (the brokers' default: the topic sets none)",
    }
}

/// The command that sets one.
pub(super) fn set_command(config: &config::Kafka, topic: &str, setting: &str, value: &str) -> String {
    let what = format!("--alter --entity-type topics --entity-name {topic} --add-config {setting}={value}");
    tool(config, "kafka-configs.sh", &what)
}

/// What the settings of a source topic come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceLooked {
    /// Nothing has to be said.
    Fits,
    /// Events may be missing one day: which, and what to do, in words.
    Warned(String),
    /// They cannot be looked at: why, in words. What a worker does needs no right to.
    Unseen(String),
}

impl SourceLooked {
    /// Whether Kafka compacts the topic, as far as is known: that is all that is warned of.
    pub fn is_compacted(&self) -> bool {
        matches!(self, Self::Warned(_))
    }
}

impl Topics {
    /// Looks at the settings of a source topic that is there.
    pub fn look_at_source(&self, config: &config::Kafka, topic: &str) -> Result<SourceLooked, PortError> {
        let settings = match self.settings(config, topic)? {
            Ok(settings) => settings,
            Err(unseen) => return Ok(SourceLooked::Unseen(unseen)),
        };
        let policy = settings.value("cleanup.policy").filter(|value| is_compacted(&value.text));
        Ok(policy.map_or(SourceLooked::Fits, |Value { text, from }| {
            let command = set_command(config, topic, "cleanup.policy", "delete");
            SourceLooked::Warned(format!(
                "cleanup.policy is {text}{from}, but should be delete: of the events under one key Kafka keeps the last one only, \
                 and that says no more than what has changed. A worker that has not read the others by then, and all that folds \
                 the topic again (`replay`, `verify`, a store without transactions that is lost), lacks them: states are never \
                 pushed, and documents incomplete. Set it, with a retention.ms that covers the longest standstill: {command}"
            ))
        }))
    }

    /// The settings of a topic that is there; or why they cannot be looked at, in words.
    pub(super) fn settings(&self, config: &config::Kafka, topic: &str) -> Result<Result<Settings, String>, PortError> {
        let doing = format!("cannot read the settings of {topic}");
        let asked = [ResourceSpecifier::Topic(topic)];
        let unseen = |why: &str| Ok(Err(format!("{doing}: {why}")));
        let options = if config.exactly_once { options() } else { options().request_timeout(Some(UNANSWERED)) };
        let answers = match block_on(self.admin()?.describe_configs(&asked, &options)) {
            Ok(answers) => answers,
            Err(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut)) if !config.exactly_once => {
                return unseen("these brokers do not answer; start again where they should");
            }
            Err(KafkaError::AdminOp(RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::UnsupportedVersion)) => {
                return unseen("these brokers do not tell them");
            }
            Err(error) => return Err(port_error(&doing, &error)),
        };
        // What is wrong with one topic is not handed on by the binding: its answer is empty then.
        let Some(found) = answers.into_iter().flatten().find(|found| !found.entries.is_empty()) else {
            return unseen("the brokers tell none; this user needs the operation DescribeConfigs on it");
        };
        Ok(Ok(Settings(found)))
    }
}

/// A policy is a list, and the brokers take blanks in it.
fn is_compacted(policy: &str) -> bool {
    policy.split(',').any(|part| part.trim() == "compact")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_compacts_is_seen_in_every_spelling() {
        for (policy, expected) in
            [("compact", true), ("compact,delete", true), ("delete, compact", true), ("delete", false), ("", false)]
        {
            assert_eq!(is_compacted(policy), expected, "{policy:?}");
        }
    }
}
