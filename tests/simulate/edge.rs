//! The engine's own ports: they note what it asks, and the simulation answers in its time.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use order_sync::order::fold::{MapInput, MapOrder, Mapped};
use order_sync::order::{AppId, DeadLetterReason, Fault, Identity, OrderState};
use order_sync::record::{NextOffset, RecordOffset, TopicPartition};
use order_sync::store::MemoryStore;
use order_sync::sync::cache::Cache;
use order_sync::sync::changelog::{LetterState, LetterStatus};
use order_sync::sync::command::CommandDone;
use order_sync::sync::command_ports::CommandFeed;
use order_sync::sync::commit::{CommitCut, CommitQueue};
use order_sync::sync::log_ports::{CacheStore, CacheWrite, Checkpoint};
use order_sync::sync::ports::{
    AttemptStart, Attempts, Epoch, Intake, OrderCount, OwedEntry, PortError, Position, Restorer, StartAt, StateReader,
    TokenGeneration,
};
use order_sync::sync::statuses::OpenLetters;
use order_sync::sync::sweep::{SweepAsk, Sweeper};
use order_sync::sync::{Owed, OwedKey};

use super::commands::Ask;
use super::plant::Plant;
use super::ports::{Wire, number};

/// What the engine asked and nobody has answered yet.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) cuts: VecDeque<CommitCut>,
    pub(crate) attempts: Vec<AttemptStart>,
    pub(crate) fetches: Vec<AppId>,
    pub(crate) sweeps: Vec<SweepAsk>,
    pub(crate) paused: BTreeSet<usize>,
    pub(crate) restores: Vec<(Epoch, TopicPartition)>,
    pub(crate) begun: Vec<(Epoch, usize, StartAt)>,
    pub(crate) commands: Vec<Ask>,
}

/// All of the engine's ports that are told and never asked.
#[derive(Clone, Default)]
pub(crate) struct Edge(pub(crate) Arc<Mutex<Asked>>);

impl CommitQueue for Edge {
    fn begin(&mut self, cut: CommitCut) {
        self.0.lock().unwrap().cuts.push_back(cut);
    }

    fn probe_end(&mut self, _source: TopicPartition, _next: NextOffset) {}
}

impl Sweeper for Edge {
    fn ask(&mut self, ask: SweepAsk) {
        self.0.lock().unwrap().sweeps.push(ask);
    }
}

impl CommandFeed for Edge {
    fn follow(&mut self, epoch: Epoch, source: &TopicPartition, from: Option<NextOffset>) {
        self.0.lock().unwrap().commands.push(Ask::Follow(epoch, source.clone(), from));
    }

    fn leave(&mut self, source: &TopicPartition) {
        self.0.lock().unwrap().commands.push(Ask::Leave(source.clone()));
    }

    fn refill(&mut self, _bytes: usize) {}
}

impl Restorer for Edge {
    fn begin(&mut self, epoch: Epoch, source: &TopicPartition) {
        let mut asked = self.0.lock().unwrap();
        asked.restores.retain(|(_, other)| other != source);
        asked.restores.push((epoch, source.clone()));
    }

    fn cancel(&mut self, source: &TopicPartition) {
        self.0.lock().unwrap().restores.retain(|(_, other)| other != source);
    }
}

impl Attempts for Edge {
    fn start(&mut self, attempt: AttemptStart) {
        self.0.lock().unwrap().attempts.push(attempt);
    }

    fn fetch_token(&mut self, app_id: &AppId, _held: TokenGeneration) {
        self.0.lock().unwrap().fetches.push(app_id.clone());
    }
}

impl Intake for Edge {
    fn pause(&mut self, sources: &[TopicPartition]) {
        self.0.lock().unwrap().paused.extend(sources.iter().map(number));
    }

    fn begin(&mut self, epoch: Epoch, source: &TopicPartition, start: StartAt) {
        self.0.lock().unwrap().begun.push((epoch, number(source), start));
    }

    fn resume(&mut self, sources: &[TopicPartition]) {
        self.0.lock().unwrap().paused.retain(|partition| !sources.iter().any(|source| number(source) == *partition));
    }
}

/// Sends the order, its document, and the release that mapped it.
pub(crate) struct Mapper {
    pub(crate) release: u32,
}

impl MapOrder for Mapper {
    fn map(&self, input: &MapInput<'_>) -> Result<Mapped, Fault> {
        let mut document = Vec::new();
        input.document.write(&mut document);
        let document = std::str::from_utf8(&document).unwrap();
        if document.contains("\"bad\":true") {
            return Err(Fault::new(DeadLetterReason::IncompleteOrder, "something is missing"));
        }
        let draft = format!("{{\"order_id\":\"{}\",\"release\":{},\"doc\":{document}}}", input.order_id, self.release);
        Ok(Mapped { draft: draft.into_bytes(), ..Mapped::default() })
    }
}

/// What the engine reads; under a planted bug, deliveries come back as today's release would map them.
pub(crate) struct Shelf {
    pub(crate) cache: Cache,
    pub(crate) release: u32,
    pub(crate) plant: Plant,
}

