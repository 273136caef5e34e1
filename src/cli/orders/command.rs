//! The subcommands of `orders`, and their help.

use super::{export, list, show};
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
}

const HELP: &str = "\
All of this reads the changelog, so it needs kafka.exactly_once; no worker has to run, and none is
disturbed. docs/cli-json.md describes the JSON.

Examples:
  order-sync orders show A1001 --config order-sync.toml
  order-sync orders list --undelivered
  order-sync orders export > states.ndjson";

/// Runs `order-sync orders`.
pub fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Show(args) => show::execute(args, shell),
        Command::List(args) => list::execute(args, shell),
        Command::Export(args) => export::execute(args, shell),
    }
}
