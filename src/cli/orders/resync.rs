//! `order-sync orders resync`: orders' stored states are owed again, under new stamps.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use super::list::rows;
use crate::cli::exit::{self, Exit};
use crate::cli::giving::{GiveMany, Given, Giver};
use crate::cli::needed::Needed;
use crate::cli::reading::{self, Reading};
use crate::cli::render::{Output, printable};
use crate::cli::shell::Shell;
use crate::inspect::OrderRow;
use crate::sync::command::Action;
use crate::sync::scan::Span;

/// Ids of one call, at most.
const IDS_MAX: usize = 1_000_000;
/// The longest line of a file of ids.
const LINE_BYTES_MAX: u64 = 1024;

/// Options of `order-sync orders resync`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
#[group(id = "which", required = true, multiple = true, args = ["order_ids", "file", "all"])]
pub struct Args {
    /// The merchant's order numbers
    #[arg(value_name = "ORDER_ID", conflicts_with = "all")]
    pub order_ids: Vec<String>,
    /// Read order numbers from this file, one on a line
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    pub file: Option<PathBuf>,
    /// Every order that the changelog knows
    #[arg(long)]
    pub all: bool,
    /// Of this app only
    #[arg(long, value_name = "APP_ID")]
    pub app: Option<String>,
    /// How they are given.
    #[command(flatten)]
    pub many: GiveMany,
}

const HELP: &str = "\
The stored state, mapped by the release that the workers run, is sent under a stamp above its last one, so
that Douyin takes it whatever it holds. Use it where Douyin has lost or changed an order, or after a change
of settings that changes what is sent. Partitions are gone through one after another.

Exit codes: 1 an order is not known, and nothing was given, or a worker has refused one; 2 no order was named;
9 no worker has executed one within --timeout: it stays written, do not give it again; 7 Kafka or a topic is not there.

Examples:
  order-sync orders resync A1001 A1002 --why 'the order centre shows an old status'
  order-sync orders resync --file ids.txt --rate 50
  order-sync orders resync --all --app tt1 --dry-run";

/// Which orders.
enum Which {
    These(BTreeSet<String>),
    All,
}

/// Runs `order-sync orders resync`.
pub(super) fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    let which = which(args)?;
    reading::with(shell, |reading, shell| {
        reading.needs(&[Needed::Sources])?;
        let spans = reading.changelog()?;
        let partitions: BTreeSet<i32> = spans.iter().map(|span| span.partition).collect();
        let mut desk = args.many.giver(reading, shell, &partitions)?;
        match which {
            Which::All => {
                for span in spans {
                    let orders = chosen(args, None, span, reading)?;
                    resync(&orders, desk.as_mut(), reading, shell)?;
                }
            }
            Which::These(ids) => {
                // All are looked for before the first is given: a slip of the hand changes nothing.
                let (mut orders, mut missing) = (Vec::new(), ids.clone());
                for span in spans {
                    orders.extend(chosen(args, Some(&ids), span, reading)?);
                }
                for row in &orders {
                    missing.remove(&*row.identity.order_id);
                }
                if let Some(one) = missing.first() {
                    let words = format!(
                        "{} orders are not in the changelog, {one:?} among them: look at their ids and at --app. Nothing was \
                         written",
                        missing.len()
                    );
                    return Err(exit::fail(Exit::Failure, anyhow::anyhow!(words)));
                }
                resync(&orders, desk.as_mut(), reading, shell)?;
            }
        }
        Ok(desk.map_or(Exit::Done, |desk| desk.end(reading)))
    })
}

fn which(args: &Args) -> anyhow::Result<Which> {
    if args.all {
        return Ok(Which::All);
    }
    let mut ids: BTreeSet<String> = args.order_ids.iter().cloned().collect();
    if let Some(path) = &args.file {
        read_ids(path, &mut ids).map_err(|error| exit::fail(Exit::Usage, error))?;
    }
    if ids.is_empty() {
        return Err(exit::fail(Exit::Usage, anyhow::anyhow!("the file has no order number")));
    }
    Ok(Which::These(ids))
}

fn read_ids(path: &Path, ids: &mut BTreeSet<String>) -> anyhow::Result<()> {
    let name = path.display();
    let mut file = BufReader::new(std::fs::File::open(path).with_context(|| format!("cannot read {name}"))?);
    let mut line = String::new();
    loop {
        line.clear();
        let read = std::io::Read::take(&mut file, LINE_BYTES_MAX).read_line(&mut line);
        if read.with_context(|| format!("cannot read {name}"))? == 0 {
            return Ok(());
        }
        anyhow::ensure!(
            line.ends_with('\n') || line.len() < 1024,
            "{name}: a line is longer than 1023 bytes; write one order number on each"
        );
        if !line.trim().is_empty() {
            ids.insert(line.trim().to_owned());
        }
        anyhow::ensure!(ids.len() <= IDS_MAX, "{name}: more than {IDS_MAX} order numbers; give them in parts");
    }
}

/// The wanted orders of one partition, by their ids.
fn chosen(
    args: &Args,
    ids: Option<&BTreeSet<String>>,
    span: Span,
    reading: &mut Reading,
) -> anyhow::Result<Vec<OrderRow>> {
    let mut orders = rows(reading, span)?;
    orders.retain(|row| {
        row.state.is_some()
            && ids.is_none_or(|ids| ids.contains(&*row.identity.order_id))
            && args.app.as_deref().is_none_or(|app| app == row.identity.app_id.as_str())
    });
    orders.sort_by(|a, b| (&a.place, &a.identity).cmp(&(&b.place, &b.identity)));
    Ok(orders)
}

fn resync(
    orders: &[OrderRow],
    desk: Option<&mut Giver>,
    reading: &mut Reading,
    shell: &mut Shell,
) -> anyhow::Result<()> {
    let Some(desk) = desk else {
        reading.bar.suspend(|| orders.iter().try_for_each(|row| tell(row, shell)))?;
        return Ok(());
    };
    let given = |row: &OrderRow| {
        let (app_id, order_id) = (row.identity.app_id.clone(), (&*row.identity.order_id).into());
        let name = format!("{}/{app_id}/{}", row.place, row.identity.order_id);
        let command = desk.command(&name, row.place.clone(), Action::Resync { app_id, order_id });
        Given { subject: format!("{} of {}", row.identity.order_id, row.identity.app_id), command }
    };
    let given: Vec<Given> = orders.iter().map(given).collect();
    desk.give(&given, reading, shell)
}

fn tell(row: &OrderRow, shell: &mut Shell) -> std::io::Result<()> {
    let (app, order) = (row.identity.app_id.as_str(), &*row.identity.order_id);
    match shell.output() {
        Output::Json => shell.out.json(&json!({
            "kind": "plan",
            "will": "send",
            "app_id": app,
            "order_id": order,
            "update_time": row.state.map(|state| state.update_time.0),
            "delivery": row.delivery(),
            "topic": &*row.place.topic,
            "partition": row.place.partition,
        })),
        Output::Text => {
            let words = format!("send        {} of {} ({})", printable(order), printable(app), row.delivery());
            shell.out.line(words)
        }
    }
}
