//! Writes a store into the changelog: one that was filled without transactions, or one that is the best copy there is of a
//! changelog that was lost. And writes a changelog's own states on, where the source topic was deleted and made anew.
//!
//! A partition is done when its position stands in the changelog; whatever was cut off before that is begun again.

use std::collections::{BTreeMap, BTreeSet};

use super::beginnings;
use super::former::Former;
use super::rebase_look::{self, Look};
use super::rebase_plan::{Plan, Planner, Task};
use super::rebased::{Onto, rebased};
use super::skip_lost::Lost;
use super::worker::wall_ms;
use crate::config::Config;
use crate::kafka::changelog::Changelog;
use crate::kafka::rebase::RebaseLog;
use crate::kafka::source::SourceTopics;
use crate::kafka::topics::Topics;
use crate::record::{NextOffset, RecordOffset, TopicPartition};
use crate::store::SledStore;
use crate::sync::changelog::{ChangelogKey, ChangelogRecord};
use crate::sync::changelog_id::ChangelogId;
use crate::sync::command::{Command, CommandDone, Outcome, Read, read};
use crate::sync::ports::{PortError, SourceReader as _, StateReader as _};
use crate::sync::{owed, refill};

/// Bytes of one transaction.
const STEP_BYTES: usize = 2 << 20;
/// The offset of a state that no record of the topic has made: every record of it is new.
const NO_OFFSET: i64 = -1;
/// The outcome of a command of which the store has none.
const PASSED: &str =
    "a rebase has passed it over, as nothing tells whether it was executed before: if it is still wanted, give it anew";

/// What a rebase says: all that it is going to do before it does any of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The store had less of a partition than the changelog that it is a cache of, and has all of it now.
    Brought {
        /// The source partition.
        source: TopicPartition,
        /// That changelog.
        from: String,
    },
    /// Whether the store has everything that its workers have committed is not known.
    Unasked {
        /// The changelog that would tell.
        changelog: String,
    },
    /// A partition is going to be written.
    Plans {
        /// The source partition.
        source: TopicPartition,
        /// What is done about the source topic.
        note: &'static str,
    },
    /// It is written.
    Wrote {
        /// The source partition.
        source: TopicPartition,
        /// Orders.
        orders: u64,
        /// Owed deliveries.
        owed: u64,
        /// Where it goes on.
        next: NextOffset,
    },
    /// It is not written: no source topic of the settings has this name.
    LeftOut {
        /// The source partition.
        source: TopicPartition,
    },
    /// It is not written, and not in the changelog: the group has gone on since this store knew it.
    Left {
        /// The source partition.
        source: TopicPartition,
        /// Where this store would go on; `None` where it does not know the partition.
        next: Option<NextOffset>,
        /// Where the group goes on.
        group: NextOffset,
    },
    /// It has lost records that were not read; a rebase does not go on behind them.
    Lost(Lost),
}

/// What is done with a partition of which the store knows less than the group has committed: another worker's store has the
/// newer states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// It is left for that one.
    Leave,
    /// It is written all the same, and the group set back to it: there is no newer one.
    SetBack,
}

/// Writes every partition of the store into the changelog, and makes the store a cache of it. What the changelog holds
/// already stays, save where the source topic is a new one: there its states are written on. Says how many partitions are
/// left, of which the changelog still knows nothing.
pub fn rebase(
    config: &Config,
    store: &SledStore,
    behind: Behind,
    tell: &mut dyn FnMut(Told) -> Result<(), PortError>,
) -> Result<usize, PortError> {
    let kafka = &config.kafka;
    let log = RebaseLog::connect(kafka, &store.store_id())?;
    let topics = Topics::connect(kafka)?;
    let counts = topics.sources(kafka)?;
    rebase_look::refuse_members(&log, kafka, &counts)?;
    // The store is what a missing one is made from.
    super::topics::ensure_rebasable(&topics, kafka)?;
    beginnings::refuse_rebase(kafka, store)?;
    let look = Look { log: &log, records: SourceTopics::connect(kafka)?, topics: &topics, kafka, counts };
    let (changelog, former) = (Changelog::connect(kafka)?, Former::of(store, config, &topics)?);
    let mut planner = Planner { kafka, store, behind, look, changelog, former };
    let (mut tasks, mut left) = (Vec::new(), 0);
    for source in sources(&planner.look.counts, store) {
        if !planner.look.counts.contains_key(&*source.topic) {
            // A topic that was taken out of the settings may be gone, or have had partitions that the changelog has not.
            tell(Told::LeftOut { source })?;
            continue;
        }
        match planner.plan(source, tell)? {
            Plan::Nothing => {}
            Plan::Lost(told) => tell(told)?,
            Plan::Left(told) => {
                left += 1;
                tell(told)?;
            }
            Plan::Write(task) => {
                tell(Told::Plans { source: task.source.clone(), note: task.note })?;
                tasks.push(task);
            }
        }
    }
    let is_written = |task: &Task| task.onto == Onto::Nothing;
    if let Some(changelog) = store.changelog().filter(|_| !planner.is_up_to_date() && tasks.iter().any(is_written)) {
        tell(Told::Unasked { changelog })?;
    }
    let Planner { mut changelog, look: Look { mut records, .. }, .. } = planner;
    for task in tasks {
        if task.onto == Onto::Itself {
            refill::refill(&mut changelog, store, &task.source, wall_ms())?;
        }
        tell(partition(&log, &mut records, store, &task)?)?;
    }
    // `run` makes none for a group that has offsets; what was in a missing one is not brought back by refusing it here.
    topics.ensure_commands(kafka)?;
    store.adopt_changelog(&kafka.changelog_topic)?;
    Ok(left)
}

