//! The plan from the source topics: one partition after another, each with its partition of the changelog.

use std::collections::BTreeSet;

use super::command::{Args, rules};
use super::edge::{self, Edge};
use super::plan::Plan;
use crate::app::settings;
use crate::cli::emptiness::{self, End};
use crate::cli::exit::{self, Exit};
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
    let topics = reading.config.kafka.topics.clone();
    let usage = |words: String| exit::fail(Exit::Usage, anyhow::anyhow!(words));
    if let Some(topic) = args.topic.as_ref().filter(|topic| !topics.contains(topic)) {
        return Err(usage(format!("{topic} is no source topic of these settings; there are {}", topics.join(", "))));
    }
    let (mut ranges, mut within) = (Vec::new(), Vec::new());
    for topic in topics.iter().filter(|topic| args.topic.as_ref().is_none_or(|only| only == *topic)) {
        let mut spans = reading.source(topic, None)?;
        if let Some(missing) = args.partition.iter().find(|n| !spans.iter().any(|span| span.partition == **n)) {
            let count = spans.len();
            return Err(usage(format!(
                "{topic} has {count} partitions, counted from 0: there is no partition {missing}"
            )));
        }
        spans.retain(|span| args.partition.is_empty() || args.partition.contains(&span.partition));
        let lowest = spans.iter().map(|span| span.from.get()).max().unwrap_or_default();
        let from = args.from.unwrap_or(Edge::Earliest);
        within.extend(edge::narrow(reading, topic, &mut spans, from, args.until)?);
        if lowest > 0 && args.from.is_none_or(|from| from == Edge::Earliest) {
            render::note(format!(
                "note: retention has removed the beginning of {topic} (up to offset {lowest}): of an order that may have begun \
                 there the last event is compared, and not the whole of it"
            ));
        }
        ranges.extend(spans.into_iter().map(|span| (topic.clone(), span)));
    }
    let from = args.from.unwrap_or(Edge::Earliest);
    emptiness::check((from.end(), args.until.map_or(End::OfLog, Edge::end)), &within)?;
    Ok(ranges)
}
