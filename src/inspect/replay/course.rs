//! The events of a range in their order, with what commands have folded between them: as the log gives it. What was set aside
//! then is not folded, whatever today's settings say, and every clock of then was ahead of every event that was folded.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::beside::Beside;
use super::held::TakenUp;
use super::verdict::Tally;
use crate::order::event::{EventRules, decode};
use crate::order::fold::FoldAs;
use crate::order::{Identity, OrderEvent};
use crate::sync::changelog::LetterState;

/// Records that commands have folded again, kept until they act, in bytes.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// No event lies ahead of this clock.
const NO_CLOCK: i64 = i64::MAX;

/// What a reading carries along.
pub(super) struct Course<'m, 'c> {
    pub(super) beside: Beside<'m>,
    pub(super) counts: Tally,
    events: &'m EventRules,
    /// Commands that have yet to act, the next one last.
    commands: Vec<&'c TakenUp>,
    /// The values of their records that were met.
    kept: HashMap<i64, Box<[u8]>, RandomState>,
    kept_bytes: usize,
}

impl<'m, 'c> Course<'m, 'c> {
    /// At the beginning of the range. The commands come in the order in which they acted, the last one first.
    pub(super) fn new(beside: Beside<'m>, events: &'m EventRules, commands: Vec<&'c TakenUp>) -> Self {
        let kept = commands.iter().map(|taken| (taken.offset, Box::default())).collect();
        Self { beside, counts: Tally::default(), events, commands, kept, kept_bytes: 0 }
    }

    /// Lets the commands act that did before the record at `offset` was folded.
    pub(super) fn act(&mut self, offset: i64) {
        while let Some(taken) = self.commands.pop_if(|taken| taken.next <= offset) {
            let value = self.kept.get(&taken.offset).filter(|value| !value.is_empty());
            match value.map(|value| decode(value, self.events, NO_CLOCK)) {
                // What the outcome says was folded is not judged for its age once more.
                Some(Ok(event)) => drop(self.beside.fold(event, taken.offset, FoldAs::Word)),
                Some(Err(_)) | None => {
                    if let Some(row) = taken.identity.clone().and_then(|identity| self.beside.row(identity)) {
                        row.is_commanded = true;
                    }
                }
            }
        }
    }

    /// Takes an event; `aside` is the state of its letter, where it was set aside and not folded in its place.
    pub(super) fn take(&mut self, offset: i64, value: &[u8], aside: Option<LetterState>) {
        if let Some(kept) = self.kept.get_mut(&offset)
            && self.kept_bytes + value.len() <= KEPT_BYTES_MAX
        {
            self.kept_bytes += value.len();
            *kept = value.into();
        }
        self.counts.events += 1;
        let decoded = decode(value, self.events, NO_CLOCK);
        let folded = match (decoded, aside) {
            (Ok(event), Some(state)) => return self.set_aside(&event, state),
            (Err(_), Some(_)) => return self.counts.set_aside += 1,
            (Ok(event), None) => self.beside.fold(event, offset, FoldAs::Event),
            (Err(fault), None) => Err(fault),
        };
        self.counts.unread += u64::from(folded.is_err());
    }

    fn set_aside(&mut self, event: &OrderEvent<'_>, state: LetterState) {
        self.counts.set_aside += 1;
        let identity = Identity::new(event.app_id.clone(), event.order_id.as_ref());
        if let Some(row) = self.beside.row(identity) {
            row.set_aside += 1;
            row.is_open |= state == LetterState::Open;
        }
    }
}
