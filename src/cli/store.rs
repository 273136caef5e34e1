//! `order-sync store`: what the local store holds, having it rebuilt, writing it into a changelog.

use std::collections::BTreeSet;

use serde::Serialize;

use super::exit::{self, Exit};
use super::render::{self, Output};
use super::shell::Shell;
use crate::app::beginnings::{self, Lost};
use crate::app::damage;
use crate::app::rebase::Behind;
use crate::app::retired;
use crate::app::skip_lost::Skip;
use crate::app::worker::wall_ms;
use crate::config::{self, Config, Need};
use crate::kafka::topics::Topics;
use crate::record::NextOffset;
use crate::store::{self, Owner, SledStore};
use crate::sync::log_ports::CacheStore as _;
use crate::sync::ports::{By, PortError, StateReader as _};

/// Options of `order-sync store`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What is done with the store.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum Command {
    /// Open the store, read every row of it, and say where each partition stands
    #[command(after_help = CHECK_HELP)]
    Check,
    /// Set the store aside, so that the next start rebuilds it from the changelog
    #[command(after_help = REBUILD_HELP)]
    Rebuild,
    /// Write the store's states into the changelog, in committed steps
    #[command(after_help = REBASE_HELP)]
    Rebase {
        /// Write partitions of which the group has committed more than this store knows, too, and set the group back: their
        /// events are read and pushed again from there. For when no newer store is left. The changelog that the store is a
        /// cache of is not asked either
        #[arg(long)]
        set_back: bool,
    },
    /// Make the store the only copy, with all that the changelog has: the way back to `kafka.exactly_once` = false
    #[command(after_help = DETACH_HELP)]
    Detach,
    /// Go on behind source records that were removed before they were read; states and stamps stay
    #[command(after_help = SKIP_LOST_HELP)]
    SkipLost {
        /// Say what is lost, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

const HELP: &str = "\
The worker that uses the store must not run meanwhile.

check    one line per partition; with --output json one object per line:
         {\"topic\", \"partition\", \"next\", \"commit_number\", \"changelog\", \"owed\", \"orders\",
          \"open_letters\"}
rebuild  only with kafka.exactly_once: elsewhere the store is the only copy. Nothing is deleted: the
         directory is renamed, and its new name is printed.
rebase   for a store that was filled with kafka.exactly_once = false, or whose changelog was lost,
         and for a source topic that was deleted and made anew. No worker of the group may run. Says
         what it is going to do, then does it; one that was cut off goes on. States of the store go
         to a changelog that knows nothing of the partition; where it does, it stays as it is. A
         source topic that ends before the position, or has another record where the last one was,
         counts as a new one: it is read from its beginning, and states and stamps stay. A partition
         of which the group has committed more than this store knows is left for the store that has
         it (exit code 6). Where kafka.changelog_topic has another name now, the store is brought up
         to what the old changelog knows first; where that is gone, it says what may be missing.
detach   the other way round: for a group that goes back to kafka.exactly_once = false, with one worker.
         Reads all that the changelog has into the store, stamps that commands have moved among it, and
         makes it the only copy. An empty directory will do.
skip-lost
         for workers that were away for longer than their source topic keeps records: the group goes on
         behind those that nobody has read, with the states and stamps that it has.

Examples:
  order-sync store check --config order-sync.toml
  order-sync store rebuild --config order-sync.toml
  order-sync store rebase --config order-sync.toml --set kafka.exactly_once=true";

const CHECK_HELP: &str = "\
The worker that uses the store must not run meanwhile. Nothing is changed. With --output json
one object per partition. Where the changelog has lost its beginning, that is said on stderr for each
partition, with whether this store holds what is gone; so is what it owes of a topic that kafka.topics does not
name, as nobody pushes that until the topic is there again.

Exit codes: 6 there is no store, it is in use, cannot be read, or is of another cluster or changelog than the settings;
7 the changelog has lost its beginning, and this store does not hold what is gone.

Examples:
  order-sync store check --config order-sync.toml --output json";

const REBUILD_HELP: &str = "\
The worker that uses the store must not run meanwhile. Only with kafka.exactly_once: elsewhere the store is the
only copy. The directory is renamed and its new name printed; nothing is deleted. Brokers that do not answer are no
hindrance, and a store that cannot be read is set aside whatever it is of.

Exit codes: 6 there is no store, it is in use, it is the only copy, or it is of another cluster or changelog than the
settings.

Examples:
  order-sync store rebuild --config order-sync.toml";

const REBASE_HELP: &str = "\
No worker of the group may run. `order-sync store --help` says when this is needed, and what it does with
partitions that the changelog knows already. One that was cut off goes on when it is run again.

Exit codes: 2 without kafka.exactly_once; 6 the store cannot be used, is of another cluster, cannot be brought to what
its old changelog knows, or a partition was left to the store that has it; 7 Kafka or a topic is not there.

Examples:
  order-sync store rebase --config order-sync.toml --set kafka.exactly_once=true";

const DETACH_HELP: &str = "\
Run it with kafka.exactly_once = false and the kafka.changelog_topic that the group had (left out, it is
<group>.changelog). No worker of the group may run. All that the changelog has is read into the store, whatever
the store had; then the store is the only copy, and `run` goes on from it without transactions, with one worker. One
that was cut off is begun again. The changelog stays as it is. To go to transactions once more, delete that topic or
set another name, and run `order-sync store rebase`.

Refused where the group's offset and the position in the changelog differ, and while an app is paused, as there are
no commands without transactions. Commands that no worker has executed by then are executed by nobody.

Exit codes: 2 with kafka.exactly_once; 6 the store cannot be used, is of another cluster or changelog, or is the only
copy already; 7 Kafka, or the changelog is not there or does not fit.

Examples:
  order-sync store detach --config order-sync.toml --set kafka.exactly_once=false";

const SKIP_LOST_HELP: &str = "\
For a partition that begins behind the group's position: the topic's retention, or kafka-delete-records, took
records before any worker had read them, and `run` refuses to go on. No worker of the group may run (with
--dry-run they may). Says of each such partition which offsets are lost, then moves its position and the group's
offset to the oldest record that is there (without kafka.exactly_once, the position alone: the next run moves the
offset). States, stamps, owed deliveries and dead letters stay as they are; the
events that are lost are not made up for, and nothing says which orders they were of: have the merchant send the
orders of that time again, each with its whole document. Raise the topic's retention first.

With kafka.exactly_once the position is in the changelog, and the local store need not be there. Without, it is in
the store, so this is run on the worker's own directory.

Exit codes: 2 the positions are in the changelog, and kafka.exactly_once is false; 6 the store cannot be used, or is of
another cluster; 7 Kafka.

Examples:
  order-sync store skip-lost --dry-run --config order-sync.toml
  order-sync store skip-lost --config order-sync.toml";

#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    partition: i32,
    next: i64,
    commit_number: u64,
    changelog: Option<i64>,
    owed: usize,
    orders: u64,
    open_letters: u64,
}

