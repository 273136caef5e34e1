//! Before the worker reads: the topics it needs are looked up and waited for, and its own is made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::company::Company;
use super::worker::WorkerError;
use crate::config;
use crate::kafka::changelog::Changelog;
use crate::kafka::own_topics::{Looked, OwnTopic, Weight};
use crate::kafka::topic_settings::SourceLooked;
use crate::kafka::topics::{Ensured, Topics};
use crate::kafka::{transaction_rights, write_rights};
use crate::store::SledStore;
use crate::sync::noted_count::noted_count;
use crate::sync::ports::{By, PortError, StateReader as _};
use crate::sync::position;
use crate::telemetry::event;

/// The first wait between two looks.
const WAIT_MIN: Duration = Duration::from_millis(200);
/// The longest wait between two looks.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How often a stop is looked for while waiting.
const STOP_LOOK: Duration = Duration::from_millis(50);

/// How the preparation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// The topics are there.
    Ready {
        /// The cluster they are in, where it has an id.
        cluster_id: Option<String>,
    },
    /// The worker was told to stop first.
    Stopped,
}

/// Which topics a worker makes for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// What every worker needs.
    WithoutTokens,
    /// And that of the tokens that workers share.
    WithTokens,
}

/// The worker that is prepared for.
pub struct Preparing<'a> {
    /// Refuses a cluster that is not that of its store.
    pub is_home: &'a dyn Fn(&str) -> Result<(), PortError>,
    /// Its store holds positions: a changelog that is missing then was lost.
    pub used: bool,
    /// Which topics it makes.
    pub own: Own,
    /// How many partitions the source topics had when its store was written.
    pub counts: BTreeMap<String, i32>,
    /// The id of its transactions, where it commits by them.
    pub transactional_id: Option<String>,
}

/// Waits until every source topic is there, and makes the worker's own topics where they are missing and may be made.
/// A cluster that is not the store's is refused before any topic is looked at: what is missing there was never lost.
/// Brokers that let it commit no transaction are refused before anything is made, and those that deny it the topics of its
/// commits when these are there; without transactions, a group that has
/// a member is refused before it is joined. `say` is told what is waited for, once per change.
pub fn prepare(
    config: &config::Kafka,
    mut preparing: Preparing<'_>,
    stop: &CancellationToken,
    say: &dyn Fn(&str),
) -> Result<Prepared, PortError> {
    let topics = Topics::connect(config)?;
    let (mut wait, mut told, mut seen) = (WAIT_MIN, String::new(), Seen::default());
    let is_home = preparing.is_home;
    let home = || topics.known_cluster_id(config)?.map_or(Ok(()), |id| is_home(&id));
    let writes_as = preparing.transactional_id.clone();
    let looks = |topic: &str| {
        say(&format!("looking in the changelog for how many partitions {topic} had"));
        if stop.is_cancelled() { Err(PortError::Passing("interrupted".to_owned())) } else { Ok(()) }
    };
    while !stop.is_cancelled() {
        // Whether they may be written can be asked when the topics are there.
        let may_write = || writes_as.as_ref().map_or(Ok(()), |id| write_rights::ask(config, id));
        let mut ensured = || ensure(&topics, config, &mut preparing, &mut seen, &looks);
        match home().and_then(|()| ensured()).and_then(|()| may_write()) {
            Ok(()) => return Ok(Prepared::Ready { cluster_id: topics.cluster_id() }),
            Err(PortError::Passing(_)) if stop.is_cancelled() => {}
            Err(PortError::Passing(words)) => {
                if words != told {
                    event::WaitingForKafka { reason: &words }.emit();
                    say(&format!("waiting for Kafka: {words}"));
                    told = words;
                }
                pause(wait, stop);
                wait = (wait * 2).min(WAIT_MAX);
            }
            Err(error @ (PortError::Fatal(_) | PortError::Damaged(_) | PortError::Refused(..))) => return Err(error),
        }
    }
    Ok(Prepared::Stopped)
}

/// Whose fault it is that nothing is prepared: the store's, where it is of another cluster.
pub(super) fn whose(error: PortError) -> WorkerError {
    if matches!(error, PortError::Refused(By::Store | By::StoreInUse, _)) {
        WorkerError::Store(error)
    } else {
        WorkerError::Kafka(error)
    }
}

/// What earlier looks have come to.
#[derive(Default)]
struct Seen {
    company: Company,
    /// What was warned of.
    warned: BTreeSet<String>,
    /// Topics whose count the changelog was asked for.
    counted: BTreeSet<String>,
}

