//! The command line as it is parsed and told: the texts below the options flow with the terminal's width.
//!
//! In the sources their lines are broken by hand; a terminal that is narrower would break them once more, into ragged ones.

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _};

use super::args::Cli;

/// The command line.
pub(super) fn command() -> clap::Command {
    Cli::command().mut_subcommands(flowing)
}

/// Reads a command line; help and version come as errors, too.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches = command().try_get_matches_from(args)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command()))
}

fn flowing(command: clap::Command) -> clap::Command {
    let help = command.get_after_help().map(|help| flow(&help.to_string()));
    let command = match help {
        Some(help) => command.after_help(help),
        None => command,
    };
    command.mut_subcommands(flowing)
}

/// Paragraphs on one line each. What is indented stays as it is, and so does what stands under a heading.
fn flow(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = "";
    for (number, line) in text.lines().enumerate() {
        let is_prose = |line: &str| !line.is_empty() && !line.starts_with(' ');
        let goes_on = is_prose(before) && is_prose(line) && !before.ends_with(':');
        if number > 0 {
            out.push(if goes_on { ' ' } else { '\n' });
        }
        out.push_str(line);
        before = line;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_flow_and_examples_stay() {
        let text = "One\ntwo.\n  indented\nThree:\nfour\n\nFive\nsix.\n\nExamples:\n  a\n  b";
        let expect = "One two.\n  indented\nThree:\nfour\n\nFive six.\n\nExamples:\n  a\n  b";
        assert_eq!(flow(text), expect);
    }

    /// Who is woken at night looks here first: how it is typed, and what a script is told.
    #[test]
    fn the_help_of_every_tool_has_examples_and_says_what_it_ends_with() {
        let (mut tools, tree) = (0, command());
        for name in ["dead-letters", "orders", "apps", "replay", "verify", "store", "topics"] {
            let command = tree.find_subcommand(name).unwrap();
            let leaves: Vec<&clap::Command> = command.get_subcommands().collect();
            for leaf in if leaves.is_empty() { vec![command] } else { leaves } {
                let help = leaf.get_after_help().map(ToString::to_string).unwrap_or_default();
                let name = format!("{name} {}", leaf.get_name());
                assert!(help.contains("\nExamples:\n  order-sync "), "{name} has no examples: {help}");
                assert!(help.contains("\nExit codes: "), "{name} does not say what it ends with: {help}");
                // A terminal breaks what is longer, examples too.
                let mut fixed = help.lines().filter(|line| line.starts_with(' '));
                assert!(fixed.all(|line| line.chars().count() <= 100), "{name}: {help}");
                tools += 1;
            }
        }
        assert!(tools >= 20, "{tools}");
    }
}
