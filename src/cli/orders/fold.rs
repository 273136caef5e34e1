//! `order-sync orders fold`: an event that was judged stale is folded on an operator's word.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use serde_json::json;

use crate::app::settings;
use crate::cli::exit::{self, Exit};
use crate::cli::giving::{self, Give, Given, Giver};
use crate::cli::needed::Needed;
use crate::cli::reading::{self, Reading};
use crate::cli::render::{Output, printable};
use crate::cli::shell::Shell;
use crate::cli::unread::ORDERS_WITHOUT;
use crate::inspect::{Foresight, LetterId, Original, Prospect, Will, identity_of, read_standing};
use crate::order::fold::FoldAs;
use crate::record::{NextOffset, Record};
use crate::sync::command::Action;
use crate::sync::scan::{LogScan as _, Span};

/// Options of `order-sync orders fold`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// The event's record
    #[arg(value_name = "TOPIC/PARTITION/OFFSET")]
    pub record: LetterId,
    /// Why it is right although it looks stale, for the audit trail
    #[arg(long, value_name = "TEXT", value_parser = giving::why)]
    pub why: String,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How it is given.
    #[command(flatten)]
    pub give: Give,
}

const HELP: &str = "\
Somebody's clock was wrong, and the order's last event was taken for older than what was applied (`stale` in
the timeline of `orders show`). This folds it where the order stands now, and sends the result under a stamp
above the last. What the event says replaces what the order holds: it is your word that it is right.

First it is said what will be done: `fold again`; `unchanged` where the event is applied already; `refused`
where it cannot be folded, as when the source has the record no more. Only what acts is given to the worker.

Exit codes: 0 also where it is `unchanged`; 1 it is refused, by the plan or by the worker, or set aside again; 2 the
topic is no source; 9 no worker has executed it within --timeout: it stays written, do not give it again; 7 Kafka
or a topic is not there.

Examples:
  order-sync orders fold order-events/3/1024 --why 'the till was an hour behind'
  order-sync orders fold order-events/3/1024 --why 'the till was an hour behind' --dry-run";

/// Runs `order-sync orders fold`.
pub(super) fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    reading::with(shell, |reading, shell| {
        let id = &args.record;
        if !reading.config.kafka.topics.iter().any(|topic| *topic == *id.source.topic) {
            let topics = reading.config.kafka.topics.join(", ");
            let words = format!("{} is no source topic of these settings; there are {topics}", id.source.topic);
            return Err(exit::fail(Exit::Usage, anyhow::anyhow!(words)));
        }
        let prospect = prospect(id, reading)?;
        reading.bar.finish_and_clear();
        match shell.output() {
            Output::Json => shell.out.json(&json!({
                "kind": "plan", "id": id.to_string(), "will": prospect.will.as_str(), "message": prospect.words,
            }))?,
            Output::Text => {
                let (will, id) = (prospect.will.as_str(), printable(&id.to_string()));
                shell.out.line(format!("{will:<11} {id}: {}", printable(&prospect.words)))?;
            }
        }
        if args.dry_run {
            return Ok(Exit::Done);
        }
        if !prospect.will.acts() {
            return Ok(unless_it_acts(prospect.will));
        }
        let partitions = BTreeSet::from([id.source.partition]);
        let mut desk = Giver::new(reading, shell, &args.give, &args.why, &partitions, None)?;
        let command = desk.command(&id.to_string(), id.source.clone(), Action::Fold { offset: id.offset });
        desk.give(&[Given { subject: id.to_string(), command }], reading, shell)?;
        Ok(desk.end(reading))
    })
}

/// How it ends where nothing is given to the workers: as it would if they had said so.
fn unless_it_acts(will: Will) -> Exit {
    if will.fails() { Exit::Failure } else { Exit::Done }
}

fn prospect(id: &LetterId, reading: &mut Reading) -> anyhow::Result<Prospect> {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let events = settings::event_rules(&reading.config);
    let record = record(id, reading)?;
    // A worker looks for it in the source alone: this command names no letter.
    let original = record.as_ref().map_or(Original::Gone, Original::Here);
    let identity = record.as_ref().and_then(|record| identity_of(record, &events, now_ms));
    let wanted = identity.map(|identity| (id.source.clone(), identity)).into_iter().collect();
    let mut spans = reading.changelog()?;
    spans.retain(|span| span.partition == id.source.partition);
    let (topic, sources) = (reading.config.kafka.changelog_topic.clone(), reading.config.kafka.topics.clone());
    let (bar, total) = (reading.bar.clone(), spans.iter().map(Span::offsets).sum());
    bar.set_message(topic.clone());
    let mut progress = |read| Reading::progress(&bar, (read, total));
    let standing = read_standing(&mut reading.scan, &topic, &spans, &sources, &wanted, &mut progress);
    let standing = standing.map_err(reading::kafka)?;
    reading.note_unread(&standing.unread, ORDERS_WITHOUT);
    let (units, mapper) = (settings::units(&reading.config), settings::mapper(&reading.config));
    let mut foresight = Foresight { standing, events, units, mapper: &mapper, now_ms };
    Ok(foresight.fold(&id.source, id.offset, original, FoldAs::Word))
}

/// The record, where the source still has it.
fn record(id: &LetterId, reading: &mut Reading) -> anyhow::Result<Option<Record>> {
    let Some(spans) = reading.extents(&id.source.topic, Some(id.source.partition))? else {
        return Err(reading.missing(Needed::Sources, &id.source.topic));
    };
    let is_there = spans.iter().any(|span| span.from.get() <= id.offset.get() && id.offset.get() < span.until.get());
    if !is_there {
        return Ok(None);
    }
    let span = Span { partition: id.source.partition, from: NextOffset::new(id.offset.get()), until: id.offset.next() };
    let mut found = None;
    let read = reading.scan.read(&id.source.topic, &[span], &mut |seen| {
        found = Some(seen.record());
        ControlFlow::Continue(())
    });
    read.map_err(reading::kafka)?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_already_is_no_failure_and_what_cannot_be_is_one() {
        let check = |will, expect| assert_eq!(unless_it_acts(will), expect, "{will:?}");
        check(Will::Unchanged, Exit::Done);
        check(Will::Superseded, Exit::Done);
        check(Will::Stale, Exit::Failure);
        check(Will::Refused, Exit::Failure);
    }
}
