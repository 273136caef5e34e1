//! Reads both stores in pages, for the sweep of retention.

use super::keys;
use super::memory::MemoryStore;
use super::sled_store::SledStore;
use crate::order::{Identity, OrderState};
use crate::record::{RecordOffset, TopicPartition};
use crate::sync::changelog::LetterStatus;
use crate::sync::ports::PortError;
use crate::sync::sweep::StatePages;

impl StatePages for SledStore {
    fn page_states(
        &self,
        source: &TopicPartition,
        after: Option<&Identity>,
        rows: usize,
        visit: &mut dyn FnMut(Identity, OrderState),
    ) -> Result<(), PortError> {
        let Some(partition) = self.partition(source) else { return Ok(()) };
        let after = after.map(|identity| {
            let mut key = Vec::new();
            keys::state(identity, &mut key);
            key
        });
        partition.tree().page(keys::STATES, after.as_deref(), rows, |key, row| {
            let (identity, state) = self.read_state(source, key, row)?;
            visit(identity, state);
            Ok(())
        })
    }

    fn page_letters(
        &self,
        source: &TopicPartition,
        after: Option<RecordOffset>,
        rows: usize,
        visit: &mut dyn FnMut(RecordOffset, LetterStatus),
    ) -> Result<(), PortError> {
        let Some(partition) = self.partition(source) else { return Ok(()) };
        let after = after.map(keys::letter);
        partition.tree().page(keys::LETTERS, after.as_ref().map(|key| &key[..]), rows, |key, row| {
            let (offset, status) = self.read_letter(source, key, row)?;
            visit(offset, status);
            Ok(())
        })
    }
}

impl StatePages for MemoryStore {
    fn page_states(
        &self,
        source: &TopicPartition,
        after: Option<&Identity>,
        rows: usize,
        visit: &mut dyn FnMut(Identity, OrderState),
    ) -> Result<(), PortError> {
        for (identity, state) in self.states_behind(source, after, rows) {
            visit(identity, OrderState::clone(&state));
        }
        Ok(())
    }

    fn page_letters(
        &self,
        source: &TopicPartition,
        after: Option<RecordOffset>,
        rows: usize,
        visit: &mut dyn FnMut(RecordOffset, LetterStatus),
    ) -> Result<(), PortError> {
        for (offset, status) in self.letters_behind(source, after, rows) {
            visit(offset, status);
        }
        Ok(())
    }
}
