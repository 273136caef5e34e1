//! `[store]`: the local, durable state.

use std::path::PathBuf;
use std::time::Duration;

use super::key::{Absent, Key, Kind, Section, Shape};
use super::reader::Reader;

/// `[store]`
#[derive(Clone, Debug)]
pub struct Store {
    /// `path`: the sled directory.
    pub path: PathBuf,
    /// `cache_bytes`: bound of sled's page cache (32 MiB).
    pub cache_bytes: u64,
    /// `retain`: how long orders stay that are at their end (90 days); `None` for ever.
    pub retain: Option<Duration>,
}

/// The shortest `retain`. A refund after the redemption, or a correction, comes within days as a matter of course; without
/// its order it is refused, or begins with nothing. A store holds the last week's orders in any case, so that less than a
/// week would save little and cost such events.
pub const RETAIN_MIN: Duration = Duration::from_secs(7 * 86_400);
/// The longest, ten years: beyond it, "never" is meant.
const RETAIN_MAX: Duration = Duration::from_secs(3_650 * 86_400);

pub(super) const SECTION: Section = Section {
    path: "store",
    shape: Shape::Table,
    doc: "The local store: order states, owed deliveries and positions.",
    keys: &[
        Key {
            name: "path",
            kind: Kind::Text,
            absent: Absent::Default("\"order-sync-data\""),
            doc: "The directory of the store, made when missing; relative to where the process starts. One process at a \
                  time. Give it a fixed place on a disk that survives restarts.",
        },
        Key {
            name: "cache_bytes",
            kind: Kind::Bytes(1 << 20, 1 << 40),
            absent: Absent::Default("\"32MiB\""),
            doc: "Memory for the store's page cache. Raise it when orders come back long after their first event and \
                  the disk is slow.",
        },
        Key {
            name: "retain",
            kind: Kind::SpanOrNever(RETAIN_MIN, RETAIN_MAX),
            absent: Absent::Default("\"90d\""),
            doc: "How long an order stays that is at its end (redeemed, cancelled, timed out or refunded), delivered, and \
                  without an open dead letter, counted from its last update_time. Then it leaves the store and the \
                  changelog, and an event of it that comes later is a dead letter: choose more than the longest time \
                  between an order's end and a last refund or correction.",
        },
    ],
};

/// Reads `[store]`.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Store {
    Store {
        path: reader.path("path").unwrap_or_default(),
        cache_bytes: reader.number("cache_bytes").unwrap_or(u64::MAX),
        retain: reader.span_or_never("retain"),
    }
}
