//! `--from` and `--until`: an offset, a time, or a word for an end of the topic.

use std::str::FromStr;

use crate::cli::emptiness::End;
use crate::cli::reading::{self, Reading};
use crate::cli::times;
use crate::record::NextOffset;
use crate::sync::scan::{LogScan as _, Span};

/// Numbers below this are offsets; from here on milliseconds since the epoch.
const TIMES_FROM: i64 = 1_000_000_000_000;

/// A place in every partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Offset 0, be it there or not.
    Earliest,
    /// The end.
    Latest,
    /// This offset.
    Offset(i64),
    /// The first record of this time or later.
    Time(i64),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse::<i64>()) {
            ("earliest", _) => Ok(Self::Earliest),
            ("latest", _) => Ok(Self::Latest),
            (_, Ok(offset)) if (0..TIMES_FROM).contains(&offset) => Ok(Self::Offset(offset)),
            _ => times::parse(text).map(Self::Time).map_err(|_| {
                format!("{text:?} is no place: write an offset, a time (2026-11-25T08:00:00Z), earliest or latest")
            }),
        }
    }
}

impl Place {
    /// The same, as an end of a range.
    pub(super) fn end(self) -> End {
        match self {
            Self::Earliest | Self::Latest => End::OfLog,
            Self::Offset(offset) => End::Offset(offset),
            Self::Time(at_ms) => End::Time(at_ms),
        }
    }
}

/// The offsets between two places of a partition that reaches as `span` says.
pub(super) fn offsets(
    reading: &mut Reading,
    topic: &str,
    span: Span,
    (from, until): (Place, Place),
) -> anyhow::Result<(i64, i64)> {
    let mut offset = |place: Place| -> anyhow::Result<i64> {
        let end = span.until.get();
        Ok(match place {
            Place::Earliest => 0,
            // Behind the end, too: the log may have passed more than there is.
            Place::Latest => i64::MAX,
            Place::Offset(offset) => offset,
            Place::Time(at_ms) => {
                let found = reading.scan.at_time(topic, &[span.partition], at_ms).map_err(reading::kafka)?;
                found.first().copied().flatten().map_or(end, NextOffset::get)
            }
        })
    };
    let (from, until) = (offset(from)?, offset(until)?);
    Ok((from, until.max(from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        let check = |text: &str, expect| assert_eq!(text.parse::<Place>(), Ok(expect));
        check("earliest", Place::Earliest);
        check("latest", Place::Latest);
        check("0", Place::Offset(0));
        check("1795593600", Place::Offset(1_795_593_600));
        check("1795593600000", Place::Time(1_795_593_600_000));
        check("2026-11-25T08:00:00Z", Place::Time(1_795_593_600_000));
        for text in ["", "-1", "yesterday"] {
            assert!(text.parse::<Place>().unwrap_err().contains("is no place"), "{text}");
        }
    }
}
