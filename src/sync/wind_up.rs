//! Ending: drained on request within the deadline, or by itself once everything that stood there is delivered.

use std::time::Duration;

use super::engine::{Drained, Ended, Engine, Mode};
use super::partition::EndProbe;
use super::rules::{End, Now};

/// Left of the shutdown's time for the last commit, at most.
const LAST_COMMIT: Duration = Duration::from_secs(2);
/// And of a short time no more than this part of it.
const LAST_COMMIT_PART: u32 = 5;

impl Engine {
    /// Ends the engine where it is time.
    pub(super) fn wind_up(&mut self, now: Now) {
        match self.mode {
            Mode::Running if self.gone.is_some() => self.end_as_gone(now),
            Mode::Running => {
                if self.rules.end == End::WhenCaughtUp && self.is_caught_up() {
                    self.mode = Mode::Ended(Some(Ended::CaughtUp(self.left())));
                }
            }
            Mode::Draining { deadline } => {
                let clean = self.partitions.keys().all(|id| self.is_clean(*id));
                let answered = self.flights.is_empty() || now.mono + self.last_commit() >= deadline;
                if (clean && answered) || now.mono >= deadline {
                    self.mode = Mode::Ended(Some(Ended::Stopped(self.left())));
                }
            }
            Mode::Ended(_) => {}
        }
    }

    /// When draining wants another look.
    pub(super) fn drain_look(&self, now: Now) -> Option<Duration> {
        match self.mode {
            Mode::Draining { deadline } => {
                let last_call = deadline.saturating_sub(self.last_commit());
                Some(if now.mono < last_call { last_call } else { deadline })
            }
            Mode::Running => self.gone.as_ref().map(|gone| gone.deadline),
            Mode::Ended(_) => None,
        }
    }

    fn last_commit(&self) -> Duration {
        LAST_COMMIT.min(self.rules.shutdown_timeout / LAST_COMMIT_PART)
    }

    fn left(&self) -> Drained {
        Drained {
            in_flight: self.flights.len(),
            uncommitted: self.partitions.keys().filter(|id| !self.is_clean(**id)).count() + self.left_undrained,
            owed: self.owed() + self.stranded(),
        }
    }

    /// Deliveries owed by apps that are not configured.
    fn stranded(&self) -> usize {
        self.partitions.values().flat_map(|partition| partition.stranded.values()).sum()
    }

    /// Whether every partition has reached the end it had at its assignment, its commands too, and nothing is owed or
    /// uncommitted.
    fn is_caught_up(&mut self) -> bool {
        if !self.ever_assigned || !self.leaving.is_empty() || !self.deferred.is_empty() || self.partitions.is_empty() {
            return false;
        }
        let reads_commands = self.ports.commands.is_some();
        let mut all = true;
        for partition in self.partitions.values_mut() {
            let commands = !reads_commands || partition.commanded.is_caught_up();
            if partition.is_caught_up() {
                all &= commands;
                continue;
            }
            all = false;
            // Where the last offsets are markers, no record will ever bring the position to the end: ask once idle.
            let idle = partition.inbox.is_empty() && partition.end_at_start.is_some();
            if idle && partition.end_probe == EndProbe::Idle && !self.cycle.is_under_way() {
                partition.end_probe = EndProbe::Asked;
                self.ports.commits.probe_end(partition.source.clone(), partition.folded);
            }
        }
        // What a paused app owes is not waited for.
        all && self.owed() == self.rests()
            && self.flights.is_empty()
            && self.partitions.keys().all(|id| self.is_clean(*id))
    }
}
