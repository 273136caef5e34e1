//! `order-sync dead-letters redrive`: letters are taken up again, and what will be done is said before it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde_json::json;

use super::discard::find;
use super::select::Select;
use crate::app::settings;
use crate::cli::exit::{self, Exit};
use crate::cli::giving::{self, GiveMany, Given, Giver};
use crate::cli::reading::{self, Reading};
use crate::cli::render::{self, Output, printable};
use crate::cli::shell::Shell;
use crate::cli::unread::{LETTERS_OPEN, ORDERS_WITHOUT};
use crate::inspect::{
    Copies, Foresight, LetterDetail, LetterId, Listed, OrderPlace, Prospect, Will, identity_of, read_standing,
};
use crate::order::{AppId, Identity};
use crate::record::{NextOffset, Record};
use crate::sync::changelog::LetterState;
use crate::sync::command::{Action, LetterPlace};
use crate::sync::scan::{LogScan as _, Span};

/// Letters of one call, at most.
const LETTERS_MAX: usize = 10_000;
/// Original records that are looked at, in bytes.
const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Options of `order-sync dead-letters redrive`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// The letters: topic/partition/offset of the original record
    #[arg(value_name = "ID", conflicts_with_all = ["reason", "status", "order", "app", "topic", "partition", "err_code", "since", "until"])]
    pub ids: Vec<LetterId>,
    /// Which letters; without --status those that are open.
    #[command(flatten)]
    pub select: Select,
    /// Without ids: at most so many, those of the lowest offsets first
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = limit)]
    pub limit: usize,
    /// Give it although a command about the letter waits already
    #[arg(long)]
    pub again: bool,
    /// How they are given.
    #[command(flatten)]
    pub many: GiveMany,
}

const HELP: &str = "\
First it is said what will be done with each, in the order in which it is: the very request of a folded
event is sent again (`send`) unless a later state holds what it says (`superseded`); an event that never
was folded is folded where the order stands now (`fold again`) unless the order is past it (`stale`).
A letter that was redriven already is `refused`, whatever has become of its order since; so is one of a folded
event whose app is not in the settings: nobody would send it.
A letter about which a command waits, as no worker has executed it yet, is left out (`waiting`) unless --again
is given. Only what acts is given to the workers, and they decide anew: an older state never replaces a newer one.

Exit codes: 1 there is no such letter, or a worker has refused one, found it stale or set it aside again; 2 no
id and no filter; 9 no worker has executed one within --timeout: it stays written, do not give it again; 7 Kafka
or a topic is not there. What the plan leaves out is no failure.

Examples:
  order-sync dead-letters redrive order-events/3/1024 order-events/3/1031
  order-sync dead-letters redrive --reason rejected_by_platform --err-code 40003 --dry-run
  order-sync dead-letters redrive --app tt1 --since 2026-11-25T00:00:00Z --rate 20 --why 'up again'";

fn limit(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=LETTERS_MAX).contains(number));
    number.ok_or_else(|| format!("write a number from 1 to {LETTERS_MAX}"))
}

/// One letter, and what will be done with it.
type Planned = (Listed, Prospect);

/// Runs `order-sync dead-letters redrive`.
pub(super) fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    reading::with(shell, |reading, shell| {
        let letters = choose(args, reading)?;
        let partitions: BTreeSet<i32> = letters.values().map(|listed| listed.row.place.0).collect();
        let desk = args.many.giver(reading, shell, &partitions)?;
        let mut plan = plan(letters, reading)?;
        hold_back(&mut plan, args, reading)?;
        reading.bar.finish_and_clear();
        tell(&plan, shell)?;
        let Some(mut desk) = desk else { return Ok(Exit::Done) };
        let acting = plan.iter().filter(|(_, prospect)| prospect.will.acts());
        let given: Vec<Given> = acting.map(|(listed, _)| given(listed, &desk)).collect();
        desk.give(&given, reading, shell)?;
        Ok(desk.end(reading))
    })
}

