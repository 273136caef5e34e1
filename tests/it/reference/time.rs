//! Times: read by §3, written for the validity of vouchers.

use serde_json::Value;

use super::json::integer;

/// Milliseconds of a time, in 13 digits.
pub(super) fn millis(value: &Value) -> Option<i64> {
    let millis = if let Value::String(text) = value { rfc3339(text)? } else { integer(value)? };
    (1_000_000_000_000..=9_999_999_999_999).contains(&millis).then_some(millis)
}

fn rfc3339(text: &str) -> Option<i64> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let shape = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text
                .chars()
                .zip(shape.chars())
                .all(|(c, s)| if s == '9' { c.is_ascii_digit() } else { c.eq_ignore_ascii_case(&s) })
    };
    let (fraction, offset) = rest.split_at(rest.find(['Z', 'z', '+', '-'])?);
    let fraction_is_right = fraction.is_empty()
        || fraction
            .strip_prefix('.')
            .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()));
    let offset_is_right = shape(offset, "Z") || shape(offset, "+99:99") || shape(offset, "-99:99");
    if !shape(date_time, "9999-99-99T99:99:99") || date_time.ends_with("60") || !fraction_is_right || !offset_is_right {
        return None;
    }
    let at: jiff::civil::DateTime = date_time.to_uppercase().parse().ok()?;
    let seconds = jiff::tz::Offset::UTC.to_timestamp(at).ok()?.as_second();
    let (hours, minutes) =
        if offset.len() == 1 { (0, 0) } else { (offset[1..3].parse().ok()?, offset[4..6].parse::<i64>().ok()?) };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let east = (hours * 60 + minutes) * 60 * if offset.starts_with('-') { -1 } else { 1 };
    let three: String = fraction.chars().skip(1).chain("000".chars()).take(3).collect();
    Some((seconds - east) * 1000 + three.parse::<i64>().ok()?)
}

/// `yyyy-MM-dd HH:mm:ss` in Asia/Shanghai, which has been eight hours east since 1991.
pub(super) fn shanghai(millis: i64) -> String {
    let at = jiff::Timestamp::from_second(millis.div_euclid(1000) + 8 * 3600).unwrap();
    at.to_string().trim_end_matches('Z').replace('T', " ")
}
