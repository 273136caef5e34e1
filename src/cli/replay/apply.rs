//! Gives the resyncs that a plan holds, in parts, and notes after each part how far it has come.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use serde_json::Value;

use super::command::Args;
use super::progress_file::{PlannedOrder, ProgressFile, default_path};
use crate::cli::exit::Exit;
use crate::cli::giving::{Given, Giver, Round};
use crate::cli::reading::{self, Reading};
use crate::cli::render::{self, Output};
use crate::cli::shell::Shell;
use crate::order::AppId;
use crate::sync::changelog::ChangelogKey;
use crate::sync::command::{Action, CommandDone};
use crate::sync::scan::LogScan as _;

/// Commands of one part, at most; no more than are given in a second.
const PART_MAX: u32 = 500;
/// Commands whose outcomes are looked for in one reading of the changelog.
const RECALLED_MAX: usize = 20_000;

/// Goes on with what an earlier call has begun.
pub(super) fn resume(args: &Args, reading: &mut Reading, shell: &mut Shell) -> anyhow::Result<Exit> {
    let group = reading.config.kafka.group_id.clone();
    let path = args.state.clone().unwrap_or_else(|| default_path(&group));
    let (mut file, begun) = ProgressFile::resume(&path, &group)?;
    render::note(format!(
        "note: {} of {} commands are given already, by {}",
        begun.given,
        begun.planned,
        path.display()
    ));
    let exit = give(args, &mut file, &begun.round, begun.given, reading, shell)?;
    end(&begun.summary, exit, shell)
}

/// What scripts are told last, behind the outcomes.
pub(super) fn end(summary: &Value, exit: Exit, shell: &mut Shell) -> anyhow::Result<Exit> {
    if shell.output() == Output::Json {
        shell.out.json(summary)?;
    }
    Ok(exit)
}

/// Gives what is planned, from the order behind `given` on; says of those before it what became of them.
pub(super) fn give(
    args: &Args,
    file: &mut ProgressFile,
    round: &Round,
    mut given: u64,
    reading: &mut Reading,
    shell: &mut Shell,
) -> anyhow::Result<Exit> {
    let spans = reading.changelog()?;
    let partitions: BTreeSet<i32> = spans.iter().map(|span| span.partition).collect();
    let mut desk = Giver::new(reading, shell, &args.give, &round.why, &partitions, Some(args.rate))?;
    desk.go_on(round, usize::try_from(file.planned() - given).unwrap_or(usize::MAX));
    if !args.give.no_wait {
        recall(&mut desk, file, given, (reading, shell))?;
    }
    let part_max = usize::try_from(args.rate.min(PART_MAX)).unwrap_or(1);
    let mut orders = file.orders(given)?;
    while !desk.is_held_up() {
        let part: Vec<PlannedOrder> = orders.by_ref().take(part_max).collect::<anyhow::Result<_>>()?;
        if part.is_empty() {
            break;
        }
        let commands: Vec<Given> = part.iter().map(|order| command(&desk, order)).collect();
        desk.give(&commands, reading, shell)?;
        given += u64::try_from(part.len()).unwrap_or_default();
        file.given(given)?;
    }
    if given < file.planned() {
        let (left, path) = (file.planned() - given, file.path().display());
        render::note(format!("note: {left} commands are not given yet: `replay --resume --state {path}` gives them"));
    }
    Ok(desk.end(reading))
}

/// Tells the outcomes of the first `given` commands. One that has none yet is given once more under its id, at the rate, and
/// waited for: it acts once.
fn recall(
    desk: &mut Giver,
    file: &ProgressFile,
    given: u64,
    (reading, shell): (&mut Reading, &mut Shell),
) -> anyhow::Result<()> {
    let mut orders = file.orders(0)?.take(usize::try_from(given).unwrap_or(usize::MAX));
    while !desk.is_held_up() {
        let part: Vec<PlannedOrder> = orders.by_ref().take(RECALLED_MAX).collect::<anyhow::Result<_>>()?;
        if part.is_empty() {
            return Ok(());
        }
        let commands: Vec<Given> = part.iter().map(|order| command(desk, order)).collect();
        let done = outcomes(&commands, reading)?;
        let mut open = Vec::new();
        for command in commands {
            match done.get(&*command.command.id) {
                Some(done) => desk.recall(&command, done, reading, shell)?,
                None => open.push(command),
            }
        }
        desk.give(&open, reading, shell)?;
    }
    Ok(())
}

/// The outcomes that the changelog has of these commands, by their ids.
fn outcomes(commands: &[Given], reading: &mut Reading) -> anyhow::Result<HashMap<Box<str>, CommandDone>> {
    let changelog = reading.config.kafka.changelog_topic.clone();
    let mut spans = reading.changelog()?;
    spans.retain(|span| commands.iter().any(|given| given.command.source.partition == span.partition));
    let key = |given: &Given| {
        let id = given.command.id.clone();
        (ChangelogKey::Command(id.clone()).encode(&given.command.source.topic), id)
    };
    let wanted: HashMap<Vec<u8>, Box<str>> = commands.iter().map(key).collect();
    let mut found = HashMap::new();
    let read = reading.scan.read(&changelog, &spans, &mut |seen| {
        if let Some(id) = seen.key().and_then(|key| wanted.get(key)) {
            // One that cannot be read, or that retention has removed, is as none.
            match seen.value().map(CommandDone::decode) {
                Some(Ok(done)) => drop(found.insert(id.clone(), done)),
                Some(Err(_)) | None => drop(found.remove(id)),
            }
        }
        ControlFlow::Continue(())
    });
    read.map_err(reading::kafka)?;
    Ok(found)
}

fn command(desk: &Giver, order: &PlannedOrder) -> Given {
    let (app_id, order_id) = (AppId::new(order.app_id.as_str()), order.order_id.as_str().into());
    let command = desk.command(&order.name(), order.place(), Action::Resync { app_id, order_id });
    Given { subject: format!("{} of {}", order.order_id, order.app_id), command }
}
