//! What holds records back or makes them safe: intake limits and commits.

use std::time::Duration;

use tracing::{error, info, warn};

use crate::record::TopicPartition;
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

/// A partition owes as much as its share, while others are still being restored, or does not any more.
#[derive(Debug)]
pub struct ShareOwed<'a> {
    /// The partition.
    pub source: &'a TopicPartition,
    /// Deliveries that it owes.
    pub owed: usize,
    /// Its share of `delivery.max_owed`.
    pub share: usize,
    /// Whether it is held back from now on.
    pub holds: bool,
}

impl ShareOwed<'_> {
    /// Says so.
    pub fn emit(self) {
        let Self { source, owed, share, holds } = self;
        if holds {
            info!(%source, owed, share, "the partition owes its share; it is held back until the others are restored");
        } else {
            info!(%source, owed, share, "the partition is held back by its share no more");
        }
    }
}

/// Failures in a row from which on a person has to look: with the waits between them, more than ten seconds of failing.
const FAILURES_FOR_A_PERSON: u32 = 7;

/// A commit failed; nothing of it is delivered until it has succeeded.
#[derive(Debug)]
pub struct CommitFailed<'a> {
    /// Why, with its causes.
    pub error: &'a str,
    /// How long it took.
    pub took: Duration,
    /// How many have failed in a row, with this one.
    pub in_a_row: u32,
}

impl CommitFailed<'_> {
    /// Says so and counts it. One that fails is everyday life where a session was lost or a broker restarts.
    pub fn emit(self, meters: &Meters) {
        meters.commit_failed();
        let took_ms = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX);
        let Self { error, in_a_row, .. } = self;
        if in_a_row < FAILURES_FOR_A_PERSON {
            warn!(
                error,
                took_ms,
                in_a_row,
                "a commit failed and is tried again; a partition that has gone to another worker goes on there. Deliveries wait \
                 until one has succeeded"
            );
        } else {
            error!(
                error,
                took_ms,
                in_a_row,
                "commits fail again and again, and nothing is delivered until one has succeeded: see to what the error says"
            );
        }
    }
}
