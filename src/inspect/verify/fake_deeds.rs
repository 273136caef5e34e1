//! What the made-up worker does besides folding: it sets events and deliveries aside, and executes commands.

use super::fakes::{FakeWorker, app};
use crate::order::again::{last_request, resync};
use crate::order::fold::FoldAs;
use crate::order::state::DeadLetterMark;
use crate::order::{DeadLetterReason, Identity, OrderState, Stage, TimeUnit, UpdateTime};
use crate::record::{Header, NextOffset, Record, RecordOffset, TopicPartition};
use crate::sync::changelog::{ChangelogKey, LetterState, LetterStatus};
use crate::sync::command::{Action, Command, CommandDone, Outcome};
use crate::sync::dead_letter::{DeadLetter, DeliveryRecord};
use crate::sync::letter::Origin;
use crate::sync::{Owed, OwedKey};

/// The worker's clock.
const NOW_MS: i64 = 1_700_000_500_000;

impl FakeWorker {
    /// An event from far ahead comes, and is set aside.
    pub(super) fn set_aside(&mut self, order: &str, event_id: &str, status: &str) -> i64 {
        let offset = self.record(order, event_id, status, 1_900_000_000);
        self.letter((offset, 1), DeadLetterReason::TimeInFuture, Stage::Decode, order, None);
        offset
    }

    /// What the order owes last is given up.
    pub(super) fn give_up(&mut self, order: &str) -> i64 {
        let (identity, mapper) = (Identity::new(app(), order), self.mapper());
        let state = self.states.get_mut(&identity).unwrap();
        let (stamp, offset) = (state.update_time, state.applied_offset);
        let reason = DeadLetterReason::RejectedByPlatform;
        let is_of = |header: &Header| {
            header.name == "__connect.errors.offset" && header.value.as_deref() == Some(offset.to_string().as_bytes())
        };
        let letters = self.log.topics.get("letters").into_iter().flatten();
        let before = letters.filter(|letter| letter.headers.iter().any(is_of)).count();
        let before = u32::try_from(before).unwrap();
        state.dead_letter = Some(DeadLetterMark { offset, reason, times: before + 1 });
        let request = last_request(state, &identity, &mapper).unwrap();
        self.given_up.push(OwedKey { identity: identity.clone(), stamp });
        self.dirty.insert(identity);
        self.letter((offset, before + 1), reason, Stage::Deliver, order, Some((stamp, request)));
        offset
    }

    fn letter(
        &mut self,
        (offset, times): (i64, u32),
        reason: DeadLetterReason,
        stage: Stage,
        order: &str,
        delivery: Option<(UpdateTime, Vec<u8>)>,
    ) {
        let record = self.log.topics["orders"].iter().find(|record| record.offset.get() == offset).cloned();
        let letter = DeadLetter {
            source: TopicPartition::new("orders", 0),
            offset: RecordOffset::new(offset),
            record,
            reason,
            stage,
            message: "m".to_owned(),
            order_id: Some(order.to_owned()),
            app_id: Some(app().as_str().to_owned()),
            update_time: delivery.as_ref().map(|(stamp, _)| stamp.0),
            delivery: delivery.map(|(_, request)| DeliveryRecord {
                attempts: 1,
                attempt_log: "one".to_owned(),
                err_code: Some(7),
                response: None,
                request: request.into(),
            }),
            times,
            first_failed_ms: NOW_MS,
            last_failed_ms: NOW_MS,
        };
        self.put_status(offset, LetterStatus::open(&letter));
        let letter = letter.into_letter(&Origin { group: "g".to_owned(), version: "1".to_owned() });
        let at = self.log.put("letters", b"", None);
        *self.log.topics.get_mut("letters").unwrap().last_mut().unwrap() = Record {
            offset: RecordOffset::new(at),
            timestamp_ms: Some(at),
            key: letter.key.map(Into::into),
            value: letter.value.map(Into::into),
            headers: letter.headers,
        };
    }

    /// A letter is taken up that never was folded.
    pub(super) fn redrive(&mut self, order: &str, offset: i64) {
        let stamp = self.fold(offset, FoldAs::Redrive);
        self.close_letter(offset, LetterState::Redriven);
        self.done("redrive", stamp.map_or(Outcome::Unchanged, |_| Outcome::Folded), order, Some(offset), stamp);
    }

    /// A letter of a delivery is sent again.
    pub(super) fn send_again(&mut self, order: &str, offset: i64) {
        let (identity, mapper) = (Identity::new(app(), order), self.mapper());
        let state = self.states.get_mut(&identity).unwrap();
        state.dead_letter = None;
        let (stamp, request) = (state.update_time, last_request(state, &identity, &mapper).unwrap());
        let key = OwedKey { identity: identity.clone(), stamp };
        self.fresh.push((key, Owed { request: request.into(), offset, timestamp_ms: None }));
        self.dirty.insert(identity);
        self.close_letter(offset, LetterState::Redriven);
        self.done("redrive", Outcome::Sent, order, Some(offset), Some(stamp.0));
    }

    /// An event that was stale is folded.
    pub(super) fn fold_on_word(&mut self, order: &str, offset: i64) {
        let stamp = self.fold(offset, FoldAs::Word);
        self.done("fold", stamp.map_or(Outcome::Unchanged, |_| Outcome::Folded), order, Some(offset), stamp);
    }

