//! The subcommands of `apps`, and their help.

use super::{list, widely};
use crate::cli::exit::Exit;
use crate::cli::shell::Shell;

/// Options of `order-sync apps`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What is done with apps.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List them: what they owe, and what operators have said of them
    List(list::Args),
    /// Start no delivery of an app until it is resumed; its events are folded and owed
    Pause(widely::PauseArgs),
    /// Start an app's deliveries again
    Resume(widely::ResumeArgs),
    /// Say that rejections of an app with this code are right: they make no reject storm
    AcceptRejections(widely::AcceptArgs),
}

const HELP: &str = "\
A pause holds over restarts and moves of partitions until it is taken back. All of this needs
kafka.exactly_once. Circuits and tokens are each worker's own: `apps list --admin` asks for them.
What each ends with stands in its own help, all exit codes in `order-sync --help`.

Examples:
  order-sync apps list --config order-sync.toml
  order-sync apps pause tt1 --why 'the shop is being moved'
  order-sync apps resume tt1
  order-sync apps accept-rejections tt1 40003 --why 'these goods were taken down'";

/// Runs `order-sync apps`.
pub fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    match &args.command {
        Command::List(args) => list::execute(args, shell),
        Command::Pause(args) => widely::pause(args, shell),
        Command::Resume(args) => widely::resume(args, shell),
        Command::AcceptRejections(args) => widely::accept(args, shell),
    }
}
