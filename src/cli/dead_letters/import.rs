//! `order-sync dead-letters import`: letters that the topic has lost are written into it again, from an export.
//!
//! What a letter is now, its status in the changelog says; the letter itself is only its text. So a letter comes back where
//! it was, byte for byte and with its time, and only where it is missing and somebody may still want it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use crate::cli::exit::{self, Exit};
use crate::cli::reading::{self, Reading};
use crate::cli::render::{self, Output, printable};
use crate::cli::shell::Shell;
use crate::cli::unread::LETTERS_UNKNOWN;
use crate::inspect::{LetterId, LetterRow, Statuses, Word, read_exported};
use crate::kafka::dead_letters::DeadLetterTopic;
use crate::record::Record;
use crate::sync::changelog::LetterState;
use crate::sync::scan::{LogScan as _, Span};

/// Options of `order-sync dead-letters import`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// What `dead-letters export --to` has written
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Say what would be done with each letter, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

const HELP: &str = "\
A letter is written again where its topic has lost it and it is still open by the changelog, with the very
bytes, partition and time that it had; all others are told and left alone:
  present     the topic has a letter of this id
  closed      it was redriven, superseded or discarded
  unknown     no worker of this group has set this record aside, or a later letter of it was written
A file that is no export, or was changed, ends everything before anything is written. Importing again is
safe. Nothing is sent to Douyin: `dead-letters redrive` does that. `list` has imported letters before all
others, as they stand last in their topic.

Exit codes: 1 the file cannot be read or is no export; 7 Kafka or a topic is not there.

Examples:
  order-sync dead-letters import letters.ndjson --dry-run
  order-sync dead-letters import letters.ndjson";

/// Written at once, at most so many bytes but for a single letter.
const BATCH_BYTES: usize = 4 << 20;
/// A line longer than any letter: 4 MiB of record, in base64, and its headers.
const LINE_MAX: usize = 16 << 20;
/// So many letters are taken from one file, to bound memory.
const LETTERS_MAX: usize = 1_000_000;

/// What becomes of a letter of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Imported,
    Present,
    Closed,
    Unknown,
}

impl Fate {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::Present => "present",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        }
    }
}

/// What is kept of a letter until it is decided.
struct Known {
    timestamp_ms: i64,
    times: u32,
    fate: Fate,
    /// Of several lines for one letter the first is written.
    is_written: bool,
}

/// Runs `order-sync dead-letters import`.
pub(super) fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    reading::with(shell, |reading, shell| {
        let mut known = HashMap::new();
        each_line(&args.file, &mut |row, _| {
            let fresh =
                Known { timestamp_ms: row.written_ms, times: row.times, fate: Fate::Imported, is_written: false };
            known.entry(row.id).or_insert(fresh);
            anyhow::ensure!(known.len() <= LETTERS_MAX, "more than {LETTERS_MAX} letters: split the file");
            Ok(())
        })
        .map_err(|error| exit::fail(Exit::Failure, error))?;
        let spans = reading.letters(None)?;
        let spans = concerned(&spans, &known, &reading.config.kafka.dead_letter_topic)?;
        find_present(&mut known, &spans, reading)?;
        judge(&mut known, &spans, reading)?;
        if !args.dry_run {
            write(&args.file, &mut known, reading)?;
        }
        reading.bar.finish_and_clear();
        tell(args, &known, shell)?;
        Ok(Exit::Done)
    })
}

/// Reads the file from its beginning, letter by letter.
fn each_line(path: &Path, take: &mut dyn FnMut(LetterRow, Record) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(
        file.metadata().is_ok_and(|file| file.is_file()),
        "{} is no file: it is read twice, so that nothing is written before all of it was understood",
        path.display()
    );
    let (mut file, mut line) = (BufReader::new(file), Vec::new());
    for number in 1_u64.. {
        line.clear();
        let place = || format!("{}, line {number}", path.display());
        let bound = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
        std::io::Read::take(&mut file, bound).read_until(b'\n', &mut line).with_context(place)?;
        if line.is_empty() {
            break;
        }
        anyhow::ensure!(line.len() < LINE_MAX, "{}: longer than any letter", place());
        if !line.trim_ascii().is_empty() {
            let (row, record) = read_exported(&line).with_context(place)?;
            take(row, record).with_context(place)?;
        }
    }
    Ok(())
}

