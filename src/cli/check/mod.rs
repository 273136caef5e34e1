//! `order-sync check`: the settings, then everything that a run will reach, each part by itself: what works, what does
//! not, and what to do about it.

mod command;
mod kafka;
mod platform;
mod report;
mod store;

pub use command::{Args, execute};
