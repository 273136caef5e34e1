//! The state that folding an order's events leaves. Its stored form is in `state_codec.rs`.

use serde::Deserialize;

use super::value::{Digest, EventTime, OrderType, Sequence, Status, UpdateTime};
use crate::order::fault::DeadLetterReason;

/// How many `event_id`s applied at the last `occurred_at` are remembered.
pub const EVENT_IDS_KEPT: usize = 32;

/// Result of folding an order's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderState {
    /// The order's type, given by its first event.
    pub order_type: OrderType,
    /// The status of the last applied event.
    pub status: Status,
    /// The merged document as compact JSON, at most 256 KiB.
    pub document: Box<str>,
    /// Offset of the last applied record in the order's source partition.
    pub applied_offset: i64,
    /// The newest ids applied at `occurred_at`, oldest first, at most [`EVENT_IDS_KEPT`].
    pub event_ids: Vec<Box<str>>,
    /// The last sequence that was present.
    pub sequence: Option<Sequence>,
    /// Time of the last applied event; with sequences it may go back.
    pub occurred_at: EventTime,
    /// The order's last stamp.
    pub update_time: UpdateTime,
    /// Digest of the last folded request.
    pub digest: Digest,
    /// Set while the delivery of `update_time` stands as a dead letter.
    pub dead_letter: Option<DeadLetterMark>,
}

/// Says that the delivery of the order's last stamp was dead-lettered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterMark {
    /// Offset of the record whose dead letter it is.
    pub offset: i64,
    /// Why.
    pub reason: DeadLetterReason,
    /// How often that record has been dead-lettered.
    pub times: u32,
}

/// A stored state cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Written by a newer release, or not by us.
    #[error("unknown state format {0}")]
    Format(u64),
    /// Not the JSON that this release writes.
    #[error("unreadable state: {0}")]
    Json(#[from] serde_json::Error),
}
