//! What becomes of a dead letter's status while the worker goes on: how often its record has come to one and since when, and
//! whether a later push has said what it said.
//!
//! A letter whose event was folded is superseded by an accepted push of its order with its stamp or a later one, for that
//! push carries the merged document. One that was never folded stays open until a person deals with it.

use super::changelog::{LetterState, LetterStatus};
use super::dead_letter::DeadLetter;
use super::engine::Engine;
use super::owed::OwedKey;
use super::partition::{Partition, PartitionId};
use super::ports::{PortError, StateReader};
use super::rules::Now;
use super::statuses::OpenLetters;
use crate::order::Identity;

impl Engine {
    /// Puts a dead letter and its status into the next commit; says how often its record has been dead-lettered now.
    pub(super) fn put_letter(&mut self, id: PartitionId, mut letter: DeadLetter) -> Result<u32, PortError> {
        let Some(partition) = self.partitions.get_mut(&id) else { return Ok(letter.times) };
        let old = match partition.overlay.status(letter.offset) {
            Some(status) => status.cloned(),
            None => self.ports.reader.letter(&partition.source, letter.offset)?,
        };
        if let Some(old) = &old
            && !are_of_two_orders(old, &LetterStatus::open(&letter))
        {
            letter.times = old.times.saturating_add(1);
            letter.first_failed_ms =
                old.first_failed_ms.map_or(letter.first_failed_ms, |first| first.min(letter.first_failed_ms));
        }
        let times = letter.times;
        partition.open_letters += u64::from(!old.is_some_and(|old| old.is_open()));
        partition.overlay.put_letter(letter);
        Ok(times)
    }

    /// A push was accepted: what it says is said, and so is what any letter of the order said before.
    pub(super) fn supersede(&mut self, id: PartitionId, accepted: &OwedKey, now: Now) -> Result<(), PortError> {
        let Some(partition) = self.partitions.get_mut(&id) else { return Ok(()) };
        for (offset, mut status) in partition.open_letters_of(self.ports.reader.as_ref(), &accepted.identity)? {
            if status.is_superseded_by(accepted.stamp) {
                (status.state, status.at_ms) = (LetterState::Superseded, now.wall_ms);
                partition.open_letters = partition.open_letters.saturating_sub(1);
                partition.overlay.put_status(offset, Some(status));
            }
        }
        Ok(())
    }
}

impl Partition {
    /// The open letters of an order, with what is not committed. A partition without open letters asks nobody.
    pub(super) fn open_letters_of(
        &self,
        reader: &dyn StateReader,
        identity: &Identity,
    ) -> Result<OpenLetters, PortError> {
        if self.open_letters == 0 {
            return Ok(OpenLetters::new());
        }
        let mut open = reader.open_letters(&self.source, identity)?;
        self.overlay.lay_over(identity, &mut open);
        Ok(open)
    }
}

/// A source topic that was made anew has other records at the same offsets, and as a rule of other orders.
fn are_of_two_orders(old: &LetterStatus, new: &LetterStatus) -> bool {
    matches!((old.identity(), new.identity()), (Some(old), Some(new)) if old != new)
}