/// Runs `order-sync store`.
pub fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    let config = shell.config(Need::Run)?;
    // The only commands that may do without one.
    if !matches!(args.command, Command::SkipLost { .. } | Command::Detach) {
        check_is_there(&config)?;
    }
    match args.command {
        Command::Check => check(&config, shell),
        Command::Rebuild => rebuild(&config, shell),
        Command::Detach => super::detach::execute(&config, shell),
        Command::SkipLost { dry_run } => {
            super::skip_lost::execute(&config, if dry_run { Skip::Look } else { Skip::Do }, shell)
        }
        Command::Rebase { set_back } => {
            super::rebase::execute(&config, if set_back { Behind::SetBack } else { Behind::Leave }, shell)
        }
    }
}

pub(super) fn check_is_there(config: &Config) -> anyhow::Result<()> {
    let path = &config.store.path;
    if store::is_here(path) {
        return Ok(());
    }
    let words = format!("{} holds no store; see store.path", path.display());
    Err(exit::fail(Exit::Store, PortError::Fatal(words)))
}

pub(super) fn owner(config: &Config) -> Owner {
    let changelog = config.kafka.exactly_once.then(|| config.kafka.changelog_topic.clone());
    Owner { group_id: config.kafka.group_id.clone(), cluster_id: None, changelog, now_ms: wall_ms() }
}

/// The cluster that the settings lead to; an error while no broker answers.
pub(super) fn cluster_id(config: &Config) -> Result<Option<String>, PortError> {
    let known = Topics::connect(&config.kafka).and_then(|topics| topics.known_cluster_id(&config.kafka));
    known.map_err(|error| {
        let brokers = &config.kafka.brokers;
        PortError::Passing(format!("which cluster kafka.brokers ({brokers}) is of cannot be asked: {error}"))
    })
}

/// Refuses brokers of another cluster than this worker's store, for what needs none: one that is not there, that a worker has
/// open, or that cannot be read tells nothing.
pub(super) fn check_home(config: &Config, cluster_id: Option<&str>) -> anyhow::Result<()> {
    let Some(cluster_id) = cluster_id.filter(|_| store::is_here(&config.store.path)) else { return Ok(()) };
    SledStore::open_as_is(&config.store, &owner(config))
        .map_or(Ok(()), |store| store.check_cluster(cluster_id))
        .map_err(failed(config))
}

/// Gives errors of the store their code, and the words that these settings ask for.
pub(super) fn failed(config: &Config) -> impl Fn(PortError) -> anyhow::Error {
    |error| exit::fail(Exit::Store, damage::advised(error, config))
}

/// Gives errors of what works on store and Kafka both the code of the one whose they are.
pub(super) fn failed_either(error: PortError) -> anyhow::Error {
    match error {
        PortError::Refused(By::Store | By::StoreInUse, _) | PortError::Damaged(_) => exit::fail(Exit::Store, error),
        error @ (PortError::Passing(_) | PortError::Fatal(_) | PortError::Refused(By::Kafka, _)) => {
            exit::fail(Exit::Kafka, error)
        }
    }
}

