//! `order-sync dead-letters import`: letters that the topic has lost are written into it again, from an export.
//!
//! What a letter is now, its status in the changelog says; the letter itself is only its text. So a letter comes back where
//! it was, byte for byte and with its time, and is what it was: one that is closed stays so. The letters of a record that came
//! back stand in their order, as the last one counts: those behind one that was lost are written again, from the file or, where
//! they are newer than it, from the topic.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::known::{Fate, Known};
use crate::cli::exit::{self, Exit};
use crate::cli::reading::{self, Reading};
use crate::cli::render::{self, Output, printable};
use crate::cli::shell::Shell;
use crate::cli::unread::LETTERS_UNKNOWN;
use crate::inspect::{LetterId, LetterRow, Statuses, Word, read_exported};
use crate::kafka::dead_letters::DeadLetterTopic;
use crate::record::{Header, Record};
use crate::sync::scan::{LogScan as _, Span};
use crate::telemetry::Meters;

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
A letter is written again where its topic has lost it, with the very bytes, partition and time that it had,
whether it is open by the changelog or was redriven, superseded or discarded: it comes back as what it was.
Where its record has come back since, the topic's newer letters are written again behind it: the last counts.
All others are told and left alone:
  present     the topic has the letters of this id
  unknown     no worker of this group has set this record aside, or a later letter of it was written
              that neither the file nor the topic has
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

/// Runs `order-sync dead-letters import`.
pub(super) fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    reading::with(shell, |reading, shell| {
        let mut known = known(&args.file, &reading.config.kafka.group_id).map_err(|e| exit::fail(Exit::Failure, e))?;
        let spans = reading.letters(None)?;
        let spans = concerned(&spans, &known, &reading.config.kafka.dead_letter_topic)?;
        find_present(&mut known, &spans, reading)?;
        judge(&mut known, &spans, reading)?;
        let wanted = known.values().map(Known::wanted).sum();
        let all = known.values().map(|known| known.file.len()).sum();
        if !args.dry_run {
            write_all(&args.file, &mut known, spans, reading)?;
        }
        reading.bar.finish_and_clear();
        tell(args, &known, (wanted, all), shell)?;
        Ok(Exit::Done)
    })
}

