//! `order-sync dead-letters`: what was set aside, why, and what became of it; read from Kafka, beside a running fleet or
//! with none.

mod command;
mod discard;
mod export;
mod import;
mod known;
mod list;
mod redrive;
mod select;
mod show;
mod show_text;

pub use command::{Args, execute};
