//! `order-sync sandbox`: a strict fake Douyin for staging and CI.

use super::exit::Exit;
use super::shell::Shell;

/// Options of `order-sync sandbox`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9700")]
    pub listen: std::net::SocketAddr,
}

const HELP: &str = "\
Examples:
  order-sync sandbox
  order-sync sandbox --listen 127.0.0.1:0";

/// Runs `order-sync sandbox`.
pub fn execute(_args: Args, _shell: &mut Shell) -> anyhow::Result<Exit> {
    anyhow::bail!("`order-sync sandbox` is not built yet")
}
