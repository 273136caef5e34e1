//! What `verify` prints: a table by outcome and the offsets that are not accounted for; or JSON.

use std::collections::BTreeSet;
use std::io;

use serde::{Serialize, Serializer};

use crate::cli::render::{self, Output, printable};
use crate::cli::shell::Shell;
use crate::inspect::{Kind, Reason, Report, Spread, Unaccounted};

/// Prints the report.
pub(super) fn tell(report: &Report, spread: &Spread, limit: usize, shell: &mut Shell) -> io::Result<()> {
    match shell.output() {
        Output::Json => as_json(report, spread, limit, shell)?,
        Output::Text => as_text(report, limit, shell)?,
    }
    let shown = shown(report, limit).len() as u64;
    if report.unaccounted_count() > shown {
        let all = report.unaccounted_count();
        render::note(format!("note: {shown} of {all} unaccounted offsets are shown: --limit N"));
    }
    if report.other_settings > 0 {
        let orders = report.other_settings;
        render::note(format!(
            "note: {orders} orders come out as the log has them by other settings than today's (limits.text, \
             douyin.ticket_lists, douyin.goods_entry_type, an app's update_time_unit)"
        ));
    }
    note_spread(spread);
    Ok(())
}

/// Orders of which several partitions have events.
fn note_spread(spread: &Spread) {
    if spread.count() > 0 {
        let named = spread.named().map(|(identity, places)| {
            let places: Vec<String> = places.iter().map(|place| printable(&place.to_string())).collect();
            format!("{} ({})", printable(&identity.order_id), places.join(", "))
        });
        let named: Vec<String> = named.collect();
        let more = if spread.count() > named.len() as u64 { ", …" } else { "" };
        render::note(format!(
            "note: {} orders have events in several partitions, between which no order is promised; each partition is \
             accounted for by itself: {}{more}",
            spread.count(),
            named.join(", ")
        ));
    }
    if spread.is_full() {
        render::note("note: only the first 4,000,000 orders were looked for in several partitions");
    }
}

fn shown(report: &Report, limit: usize) -> &[Unaccounted] {
    let all = &report.unaccounted;
    if limit == 0 { all } else { all.get(..limit).unwrap_or(all) }
}

/// What is wrong with the changelog itself is no record's outcome, and counts with those that have none.
fn count(report: &Report, name: &str) -> u64 {
    match name {
        "unaccounted" => report.unaccounted_count(),
        _ => report.outcomes.get(name).copied().unwrap_or(0),
    }
}

/// Outcome, reason, status, number.
fn rows(report: &Report) -> Vec<(&'static str, &'static str, &'static str, u64)> {
    let mut rows = Vec::new();
    for name in Kind::NAMES {
        if name == "dead_letter" {
            rows.extend(report.letters.iter().map(|((reason, status), count)| (name, *reason, *status, *count)));
        } else {
            rows.push((name, "", "", count(report, name)));
        }
    }
    rows.retain(|(name, .., count)| *count > 0 || *name == "delivered" || *name == "unaccounted");
    rows
}

/// A row of the table as JSON.
#[derive(Serialize)]
struct Row<'a> {
    outcome: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offsets: Option<u64>,
}

/// The last line; these names are a promise.
#[derive(Serialize)]
struct Total<'a> {
    records: u64,
    #[serde(serialize_with = "in_order")]
    outcomes: Vec<(&'static str, u64)>,
    unaccounted: Vec<Line<'a>>,
    spread: SpreadTotal<'a>,
}

/// Orders of which several partitions have events; these names are a promise.
#[derive(Serialize)]
struct SpreadTotal<'a> {
    orders: u64,
    first: Vec<SpreadOrder<'a>>,
}

/// One of them.
#[derive(Serialize)]
struct SpreadOrder<'a> {
    app_id: &'a str,
    order_id: &'a str,
    partitions: Vec<String>,
}

/// An offset that is not accounted for; these names are a promise.
#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    reason: &'static str,
    message: &'a str,
    app_id: Option<&'a str>,
    order_id: Option<&'a str>,
    what_to_do: &'static str,
}

