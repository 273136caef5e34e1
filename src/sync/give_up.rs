//! Giving a delivery up: its letter, its mark on the order's state, and the settled debt, all in one cut.

use std::sync::Arc;

use super::dead_letter::{DeadLetter, DeliveryRecord};
use super::engine::Engine;
use super::lane::LaneId;
use super::owed::{OwedKey, listed_owed};
use super::partition::PartitionId;
use super::ports::PortError;
use crate::order::state::DeadLetterMark;
use crate::order::{DeadLetterReason, OrderState, Stage};
use crate::record::RecordOffset;
use crate::telemetry::Outcome;

impl Engine {
    /// The head becomes a dead letter; the order's next event carries the merged document and supersedes it.
    pub(super) fn give_up(&mut self, id: LaneId, reason: DeadLetterReason, message: String) {
        let Err(error) = self.try_give_up(id, reason, message) else { return };
        self.fail(error);
    }

    fn try_give_up(&mut self, id: LaneId, reason: DeadLetterReason, message: String) -> Result<(), PortError> {
        let Some(lane) = self.lanes.get(id) else { return Ok(()) };
        let trouble = lane.trouble.as_deref().cloned().unwrap_or_default();
        let (partition_id, Some(key)) = (lane.partition, lane.head_key()) else { return Ok(()) };
        let held = lane.head().and_then(|head| head.owed.as_deref().cloned());
        let Some(partition) = self.partitions.get(&partition_id) else { return Ok(()) };
        let owed = match held {
            Some(owed) => owed,
            None => listed_owed(self.ports.reader.as_ref(), &partition.source, &key)?,
        };
        self.meters.records(&partition.source.topic, Outcome::DeadLetter, 1);
        let letter = DeadLetter {
            source: partition.source.clone(),
            offset: RecordOffset::new(owed.offset),
            record: None,
            reason,
            stage: Stage::Deliver,
            message,
            order_id: Some(key.identity.order_id.to_string()),
            app_id: Some(key.identity.app_id.to_string()),
            update_time: Some(key.stamp.0),
            delivery: Some(DeliveryRecord {
                attempts: trouble.attempts,
                attempt_log: trouble.log_text(),
                err_code: trouble.err_code,
                response: trouble.response.clone(),
                request: owed.request.clone(),
            }),
            times: 1,
            first_failed_ms: trouble.first_failed_ms,
            last_failed_ms: trouble.last_failed_ms,
        };
        let times = self.put_letter(partition_id, letter)?;
        self.mark_dead(partition_id, &key, DeadLetterMark { offset: owed.offset, reason, times })?;
        self.settle(id, None);
        Ok(())
    }

    /// Marks the order's state while the letter's stamp is its last: the same content is owed again by the next event.
    fn mark_dead(&mut self, partition: PartitionId, key: &OwedKey, mark: DeadLetterMark) -> Result<(), PortError> {
        let Some(partition) = self.partitions.get_mut(&partition) else { return Ok(()) };
        let mut state: OrderState = match partition.overlay.state(&key.identity) {
            Some(state) => state.as_ref().clone(),
            None => match self.ports.reader.state(&partition.source, &key.identity)? {
                Some(state) => Arc::unwrap_or_clone(state),
                None => return Ok(()),
            },
        };
        if state.update_time == key.stamp {
            state.dead_letter = Some(mark);
            partition.overlay.put_state(key.identity.clone(), Arc::new(state));
        }
        Ok(())
    }
}
