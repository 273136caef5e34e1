//! `order-sync replay`: the command line, and the order in which a replay goes.

use std::path::PathBuf;
use std::time::Duration;

use super::plan::Plan;
use super::progress_file::{ProgressFile, default_path};
use super::{apply, from_file, from_topic, text};
use crate::app::settings;
use crate::cli::exit::{self, Exit};
use crate::cli::giving::{self, Give, Round};
use crate::cli::needed::Needed;
use crate::cli::range::Range;
use crate::cli::reading::{self, Reading};
use crate::cli::render::{self, Output};
use crate::cli::shell::Shell;
use crate::config::Config;
use crate::douyin::Mapper;
use crate::inspect::Personal;
use crate::inspect::replay::{Looks, ReplayRules, Tally};
use crate::order::MapOrder;

/// Options of `order-sync replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct Args {
    /// What is read.
    #[command(flatten)]
    pub range: Range,
    /// Of these orders only; may be repeated
    #[arg(long, value_name = "ORDER_ID")]
    pub order: Vec<String>,
    /// Read events from this file instead, one JSON object per line; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "until", "topic", "partition"])]
    pub file: Option<PathBuf>,
    /// Exit with 4 where Douyin does not hold what the log says
    #[arg(long)]
    pub verify_only: bool,
    /// Give the resync commands of the plan
    #[arg(long, conflicts_with = "verify_only")]
    pub apply: bool,
    /// Go on with an --apply that was cut off: give what was not given
    #[arg(long, conflicts_with_all = ["from", "until", "topic", "partition", "order", "file", "verify_only", "apply", "why", "who"])]
    pub resume: bool,
    /// Where --apply notes its plan and how far it has come [default: ./order-sync-replay-GROUP.ndjson]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Give at most so many commands a second
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", value_parser = giving::why, default_value = "replay")]
    pub why: String,
    /// Show so many of the orders that differ, field by field
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub samples: usize,
    /// Personal data (`open_id` and its like) in full
    #[arg(long)]
    pub show_personal_data: bool,
    /// How commands are given.
    #[command(flatten)]
    pub give: Give,
}

const HELP: &str = "\
Reads the source topics as nobody's group, folds them beside the workers' stores, and compares each order's
content with what the changelog holds: whether Douyin was sent what the log says. No worker has to run, and
none is disturbed. Needs kafka.exactly_once: without transactions there is no changelog to compare with.

Events behind the workers' position are pending and never differ. What was set aside then stays aside, and
what commands have folded is folded where they stood. Stamps are not compared. Of an order that may have
begun before --from (or before what retention has left of the topic) its last event is compared alone.

A resync sends the state that the changelog holds, mapped by the settings of now. So --apply mends what was
never delivered and what is mapped otherwise today; an order whose held state itself is another one is named,
and left to a person: `orders show`, `orders fold`.

Exit codes: 4 with --verify-only, where Douyin does not hold what the log says; with --apply and --resume 1 a worker
has refused one, 9 no worker has executed one within --timeout (--resume goes on); 2 a file that is no log of events
or no plan; 7 Kafka or a topic is not there.

Examples:
  order-sync replay                                  is everything as the log says?
  order-sync replay --from 2026-11-25T08:00:00Z --verify-only || echo differs
  order-sync replay --order A1001 --show-personal-data
  order-sync replay --apply --rate 50 --why 'after the outage of Tuesday'
  order-sync replay --resume                         after that one was cut off
  order-sync replay --file shop-export.ndjson --output json";

/// Runs `order-sync replay`.
pub fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    reading::with(shell, |reading, shell| {
        if !reading.config.kafka.exactly_once {
            let words = "kafka.exactly_once = false: without transactions the workers write no changelog, and what they hold \
                         is in their stores alone. There is nothing to compare the log with; `order-sync map` shows what \
                         events become";
            return Err(exit::fail(Exit::Usage, anyhow::anyhow!(words)));
        }
        if args.resume {
            return apply::resume(args, reading, shell);
        }
        reading.needs(&[Needed::Sources, Needed::Changelog, Needed::DeadLetters])?;
        // Its commands are told from one another by what they are about alone.
        let round = Round { id: "replay".to_owned(), ..Round::begin(args.give.who(shell)?, &args.why) };
        let file = if args.apply { Some(begin_file(args, &round, reading)?) } else { None };
        let personal = if args.show_personal_data { Personal::Shown } else { Personal::Masked };
        let mut looks = Looks { left: args.samples, personal };
        let mut plan = Plan::new(args.samples, file);
        reading.hide_bar_of_rows(shell);
        match &args.file {
            Some(path) => from_file::replay(args, path, &mut plan, &mut looks, reading, shell)?,
            None => from_topic::replay(args, &mut plan, &mut looks, reading, shell)?,
        }
        reading.bar.finish_and_clear();
        if plan.tally.orders == 0 && !args.order.is_empty() {
            render::note(
                "note: what was read has no event of these orders: look at their ids, at --from and at --partition",
            );
        }
        finish(args, &round, plan, reading, shell)
    })
}

fn begin_file(args: &Args, round: &Round, reading: &Reading) -> anyhow::Result<ProgressFile> {
    let group = &reading.config.kafka.group_id;
    let path = args.state.clone().unwrap_or_else(|| default_path(group));
    ProgressFile::create(&path, group, round)
}

/// Tells the plan, and gives its commands where that was asked for.
fn finish(
    args: &Args,
    round: &Round,
    mut plan: Plan,
    reading: &mut Reading,
    shell: &mut Shell,
) -> anyhow::Result<Exit> {
    let pace = Pace::of(&reading.config, args.rate, &plan.tally);
    match shell.output() {
        Output::Json => shell.out.json(&plan.line(pace.takes.map(|takes| takes.as_secs())))?,
        Output::Text => text::tell(args, &plan, &pace, shell)?,
    }
    let summary = plan.summary();
    let Some(mut file) = plan.file.take() else {
        let differs = args.verify_only && plan.tally.pushes() > 0;
        return apply::end(&summary, if differs { Exit::Differs } else { Exit::Done }, shell);
    };
    if file.planned() == 0 {
        file.remove()?;
        return apply::end(&summary, Exit::Done, shell);
    }
    file.seal(summary.clone())?;
    render::note(format!("note: the plan and how far it has come are in {}", file.path().display()));
    let exit = apply::give(args, &mut file, round, 0, reading, shell)?;
    apply::end(&summary, exit, shell)
}

/// As workers of these settings judge.
pub(super) fn rules<'m>(config: &Config, mapper: &'m Mapper, others: &'m [Mapper]) -> ReplayRules<'m> {
    let others = others.iter().map(|other| other as &dyn MapOrder).collect();
    ReplayRules { events: settings::event_rules(config), units: settings::units(config), mapper, others }
}

/// How long the resyncs take.
pub(super) struct Pace {
    /// What bounds them.
    pub(super) by: String,
    /// `None` where there are none.
    pub(super) takes: Option<Duration>,
}

impl Pace {
    fn of(config: &Config, rate: u32, tally: &Tally) -> Self {
        let most = tally.resyncs.values().max().copied().unwrap_or_default();
        let given = tally.to_resync().div_ceil(u64::from(rate));
        let (by, seconds) = match config.delivery.requests_per_second {
            Some(limit) if most.div_ceil(u64::from(limit.get())) >= given => {
                (format!("delivery.requests_per_second = {limit}"), most.div_ceil(u64::from(limit.get())))
            }
            Some(_) | None => (format!("--rate {rate}"), given),
        };
        Self { by, takes: (seconds > 0).then(|| Duration::from_secs(seconds)) }
    }
}