fn ensure(
    topics: &Topics,
    config: &config::Kafka,
    preparing: &mut Preparing<'_>,
    seen: &mut Seen,
    looks: &dyn Fn(&str) -> Result<(), PortError>,
) -> Result<(), PortError> {
    topics.widest(config)?;
    let untold = check_counts(topics, config, &preparing.counts)?;
    if let Some(id) = &preparing.transactional_id {
        transaction_rights::ask(config, id)?;
        // Said once is enough.
        preparing.transactional_id = None;
    }
    let loss = || {
        if preparing.used {
            return Ok(Some("this worker's store holds positions".to_owned()));
        }
        loss_by_offsets(topics, config)
    };
    let mut fits = |own, ensured| fits(topics, config, own, ensured, &mut seen.warned);
    if config.exactly_once {
        fits(OwnTopic::Changelog, topics.ensure_changelog(config, loss)?)?;
        check_noted(config, &untold, &mut seen.counted, looks)?;
        not_lost(topics, config, Filled::Commands, loss)?;
        fits(OwnTopic::Commands, topics.ensure_commands(config)?)?;
    }
    not_lost(topics, config, Filled::DeadLetters, loss)?;
    let letters = topics.ensure_dead_letters(config)?;
    let tells = fits(OwnTopic::DeadLetters, letters)?;
    if preparing.own == Own::WithTokens {
        fits(OwnTopic::Tokens, topics.ensure_tokens(config)?)?;
    }
    if tells == Tells::Settings {
        look_at_sources(topics, config, &mut seen.warned);
    }
    if config.exactly_once { Ok(()) } else { seen.company.look(topics, config) }
}

/// A source topic is the merchant's: what is wrong with it is told, and keeps no worker from its work.
fn look_at_sources(topics: &Topics, config: &config::Kafka, warned: &mut BTreeSet<String>) {
    for topic in &config.topics {
        if let Ok(SourceLooked::Warned(words)) = topics.look_at_source(config, topic) {
            warn(topic, &words, warned);
        }
    }
}

/// How many partitions the source topics had when this store was written, as far as that was noted. A cache may be behind:
/// there the group's offsets tell.
pub fn noted_counts(store: &SledStore) -> Result<BTreeMap<String, i32>, PortError> {
    let mut counts = BTreeMap::new();
    if store.changelog().is_some() {
        return Ok(counts);
    }
    for source in store.sources() {
        if let Some(count) = store.position(&source)?.and_then(|position| position.partitions) {
            counts.insert(source.topic.to_string(), count);
        }
    }
    Ok(counts)
}

/// A topic that has grown keys its orders elsewhere, and its new partitions have no position to tell by: the store, or the
/// group's offsets, tell before anything is joined. Gives the topics of which neither says anything, with their counts.
fn check_counts(
    topics: &Topics,
    config: &config::Kafka,
    stored: &BTreeMap<String, i32>,
) -> Result<BTreeMap<String, i32>, PortError> {
    let sources = topics.sources(config)?;
    let group =
        if config.exactly_once { Changelog::connect(config)?.group_offsets(&sources)?.noted } else { Vec::new() };
    let mut untold: BTreeMap<_, _> =
        sources.iter().filter_map(|(topic, count)| Some((topic.clone(), (*count)?))).collect();
    for (topic, had) in stored.iter().map(|(topic, had)| (topic, *had)).chain(group.iter().map(|(t, had)| (t, *had))) {
        if let Some(has) = sources.get(topic).copied().flatten() {
            check_count(topic, had, has)?;
        }
        untold.remove(topic);
    }
    Ok(untold)
}

fn check_count(topic: &str, had: i32, has: i32) -> Result<(), PortError> {
    if had == has { Ok(()) } else { Err(PortError::Fatal(position::grown(topic, had, has))) }
}

/// The group's offsets expire, or are deleted; the changelog's positions stay. For a topic that is new to a big changelog
/// this costs a reading of one partition of it, until the group has an offset.
fn check_noted(
    config: &config::Kafka,
    untold: &BTreeMap<String, i32>,
    counted: &mut BTreeSet<String>,
    looks: &dyn Fn(&str) -> Result<(), PortError>,
) -> Result<(), PortError> {
    let mut changelog = Changelog::connect(config)?;
    for (topic, has) in untold {
        if counted.contains(topic) {
            continue;
        }
        if let Some(had) = noted_count(&mut changelog, topic, *has, &mut || looks(topic))? {
            check_count(topic, had, *has)?;
        }
        counted.insert(topic.clone());
    }
    Ok(())
}

