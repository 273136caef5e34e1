//! The fence of a commit by transaction: the group's metadata and what this worker owns, taken together on the thread
//! that serves rebalances.
//!
//! The broker checks that the metadata is that of a member, never that the member owns the partitions; so what is
//! committed under it must be what is owned at the very moment it is taken.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{Consumer as _, ConsumerGroupMetadata};

use super::partition::Stage;
use super::shared::Shared;
use super::worker::Worker;
use crate::record::TopicPartition;
use crate::sync::ports::Epoch;

/// Who we are in the group, and what we own as such.
pub(in crate::kafka) struct Fence {
    pub(in crate::kafka) metadata: ConsumerGroupMetadata,
    pub(in crate::kafka) owned: HashMap<TopicPartition, Epoch>,
}

/// Where the commit thread asks and the consumer thread answers.
#[derive(Default)]
pub(super) struct FenceDesk {
    question: Mutex<Question>,
    answered: Condvar,
}

#[derive(Default)]
enum Question {
    #[default]
    None,
    Asked,
    Answered(Option<Fence>),
}

impl fmt::Debug for FenceDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FenceDesk")
    }
}

/// Takes fences, for the transactions.
#[derive(Clone, Debug)]
pub struct GroupFence(pub(super) Arc<Shared>);

impl GroupFence {
    /// The fence as it is now; `None` where this worker is no member just now, or its consumer does not answer.
    pub(in crate::kafka) fn take(&self, longest: Duration) -> Option<Fence> {
        let desk = &self.0.fence;
        let mut question = desk.question.lock().unwrap_or_else(PoisonError::into_inner);
        *question = Question::Asked;
        self.0.bell.ring();
        let waiting = |question: &mut Question| matches!(question, Question::Asked);
        let waited = desk.answered.wait_timeout_while(question, longest, waiting);
        match std::mem::take(&mut *waited.unwrap_or_else(PoisonError::into_inner).0) {
            Question::Answered(fence) => fence,
            Question::None | Question::Asked => None,
        }
    }
}

impl Worker {
    /// Answers the commit thread, where it asks. Called wherever this thread waits, too: a last commit before partitions
    /// are given back needs its fence while we wait for that commit.
    pub(super) fn serve_fence(&self) {
        let desk = &self.shared.fence;
        if !matches!(*desk.question.lock().unwrap_or_else(PoisonError::into_inner), Question::Asked) {
            return;
        }
        let fence = self.fence();
        let mut question = desk.question.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*question, Question::Asked) {
            *question = Question::Answered(fence);
            desk.answered.notify_all();
        }
    }

    fn fence(&self) -> Option<Fence> {
        let metadata = self.consumer.group_metadata()?;
        // The metadata of one who is no member any more carries no generation, and the broker would take it unchecked.
        // Such a one has lost its assignment, which is noted before the metadata changes.
        if self.consumer.assignment_lost() {
            return None;
        }
        let mut owned = self.leaving.clone();
        for (source, stage) in &self.partitions {
            match stage {
                Stage::Told { epoch, .. } | Stage::Restoring { epoch } => drop(owned.insert(source.clone(), *epoch)),
                Stage::Reading(reading) => drop(owned.insert(source.clone(), reading.epoch)),
                Stage::Given | Stage::Broken => {}
            }
        }
        (!owned.is_empty()).then_some(Fence { metadata, owned })
    }
}

#[cfg(test)]
#[path = "fence_tests.rs"]
mod tests;
