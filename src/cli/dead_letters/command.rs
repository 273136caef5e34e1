//! The subcommands of `dead-letters`, and their help.

use super::{discard, export, import, list, redrive, show};
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;

/// Options of `order-sync dead-letters`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What is done with dead letters.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List them, the newest first, or count them
    List(list::Args),
    /// Show one as a whole: the record, the request, every attempt, the reason and what to do
    Show(show::Args),
    /// Write them as NDJSON, with everything that is needed to import them again
    Export(export::Args),
    /// Write letters again that the topic has lost, from an export
    Import(import::Args),
    /// Take letters up again: send the request once more, or fold the event where the order stands now
    Redrive(redrive::Args),
    /// Decide against letters: their status becomes `discarded`, nothing is sent
    Discard(discard::Args),
}

const HELP: &str = "\
A dead letter is named by topic/partition/offset of the original record. What reads needs Kafka only: no
worker has to run, and none is disturbed. What changes a letter is a command in <group>.commands, which
the owner of its partition executes, now or once one runs. docs/cli-json.md describes the JSON.

What each ends with stands in its own help, all exit codes in `order-sync --help`; docs/runbook.md says what
to do about each reason.

Examples:
  order-sync dead-letters list --config order-sync.toml
  order-sync dead-letters list --reason rejected_by_platform --since 2026-11-01T00:00:00Z
  order-sync dead-letters list --group-by reason
  order-sync dead-letters show order-events/3/1024
  order-sync dead-letters export --to letters.ndjson
  order-sync dead-letters import letters.ndjson
  order-sync dead-letters redrive --reason rejected_by_platform --dry-run
  order-sync dead-letters discard order-events/3/1024 --why 'a test order'";

/// Runs `order-sync dead-letters`.
pub fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    match &args.command {
        Command::List(args) => list::execute(args, shell),
        Command::Show(args) => show::execute(args, shell),
        Command::Export(args) => export::execute(args, shell),
        Command::Import(args) => import::execute(args, shell),
        Command::Redrive(args) => redrive::execute(args, shell),
        Command::Discard(args) => discard::execute(args, shell),
    }
}
