//! `order-sync topics`: the worker's own topics, made or looked at.

use serde::Serialize;

use super::exit::{self, Exit};
use super::render::Output;
use super::shell::Shell;
use super::store;
use crate::app::beginnings::{self, Lost};
use crate::app::topics::{Filled, loss_by_offsets, not_lost};
use crate::config::{Kafka, Need};
use crate::kafka::own_topics::{Lapse, Looked, OwnTopic};
use crate::kafka::topic_settings::SourceLooked;
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
  {\"topic\", \"outcome\": \"ok\" | \"created\" | \"fault\" | \"note\", \"message\"}
A topic that does not fit, or is missing for `check`, ends with exit code 7; so does a source topic that
is missing, as the partitions of all others follow from it. A setting that does not fit has a line
of its own, in JSON with \"setting\", \"is\", \"wanted\" and the \"command\" that sets it. Which settings
are looked at, and which of them `run` refuses: docs/delivery-semantics.md. A partition of the changelog
that has lost its beginning has a line of its own, too, with what to do; so has a topic of which partitions take no
record just now, as too few of their replicas are in sync or none leads, the brokers' own __transaction_state and
__consumer_offsets among them where this user may look at them. Of a source topic that is compacted
a note says which events get lost.

Examples:
  order-sync topics check --config order-sync.toml
  order-sync topics create --config order-sync.toml";

const CREATE_HELP: &str = "\
Topics that are there are looked at as `topics check` does. `order-sync topics --help` tells of each.

Exit codes: 6 this worker's store is of another cluster; 7 a topic cannot be made, is missing or does not fit, or Kafka is
not there.

Examples:
  order-sync topics create --config order-sync.toml";

const CHECK_HELP: &str = "\
Of what does not fit both values are named, and the command that sets it.

Exit codes: 7 a topic is missing or does not fit, or Kafka is not there.

Examples:
  order-sync topics check --config order-sync.toml --output json";

#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    outcome: &'a str,
    message: &'a str,
    #[serde(flatten)]
    lapse: Option<LapseLine<'a>>,
}

/// What scripts are told besides of a setting that does not fit.
#[derive(Serialize)]
struct LapseLine<'a> {
    setting: &'a str,
    is: &'a str,
    wanted: &'a str,
    command: &'a str,
}

impl<'a> From<&'a Lapse> for LapseLine<'a> {
    fn from(lapse: &'a Lapse) -> Self {
        Self { setting: lapse.setting, is: &lapse.is, wanted: &lapse.wanted, command: &lapse.command }
    }
}

/// Runs `order-sync topics`.
pub fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    let config = shell.config(Need::Run)?;
    let mut kafka = config.kafka.clone();
    let topics = Topics::connect(&kafka).map_err(|error| exit::fail(Exit::Kafka, error))?;
    let topics = match args.command {
        Command::Create => {
            let cluster_id = topics.known_cluster_id(&kafka).map_err(|error| exit::fail(Exit::Kafka, error))?;
            store::check_home(&config, cluster_id.as_deref())?;
            kafka.create_topics = true;
            topics
        }
        Command::Check => topics.looking(),
    };
    let sources = topics.sources(&kafka).map_err(|error| exit::fail(Exit::Kafka, error))?;
    let mut told = Told { shell, topics: &topics, kafka: &kafka, worst: Exit::Done };
    for (topic, _) in sources.iter().filter(|(_, count)| count.is_none()) {
        told.line(&Line { topic, outcome: "fault", message: &no_source(topic), lapse: None })?;
    }
    if told.worst != Exit::Done {
        return Ok(told.worst);
    }
    for topic in &kafka.topics {
        told.tell_source(topic)?;
    }
    let loss = || loss_by_offsets(&topics, &kafka);
    // To make one anew is what somebody asks for who says `create`.
    let not_lost = |filled| match args.command {
        Command::Create => Ok(()),
        Command::Check => not_lost(&topics, &kafka, filled, loss),
    };
    if kafka.exactly_once {
        for (topic, words) in topics.look_at_brokers(&kafka).map_err(|error| exit::fail(Exit::Kafka, error))? {
            told.line(&Line { topic, outcome: "fault", message: &words, lapse: None })?;
        }
        told.tell(OwnTopic::Changelog, topics.ensure_changelog(&kafka, loss))?;
        told.tell(OwnTopic::Commands, not_lost(Filled::Commands).and_then(|()| topics.ensure_commands(&kafka)))?;
    }
    let letters = not_lost(Filled::DeadLetters).and_then(|()| topics.ensure_dead_letters(&kafka));
    told.tell(OwnTopic::DeadLetters, letters)?;
    if config.douyin.share_tokens {
        told.tell(OwnTopic::Tokens, topics.ensure_tokens(&kafka))?;
    }
    Ok(told.worst)
}

