//! `order-sync explain`: judges one answer of the platform and names the rule.

use super::exit::Exit;
use super::shell::Shell;

/// Options of `order-sync explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// The HTTP status of the answer
    #[arg(long, value_name = "CODE", default_value_t = 200)]
    pub status: u16,
    /// The body of the answer
    #[arg(long, value_name = "TEXT")]
    pub body: String,
}

const HELP: &str = "\
Examples:
  order-sync explain --body '{\"err_code\":40014,\"err_msg\":\"bad access token\",\"body\":\"\"}'
  order-sync explain --status 503 --body upstream --output json";

/// Runs `order-sync explain`.
pub fn execute(_args: Args, _shell: &mut Shell) -> anyhow::Result<Exit> {
    anyhow::bail!("`order-sync explain` is not built yet")
}
