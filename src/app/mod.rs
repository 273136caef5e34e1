//! Shell: the composition root, supervision and the admin HTTP.

pub mod admin;
pub mod beginnings;
mod company;
pub mod damage;
pub mod demo;
pub mod detach;
mod former;
pub mod health;
mod local_mode;
mod log_mode;
pub mod memory_fold;
pub mod rebase;
mod rebase_look;
mod rebase_plan;
mod rebased;
pub mod retired;
pub mod settings;
pub mod skip_lost;
mod threads;
pub mod topics;
mod vanished;
pub mod worker;
