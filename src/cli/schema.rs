//! `order-sync schema`: the JSON Schemas, generated from the types.

use super::exit::Exit;
use super::shell::Shell;

/// Options of `order-sync schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// One schema; all of them when none is named
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Write the schemas into this directory, one file each
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    pub write: Option<std::path::PathBuf>,
    /// Compare the files of this directory with what would be written; fail when they differ
    #[arg(long, value_name = "DIR")]
    pub check: Option<std::path::PathBuf>,
}

const HELP: &str = "\
Examples:
  order-sync schema event
  order-sync schema --write schemas
  order-sync schema --check schemas";

/// Runs `order-sync schema`.
pub fn execute(_args: Args, _shell: &mut Shell) -> anyhow::Result<Exit> {
    anyhow::bail!("`order-sync schema` is not built yet")
}
