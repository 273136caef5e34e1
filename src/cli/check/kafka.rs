//! Reaches Kafka: are the source topics there, do the worker's own fit, may it commit by transactions? It creates no topic
//! and joins no group.

use super::report::Report;
use crate::cli::exit::Exit;
use crate::config::{Config, Kafka};
use crate::kafka::changelog_topic::{changelog_command, width_of_retired};
use crate::kafka::commands_topic;
use crate::kafka::own_topics::{Looked, OwnTopic};
use crate::kafka::topic_settings::SourceLooked;
use crate::kafka::topics::{self, Topics};
use crate::kafka::{transaction_rights, write_rights};
use crate::store::SledStore;
use crate::sync::ports::PortError;

/// Of a topic that is missing: for a group that has been at work, it was lost.
const MADE_ONCE: &str = "`run` creates it for a group without offsets (`order-sync topics check` asks which this is)";

pub(super) fn check(config: &Config, store: Option<SledStore>, report: &mut Report<'_>) -> anyhow::Result<()> {
    let kafka = &config.kafka;
    let asked = match Topics::connect(kafka) {
        Ok(asked) => asked,
        Err(error) => return unreachable(kafka, &error, report),
    };
    match asked.known_cluster_id(kafka) {
        Ok(cluster_id) => super::store::check_home(store, cluster_id.as_deref(), report)?,
        Err(error) => return unreachable(kafka, &error, report),
    }
    let mut widest = 0;
    for topic in &kafka.topics {
        match asked.partition_count(topic) {
            Ok(Some(partitions)) => {
                report.ok("kafka", format!("source topic {topic} has {partitions} partitions"))?;
                if let Ok(SourceLooked::Warned(words)) = asked.look_at_source(kafka, topic) {
                    report.warn("kafka", format!("source topic {topic}: {words}"))?;
                }
                widest = widest.max(partitions);
            }
            Ok(None) => {
                let message = format!(
                    "source topic {topic} does not exist, or this user may not see it; create it, or correct \
                     kafka.topics (`run` waits for it)"
                );
                report.fault("kafka", message, Exit::Kafka)?;
            }
            // Where one question goes unanswered, the next ones will.
            Err(error) => return unreachable(kafka, &error, report),
        }
    }
    if kafka.exactly_once {
        transactions(kafka, report)?;
        match asked.partition_count(&kafka.changelog_topic) {
            Ok(there) => changelog(kafka, there, widest, report)?,
            Err(error) => return unreachable(kafka, &error, report),
        }
        match asked.partition_count(&kafka.commands_topic()) {
            Ok(there) => commands(kafka, there, widest, report)?,
            Err(error) => return unreachable(kafka, &error, report),
        }
    }
    if config.douyin.share_tokens {
        match asked.partition_count(&kafka.token_topic()) {
            Ok(there) => tokens(kafka, there, report)?,
            Err(error) => return unreachable(kafka, &error, report),
        }
    }
    match asked.partition_count(&kafka.dead_letter_topic) {
        Ok(there) => dead_letters(kafka, there, widest, report)?,
        Err(error) => return unreachable(kafka, &error, report),
    }
    let there = |topic: &str| asked.partition_count(topic).is_ok_and(|there| there.is_some());
    let with_transactions = kafka.exactly_once.then_some([OwnTopic::Changelog, OwnTopic::Commands]);
    let tokens = config.douyin.share_tokens.then_some(OwnTopic::Tokens);
    for own in with_transactions.into_iter().flatten().chain([OwnTopic::DeadLetters]).chain(tokens) {
        if there(&own.name(kafka)) {
            settings(&asked, kafka, own, report)?;
        }
    }
    if kafka.exactly_once {
        brokers(&asked, kafka, report)?;
    }
    if kafka.exactly_once && there(&kafka.changelog_topic) && there(&kafka.dead_letter_topic) {
        write_rights(kafka, report)?;
    }
    Ok(())
}

/// The settings of a topic that is there; that they fit need not be said.
fn settings(asked: &Topics, kafka: &Kafka, own: OwnTopic, report: &mut Report<'_>) -> anyhow::Result<()> {
    match asked.look(kafka, own) {
        Ok(Looked::Seen { lapses, faults, .. }) => {
            for words in faults {
                report.fault("kafka", format!("topic {}: {words}", own.name(kafka)), Exit::Kafka)?;
            }
            for lapse in lapses {
                report.fault("kafka", format!("topic {}: {}", lapse.topic, lapse.words()), Exit::Kafka)?;
            }
            Ok(())
        }
        Ok(Looked::Unseen(words)) => report.warn("kafka", words),
        Err(error) => report.fault("kafka", error.to_string(), Exit::Kafka),
    }
}

/// What the brokers keep transactions in.
fn brokers(asked: &Topics, kafka: &Kafka, report: &mut Report<'_>) -> anyhow::Result<()> {
    let faults = match asked.look_at_brokers(kafka) {
        Ok(faults) => faults,
        Err(error) => return report.fault("kafka", error.to_string(), Exit::Kafka),
    };
    for (topic, words) in faults {
        report.fault("kafka", format!("topic {topic} of the brokers: {words}"), Exit::Kafka)?;
    }
    Ok(())
}

/// Of topics that are there; asking leaves no record in them.
fn write_rights(kafka: &Kafka, report: &mut Report<'_>) -> anyhow::Result<()> {
    match write_rights::ask(kafka, &check_id(kafka)) {
        Ok(()) => report.ok("kafka", "changelog and dead letters may be written"),
        Err(error) => report.fault("kafka", error.to_string(), Exit::Kafka),
    }
}

