//! `order-sync run`: the worker.

use super::exit::Exit;
use super::shell::Shell;

/// Options of `order-sync run`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// End with 0 once every partition has reached the end it had at the start and nothing is owed
    #[arg(long)]
    pub until_caught_up: bool,
}

const HELP: &str = "\
Examples:
  order-sync run --config order-sync.toml
  order-sync run --config order-sync.toml --until-caught-up     a batch: work off what is there, then end
  order-sync run --config order-sync.toml --set log.level=debug

SIGTERM and SIGINT drain within `shutdown_timeout`, commit, and end with 0; a second signal ends at once.
Metrics and health: http://127.0.0.1:9600/metrics, /livez, /readyz (`admin.listen`).";

/// Runs `order-sync run`.
pub fn execute(_args: Args, _shell: &mut Shell) -> anyhow::Result<Exit> {
    anyhow::bail!("`order-sync run` is not built yet")
}
