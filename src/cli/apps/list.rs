//! `order-sync apps list`: apps by the settings and by what workers have committed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::orders;
use crate::cli::reading::{self, Reading};
use crate::cli::render::{self, Output, printable};
use crate::cli::shell::Shell;
use crate::cli::times;
use crate::inspect::read_positions;

/// Options of `order-sync apps list`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {}

const HELP: &str = "\
Read from the changelog alone, whatever runs. Circuit and token of an app are each worker's own:
GET /readyz (circuits) and /metrics of its admin.listen. With --output json one object per line:
  {\"app_id\", \"is_configured\", \"paused_partitions\", \"partitions\", \"accepted_codes\", \"orders\", \"owed\",
   \"oldest_owed_at\", \"dead_letters\"}

Examples:
  order-sync apps list
  order-sync apps list --output json";

/// What is known of one app.
#[derive(Debug, Default)]
struct App {
    is_configured: bool,
    paused: usize,
    accepted: BTreeSet<i64>,
    orders: u64,
    owed: u64,
    oldest_ms: Option<i64>,
    /// Orders whose last state stands as a dead letter.
    dead_letters: u64,
}

/// Runs `order-sync apps list`.
pub(super) fn execute(_: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    reading::with(shell, |reading, shell| {
        let mut apps: BTreeMap<String, App> = BTreeMap::new();
        for app in &reading.config.apps {
            apps.entry(app.app_id.as_str().to_owned()).or_default().is_configured = true;
        }
        let partitions = collect(reading, &mut apps)?;
        reading.bar.finish_and_clear();
        tell(&apps, partitions, shell)?;
        if apps.is_empty() {
            render::note("note: the settings name no app, and no worker has committed an order of one");
        }
        Ok(Exit::Done)
    })
}

/// How many source partitions have a position.
fn collect(reading: &mut Reading, apps: &mut BTreeMap<String, App>) -> anyhow::Result<usize> {
    let changelog = reading.config.kafka.changelog_topic.clone();
    let sources = reading.config.kafka.topics.clone();
    let mut partitions = 0;
    for span in orders::changelog(reading)? {
        for row in orders::rows(reading, span)? {
            let app = apps.entry(row.identity.app_id.as_str().to_owned()).or_default();
            app.orders += 1;
            app.owed += u64::from(row.owed);
            app.dead_letters += u64::from(row.delivery() == "dead_letter");
            app.oldest_ms = match (app.oldest_ms, row.owed_since_ms) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        let positions = read_positions(&mut reading.scan, &changelog, span, &sources).map_err(reading::kafka)?;
        for position in positions.values() {
            partitions += 1;
            for paused in &position.paused_apps {
                apps.entry(paused.as_str().to_owned()).or_default().paused += 1;
            }
            for (app, codes) in &position.accepted_codes {
                apps.entry(app.as_str().to_owned()).or_default().accepted.extend(codes);
            }
        }
    }
    Ok(partitions)
}

fn tell(apps: &BTreeMap<String, App>, partitions: usize, shell: &mut Shell) -> std::io::Result<()> {
    if shell.output() == Output::Json {
        return apps.iter().try_for_each(|(app_id, app)| {
            shell.out.json(&json!({
                "app_id": app_id,
                "is_configured": app.is_configured,
                "paused_partitions": app.paused,
                "partitions": partitions,
                "accepted_codes": app.accepted,
                "orders": app.orders,
                "owed": app.owed,
                "oldest_owed_at": app.oldest_ms.map(times::rfc3339),
                "dead_letters": app.dead_letters,
            }))
        });
    }
    let rows = apps.iter().map(|(app_id, app)| {
        let paused = match app.paused {
            0 => "no".to_owned(),
            all if all == partitions => "yes".to_owned(),
            some => format!("in {some} of {partitions}"),
        };
        let codes: Vec<String> = app.accepted.iter().map(ToString::to_string).collect();
        vec![
            printable(app_id),
            if app.is_configured { "yes" } else { "no" }.to_owned(),
            paused,
            if codes.is_empty() { "-".to_owned() } else { codes.join(", ") },
            app.orders.to_string(),
            app.owed.to_string(),
            app.oldest_ms.map_or_else(|| "-".to_owned(), |at| times::short(&times::rfc3339(at))),
            app.dead_letters.to_string(),
        ]
    });
    let header = ["APP", "CONFIGURED", "PAUSED", "ACCEPTED", "ORDERS", "OWED", "OLDEST OWED (UTC)", "DEAD LETTERS"];
    shell.out.table(&header, rows)
}
