//! What is known of a partition beyond its store: gathered from the changelog's records, or from committed cuts, each
//! thing once. It is what a cache has yet to write, and what a restore brings.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::key::{ChangelogKey, KeyError};
use super::record::ChangelogRecord;
use super::settings::SettingsFrom;
use super::status::LetterStatus;
use crate::order::{Identity, OrderState};
use crate::record::RecordOffset;
use crate::sync::command::CommandDone;
use crate::sync::fold_settings::FoldSettings;
use crate::sync::owed::{Owed, OwedKey};
use crate::sync::ports::Position;
use crate::sync::statuses::{STATUS_BYTES, Statuses};

/// Rough cost of an entry beside its content.
const ENTRY_OVERHEAD: usize = 300;

/// The newest word on each thing; `None` says that it is gone.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// States of orders.
    pub states: HashMap<Identity, Option<Arc<OrderState>>, RandomState>,
    /// Owed deliveries, orders in key order, stamps ascending.
    pub owed: BTreeMap<OwedKey, Debt>,
    /// Statuses of dead letters.
    pub letters: Statuses,
    /// What commands came to, by their ids; never removed.
    pub commands: BTreeMap<Box<str>, CommandDone>,
    /// Where the partition stands.
    pub position: Option<Position>,
    /// By which settings it was folded last, where they were read and can be: they are no part of a store.
    pub folded_by: Option<Arc<FoldSettings>>,
    bytes: usize,
}

/// The newest word on an owed delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Debt {
    /// It is owed.
    Owed(Owed),
    /// It is owed, and the store has no row of it: it has been owed only since this was gathered.
    New(Owed),
    /// It is settled; the store may have a row of it.
    Settled,
}

impl Debt {
    /// The delivery, where it is owed.
    pub fn owed(&self) -> Option<&Owed> {
        match self {
            Self::Owed(owed) | Self::New(owed) => Some(owed),
            Self::Settled => None,
        }
    }
}

/// A record of the changelog is not what this release writes.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// Its key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its value.
    #[error("unreadable changelog record {key}: {why}")]
    Value {
        /// The key without ids.
        key: &'static str,
        /// What is wrong.
        why: String,
    },
}

impl Gathered {
    /// Takes one record of the changelog; those of other source topics are skipped. True where it was of this topic.
    pub fn take(&mut self, topic: &str, record: &ChangelogRecord) -> Result<bool, GatherError> {
        let Some(key) = ChangelogKey::decode(&record.key, topic)? else { return Ok(false) };
        let bad = |key, why: &dyn std::error::Error| GatherError::Value { key, why: why.to_string() };
        match (key, record.value.as_deref()) {
            (ChangelogKey::State(identity), value) => {
                let state = value.map(OrderState::decode).transpose().map_err(|e| bad("state", &e))?;
                self.put_state(identity, state.map(Arc::new));
            }
            (ChangelogKey::Owed(key), value) => {
                let owed = value.map(Owed::decode).transpose().map_err(|e| bad("owed", &e))?;
                self.put_owed(key, owed);
            }
            (ChangelogKey::Position, Some(value)) => {
                self.position = Some(Position::decode(value).map_err(|e| bad("position", &e))?);
            }
            (ChangelogKey::Position, None) => {
                return Err(GatherError::Value { key: "position", why: "a position is never removed".to_owned() });
            }
            (ChangelogKey::Command(id), Some(value)) => {
                self.put_command(id, CommandDone::decode(value).map_err(|e| bad("command", &e))?);
            }
            (ChangelogKey::Command(_), None) => {
                return Err(GatherError::Value { key: "command", why: "an outcome is never removed".to_owned() });
            }
            // No worker goes by what others have folded by; the position says whether they are to be written anew.
            (ChangelogKey::Settings(_), value) => {
                let settings = value.and_then(|value| SettingsFrom::decode(value).ok());
                self.folded_by = settings.map(|from| from.by.settings).or(self.folded_by.take());
            }
            (ChangelogKey::Letter(offset), value) => {
                let status = value.map(LetterStatus::decode).transpose().map_err(|e| bad("letter", &e))?;
                self.put_letter(offset, status);
            }
        }
        Ok(true)
    }

    /// The newest state of an order; `None` says that it is gone.
    pub fn put_state(&mut self, identity: Identity, state: Option<Arc<OrderState>>) {
        self.bytes += ENTRY_OVERHEAD + state.as_ref().map_or(0, |state| state.document.len());
        if let Some(old) = self.states.insert(identity, state) {
            self.bytes -= ENTRY_OVERHEAD + old.map_or(0, |old| old.document.len());
        }
    }

    /// The newest word of the changelog on a delivery; `None` says that it is settled.
    pub fn put_owed(&mut self, key: OwedKey, owed: Option<Owed>) {
        self.put_debt(key, owed.map_or(Debt::Settled, Debt::Owed));
    }

    /// A delivery is owed by a cut that has just been committed: a store that was not told of it has no row of it, unless
    /// something is known of the same stamp already.
    pub fn owe(&mut self, key: OwedKey, owed: Owed) {
        let debt =
            if matches!(self.owed.get(&key), None | Some(Debt::New(_))) { Debt::New(owed) } else { Debt::Owed(owed) };
        self.put_debt(key, debt);
    }

    /// A delivery is settled by a cut that has just been committed. One that the store has no row of leaves no trace.
    pub fn settle(&mut self, key: &OwedKey) {
        match self.owed.get(key) {
            Some(Debt::New(owed)) => {
                self.bytes -= ENTRY_OVERHEAD + owed.request.len();
                self.owed.remove(key);
            }
            Some(Debt::Owed(_) | Debt::Settled) | None => self.put_debt(key.clone(), Debt::Settled),
        }
    }

    fn put_debt(&mut self, key: OwedKey, debt: Debt) {
        let bytes = |debt: &Debt| ENTRY_OVERHEAD + debt.owed().map_or(0, |owed| owed.request.len());
        self.bytes += bytes(&debt);
        if let Some(old) = self.owed.insert(key, debt) {
            self.bytes -= bytes(&old);
        }
    }

    /// The newest status of a dead letter; `None` says that it is gone.
    pub fn put_letter(&mut self, offset: RecordOffset, status: Option<LetterStatus>) {
        let before = self.letters.len();
        self.letters.put(offset, status);
        self.bytes += (self.letters.len() - before) * STATUS_BYTES;
    }

    /// What a command came to.
    pub fn put_command(&mut self, id: Box<str>, done: CommandDone) {
        if !self.commands.contains_key(&id) {
            self.bytes += ENTRY_OVERHEAD + id.len() + done.bytes();
        }
        self.commands.insert(id, done);
    }

    /// Rough memory of all of it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
            && self.owed.is_empty()
            && self.letters.is_empty()
            && self.commands.is_empty()
            && self.position.is_none()
    }
}
