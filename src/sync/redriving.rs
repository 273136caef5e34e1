//! Commands that change an order (§7 of the contract): what they fold and what they owe.
//!
//! None of them puts an older state over a newer one: an event that was never folded goes through the fold, which knows
//! stale; a delivery is sent again only while its stamp is the order's last; a resync takes a stamp above it.

use std::sync::Arc;

use bytes::Bytes;

use super::changelog::{LetterState, LetterStatus};
use super::command::Outcome;
use super::commanding::{Executed, NO_APP, NO_LETTER};
use super::engine::Engine;
use super::folding::Folding;
use super::judging::owed;
use super::owed::OwedKey;
use super::partition::PartitionId;
use super::ports::PortError;
use super::rules::Now;
use crate::order::again::{is_last_request, last_request, resync};
use crate::order::event::decode;
use crate::order::fold::FoldAs;
use crate::order::{Identity, OrderState, UpdateTime};
use crate::record::{Record, RecordOffset};
use crate::telemetry::Outcome as Became;

impl Engine {
    /// Takes up a dead letter.
    pub(super) fn redrive(
        &mut self,
        id: PartitionId,
        offset: RecordOffset,
        original: Option<Record>,
        request: Option<Bytes>,
        now: Now,
    ) -> Result<Executed, PortError> {
        if self.is_ahead(id, offset) {
            return Ok(Executed::refused(AHEAD));
        }
        let Some(status) = self.letter_status(id, offset)? else { return Ok(Executed::refused(NO_LETTER)) };
        match (status.state, status.stamp) {
            (LetterState::Superseded, _) => Ok(Executed::new(
                Outcome::Superseded,
                "a later state of the order was accepted, and holds what it says",
            )),
            (LetterState::Redriven, _) => Ok(Executed::refused("it is redriven already; nothing of it is open")),
            (LetterState::Open | LetterState::Discarded, Some(stamp)) => {
                let timestamp_ms = original.and_then(|record| record.timestamp_ms);
                self.send_again(id, offset, status, stamp, request, timestamp_ms, now)
            }
            (LetterState::Open | LetterState::Discarded, None) => {
                self.fold_again(id, offset, Some(status), original, FoldAs::Redrive, now)
            }
        }
    }

    /// Folds a record that was judged stale, or is older than what retention has kept.
    pub(super) fn fold_on_word(
        &mut self,
        id: PartitionId,
        offset: RecordOffset,
        original: Option<Record>,
        now: Now,
    ) -> Result<Executed, PortError> {
        if self.is_ahead(id, offset) {
            return Ok(Executed::refused(AHEAD));
        }
        let status = self.letter_status(id, offset)?.filter(|status| status.stamp.is_none());
        self.fold_again(id, offset, status, original, FoldAs::Word, now)
    }

    /// Owes the order's stored state again, under a stamp above its last.
    pub(super) fn resync(&mut self, id: PartitionId, identity: Identity, at_ms: i64) -> Result<Executed, PortError> {
        let unit = self.rules.apps.iter().find(|app| app.app_id == identity.app_id).map(|app| app.unit);
        let Some(state) = self.stored_state(id, &identity)? else {
            return Ok(Executed::refused("the order is not known in this partition"));
        };
        let Some(unit) = unit else {
            let words =
                format!("the order is here, but its app {} is not among [[apps]] of the owner", identity.app_id);
            return Ok(Executed::refused(words));
        };
        if state.applied_offset < 0 {
            let words =
                "its events lie in an earlier topic, which a dead letter could not name; its next event sends it";
            return Ok(Executed::refused(words));
        }
        let advanced = match resync(&state, &identity, at_ms, unit, self.rules.mapper.as_ref()) {
            Ok(advanced) => advanced,
            Err(fault) => return Ok(Executed::refused(format!("{}: {}", fault.reason, fault.message))),
        };
        let (stamp, offset) = (advanced.state.update_time, RecordOffset::new(state.applied_offset));
        if let Some(partition) = self.partitions.get_mut(&id) {
            let key = OwedKey { identity: identity.clone(), stamp };
            partition.overlay.owe(key, owed(&advanced.request, offset, Some(at_ms)));
            partition.overlay.put_state(identity.clone(), Arc::new(advanced.state));
        }
        Ok(Executed { order: Some(identity), stamp: Some(stamp), ..Executed::new(Outcome::Sent, "owed again") })
    }