impl StateReader for Shelf {
    fn position(&self, source: &TopicPartition) -> Result<Option<Position>, PortError> {
        let mut position = self.cache.position(source)?;
        if let (Some(position), Plant::RemovedStampsForgotten) = (&mut position, self.plant) {
            position.removed_stamps.clear();
        }
        if let (Plant::PauseForgotten, Some(position)) = (self.plant, &mut position) {
            position.paused_apps.clear();
        }
        Ok(position)
    }

    fn state(&self, source: &TopicPartition, identity: &Identity) -> Result<Option<Arc<OrderState>>, PortError> {
        self.cache.state(source, identity)
    }

    /// A store lists what is owed in any order.
    fn scan_owed(&self, source: &TopicPartition, visit: &mut dyn FnMut(OwedKey, OwedEntry)) -> Result<(), PortError> {
        let mut owed = Vec::new();
        self.cache.scan_owed(source, &mut |key, entry| owed.push((key, entry)))?;
        fastrand::Rng::with_seed(u64::try_from(owed.len()).unwrap()).shuffle(&mut owed);
        for (key, entry) in owed {
            visit(key, entry);
        }
        Ok(())
    }

    fn owed(&self, source: &TopicPartition, key: &OwedKey) -> Result<Option<Owed>, PortError> {
        let owed = self.cache.owed(source, key)?;
        Ok(match (owed, self.plant) {
            (Some(owed), Plant::MappedAnew) => {
                let text = String::from_utf8(owed.request.to_vec()).unwrap();
                let (head, rest) = text.split_once("\"release\":").unwrap();
                let rest = &rest[rest.find(',').unwrap()..];
                let request = format!("{head}\"release\":{}{rest}", self.release);
                Some(Owed { request: request.into(), ..owed })
            }
            (owed, _) => owed,
        })
    }

    fn letter(&self, source: &TopicPartition, offset: RecordOffset) -> Result<Option<LetterStatus>, PortError> {
        let mut status = self.cache.letter(source, offset)?;
        if let (Plant::DecisionsForgotten, Some(status)) = (self.plant, &mut status)
            && matches!(status.state, LetterState::Redriven | LetterState::Discarded)
        {
            status.state = LetterState::Open;
        }
        Ok(status)
    }

    fn open_letters(&self, source: &TopicPartition, identity: &Identity) -> Result<OpenLetters, PortError> {
        if self.plant == Plant::OpenLettersUnknown {
            return Ok(OpenLetters::new());
        }
        self.cache.open_letters(source, identity)
    }

    fn open_letter_count(&self, source: &TopicPartition) -> Result<u64, PortError> {
        self.cache.open_letter_count(source)
    }

    fn command(&self, source: &TopicPartition, id: &str) -> Result<Option<CommandDone>, PortError> {
        if self.plant == Plant::CommandsForgotten { Ok(None) } else { self.cache.command(source, id) }
    }
}

/// A store directory; under a planted bug it says that it is not behind.
pub(crate) struct Directory {
    pub(crate) store: MemoryStore,
    pub(crate) wire: Wire,
}

impl StateReader for Directory {
    fn position(&self, source: &TopicPartition) -> Result<Option<Position>, PortError> {
        self.store.position(source)
    }

    fn state(&self, source: &TopicPartition, identity: &Identity) -> Result<Option<Arc<OrderState>>, PortError> {
        self.store.state(source, identity)
    }

    fn scan_owed(&self, source: &TopicPartition, visit: &mut dyn FnMut(OwedKey, OwedEntry)) -> Result<(), PortError> {
        self.store.scan_owed(source, visit)
    }

    fn owed(&self, source: &TopicPartition, key: &OwedKey) -> Result<Option<Owed>, PortError> {
        self.store.owed(source, key)
    }

    fn letter(&self, source: &TopicPartition, offset: RecordOffset) -> Result<Option<LetterStatus>, PortError> {
        self.store.letter(source, offset)
    }

    fn open_letters(&self, source: &TopicPartition, identity: &Identity) -> Result<OpenLetters, PortError> {
        self.store.open_letters(source, identity)
    }

    fn open_letter_count(&self, source: &TopicPartition) -> Result<u64, PortError> {
        self.store.open_letter_count(source)
    }

    fn command(&self, source: &TopicPartition, id: &str) -> Result<Option<CommandDone>, PortError> {
        self.store.command(source, id)
    }
}

impl OrderCount for Directory {
    fn orders(&self) -> Result<u64, PortError> {
        self.store.orders()
    }
}

impl CacheStore for Directory {
    fn checkpoint(&self, source: &TopicPartition) -> Result<Option<Checkpoint>, PortError> {
        let found = self.store.checkpoint(source)?;
        if self.wire.plant != Plant::OldStoreIsBelieved {
            return Ok(found);
        }
        let changelog = NextOffset::new(self.wire.kafka().end_of(number(source)));
        Ok(found.map(|checkpoint| Checkpoint { changelog, ..checkpoint }))
    }

    fn forget(&self, source: &TopicPartition) -> Result<(), PortError> {
        self.store.forget(source)
    }

    fn write(&self, writes: Vec<CacheWrite>) -> Result<(), PortError> {
        self.store.write(writes)
    }
}
