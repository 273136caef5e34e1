//! `order-sync dead-letters export`: letters as NDJSON, with the original's raw bytes in base64.
//!
//! The bytes are the original's, so customers' data is in them: they go to a file that only its owner may read, or, where
//! that was asked for by name, to stdout.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::list;
use super::select::Select;
use crate::cli::exit::{self, Exit};
use crate::cli::reading::{self, Reading};
use crate::cli::render;
use crate::cli::shell::Shell;
use crate::cli::unread::LETTERS_OPEN;
use crate::inspect::{Copies, EXPORT_FORMAT, ExportedLetter, LetterDetail, Listed};
use crate::record::{NextOffset, RecordOffset};
use crate::sync::scan::{LogScan as _, Span};

/// Options of `order-sync dead-letters export`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Which letters.
    #[command(flatten)]
    pub select: Select,
    /// Write them into this new file, which only you may read
    #[arg(long, value_name = "FILE", required_unless_present = "show_personal_data")]
    pub to: Option<PathBuf>,
    /// Write them to stdout, customers' data and all
    #[arg(long, conflicts_with = "to")]
    pub show_personal_data: bool,
}

const HELP: &str = "\
One JSON object per line: what `list` tells, `record` with key, value and headers of the original in
base64, and `letter` with where the letter lies and the headers of order-sync. Of a record that came back
every letter is written, the earlier ones with the status redriven. The order of the lines is not promised. The bytes are the original's, open_id and all: the file is made with mode 0600, and an
existing one is not overwritten. docs/cli-json.md describes the form.

Without an option that chooses, the file is what `dead-letters import` needs should the topic be lost.

Exit codes: 1 the file is there already, or cannot be written; 2 an --app or --topic that is in no setting and
in no letter; 7 Kafka or a topic is not there.

Examples:
  order-sync dead-letters export --to letters.ndjson
  order-sync dead-letters export --to open.ndjson --status open
  order-sync dead-letters export --show-personal-data | gzip > letters.ndjson.gz";

/// Letters whose records are read at once.
const PAGE: usize = 2000;

/// One line.
#[derive(serde::Serialize)]
struct Exported<'a> {
    format: u32,
    #[serde(flatten)]
    listed: list::Line<'a>,
    #[serde(flatten)]
    letter: ExportedLetter,
}

/// Runs `order-sync dead-letters export`.
pub(super) fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    reading::with(shell, |reading, shell| {
        let count = if let Some(path) = &args.to {
            let mut file = BufWriter::new(private(path)?);
            let count = write(&args.select, reading, &mut file)?;
            file.flush().with_context(|| format!("cannot write {}", path.display()))?;
            count
        } else {
            reading.hide_bar_from(shell);
            write(&args.select, reading, &mut shell.out)?
        };
        reading.bar.finish_and_clear();
        if count == 0 {
            // An empty file would stand in the way of the next try.
            let gone = |_: &anyhow::Error| args.to.iter().for_each(|path| std::fs::remove_file(path).unwrap_or(()));
            args.select.found_nothing(reading).inspect_err(gone)?;
        }
        if let Some(path) = &args.to {
            let path = path.display();
            render::note(format!(
                "{count} dead letters written to {path}; it holds customers' data, as the originals do"
            ));
        }
        Ok(Exit::Done)
    })
}

/// A new file that nobody else may read.
fn private(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let words = || format!("cannot make {}; an existing file is not overwritten", path.display());
    options.open(path).with_context(words).map_err(|error| exit::fail(Exit::Failure, error))
}

/// Rows are found first, page by page, and their records are read after them, forward: one record at a time is in memory.
fn write(select: &Select, reading: &mut Reading, out: &mut dyn Write) -> anyhow::Result<u64> {
    let mut letters = select.letters(Copies::WithNewest, reading)?;
    let topic = reading.config.kafka.dead_letter_topic.clone();
    let (bar, mut count) = (reading.bar.clone(), 0);
    loop {
        let mut page: HashMap<(i32, RecordOffset), Listed> = HashMap::new();
        while page.len() < PAGE {
            let mut progress = |read| Reading::progress(&bar, read);
            let next = letters.next(&mut reading.scan, &mut progress).map_err(reading::kafka)?;
            let Some(listed) = next else { break };
            page.insert(listed.row.place, listed);
        }
        if page.is_empty() {
            reading.note_unread(letters.unread(), LETTERS_OPEN);
            return Ok(count);
        }
        count += copy(&page, &topic, reading, out)?;
    }
}

/// Writes the letters of a page.
fn copy(
    page: &HashMap<(i32, RecordOffset), Listed>,
    topic: &str,
    reading: &mut Reading,
    out: &mut dyn Write,
) -> anyhow::Result<u64> {
    let mut spans: BTreeMap<i32, Span> = BTreeMap::new();
    for (partition, offset) in page.keys() {
        let (from, until) = (NextOffset::new(offset.get()), offset.next());
        let span = spans.entry(*partition).or_insert(Span { partition: *partition, from, until });
        (span.from, span.until) = (span.from.min(from), span.until.max(until));
    }
    let spans: Vec<Span> = spans.into_values().collect();
    let (mut written, mut failed) = (0, None);
    let read = reading.scan.read(topic, &spans, &mut |seen| {
        let Some(listed) = page.get(&(seen.partition(), seen.offset())) else { return ControlFlow::Continue(()) };
        let Some(letter) = LetterDetail::read(seen) else { return ControlFlow::Continue(()) };
        written += 1;
        match line(listed, &letter).and_then(|line| Ok(out.write_all(line.as_bytes())?)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    read.map_err(reading::kafka)?;
    failed.map_or(Ok(written), Err)
}

/// The line of one letter.
fn line(listed: &Listed, letter: &LetterDetail) -> anyhow::Result<String> {
    let line = Exported { format: EXPORT_FORMAT, listed: list::line(listed), letter: ExportedLetter::of(letter) };
    Ok(serde_json::to_string(&line)? + "\n")
}
