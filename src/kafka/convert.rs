//! Turns a borrowed message of librdkafka into an owned record.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};

use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers, Message};

use crate::record::{Header, Record, RecordOffset};

/// Stands in the place of a header whose name is not UTF-8, in the record and so in its dead letter.
const OMITTED_HEADER: &str = "order-sync.omitted-header";

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
        // The binding unwraps a name that is no UTF-8, which only a hostile producer writes, and has no other way to a
        // header's bytes: the header is left out, visibly, rather than the worker brought down.
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
            copies.push(Header { name: OMITTED_HEADER.to_owned(), value: Some(b"its name is not UTF-8"[..].into()) });
        }
    }
    copies
}

/// Keeps the panic over a header's name, which is caught here and told in the log, from being printed besides. It
/// changes what the whole process does on a panic, and so is for a program's start; every other panic is handled as before.
pub fn silence_caught_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(is_caught) {
            before(panic);
        }
    }));
}

/// Whether a panic comes from where the binding reads headers, which happens in [`copy`] alone.
fn is_caught(location: &Location<'_>) -> bool {
    let file = location.file().replace('\\', "/");
    file.contains("/rdkafka") && file.ends_with("/src/message.rs")
}