/// Those of the store, and those that other workers' stores hold.
fn sources(counts: &BTreeMap<String, Option<i32>>, store: &SledStore) -> BTreeSet<TopicPartition> {
    rebase_look::partitions(counts).into_iter().chain(store.sources()).collect()
}

fn partition(log: &RebaseLog, records: &mut SourceTopics, store: &SledStore, task: &Task) -> Result<Told, PortError> {
    let Task { source, onto, anew, .. } = task;
    let lost = || PortError::Fatal(format!("the changelog holds no position of {source} any more; try again"));
    let held = store.position(source)?.ok_or_else(lost)?;
    let mut step = Step { log, source, records: Vec::new(), bytes: 0 };
    let (mut orders, mut owed_count) = (0, 0);
    store.scan_states(source, &mut |identity, mut state| {
        if anew.is_some() {
            state.applied_offset = NO_OFFSET;
            if let Some(mark) = &mut state.dead_letter {
                mark.offset = owed::gone(mark.offset);
            }
        }
        let mut value = Vec::new();
        state.encode(&mut value);
        orders += 1;
        step.put(&ChangelogKey::State(identity), value)
    })?;
    let mut keys = Vec::new();
    store.scan_owed(source, &mut |key, _| keys.push(key))?;
    for key in keys {
        let Some(mut owed) = store.owed(source, &key)? else { continue };
        if anew.is_some() {
            owed.offset = owed::gone(owed.offset);
        }
        let mut value = Vec::new();
        owed.encode(&mut value);
        owed_count += 1;
        step.put(&ChangelogKey::Owed(key), value)?;
    }
    let commands_end = match onto {
        // The rest of it stays as it is.
        Onto::Itself => None,
        Onto::Nothing => {
            letters_and_commands(store, source, &mut step)?;
            pass_commands(records, store, source, held.next, &mut step)?
        }
    };
    let position = rebased(held, log.group_id(), *onto, *anew, ChangelogId(fastrand::u64(..)), commands_end);
    let value = position.encode().map_err(|error| PortError::Fatal(error.to_string()))?;
    step.records.push(ChangelogRecord { key: ChangelogKey::Position.encode(&source.topic), value: Some(value) });
    log.write(source, &step.records, Some(&position))?;
    Ok(Told::Wrote { source: source.clone(), orders, owed: owed_count, next: position.next })
}

/// What was executed is known of no store for certain, as it may be behind: nothing is executed twice. What has no outcome gets
/// one that says so. Gives the place behind them all.
fn pass_commands(
    records: &mut SourceTopics,
    store: &SledStore,
    source: &TopicPartition,
    next: NextOffset,
    step: &mut Step<'_>,
) -> Result<Option<NextOffset>, PortError> {
    let Some((place, low, end)) = step.log.commands(source.partition)? else { return Ok(None) };
    for command_offset in (low.get()..end.get()).map(RecordOffset::new) {
        let Some(record) = records.read(&place, command_offset)? else { continue };
        let (id, about, command, offset, who, why) = match read(record.key.as_deref(), record.value.as_deref()) {
            Read::Command(Command { id, source, action, who, why, .. }) => {
                (id, source, action.as_str().into(), action.offset(), who, why)
            }
            Read::Refused { id, source, command, .. } => (id, source, command, None, "".into(), "".into()),
            Read::Unreadable(_) => continue,
        };
        if about != *source || store.command(source, &id)?.is_some() {
            continue;
        }
        let (outcome, message, at_ms) = (Outcome::Refused, PASSED.into(), wall_ms());
        let (app_id, order_id, update_time) = (None, None, None);
        let done = CommandDone {
            command,
            outcome,
            message,
            offset,
            app_id,
            order_id,
            update_time,
            next,
            command_offset,
            at_ms,
            who,
            why,
        };
        let value = done.encode().map_err(|error| PortError::Fatal(error.to_string()))?;
        step.put(&ChangelogKey::Command(id), value)?;
    }
    Ok(Some(end))
}

/// Those of a topic that is gone, too: what was discarded stays so, and a letter of the new one at the same offset has the
/// last word on it.
fn letters_and_commands(store: &SledStore, source: &TopicPartition, step: &mut Step<'_>) -> Result<(), PortError> {
    store.scan_letters(source, &mut |offset, status| {
        let value = status.encode().map_err(|error| PortError::Fatal(error.to_string()))?;
        step.put(&ChangelogKey::Letter(offset), value)
    })?;
    store.scan_commands(source, &mut |id, done| {
        let value = done.encode().map_err(|error| PortError::Fatal(error.to_string()))?;
        step.put(&ChangelogKey::Command(id), value)
    })
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