/// What is said of the worker's own topics, and how that ends.
struct Told<'a> {
    shell: &'a mut Shell,
    topics: &'a Topics,
    kafka: &'a Kafka,
    worst: Exit,
}

impl Told<'_> {
    /// A source topic has a line where there is something to say of its settings; a fault it never is.
    fn tell_source(&mut self, topic: &str) -> anyhow::Result<()> {
        let message = match self.topics.look_at_source(self.kafka, topic) {
            Ok(SourceLooked::Fits) => return Ok(()),
            Ok(SourceLooked::Warned(words) | SourceLooked::Unseen(words)) => words,
            Err(error) => error.to_string(),
        };
        self.line(&Line { topic, outcome: "note", message: &message, lapse: None })
    }

    fn tell(&mut self, own: OwnTopic, ensured: Result<Ensured, PortError>) -> anyhow::Result<()> {
        let topic = &own.name(self.kafka);
        let (outcome, message) = match ensured {
            Ok(Ensured::Created(partitions)) => ("created", format!("was made with {partitions} partitions")),
            Ok(Ensured::Present(partitions)) => match self.topics.look(self.kafka, own) {
                Ok(Looked::Seen { lapses, mut faults, notes }) => {
                    faults.extend(self.lost(own, partitions));
                    return self.tell_looked(topic, partitions, &faults, &lapses, &notes);
                }
                Ok(Looked::Unseen(words)) => ("fault", words),
                Err(error) => ("fault", error.to_string()),
            },
            Err(error) => ("fault", error.to_string()),
        };
        self.line(&Line { topic, outcome, message: &message, lapse: None })
    }

    /// What is gone of a topic, in words.
    fn lost(&self, own: OwnTopic, partitions: i32) -> Vec<String> {
        match own {
            OwnTopic::Changelog => match beginnings::lost(self.kafka, 0..partitions) {
                Ok(lost) => lost.iter().map(Lost::words).collect(),
                Err(error) => vec![error.to_string()],
            },
            OwnTopic::Commands | OwnTopic::DeadLetters | OwnTopic::Tokens => Vec::new(),
        }
    }

    /// A topic that fits is one line; of one that does not, each fault is.
    fn tell_looked(
        &mut self,
        topic: &str,
        partitions: i32,
        faults: &[String],
        lapses: &[Lapse],
        notes: &[String],
    ) -> anyhow::Result<()> {
        if lapses.is_empty() && faults.is_empty() {
            let message = &format!("is there, with {partitions} partitions");
            self.line(&Line { topic, outcome: "ok", message, lapse: None })?;
        }
        for message in faults {
            self.line(&Line { topic, outcome: "fault", message, lapse: None })?;
        }
        for lapse in lapses {
            self.line(&Line { topic, outcome: "fault", message: &lapse.words(), lapse: Some(lapse.into()) })?;
        }
        for message in notes {
            self.line(&Line { topic, outcome: "note", message, lapse: None })?;
        }
        Ok(())
    }

    fn line(&mut self, line: &Line<'_>) -> anyhow::Result<()> {
        if line.outcome == "fault" {
            self.worst = Exit::Kafka;
        }
        match self.shell.output() {
            Output::Text => self.shell.out.line(format!("{:<8} {}: {}", line.outcome, line.topic, line.message))?,
            Output::Json => self.shell.out.json(line)?,
        }
        Ok(())
    }
}
