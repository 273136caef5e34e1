//! `order-sync verify`: is every offset accounted for?

mod command;
mod settings;
mod tell;

pub use command::{Args, execute};
pub(in crate::cli) use settings::mappers;
