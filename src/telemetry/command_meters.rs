//! What is counted of operator commands.

use metrics::{Counter, Gauge};

use super::meters::Meters;
use super::metric;
use super::registry::{Cache, as_f64};
use crate::order::AppId;

/// The series of commands.
#[derive(Default)]
pub(super) struct CommandMeters {
    executed: Cache<Counter>,
    paused: Cache<Gauge>,
}

impl Meters {
    /// A command was executed. Both are words of ours, so that the series are few.
    pub(super) fn command(&self, command: &str, outcome: &str) {
        let make = || self.inner.registry.counter(&metric::COMMANDS, &[command, outcome]);
        self.inner.commands.executed.get(&format!("{command} {outcome}"), make).increment(1);
    }

    /// An operator has paused the app in so many partitions.
    pub fn paused(&self, app_id: &AppId, partitions: usize) {
        let make = || self.inner.registry.gauge(&metric::PAUSED, &[app_id.as_str()]);
        self.inner.commands.paused.get(app_id.as_str(), make).set(as_f64(partitions));
    }
}
