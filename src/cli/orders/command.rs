//! The subcommands of `orders`, and their help.

use super::{export, fold, list, resync, show};
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;

/// Options of `order-sync orders`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What is done with orders.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show one order: what Douyin holds, and a timeline of events, attempts and dead letters
    Show(show::Args),
    /// List orders, the oldest first
    List(list::Args),
    /// Write the states of all orders as NDJSON
    Export(export::Args),
    /// Send orders' stored states again, under new stamps
    Resync(resync::Args),
    /// Fold an event that was judged stale, on your word
    Fold(fold::Args),
}

const HELP: &str = "\
All of this reads the changelog, so it needs kafka.exactly_once; to read, no worker has to run, and none is
disturbed. What changes an order is a command in <group>.commands, which the owner of its partition
executes, now or once one runs. docs/cli-json.md describes the JSON. What each ends with stands in its own
help, all exit codes in `order-sync --help`.

Examples:
  order-sync orders show A1001 --config order-sync.toml
  order-sync orders list --undelivered
  order-sync orders export > states.ndjson
  order-sync orders resync A1001 --why 'the order centre shows an old status'
  order-sync orders fold order-events/3/1024 --why 'the till was an hour behind'";

/// Runs `order-sync orders`.
pub fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Show(args) => show::execute(args, shell),
        Command::List(args) => list::execute(args, shell),
        Command::Export(args) => export::execute(args, shell),
        Command::Resync(args) => resync::execute(args, shell),
        Command::Fold(args) => fold::execute(args, shell),
    }
}
