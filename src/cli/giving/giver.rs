//! Writes commands, a few at a time and no faster than asked, and waits for what becomes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::options::Give;
use super::outcome::{Stage, is_failure, tell};
use crate::cli::exit::{self, Exit};
use crate::cli::needed::Needed;
use crate::cli::reading::{self, Reading};
use crate::cli::render;
use crate::cli::shell::Shell;
use crate::kafka::command_writer::{CommandWriter, OutcomeWatch};
use crate::record::TopicPartition;
use crate::sync::command::{Action, Command, CommandDone};
use crate::sync::scan::{LogScan as _, ScanError};

/// Commands that are under way at once.
const UNDER_WAY_MAX: u32 = 500;
/// One look for outcomes; a stop is heard between two.
const LOOK: Duration = Duration::from_millis(200);

/// A command, and what it is about in the words of who gave it.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Given {
    /// An id, an order, an app.
    pub(in crate::cli) subject: String,
    /// The command.
    pub(in crate::cli) command: Command,
}

/// What the commands of one round have in common.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(in crate::cli) struct Round {
    /// What their ids begin with.
    pub(in crate::cli) id: String,
    /// When it was begun, milliseconds since the epoch.
    pub(in crate::cli) at_ms: i64,
    /// Who gives them.
    pub(in crate::cli) who: String,
    /// Why.
    pub(in crate::cli) why: String,
}

impl Round {
    /// A round of its own.
    pub(in crate::cli) fn begin(who: String, why: &str) -> Self {
        let at_ms = jiff::Timestamp::now().as_millisecond();
        let id = format!("{at_ms}-{:08x}", fastrand::Rng::new().u32(..));
        Self { id, at_ms, who, why: why.to_owned() }
    }
}

/// Gives the commands of one round.
pub(in crate::cli) struct Giver {
    round: Round,
    writer: CommandWriter,
    /// `None` where nobody waits.
    watch: Option<OutcomeWatch>,
    timeout: Duration,
    rate: Option<u32>,
    began: Instant,
    written: u32,
    left_unwritten: usize,
    waiting: usize,
    failures: usize,
    /// How many there are to give, where they come in parts.
    total: usize,
}

impl Giver {
    /// Makes ready to give commands to the owners of these partitions, by their numbers. Refused without transactions, and
    /// where the commands topic is not there. `rate` is how many are given in a second at most; `None` does not bound it.
    pub(in crate::cli) fn new(
        reading: &mut Reading,
        shell: &Shell,
        give: &Give,
        why: &str,
        partitions: &BTreeSet<i32>,
        rate: Option<u32>,
    ) -> anyhow::Result<Self> {
        let round = Round::begin(give.who(shell)?, why);
        let kafka = &reading.config.kafka;
        let writer = CommandWriter::connect(kafka).map_err(|error| exit::fail(Exit::Usage, error))?;
        let topic = kafka.commands_topic();
        if reading.scan.partitions(&topic).map_err(reading::kafka)?.is_none() {
            return Err(reading.missing(Needed::Commands, &topic));
        }
        // Before the first command is written, so that no outcome is missed.
        let watch = if give.no_wait || partitions.is_empty() {
            None
        } else {
            Some(OutcomeWatch::begin(&reading.config.kafka, partitions).map_err(reading::kafka)?)
        };
        Ok(Self {
            round,
            writer,
            watch,
            timeout: give.timeout,
            rate,
            began: Instant::now(),
            written: 0,
            left_unwritten: 0,
            waiting: 0,
            failures: 0,
            total: 0,
        })
    }

    /// Goes on with a round that was begun earlier, so that the same command has the same id. There are `total` to give.
    pub(in crate::cli) fn go_on(&mut self, round: &Round, total: usize) {
        self.round = round.clone();
        self.total = total;
    }

    /// Whether an outcome has not come in time: nothing further is written.
    pub(in crate::cli) fn is_held_up(&self) -> bool {
        self.waiting > 0
    }

    /// Tells what became of a command that was given earlier.
    pub(in crate::cli) fn recall(
        &mut self,
        given: &Given,
        done: &CommandDone,
        reading: &Reading,
        shell: &mut Shell,
    ) -> anyhow::Result<()> {
        self.failures += usize::from(is_failure(done.outcome));
        let told = reading.bar.suspend(|| tell(given, &Stage::Done(done), shell));
        told.or_else(|error| unless_closed(error.into()))
    }

