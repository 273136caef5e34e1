//! `[limits]`: what becomes of events that do not fit.

use std::time::Duration;

use super::key::{Absent, Key, Kind, Section, Shape};
use super::reader::Reader;

/// `[limits]`
#[derive(Clone, Debug)]
pub struct Limits {
    /// `text`: what happens to person-read text over its limit.
    pub text: TextLimit,
    /// `max_clock_skew`: how far ahead of our clock an event may lie (10 min).
    pub max_clock_skew: Duration,
}

/// `limits.text`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextLimit {
    /// `truncate`: cut at a character boundary, and counted.
    Truncate,
    /// `strict`: dead-lettered `field_over_limit`.
    Strict,
}

pub(super) const SECTION: Section = Section {
    path: "limits",
    shape: Shape::Table,
    doc: "What becomes of events that do not fit.",
    keys: &[
        Key {
            name: "text",
            kind: Kind::Word(&["truncate", "strict"]),
            absent: Absent::Default("\"truncate\""),
            doc: "Text that only people read (titles, descriptions) and that is over the platform's limit: cut it at a \
                  character boundary, or dead-letter the event (`field_over_limit`).",
        },
        Key {
            name: "max_clock_skew",
            kind: Kind::Span(Duration::ZERO, Duration::from_secs(365 * 86_400)),
            absent: Absent::Default("\"10m\""),
            doc: "How far ahead of this machine's clock an event's occurred_at may lie; beyond it the event is a dead \
                  letter (`time_in_future`), because its stamp would block every later state of the order.",
        },
    ],
};

/// Reads `[limits]`.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Limits {
    Limits {
        text: if reader.text("text") == "strict" { TextLimit::Strict } else { TextLimit::Truncate },
        max_clock_skew: reader.span("max_clock_skew"),
    }
}
