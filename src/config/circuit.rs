//! `[circuit]`: what counts as an outage, a partial outage or a reject storm, and how the platform is tried again.

use std::time::Duration;

use super::key::{Absent, Key, Kind, Section, Shape};
use super::reader::Reader;

/// `[circuit]`; docs/delivery-semantics.md argues the defaults.
#[derive(Clone, Debug)]
pub struct Circuit {
    /// `window` in which orders must fail and none be accepted (30 s).
    pub window: Duration,
    /// `failed_orders`: distinct orders that must fail in it (5).
    pub failed_orders: usize,
    /// `failed_attempts` in a row that are enough before the window is over (20).
    pub failed_attempts: u32,
    /// `probe_initial_interval`: the first wait between probes (1 s).
    pub probe_initial_interval: Duration,
    /// `probe_max_interval`: the longest wait between probes (10 s).
    pub probe_max_interval: Duration,
    /// `ramp_interval`: the permits double in it (1 s).
    pub ramp_interval: Duration,
    /// `suspended_probe_interval`: the wait between probes of a suspended app (60 s).
    pub suspended_probe_interval: Duration,
    /// `rejected_orders`: distinct orders rejected in a row that suspend the app (20).
    pub rejected_orders: usize,
    /// `partial_orders`: above it, orders of the group that fail at once may be a partial outage (20).
    pub partial_orders: usize,
    /// `partial_percent`: and above this share of those attempted (1).
    pub partial_percent: u32,
}

const TENTH: Duration = Duration::from_millis(100);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) const SECTION: Section = Section {
    path: "circuit",
    shape: Shape::Table,
    doc: "When an app's deliveries wait as a whole, and how they come back. docs/delivery-semantics.md argues the \
          defaults.",
    keys: &[
        Key {
            name: "window",
            kind: Kind::Span(Duration::from_secs(1), HOUR),
            absent: Absent::Default("\"30s\""),
            doc: "An outage: in this time `failed_orders` distinct orders of an app failed and none was accepted. The \
                  circuit opens: no order's time runs out, and one order at a time probes.",
        },
        Key {
            name: "failed_orders",
            kind: Kind::Number(1, 1000),
            absent: Absent::Default("5"),
            doc: "Distinct orders that must fail in the window. Fewer open the circuit of a quiet app sooner, and for \
                  poison orders alone.",
        },
        Key {
            name: "failed_attempts",
            kind: Kind::Number(1, 1000),
            absent: Absent::Default("20"),
            doc: "Attempts that must fail in a row, of whatever orders; where fewer are made, they must go on for the \
                  whole window. It keeps chance from opening the circuit of a quiet app.",
        },
        Key {
            name: "probe_initial_interval",
            kind: Kind::Span(TENTH, HOUR),
            absent: Absent::Default("\"1s\""),
            doc: "The wait before the first probe of an open circuit; it doubles with every probe that fails, with \
                  some chance in it.",
        },
        Key {
            name: "probe_max_interval",
            kind: Kind::Span(TENTH, HOUR),
            absent: Absent::Default("\"10s\""),
            doc: "The longest wait between two probes: how late the worker may notice that the platform is back.",
        },
        Key {
            name: "ramp_interval",
            kind: Kind::Span(TENTH, HOUR),
            absent: Absent::Default("\"1s\""),
            doc: "After the first good answer an app may have two attempts under way, and twice as many after each \
                  interval of this length whose answers are good, up to delivery.max_in_flight.",
        },
        Key {
            name: "suspended_probe_interval",
            kind: Kind::Span(TENTH, DAY),
            absent: Absent::Default("\"60s\""),
            doc: "The wait between two probes of a suspended app (bad secret, bad appname, banned, quota used up, \
                  every order rejected).",
        },
        Key {
            name: "rejected_orders",
            kind: Kind::Number(2, 100_000),
            absent: Absent::Default("20"),
            doc: "A reject storm: so many distinct orders rejected, and none accepted in between, suspend the app. All \
                  but the last are dead letters; from the last one on, orders stay owed. With 1, a single bad order would \
                  hold up the app and never become a letter.",
        },
        Key {
            name: "partial_orders",
            kind: Kind::Number(0, 1_000_000_000),
            absent: Absent::Default("20"),
            doc: "A part of the platform is away where more distinct orders than this fail at once, and more than \
                  `partial_percent` of those attempted: the time of delivery.give_up_after stands still then. Of the group: \
                  a worker counts by its share of the partitions, 3 at the least, where these are more than 5 %. Where no more \
                  fail, but more than one and more than 5 %, the time counts a hundredth.",
        },
        Key {
            name: "partial_percent",
            kind: Kind::Number(0, 100),
            absent: Absent::Default("1"),
            doc: "The share, in percent of the distinct orders attempted within one to two times delivery.max_interval.",
        },
    ],
};

/// Reads `[circuit]`.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Circuit {
    let (initial, longest) = ("probe_initial_interval", "probe_max_interval");
    let (probe_initial_interval, probe_max_interval) = (reader.span(initial), reader.span(longest));
    if probe_max_interval < probe_initial_interval && !reader.faulty(longest) && !reader.faulty(initial) {
        let at = if reader.given(longest) { longest } else { initial };
        reader.fault(at, "probe_max_interval is below probe_initial_interval; raise the one or lower the other");
    }
    Circuit {
        window: reader.span("window"),
        failed_orders: reader.count("failed_orders"),
        failed_attempts: few(reader.count("failed_attempts")),
        probe_initial_interval,
        probe_max_interval,
        ramp_interval: reader.span("ramp_interval"),
        suspended_probe_interval: reader.span("suspended_probe_interval"),
        rejected_orders: reader.count("rejected_orders"),
        partial_orders: reader.count("partial_orders"),
        partial_percent: few(reader.count("partial_percent")),
    }
}

/// A number that the key's bounds keep small.
fn few(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
