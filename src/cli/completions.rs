//! `order-sync completions` and `order-sync man`: what a shell and `man` need to know of the command line, made from the
//! same definitions as the help.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap_complete::Shell as Kind;

use super::exit::Exit;
use super::help;
use super::shell::Shell;

/// Options of `order-sync completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETIONS_HELP)]
pub struct CompletionsArgs {
    /// For this shell
    #[arg(value_name = "SHELL", value_enum)]
    pub kind: Kind,
}

const COMPLETIONS_HELP: &str = "\
Examples:
  order-sync completions bash > /etc/bash_completion.d/order-sync
  order-sync completions zsh > \"${fpath[1]}/_order-sync\"
  order-sync completions fish > ~/.config/fish/completions/order-sync.fish";

/// Options of `order-sync man`.
#[derive(Debug, clap::Args)]
#[command(after_help = MAN_HELP)]
pub struct ManArgs {
    /// Write a page for every command into this directory; without it the page of order-sync itself is printed
    #[arg(long, value_name = "DIR")]
    pub write: Option<PathBuf>,
}

const MAN_HELP: &str = "\
Examples:
  order-sync man | man -l -
  order-sync man --write /usr/local/share/man/man1";

/// Runs `order-sync completions`.
pub fn completions(args: &CompletionsArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    // It would panic over a closed stdout.
    let mut script = Vec::new();
    clap_complete::generate(args.kind, &mut help::command(), "order-sync", &mut script);
    shell.out.line(String::from_utf8(script).context("a completion script is not text")?.trim_end())?;
    Ok(Exit::Done)
}

/// Runs `order-sync man`.
pub fn man(args: &ManArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    let mut root = help::command();
    root.build();
    match &args.write {
        None => shell.out.line(page(&root)?.trim_end())?,
        Some(directory) => {
            std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
            write(&root, "order-sync", directory, shell)?;
        }
    }
    Ok(Exit::Done)
}

/// The page of a command, and those of its subcommands: `order-sync-orders-show.1`.
fn write(command: &clap::Command, name: &str, directory: &Path, shell: &mut Shell) -> anyhow::Result<()> {
    let path = directory.join(format!("{name}.1"));
    // The name in the page is that of the file, which `man` is asked for.
    let text = page(&command.clone().name(name.to_owned()))?;
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    shell.out.line(path.display().to_string())?;
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        write(below, &format!("{name}-{}", below.get_name()), directory, shell)?;
    }
    Ok(())
}

fn page(command: &clap::Command) -> anyhow::Result<String> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text).context("cannot make a man page")?;
    String::from_utf8(text).context("a man page is not text")
}
