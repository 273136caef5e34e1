//! Turns a borrowed message of librdkafka into an owned record.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers, Message};

use crate::record::{Header, Record, RecordOffset};

/// Copies everything out; the message can be given back to librdkafka at once.
pub(super) fn record(message: &BorrowedMessage<'_>) -> Record {
    Record {
        offset: RecordOffset::new(message.offset()),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key().map(Box::from),
        value: message.payload().map(Box::from),
        headers: message.headers().map_or_else(Vec::new, |headers| copy(message, headers)),
    }
}

fn copy(message: &BorrowedMessage<'_>, headers: &BorrowedHeaders) -> Vec<Header> {
    let one = |index| {
        // The binding unwraps a name that is no UTF-8, which only a hostile producer writes: the header is left out
        // rather than the worker brought down.
        catch_unwind(AssertUnwindSafe(|| {
            let header = headers.try_get(index)?;
            Some(Header { name: header.key.to_owned(), value: header.value.map(Box::from) })
        }))
    };
    let mut copies = Vec::with_capacity(headers.count());
    for index in 0..headers.count() {
        if let Ok(header) = one(index) {
            copies.extend(header);
        } else {
            let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
            tracing::warn!(topic, partition, offset, "left out a header whose name is not UTF-8");
        }
    }
    copies
}