fn in_order<S: Serializer>(outcomes: &[(&str, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(outcomes.iter().copied())
}

fn as_json(report: &Report, spread: &Spread, limit: usize, shell: &mut Shell) -> io::Result<()> {
    for (outcome, reason, status, records) in rows(report) {
        shell.out.json(&Row { outcome, reason, status, records: Some(records), offsets: None })?;
    }
    for (outcome, offsets) in [("no_record", report.no_record), ("gone", report.gone)] {
        shell.out.json(&Row { outcome, reason: "", status: "", records: None, offsets: Some(offsets) })?;
    }
    let outcomes = Kind::NAMES.into_iter().map(|name| (name, count(report, name))).collect();
    let unaccounted = shown(report, limit).iter().map(line).collect();
    let first = spread.named().map(|(identity, places)| SpreadOrder {
        app_id: identity.app_id.as_str(),
        order_id: &identity.order_id,
        partitions: places.iter().map(ToString::to_string).collect(),
    });
    let spread = SpreadTotal { orders: spread.count(), first: first.collect() };
    shell.out.json(&Total { records: report.records, outcomes, unaccounted, spread })
}

fn line(found: &Unaccounted) -> Line<'_> {
    Line {
        topic: &found.source.topic,
        partition: found.source.partition,
        offset: found.offset,
        reason: found.reason.code(),
        message: &found.message,
        app_id: found.order.as_ref().map(|order| order.app_id.as_str()),
        order_id: found.order.as_ref().map(|order| &*order.order_id),
        what_to_do: found.reason.advice(),
    }
}

/// What an outcome means.
fn meaning(name: &str) -> &'static str {
    match name {
        "delivered" => "folded, and its push is settled",
        "owed" => "folded, and its push is under way",
        "unchanged" => "folded; nothing that is sent has changed",
        "duplicate" => "seen before",
        "stale" => "older than what was applied",
        "dead_letter" => "set aside, in a letter that holds it",
        "tombstone" => "a record without a value",
        "unproven" => "of an order whose beginning is gone from the source; its state is sound",
        "before_start" => "before kafka.start_from",
        "pending" => "beyond the committed position",
        _ => "an error: see below",
    }
}

fn as_text(report: &Report, limit: usize, shell: &mut Shell) -> io::Result<()> {
    let table = rows(report).into_iter().map(|(outcome, reason, status, records)| {
        let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        vec![outcome.to_owned(), or_none(reason), or_none(status), records.to_string(), meaning(outcome).to_owned()]
    });
    shell.out.table(&["OUTCOME", "REASON", "STATUS", "RECORDS", "MEANING"], table)?;
    shell.out.line(format!("\n{} records", report.records))?;
    if report.no_record > 0 {
        let words = "offsets hold no record: markers of transactions, aborted or compacted records";
        shell.out.line(format!("{} {words}", report.no_record))?;
    }
    if report.gone > 0 {
        let words = "offsets are gone by the retention of the source topic; whether they were read before that is not seen any more";
        shell.out.line(format!("{} {words}", report.gone))?;
    }
    if report.unaccounted_count() == 0 && report.records == 0 {
        return shell.out.line("there was nothing to account for");
    }
    if report.unaccounted_count() == 0 {
        return shell.out.line("every offset is accounted for");
    }
    shell.out.line(format!("\n{} offsets are NOT accounted for:", report.unaccounted_count()))?;
    let shown = shown(report, limit);
    let table = shown.iter().map(|found| {
        let id = format!("{}/{}", found.source, found.offset);
        let order = found.order.as_ref().map_or_else(|| "-".to_owned(), |order| printable(&order.order_id));
        vec![printable(&id), found.reason.code().to_owned(), order, printable(&found.message)]
    });
    shell.out.table(&["OFFSET", "REASON", "ORDER", "WHAT IS WRONG"], table)?;
    let reasons: BTreeSet<Reason> = shown.iter().map(|found| found.reason).collect();
    shell.out.line("\nwhat to do:")?;
    for reason in reasons {
        shell.out.line(format!("  {}: {}", reason.code(), reason.advice()))?;
    }
    Ok(())
}