fn given(listed: &Listed, desk: &Giver) -> Given {
    let (id, (partition, offset)) = (&listed.row.id, listed.row.place);
    let letter = Some(LetterPlace { partition, offset: offset.get() });
    let action = Action::Redrive { offset: id.offset, letter };
    Given { subject: id.to_string(), command: desk.command(&id.to_string(), id.source.clone(), action) }
}

/// The letters in the order in which their events lie.
fn choose(args: &Args, reading: &mut Reading) -> anyhow::Result<BTreeMap<LetterId, Listed>> {
    if !args.ids.is_empty() {
        let ids: BTreeSet<LetterId> = args.ids.iter().cloned().collect();
        if ids.len() > LETTERS_MAX {
            let words = format!("at most {LETTERS_MAX} letters at once");
            return Err(exit::fail(Exit::Usage, anyhow::anyhow!(words)));
        }
        return find(&ids, reading);
    }
    let mut select = args.select.clone();
    if !select.is_narrowed() {
        let words = "say which letters: their ids, or a filter such as --reason, --app or --status open";
        return Err(exit::fail(Exit::Usage, anyhow::anyhow!(words)));
    }
    if select.status.is_empty() {
        select.status.push(LetterState::Open);
    }
    let mut letters = select.letters(Copies::Newest, reading)?;
    let (bar, mut chosen, mut matching) = (reading.bar.clone(), BTreeMap::new(), 0_usize);
    let mut progress = |read| Reading::progress(&bar, read);
    while let Some(listed) = letters.next(&mut reading.scan, &mut progress).map_err(reading::kafka)? {
        matching += 1;
        chosen.insert(listed.row.id.clone(), listed);
        if chosen.len() > args.limit {
            // An older event of an order is not to be taken up behind a newer one.
            let last = chosen.keys().max_by_key(|id| (id.offset, (*id).clone())).cloned();
            last.map(|last| chosen.remove(&last));
        }
    }
    reading.note_unread(letters.unread(), LETTERS_OPEN);
    if matching > chosen.len() {
        let words = format!("note: {matching} letters match, {} are taken up: --limit, or once more", chosen.len());
        bar.suspend(|| render::note(words));
    }
    if chosen.is_empty() {
        select.found_nothing(reading)?;
    }
    Ok(chosen)
}

/// Says of each letter what will be done.
fn plan(letters: BTreeMap<LetterId, Listed>, reading: &mut Reading) -> anyhow::Result<Vec<Planned>> {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let events = settings::event_rules(&reading.config);
    let records = records(&letters, reading)?;
    let mut wanted: BTreeSet<OrderPlace> = BTreeSet::new();
    for (id, listed) in &letters {
        let row = &listed.row;
        let named = row.app_id.as_deref().zip(row.order_id.as_deref());
        let named = named.map(|(app, order)| Identity::new(AppId::new(app), order));
        let read = records.get(id).and_then(|record| identity_of(record, &events, now_ms));
        wanted.extend(read.or(named).map(|identity| (id.source.clone(), identity)));
    }
    let mut spans = reading.changelog()?;
    spans.retain(|span| letters.keys().any(|id| id.source.partition == span.partition));
    let (topic, sources) = (reading.config.kafka.changelog_topic.clone(), reading.config.kafka.topics.clone());
    let (bar, total) = (reading.bar.clone(), spans.iter().map(Span::offsets).sum());
    bar.set_message(topic.clone());
    let mut progress = |read| Reading::progress(&bar, (read, total));
    let standing = read_standing(&mut reading.scan, &topic, &spans, &sources, &wanted, &mut progress);
    let (units, mapper) = (settings::units(&reading.config), settings::mapper(&reading.config));
    let standing = standing.map_err(reading::kafka)?;
    reading.note_unread(&standing.unread, ORDERS_WITHOUT);
    let mut foresight = Foresight { standing, events, units, mapper: &mapper, now_ms };
    let one = |(id, listed): (LetterId, Listed)| {
        if !sources.iter().any(|topic| **topic == *id.source.topic) {
            let words = format!("{} is none of kafka.topics: no worker of these settings has it", id.source.topic);
            return (listed, Prospect { will: Will::Refused, words });
        }
        let prospect = foresight.redrive(&listed, records.get(&id));
        (listed, prospect)
    };
    Ok(letters.into_iter().map(one).collect())
}

