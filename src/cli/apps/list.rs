//! `order-sync apps list`: apps by the settings and by what workers have committed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::cli::exit::{self, Exit};
use crate::cli::needed::Needed;
use crate::cli::orders;
use crate::cli::reading::{self, Reading};
use crate::cli::render::{self, Output, printable};
use crate::cli::shell::Shell;
use crate::cli::times;
use crate::cli::unread::ORDERS_WITHOUT;
use crate::http::worker::{self, AskError};
use crate::inspect::read_positions;

/// Options of `order-sync apps list`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Ask this worker, too, for circuits and tokens: http:// and its admin.listen; several may be given
    #[arg(long, value_name = "URL")]
    pub admin: Vec<String>,
}

const HELP: &str = "\
Read from the changelog, whatever runs. Circuit and token of an app are each worker's own, and are asked for
with --admin: of several workers the worst circuit and the oldest token are shown, with how many have it.
A worker that does not answer is named at the end: the table is whole but for what that one alone knows.
With --output json one object per line (docs/cli-json.md):
  {\"app_id\", \"is_configured\", \"paused_partitions\", \"partitions\", \"accepted_codes\", \"orders\", \"owed\",
   \"oldest_owed_at\", \"dead_letters\", \"workers\", \"silent_workers\"}

Exit codes: 1 a worker that was asked does not answer; 2 an --admin that is no address; 7 Kafka or a topic is not there.

Examples:
  order-sync apps list
  order-sync apps list --admin http://10.0.0.7:9600 --admin http://10.0.0.8:9600
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
    /// What each worker that was asked says of it.
    workers: Vec<Said>,
}

/// What one worker says of an app.
#[derive(Debug, serde::Serialize)]
struct Said {
    admin: String,
    circuit: Option<String>,
    token_age_seconds: Option<u64>,
}

/// A worker that was asked and does not answer.
struct Silent {
    admin: String,
    why: String,
}

/// Runs `order-sync apps list`.
pub(super) fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    reading::with(shell, |reading, shell| {
        let mut apps: BTreeMap<String, App> = BTreeMap::new();
        for app in &reading.config.apps {
            apps.entry(app.app_id.as_str().to_owned()).or_default().is_configured = true;
        }
        let silent = ask(args, reading, &mut apps)?;
        let partitions = collect(reading, &mut apps)?;
        reading.bar.finish_and_clear();
        tell(&apps, partitions, &silent, shell)?;
        if apps.is_empty() {
            render::note("note: the settings name no app, and no worker has committed an order of one");
        }
        for Silent { admin, why } in &silent {
            render::note(format!("note: {}: {why}; its circuits and tokens are not among these", printable(admin)));
        }
        Ok(if silent.is_empty() { Exit::Done } else { Exit::Failure })
    })
}

/// Asks the workers that were named, one after another, and gives those of which there is no answer: what the others say is
/// told all the same. An address that is none ends everything.
fn ask(args: &Args, reading: &Reading, apps: &mut BTreeMap<String, App>) -> anyhow::Result<Vec<Silent>> {
    let mut silent = Vec::new();
    for admin in &args.admin {
        reading.bar.set_message(admin.clone());
        let asked = worker::apps(admin, &reading.config.douyin);
        let said = match tokio::runtime::Handle::current().block_on(asked) {
            Ok(said) => said,
            Err(error @ AskError::Client(_)) => {
                return Err(exit::fail(Exit::Usage, anyhow::anyhow!("{}: {error}", printable(admin))));
            }
            Err(error @ (AskError::Broken(_) | AskError::Answer(_))) => {
                silent.push(Silent { admin: admin.clone(), why: error.to_string() });
                continue;
            }
        };
        let named: BTreeSet<&String> = said.circuits.keys().chain(said.token_age_seconds.keys()).collect();
        for app in named {
            apps.entry(app.clone()).or_default().workers.push(Said {
                admin: admin.clone(),
                circuit: said.circuits.get(app).cloned(),
                token_age_seconds: said.token_age_seconds.get(app).copied(),
            });
        }
    }
    Ok(silent)
}

/// The worst of what the workers say of an app's circuit, with how many say so.
fn circuit(workers: &[Said]) -> String {
    let badness = |word: &str| ["closed", "half-open", "open", "suspended"].iter().position(|known| *known == word);
    let Some(worst) = workers.iter().filter_map(|said| said.circuit.as_deref()).max_by_key(|word| badness(word)) else {
        return "-".to_owned();
    };
    match workers.iter().filter(|said| said.circuit.as_deref() == Some(worst)).count() {
        all if all == workers.len() => printable(worst),
        some => format!("{} ({some} of {})", printable(worst), workers.len()),
    }
}

/// How many source partitions have a position.
fn collect(reading: &mut Reading, apps: &mut BTreeMap<String, App>) -> anyhow::Result<usize> {
    let changelog = reading.config.kafka.changelog_topic.clone();
    let sources = reading.config.kafka.topics.clone();
    let mut partitions = 0;
    reading.needs(&[Needed::Sources])?;
    for span in reading.changelog()? {
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
        reading.note_unread(&positions.unread, ORDERS_WITHOUT);
        for position in positions.positions.values() {
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

fn tell(apps: &BTreeMap<String, App>, partitions: usize, silent: &[Silent], shell: &mut Shell) -> std::io::Result<()> {
    let silent: Vec<&str> = silent.iter().map(|silent| &*silent.admin).collect();
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
                "workers": app.workers,
                "silent_workers": silent,
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
            circuit(&app.workers),
            app.workers.iter().filter_map(|said| said.token_age_seconds).max().map_or_else(|| "-".to_owned(), age),
        ]
    });
    let header = [
        "APP",
        "CONFIGURED",
        "PAUSED",
        "ACCEPTED",
        "ORDERS",
        "OWED",
        "OLDEST OWED (UTC)",
        "DEAD LETTERS",
        "CIRCUIT",
        "TOKEN AGE",
    ];
    shell.out.table(&header, rows)
}

/// Seconds for people.
fn age(seconds: u64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        _ => format!("{} min", seconds / 60),
    }
}
