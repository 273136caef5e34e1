//! What is committed of one partition and not yet in the store: gathered, or on its way there.

use std::sync::Arc;

use super::changelog::{Debt, Gathered, LetterStatus};
use super::commit::CutPart;
use super::log_ports::{CacheWrite, Checkpoint};
use super::owed::OwedKey;
use super::ports::{Epoch, OwedEntry};
use crate::record::{NextOffset, RecordOffset, TopicPartition};

/// What is committed of one partition and not yet in the store.
#[derive(Default)]
pub(super) struct Recent {
    /// The assignment whose commits are taken.
    epoch: Epoch,
    gathered: Gathered,
    /// Where the changelog stands behind what is gathered, or stood the last time that it was known.
    changelog: Option<NextOffset>,
    /// When the first of it was gathered, milliseconds since the epoch.
    since_ms: i64,
    /// When the changelog stood there: what it has got since is not in here, however much later this is written.
    until_ms: i64,
    /// What is on its way to the store, older than what is gathered.
    leaving: Option<Leaving>,
}

struct Leaving {
    gathered: Gathered,
    checkpoint: Option<Checkpoint>,
}

impl Leaving {
    fn to_write(&self, source: &TopicPartition) -> CacheWrite {
        cache_write(source, self.gathered.clone(), self.checkpoint)
    }
}

impl Recent {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self { epoch, ..Self::default() }
    }

    pub(super) fn is_of(&self, epoch: Epoch) -> bool {
        self.epoch == epoch
    }

    /// A place in the changelog up to which the partition is known.
    pub(super) fn changelog(&self) -> Option<NextOffset> {
        self.changelog
    }

    pub(super) fn gathered_bytes(&self) -> usize {
        self.gathered.bytes()
    }

    /// Whether something was gathered at `ms` or before.
    pub(super) fn is_older_than(&self, ms: i64) -> bool {
        !self.gathered.is_empty() && self.since_ms <= ms
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Takes its part of a committed cut. Without a receipt the older place stands: reading more than once changes nothing.
    pub(super) fn take(&mut self, part: &CutPart, receipt: Option<NextOffset>, now_ms: i64) {
        if self.gathered.is_empty() {
            self.since_ms = now_ms;
        }
        for (identity, state) in part.layer.states() {
            self.gathered.put_state(identity.clone(), Some(Arc::clone(state)));
        }
        for settled in part.layer.settled() {
            self.gathered.settle(&settled.key);
        }
        for (key, owed) in part.layer.owed() {
            self.gathered.owe(key.clone(), owed.clone());
        }
        for (offset, status) in part.layer.statuses().iter() {
            self.gathered.put_letter(offset, status.cloned());
        }
        for identity in part.layer.removed().keys() {
            self.gathered.put_state(identity.clone(), None);
        }
        for (id, done) in part.layer.commands() {
            self.gathered.put_command(id.clone(), done.clone());
        }
        self.gathered.position = Some(part.position.clone());
        if receipt.is_some() {
            (self.changelog, self.until_ms) = (receipt, now_ms);
        }
    }

    /// What is gathered goes on its way to the store; it must be the only one on the way.
    pub(super) fn depart(&mut self) {
        if !self.gathered.is_empty() {
            let (gathered, checkpoint) = (std::mem::take(&mut self.gathered), self.checkpoint());
            self.leaving = Some(Leaving { gathered, checkpoint });
        }
    }

    /// The store has what was on its way.
    pub(super) fn arrived(&mut self) {
        self.leaving = None;
    }

    pub(super) fn leaving_write(&self, source: &TopicPartition) -> Option<CacheWrite> {
        self.leaving.as_ref().map(|leaving| leaving.to_write(source))
    }

    /// All of it, to be written in this order.
    pub(super) fn into_writes(mut self, source: &TopicPartition) -> Vec<CacheWrite> {
        let older = self.leaving_write(source);
        self.arrived();
        self.depart();
        older.into_iter().chain(self.leaving_write(source)).collect()
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        self.changelog.map(|changelog| Checkpoint { changelog, written_ms: self.until_ms })
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Gathered> {
        std::iter::once(&self.gathered).chain(self.leaving.as_ref().map(|leaving| &leaving.gathered))
    }

    pub(super) fn oldest_first(&self) -> impl Iterator<Item = &Gathered> {
        self.leaving.as_ref().map(|leaving| &leaving.gathered).into_iter().chain(std::iter::once(&self.gathered))
    }

    /// What is owed by the newest word on each delivery.
    pub(super) fn scan_owed(&self, visit: &mut dyn FnMut(OwedKey, OwedEntry)) {
        for (place, known) in self.newest_first().enumerate() {
            for (key, debt) in &known.owed {
                let is_newest = self.newest_first().take(place).all(|newer| !newer.owed.contains_key(key));
                if let (true, Some(owed)) = (is_newest, debt.owed()) {
                    visit(key.clone(), owed.entry());
                }
            }
        }
    }

    /// The newest word on each dead letter.
    pub(super) fn statuses(&self) -> impl Iterator<Item = (RecordOffset, Option<&LetterStatus>)> {
        let newest = &self.gathered.letters;
        let older = self.leaving.as_ref().into_iter().flat_map(|leaving| leaving.gathered.letters.iter());
        newest.iter().chain(older.filter(|(offset, _)| newest.get(*offset).is_none()))
    }
}

/// What is gathered as one write.
pub(super) fn cache_write(source: &TopicPartition, gathered: Gathered, checkpoint: Option<Checkpoint>) -> CacheWrite {
    let (mut owed, mut settled) = (Vec::new(), Vec::new());
    for (key, entry) in gathered.owed {
        match entry {
            Debt::Owed(entry) | Debt::New(entry) => owed.push((key, entry)),
            Debt::Settled => settled.push(key),
        }
    }
    CacheWrite {
        source: source.clone(),
        states: gathered.states.into_iter().collect(),
        owed,
        settled,
        letters: gathered.letters.iter().map(|(offset, status)| (offset, status.cloned())).collect(),
        commands: gathered.commands.into_iter().collect(),
        position: gathered.position,
        checkpoint,
    }
}