/// The partitions of the dead-letter topic that the file names.
fn concerned(spans: &[Span], known: &HashMap<LetterId, Known>, topic: &str) -> anyhow::Result<Vec<Span>> {
    let mut wanted: BTreeMap<i32, Option<Span>> = known.keys().map(|id| (id.source.partition, None)).collect();
    for span in spans {
        if let Some(wanted) = wanted.get_mut(&span.partition) {
            *wanted = Some(*span);
        }
    }
    let missing = |partition: i32| {
        let words =
            format!("{topic} has no partition {partition}, and the file has letters of it: is it another group's?");
        exit::fail(Exit::Failure, anyhow::anyhow!(words))
    };
    wanted.into_iter().map(|(partition, span)| span.ok_or_else(|| missing(partition))).collect()
}

/// Marks the letters that the topic has.
fn find_present(known: &mut HashMap<LetterId, Known>, spans: &[Span], reading: &mut Reading) -> anyhow::Result<()> {
    let topic = reading.config.kafka.dead_letter_topic.clone();
    let (bar, total) = (reading.bar.clone(), spans.iter().map(Span::offsets).sum());
    bar.set_message(topic.clone());
    let mut read = 0;
    let scanned = reading.scan.read(&topic, spans, &mut |seen| {
        read += 1;
        Reading::progress(&bar, (read, total));
        if let Some(known) = LetterRow::read(seen).and_then(|row| known.get_mut(&row.id)) {
            known.fate = Fate::Present;
        }
        ControlFlow::Continue(())
    });
    scanned.map_err(reading::kafka)
}

/// Decides by the changelog about those that are missing.
fn judge(known: &mut HashMap<LetterId, Known>, spans: &[Span], reading: &mut Reading) -> anyhow::Result<()> {
    let mut statuses: Statuses = reading.statuses(spans)?;
    for (id, known) in known.iter_mut().filter(|(_, known)| known.fate == Fate::Imported) {
        let word = statuses.take(&mut reading.scan, id, known.timestamp_ms).map_err(reading::kafka)?;
        known.fate = match word {
            Word::Status(status) if status.state != LetterState::Open => Fate::Closed,
            // The letter of that time is the one that is lost; this is an earlier one.
            Word::Status(status) if status.times != known.times => Fate::Unknown,
            Word::Status(_) => Fate::Imported,
            Word::Forgotten => Fate::Closed,
            Word::Unknown if reading.config.kafka.topics.iter().any(|topic| *topic == *id.source.topic) => {
                // Without a changelog nobody knows; with one, its partition has no position yet.
                if statuses.are_kept() { Fate::Unknown } else { Fate::Imported }
            }
            Word::CameBack | Word::Unreadable | Word::Unknown => Fate::Unknown,
        };
    }
    reading.note_unread(statuses.unread(), LETTERS_UNKNOWN);
    Ok(())
}

/// Writes those that are to be written.
fn write(path: &Path, known: &mut HashMap<LetterId, Known>, reading: &Reading) -> anyhow::Result<()> {
    let mut topic = DeadLetterTopic::connect(&reading.config.kafka).map_err(reading::kafka)?;
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let mut flush = |batch: &mut Vec<(i32, Record)>| {
        topic.put_back(batch).map_err(reading::kafka)?;
        batch.clear();
        anyhow::ensure!(!reading.stop.is_cancelled(), "ended; what was imported by then is there: import again");
        Ok(())
    };
    each_line(path, &mut |row, record| {
        let wanted = known.get_mut(&row.id).filter(|known| known.fate == Fate::Imported && !known.is_written);
        if let Some(known) = wanted {
            known.is_written = true;
            bytes += record.content_bytes();
            batch.push((row.id.source.partition, record));
            if bytes >= BATCH_BYTES {
                bytes = 0;
                flush(&mut batch)?;
            }
        }
        Ok(())
    })?;
    flush(&mut batch)
}

fn tell(args: &Args, known: &HashMap<LetterId, Known>, shell: &mut Shell) -> anyhow::Result<()> {
    let mut rows: Vec<_> = known.iter().map(|(id, known)| (id, known.fate)).collect();
    rows.sort_unstable();
    match shell.output() {
        Output::Json => {
            for (id, fate) in rows {
                shell.out.json(&json!({"id": id.to_string(), "outcome": fate.as_str(), "dry_run": args.dry_run}))?;
            }
        }
        Output::Text => {
            let table = rows.iter().map(|(id, fate)| vec![fate.as_str().to_owned(), printable(&id.to_string())]);
            if !rows.is_empty() {
                shell.out.table(&["OUTCOME", "ID"], table)?;
            }
            let written = rows.iter().filter(|(_, fate)| *fate == Fate::Imported).count();
            let verb = if args.dry_run { "would be written" } else { "written" };
            render::note(format!("{written} of {} letters {verb}", rows.len()));
        }
    }
    Ok(())
}
