//! `order-sync topics`: the worker's own topics, made or looked at.

use serde::Serialize;

use super::exit::{self, Exit};
use super::render::Output;
use super::shell::Shell;
use crate::app::topics::{Filled, loss_by_offsets, not_lost};
use crate::config::Need;
use crate::kafka::topics::{Ensured, Topics, no_source};
use crate::sync::ports::PortError;

/// Options of `order-sync topics`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What is done with the topics.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum Command {
    /// Make the topics that are missing, with the partition count of the source topics
    #[command(after_help = CREATE_HELP)]
    Create,
    /// Say whether the topics are there and fit; make nothing
    #[command(after_help = CHECK_HELP)]
    Check,
}

const HELP: &str = "\
The worker's own topics: the dead-letter topic, with kafka.exactly_once the changelog and that
of operator commands, and with douyin.share_tokens the topic of shared tokens. `run` makes missing ones itself unless
kafka.create_topics is false, and never for a group that has committed offsets: what was in a lost
one would be missing without a word. `topics create` makes those of commands and dead letters even
then, empty; a changelog only `order-sync store rebase` makes anew, as its states would be missing.

One line per topic; with --output json one object per line:
  {\"topic\", \"outcome\": \"ok\" | \"created\" | \"fault\", \"message\"}
A topic that does not fit, or is missing for `check`, ends with exit code 7; so does a source topic that
is missing, as the partitions of all others follow from it.

Examples:
  order-sync topics check --config order-sync.toml
  order-sync topics create --config order-sync.toml";

const CREATE_HELP: &str = "\
Topics that are there are looked at as `topics check` does. `order-sync topics --help` tells of each.

Example:
  order-sync topics create --config order-sync.toml";

const CHECK_HELP: &str = "\
Ends with exit code 7 where a topic is missing or does not fit, naming both values.

Example:
  order-sync topics check --config order-sync.toml --output json";

#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    outcome: &'a str,
    message: &'a str,
}

/// Runs `order-sync topics`.
pub fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    let config = shell.config(Need::Run)?;
    let mut kafka = config.kafka;
    let topics = Topics::connect(&kafka).map_err(|error| exit::fail(Exit::Kafka, error))?;
    let topics = match args.command {
        Command::Create => {
            kafka.create_topics = true;
            topics
        }
        Command::Check => topics.looking(),
    };
    let mut worst = Exit::Done;
    let sources = topics.sources(&kafka).map_err(|error| exit::fail(Exit::Kafka, error))?;
    for (topic, _) in sources.iter().filter(|(_, count)| count.is_none()) {
        worst = tell(shell, topic, Err(PortError::Fatal(no_source(topic))), worst)?;
    }
    if worst != Exit::Done {
        return Ok(worst);
    }
    let loss = || loss_by_offsets(&topics, &kafka);
    // To make one anew is what somebody asks for who says `create`.
    let not_lost = |filled| match args.command {
        Command::Create => Ok(()),
        Command::Check => not_lost(&topics, &kafka, filled, loss),
    };
    if kafka.exactly_once {
        worst = tell(shell, &kafka.changelog_topic, topics.ensure_changelog(&kafka, loss), worst)?;
        let commands = not_lost(Filled::Commands).and_then(|()| topics.ensure_commands(&kafka));
        worst = tell(shell, &kafka.commands_topic(), commands, worst)?;
    }
    let letters = not_lost(Filled::DeadLetters).and_then(|()| topics.ensure_dead_letters(&kafka));
    worst = tell(shell, &kafka.dead_letter_topic, letters, worst)?;
    if config.douyin.share_tokens {
        worst = tell(shell, &kafka.token_topic(), topics.ensure_tokens(&kafka), worst)?;
    }
    Ok(worst)
}

fn tell(shell: &mut Shell, topic: &str, ensured: Result<Ensured, PortError>, worst: Exit) -> anyhow::Result<Exit> {
    let (outcome, message, exit) = match ensured {
        Ok(Ensured::Present(partitions)) => ("ok", format!("is there, with {partitions} partitions"), worst),
        Ok(Ensured::Created(partitions)) => ("created", format!("was made with {partitions} partitions"), worst),
        Err(error) => ("fault", error.to_string(), Exit::Kafka),
    };
    match shell.output() {
        Output::Text => shell.out.line(format!("{outcome:<8} {topic}: {message}"))?,
        Output::Json => shell.out.json(&Line { topic, outcome, message: &message })?,
    }
    Ok(exit)
}