    /// The order's state is sent again.
    pub(super) fn resync(&mut self, order: &str) {
        let (identity, mapper) = (Identity::new(app(), order), self.mapper());
        let state = &self.states[&identity];
        let again = resync(state, &identity, NOW_MS, TimeUnit::Seconds, &mapper).unwrap();
        let (stamp, offset) = (again.state.update_time, state.applied_offset);
        let key = OwedKey { identity: identity.clone(), stamp };
        self.fresh.push((key, Owed { request: again.request.into(), offset, timestamp_ms: None }));
        self.states.insert(identity.clone(), OrderState::clone(&again.state));
        self.dirty.insert(identity);
        self.done("resync", Outcome::Sent, order, None, Some(stamp.0));
    }

    /// A letter is decided against.
    pub(super) fn discard(&mut self, order: &str, offset: i64) {
        self.close_letter(offset, LetterState::Discarded);
        self.done("discard", Outcome::Done, order, Some(offset), None);
    }

    fn close_letter(&mut self, offset: i64, state: LetterState) {
        let status = LetterStatus { state, ..self.letters[&offset].clone() };
        self.put_status(offset, status);
    }

    /// What was owed is accepted, but for what was given up, and says what the order's letters said.
    pub(super) fn supersede(&mut self) {
        let given_up = std::mem::take(&mut self.given_up);
        for key in self.owed.clone().iter().filter(|key| !given_up.contains(key)) {
            let said = |status: &LetterStatus| {
                status.identity().as_ref() == Some(&key.identity) && status.is_superseded_by(key.stamp)
            };
            let letters: Vec<i64> =
                self.letters.iter().filter(|(_, status)| said(status)).map(|(offset, _)| *offset).collect();
            for offset in letters {
                self.close_letter(offset, LetterState::Superseded);
            }
        }
    }

    /// Retention forgets a letter's status.
    pub(super) fn forget(&mut self, offset: i64) {
        self.letters.remove(&offset);
        self.log.put("changelog", &ChangelogKey::Letter(RecordOffset::new(offset)).encode("orders"), None);
    }

    /// As a cut does, the last word alone is written.
    fn put_status(&mut self, offset: i64, status: LetterStatus) {
        let key = ChangelogKey::Letter(RecordOffset::new(offset));
        self.besides.retain(|(other, _)| *other != key);
        self.besides(key, status.encode().unwrap());
        self.letters.insert(offset, status);
    }

    /// The commands topic is deleted and created again; what comes is executed from its beginning.
    pub(super) fn commands_made_anew(&mut self) {
        self.log.topics.insert("commands".to_owned(), Vec::new());
        self.commands_begin = self.commands;
    }

    /// Nothing is done.
    pub(super) fn refuse(&mut self, order: &str, offset: i64) {
        self.done("redrive", Outcome::Refused, order, Some(offset), None);
    }

    /// A command lies there again: its outcome is told once more.
    pub(super) fn give_again(&mut self, id: &[u8], value: Option<Vec<u8>>) {
        self.commands += 1;
        let key = ChangelogKey::Command(std::str::from_utf8(id).unwrap().into());
        let encoded = key.encode("orders");
        let is_it = |record: &&Record| record.key.as_deref() == Some(&*encoded);
        let told = self.log.topics["changelog"].iter().rfind(is_it).and_then(|record| record.value.clone()).unwrap();
        self.log.put("commands", id, value);
        self.besides(key, told.into_vec());
    }

    /// An app is paused, and goes on.
    pub(super) fn pause_and_resume(&mut self) {
        for action in [Action::Pause { app_id: app() }, Action::Resume { app_id: app() }] {
            self.done(action.as_str(), Outcome::Done, "", None, None);
        }
    }

    fn done(&mut self, command: &str, outcome: Outcome, order: &str, offset: Option<i64>, stamp: Option<i64>) {
        self.commands += 1;
        let next = self.log.topics["orders"].last().map_or(0, |last| last.offset.get() + 1);
        let done = CommandDone {
            command: command.into(),
            outcome,
            message: "m".into(),
            offset: offset.map(RecordOffset::new),
            app_id: Some(app()),
            order_id: Some(order.into()),
            update_time: stamp.map(UpdateTime),
            next: NextOffset::new(next),
            command_offset: RecordOffset::new(self.commands - 1 - self.commands_begin),
            at_ms: NOW_MS + self.commands,
            who: "w".into(),
            why: "y".into(),
        };
        let id: Box<str> = format!("c{}", self.commands).into();
        let given = Command {
            id: id.clone(),
            source: TopicPartition::new("orders", 0),
            action: action(&done),
            who: "w".into(),
            why: "y".into(),
            at_ms: NOW_MS,
        };
        self.log.put("commands", id.as_bytes(), Some(given.encode().unwrap()));
        self.besides(ChangelogKey::Command(id), done.encode().unwrap());
    }

    fn besides(&mut self, key: ChangelogKey, value: Vec<u8>) {
        self.besides.push((key, value));
    }
}

/// What was asked for.
fn action(done: &CommandDone) -> Action {
    match (&*done.command, done.offset) {
        ("redrive", Some(offset)) => Action::Redrive { offset, letter: None },
        ("fold", Some(offset)) => Action::Fold { offset },
        ("discard", Some(offset)) => Action::Discard { offset },
        ("resync", None) => Action::Resync { app_id: app(), order_id: done.order_id.clone().unwrap() },
        ("pause", None) => Action::Pause { app_id: app() },
        ("resume", None) => Action::Resume { app_id: app() },
        other => panic!("{other:?}"),
    }
}