/// A topic beside the changelog that holds what is nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// That of the commands.
    Commands,
    /// That of the dead letters.
    DeadLetters,
}

/// A topic that is missing for a group that has been at work was lost with what was in it: made anew without a word, it
/// would look as if nothing had ever been there. `loss` says, in words, how it is known that the group has been at work.
pub fn not_lost(
    topics: &Topics,
    config: &config::Kafka,
    filled: Filled,
    loss: impl FnOnce() -> Result<Option<String>, PortError>,
) -> Result<(), PortError> {
    let topic = match filled {
        Filled::Commands => config.commands_topic(),
        Filled::DeadLetters => config.dead_letter_topic.clone(),
    };
    if topics.partition_count(&topic)?.is_some() {
        return Ok(());
    }
    let Some(loss) = loss()? else { return Ok(()) };
    if topics.is_gone(&topic)? { Err(PortError::Fatal(lost(config, filled, &loss))) } else { Ok(()) }
}

/// A topic is gone, in words.
pub(super) fn lost(config: &config::Kafka, filled: Filled, known_by: &str) -> String {
    let (topic, what, gone, never) = match filled {
        Filled::Commands => (
            config.commands_topic(),
            "commands",
            "commands that were given and not executed yet are gone with it",
            "an older release ran, which knew no commands",
        ),
        Filled::DeadLetters => (
            config.dead_letter_topic.clone(),
            "dead-letter",
            "its letters are gone with it",
            "kafka.dead_letter_topic is a new name",
        ),
    };
    format!(
        "the {what} topic {topic} does not exist, but {known_by}: {gone}, unless it never was there ({never}). Bring it back, \
         or have it made empty: `order-sync topics create`"
    )
}

/// Why a topic that is missing must not be made, in words: the group has been at work, so what was in it was somewhere.
pub fn loss_by_offsets(topics: &Topics, config: &config::Kafka) -> Result<Option<String>, PortError> {
    let offsets = Changelog::connect(config)?.group_offsets(&topics.sources(config)?)?;
    Ok(offsets.any.then(|| format!("the group {} has committed offsets", config.group_id)))
}

/// Makes the changelog that a store is written into, whatever was lost; one that is there must keep what is written.
pub(super) fn ensure_rebasable(topics: &Topics, config: &config::Kafka) -> Result<(), PortError> {
    let ensured = topics.ensure_changelog(config, || Ok(None))?;
    fits(topics, config, OwnTopic::Changelog, ensured, &mut BTreeSet::new()).map(drop)
}

/// Whether the brokers tell the settings of topics: where they do not, they are not asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tells {
    Settings,
    Nothing,
}

/// One that is there must have the settings that it needs; one that was just made has.
fn fits(
    topics: &Topics,
    config: &config::Kafka,
    own: OwnTopic,
    ensured: Ensured,
    warned: &mut BTreeSet<String>,
) -> Result<Tells, PortError> {
    let topic = &own.name(config);
    let mut warn = |words: &str| warn(topic, words, warned);
    match ensured {
        Ensured::Created(partitions) => event::TopicCreated { topic, partitions }.emit(),
        Ensured::Present(_) => match topics.look(config, own)? {
            Looked::Unseen(words) => {
                warn(&words);
                return Ok(Tells::Nothing);
            }
            Looked::Seen { lapses, faults, .. } => {
                let (refused, warned): (Vec<_>, Vec<_>) =
                    lapses.iter().partition(|lapse| lapse.weight == Weight::Refused);
                for words in faults.into_iter().chain(warned.iter().map(|lapse| lapse.words())) {
                    warn(&words);
                }
                if !refused.is_empty() {
                    let words: Vec<_> = refused.iter().map(|lapse| lapse.words()).collect();
                    return Err(PortError::Fatal(format!("topic {topic}: {}", words.join("; "))));
                }
            }
        },
    }
    Ok(Tells::Settings)
}

/// Says what does not fit a topic, once.
fn warn(topic: &str, words: &str, warned: &mut BTreeSet<String>) {
    if warned.insert(format!("{topic}: {words}")) {
        event::TopicFitsBadly { topic, words }.emit();
    }
}

fn pause(wait: Duration, stop: &CancellationToken) {
    let began = Instant::now();
    while began.elapsed() < wait && !stop.is_cancelled() {
        std::thread::park_timeout(STOP_LOOK);
    }
}
