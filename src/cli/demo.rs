//! `order-sync demo`: embedded broker, sandbox, worker and a seeded order log, and a check of the result.

use super::exit::Exit;
use super::shell::Shell;

/// Options of `order-sync demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Leave everything up, print the addresses and what to try next
    #[arg(long)]
    pub keep: bool,
    /// How many orders the seeded log holds
    #[arg(long, value_name = "N", default_value_t = 3000)]
    pub orders: u32,
    /// The seed of the order log; the same seed gives the same log
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

const HELP: &str = "\
Exit code 0 only when the sandbox holds exactly the final state of every order.

Examples:
  order-sync demo
  order-sync demo --keep";

/// Runs `order-sync demo`.
pub fn execute(_args: Args, _shell: &mut Shell) -> anyhow::Result<Exit> {
    anyhow::bail!("`order-sync demo` is not built yet")
}
