//! The reasons of dead letters in words, for an operator at night: what each means and what to do about it.

use crate::order::DeadLetterReason;

/// A reason in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub action: &'static str,
}

/// The words of a reason code; `None` for one that this release does not know.
pub fn advice(code: &str) -> Option<Advice> {
    DeadLetterReason::ALL.into_iter().find(|reason| reason.as_str() == code).map(of)
}

const fn of(reason: DeadLetterReason) -> Advice {
    let (meaning, action) = match reason {
        DeadLetterReason::RecordTooLarge => (
            "key, value and headers of the record are over 1 MiB; the letter holds their lengths and digests only",
            "let the producer send less, then send the event again",
        ),
        DeadLetterReason::MissingKey => (
            "the record has no key, and its topic has several partitions: Kafka keeps no order between an order's events",
            "let the producer key records by order id, then send the event again",
        ),
        DeadLetterReason::MalformedEvent => (
            "the value is no JSON object, or a field of the event is missing or wrong; the message names it",
            "correct the producer, then send the event again",
        ),
        DeadLetterReason::UnsupportedSchemaVersion => (
            "the event's schema_version is one that this release does not read",
            "upgrade order-sync, or let the producer send version 1",
        ),
        DeadLetterReason::UnknownApp => (
            "the event's app_id is not configured, or is missing while several apps are",
            "add the app to the settings, or correct the producer",
        ),
        DeadLetterReason::TimeInFuture => (
            "occurred_at lies too far ahead of the worker's clock; its stamp would have blocked the order until then",
            "correct the producer's clock or its unit, then send the event again",
        ),
        DeadLetterReason::OlderThanRetained => (
            "the first event of an order that is not known, and old enough that retention may have removed that order",
            "see whether it is an old event that came late; `orders fold` takes one up that is not",
        ),
        DeadLetterReason::OrderTypeChanged => (
            "the event names another order_type than the order's first event",
            "correct the producer: an order's type is for ever",
        ),
        DeadLetterReason::StatusNotSupported => {
            ("the order's type has no such status", "correct the status (booked is for tickets only)")
        }
        DeadLetterReason::IncompleteOrder => (
            "fields that the platform requires are missing from the merged document; the message names them all",
            "send an event with the whole order document",
        ),
        DeadLetterReason::MalformedOrder => (
            "a field of the document has the wrong type or range, or the app may not send this type; the message names it",
            "correct the field in the producer, then send the event again",
        ),
        DeadLetterReason::FieldOverLimit => (
            "an id, URL or another field that is never cut is over the platform's limit; the message names both",
            "shorten it in the producer, then send the event again",
        ),
        DeadLetterReason::DocumentTooLarge => (
            "the merged document is over 256 KiB; unknown fields are kept in it, too",
            "let the producer leave out what is not sent",
        ),
        DeadLetterReason::RejectedByPlatform => (
            "Douyin refused this state for good, with the code and the answer below",
            "mend what the answer names; the order's next event carries the whole state and supersedes this letter",
        ),
        DeadLetterReason::RetriesExhausted => (
            "this order kept failing for delivery.give_up_after while others of the app were accepted",
            "look at its attempts; the order's next event carries the whole state and supersedes this letter",
        ),
    };
    Advice { meaning, action }
}
