//! `order-sync map`: what the worker would make of events, folded in memory in the order given.
//!
//! It needs no Kafka, no store and no network; record keys are not judged, because a line has none.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::exit::{self, Exit};
use super::map_lines::{Line, next_line};
use super::map_log::{Apps, Log, Mapped, too_large};
use super::map_rules::{CLIENT_KEY, Mapping};
use super::map_text::describe;
use super::render::{self, Out, Output};
use super::shell::Shell;
use crate::app::settings;

/// Options of `order-sync map`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Files with one JSON event per line; standard input when none is named, or for `-`
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

const HELP: &str = "\
One line out per event: {\"order_id\", \"outcome\", \"reason\", \"message\", \"update_time\", \"request\"}. The outcome is
advanced, unchanged, duplicate, stale or dead_letter. `reason` and `message` stand there for dead letters only;
`order_id` is null where it could not be read; `update_time` is the order's stamp after an event that was folded,
`request` what would be sent, without access_token; both are null otherwise. The number of a line, counted over all
files, stands for the record's offset. Blank lines are skipped. Text instead of JSON on a terminal.

Without a settings file every app_id is taken, update_time is in seconds, and client_key is a placeholder, unless apps
come from ORDER_SYNC__APPS__… or --set. Everything else that is set there counts with and without a file.

Exit code 3 when at least one event is a dead letter.

Examples:
  order-sync map --config order-sync.toml events.jsonl
  producer | order-sync map --config order-sync.toml --output json";

/// Runs `order-sync map`.
pub fn execute(args: Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    let config = shell.config(shell.need_to_map())?;
    let rules = settings::event_rules(&config);
    let log = if rules.apps.is_empty() {
        render::note(format!(
            "no settings file: every app_id is taken, update_time is in seconds, client_key is {CLIENT_KEY}"
        ));
        let max_clock_skew_ms = rules.max_clock_skew_ms;
        Log::new(Apps::Any { max_clock_skew_ms }, BTreeMap::new(), Mapping::AnyApp(Box::new(config)))
    } else {
        Log::new(Apps::Configured(rules), settings::units(&config), Mapping::configured(&config))
    };
    let form = shell.output_by_reader();
    let mut run = MapRun { log, form, out: &mut shell.out, number: 0, dead_letters: 0 };
    let files = if args.files.is_empty() { vec![PathBuf::from("-")] } else { args.files };
    for path in &files {
        run.file(path)?;
    }
    Ok(if run.dead_letters > 0 { Exit::DeadLetters } else { Exit::Done })
}

/// One run over all files.
struct MapRun<'a> {
    log: Log<Mapping>,
    form: Output,
    out: &'a mut Out,
    /// Counts the lines of all files.
    number: i64,
    dead_letters: u64,
}

impl MapRun<'_> {
    fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        if path.as_os_str() == "-" {
            if io::stdin().is_terminal() {
                render::note("reading events from standard input, one JSON object per line");
            }
            return self.lines(&mut io::stdin().lock(), "standard input");
        }
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot open {name}"));
        self.lines(&mut BufReader::new(file.map_err(|error| exit::fail(Exit::Usage, error))?), &name)
    }

    fn lines(&mut self, input: &mut impl BufRead, name: &str) -> anyhow::Result<()> {
        let mut buffer = Vec::new();
        while let Some(line) = next_line(input, &mut buffer).with_context(|| format!("cannot read {name}"))? {
            self.number += 1;
            let now_ms = jiff::Timestamp::now().as_millisecond();
            match line {
                Line::Blank => {}
                Line::TooLarge(bytes) => self.say(&too_large(bytes))?,
                Line::Event => {
                    let mapped = self.log.fold_line(&buffer, self.number, now_ms)?;
                    self.say(&mapped)?;
                }
            }
        }
        Ok(())
    }

    fn say(&mut self, mapped: &Mapped) -> anyhow::Result<()> {
        self.dead_letters += u64::from(mapped.reason.is_some());
        match self.form {
            Output::Json => self.out.json(mapped)?,
            Output::Text => self.out.line(describe(self.number, mapped))?,
        }
        Ok(())
    }
}
