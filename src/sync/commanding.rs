//! Executes operator commands: through the same fold, overlay and lanes as events, each with its outcome in the same cut.
//!
//! An id that has an outcome does nothing again; its outcome is only told once more. So a command may be read twice, by
//! this worker or by the next owner, and acts once.

use super::changelog::{LetterState, LetterStatus};
use super::command::{Action, Command, CommandDone, Outcome, Read};
use super::command_ports::{CommandInput, CommandNews, Incoming};
use super::engine::Engine;
use super::partition::{Partition, PartitionId, Phase};
use super::ports::PortError;
use super::rules::{FOLD_SLICE, Now};
use crate::order::{AppId, Identity, UpdateTime};
use crate::record::{NextOffset, RecordOffset};
use crate::telemetry::event;

/// What the execution of a command came to.
#[derive(Debug)]
pub(super) struct Executed {
    pub(super) outcome: Outcome,
    pub(super) message: String,
    pub(super) order: Option<Identity>,
    pub(super) stamp: Option<UpdateTime>,
}

impl Executed {
    pub(super) fn new(outcome: Outcome, message: impl Into<String>) -> Self {
        Self { outcome, message: message.into(), order: None, stamp: None }
    }

    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::new(Outcome::Refused, message)
    }
}

impl Engine {
    /// News of the commands topic. Those of an assignment that is over are dropped: the next owner reads them again.
    pub(super) fn commands(&mut self, input: CommandInput) {
        let running = |p: &&mut Partition| p.epoch == input.epoch && p.phase == Phase::Running;
        let Some(partition) = self.partition_of(&input.source).filter(running) else {
            if let CommandNews::Command(incoming, _) = &input.news {
                self.refill_commands(incoming.cost());
            }
            return;
        };
        match input.news {
            // What has an outcome does nothing again; a position that stays ahead would pass the rest over at the next start.
            CommandNews::Anew(begin) => partition.commanded.next = Some(begin),
            CommandNews::Followed(end) => partition.commanded.end = Some(end),
            CommandNews::Command(incoming, told) => partition.commanded.queue.push_back((Some(incoming), told)),
            CommandNews::ReadTo(told) => partition.commanded.queue.push_back((None, told)),
        }
    }

    /// Executes some of the commands that wait. True where more may be executed at once.
    pub(super) fn execute_some(&mut self, now: Now) -> bool {
        let mut left = FOLD_SLICE;
        let ids: Vec<PartitionId> =
            self.partitions.values().filter(|p| !p.commanded.queue.is_empty()).map(|p| p.id).collect();
        for id in ids {
            while left > 0 && self.may_execute(id) {
                let Some(partition) = self.partitions.get_mut(&id) else { break };
                let Some((incoming, told)) = partition.commanded.queue.pop_front() else { break };
                left -= 1;
                let Some(incoming) = incoming else {
                    partition.commanded.done(told);
                    continue;
                };
                let cost = incoming.cost();
                if let Err(error) = self.execute(id, *incoming, told, now) {
                    self.fail(error);
                    return false;
                }
                self.refill_commands(cost);
            }
        }
        left == 0
    }

    /// Commands wait for nothing but memory, for the start of their partition, and for the commit with which orders leave.
    fn may_execute(&self, id: PartitionId) -> bool {
        let is_full = self.held_by_bytes && self.buffered_bytes() >= self.rules.max_buffered_bytes;
        let Some(partition) = self.partitions.get(&id) else { return false };
        let is_ready = partition.phase == Phase::Running && partition.end_at_start.is_some();
        is_ready && self.is_running() && !is_full && !self.next_cut_is_full() && partition.overlay.leaving().is_none()
    }

    pub(super) fn refill_commands(&mut self, bytes: usize) {
        if let Some(commands) = &mut self.ports.commands {
            commands.refill(bytes);
        }
    }

    fn execute(&mut self, id: PartitionId, incoming: Incoming, told: NextOffset, now: Now) -> Result<(), PortError> {
        let offset = incoming.offset;
        let (command_id, word, who, why) = match &incoming.read {
            Read::Command(command) => {
                (command.id.clone(), command.action.as_str(), command.who.clone(), command.why.clone())
            }
            Read::Refused { id, command, .. } => (id.clone(), &**command, "".into(), "".into()),
            Read::Unreadable(_) => return Ok(()),
        };
        let word: Box<str> = word.into();
        let (about, app, order) = match &incoming.read {
            Read::Command(command) => {
                let (app, order) = command.action.subject();
                (command.action.offset(), app.cloned(), order.map(Box::from))
            }
            Read::Refused { .. } | Read::Unreadable(_) => (None, None, None),
        };
        if !self.tell_again(id, &command_id)? {
            let executed = match incoming.read {
                Read::Command(command) => self.act(id, command, incoming.original, incoming.request, now)?,
                Read::Refused { words, .. } | Read::Unreadable(words) => Executed::refused(words),
            };
            let Some(partition) = self.partitions.get_mut(&id) else { return Ok(()) };
            let (app_id, order_id) = executed.order.map(|order| (order.app_id, (*order.order_id).into())).unzip();
            let done = CommandDone {
                command: word,
                outcome: executed.outcome,
                message: executed.message.into(),
                offset: about,
                app_id: app_id.or(app),
                order_id: order_id.or(order),
                update_time: executed.stamp,
                next: partition.folded,
                command_offset: offset,
                at_ms: now.wall_ms,
                who,
                why,
            };
            partition.overlay.put_command(command_id, done);
        }
        if let Some(partition) = self.partitions.get_mut(&id) {
            partition.commanded.done(told);
        }
        self.progress += 1;
        Ok(())
    }

