//! `order-sync orders show`: one order, from the changelog, its source partition and the dead letters.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::source::{self, Events, Reach};
use super::{show_json, show_text};
use crate::app::settings;
use crate::cli::exit::{self, Exit};
use crate::cli::map_rules::Mapping;
use crate::cli::needed::Needed;
use crate::cli::reading::{self, Reading};
use crate::cli::render::{self, Output};
use crate::cli::shell::Shell;
use crate::cli::times;
use crate::cli::unread::{LETTERS_OPEN, ORDERS_WITHOUT};
use crate::douyin::Mapper;
use crate::inspect::{
    Agreement, Copies, Entry, Executed, Filter, Judge, Judged, LetterDetail, Letters, Mask, OrderLog, OrderRead,
    Personal, read_newest_commands, read_order, timeline, waits_for,
};
use crate::order::event::EventRules;
use crate::order::fold::FoldRules;
use crate::order::{AppId, Identity, TimeUnit, UpdateTime};
use crate::record::{NextOffset, TopicPartition};
use crate::sync::command::Command;
use crate::sync::partitioner;
use crate::sync::scan::{LogScan as _, Span};

/// Dead letters are looked for among so many of the newest of the order's partition.
const LETTERS_READ: i64 = 100_000;
/// Dead letters of one order that are shown.
const LETTERS_MAX: usize = 200;

/// Options of `order-sync orders show`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
pub struct Args {
    /// The merchant's order number
    #[arg(value_name = "ORDER_ID")]
    pub order_id: String,
    /// Of this app only
    #[arg(long, value_name = "APP_ID")]
    pub app: Option<String>,
    /// Of the timeline, the newest so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Look into every partition: events under another key may lie in any
    #[arg(long)]
    pub all_partitions: bool,
    /// Do not read the source topic
    #[arg(long, conflicts_with = "all_events")]
    pub no_events: bool,
    /// Read the source partition from the order's creation to its end, however long that is
    #[arg(long)]
    pub all_events: bool,
    /// Read events from this time on: RFC 3339, or milliseconds since the epoch
    #[arg(long, value_name = "TIME", value_parser = times::parse)]
    pub since: Option<i64>,
    /// Show the order's document, with personal data in full
    #[arg(long)]
    pub show_personal_data: bool,
}

const HELP: &str = "\
The order is looked for in the partitions in which the Java client and librdkafka put its key, and only
where it is not there, or with --all-partitions, in all of them; what was read is said. Where an order lies
in several, no order between them is promised. Events are read around the last applied one
(150,000 offsets on either side) unless --all-events is given, and judged again by folding them.
A delivery that Douyin has accepted has a row as long as the changelog still holds its end: at least
delete.retention.ms of that topic, seven days where order-sync has made it. It tells the attempts since the worker that
delivered it took it up. What was tried of a delivery that is still owed its worker alone knows:
apps list --admin, and the worker's log.

With --output json one object per app and partition; its names are described in docs/cli-json.md:
  {\"app_id\", \"order_id\", \"order_type\", \"status\", \"update_time\", \"delivery\", \"timeline\", …}

Exit codes: 1 neither the changelog nor a dead letter knows the order; 7 Kafka or a topic is not there.

Examples:
  order-sync orders show A1001
  order-sync orders show A1001 --all-events --output json";

/// One order, before it is text or JSON.
pub(super) struct Shown {
    pub(super) place: TopicPartition,
    pub(super) identity: Identity,
    pub(super) log: OrderLog,
    pub(super) events: Events,
    pub(super) timeline: Vec<Entry>,
    /// When the event at the last applied offset occurred, where it was read.
    pub(super) last_occurred_ms: Option<i64>,
    /// Entries that are older than those.
    pub(super) left_out: usize,
    pub(super) agreement: Agreement,
    /// Records of it that came to letters.
    pub(super) letters: usize,
    /// Letters among them whose event was folded.
    pub(super) folded_letters: usize,
}

/// Runs `order-sync orders show`.
pub(super) fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    reading::with(shell, |reading, shell| {
        let (mut found, letters) = find(args, reading)?;
        let mut shown = Vec::new();
        for ((place, identity), log) in std::mem::take(&mut found.orders) {
            let letters = letters_of(&letters, &place, &identity);
            shown.push(judge(args, reading, place, identity, log, (&letters, &found))?);
        }
        reading.bar.finish_and_clear();
        let places = shown.iter().map(|one| (&one.identity, &one.place));
        show_text::spread(places).iter().for_each(render::note);
        if shown.is_empty() {
            let words = format!(
                "no order {:?} in the changelog, and no dead letter of it: look at its id, at --app, and whether the worker \
                 has read its events yet",
                args.order_id
            );
            return Err(exit::fail(Exit::Failure, anyhow::anyhow!(words)));
        }
        for one in &shown {
            match shell.output() {
                Output::Json => shell.out.json(&show_json::line(one, document(one, args).as_ref()))?,
                Output::Text => show_text::print(one, document(one, args), shell)?,
            }
        }
        Ok(Exit::Done)
    })
}

