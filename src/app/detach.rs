//! The way back from transactions: makes a store that is a cache of the changelog the only copy, with all that the changelog
//! has, stamps that commands have moved among it.
//!
//! The store stays a cache until it has everything, and says so meanwhile even where it holds no position: one that was cut off
//! is begun again.

use std::collections::BTreeMap;

use super::rebase_look;
use super::worker::wall_ms;
use crate::config::{self, Config};
use crate::kafka::changelog::Changelog;
use crate::kafka::rebase::RebaseLog;
use crate::kafka::topics::Topics;
use crate::record::{NextOffset, TopicPartition};
use crate::store::SledStore;
use crate::sync::log_ports::ChangelogSource as _;
use crate::sync::ports::{By, PortError, Position};
use crate::sync::refill;
use crate::sync::restore_words::difference;

/// A partition that the store has all of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The source partition.
    pub source: TopicPartition,
    /// Where it goes on.
    pub next: NextOffset,
    /// Deliveries that it owes.
    pub owed: usize,
}

/// Reads everything that the changelog has into the store, and makes that the only copy. Looks at all partitions before the first
/// one is read. No worker of the group may run, and the store says already that it is being detached.
pub fn detach(
    config: &Config,
    store: &SledStore,
    tell: &mut dyn FnMut(Taken) -> Result<(), PortError>,
) -> Result<(), PortError> {
    let kafka = &config.kafka;
    let topics = Topics::connect(kafka)?;
    let counts = topics.sources(kafka)?;
    rebase_look::refuse_members(&RebaseLog::connect(kafka, &store.store_id())?, kafka, &counts)?;
    let Some(width) = topics.partition_count(&kafka.changelog_topic)? else {
        let words = format!(
            "the changelog {} does not exist: what was committed with transactions is in it alone. Set kafka.changelog_topic to \
             the name that it had",
            kafka.changelog_topic
        );
        return Err(PortError::Refused(By::Kafka, words));
    };
    let mut changelog = Changelog::connect(kafka)?;
    let found = found(&mut changelog, width, kafka, &counts)?;
    for (source, position) in found {
        refill::refill(&mut changelog, store, &source, wall_ms())?;
        let owed = store.owed_count(&source);
        tell(Taken { source, next: position.next, owed })?;
    }
    store.learn_milliseconds(config.apps.iter().map(|app| &app.app_id))?;
    store.become_only_copy()
}

/// What the changelog has, of topics that were taken out of the settings too: they may come back. Where the group has gone on is
/// asked of those in the settings; where its offsets are gone, as after a long rest, nothing contradicts the changelog.
fn found(
    changelog: &mut Changelog,
    width: i32,
    kafka: &config::Kafka,
    counts: &BTreeMap<String, Option<i32>>,
) -> Result<BTreeMap<TopicPartition, Position>, PortError> {
    let mut found = BTreeMap::new();
    for partition in 0..width {
        found.extend(rebase_look::all_there(changelog, kafka, partition)?);
    }
    for source in rebase_look::partitions(counts) {
        let position = found.get(&source);
        let (group, next) = (changelog.committed(&source)?, position.map(|position| position.next));
        if group.is_some() && group != next {
            return Err(PortError::Fatal(difference(&kafka.changelog_topic, &source, group, next)));
        }
        position.map_or(Ok(()), |position| refuse_pauses(&source, position))?;
    }
    Ok(found)
}

/// Without transactions there are no commands, and so nothing that would let a paused app go on.
fn refuse_pauses(source: &TopicPartition, position: &Position) -> Result<(), PortError> {
    let Some(app) = position.paused_apps.first() else { return Ok(()) };
    Err(PortError::Fatal(format!(
        "{source}: app {app} is paused, and without transactions nothing could resume it: set kafka.exactly_once = true, start \
         the workers, run `order-sync apps resume {app}`, and stop them again"
    )))
}
