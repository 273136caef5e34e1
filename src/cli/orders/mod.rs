//! `order-sync orders`: what became of an order, which orders are not delivered, and all states; read from Kafka, beside a
//! running fleet or with none.

mod command;
mod export;
mod fold;
mod list;
mod resync;
mod show;
mod show_json;
mod show_text;
mod source;

pub use command::{Args, execute};

pub(in crate::cli) use list::rows;