/// Looks into the partitions that the key's hash names, then, where nothing is there, into all others.
fn find(args: &Args, reading: &mut Reading) -> anyhow::Result<(OrderRead, Vec<Judged>)> {
    let mut first = BTreeSet::new();
    let sources = reading.config.kafka.topics.clone();
    for source in &sources {
        let Some(count) = reading.scan.partitions(source).map_err(reading::kafka)? else {
            return Err(reading.missing(Needed::Sources, source));
        };
        first.extend(partitioner::candidates(args.order_id.as_bytes(), count));
    }
    let mut looked = Vec::new();
    let looks = if args.all_partitions { [None, None] } else { [Some(&first), None] };
    for only in looks {
        let (read, letters) = look(args, reading, &sources, only, &mut looked)?;
        if !read.orders.is_empty() {
            let elsewhere = if only.is_some() { "; --all-partitions looks for the order in all" } else { "" };
            let partitions = looked.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            reading.bar.suspend(|| render::note(format!("note: read partitions {partitions}{elsewhere}")));
            return Ok((read, letters));
        }
    }
    Ok((OrderRead::default(), Vec::new()))
}

/// Reads some partitions of changelog and dead letters, or all that were not read yet.
fn look(
    args: &Args,
    reading: &mut Reading,
    sources: &[String],
    only: Option<&BTreeSet<i32>>,
    looked: &mut Vec<i32>,
) -> anyhow::Result<(OrderRead, Vec<Judged>)> {
    let chosen = |spans: &mut Vec<Span>, looked: &[i32]| {
        spans.retain(|span| match only {
            Some(only) => only.contains(&span.partition),
            None => !looked.contains(&span.partition),
        });
    };
    let changelog = reading.config.kafka.changelog_topic.clone();
    let mut spans = reading.changelog()?;
    chosen(&mut spans, looked);
    let (bar, total) = (reading.bar.clone(), spans.iter().map(Span::offsets).sum());
    bar.set_message(changelog.clone());
    let mut progress = |read| Reading::progress(&bar, (read, total));
    let mut read = read_order(&mut reading.scan, &changelog, &spans, sources, &args.order_id, &mut progress)
        .map_err(reading::kafka)?;
    reading.note_unread(&read.unread, ORDERS_WITHOUT);
    read.orders.retain(|(_, identity), _| args.app.as_deref().is_none_or(|app| app == identity.app_id.as_str()));
    let letters = letters(args, reading, &spans)?;
    for (letter, _) in &letters {
        let app = letter.row.app_id.as_deref().unwrap_or_default();
        if !app.is_empty() || args.app.is_none() && !read.orders.keys().any(|(place, _)| *place == letter.row.id.source)
        {
            let identity = Identity::new(AppId::new(app), args.order_id.as_str());
            read.orders.entry((letter.row.id.source.clone(), identity)).or_default();
        }
    }
    looked.extend(spans.iter().map(|span| span.partition));
    Ok((read, letters))
}

/// The order's dead letters among the newest of these partitions, with their statuses.
fn letters(args: &Args, reading: &mut Reading, partitions: &[Span]) -> anyhow::Result<Vec<Judged>> {
    let topic = reading.config.kafka.dead_letter_topic.clone();
    let mut spans = reading.letters(None)?;
    spans.retain(|span| partitions.iter().any(|partition| partition.partition == span.partition));
    for span in &mut spans {
        let newest = NextOffset::new(span.until.get() - LETTERS_READ);
        if newest > span.from {
            span.from = newest;
            render::note(format!("note: of {topic}/{} the newest {LETTERS_READ} offsets are read", span.partition));
        }
    }
    let filter = Filter {
        copies: Copies::Every,
        orders: vec![args.order_id.clone()],
        apps: args.app.iter().cloned().collect(),
        ..Filter::default()
    };
    let statuses = reading.statuses(&spans)?;
    let mut letters = Letters::new(&topic, &spans, statuses, filter);
    let bar = reading.bar.clone();
    bar.set_message(topic.clone());
    let mut found = Vec::new();
    while found.len() < LETTERS_MAX {
        let mut progress = |read| Reading::progress(&bar, read);
        let Some(listed) = letters.next(&mut reading.scan, &mut progress).map_err(reading::kafka)? else { break };
        let (partition, offset) = listed.row.place;
        let span = Span { partition, from: NextOffset::new(offset.get()), until: offset.next() };
        let read = reading.scan.read(&topic, &[span], &mut |seen| {
            found.extend(LetterDetail::read(seen).map(|letter| (letter.brief(), listed.state())));
            ControlFlow::Continue(())
        });
        read.map_err(reading::kafka)?;
    }
    reading.note_unread(letters.unread(), LETTERS_OPEN);
    Ok(found)
}

