//! `order-sync dead-letters list`: rows the newest first, or counts.

use std::collections::HashMap;

use serde::Serialize;

use super::select::Select;
use crate::cli::exit::Exit;
use crate::cli::reading::{self, Reading};
use crate::cli::render::{self, Output, Reader, printable};
use crate::cli::shell::Shell;
use crate::cli::times;
use crate::cli::unread::LETTERS_OPEN;
use crate::inspect::{Copies, Letters, Listed};

/// Rows of one table; a longer list is several tables, so that the first rows need not wait for the last.
const PAGE: usize = 100;
/// What can be counted by: an id of an order is not, as there may be millions.
const GROUPS_MAX: usize = 10_000;

/// Options of `order-sync dead-letters list`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Which letters.
    #[command(flatten)]
    pub select: Select,
    /// At most so many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50, conflicts_with = "group_by")]
    pub limit: usize,
    /// Count them instead, by this
    #[arg(long, value_name = "WHAT", value_enum)]
    pub group_by: Option<GroupBy>,
}

/// What letters are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum GroupBy {
    /// The reason code.
    Reason,
    /// What has become of them.
    Status,
    /// The app.
    App,
    /// The source topic.
    Topic,
    /// The platform's code.
    ErrCode,
}

const HELP: &str = "\
The newest letter first, each record once. `show` has the whole of one, and what to do about it.
With --output json one object per line:
  {\"id\", \"reason\", \"status\", \"app_id\", \"order_id\", \"update_time\", \"err_code\", \"attempts\", \"times\",
   \"first_failed_at\", \"last_failed_at\"}, and with --group-by {\"group_by\", \"value\", \"count\"}

Exit codes: 2 an --app or --topic that is in no setting and in no letter; 7 Kafka or a topic is not there.

Examples:
  order-sync dead-letters list --status open --limit 20
  order-sync dead-letters list --order A1001 --output json
  order-sync dead-letters list --group-by err-code --since 2026-11-25T00:00:00Z";

/// One letter as JSON; these names are a promise.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    id: String,
    reason: &'a str,
    status: &'a str,
    app_id: Option<&'a str>,
    order_id: Option<&'a str>,
    update_time: Option<i64>,
    err_code: Option<i64>,
    attempts: u32,
    times: u32,
    first_failed_at: Option<&'a str>,
    last_failed_at: Option<&'a str>,
}

/// Runs `order-sync dead-letters list`.
pub(super) fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    reading::with(shell, |reading, shell| {
        let mut letters = args.select.letters(Copies::Newest, reading)?;
        match args.group_by {
            Some(by) => count(&mut letters, by, args, reading, shell)?,
            None => list(&mut letters, args, reading, shell)?,
        }
        reading.note_unread(letters.unread(), LETTERS_OPEN);
        if letters.foreign() > 0 {
            let foreign = letters.foreign();
            reading.bar.suspend(|| {
                render::note(format!(
                    "note: {foreign} records there are no dead letters of order-sync, and were left out"
                ));
            });
        }
        Ok(Exit::Done)
    })
}

fn list(letters: &mut Letters, args: &Args, reading: &mut Reading, shell: &mut Shell) -> anyhow::Result<()> {
    let limit = args.limit;
    let (mut told, mut pages, mut page) = (0, 0, Vec::new());
    if shell.output() == Output::Json {
        reading.hide_bar_from(shell);
    }
    let bar = reading.bar.clone();
    while limit == 0 || told < limit {
        let next =
            letters.next(&mut reading.scan, &mut |read| Reading::progress(&bar, read)).map_err(reading::kafka)?;
        let Some(listed) = next else { break };
        told += 1;
        match shell.output() {
            Output::Json => shell.out.json(&line(&listed))?,
            Output::Text => page.push(row(&listed)),
        }
        if page.len() >= PAGE {
            bar.suspend(|| table(std::mem::take(&mut page), pages, shell))?;
            pages += 1;
        }
    }
    bar.finish_and_clear();
    if told == 0 {
        args.select.found_nothing(reading)?;
    }
    if shell.output() == Output::Text {
        if told == 0 {
            shell.out.line("no dead letters")?;
        } else {
            table(page, pages, shell)?;
        }
    }
    if limit > 0 && told == limit {
        let more = letters.next(&mut reading.scan, &mut |_| {}).map_err(reading::kafka)?;
        if more.is_some() {
            render::note(format!("note: the newest {limit} are shown, and there are more: --limit N, or 0 for all"));
        }
    }
    Ok(())
}

