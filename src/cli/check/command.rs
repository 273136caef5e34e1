//! The command itself: in which order the parts are looked at, and which ones need the network.

use super::report::Report;
use super::{kafka, platform, store};
use crate::cli::exit::{self, Exit};
use crate::cli::render::Output;
use crate::cli::shell::Shell;
use crate::config::{Config, Fault, Need};

/// Options of `order-sync check`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Check the settings and the store's directory only; reach nothing over the network
    #[arg(long)]
    pub offline: bool,
    /// Print the settings in force, without secrets, and check nothing else
    #[arg(long)]
    pub print: bool,
}

const HELP: &str = "\
One line per part: ok, warning, FAULT or skipped, and what to do. The first fault decides the exit code:
2 settings, 6 store, 7 Kafka, 1 the platform. With --output json one object per line:
  {\"part\", \"outcome\": \"ok\" | \"warning\" | \"fault\" | \"skipped\", \"message\"}

Of update_time_unit it knows what the store remembers: going back from milliseconds to seconds is a
fault, a change to milliseconds a warning. With an empty directory only the changelog knows, which
`run` reads and this does not.

It may be run beside the worker. The store is in use then, which is a warning, and what it holds
is not looked at. What the store owes of a topic that kafka.topics does not name is a warning, too.

A token is fetched for each app. On the platform that retires the app's older tokens after
5 minutes; running workers fetch a new one by themselves, other programs may not.

Examples:
  order-sync check --config order-sync.toml
  order-sync check --config order-sync.toml --offline
  order-sync check --config order-sync.toml --print";

/// Runs `order-sync check`.
pub fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    if args.print {
        let config = shell.config(Need::Run)?;
        shell.out.line(config.to_redacted_toml().trim_end())?;
        return Ok(Exit::Done);
    }
    let loaded = shell.load(Need::Run)?;
    let output = shell.output();
    let mut report = Report::new(&mut shell.out, output);
    match loaded {
        Ok(loaded) => {
            tell_warnings(&loaded.warnings, &mut report)?;
            check(&loaded.config, args.offline, &mut report)?;
        }
        Err(faults) if output == Output::Text => return Err(exit::fail(Exit::Usage, faults)),
        Err(faults) => {
            for fault in &faults.0 {
                report.fault("settings", fault.to_string(), Exit::Usage)?;
            }
        }
    }
    Ok(report.exit())
}

fn tell_warnings(warnings: &[Fault], report: &mut Report<'_>) -> anyhow::Result<()> {
    warnings.iter().try_for_each(|warning| report.warn("settings", warning.to_string()))
}

fn check(config: &Config, offline: bool, report: &mut Report<'_>) -> anyhow::Result<()> {
    let outcomes = crate::app::settings::outcomes(config);
    match &outcomes {
        Ok(_) => {
            let (apps, topics) = (config.apps.len(), config.kafka.topics.len());
            let found = format!("complete and without contradiction; apps: {apps}, source topics: {topics}");
            report.ok("settings", found)?;
        }
        Err(error) => report.fault("settings", error.to_string(), Exit::Usage)?,
    }
    let store = store::check(config, report)?;
    if offline {
        report.skip("kafka", "not reached: --offline")?;
        return report.skip("platform", "not reached: --offline");
    }
    kafka::check(config, store, report)?;
    match outcomes {
        Ok(outcomes) => platform::check(config, outcomes, report),
        Err(_) => report.skip("platform", "not reached: its settings are at fault"),
    }
}
