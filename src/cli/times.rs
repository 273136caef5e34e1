//! Times on the command line and in tables.

use crate::order::EventTime;

/// Reads a time: RFC 3339, or milliseconds since the epoch (13 digits).
pub(super) fn parse(text: &str) -> Result<i64, String> {
    let rule =
        || format!("{text:?} is no time: write 2026-11-25T08:00:00Z, or milliseconds since the epoch (13 digits)");
    let ms = match text.parse::<i64>() {
        Ok(ms) => ms,
        Err(_) => text.parse::<jiff::Timestamp>().map_err(|_| rule())?.as_millisecond(),
    };
    if (EventTime::MIN.0..=EventTime::MAX.0).contains(&ms) { Ok(ms) } else { Err(rule()) }
}

/// RFC 3339 in UTC with milliseconds; the number where it is no time of this calendar.
pub(super) fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| format!("{time:.3}"))
}

/// A time of a letter as a table has it: without `T`, fraction and zone.
pub(super) fn short(rfc3339: &str) -> String {
    let cut = rfc3339.split('.').next().unwrap_or(rfc3339).trim_end_matches('Z');
    cut.replacen('T', " ", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_seconds_are_not_guessed_at() {
        assert_eq!(parse("2026-11-25T08:00:00Z"), Ok(1_795_593_600_000));
        assert_eq!(parse("2026-11-25T16:00:00+08:00"), Ok(1_795_593_600_000));
        assert_eq!(parse("1795593600000"), Ok(1_795_593_600_000));
        for text in ["", "1795593600", "yesterday", "2026-11-25"] {
            assert!(parse(text).unwrap_err().contains("is no time"), "{text}");
        }
        assert_eq!(rfc3339(1_795_593_600_007), "2026-11-25T08:00:00.007Z");
        assert_eq!(short("2026-11-25T08:00:00.007Z"), "2026-11-25 08:00:00");
    }
}
