//! Reads `Retry-After`: seconds or an HTTP date, turned into a wait.
//!
//! It does not decide whether the wait is obeyed; `retry` clamps it into its own window.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// No longer wait is reported: beyond a day the number says nothing but "not soon", and time arithmetic stays safe.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// The wait that an answer asks for; `None` where it asks for none, or not in a form of RFC 9110 §10.2.3.
///
/// A date is counted from the answer's own `Date`, so that a difference between the two clocks does not matter; from
/// `now` only where there is none. A moment in the past is a wait of nothing.
pub(super) fn read(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = text(headers, &RETRY_AFTER)?;
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that do not fit are a number all the same, only a very large one.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let until = httpdate::parse_http_date(text).ok()?;
        let since = text_date(headers).unwrap_or(now);
        until.duration_since(since).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(WAIT_MAX))
}

fn text_date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, &DATE)?).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    /// 06 Nov 1994 08:49:37 GMT.
    const NOW: u64 = 784_111_777;

    fn check(retry_after: &str, date: Option<&str>, expect_secs: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        assert_eq!(read(&headers, now), expect_secs.map(Duration::from_secs), "{retry_after:?}, {date:?}");
    }

    #[test]
    fn seconds() {
        check("0", None, Some(0));
        check("7", None, Some(7));
        check(" 7 ", None, Some(7));
        check("86400", None, Some(86_400));
        check("86401", None, Some(86_400));
        check("99999999999999999999999999", None, Some(86_400));
        for nonsense in ["", "-1", "1.5", "+3", "soon", "7s", "١"] {
            check(nonsense, None, None);
        }
    }

    #[test]
    fn dates() {
        check("Sun, 06 Nov 1994 08:49:47 GMT", None, Some(10));
        check("Sunday, 06-Nov-94 08:49:47 GMT", None, Some(10));
        check("Sun Nov  6 08:49:47 1994", None, Some(10));
        check("Sun, 06 Nov 1994 08:49:27 GMT", None, Some(0));
        check("Fri, 31 Dec 9999 23:59:59 GMT", None, Some(86_400));
        check("Sun, 06 Nov 1994", None, None);
        // The platform's clock is an hour ahead of ours.
        check("Sun, 06 Nov 1994 09:49:47 GMT", Some("Sun, 06 Nov 1994 09:49:37 GMT"), Some(10));
        check("Sun, 06 Nov 1994 08:49:47 GMT", Some("yesterday"), Some(10));
    }

    #[test]
    fn none_at_all() {
        assert_eq!(read(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }
}
