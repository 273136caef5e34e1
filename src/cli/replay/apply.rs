//! Gives the resyncs that a plan holds, in parts, and notes after each part how far it has come.

use std::collections::BTreeSet;

use serde_json::Value;

use super::command::Args;
use super::progress_file::{PlannedOrder, ProgressFile, default_path};
use crate::cli::exit::Exit;
use crate::cli::giving::{Given, Giver, Round};
use crate::cli::reading::Reading;
use crate::cli::render::{self, Output};
use crate::cli::shell::Shell;
use crate::order::AppId;
use crate::sync::command::Action;

/// Commands of one part, at most; no more than are given in a second.
const PART_MAX: u32 = 500;

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

/// Gives what is planned, from the order behind `given` on.
pub(super) fn give(
    args: &Args,
    file: &mut ProgressFile,
    round: &Round,
    mut given: u64,
    reading: &mut Reading,
    shell: &mut Shell,
) -> anyhow::Result<Exit> {
    if given >= file.planned() {
        return Ok(Exit::Done);
    }
    let partitions: BTreeSet<i32> = reading.changelog()?.iter().map(|span| span.partition).collect();
    let mut desk = Giver::new(reading, shell, &args.give, &round.why, &partitions, Some(args.rate))?;
    desk.go_on(round, usize::try_from(file.planned() - given).unwrap_or(usize::MAX));
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

fn command(desk: &Giver, order: &PlannedOrder) -> Given {
    let place = order.place();
    let name = format!("{place}/{}/{}", order.app_id, order.order_id);
    let (app_id, order_id) = (AppId::new(order.app_id.as_str()), order.order_id.as_str().into());
    let command = desk.command(&name, place, Action::Resync { app_id, order_id });
    Given { subject: format!("{} of {}", order.order_id, order.app_id), command }
}