/// An id of its own: that of the worker may have a transaction open.
fn check_id(kafka: &Kafka) -> String {
    format!("{}.check", kafka.group_id)
}

fn transactions(kafka: &Kafka, report: &mut Report<'_>) -> anyhow::Result<()> {
    match transaction_rights::ask(kafka, &check_id(kafka)) {
        Ok(()) => report.ok("kafka", "transactions may be committed"),
        Err(error) => report.fault("kafka", error.to_string(), Exit::Kafka),
    }
}

fn tokens(kafka: &Kafka, there: Option<i32>, report: &mut Report<'_>) -> anyhow::Result<()> {
    let topic = kafka.token_topic();
    match there {
        Some(_) => report.ok("kafka", format!("token topic {topic} is there")),
        None if kafka.create_topics => {
            report.ok("kafka", format!("token topic {topic} does not exist yet; `run` creates it"))
        }
        None => {
            let command = topics::create_tokens_command(kafka);
            let message =
                format!("token topic {topic} does not exist and kafka.create_topics is false. Create it: {command}");
            report.fault("kafka", message, Exit::Kafka)
        }
    }
}

fn changelog(kafka: &Kafka, there: Option<i32>, widest: i32, report: &mut Report<'_>) -> anyhow::Result<()> {
    let topic = &kafka.changelog_topic;
    match there {
        Some(partitions) if partitions == widest => {
            report.ok("kafka", format!("changelog topic {topic} has {partitions} partitions"))
        }
        Some(partitions) => {
            match width_of_retired(kafka, widest, partitions) {
                Ok(None) => {}
                Ok(Some(retired)) => {
                    let message = format!(
                        "changelog topic {topic} has {partitions} partitions, as {retired} had, which is read no more"
                    );
                    return report.ok("kafka", message);
                }
                Err(error) => return report.fault("kafka", error.to_string(), Exit::Kafka),
            }
            let message = format!(
                "changelog topic {topic} has {partitions} partitions, the widest source topic {widest}; an order's states \
                 are in the partition of its source's number: a source topic that has grown cannot be gone on with"
            );
            report.fault("kafka", message, Exit::Kafka)
        }
        None if kafka.create_topics => {
            report.ok("kafka", format!("changelog topic {topic} does not exist yet; {MADE_ONCE}"))
        }
        None => {
            let message = format!(
                "changelog topic {topic} does not exist, and kafka.create_topics is false. Create it: {}",
                changelog_command(kafka, widest)
            );
            report.fault("kafka", message, Exit::Kafka)
        }
    }
}

fn commands(kafka: &Kafka, there: Option<i32>, widest: i32, report: &mut Report<'_>) -> anyhow::Result<()> {
    let topic = kafka.commands_topic();
    match there {
        Some(partitions) if partitions >= widest => {
            report.ok("kafka", format!("commands topic {topic} has {partitions} partitions"))
        }
        Some(partitions) => {
            let message = format!(
                "commands topic {topic} has {partitions} partitions, the widest source topic {widest}; a command lies in \
                 the partition of the same number. Add partitions: {}",
                commands_topic::widen_commands_command(kafka, widest)
            );
            report.fault("kafka", message, Exit::Kafka)
        }
        None if kafka.create_topics => {
            report.ok("kafka", format!("commands topic {topic} does not exist yet; {MADE_ONCE}"))
        }
        None => {
            let command = commands_topic::create_commands_command(kafka, widest.max(1));
            let message =
                format!("commands topic {topic} does not exist and kafka.create_topics is false. Create it: {command}");
            report.fault("kafka", message, Exit::Kafka)
        }
    }
}

fn dead_letters(kafka: &Kafka, there: Option<i32>, widest: i32, report: &mut Report<'_>) -> anyhow::Result<()> {
    let topic = &kafka.dead_letter_topic;
    match there {
        Some(partitions) if partitions >= widest => {
            report.ok("kafka", format!("dead-letter topic {topic} has {partitions} partitions"))
        }
        Some(partitions) => {
            let message = format!(
                "dead-letter topic {topic} has {partitions} partitions, the widest source topic {widest}; a dead letter \
                 goes to the partition of the same number. Add partitions: {}",
                topics::widen_command(kafka, widest)
            );
            report.fault("kafka", message, Exit::Kafka)
        }
        None if kafka.create_topics => {
            report.ok("kafka", format!("dead-letter topic {topic} does not exist yet; {MADE_ONCE}"))
        }
        None => {
            let missing = format!("dead-letter topic {topic} does not exist and kafka.create_topics is false");
            let message = if widest > 0 {
                format!("{missing}. Create it: {}", topics::create_command(kafka, widest))
            } else {
                // Nobody knows yet how wide it must be.
                format!("{missing}; create the source topics first, and check again for the command")
            };
            report.fault("kafka", message, Exit::Kafka)
        }
    }
}

fn unreachable(kafka: &Kafka, error: &PortError, report: &mut Report<'_>) -> anyhow::Result<()> {
    let hint = match error {
        PortError::Passing(_) => format!(
            "see that kafka.brokers ({}) is right and reachable from here, and security.protocol, sasl.* and ssl.* in \
             kafka.properties (`run` waits for it)",
            kafka.brokers
        ),
        PortError::Fatal(_) | PortError::Damaged(_) | PortError::Refused(..) => {
            "see security.protocol, sasl.* and ssl.* in kafka.properties, and the user's rights".to_owned()
        }
    };
    report.fault("kafka", format!("{error}; {hint}"), Exit::Kafka)
}
