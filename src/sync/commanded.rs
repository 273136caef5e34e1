//! What operators have made of a partition: how far their commands are executed, which apps are paused, which codes are
//! accepted. The committed part of it is in the position.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::command_ports::Incoming;
use super::ports::Position;
use crate::order::AppId;
use crate::record::NextOffset;

/// One partition's commands.
#[derive(Debug, Default)]
pub struct Commanded {
    /// Everything before it in the commands topic is done; `None` while nothing was read.
    pub next: Option<NextOffset>,
    /// Apps whose deliveries wait.
    pub paused: BTreeSet<AppId>,
    /// Codes whose rejections are right, per app.
    pub accepted: BTreeMap<AppId, BTreeSet<i64>>,
    /// Where the commands topic ended when reading began; `None` until that is known.
    pub end: Option<NextOffset>,
    /// What came and is not executed yet, each with how far everything is told by it.
    pub queue: VecDeque<(Option<Box<Incoming>>, NextOffset)>,
}

impl Commanded {
    /// As committed.
    pub fn of(position: &Position) -> Self {
        Self {
            next: position.commands,
            paused: position.paused_apps.clone(),
            accepted: position.accepted_codes.clone(),
            end: None,
            queue: VecDeque::new(),
        }
    }

    /// What a cut says of it: everything executed so far is in that cut or below.
    pub fn tell(&self, position: &mut Position) {
        position.commands = self.next;
        position.paused_apps.clone_from(&self.paused);
        position.accepted_codes.clone_from(&self.accepted);
    }

    /// Everything before this place is done.
    pub fn done(&mut self, told: NextOffset) {
        self.next = self.next.max(Some(told));
    }

    /// Whether it has come to where the topic ended at the start.
    pub fn is_caught_up(&self) -> bool {
        let next = self.next.map_or(0, NextOffset::get);
        self.queue.is_empty() && self.end.is_some_and(|end| next >= end.get())
    }

    /// What the commands that wait draw from the reader's budget.
    pub fn cost(&self) -> usize {
        self.queue.iter().filter_map(|(incoming, _)| incoming.as_deref()).map(Incoming::cost).sum()
    }
}
