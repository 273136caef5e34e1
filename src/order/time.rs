//! Time as §3 of the contract has it: integer milliseconds or RFC 3339, within 13 digits.
//!
//! Ten-digit integers (seconds) are the classic mistake; they are refused, never guessed at. No clock is read here.

use super::json::Json;
use super::value::EventTime;

/// What a faulty time's message says after the field's name.
pub const TIME_RULE: &str = "must be a time: milliseconds since 1970 as a 13-digit integer, or RFC 3339 text";

/// A time within 2001 to 2286, as an integer or as RFC 3339 text; `None` for anything else.
pub fn from_json(value: &Json<'_>) -> Option<EventTime> {
    match value.as_str() {
        Some(text) => from_rfc3339(text),
        None => value.as_integer().and_then(in_range),
    }
}

/// `T` or `t`, no space; `Z`, `z` or `±hh:mm`; fractions are cut to milliseconds; second 60 and impossible dates are
/// refused; the moment lies within 2001 to 2286.
pub fn from_rfc3339(text: &str) -> Option<EventTime> {
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4, 9999)?;
    literal(&mut rest, b"-")?;
    let month = digits(&mut rest, 2, 12)?;
    literal(&mut rest, b"-")?;
    let day = digits(&mut rest, 2, 31)?;
    literal(&mut rest, b"Tt")?;
    let hour = digits(&mut rest, 2, 23)?;
    literal(&mut rest, b":")?;
    let minute = digits(&mut rest, 2, 59)?;
    literal(&mut rest, b":")?;
    let second = digits(&mut rest, 2, 59)?;
    let millis = if literal(&mut rest, b".").is_some() { fraction(&mut rest)? } else { 0 };
    let offset_minutes = offset(&mut rest)?;
    if !rest.is_empty() || month == 0 || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let minutes = (days_since_epoch(year, month, day) * 24 + hour) * 60 + minute - offset_minutes;
    in_range((minutes * 60 + second) * 1000 + millis)
}

fn in_range(millis: i64) -> Option<EventTime> {
    let time = EventTime(millis);
    (EventTime::MIN..=EventTime::MAX).contains(&time).then_some(time)
}

/// Exactly `count` digits whose value is at most `max`.
fn digits(rest: &mut &[u8], count: usize, max: i64) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(count)?;
    let value =
        head.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))?;
    *rest = tail;
    (value <= max).then_some(value)
}

/// One byte out of `any_of`.
fn literal(rest: &mut &[u8], any_of: &[u8]) -> Option<u8> {
    let (&first, tail) = rest.split_first()?;
    any_of.contains(&first).then(|| {
        *rest = tail;
        first
    })
}

/// One digit or more; those behind the third are cut.
fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    let digit = |at: usize| head.get(at).map_or(0, |byte| i64::from(byte - b'0'));
    (count > 0).then(|| digit(0) * 100 + digit(1) * 10 + digit(2))
}

/// `Z`, `z` or `±hh:mm`, in minutes east.
fn offset(rest: &mut &[u8]) -> Option<i64> {
    let sign = match literal(rest, b"Zz+-")? {
        b'+' => 1,
        b'-' => -1,
        _ => return Some(0),
    };
    let hours = digits(rest, 2, 23)?;
    literal(rest, b":")?;
    Some(sign * (hours * 60 + digits(rest, 2, 59)?))
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01, proleptic Gregorian. The year is taken to begin in March, so that the leap day is its last.
const fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, months_since_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 0000-03-01 lies 719,468 days before the epoch; five months from March on have 153 days, whichever five.
    year * 365 + leap_days + (153 * months_since_march + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_read_as_rfc_3339() {
        let check = |text: &str, expect: Option<i64>| assert_eq!(from_rfc3339(text), expect.map(EventTime), "{text}");
        check("2023-09-15T07:02:03Z", Some(1_694_761_323_000));
        check("2023-09-15t07:02:03z", Some(1_694_761_323_000));
        check("2023-09-15T15:02:03+08:00", Some(1_694_761_323_000));
        check("2023-09-15T07:02:03-00:00", Some(1_694_761_323_000));
        check("2023-09-15T07:02:03.9999999999Z", Some(1_694_761_323_999));
        check("2023-09-15T07:02:03.5Z", Some(1_694_761_323_500));
        check("2024-02-29T00:00:00Z", Some(1_709_164_800_000));
        check("2001-09-09T01:46:40Z", Some(1_000_000_000_000));
        check("2001-09-09T01:46:39.999Z", None);
        check("2286-11-20T17:46:39.999Z", Some(9_999_999_999_999));
        check("2286-11-20T17:46:40Z", None);
        check("2286-11-21T17:45:39+23:59", Some(9_999_999_999_000));
        for text in [
            "",
            "2023-09-15",
            "2023-09-15 07:02:03Z",
            "2023-09-15T07:02:03",
            "2023-09-15T07:02Z",
            "2023-09-15T07:02:60Z",
            "2023-09-15T24:00:00Z",
            "2023-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2023-04-31T00:00:00Z",
            "2023-00-15T07:02:03Z",
            "2023-13-15T07:02:03Z",
            "2023-09-00T07:02:03Z",
            "2023-09-15T07:02:03.Z",
            "2023-09-15T07:02:03,5Z",
            "2023-09-15T07:02:03+0800",
            "2023-09-15T07:02:03+08",
            "2023-09-15T07:02:03+24:00",
            "2023-09-15T07:02:03+08:60",
            "2023-09-15T07:02:03Z ",
            " 2023-09-15T07:02:03Z",
            "+023-09-15T07:02:03Z",
            "2023-9-15T07:02:03Z",
            "12023-09-15T07:02:03Z",
            "1694761323000",
            "２０23-09-15T07:02:03Z",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn integers_are_milliseconds_of_13_digits() {
        let check = |text: &str, expect: Option<i64>| {
            assert_eq!(from_json(&Json::parse(text).unwrap()), expect.map(EventTime), "{text}");
        };
        check("1000000000000", Some(1_000_000_000_000));
        check("999999999999", None);
        check("9999999999999", Some(9_999_999_999_999));
        check("10000000000000", None);
        check("1694761323", None);
        check("1694761323000.0", None);
        check("1694761323e3", None);
        check("\"1694761323000\"", None);
        check("null", None);
    }

    proptest! {
        #[test]
        fn every_moment_reads_back(millis in EventTime::MIN.0..=EventTime::MAX.0, offset_minutes in -1439_i64..1440) {
            let local = jiff::Timestamp::from_millisecond(millis + offset_minutes * 60_000).unwrap();
            let sign = if offset_minutes < 0 { '-' } else { '+' };
            let (hours, minutes) = (offset_minutes.abs() / 60, offset_minutes.abs() % 60);
            let text = format!("{local:.3}").replace('Z', &format!("{sign}{hours:02}:{minutes:02}"));
            prop_assert_eq!(from_rfc3339(&text), Some(EventTime(millis)), "{}", text);
        }

        #[test]
        fn any_text_is_answered(text in "[0-9TtZz:+.\\- ]{0,40}|\\PC{0,40}") {
            if let Some(time) = from_rfc3339(&text) {
                prop_assert_eq!(text.parse::<jiff::Timestamp>().unwrap().as_millisecond(), time.0);
            }
        }
    }
}