    /// The very request of a letter whose event was folded, under its own stamp, while that is the order's last.
    #[expect(clippy::too_many_arguments, reason = "what a letter is made of")]
    fn send_again(
        &mut self,
        id: PartitionId,
        offset: RecordOffset,
        status: LetterStatus,
        stamp: UpdateTime,
        request: Option<Bytes>,
        timestamp_ms: Option<i64>,
        now: Now,
    ) -> Result<Executed, PortError> {
        let Some(identity) = status.identity() else { return Ok(Executed::refused(NO_LETTER)) };
        let Some(state) = self.stored_state(id, &identity)? else {
            return Ok(Executed::refused("the order is not known in this partition any more"));
        };
        let of_order = |executed: Executed| Executed { order: Some(identity.clone()), ..executed };
        if state.update_time != stamp {
            let words = "a later state of the order holds what it says, and is sent or was; that supersedes the letter";
            return Ok(of_order(Executed::new(Outcome::Superseded, words)));
        }
        if state.dead_letter.is_none() {
            return Ok(of_order(Executed::new(Outcome::Unchanged, "its delivery is owed already")));
        }
        if !self.rules.apps.iter().any(|app| app.app_id == identity.app_id) {
            // It would be owed with nobody to send it, and the letter closed.
            return Ok(of_order(Executed::refused(NO_APP)));
        }
        let sent = request.filter(|request| is_last_request(&state, request)).map(|request| request.to_vec());
        let again = sent.or_else(|| last_request(&state, &identity, self.rules.mapper.as_ref()));
        let Some(again) = again else {
            let words = "the letter does not hold its request, and this release or its settings map the order otherwise; \
                         resync the order";
            return Ok(of_order(Executed::refused(words)));
        };
        if let Some(partition) = self.partitions.get_mut(&id) {
            let key = OwedKey { identity: identity.clone(), stamp };
            partition.overlay.owe(key, owed(&again, offset, timestamp_ms));
            let state = OrderState { dead_letter: None, ..OrderState::clone(&state) };
            partition.overlay.put_state(identity.clone(), Arc::new(state));
        }
        self.close_letter(id, offset, status, LetterState::Redriven, now);
        Ok(Executed { stamp: Some(stamp), ..of_order(Executed::new(Outcome::Sent, "the same request is owed again")) })
    }

    /// Folds the event of a record here and now.
    fn fold_again(
        &mut self,
        id: PartitionId,
        offset: RecordOffset,
        status: Option<LetterStatus>,
        original: Option<Record>,
        way: FoldAs,
        now: Now,
    ) -> Result<Executed, PortError> {
        let Some(record) = original.filter(|record| record.offset == offset) else {
            return Ok(Executed::refused("neither the source nor a letter has the record any more"));
        };
        // After a rebase onto a source topic that was made anew another record may lie where the letter's lay.
        if let Some(order_id) = status.as_ref().and_then(|status| status.order_id.as_deref())
            && self.is_of_another_order(&record, order_id)
        {
            let words = format!("the record at this offset is not the letter's, which is of order {order_id}");
            return Ok(Executed::refused(words));
        }
        let judged = match self.judge(id, record, way, now)? {
            Folding::Done(judged) => judged,
            // It is not executed while orders leave, so that nothing can be waited for.
            Folding::Held(_) => return Ok(Executed::refused("the order is leaving; give the command again")),
        };
        let (outcome, words) = match judged.outcome {
            Became::Delivered => (Outcome::Folded, "folded here; its delivery is owed".to_owned()),
            Became::Unchanged => (Outcome::Unchanged, "folded here; nothing that is sent has changed".to_owned()),
            Became::Duplicate => (Outcome::Duplicate, "an event with its event_id is applied already".to_owned()),
            Became::Stale => {
                (Outcome::Stale, "the order is past this event; fold it on your word, or discard it".to_owned())
            }
            Became::DeadLetter => (Outcome::DeadLetter, judged.fault),
            Became::Tombstone => (Outcome::Refused, "the record has no value; there is nothing to fold".to_owned()),
        };
        if let (Outcome::Folded | Outcome::Unchanged, Some(status)) = (outcome, status)
            && status.state != LetterState::Superseded
        {
            self.close_letter(id, offset, status, LetterState::Redriven, now);
        }
        let (order, stamp) = judged.order.unzip();
        let stamp = stamp.filter(|_| outcome == Outcome::Folded);
        Ok(Executed { order, stamp, ..Executed::new(outcome, words) })
    }

    /// Whether the record names an order, and not this one.
    fn is_of_another_order(&self, record: &Record, order_id: &str) -> bool {
        let Some(value) = record.value.as_deref() else { return false };
        match decode(value, &self.rules.event, i64::MAX) {
            Ok(event) => *event.order_id != *order_id,
            Err(fault) => fault.order_id.is_some_and(|named| *named != *order_id),
        }
    }

    /// Whether the record has no outcome yet.
    fn is_ahead(&self, id: PartitionId, offset: RecordOffset) -> bool {
        self.partitions.get(&id).is_none_or(|partition| !partition.folded.covers(offset))
    }

    fn stored_state(&self, id: PartitionId, identity: &Identity) -> Result<Option<Arc<OrderState>>, PortError> {
        let Some(partition) = self.partitions.get(&id) else { return Ok(None) };
        match partition.overlay.state(identity) {
            Some(state) => Ok(Some(Arc::clone(state))),
            None => self.ports.reader.state(&partition.source, identity),
        }
    }
}

/// Of commands about a record that the fold has yet to come to.
const AHEAD: &str = "the record lies at or beyond the partition's position: it is folded in its turn";