/// The letters of the file.
fn known(path: &Path, group: &str) -> anyhow::Result<HashMap<LetterId, Known>> {
    let (mut known, mut count) = (HashMap::new(), 0);
    each_line(path, &mut |row, record| {
        let is_group = |header: &&Header| header.name == "order-sync.group";
        let is_ours = || {
            let written_by = record.headers.iter().rfind(is_group);
            written_by.is_some_and(|header| header.value.as_deref() == Some(group.as_bytes()))
        };
        let of_record = known.entry(row.id).or_insert_with(|| Known {
            timestamp_ms: row.written_ms,
            is_ours: is_ours(),
            file: Vec::with_capacity(1),
            topic: Vec::new(),
            all: Vec::new(),
            fate: Fate::Unknown,
            done: 0,
        });
        // Of several lines for one letter one is written.
        if let Err(at) = of_record.file.binary_search(&row.times) {
            of_record.file.insert(at, row.times);
            count += 1;
        }
        anyhow::ensure!(count <= LETTERS_MAX, "more than {LETTERS_MAX} letters: split the file by partition");
        Ok(())
    })?;
    Ok(known)
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

/// Notes the letters that the topic has.
fn find_present(known: &mut HashMap<LetterId, Known>, spans: &[Span], reading: &mut Reading) -> anyhow::Result<()> {
    let topic = reading.config.kafka.dead_letter_topic.clone();
    let (bar, total) = (reading.bar.clone(), spans.iter().map(Span::offsets).sum());
    bar.set_message(topic.clone());
    let mut read = 0;
    let scanned = reading.scan.read(&topic, spans, &mut |seen| {
        read += 1;
        Reading::progress(&bar, (read, total));
        if let Some(row) = LetterRow::read(seen)
            && let Some(known) = known.get_mut(&row.id)
        {
            known.lies(row.times);
        }
        ControlFlow::Continue(())
    });
    scanned.map_err(reading::kafka)
}

/// Decides by the changelog about those that are missing.
fn judge(known: &mut HashMap<LetterId, Known>, spans: &[Span], reading: &mut Reading) -> anyhow::Result<()> {
    let mut statuses: Statuses = reading.statuses(spans)?;
    for (id, known) in known.iter_mut() {
        if known.is_whole() {
            known.judge(None);
            continue;
        }
        let word = statuses.take(&mut reading.scan, id, known.timestamp_ms).map_err(reading::kafka)?;
        let in_file = known.file.last().copied();
        let newest = match word {
            Word::Status(status) => Some(status.times),
            // Its order has left, and so has its status: nobody else tells whose it is.
            Word::Forgotten if known.is_ours => in_file,
            Word::Unknown if reading.config.kafka.topics.iter().any(|topic| *topic == *id.source.topic) => {
                // Without a changelog nobody knows; with one, its partition has no position yet.
                in_file.filter(|_| !statuses.are_kept())
            }
            Word::Forgotten | Word::CameBack | Word::Unreadable | Word::Unknown => None,
        };
        known.judge(newest);
    }
    reading.note_unread(statuses.unread(), LETTERS_UNKNOWN);
    Ok(())
}

/// Writes until the newest of each stands last: a worker may have written a newer one before ours.
fn write_all(
    path: &Path,
    known: &mut HashMap<LetterId, Known>,
    mut spans: Vec<Span>,
    reading: &mut Reading,
) -> anyhow::Result<()> {
    while known.values().any(|known| known.next().is_some()) {
        write(path, known, &spans, reading)?;
        let now = concerned(&reading.letters(None)?, known, &reading.config.kafka.dead_letter_topic)?;
        let behind = now.iter().zip(&spans).map(|(now, before)| Span { from: before.until, ..*now });
        find_present(known, &behind.collect::<Vec<_>>(), reading)?;
        known.values_mut().for_each(Known::look_again);
        spans = now;
    }
    Ok(())
}

/// Writes those that are to be written. File and topic are read as often as one record has letters to be written: those of
/// one record stand in their order.
fn write(
    path: &Path,
    known: &mut HashMap<LetterId, Known>,
    spans: &[Span],
    reading: &mut Reading,
) -> anyhow::Result<()> {
    let topic = DeadLetterTopic::connect(&reading.config.kafka, Meters::default()).map_err(reading::kafka)?;
    let mut out = Out { topic, stop: reading.stop.clone(), batch: Vec::new(), bytes: 0, written: 0 };
    while known.values().any(|known| known.next().is_some()) {
        let before = out.written;
        each_line(path, &mut |row, record| {
            if known.get_mut(&row.id).is_some_and(|known| known.is_due(row.times)) {
                out.put(row.id.source.partition, record)?;
            }
            Ok(())
        })?;
        // What is newer than the file.
        if known.values().any(|known| known.next().is_some_and(|next| !known.file.contains(&next))) {
            let (mut failed, name) = (None, reading.config.kafka.dead_letter_topic.clone());
            let scanned = reading.scan.read(&name, spans, &mut |seen| {
                let row = LetterRow::read(seen);
                let mut is_due = |row: &LetterRow| {
                    let newer = known.get_mut(&row.id).filter(|known| !known.file.contains(&row.times));
                    newer.is_some_and(|known| known.is_due(row.times))
                };
                match row.filter(|row| is_due(row)).map_or(Ok(()), |_| out.put(seen.partition(), seen.record())) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        failed = Some(error);
                        ControlFlow::Break(())
                    }
                }
            });
            failed.map_or(Ok(()), Err)?;
            scanned.map_err(reading::kafka)?;
        }
        out.flush()?;
        anyhow::ensure!(out.written > before, "{} or the topic has changed meanwhile; import again", path.display());
    }
    Ok(())
}

/// What is written next.
struct Out {
    topic: DeadLetterTopic,
    stop: CancellationToken,
    batch: Vec<(i32, Record)>,
    bytes: usize,
    written: u64,
}

impl Out {
    fn put(&mut self, partition: i32, record: Record) -> anyhow::Result<()> {
        self.written += 1;
        self.bytes += record.content_bytes();
        self.batch.push((partition, record));
        if self.bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.bytes = 0;
        self.topic.put_back(&self.batch).map_err(reading::kafka)?;
        self.batch.clear();
        anyhow::ensure!(!self.stop.is_cancelled(), "ended; what was imported by then is there: import again");
        Ok(())
    }
}

fn tell(
    args: &Args,
    known: &HashMap<LetterId, Known>,
    (wanted, all): (usize, usize),
    shell: &mut Shell,
) -> anyhow::Result<()> {
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
            let verb = if args.dry_run { "would be written" } else { "written" };
            render::note(format!("{wanted} of {all} letters {verb}"));
        }
    }
    Ok(())
}
