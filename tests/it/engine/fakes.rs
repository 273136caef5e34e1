//! The edges as the test holds them: a store of committed cuts, and questions that nobody has answered yet.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use order_sync::douyin::verdict::{Answer, Exchange};
use order_sync::order::fold::{MapInput, MapOrder, Mapped};
use order_sync::order::{AppId, Fault, Identity, OrderState};
use order_sync::record::{NextOffset, RecordOffset, TopicPartition};
use order_sync::sync::changelog::LetterStatus;
use order_sync::sync::command::CommandDone;
use order_sync::sync::command_ports::CommandFeed;
use order_sync::sync::commit::{CommitCut, CommitQueue};
use order_sync::sync::ports::{
    AttemptStart, Attempts, Epoch, Intake, Membership, OwedEntry, PortError, Position, Restorer, StartAt, StateReader,
    TokenGeneration,
};
use order_sync::sync::statuses::{OpenLetters, Statuses};
use order_sync::sync::sweep::{StatePages, SweepAsk, Sweeper};
use order_sync::sync::{Acceptance, Owed, OwedKey};

/// Committed cuts, in memory.
#[derive(Default)]
pub struct Shelf {
    pub states: BTreeMap<Identity, OrderState>,
    pub owed: BTreeMap<OwedKey, Owed>,
    /// What was accepted, in the order of the commits.
    pub accepted: Vec<(OwedKey, Acceptance)>,
    pub letters: Statuses,
    pub commands: BTreeMap<Box<str>, CommandDone>,
    pub position: Option<Position>,
}

#[derive(Clone, Default)]
pub struct FakeStore(pub Arc<Mutex<HashMap<TopicPartition, Shelf>>>);

impl FakeStore {
    /// As if committed before.
    pub fn place(&self, source: &TopicPartition, next: i64) {
        let position = Position { commit_number: 1, ..Position::before(NextOffset::new(next)) };
        self.0.lock().unwrap().entry(source.clone()).or_default().position = Some(position);
    }

    pub fn apply(&self, cut: &CommitCut) {
        let mut shelves = self.0.lock().unwrap();
        for part in &cut.parts {
            let one = shelves.entry(part.source.clone()).or_default();
            for (identity, state) in part.layer.states() {
                one.states.insert(identity.clone(), state.as_ref().clone());
            }
            for settled in part.layer.settled() {
                one.owed.remove(&settled.key);
                one.accepted.extend(settled.acceptance.clone().map(|how| (settled.key.clone(), how)));
            }
            for (key, owed) in part.layer.owed() {
                one.owed.insert(key.clone(), owed.clone());
            }
            for (offset, status) in part.layer.statuses().iter() {
                one.letters.put(offset, status.cloned());
            }
            for identity in part.layer.removed().keys() {
                assert!(one.states.remove(identity).is_some(), "{identity:?} was not there");
            }
            one.commands.extend(part.layer.commands().clone());
            one.position = Some(part.position.clone());
        }
    }
}

impl StateReader for FakeStore {
    fn position(&self, source: &TopicPartition) -> Result<Option<Position>, PortError> {
        Ok(self.0.lock().unwrap().get(source).and_then(|shelf| shelf.position.clone()))
    }

    fn state(&self, source: &TopicPartition, identity: &Identity) -> Result<Option<Arc<OrderState>>, PortError> {
        Ok(self.0.lock().unwrap().get(source).and_then(|shelf| shelf.states.get(identity).cloned().map(Arc::new)))
    }

    fn scan_owed(&self, source: &TopicPartition, visit: &mut dyn FnMut(OwedKey, OwedEntry)) -> Result<(), PortError> {
        if let Some(shelf) = self.0.lock().unwrap().get(source) {
            // In the least helpful order that a store may choose.
            for (key, owed) in shelf.owed.iter().rev() {
                visit(key.clone(), owed.entry());
            }
        }
        Ok(())
    }

    fn owed(&self, source: &TopicPartition, key: &OwedKey) -> Result<Option<Owed>, PortError> {
        Ok(self.0.lock().unwrap().get(source).and_then(|shelf| shelf.owed.get(key).cloned()))
    }

    fn letter(&self, source: &TopicPartition, offset: RecordOffset) -> Result<Option<LetterStatus>, PortError> {
        let shelves = self.0.lock().unwrap();
        Ok(shelves.get(source).and_then(|shelf| shelf.letters.get(offset).flatten().cloned()))
    }

    fn open_letters(&self, source: &TopicPartition, identity: &Identity) -> Result<OpenLetters, PortError> {
        let mut open = OpenLetters::new();
        if let Some(shelf) = self.0.lock().unwrap().get(source) {
            shelf.letters.lay_over(identity, &mut open);
        }
        Ok(open)
    }

    fn open_letter_count(&self, source: &TopicPartition) -> Result<u64, PortError> {
        let shelves = self.0.lock().unwrap();
        let letters = shelves.get(source).into_iter().flat_map(|shelf| shelf.letters.iter());
        Ok(letters.map(|(_, status)| u64::from(status.is_some_and(LetterStatus::is_open))).sum())
    }

    fn command(&self, source: &TopicPartition, id: &str) -> Result<Option<CommandDone>, PortError> {
        Ok(self.0.lock().unwrap().get(source).and_then(|shelf| shelf.commands.get(id).cloned()))
    }
}