fn letters_of(letters: &[Judged], place: &TopicPartition, identity: &Identity) -> Vec<Judged> {
    let is_its = |letter: &LetterDetail| {
        let app = letter.row.app_id.as_deref();
        letter.row.id.source == *place && app.is_none_or(|app| app == identity.app_id.as_str())
    };
    letters.iter().filter(|(letter, _)| is_its(letter)).cloned().collect()
}

fn judge(
    args: &Args,
    reading: &mut Reading,
    place: TopicPartition,
    identity: Identity,
    log: OrderLog,
    (letters, found): (&[Judged], &OrderRead),
) -> anyhow::Result<Shown> {
    let reach = match (args.no_events, args.all_events) {
        (true, _) => Reach::Nothing,
        (false, true) => Reach::All,
        (false, false) => Reach::Near,
    };
    let events = source::events(reading, &place, &identity, &log, reach, args.since)?;
    let config = &reading.config;
    let units: BTreeMap<AppId, TimeUnit> = settings::units(config);
    let is_configured = units.contains_key(&identity.app_id);
    let mapper = if is_configured { Mapping::configured(config) } else { Mapping::AnyApp(Box::new(config.clone())) };
    let mut rules: EventRules = settings::event_rules(config);
    if !is_configured {
        rules.apps.push(identity.app_id.clone());
    }
    let unit = units.get(&identity.app_id).copied().unwrap_or(TimeUnit::Seconds);
    let judge = Judge {
        then: found.eras(&place, |settings| Box::new(Mapper::new(settings.map_settings()))),
        events: rules,
        rules: FoldRules { unit, removed_stamp: UpdateTime::ZERO },
        mapper: &mapper,
    };
    let is_letter = |offset| letters.iter().any(|(letter, _)| letter.row.id.offset.get() == offset);
    let commands: Vec<&Executed> =
        found.commands.iter().filter(|command| command.is_about(&place, &identity, is_letter)).collect();
    let given = waiting(args, reading, place.partition, found)?;
    let given: Vec<&Command> = given.iter().filter(|given| waits_for(given, &place, &identity, is_letter)).collect();
    let (mut entries, agreement) = timeline(&identity, &log, &events.records, letters, (&commands, &given), &judge);
    let last_occurred_ms = entries.iter().find_map(|entry| entry.occurred_ms(log.state.as_ref()?.applied_offset));
    let left_out = entries.len().saturating_sub(args.limit);
    entries.drain(..left_out);
    let ids: BTreeSet<i64> = letters.iter().map(|(letter, _)| letter.row.id.offset.get()).collect();
    let folded_letters = letters.iter().filter(|(letter, _)| letter.row.update_time.is_some()).count();
    Ok(Shown {
        place,
        identity,
        log,
        events,
        timeline: entries,
        last_occurred_ms,
        left_out,
        agreement,
        letters: ids.len(),
        folded_letters,
    })
}

/// Commands among the newest of a partition that nobody has executed yet, and that may be about the order.
fn waiting(args: &Args, reading: &mut Reading, partition: i32, found: &OrderRead) -> anyhow::Result<Vec<Command>> {
    let topic = reading.config.kafka.commands_topic();
    let mut given = Vec::new();
    let read = read_newest_commands(&mut reading.scan, &topic, &[partition], &mut |seen| {
        given.extend(found.waiting(seen, &args.order_id));
        ControlFlow::Continue(())
    });
    read.map_err(reading::kafka)?;
    Ok(given)
}

/// What the tools call the standing of an order's last state. One that was folded and has no state has left: retention
/// takes what is delivered only.
pub(super) fn delivery(shown: &Shown) -> &'static str {
    match &shown.log.state {
        _ if !shown.log.owed.is_empty() => "owed",
        Some(state) if state.dead_letter.is_none() => "delivered",
        None if shown.folded_letters > 0 || !shown.log.accepted.is_empty() => "delivered",
        Some(_) | None => "dead_letter",
    }
}

/// The merged document, as much of it as may be shown.
fn document(shown: &Shown, args: &Args) -> Option<serde_json::Value> {
    let personal = if args.show_personal_data { Personal::Shown } else { Personal::Masked };
    Mask::new(personal).json(shown.log.state.as_ref()?.document.as_bytes())
}
