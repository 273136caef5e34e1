//! `order-sync check`: the settings, then Kafka, the store and the token endpoints.

use super::exit::Exit;
use super::shell::Shell;

/// Options of `order-sync check`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Check the settings only; reach nothing over the network
    #[arg(long)]
    pub offline: bool,
    /// Print the settings in force, without secrets, and reach nothing
    #[arg(long)]
    pub print: bool,
}

const HELP: &str = "\
Examples:
  order-sync check --config order-sync.toml
  order-sync check --config order-sync.toml --offline
  order-sync check --config order-sync.toml --print

A token is fetched for each app; on the platform that retires older tokens of the app after 5 minutes,
and running workers fetch a new one by themselves.";

/// Runs `order-sync check`.
pub fn execute(_args: Args, _shell: &mut Shell) -> anyhow::Result<Exit> {
    anyhow::bail!("`order-sync check` is not built yet")
}
