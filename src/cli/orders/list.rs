//! `order-sync orders list`: orders, the oldest first.

use std::collections::BTreeMap;

use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::needed::Needed;
use crate::cli::reading::{self, Reading};
use crate::cli::render::{self, Output, printable};
use crate::cli::shell::Shell;
use crate::cli::unread::ORDERS_WITHOUT;
use crate::cli::{times, unknown};
use crate::inspect::{OrderRow, read_rows};
use crate::order::Status;
use crate::sync::scan::Span;

/// Options of `order-sync orders list`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Orders with this status
    #[arg(long, value_name = "STATUS", value_parser = status)]
    pub status: Vec<Status>,
    /// Orders of this app
    #[arg(long, value_name = "APP_ID")]
    pub app: Vec<String>,
    /// Orders whose last state Douyin does not hold: owed, or given up
    #[arg(long)]
    pub undelivered: bool,
    /// At most so many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
}

const HELP: &str = "\
The oldest first: by the event since which an order is owed, else by its last event. The whole changelog
is read, partition by partition. With --output json one object per line:
  {\"app_id\", \"order_id\", \"order_type\", \"status\", \"update_time\", \"delivery\", \"owed\", \"since\",
   \"topic\", \"partition\"}

Exit codes: 2 an --app that is in no setting and has no order; 7 Kafka or a topic is not there.

Examples:
  order-sync orders list --undelivered
  order-sync orders list --status refunding --limit 0 --output json";

fn status(word: &str) -> Result<Status, String> {
    let words = || Status::ALL.map(Status::as_str).join(", ");
    Status::from_word(word).ok_or_else(|| format!("write one of {}", words()))
}

/// Orders by age; of equal ages by their place and id.
type Oldest = BTreeMap<(i64, String, String), OrderRow>;

/// Runs `order-sync orders list`.
pub(super) fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    reading::with(shell, |reading, shell| {
        let mut oldest = Oldest::new();
        let mut matching = 0_usize;
        reading.needs(&[Needed::Sources])?;
        for span in reading.changelog()? {
            for row in rows(reading, span)?.into_iter().filter(|row| args.wants(row)) {
                matching += 1;
                let key = (
                    row.since_ms(),
                    row.identity.order_id.to_string(),
                    format!("{} {}", row.identity.app_id, row.place),
                );
                oldest.insert(key, row);
                if args.limit > 0 && oldest.len() > args.limit {
                    oldest.pop_last();
                }
            }
        }
        reading.bar.finish_and_clear();
        if oldest.is_empty() {
            unknown::refuse(&reading.config, &args.app, None)?;
        }
        tell(&oldest, shell)?;
        if matching > oldest.len() {
            let shown = oldest.len();
            render::note(format!("note: the oldest {shown} of {matching} are shown: --limit N, or 0 for all"));
        }
        Ok(Exit::Done)
    })
}

impl Args {
    fn wants(&self, row: &OrderRow) -> bool {
        let status = row.state.map(|state| state.status);
        (self.status.is_empty() || status.is_some_and(|status| self.status.contains(&status)))
            && (self.app.is_empty() || self.app.iter().any(|app| app == row.identity.app_id.as_str()))
            && !(self.undelivered && row.delivery() == "delivered")
    }
}

/// The orders of one partition of it.
pub(in crate::cli) fn rows(reading: &mut Reading, span: Span) -> anyhow::Result<Vec<OrderRow>> {
    let topic = reading.config.kafka.changelog_topic.clone();
    let sources = reading.config.kafka.topics.clone();
    let bar = reading.bar.clone();
    bar.set_message(format!("{topic}/{}", span.partition));
    let mut progress = |read| Reading::progress(&bar, (read, span.offsets()));
    let read = read_rows(&mut reading.scan, &topic, span, &sources, &mut progress);
    let (rows, unread) = read.map_err(reading::kafka)?;
    reading.note_unread(&unread, ORDERS_WITHOUT);
    Ok(rows)
}

fn tell(oldest: &Oldest, shell: &mut Shell) -> std::io::Result<()> {
    if shell.output() == Output::Json {
        return oldest.values().try_for_each(|row| shell.out.json(&line(row)));
    }
    if oldest.is_empty() {
        return shell.out.line("no such orders");
    }
    let none = || "-".to_owned();
    let rows = oldest.values().map(|row| {
        vec![
            printable(&row.identity.order_id),
            printable(row.identity.app_id.as_str()),
            row.state.map_or_else(none, |state| state.status.as_str().to_owned()),
            row.delivery().to_owned(),
            row.owed.to_string(),
            row.state.map_or_else(none, |state| state.update_time.to_string()),
            times::short(&times::rfc3339(row.since_ms())),
            printable(&row.place.to_string()),
        ]
    });
    shell.out.table(&["ORDER", "APP", "STATUS", "DELIVERY", "OWED", "STAMP", "SINCE (UTC)", "LIES IN"], rows)
}

/// An order as JSON.
pub(super) fn line(row: &OrderRow) -> serde_json::Value {
    json!({
        "app_id": row.identity.app_id.as_str(),
        "order_id": &*row.identity.order_id,
        "order_type": row.state.map(|state| state.order_type.as_str()),
        "status": row.state.map(|state| state.status.as_str()),
        "update_time": row.state.map(|state| state.update_time.0),
        "delivery": row.delivery(),
        "owed": row.owed,
        "since": times::rfc3339(row.since_ms()),
        "topic": &*row.place.topic,
        "partition": row.place.partition,
    })
}
