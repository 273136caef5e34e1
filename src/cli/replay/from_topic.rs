//! The plan from the source topics: one partition after another, each with its partition of the changelog.

use std::collections::{BTreeMap, BTreeSet};

use super::command::{Args, rules};
use super::plan::Plan;
use crate::app::settings;
use crate::cli::emptiness::Within;
use crate::cli::range::Place;
use crate::cli::reading::{self, Reading};
use crate::cli::render;
use crate::cli::shell::Shell;
use crate::cli::unread::REPLAYED_WITHOUT;
use crate::cli::verify::mappers;
use crate::inspect::replay::{Looks, Range, read_held, replay_partition};
use crate::record::{NextOffset, TopicPartition};
use crate::sync::scan::Span;

/// Folded states in memory; what is more comes in further readings.
pub(super) const FOLDED_BYTES_MAX: usize = 512 << 20;

/// Replays what was asked for.
pub(super) fn replay(
    args: &Args,
    plan: &mut Plan,
    looks: &mut Looks,
    reading: &mut Reading,
    shell: &mut Shell,
) -> anyhow::Result<()> {
    let held_spans = reading.changelog()?;
    let ranges = ranges(args, reading)?;
    let only: BTreeSet<String> = args.order.iter().cloned().collect();
    let mapper = settings::mapper(&reading.config);
    let others = mappers(&reading.config);
    let rules = rules(&reading.config, &mapper, &others);
    let changelog = reading.config.kafka.changelog_topic.clone();
    let bar = reading.bar.clone();
    let held_of = |span: &Span| held_spans.iter().find(|held| held.partition == span.partition).copied();
    let offsets = |(_, span): &(String, Span)| span.offsets() + held_of(span).map_or(0, |held| held.offsets());
    bar.set_length(ranges.iter().map(offsets).sum());
    let mut uncommitted = Vec::new();
    for (topic, span) in &ranges {
        let nothing = NextOffset::new(0);
        let within = held_of(span).unwrap_or(Span { partition: span.partition, from: nothing, until: nothing });
        bar.set_message(format!("{topic}/{}", span.partition));
        let mut progress = |more| bar.inc(more);
        let held = read_held(&mut reading.scan, &changelog, within, topic, &mut progress).map_err(reading::kafka)?;
        reading.note_unread(&held.unread, REPLAYED_WITHOUT);
        let source = TopicPartition::new(topic.as_str(), span.partition);
        if held.position.is_none() && span.offsets() > 0 {
            uncommitted.push(source.to_string());
        }
        let changelog = (changelog.as_str(), within);
        let range = Range { source, span: *span, only: &only, changelog, bytes_max: FOLDED_BYTES_MAX };
        let mut tally = std::mem::take(&mut plan.tally);
        let mut tell = |finding| bar.suspend(|| plan.take(finding, shell));
        let read =
            replay_partition(&mut reading.scan, &rules, &range, &held, looks, &mut tally, &mut tell, &mut progress);
        plan.tally = tally;
        plan.settle()?;
        read.map_err(reading::kafka)?;
    }
    if !uncommitted.is_empty() {
        let group = &reading.config.kafka.group_id;
        render::note(format!(
            "note: no worker of group {group} has committed {}: all of it is yet to be folded",
            uncommitted.join(", ")
        ));
    }
    Ok(())
}

/// What is read of which partitions.
fn ranges(args: &Args, reading: &mut Reading) -> anyhow::Result<Vec<(String, Span)>> {
    let partitions = args.range.partitions(reading)?;
    let mut lowest: BTreeMap<&str, i64> = BTreeMap::new();
    for (source, within) in &partitions {
        let low = lowest.entry(&source.topic).or_default();
        *low = (*low).max(within.whole.from.get());
    }
    for (topic, lowest) in lowest.into_iter().filter(|(_, low)| *low > 0 && args.range.from == Place::Earliest) {
        render::note(format!(
            "note: retention has removed the beginning of {topic} (up to offset {lowest}): of an order that may have begun \
             there the last event is compared, and not the whole of it"
        ));
    }
    let span = |within: &Within| {
        let Span { partition, from: low, until: high } = within.whole;
        let from = NextOffset::new(within.asked.0).clamp(low, high);
        Span { partition, from, until: NextOffset::new(within.asked.1).clamp(from, high) }
    };
    Ok(partitions.iter().map(|(source, within)| (source.topic.to_string(), span(within))).collect())
}
