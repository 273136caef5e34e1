//! What `check` has found: one line per part, as text or JSON, and the exit code that follows.

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::render::{Out, Output};

/// How a part does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// It works.
    Ok,
    /// It works, and somebody should look.
    Warning,
    /// It does not work.
    Fault,
    /// It was not looked at.
    Skipped,
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Line<'a> {
    part: &'a str,
    outcome: Outcome,
    message: &'a str,
}

/// Prints each finding as it comes, and remembers the first fault's exit code.
pub(super) struct Report<'a> {
    out: &'a mut Out,
    output: Output,
    exit: Exit,
}

impl<'a> Report<'a> {
    pub(super) fn new(out: &'a mut Out, output: Output) -> Self {
        Self { out, output, exit: Exit::Done }
    }

    pub(super) fn ok(&mut self, part: &str, message: impl AsRef<str>) -> anyhow::Result<()> {
        self.say(part, Outcome::Ok, message.as_ref())
    }

    pub(super) fn warn(&mut self, part: &str, message: impl AsRef<str>) -> anyhow::Result<()> {
        self.say(part, Outcome::Warning, message.as_ref())
    }

    pub(super) fn skip(&mut self, part: &str, message: impl AsRef<str>) -> anyhow::Result<()> {
        self.say(part, Outcome::Skipped, message.as_ref())
    }

    /// A fault; the first one decides how the process ends.
    pub(super) fn fault(&mut self, part: &str, message: impl AsRef<str>, exit: Exit) -> anyhow::Result<()> {
        if self.exit == Exit::Done {
            self.exit = exit;
        }
        self.say(part, Outcome::Fault, message.as_ref())
    }

    /// How the process ends.
    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    fn say(&mut self, part: &str, outcome: Outcome, message: &str) -> anyhow::Result<()> {
        let word = match outcome {
            Outcome::Ok => "ok",
            Outcome::Warning => "warning",
            Outcome::Fault => "FAULT",
            Outcome::Skipped => "skipped",
        };
        match self.output {
            Output::Text => self.out.line(format!("{word:<8} {part}: {message}"))?,
            Output::Json => self.out.json(&Line { part, outcome, message })?,
        }
        Ok(())
    }
}
