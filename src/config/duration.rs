//! Durations as people write them: `"200ms"`, `"15m"`. One number, one unit; no sums, no fractions, no bare numbers.

use std::time::Duration;

/// What a faulty duration's message ends with.
pub(super) const RULE: &str = "write a whole number and a unit, ms, s, m, h or d, for example \"200ms\" or \"15m\"";

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads `"200ms"`; `None` for anything else, and for more than 2^64 ms.
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let millis = UNITS.iter().find_map(|(name, millis)| (*name == unit.trim_start()).then_some(*millis))?;
    number.parse::<u64>().ok()?.checked_mul(millis).map(Duration::from_millis)
}

/// Writes a duration in the largest unit that divides it; below a millisecond it is cut.
pub fn format_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let whole = UNITS.iter().find(|(_, unit)| millis > 0 && millis.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{}s", millis / 1000), |(name, unit)| format!("{}{name}", millis / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_written() {
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(parse(text), expect.map(Duration::from_millis), "{text}");
        };
        check("200ms", Some(200));
        check("15m", Some(900_000));
        check("10 s", Some(10_000));
        check("0s", Some(0));
        check("2h", Some(7_200_000));
        check("90d", Some(7_776_000_000));
        for bad in ["", "5", "s", "1.5s", "-1s", "5 sec", "5S", "1m30s", "99999999999999999999ms", "1s "] {
            check(bad, None);
        }
    }

    #[test]
    fn durations_are_written_in_the_largest_unit() {
        for text in ["200ms", "15m", "10s", "1h", "90d", "90s", "0s"] {
            assert_eq!(format_duration(parse(text).unwrap()), text);
        }
    }
}