fn check(config: &Config, shell: &mut Shell) -> anyhow::Result<Exit> {
    let store = SledStore::open_as_is(&config.store, &owner(config)).map_err(failed(config))?;
    // Brokers that do not answer keep nobody from looking at a store.
    if let Ok(Some(cluster_id)) = cluster_id(config) {
        store.check_cluster(&cluster_id).map_err(failed(config))?;
    }
    let (lost, mut exit) = (beginnings(&config.kafka, &store), Exit::Done);
    for source in store.sources() {
        let Some(position) = store.position(&source).map_err(failed(config))? else { continue };
        let mut orders = 0;
        let mut count = |_, _| {
            orders += 1;
            Ok(())
        };
        store.scan_states(&source, &mut count).map_err(failed(config))?;
        store.scan_owed(&source, &mut |_, _| ()).map_err(failed(config))?;
        let open_letters = store.open_letter_count(&source).map_err(failed(config))?;
        let changelog = store.checkpoint(&source).map_err(failed(config))?.map(|checkpoint| checkpoint.changelog.get());
        let (next, commit_number, owed) = (position.next.get(), position.commit_number, store.owed_count(&source));
        let (topic, partition) = (&*source.topic, source.partition);
        let line = Line { topic, partition, next, commit_number, changelog, owed, orders, open_letters };
        match shell.output() {
            Output::Text => {
                let letters = match open_letters {
                    0 => String::new(),
                    open => format!(", open dead letters {open}"),
                };
                let place = changelog.map_or_else(String::new, |at| format!(", changelog offset {at}"));
                shell
                    .out
                    .line(format!("{source}: next offset {next}, orders {orders}, owed {owed}{letters}{place}"))?;
            }
            Output::Json => shell.out.json(&line)?,
        }
        if let Some(lost) = lost.iter().find(|lost| lost.partition == source.partition) {
            let stands = changelog.map(NextOffset::new);
            render::note(lost.words_for(stands));
            exit = if lost.is_known_to(stands) { exit } else { Exit::Kafka };
        }
    }
    for unread in retired::owed(&store, &config.kafka.topics) {
        render::note(unread.words());
    }
    if shell.output() == Output::Text {
        let regime = store.changelog().map_or_else(
            || "it is the only copy (kafka.exactly_once = false)".to_owned(),
            |topic| format!("it is a cache of the changelog {topic}"),
        );
        shell.out.line(format!("{} can be read; {regime}", config.store.path.display()))?;
    }
    // What it holds is told all the same. Of another regime it may rightly be, as before a rebase.
    let owner = owner(config);
    if store.changelog().is_some() && owner.changelog.is_some() {
        store.check_changelog(&owner).map_err(failed(config))?;
    }
    Ok(exit)
}

/// Which partitions of the changelog that this store is a cache of have lost their beginning. Brokers that do not answer keep
/// nobody from looking at a store.
fn beginnings(kafka: &config::Kafka, store: &SledStore) -> Vec<Lost> {
    if store.changelog().as_ref() != Some(&kafka.changelog_topic) {
        return Vec::new();
    }
    let partitions: BTreeSet<i32> = store.sources().into_iter().map(|source| source.partition).collect();
    beginnings::lost(kafka, partitions).unwrap_or_else(|error| {
        render::note(format!("whether {} has its beginning was not looked at: {error}", kafka.changelog_topic));
        Vec::new()
    })
}

fn rebuild(config: &Config, shell: &mut Shell) -> anyhow::Result<Exit> {
    let owner = owner(config);
    let opened = SledStore::open_as_is(&config.store, &owner).and_then(|store| {
        if store.changelog().is_some() {
            store.check_changelog(&owner)?;
        }
        Ok(store)
    });
    match opened {
        Ok(store) if store.changelog().is_none() => {
            let words = "this store was filled without transactions and is the only copy; see `store rebase`";
            return Err(failed(config)(PortError::Fatal(words.to_owned())));
        }
        Ok(store) => match cluster_id(config) {
            Ok(Some(cluster_id)) => store.check_cluster(&cluster_id).map_err(failed(config))?,
            Ok(None) => {}
            // Nothing is deleted, and the next start compares them.
            Err(error) => render::note(format!("whether the store is of this cluster was not looked at: {error}")),
        },
        // One that cannot be read tells no more than the settings do.
        Err(PortError::Damaged(_)) if config.kafka.exactly_once => {}
        Err(error) => return Err(failed(config)(error)),
    }
    let to = store::set_aside(&config.store.path, wall_ms()).map_err(failed(config))?;
    shell.out.line(format!("set aside as {}; the next start rebuilds the store from the changelog", to.display()))?;
    Ok(Exit::Done)
}