/// Of a letter about which a command waits already that is said, and another one is given only where it is asked for.
fn hold_back(plan: &mut [Planned], args: &Args, reading: &mut Reading) -> anyhow::Result<()> {
    let acting = plan.iter().filter(|(_, prospect)| prospect.will.acts());
    let places: Vec<_> = acting.map(|(listed, _)| (listed.row.id.source.clone(), listed.row.id.offset)).collect();
    let waits = giving::waiting(&places, reading)?;
    for (listed, prospect) in plan.iter_mut().filter(|(_, prospect)| prospect.will.acts()) {
        let Some(words) = waits.get(&(listed.row.id.source.clone(), listed.row.id.offset)) else { continue };
        if args.again {
            prospect.words = format!("{}; {words}", prospect.words);
        } else {
            *prospect = Prospect { will: Will::Waiting, words: format!("{words}; --again gives another one") };
        }
    }
    Ok(())
}

/// The originals of letters whose events never were folded, as far as there is room for them.
fn records(letters: &BTreeMap<LetterId, Listed>, reading: &mut Reading) -> anyhow::Result<BTreeMap<LetterId, Record>> {
    let unfolded = letters.values().filter(|listed| listed.row.update_time.is_none());
    let mut places: BTreeMap<_, &Listed> = unfolded.map(|listed| (listed.row.place, listed)).collect();
    let (topic, mut found, mut bytes) = (reading.config.kafka.dead_letter_topic.clone(), BTreeMap::new(), 0);
    while let Some((&(partition, first), _)) = places.first_key_value() {
        let last = places.range(..=(partition, crate::record::RecordOffset::new(i64::MAX))).next_back();
        let until = last.map_or(first.next(), |((_, offset), _)| offset.next());
        let span = Span { partition, from: NextOffset::new(first.get()), until };
        let read = reading.scan.read(&topic, &[span], &mut |seen| {
            let Some(listed) = places.get(&(seen.partition(), seen.offset())) else { return ControlFlow::Continue(()) };
            if let Some(letter) = LetterDetail::read(seen) {
                bytes += letter.record.content_bytes();
                found.insert(listed.row.id.clone(), letter.record);
            }
            if bytes > RECORD_BYTES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        read.map_err(reading::kafka)?;
        places.retain(|(other, _), _| *other != partition && bytes <= RECORD_BYTES_MAX);
    }
    Ok(found)
}

fn tell(plan: &[Planned], shell: &mut Shell) -> std::io::Result<()> {
    if shell.output() == Output::Json {
        return plan.iter().try_for_each(|(listed, prospect)| {
            shell.out.json(&json!({
                "kind": "plan",
                "id": listed.row.id.to_string(),
                "will": prospect.will.as_str(),
                "message": prospect.words,
                "status": listed.state().as_str(),
                "app_id": listed.row.app(),
                "order_id": listed.row.order_id,
                "update_time": listed.row.update_time,
            }))
        });
    }
    if plan.is_empty() {
        return shell.out.line("no dead letters");
    }
    let rows = plan.iter().map(|(listed, prospect)| {
        vec![
            printable(&listed.row.id.to_string()),
            prospect.will.as_str().to_owned(),
            printable(listed.row.order_id.as_deref().unwrap_or("-")),
            printable(&prospect.words),
        ]
    });
    shell.out.table(&["ID", "WILL", "ORDER", "WHY"], rows)
}
