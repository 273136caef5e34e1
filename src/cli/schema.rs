//! `order-sync schema`: the JSON Schemas, generated from the types, printed, written, or compared with files.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use super::exit::{self, Exit};
use super::shell::Shell;
use crate::{config, douyin, order, sync};

/// Options of `order-sync schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// One schema; all of them, in one JSON object by name, when none is given
    #[arg(value_name = "NAME", value_parser = NAMES)]
    pub name: Option<String>,
    /// Write the schemas into this directory, one file each
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    pub write: Option<PathBuf>,
    /// Compare the files of this directory with what would be written; fail when they differ
    #[arg(long, value_name = "DIR")]
    pub check: Option<PathBuf>,
}

const HELP: &str = "\
Schemas:
  event         an order event, the value of a record
  push-request  the body that is sent to order/v2/push
  state         an order's state, as the store keeps it
  dead-letter   the headers of a record in the dead-letter topic
  changelog     the other values of the changelog, by the kind in their key
  command       an operator's command, the value of a record in the commands topic
  settings      the settings file

Examples:
  order-sync schema event > order-event.schema.json
  order-sync schema --write schemas
  order-sync schema --check schemas";

/// The names that can be asked for; [`all`] has one schema for each.
const NAMES: [&str; 7] = ["event", "push-request", "state", "dead-letter", "changelog", "command", "settings"];

/// Every schema by its name; the file is `<name>.schema.json`.
///
/// # Errors
/// When a schema cannot be written as JSON, which is a bug.
pub fn all() -> anyhow::Result<[(&'static str, Value); NAMES.len()]> {
    Ok([
        ("event", serde_json::to_value(order::schema::event_schema())?),
        ("push-request", douyin::schema::push_request_schema()),
        ("state", serde_json::to_value(order::schema::state_schema())?),
        ("dead-letter", serde_json::to_value(sync::letter_schema::dead_letter_schema())?),
        ("changelog", serde_json::to_value(sync::changelog::changelog_schema())?),
        ("command", serde_json::to_value(sync::command::command_schema())?),
        ("settings", config::schema()),
    ])
}

/// Runs `order-sync schema`.
pub fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    let wanted: Vec<(&str, Value)> =
        all()?.into_iter().filter(|(name, _)| args.name.as_deref().is_none_or(|wanted| wanted == *name)).collect();
    if let Some(directory) = &args.write {
        write(directory, &wanted, shell)?;
    } else if let Some(directory) = &args.check {
        check(directory, &wanted)?;
        shell.out.line(format!("{} schemas in {} are as the types say", wanted.len(), directory.display()))?;
    } else if let ([(_, schema)], Some(_)) = (wanted.as_slice(), &args.name) {
        shell.out.line(text(schema)?.trim_end())?;
    } else {
        let by_name: serde_json::Map<String, Value> =
            wanted.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
        shell.out.line(text(&Value::Object(by_name))?.trim_end())?;
    }
    Ok(Exit::Done)
}

fn write(directory: &Path, schemas: &[(&str, Value)], shell: &mut Shell) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    for (name, schema) in schemas {
        let path = file(directory, name);
        std::fs::write(&path, text(schema)?).with_context(|| format!("cannot write {}", path.display()))?;
        shell.out.line(path.display().to_string())?;
    }
    Ok(())
}

fn check(directory: &Path, schemas: &[(&str, Value)]) -> anyhow::Result<()> {
    let mut differing = Vec::new();
    for (name, schema) in schemas {
        let path = file(directory, name);
        let expect = text(schema)?;
        if std::fs::read_to_string(&path).map_or(true, |found| found != expect) {
            differing.push(path.display().to_string());
        }
    }
    if differing.is_empty() {
        return Ok(());
    }
    let again = format!("order-sync schema --write {}", directory.display());
    Err(exit::fail(
        Exit::Failure,
        anyhow::anyhow!("not as the types say: {}; write them anew: `make schemas`, or {again}", differing.join(", ")),
    ))
}

fn file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.schema.json"))
}

fn text(schema: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(schema)? + "\n")
}
