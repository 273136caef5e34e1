//! What is said of a command: that it is written, what became of it, or that it still waits.

use serde_json::json;

use super::giver::Given;
use crate::cli::render::{Output, printable};
use crate::cli::shell::Shell;
use crate::cli::times;
use crate::sync::command::{CommandDone, Outcome};

/// How far a command has come.
pub(super) enum Stage<'a> {
    /// It is in the topic, and is not waited for.
    Written,
    /// Nobody has executed it within the time.
    Waiting,
    /// It was executed, or refused.
    Done(&'a CommandDone),
}

/// Says it.
pub(super) fn tell(given: &Given, stage: &Stage<'_>, shell: &mut Shell) -> std::io::Result<()> {
    match shell.output() {
        Output::Json => shell.out.json(&line(given, stage)),
        Output::Text => {
            let subject = printable(&given.subject);
            let (word, message) = match stage {
                Stage::Written => ("written", String::new()),
                Stage::Waiting => ("waiting", "no worker has executed it yet".to_owned()),
                Stage::Done(done) => (done.outcome.as_str(), printable(&done.message)),
            };
            let stamp = match stage {
                Stage::Done(CommandDone { update_time: Some(stamp), .. }) => format!(" (update_time {stamp})"),
                Stage::Written | Stage::Waiting | Stage::Done(_) => String::new(),
            };
            let colon = if message.is_empty() { "" } else { ": " };
            shell.out.line(format!("{word:<11} {subject}{colon}{message}{stamp}"))
        }
    }
}

fn line(given: &Given, stage: &Stage<'_>) -> serde_json::Value {
    let command = &given.command;
    let done = if let Stage::Done(done) = stage { Some(*done) } else { None };
    let word = match stage {
        Stage::Written => "written",
        Stage::Waiting => "waiting",
        Stage::Done(done) => done.outcome.as_str(),
    };
    json!({
        "kind": "outcome",
        "command_id": &*command.id,
        "command": command.action.as_str(),
        "subject": given.subject,
        "topic": &*command.source.topic,
        "partition": command.source.partition,
        "offset": command.action.offset().map(crate::record::RecordOffset::get),
        "outcome": word,
        "message": done.map(|done| &*done.message),
        "app_id": done.and_then(|done| done.app_id.as_ref()).map(crate::order::AppId::as_str),
        "order_id": done.and_then(|done| done.order_id.as_deref()),
        "update_time": done.and_then(|done| done.update_time).map(|stamp| stamp.0),
        "at": done.map(|done| times::rfc3339(done.at_ms)),
    })
}

/// Whether what was asked for has not come about.
pub(super) fn is_failure(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Refused | Outcome::Stale | Outcome::DeadLetter => true,
        Outcome::Sent
        | Outcome::Folded
        | Outcome::Unchanged
        | Outcome::Duplicate
        | Outcome::Superseded
        | Outcome::Done => false,
    }
}