    /// A command of this round. `name` tells it from the others of the round.
    pub(in crate::cli) fn command(&self, name: &str, source: TopicPartition, action: Action) -> Command {
        let Round { id, at_ms, who, why } = &self.round;
        let id = format!("{}-{id}/{name}", action.as_str()).into();
        Command { id, source, action, who: who.as_str().into(), why: why.as_str().into(), at_ms: *at_ms }
    }

    /// Gives these commands in their order, and tells what becomes of each. Once an outcome has not come in time, no
    /// further ones are written.
    pub(in crate::cli) fn give(
        &mut self,
        given: &[Given],
        reading: &mut Reading,
        shell: &mut Shell,
    ) -> anyhow::Result<()> {
        reading.hide_bar_from(shell);
        let bar = reading.bar.clone();
        bar.set_message("commands");
        let chunk = usize::try_from(self.rate.unwrap_or(UNDER_WAY_MAX).clamp(1, UNDER_WAY_MAX)).unwrap_or(1);
        for chunk in given.chunks(chunk) {
            if self.waiting > 0 {
                self.left_unwritten += chunk.len();
                continue;
            }
            self.pace(reading)?;
            let commands: Vec<Command> = chunk.iter().map(|given| given.command.clone()).collect();
            self.writer.write(&commands).map_err(reading::kafka)?;
            self.written = self.written.saturating_add(u32::try_from(chunk.len()).unwrap_or(u32::MAX));
            match &mut self.watch {
                None => {
                    let told = bar.suspend(|| chunk.iter().try_for_each(|given| tell(given, &Stage::Written, shell)));
                    told.or_else(|error| unless_closed(error.into()))?;
                }
                Some(_) => self.wait(chunk, reading, shell)?,
            }
            Reading::progress(
                &bar,
                (u64::from(self.written), u64::try_from(given.len().max(self.total)).unwrap_or(u64::MAX)),
            );
        }
        Ok(())
    }

    /// Waits until the rate allows what comes next.
    fn pace(&self, reading: &Reading) -> anyhow::Result<()> {
        let due = self.rate.map_or(Duration::ZERO, |rate| Duration::from_secs(1) * self.written / rate.max(1));
        let ended = reading.pause(due.saturating_sub(self.began.elapsed()));
        if ended.is_err() {
            self.say_what_is_written();
        }
        ended
    }

    fn wait(&mut self, chunk: &[Given], reading: &Reading, shell: &mut Shell) -> anyhow::Result<()> {
        let Some(watch) = &mut self.watch else { return Ok(()) };
        let mut waiting: BTreeMap<&str, &Given> = chunk.iter().map(|given| (&*given.command.id, given)).collect();
        let mut heard = Instant::now();
        while !waiting.is_empty() && heard.elapsed() < self.timeout {
            if reading.stop.is_cancelled() {
                self.say_what_is_written();
                return Err(reading::kafka(ScanError::Stopped));
            }
            for told in watch.hear(LOOK).map_err(reading::kafka)? {
                let Some(given) = waiting.remove(&*told.id) else { continue };
                heard = Instant::now();
                self.failures += usize::from(is_failure(told.done.outcome));
                let told = reading.bar.suspend(|| tell(given, &Stage::Done(&told.done), shell));
                told.or_else(|error| unless_closed(error.into()))?;
            }
        }
        // In the order in which they were given.
        for given in chunk.iter().filter(|given| waiting.contains_key(&*given.command.id)) {
            let told = reading.bar.suspend(|| tell(given, &Stage::Waiting, shell));
            told.or_else(|error| unless_closed(error.into()))?;
            self.waiting += 1;
        }
        Ok(())
    }

    fn say_what_is_written(&self) {
        render::note(format!(
            "note: {} commands are in the topic and are executed by the owners of their partitions",
            self.written
        ));
    }

    /// How the round ended.
    pub(in crate::cli) fn end(self, reading: &Reading) -> Exit {
        reading.bar.finish_and_clear();
        if self.waiting > 0 {
            let waiting = self.waiting;
            render::note(format!(
                "note: of {waiting} commands nothing was heard within {}: they are in the topic, and are executed when a worker \
                 owns their partitions (`order-sync run`, also with --until-caught-up)",
                crate::config::format_duration(self.timeout)
            ));
            if self.left_unwritten > 0 {
                render::note(format!("note: {} further ones were not written", self.left_unwritten));
            }
            return Exit::Waiting;
        }
        if self.failures > 0 { Exit::Failure } else { Exit::Done }
    }
}

/// Who does not listen any more has asked for the commands all the same: they are given to the end.
fn unless_closed(error: anyhow::Error) -> anyhow::Result<()> {
    if render::is_closed_stdout(&error) { Ok(()) } else { Err(error) }
}
