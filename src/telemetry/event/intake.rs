//! What holds records back or makes them safe: intake limits and commits.

use std::time::Duration;

use tracing::{error, info};

use crate::telemetry::meters::{IntakeLimit, Meters};

/// Intake is held back.
#[derive(Debug)]
pub struct IntakePaused {
    /// Which limit was reached.
    pub limit: IntakeLimit,
    /// How much there is, in the limit's unit.
    pub held: usize,
    /// The limit.
    pub max: usize,
}

impl IntakePaused {
    /// Says so and sets the limit's state.
    pub fn emit(self, meters: &Meters) {
        meters.intake_paused(self.limit);
        info!(reason = self.limit.as_str(), held = self.held, max = self.max, "intake is paused");
    }
}

/// Intake goes on.
#[derive(Debug)]
pub struct IntakeResumed {
    /// Which limit is no longer reached.
    pub limit: IntakeLimit,
}

impl IntakeResumed {
    /// Says so and sets the limit's state.
    pub fn emit(self, meters: &Meters) {
        meters.intake_resumed(self.limit);
        info!(reason = self.limit.as_str(), "intake goes on");
    }
}

/// A commit failed; nothing of it is delivered until it has succeeded.
#[derive(Debug)]
pub struct CommitFailed<'a> {
    /// Why, with its causes.
    pub error: &'a str,
    /// How long it took.
    pub took: Duration,
}

impl CommitFailed<'_> {
    /// Says so and counts it.
    pub fn emit(self, meters: &Meters) {
        meters.commit_failed();
        error!(
            error = self.error,
            took_ms = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "a commit failed; its deliveries wait until one has succeeded"
        );
    }
}
