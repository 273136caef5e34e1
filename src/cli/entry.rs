//! From the command line to an exit code: parse, dispatch, and say an error once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use super::args::Command;
use super::exit::{self, Exit};
use super::render::{self, Out};
use super::shell::Shell;
use super::{
    apps, check, completions, dead_letters, demo, explain, help, map, orders, replay, run, sandbox, schema, store,
    topics, verify,
};

/// Runs the command line with this environment, and says how it ended.
///
/// An error is printed here and nowhere else, with its whole chain, on stderr.
pub fn main(
    args: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let cli = match help::parse(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, with code 0; a closed stdout is no reason to complain.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    let environment: BTreeMap<OsString, OsString> = environment.into_iter().collect();
    let mut shell = Shell::new(cli.globals, Out::stdout(), environment);
    let result = dispatch(cli.command, &mut shell);
    let result = result.and_then(|exit| shell.out.flush().map(|()| exit).map_err(Into::into));
    match result {
        Ok(exit) => exit.into(),
        Err(error) if render::is_closed_stdout(&error) => Exit::Done.into(),
        Err(error) => {
            render::note(format!("error: {error:#}"));
            exit::of(&error).into()
        }
    }
}

fn dispatch(command: Command, shell: &mut Shell) -> anyhow::Result<Exit> {
    match command {
        Command::Run(args) => run::execute(&args, shell),
        Command::Check(args) => check::execute(&args, shell),
        Command::Topics(args) => topics::execute(&args, shell),
        Command::Store(args) => store::execute(&args, shell),
        Command::DeadLetters(args) => dead_letters::execute(&args, shell),
        Command::Orders(args) => orders::execute(&args, shell),
        Command::Replay(args) => replay::execute(&args, shell),
        Command::Apps(args) => apps::execute(&args, shell),
        Command::Verify(args) => verify::execute(&args, shell),
        Command::Map(args) => map::execute(args, shell),
        Command::Explain(args) => explain::execute(args, shell),
        Command::Sandbox(args) => sandbox::execute(args, shell),
        Command::Demo(args) => demo::execute(args, shell),
        Command::Schema(args) => schema::execute(&args, shell),
        Command::Completions(args) => completions::completions(&args, shell),
        Command::Man(args) => completions::man(&args, shell),
    }
}
