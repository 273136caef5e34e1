//! `order-sync verify`: folds the log again, and compares with changelog and dead letters.

use std::time::Duration;

use super::{settings, tell};
use crate::cli::exit::Exit;
use crate::cli::needed::Needed;
use crate::cli::range::Range;
use crate::cli::reading::{self, Reading};
use crate::cli::shell::Shell;
use crate::inspect::{Asked, Report, Spread, VerifyRules, verify_partition};
use crate::record::TopicPartition;
use crate::sync::scan::{LogScan as _, Span};

/// So often a partition is looked at again while workers write to it.
const LOOKS: u32 = 4;

/// Options of `order-sync verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// What is accounted for.
    #[command(flatten)]
    pub range: Range,
    /// Show at most so many offsets that are not accounted for; 0 for all, up to 10,000 of a partition
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
}

const HELP: &str = "\
Reads the source topics from their beginning, folds every event again, and holds what comes out against
changelog and dead-letter topic alone: no worker is asked, none is disturbed, and none has to run. What
the log itself recorded is taken as given: commands of operators and their outcomes, dead letters
time_in_future. docs/delivery-semantics.md says what this proves, and docs/runbook.md what each reason means
and what to do about it.

With --output json lines of the table come first, and last one object:
  {\"records\", \"outcomes\": {…}, \"unaccounted\": [{\"topic\", \"partition\", \"offset\", \"reason\", \"message\",
   \"app_id\", \"order_id\", \"what_to_do\"}],
   \"spread\": {\"orders\", \"first\": [{\"app_id\", \"order_id\", \"partitions\"}]}}

Exit codes: 5 an offset is not accounted for; 7 Kafka or a topic is not there.

Examples:
  order-sync verify --config order-sync.toml
  order-sync verify --from 2026-11-25T00:00:00Z --until 2026-11-26T00:00:00Z
  order-sync verify --partition 3 --from 1024 --until 2048 --output json | tail -1";

/// Runs `order-sync verify`.
pub fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    reading::with(shell, |reading, shell| {
        let mappers = settings::mappers(&reading.config);
        let rules = settings::rules(&reading.config, &mappers);
        reading.needs(&[Needed::Sources, Needed::Changelog, Needed::DeadLetters])?;
        let partitions = args.range.partitions(reading)?;
        let (mut report, mut spread) = (Report::default(), Spread::default());
        for (source, within) in partitions {
            report.absorb(partition(reading, &rules, source, within.asked, &mut spread)?);
        }
        reading.bar.finish_and_clear();
        tell::tell(&report, &spread, args.limit, shell)?;
        Ok(if report.unaccounted_count() > 0 { Exit::Unaccounted } else { Exit::Done })
    })
}

/// Accounts for one partition. What cannot be explained while workers write is looked at again: a commit reaches one topic
/// a moment before another, and compaction may take a record away whose follower lies behind what was read.
fn partition(
    reading: &mut Reading,
    rules: &VerifyRules<'_>,
    source: TopicPartition,
    range: (i64, i64),
    spread: &mut Spread,
) -> anyhow::Result<Report> {
    let asked = Asked {
        partitions_of_topic: reading.scan.partitions(&source.topic).map_err(reading::kafka)?.unwrap_or(1),
        source,
        changelog: reading.config.kafka.changelog_topic.clone(),
        dead_letters: reading.config.kafka.dead_letter_topic.clone(),
        commands: reading.config.kafka.commands_topic(),
        range,
    };
    let bar = reading.bar.clone();
    bar.set_message(asked.source.to_string());
    let mut look = 1;
    loop {
        let before = ends(reading, &asked)?;
        let mut progress = |read| Reading::progress(&bar, read);
        let report =
            verify_partition(&mut reading.scan, rules, &asked, spread, &mut progress).map_err(reading::kafka)?;
        if report.unaccounted_count() == 0 || look == LOOKS {
            return Ok(report);
        }
        reading.pause(Duration::from_millis(500))?;
        if ends(reading, &asked)? == before {
            return Ok(report);
        }
        look += 1;
    }
}

/// Where the workers' topics end.
fn ends(reading: &mut Reading, asked: &Asked) -> anyhow::Result<Vec<Span>> {
    let mut ends = Vec::new();
    for topic in [&asked.changelog, &asked.dead_letters] {
        let all = reading.extents(topic, None)?.unwrap_or_default();
        ends.extend(all.into_iter().filter(|span| span.partition == asked.source.partition));
    }
    Ok(ends)
}
