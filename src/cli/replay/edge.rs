//! Where a replay begins and ends in each partition: an offset, a time, or the log's own beginning.

use crate::cli::emptiness::{End, Within};
use crate::cli::reading::{self, Reading};
use crate::cli::times;
use crate::record::NextOffset;
use crate::sync::scan::{LogScan as _, Span};

/// The digits of a time in milliseconds.
const TIME_DIGITS: usize = 13;

/// One end of what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The oldest record that is there.
    Earliest,
    /// The same offset in every partition.
    Offset(i64),
    /// The first record of this time or later, milliseconds since the epoch.
    Time(i64),
}

/// Reads `earliest`, an offset, or a time.
pub(super) fn from(text: &str) -> Result<Edge, String> {
    if text == "earliest" { Ok(Edge::Earliest) } else { until(text) }
}

/// Reads an offset or a time. Thirteen digits are a time, as everywhere.
pub(super) fn until(text: &str) -> Result<Edge, String> {
    let is_offset = !text.is_empty() && text.len() < TIME_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_offset {
        return text.parse().map(Edge::Offset).map_err(|_| format!("{text:?} is no offset"));
    }
    let no_time =
        |_| format!("{text:?} is neither an offset nor a time: write 1024, 2026-11-25T08:00:00Z, or 13 digits");
    times::parse(text).map(Edge::Time).map_err(no_time)
}

impl Edge {
    /// The same, as an end of a range.
    pub(super) fn end(self) -> End {
        match self {
            Self::Earliest => End::OfLog,
            Self::Offset(offset) => End::Offset(offset),
            Self::Time(at_ms) => End::Time(at_ms),
        }
    }
}

/// Narrows what there is to what was asked for. Whatever lies outside is not there. Says of each partition how far it
/// reaches, and what was asked for.
pub(super) fn narrow(
    reading: &mut Reading,
    topic: &str,
    spans: &mut [Span],
    from: Edge,
    until: Option<Edge>,
) -> anyhow::Result<Vec<Within>> {
    let starts = places(reading, topic, spans, from)?;
    let ends = until.map(|until| places(reading, topic, spans, until)).transpose()?;
    let mut within = Vec::new();
    for (at, span) in spans.iter_mut().enumerate() {
        let whole = *span;
        let end = ends.as_ref().map_or(whole.until, |ends| ends[at]);
        within.push(Within { whole, asked: (starts[at].get(), end.get()) });
        span.from = starts[at].clamp(whole.from, whole.until);
        span.until = end.clamp(span.from, whole.until);
    }
    Ok(within)
}

fn places(reading: &mut Reading, topic: &str, spans: &[Span], edge: Edge) -> anyhow::Result<Vec<NextOffset>> {
    match edge {
        Edge::Earliest => Ok(spans.iter().map(|span| span.from).collect()),
        Edge::Offset(offset) => Ok(spans.iter().map(|_| NextOffset::new(offset)).collect()),
        Edge::Time(at_ms) => {
            let partitions: Vec<i32> = spans.iter().map(|span| span.partition).collect();
            let found = reading.scan.at_time(topic, &partitions, at_ms).map_err(reading::kafka)?;
            Ok(found.into_iter().zip(spans).map(|(found, span)| found.unwrap_or(span.until)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_told_from_a_time() {
        assert_eq!(from("earliest"), Ok(Edge::Earliest));
        assert_eq!(from("0"), Ok(Edge::Offset(0)));
        assert_eq!(until("999999999999"), Ok(Edge::Offset(999_999_999_999)));
        assert_eq!(until("1795593600000"), Ok(Edge::Time(1_795_593_600_000)));
        assert_eq!(until("2026-11-25T08:00:00Z"), Ok(Edge::Time(1_795_593_600_000)));
        for text in ["", "-1", "latest", "99999999999999"] {
            assert!(until(text).unwrap_err().contains("neither an offset nor a time"), "{text}");
        }
    }
}
