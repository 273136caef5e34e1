//! `order-sync orders export`: every order's newest state as NDJSON. Each partition is read twice: which record is an
//! order's newest is known only at the end.

use std::collections::HashMap;
use std::io::Write as _;
use std::ops::ControlFlow;

use serde_json::json;

use super::list;
use crate::cli::exit::Exit;
use crate::cli::needed::Needed;
use crate::cli::reading::{self, Reading};
use crate::cli::shell::Shell;
use crate::inspect::{Mask, OrderRow, Personal};
use crate::sync::scan::{LogScan as _, Span};

/// Options of `order-sync orders export`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Personal data (`open_id` and its like) in full
    #[arg(long)]
    pub show_personal_data: bool,
}

const HELP: &str = "\
One JSON object per order and line, whatever --output says: what `orders list` tells, and `state`, which is
as `order-sync schema state` describes it. Their order is not promised. open_id and
its like are masked unless --show-personal-data is given.

Exit codes: 7 Kafka or a topic is not there.

Examples:
  order-sync orders export > states.ndjson";

/// Runs `order-sync orders export`.
pub(super) fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    let personal = if args.show_personal_data { Personal::Shown } else { Personal::Masked };
    reading::with(shell, |reading, shell| {
        reading.hide_bar_from(shell);
        reading.needs(&[Needed::Sources])?;
        for span in reading.changelog()? {
            let newest: HashMap<i64, OrderRow> = list::rows(reading, span)?
                .into_iter()
                .filter_map(|row| Some((row.state?.changelog_offset, row)))
                .collect();
            write(reading, span, &newest, personal, shell)?;
        }
        Ok(Exit::Done)
    })
}

fn write(
    reading: &mut Reading,
    within: Span,
    newest: &HashMap<i64, OrderRow>,
    personal: Personal,
    shell: &mut Shell,
) -> anyhow::Result<()> {
    let topic = reading.config.kafka.changelog_topic.clone();
    let mut failed = None;
    let read = reading.scan.read(&topic, &[within], &mut |seen| {
        let row = newest.get(&seen.offset().get());
        let Some((row, value)) = row.zip(seen.value()) else { return ControlFlow::Continue(()) };
        let mut line = list::line(row);
        if let Some(members) = line.as_object_mut() {
            members.insert("state".to_owned(), json!(Mask::new(personal).json(value)));
        }
        match writeln!(shell.out, "{line}") {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    read.map_err(reading::kafka)?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}
