//! The command line: one subcommand per file, and the texts of the help.

use clap::{Parser, Subcommand};

use super::shell::Globals;
use super::{
    apps, check, completions, dead_letters, demo, exit::Exit, explain, map, orders, replay, run, sandbox, schema,
    store, topics, verify,
};

/// Keeps Douyin's order centre on a merchant's latest order state.
///
/// order-sync consumes order events from Kafka, folds them per order, and pushes each state through Douyin's
/// order/v2/push under a strictly increasing stamp. A state is on disk before it is pushed, so that a crash
/// repeats a push identically or not at all.
#[derive(Debug, Parser)]
#[command(name = "order-sync", version, max_term_width = 100, after_long_help = after_long_help())]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the worker: consume, fold, push, until it is told to stop
    Run(run::Args),
    /// Check the settings, then Kafka, the store and the platform's token endpoint
    Check(check::Args),
    /// Make the worker's own topics, or see whether they are there and fit
    Topics(topics::Args),
    /// Look into the local store, have it rebuilt, or write it into a changelog
    Store(store::Args),
    /// List, show and export what was set aside, send it again or decide against it
    DeadLetters(dead_letters::Args),
    /// Show what became of an order, list and export orders, send them again
    Orders(orders::Args),
    /// Fold the log again, say what differs from what was sent, and send that again
    Replay(replay::Args),
    /// List apps, pause and resume their deliveries, accept rejections
    Apps(apps::Args),
    /// Account for every offset: fold the log again, and compare with changelog and dead letters
    Verify(verify::Args),
    /// Show what the worker would make of events, without Kafka, store or network
    Map(map::Args),
    /// Say how the worker judges an answer of the platform, and what it would do next
    Explain(explain::Args),
    /// Serve a strict fake Douyin on this machine, for staging and CI
    Sandbox(sandbox::Args),
    /// See the whole thing work: embedded broker, sandbox, worker and a seeded order log
    Demo(demo::Args),
    /// Print the JSON Schemas of events, requests, dead letters, states and settings
    Schema(schema::Args),
    /// Print what a shell needs to complete command lines of order-sync
    Completions(completions::CompletionsArgs),
    /// Print the man page, or write one for every command
    Man(completions::ManArgs),
}

fn after_long_help() -> String {
    format!(
        "\
Examples:
  order-sync demo                                   see it work, nothing needed
  order-sync sandbox --listen 127.0.0.1:9700        a Douyin to test against
  order-sync map --config order-sync.toml < events.jsonl
                                                    what would these events become?
  order-sync check --config order-sync.toml         is everything right before the start?
  order-sync run --config order-sync.toml           the worker
  order-sync dead-letters list                      what was set aside, and why?
  order-sync orders show A1001                      what became of this order?
  order-sync replay --verify-only                   does Douyin hold what the log says?
  order-sync verify                                 did we miss anything?
  order-sync explain --status 200 --body '{{\"err_code\":40014,\"err_msg\":\"bad access token\",\"body\":\"\"}}'

Settings come from config/default.toml (built in), then the file, then the environment
(ORDER_SYNC__SECTION__KEY, ORDER_SYNC__APPS__<app_id>__SECRET), then --set. docs/configuration.md
has every key; `order-sync check --print` shows the settings in force, without secrets.

Exit codes:
{}
Read on: `order-sync <command> --help`, README.md, docs/configuration.md.",
        Exit::table()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }
}
