//! `[delivery]`: how much at once, how long, how often.

use std::num::NonZeroU32;
use std::time::Duration;

use super::key::{Absent, Key, Kind, Section, Shape};
use super::reader::Reader;

/// `[delivery]`
#[derive(Clone, Debug)]
pub struct Delivery {
    /// `max_in_flight`: attempts at once (256).
    pub max_in_flight: usize,
    /// `max_owed`: deliveries owed before intake pauses (1,000,000).
    pub max_owed: usize,
    /// `max_buffered_bytes`: memory of what is not yet committed before intake pauses (64 MiB).
    pub max_buffered_bytes: usize,
    /// `requests_per_second` per app; none is unlimited.
    pub requests_per_second: Option<NonZeroU32>,
    /// `initial_interval` of the backoff (200 ms).
    pub initial_interval: Duration,
    /// `max_interval` of the backoff (60 s).
    pub max_interval: Duration,
    /// `give_up_after`: failing time, by evidence, before an order is given up (15 min).
    pub give_up_after: Duration,
}

const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) const SECTION: Section = Section {
    path: "delivery",
    shape: Shape::Table,
    doc: "Pushing: how much at once, how often again, and when an order is given up.",
    keys: &[
        Key {
            name: "max_in_flight",
            kind: Kind::Number(1, 65_536),
            absent: Absent::Default("256"),
            doc: "Attempts at once, over all apps. The rate is at most this over the platform's latency: 256 at 50 ms \
                  are 5,000 pushes per second.",
        },
        Key {
            name: "max_owed",
            kind: Kind::Number(1, 1_000_000_000),
            absent: Absent::Default("1000000"),
            doc: "Deliveries owed before reading from Kafka pauses. They lie on disk, about the size of a request each. Until \
                  all partitions of a worker are restored, one that owes its share of them is held back alone.",
        },
        Key {
            name: "max_buffered_bytes",
            kind: Kind::Bytes(1 << 20, 1 << 36),
            absent: Absent::Default("\"64MiB\""),
            doc: "Memory for records and results that are not yet committed; when it is used up, reading pauses until \
                  the next commit.",
        },
        Key {
            name: "requests_per_second",
            kind: Kind::Number(1, 1_000_000),
            absent: Absent::Nothing("100"),
            doc: "Attempts per second and app. When left out: no limit but max_in_flight. It holds for each worker: N \
                  workers of a group may send N times as much, so set it to what the platform has granted the app, divided \
                  by the number of workers.",
        },
        Key {
            name: "initial_interval",
            kind: Kind::Span(MILLISECOND, DAY),
            absent: Absent::Default("\"200ms\""),
            doc: "The wait before an order's second attempt; it doubles with every further one, with some chance in it.",
        },
        Key {
            name: "max_interval",
            kind: Kind::Span(MILLISECOND, DAY),
            absent: Absent::Default("\"60s\""),
            doc: "The longest wait between two attempts of one order.",
        },
        Key {
            name: "give_up_after",
            kind: Kind::Span(MILLISECOND, Duration::from_secs(30 * 86_400)),
            absent: Absent::Default("\"15m\""),
            doc: "How long one order may fail while others of the app succeed before it becomes a dead letter \
                  (`retries_exhausted`). Time in which nothing succeeds does not count, so that an outage dead-letters \
                  nothing.",
        },
    ],
};

/// Reads `[delivery]`.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Delivery {
    let (initial_interval, max_interval) = (reader.span("initial_interval"), reader.span("max_interval"));
    if max_interval < initial_interval && !reader.faulty("max_interval") && !reader.faulty("initial_interval") {
        // The fault stands where somebody wrote something.
        let at = if reader.given("max_interval") { "max_interval" } else { "initial_interval" };
        reader.fault(at, "max_interval is below initial_interval; raise the one or lower the other");
    }
    Delivery {
        max_in_flight: reader.count("max_in_flight"),
        max_owed: reader.count("max_owed"),
        max_buffered_bytes: reader.count("max_buffered_bytes"),
        requests_per_second: reader
            .number("requests_per_second")
            .and_then(|number| u32::try_from(number).ok())
            .and_then(NonZeroU32::new),
        initial_interval,
        max_interval,
        give_up_after: reader.span("give_up_after"),
    }
}
