//! A second, naive reading of the contract: an oracle for every test that asks what should have been sent.
//!
//! Written from the contract over `serde_json::Value` alone: nothing of the library is used here, speed is no aim.

#![expect(clippy::struct_field_names, reason = "the contract names the fields")]

mod event;
mod json;
mod log;
mod mapping;
mod time;

pub(crate) use log::{App, Command, Folded, Input, Outcome, Push, Settings, State, fold_log, fold_log_with};
