//! Durations as people write them: `200ms`, `5s`, `15m`, `2h`.

use std::time::Duration;

/// Reads a whole number with a unit: `ms`, `s`, `m` or `h`. At most a year.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms: u64 = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("{text:?} needs a unit: 200ms, 5s, 15m or 2h")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("{text:?} is no duration; write 200ms, 5s, 15m or 2h"))?;
    let year_ms = 366 * 24 * 3_600_000;
    number
        .checked_mul(unit_ms)
        .filter(|ms| *ms <= year_ms)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is over a year"))
}

/// Writes it back in the largest unit that is whole.
pub(super) fn show(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0s".to_owned(),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        for (text, ms) in [("200ms", 200), ("5s", 5000), ("15m", 900_000), ("2h", 7_200_000), ("0s", 0)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)));
            assert_eq!(show(Duration::from_millis(ms)), text);
        }
        for text in ["", "5", "s", "-1s", "1.5s", "5 s", "9999999h", "5d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
