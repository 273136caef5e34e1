//! Shell: one file per noun; text for people, JSON for scripts.
//!
//! A command is a file with `Args` (clap) and `execute(args, &mut Shell) -> anyhow::Result<Exit>`. It prints through
//! `shell.out` ([`render::Out`]) only, takes its settings from `shell.config(…)`, gives an error its exit code
//! with [`exit::fail`], and runs async work with [`runtime::block_on`].

pub mod apps;
pub mod args;
pub mod check;
pub mod completions;
pub mod dead_letters;
pub mod demo;
mod demo_report;
mod detach;
mod emptiness;
pub mod entry;
pub mod exit;
pub mod explain;
pub mod giving;
mod help;
pub mod map;
mod map_lines;
mod map_log;
mod map_rules;
mod map_text;
mod needed;
pub mod orders;
mod range;
mod reading;
mod rebase;
pub mod render;
pub mod replay;
pub mod run;
pub mod runtime;
pub mod sandbox;
pub mod schema;
pub mod shell;
mod skip_lost;
pub mod store;
mod times;
pub mod topics;
mod unknown;
mod unread;
pub mod verify;

pub use entry::main;
