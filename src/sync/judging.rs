//! One record is judged, folded and laid over the store: in its place in the log, or as an operator asks for it.

use std::sync::Arc;

use bytes::Bytes;

use super::dead_letter::DeadLetter;
use super::engine::Engine;
use super::folding::Folding;
use super::owed::{Owed, OwedKey};
use super::partition::PartitionId;
use super::ports::PortError;
use super::retention::newer;
use super::rules::{Now, RECORD_BYTES_MAX};
use crate::order::event::decode;
use crate::order::fold::{Advanced, FoldAs, FoldRules, fold_as};
use crate::order::{DeadLetterReason, Fault, Identity, OrderState, Stage, Transition, UpdateTime};
use crate::record::{Record, RecordOffset};
use crate::telemetry::Outcome;

/// What became of a record.
#[derive(Debug)]
pub(super) struct Judged {
    /// [`Outcome::Delivered`] stands for `owed`: it is counted when it is accepted.
    pub(super) outcome: Outcome,
    /// The order and its stamp, where it was folded.
    pub(super) order: Option<(Identity, UpdateTime)>,
    /// Why it is a dead letter, where it is one.
    pub(super) fault: String,
}

impl Judged {
    fn plain(outcome: Outcome) -> Self {
        Self { outcome, order: None, fault: String::new() }
    }
}

impl Engine {
    /// Judges a record, and folds it where it is to be folded.
    pub(super) fn judge(
        &mut self,
        id: PartitionId,
        record: Record,
        way: FoldAs,
        now: Now,
    ) -> Result<Folding<Judged>, PortError> {
        let partitions_of_topic = self.partitions.get(&id).map_or(1, |partition| partition.partitions_of_topic);
        let keyless = record.key.is_none() && partitions_of_topic > 1;
        if record.content_bytes() > RECORD_BYTES_MAX {
            let words = format!("key, value and headers are {} bytes; at most 1048576", record.content_bytes());
            let fault = Fault::new(DeadLetterReason::RecordTooLarge, words);
            self.set_aside(id, record, fault, Stage::Decode, now).map(Folding::Done)
        } else if record.value.is_none() {
            Ok(Folding::Done(Judged::plain(Outcome::Tombstone)))
        } else if keyless {
            let words = "the record has no key and its topic has several partitions; key it by order_id";
            let fault = Fault::new(DeadLetterReason::MissingKey, words);
            self.set_aside(id, record, fault, Stage::Decode, now).map(Folding::Done)
        } else {
            self.fold_event(id, record, way, now)
        }
    }

    fn fold_event(
        &mut self,
        id: PartitionId,
        record: Record,
        way: FoldAs,
        now: Now,
    ) -> Result<Folding<Judged>, PortError> {
        let plain = |outcome| Ok(Folding::Done(Judged::plain(outcome)));
        let value = record.value.as_deref().unwrap_or_default();
        let event = match decode(value, &self.rules.event, now.wall_ms) {
            Ok(event) => event,
            Err(fault) => return self.set_aside(id, record, fault, Stage::Decode, now).map(Folding::Done),
        };
        let identity = Identity::new(event.app_id.clone(), event.order_id.as_ref());
        let Some(partition) = self.partitions.get_mut(&id) else { return plain(Outcome::Duplicate) };
        if way == FoldAs::Event && record.key.as_deref().is_some_and(|key| key != event.order_id.as_bytes()) {
            self.meters.key_mismatch(&partition.source.topic);
        }
        let stored;
        let state = if let Some(state) = partition.overlay.state(&identity) {
            Some(state.as_ref())
        } else {
            stored = self.ports.reader.state(&partition.source, &identity)?;
            stored.as_deref()
        };
        let unit = self.rules.apps.iter().find(|app| app.app_id == identity.app_id).map(|app| app.unit);
        let Some(unit) = unit else { return plain(Outcome::Duplicate) };
        if partition.waits_for_leavers(&identity, state.is_some(), event.occurred_at.in_unit(unit)) {
            return Ok(Folding::Held(record));
        }
        let removed = partition.position.removed_stamps.get(&identity.app_id).copied();
        let rules = FoldRules { unit, removed_stamp: removed.unwrap_or(UpdateTime::ZERO) };
        let transition = fold_as(way, state, &event, record.offset.get(), rules, self.rules.mapper.as_ref());
        if way == FoldAs::Event {
            partition.newest = Some(newer(partition.newest, event.occurred_at));
        }
        let advanced = match transition {
            Ok(Transition::Duplicate) => return plain(Outcome::Duplicate),
            Ok(Transition::Stale) => return plain(Outcome::Stale),
            Err(fault) => return self.set_aside(id, record, fault, Stage::Fold, now).map(Folding::Done),
            Ok(Transition::Advanced(advanced)) => (Outcome::Delivered, advanced),
            Ok(Transition::Unchanged(advanced)) => (Outcome::Unchanged, advanced),
        };
        let order = Some((identity.clone(), advanced.1.state.update_time));
        let outcome = match advanced {
            (Outcome::Unchanged, advanced) => self.unchanged(id, identity, advanced, &record),
            (outcome, advanced) => {
                self.advance(id, identity, advanced, &record);
                outcome
            }
        };
        Ok(Folding::Done(Judged { outcome, order, fault: String::new() }))
    }

