//! The plan from a file: its events folded in the order given, compared with every partition of the changelog.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use anyhow::Context as _;

use super::command::{Args, rules};
use super::from_topic::FOLDED_BYTES_MAX;
use super::plan::Plan;
use crate::app::settings;
use crate::cli::exit::{self, Exit};
use crate::cli::map_lines::{Line, next_line};
use crate::cli::reading::{self, Reading};
use crate::cli::render;
use crate::cli::shell::Shell;
use crate::cli::unread::REPLAYED_WITHOUT;
use crate::cli::verify::mappers;
use crate::inspect::replay::{Against, FileFold, Looks, read_held};
use crate::record::TopicPartition;
use crate::sync::scan::ScanError;

/// So many lines are folded between two looks for a stop.
const LINES_PER_LOOK: i64 = 4096;

/// Replays the file.
pub(super) fn replay(
    args: &Args,
    path: &Path,
    plan: &mut Plan,
    looks: &mut Looks,
    reading: &mut Reading,
    shell: &mut Shell,
) -> anyhow::Result<()> {
    let held_spans = reading.changelog()?;
    let only: BTreeSet<String> = args.order.iter().cloned().collect();
    let mapper = settings::mapper(&reading.config);
    let others = mappers(&reading.config);
    let rules = rules(&reading.config, &mapper, &others);
    let mut fold = FileFold::new(&rules, &only, FOLDED_BYTES_MAX);
    if path.as_os_str() == "-" {
        fold_lines(&mut io::stdin().lock(), "standard input", &mut fold, reading)?;
    } else {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot open {name}"));
        let mut input = BufReader::new(file.map_err(|error| exit::fail(Exit::Usage, error))?);
        fold_lines(&mut input, &name, &mut fold, reading)?;
    }
    plan.tally.events = fold.counts.events;
    plan.tally.unread = fold.counts.unread;
    let (changelog, topics) = (reading.config.kafka.changelog_topic.clone(), reading.config.kafka.topics.clone());
    let bar = reading.bar.clone();
    let every: u64 = held_spans.iter().map(crate::sync::scan::Span::offsets).sum();
    bar.set_length(every * u64::try_from(topics.len()).unwrap_or(1));
    for (topic, within) in topics.iter().flat_map(|topic| held_spans.iter().map(move |span| (topic, *span))) {
        bar.set_message(format!("{changelog}/{}", within.partition));
        let mut progress = |more| bar.inc(more);
        let held = read_held(&mut reading.scan, &changelog, within, topic, &mut progress).map_err(reading::kafka)?;
        reading.note_unread(&held.unread, REPLAYED_WITHOUT);
        let source = TopicPartition::new(topic.as_str(), within.partition);
        let against = Against { source: &source, held: &held, changelog: (&changelog, within) };
        let told = fold.compare(&mut reading.scan, &against, looks, &mut |finding| {
            plan.tally.count(&finding);
            bar.suspend(|| plan.take(finding, shell))
        });
        plan.settle()?;
        let _end = told.map_err(reading::kafka)?;
    }
    let told = fold.rest(&mut reading.scan, looks, &mut |finding| {
        plan.tally.count(&finding);
        bar.suspend(|| plan.take(finding, shell))
    });
    plan.settle()?;
    let _end = told.map_err(reading::kafka)?;
    render::note(
        "note: a file has no offsets: what the workers have yet to read looks like what they have missed. Compare when they \
         have caught up",
    );
    Ok(())
}

fn fold_lines(input: &mut impl BufRead, name: &str, fold: &mut FileFold<'_>, reading: &Reading) -> anyhow::Result<()> {
    let (mut buffer, mut number) = (Vec::new(), 0_i64);
    while let Some(line) = next_line(input, &mut buffer).with_context(|| format!("cannot read {name}"))? {
        number += 1;
        if number % LINES_PER_LOOK == 0 && reading.stop.is_cancelled() {
            return Err(reading::kafka(ScanError::Stopped));
        }
        match line {
            Line::Blank => {}
            Line::TooLarge(_) => fold.too_large(),
            Line::Event => {
                let now_ms = jiff::Timestamp::now().as_millisecond();
                fold.line(&buffer, number, now_ms).map_err(|error| exit::fail(Exit::Usage, error))?;
            }
        }
    }
    Ok(())
}
