//! `order-sync apps`: what apps owe and what operators have said of them; pause, resume, accepted rejections.

mod command;
mod list;
mod widely;

pub use command::{Args, execute};
