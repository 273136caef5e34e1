//! `order-sync map`: what the worker would make of events, folded in memory in the order given.

use super::exit::Exit;
use super::shell::Shell;

/// Options of `order-sync map`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Files with one JSON event per line; standard input when none is named
    #[arg(value_name = "FILE")]
    pub files: Vec<std::path::PathBuf>,
}

const HELP: &str = "\
Exit code 3 when at least one event is a dead letter.

Examples:
  order-sync map --config order-sync.toml events.jsonl
  producer | order-sync map --config order-sync.toml --output json";

/// Runs `order-sync map`.
pub fn execute(_args: Args, _shell: &mut Shell) -> anyhow::Result<Exit> {
    anyhow::bail!("`order-sync map` is not built yet")
}