/// One page of the table, behind so many: a person sees the header with each, a program reads it once.
fn table(rows: Vec<Vec<String>>, pages: usize, shell: &mut Shell) -> std::io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    if pages > 0 && shell.out.reader() == Reader::Pipe {
        return shell.out.rows(rows);
    }
    let header = ["ID", "REASON", "STATUS", "APP", "ORDER", "CODE", "ATTEMPTS", "TIMES", "LAST FAILED (UTC)"];
    shell.out.table(&header, rows)
}

fn row(listed: &Listed) -> Vec<String> {
    let row = &listed.row;
    let text = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), printable);
    vec![
        printable(&row.id.to_string()),
        printable(&row.reason),
        listed.state().as_str().to_owned(),
        text(row.app()),
        text(row.order_id.as_deref()),
        row.err_code.map_or_else(|| "-".to_owned(), |code| code.to_string()),
        row.attempts.to_string(),
        row.times.to_string(),
        times::short(&text(row.last_failed_at.as_deref())),
    ]
}

pub(super) fn line(listed: &Listed) -> Line<'_> {
    let row = &listed.row;
    Line {
        id: row.id.to_string(),
        reason: &row.reason,
        status: listed.state().as_str(),
        app_id: row.app(),
        order_id: row.order_id.as_deref(),
        update_time: row.update_time,
        err_code: row.err_code,
        attempts: row.attempts,
        times: row.times,
        first_failed_at: row.first_failed_at.as_deref(),
        last_failed_at: row.last_failed_at.as_deref(),
    }
}

fn count(
    letters: &mut Letters,
    by: GroupBy,
    args: &Args,
    reading: &mut Reading,
    shell: &mut Shell,
) -> anyhow::Result<()> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    let bar = reading.bar.clone();
    let mut progress = |read| Reading::progress(&bar, read);
    while let Some(listed) = letters.next(&mut reading.scan, &mut progress).map_err(reading::kafka)? {
        let value = by.value(&listed);
        let is_new = !counts.contains_key(&value);
        let value = if is_new && counts.len() >= GROUPS_MAX { "(others)".to_owned() } else { value };
        *counts.entry(value).or_default() += 1;
    }
    bar.finish_and_clear();
    if counts.is_empty() {
        args.select.found_nothing(reading)?;
    }
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
    match shell.output() {
        Output::Json => {
            for (value, count) in counts {
                shell.out.json(&serde_json::json!({"group_by": by.name(), "value": value, "count": count}))?;
            }
        }
        Output::Text => {
            let rows = counts.into_iter().map(|(value, count)| vec![printable(&value), count.to_string()]);
            shell.out.table(&[&by.name().to_uppercase(), "COUNT"], rows)?;
        }
    }
    Ok(())
}

impl GroupBy {
    const fn name(self) -> &'static str {
        match self {
            Self::Reason => "reason",
            Self::Status => "status",
            Self::App => "app",
            Self::Topic => "topic",
            Self::ErrCode => "err-code",
        }
    }

    fn value(self, listed: &Listed) -> String {
        let none = || "-".to_owned();
        match self {
            Self::Reason => listed.row.reason.to_string(),
            Self::Status => listed.state().as_str().to_owned(),
            Self::App => listed.row.app().map_or_else(none, str::to_owned),
            Self::Topic => listed.row.id.source.topic.to_string(),
            Self::ErrCode => listed.row.err_code.map_or_else(none, |code| code.to_string()),
        }
    }
}