    /// Tells the outcome of an id that was executed once more, byte for byte, so that whoever waits for it hears it.
    fn tell_again(&mut self, id: PartitionId, command_id: &str) -> Result<bool, PortError> {
        let Some(partition) = self.partitions.get_mut(&id) else { return Ok(true) };
        let done = match partition.overlay.command(command_id) {
            Some(done) => Some(done.clone()),
            None => self.ports.reader.command(&partition.source, command_id)?,
        };
        let Some(done) = done else { return Ok(false) };
        partition.overlay.tell_command(command_id.into(), done);
        Ok(true)
    }

    fn act(
        &mut self,
        id: PartitionId,
        command: Command,
        original: Option<crate::record::Record>,
        request: Option<bytes::Bytes>,
        now: Now,
    ) -> Result<Executed, PortError> {
        let ahead_ms = command.at_ms.saturating_sub(now.wall_ms);
        if ahead_ms > self.rules.event.max_clock_skew_ms {
            let words = "its time lies more than limits.max_clock_skew ahead of the worker's clock; set the clocks";
            return Ok(Executed::refused(words));
        }
        match command.action {
            Action::Redrive { offset, .. } => self.redrive(id, offset, original, request, now),
            Action::Fold { offset } => self.fold_on_word(id, offset, original, now),
            Action::Resync { app_id, order_id } => {
                self.resync(id, Identity::new(app_id, order_id.as_ref()), command.at_ms)
            }
            Action::Discard { offset } => self.discard(id, offset, now),
            Action::Pause { app_id } => Ok(self.pause(id, &app_id)),
            Action::Resume { app_id } => Ok(self.resume(id, &app_id)),
            Action::AcceptRejections { app_id, code } => Ok(self.accept_rejections(id, app_id, code)),
        }
    }

    fn discard(&mut self, id: PartitionId, offset: RecordOffset, now: Now) -> Result<Executed, PortError> {
        let Some(status) = self.letter_status(id, offset)? else { return Ok(Executed::refused(NO_LETTER)) };
        Ok(match status.state {
            LetterState::Open => {
                self.close_letter(id, offset, status, LetterState::Discarded, now);
                Executed::new(Outcome::Done, "discarded")
            }
            LetterState::Discarded => Executed::new(Outcome::Done, "it was discarded before"),
            LetterState::Redriven => Executed::refused("it is redriven; nothing of it is open"),
            LetterState::Superseded => Executed::refused("it is superseded; nothing of it is open"),
        })
    }

    fn pause(&mut self, id: PartitionId, app_id: &AppId) -> Executed {
        let Some(app) = self.desks.iter().position(|desk| desk.app_id == *app_id) else {
            return Executed::refused(NO_APP);
        };
        let Some(partition) = self.partitions.get_mut(&id) else { return Executed::refused("") };
        if !partition.commanded.paused.insert(app_id.clone()) {
            return Executed::new(Outcome::Done, "it was paused before");
        }
        event::AppPaused { source: &partition.source, app_id }.emit();
        self.rest_all(id, app);
        Executed::new(Outcome::Done, "paused: nothing of it is started here until it is resumed")
    }

    fn resume(&mut self, id: PartitionId, app_id: &AppId) -> Executed {
        let Some(partition) = self.partitions.get_mut(&id) else { return Executed::refused("") };
        if !partition.commanded.paused.remove(app_id) {
            return Executed::new(Outcome::Done, "it was not paused");
        }
        event::AppResumed { source: &partition.source, app_id }.emit();
        Executed::new(Outcome::Done, "resumed")
    }

    fn accept_rejections(&mut self, id: PartitionId, app_id: AppId, code: i64) -> Executed {
        if !self.desks.iter().any(|desk| desk.app_id == app_id) {
            return Executed::refused(NO_APP);
        }
        let Some(partition) = self.partitions.get_mut(&id) else { return Executed::refused("") };
        partition.commanded.accepted.entry(app_id).or_default().insert(code);
        self.take_accepted_codes();
        Executed::new(Outcome::Done, "rejections with this code are taken as right")
    }

    /// The newest word on a letter.
    pub(super) fn letter_status(
        &self,
        id: PartitionId,
        offset: RecordOffset,
    ) -> Result<Option<LetterStatus>, PortError> {
        let Some(partition) = self.partitions.get(&id) else { return Ok(None) };
        match partition.overlay.status(offset) {
            Some(status) => Ok(status.cloned()),
            None => self.ports.reader.letter(&partition.source, offset),
        }
    }

    /// An operator has dealt with a letter.
    pub(super) fn close_letter(
        &mut self,
        id: PartitionId,
        offset: RecordOffset,
        mut status: LetterStatus,
        state: LetterState,
        now: Now,
    ) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        if status.is_open() {
            partition.open_letters = partition.open_letters.saturating_sub(1);
        }
        (status.state, status.at_ms) = (state, now.wall_ms);
        partition.overlay.put_status(offset, Some(status));
    }
}

/// Of commands about a letter that is none.
pub(super) const NO_LETTER: &str = "there is no dead letter of this record, or its order is gone and so is its status";
/// Of commands about an app of which this worker sends nothing.
pub(super) const NO_APP: &str = "no app of this id is configured on the partition's owner";
