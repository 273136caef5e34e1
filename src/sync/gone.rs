//! Source records were removed before they were read. The worker ends, but first what came before them is folded and
//! committed, as it may be gone from its topic, too: memory is then the only place that has it.

use std::time::Duration;

use super::engine::Engine;
use super::partition::{Partition, PartitionId, Phase};
use super::ports::PortError;
use super::rules::Now;
use crate::record::NextOffset;

/// What is still to be done.
pub(super) struct Gone {
    words: String,
    pub(super) deadline: Duration,
    /// How far each partition's commit has to come.
    until: Vec<(PartitionId, NextOffset)>,
}

impl Engine {
    /// Ends the worker with these words once everything that it was handed is committed. Told again, there is more to say, and
    /// more was handed over; the time stays as it was.
    pub(super) fn records_gone(&mut self, words: String, now: Now) {
        if !self.is_running() {
            return self.fail(PortError::Fatal(words));
        }
        let last = |p: &Partition| p.inbox.back().map_or(p.folded, |record| record.offset.next().max(p.folded));
        let running = self.partitions.values().filter(|p| p.phase == Phase::Running);
        let until = running.map(|p| (p.id, last(p))).collect();
        let deadline = self.gone.as_ref().map_or(now.mono + self.rules.shutdown_timeout, |gone| gone.deadline);
        self.gone = Some(Gone { words, deadline, until });
    }

    pub(super) fn end_as_gone(&mut self, now: Now) {
        let Some(gone) = &self.gone else { return };
        // Of one that has left nothing more can be committed.
        let there = |id: &PartitionId| self.partitions.get(id).filter(|p| p.phase == Phase::Running);
        let is_behind = |(id, next): &&(PartitionId, NextOffset)| there(id).is_some_and(|p| p.position.next < *next);
        let behind = gone.until.iter().filter(is_behind).count();
        if behind > 0 && now.mono < gone.deadline {
            return;
        }
        let words = match behind {
            0 => gone.words.clone(),
            _ => format!("{}. In {behind} partitions not even what was read could be committed in time", gone.words),
        };
        self.fail(PortError::Fatal(words));
    }
}
