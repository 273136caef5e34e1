//! Why an event is set aside: the stable reason codes, the stage, and a message that names fields and never values.

use serde::{Deserialize, Serialize};

/// The contract's reason codes. The order of judgement is the order of the variants up to `DocumentTooLarge`,
/// but for `MalformedEvent`, which stands for two judgements (not JSON; then, later, a field of §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterReason {
    /// Key, value and headers together are over 1 MiB.
    RecordTooLarge,
    /// No key, in a topic of several partitions.
    MissingKey,
    /// Not a JSON object, or a field of the envelope is missing or wrong.
    MalformedEvent,
    /// A `schema_version` other than 1.
    UnsupportedSchemaVersion,
    /// The event's app is not one of ours, or cannot be told.
    UnknownApp,
    /// `occurred_at` lies too far ahead of the worker's clock.
    TimeInFuture,
    /// The first event of an order that retention may have removed.
    OlderThanRetained,
    /// The event names another type than the order has.
    OrderTypeChanged,
    /// The order's type has no such status.
    StatusNotSupported,
    /// Required fields are missing.
    IncompleteOrder,
    /// A field has the wrong type or lies outside its range.
    MalformedOrder,
    /// A field is over the platform's byte limit.
    FieldOverLimit,
    /// The merged document is over 256 KiB.
    DocumentTooLarge,
    /// The platform said no for good.
    RejectedByPlatform,
    /// The platform kept failing for this order while it accepted others.
    RetriesExhausted,
}

impl DeadLetterReason {
    /// All reasons, in the order of judgement.
    pub const ALL: [Self; 15] = [
        Self::RecordTooLarge,
        Self::MissingKey,
        Self::MalformedEvent,
        Self::UnsupportedSchemaVersion,
        Self::UnknownApp,
        Self::TimeInFuture,
        Self::OlderThanRetained,
        Self::OrderTypeChanged,
        Self::StatusNotSupported,
        Self::IncompleteOrder,
        Self::MalformedOrder,
        Self::FieldOverLimit,
        Self::DocumentTooLarge,
        Self::RejectedByPlatform,
        Self::RetriesExhausted,
    ];

    /// The code of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RecordTooLarge => "record_too_large",
            Self::MissingKey => "missing_key",
            Self::MalformedEvent => "malformed_event",
            Self::UnsupportedSchemaVersion => "unsupported_schema_version",
            Self::UnknownApp => "unknown_app",
            Self::TimeInFuture => "time_in_future",
            Self::OlderThanRetained => "older_than_retained",
            Self::OrderTypeChanged => "order_type_changed",
            Self::StatusNotSupported => "status_not_supported",
            Self::IncompleteOrder => "incomplete_order",
            Self::MalformedOrder => "malformed_order",
            Self::FieldOverLimit => "field_over_limit",
            Self::DocumentTooLarge => "document_too_large",
            Self::RejectedByPlatform => "rejected_by_platform",
            Self::RetriesExhausted => "retries_exhausted",
        }
    }
}

impl std::fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where an event was judged: the dead letter's `__connect.errors.stage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before the order's state was looked at.
    Decode,
    /// Against the order's state.
    Fold,
    /// By the platform.
    Deliver,
}

impl Stage {
    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Fold => "fold",
            Self::Deliver => "deliver",
        }
    }
}

/// An event that cannot be folded: the reason and a message for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The stable code.
    pub reason: DeadLetterReason,
    /// Names every field at fault, and no value: messages carry no customer data.
    pub message: String,
    /// The order's id, where the event gave one that could be read.
    pub order_id: Option<String>,
    /// The app, where it is known to be one of ours.
    pub app_id: Option<String>,
}

impl Fault {
    /// A fault without ids; the decoder and the fold add those they know.
    pub fn new(reason: DeadLetterReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), order_id: None, app_id: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_serde_writes() {
        for reason in DeadLetterReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
        for stage in [Stage::Decode, Stage::Fold, Stage::Deliver] {
            assert_eq!(serde_json::to_value(stage).unwrap(), stage.as_str());
        }
    }
}
