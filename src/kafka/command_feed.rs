//! The engine's end of the commands topic: it asks and never waits.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use crate::record::{NextOffset, TopicPartition};
use crate::sync::command_ports::CommandFeed;
use crate::sync::intake::IntakeBudget;
use crate::sync::ports::Epoch;

/// What the reader is asked.
pub(super) enum Ask {
    Follow(Epoch, TopicPartition, Option<NextOffset>),
    Leave(TopicPartition),
}

/// The engine's end.
pub struct Feed {
    asks: SyncSender<Ask>,
    budget: Arc<IntakeBudget>,
}

impl Feed {
    pub(super) fn new(asks: SyncSender<Ask>, budget: Arc<IntakeBudget>) -> Self {
        Self { asks, budget }
    }
}

impl CommandFeed for Feed {
    fn follow(&mut self, epoch: Epoch, source: &TopicPartition, from: Option<NextOffset>) {
        // A full or closed queue means that the reader is gone, and has told the engine why.
        self.asks.try_send(Ask::Follow(epoch, source.clone(), from)).ok();
    }

    fn leave(&mut self, source: &TopicPartition) {
        self.asks.try_send(Ask::Leave(source.clone())).ok();
    }

    fn refill(&mut self, bytes: usize) {
        self.budget.refill(bytes);
    }
}