impl StatePages for FakeStore {
    fn page_states(
        &self,
        source: &TopicPartition,
        after: Option<&Identity>,
        rows: usize,
        visit: &mut dyn FnMut(Identity, OrderState),
    ) -> Result<(), PortError> {
        let shelves = self.0.lock().unwrap();
        let states = shelves.get(source).into_iter().flat_map(|shelf| &shelf.states);
        let behind = states.filter(|(identity, _)| after.is_none_or(|after| *identity > after));
        behind.take(rows).for_each(|(identity, state)| visit(identity.clone(), state.clone()));
        Ok(())
    }

    fn page_letters(
        &self,
        source: &TopicPartition,
        after: Option<RecordOffset>,
        rows: usize,
        visit: &mut dyn FnMut(RecordOffset, LetterStatus),
    ) -> Result<(), PortError> {
        let page: Vec<_> = {
            let shelves = self.0.lock().unwrap();
            let letters = shelves.get(source).into_iter().flat_map(|shelf| shelf.letters.iter());
            let behind = letters.filter(|(offset, _)| after.is_none_or(|after| *offset > after));
            behind.filter_map(|(offset, status)| Some((offset, status?.clone()))).take(rows).collect()
        };
        for (offset, status) in page {
            visit(offset, status);
        }
        Ok(())
    }
}

/// What the engine asked of its edges and nobody has answered yet.
#[derive(Default)]
pub struct Asked {
    pub cuts: VecDeque<CommitCut>,
    pub probes: Vec<(TopicPartition, NextOffset)>,
    pub attempts: VecDeque<AttemptStart>,
    pub fetches: Vec<AppId>,
    pub sweeps: VecDeque<SweepAsk>,
    pub paused: HashSet<TopicPartition>,
    pub in_doubt: bool,
    pub restores: Vec<(Epoch, TopicPartition)>,
    pub cancelled: Vec<TopicPartition>,
    pub begun: Vec<(Epoch, TopicPartition, StartAt)>,
    pub followed: Vec<(Epoch, TopicPartition, Option<NextOffset>)>,
    pub refilled: usize,
}

#[derive(Clone, Default)]
pub struct Edge(pub Arc<Mutex<Asked>>);

impl CommitQueue for Edge {
    fn begin(&mut self, cut: CommitCut) {
        self.0.lock().unwrap().cuts.push_back(cut);
    }

    fn probe_end(&mut self, source: TopicPartition, next: NextOffset) {
        self.0.lock().unwrap().probes.push((source, next));
    }
}

impl Sweeper for Edge {
    fn ask(&mut self, ask: SweepAsk) {
        self.0.lock().unwrap().sweeps.push_back(ask);
    }
}

impl Restorer for Edge {
    fn begin(&mut self, epoch: Epoch, source: &TopicPartition) {
        self.0.lock().unwrap().restores.push((epoch, source.clone()));
    }

    fn cancel(&mut self, source: &TopicPartition) {
        self.0.lock().unwrap().cancelled.push(source.clone());
    }
}

impl CommandFeed for Edge {
    fn follow(&mut self, epoch: Epoch, source: &TopicPartition, from: Option<NextOffset>) {
        self.0.lock().unwrap().followed.push((epoch, source.clone(), from));
    }

    fn leave(&mut self, source: &TopicPartition) {
        self.0.lock().unwrap().followed.retain(|(_, other, _)| other != source);
    }

    fn refill(&mut self, bytes: usize) {
        self.0.lock().unwrap().refilled += bytes;
    }
}

impl Membership for Edge {
    fn is_in_doubt(&self) -> bool {
        self.0.lock().unwrap().in_doubt
    }

    fn take_up(&mut self) {
        self.0.lock().unwrap().in_doubt = false;
    }
}

impl Attempts for Edge {
    fn start(&mut self, attempt: AttemptStart) {
        self.0.lock().unwrap().attempts.push_back(attempt);
    }

    fn fetch_token(&mut self, app_id: &AppId, _held: TokenGeneration) {
        self.0.lock().unwrap().fetches.push(app_id.clone());
    }
}

impl Intake for Edge {
    fn pause(&mut self, sources: &[TopicPartition]) {
        self.0.lock().unwrap().paused.extend(sources.iter().cloned());
    }

    fn begin(&mut self, epoch: Epoch, source: &TopicPartition, start: StartAt) {
        self.0.lock().unwrap().begun.push((epoch, source.clone(), start));
    }

    fn resume(&mut self, sources: &[TopicPartition]) {
        self.0.lock().unwrap().paused.retain(|source| !sources.contains(source));
    }
}

/// Sends status and price, and nothing else: enough to tell states apart.
pub struct TinyMapper;

impl MapOrder for TinyMapper {
    fn map(&self, input: &MapInput<'_>) -> Result<Mapped, Fault> {
        let mut draft =
            format!("{{\"order_id\":\"{}\",\"status\":\"{}\",\"doc\":", input.order_id, input.status.as_str());
        let mut document = Vec::new();
        input.document.write(&mut document);
        draft.push_str(std::str::from_utf8(&document).unwrap());
        draft.push('}');
        Ok(Mapped { draft: draft.into_bytes(), ..Mapped::default() })
    }
}

pub fn answer(status: u16, body: &str) -> Exchange {
    Exchange::Answered(Answer { status, retry_after: None, body: body.as_bytes().to_vec() })
}

pub fn ok() -> Exchange {
    answer(200, r#"{"err_code":0,"err_msg":"","body":""}"#)
}

/// An event of a normal order: `order` in the state `n`, one second after the last.
pub fn event(app: &str, order: &str, n: i64) -> String {
    serde_json::json!({
        "event_id": format!("{order}-{n}"), "order_id": order, "app_id": app, "order_type": "normal",
        "status": "paid", "occurred_at": 1_700_000_000_000_i64 + n * 1000, "order": {"n": n},
    })
    .to_string()
}
