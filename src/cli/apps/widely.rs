//! `order-sync apps pause|resume|accept-rejections`: one command for every partition of every source topic, as each takes
//! effect in its own.

use std::collections::BTreeSet;

use crate::cli::exit::{self, Exit};
use crate::cli::giving::{self, Give, Given, Giver};
use crate::cli::needed::Needed;
use crate::cli::reading::{self, Reading};
use crate::cli::render;
use crate::cli::shell::Shell;
use crate::order::AppId;
use crate::record::TopicPartition;
use crate::sync::command::Action;
use crate::sync::scan::LogScan as _;

/// Options of `order-sync apps pause`.
#[derive(Debug, clap::Args)]
#[command(after_help = PAUSE_HELP)]
pub struct PauseArgs {
    /// The app
    #[arg(value_name = "APP")]
    pub app: String,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", value_parser = giving::why)]
    pub why: String,
    /// How it is given.
    #[command(flatten)]
    pub give: Give,
}

/// Options of `order-sync apps resume`.
#[derive(Debug, clap::Args)]
#[command(after_help = RESUME_HELP)]
pub struct ResumeArgs {
    /// The app
    #[arg(value_name = "APP")]
    pub app: String,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", value_parser = giving::why)]
    pub why: Option<String>,
    /// How it is given.
    #[command(flatten)]
    pub give: Give,
}

/// Options of `order-sync apps accept-rejections`.
#[derive(Debug, clap::Args)]
#[command(after_help = ACCEPT_HELP)]
pub struct AcceptArgs {
    /// The app
    #[arg(value_name = "APP")]
    pub app: String,
    /// The platform's code
    #[arg(value_name = "CODE", allow_negative_numbers = true, value_parser = rejection)]
    pub code: i64,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT", value_parser = giving::why)]
    pub why: String,
    /// How it is given.
    #[command(flatten)]
    pub give: Give,
}

const PAUSE_HELP: &str = "\
What is in flight is answered; nothing further of the app is started. Its events are folded and owed, and
leave in their order once it is resumed. Every source partition is told, and answers for itself.

Exit codes: 1 a worker has refused it; 2 no app of this id in the settings; 9 no worker has executed it within
--timeout: it stays written, do not give it again; 7 Kafka or a topic is not there.

Examples:
  order-sync apps pause tt1 --why 'the shop is being moved'
  order-sync apps pause tt1 --why 'night work' --no-wait";

const RESUME_HELP: &str = "\
What it owes is delivered in its order, at the app's rate. Every source partition is told, and answers for itself.

Exit codes: 1 a worker has refused it; 2 no app of this id in the settings; 9 no worker has executed it within
--timeout: it stays written, do not give it again; 7 Kafka or a topic is not there.

Examples:
  order-sync apps resume tt1
  order-sync apps resume tt1 --why 'the shop is there again' --output json";

const ACCEPT_HELP: &str = "\
When 20 orders of an app in a row are rejected, it is suspended before the dead-letter topic fills. This
says that rejections with this code are right: they become dead letters and count no more towards that.

Exit codes: 1 a worker has refused it; 2 no app of this id in the settings; 9 no worker has executed it within
--timeout: it stays written, do not give it again; 7 Kafka or a topic is not there.

Examples:
  order-sync apps accept-rejections tt1 40003 --why 'these goods were taken down'";

fn rejection(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(0) => Err("0 is no rejection: it says that a push was taken".to_owned()),
        Ok(code) => Ok(code),
        Err(_) => Err("write the platform's err_code, a number".to_owned()),
    }
}

pub(super) fn pause(args: &PauseArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    widely(&args.app, &args.why, &args.give, shell, |app_id| Action::Pause { app_id })
}

pub(super) fn resume(args: &ResumeArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    widely(&args.app, args.why.as_deref().unwrap_or_default(), &args.give, shell, |app_id| Action::Resume { app_id })
}

pub(super) fn accept(args: &AcceptArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    widely(&args.app, &args.why, &args.give, shell, |app_id| Action::AcceptRejections { app_id, code: args.code })
}

fn widely(
    app: &str,
    why: &str,
    give: &Give,
    shell: &mut Shell,
    action: impl Fn(AppId) -> Action,
) -> anyhow::Result<Exit> {
    reading::with(shell, |reading, shell| {
        known(app, reading)?;
        let places = places(reading)?;
        let partitions: BTreeSet<i32> = places.iter().map(|place| place.partition).collect();
        let mut desk = Giver::new(reading, shell, give, why, &partitions, None)?;
        let given = |place: TopicPartition| Given {
            subject: format!("{app} in {place}"),
            command: desk.command(&place.to_string(), place, action(AppId::new(app))),
        };
        let given: Vec<Given> = places.into_iter().map(given).collect();
        desk.give(&given, reading, shell)?;
        Ok(desk.end(reading))
    })
}

/// A slip of the hand is refused; where the settings name no app, whatever was given is taken.
fn known(app: &str, reading: &Reading) -> anyhow::Result<()> {
    let apps = &reading.config.apps;
    if apps.is_empty() {
        render::note("note: these settings name no app, so that the app's id could not be checked");
        return Ok(());
    }
    if apps.iter().any(|known| known.app_id.as_str() == app) {
        return Ok(());
    }
    let known: Vec<&str> = apps.iter().map(|known| known.app_id.as_str()).collect();
    let words = format!("there is no app {app:?} in the settings; there are {}", known.join(", "));
    Err(exit::fail(Exit::Usage, anyhow::anyhow!(words)))
}

/// Every partition of every source topic.
fn places(reading: &mut Reading) -> anyhow::Result<Vec<TopicPartition>> {
    let mut places = Vec::new();
    for topic in reading.config.kafka.topics.clone() {
        let Some(count) = reading.scan.partitions(&topic).map_err(reading::kafka)? else {
            return Err(reading.missing(Needed::Sources, &topic));
        };
        places.extend((0..count).map(|partition| TopicPartition::new(topic.as_str(), partition)));
    }
    Ok(places)
}