    fn advance(&mut self, id: PartitionId, identity: Identity, advanced: Advanced, record: &Record) {
        if advanced.unusual {
            self.meters.unusual_transition();
        }
        for field in &advanced.cut {
            self.meters.text_cut(field);
        }
        if advanced.long_rules > 0 {
            self.meters.long_rules(u64::from(advanced.long_rules));
        }
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let key = OwedKey { identity: identity.clone(), stamp: advanced.state.update_time };
        partition.overlay.owe(key, owed(&advanced.request, record.offset, record.timestamp_ms));
        partition.overlay.put_state(identity, Arc::new(advanced.state));
    }

    /// Nothing that is sent has changed. Where the content stands as a dead letter it is owed again, under its stamp.
    fn unchanged(&mut self, id: PartitionId, identity: Identity, advanced: Advanced, record: &Record) -> Outcome {
        let Some(partition) = self.partitions.get_mut(&id) else { return Outcome::Unchanged };
        let mut state: OrderState = advanced.state;
        let again = state.dead_letter.take().is_some();
        if again {
            let key = OwedKey { identity: identity.clone(), stamp: state.update_time };
            partition.overlay.owe(key, owed(&advanced.request, record.offset, record.timestamp_ms));
        }
        partition.overlay.put_state(identity, Arc::new(state));
        if again { Outcome::Delivered } else { Outcome::Unchanged }
    }

    /// Sets a record aside: its letter is part of the next commit.
    fn set_aside(
        &mut self,
        id: PartitionId,
        record: Record,
        fault: Fault,
        stage: Stage,
        now: Now,
    ) -> Result<Judged, PortError> {
        let Some(partition) = self.partitions.get(&id) else { return Ok(Judged::plain(Outcome::DeadLetter)) };
        let letter = DeadLetter {
            source: partition.source.clone(),
            offset: record.offset,
            record: Some(record),
            reason: fault.reason,
            stage,
            message: fault.message.clone(),
            order_id: fault.order_id,
            app_id: fault.app_id,
            update_time: None,
            delivery: None,
            times: 1,
            first_failed_ms: now.wall_ms,
            last_failed_ms: now.wall_ms,
        };
        self.put_letter(id, letter)?;
        Ok(Judged { outcome: Outcome::DeadLetter, order: None, fault: format!("{}: {}", fault.reason, fault.message) })
    }
}

/// The request is kept without the room it was written with: it may wait for long.
pub(super) fn owed(request: &[u8], offset: RecordOffset, timestamp_ms: Option<i64>) -> Owed {
    Owed { request: Bytes::copy_from_slice(request), offset: offset.get(), timestamp_ms }
}
