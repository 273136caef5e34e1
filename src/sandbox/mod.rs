//! Edge: the strict fake Douyin that users run in their own staging and CI, and that our tests take as the oracle.
//!
//! It shares no code with the mapper: what it demands of a push is written down a second time, from the platform's
//! documentation. It never talks to the platform, and it keeps everything in memory.

mod admin;
mod answer;
mod answer_body;
mod app_text;
mod centre;
mod chance;
mod check;
mod clock;
mod cpu;
mod documented;
mod duration_text;
mod fault;
mod fault_plan;
mod fault_text;
mod field;
mod gate;
mod handle;
mod history;
mod json;
#[cfg(test)]
mod kit;
mod nested;
mod options;
mod order_record;
mod outage;
mod page;
mod push;
mod push_route;
mod refusal;
mod report;
mod routes;
mod server;
mod shard;
mod socket;
mod state;
mod token;
mod token_route;
mod violation;
#[cfg(test)]
mod wire_tests;

pub use app_text::AppCredentials;
pub use duration_text::parse_duration;
pub use fault::{Fault, FaultKind};
pub use fault_plan::{FaultRule, Faults, Target};
pub use handle::{Sandbox, SandboxHandle};
pub use history::{OrderView, Outcome, Received};
pub use options::{Error, LogIds, SandboxOptions};
pub use outage::{Outage, OutageMode};
pub use report::{CpuReport, RecentRefusal, RecentToken, Report};
pub use violation::{Violation, ViolationKind};
