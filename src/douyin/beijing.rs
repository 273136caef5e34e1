//! Times as the platform's readers see them: `yyyy-MM-dd HH:mm:ss` in Asia/Shanghai.
//!
//! The zone has been +08:00 without summer time since 1991, and every time of the contract is later.

const OFFSET_SECONDS: i64 = 8 * 3600;
const DAY_SECONDS: i64 = 24 * 3600;

/// The text of a moment given in milliseconds since the epoch, within the contract's 13 digits; parts of a second
/// are cut.
pub(super) fn date_time(millis: i64) -> String {
    let seconds = millis.div_euclid(1000) + OFFSET_SECONDS;
    let (year, month, day) = date(seconds.div_euclid(DAY_SECONDS));
    let second = seconds.rem_euclid(DAY_SECONDS);
    let mut text = String::with_capacity(19);
    let parts = [
        (' ', year / 100),
        (' ', year % 100),
        ('-', month),
        ('-', day),
        (' ', second / 3600),
        (':', second / 60 % 60),
        (':', second % 60),
    ];
    for (before, value) in parts {
        if text.len() >= 4 {
            text.push(before);
        }
        let value = u8::try_from(value).unwrap_or_default();
        text.extend([char::from(b'0' + value / 10 % 10), char::from(b'0' + value % 10)]);
    }
    text
}

/// Year, month and day of a day counted from 1970-01-01. The year is taken to begin in March, so that the leap day
/// is its last, and eras of 400 years all have 146,097 days.
const fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months = (5 * of_year + 2) / 153;
    let day = of_year - (153 * months + 2) / 5 + 1;
    let month = if months < 10 { months + 3 } else { months - 9 };
    (era * 400 + year_of_era + if month <= 2 { 1 } else { 0 }, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments() {
        let check = |millis, expect: &str| assert_eq!(date_time(millis), expect);
        check(1_694_707_200_000, "2023-09-15 00:00:00");
        check(1_694_707_199_999, "2023-09-14 23:59:59");
        check(1_709_164_800_000, "2024-02-29 08:00:00");
        check(1_000_000_000_000, "2001-09-09 09:46:40");
        check(9_999_999_999_999, "2286-11-21 01:46:39");
    }

    proptest! {
        #[test]
        fn every_moment_is_what_a_calendar_says(millis in 1_000_000_000_000_i64..=9_999_999_999_999) {
            let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
            let expect = jiff::Timestamp::from_millisecond(millis).unwrap().to_zoned(zone);
            prop_assert_eq!(date_time(millis), expect.strftime("%Y-%m-%d %H:%M:%S").to_string());
        }
    }
}
