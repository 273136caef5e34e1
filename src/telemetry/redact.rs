//! The last guard of the log: should a secret or an `open_id` reach a line all the same, its value is masked.
//!
//! No event holds such a value; this guards against texts of libraries at `trace` and of tomorrow's code. It knows
//! the forms in which such values travel: JSON, JSON within JSON, Debug output, form bodies and query strings.

use std::borrow::Cow;

/// Names whose values never stand in a log.
const NAMES: [&str; 11] = [
    "open_id",
    "openid",
    "union_id",
    "unionid",
    "access_token",
    "access-token",
    "client_secret",
    "app_secret",
    "secret",
    "sasl.password",
    "ssl.key.password",
];

const MASK: &str = "***";

/// `line` with the values of secret names masked; the very line where there is none.
pub fn scrub(line: &str) -> Cow<'_, str> {
    let mut out: Option<String> = None;
    let mut done = 0;
    let mut at = 0;
    while let Some((start, end)) = next_value(line, at) {
        let text = out.get_or_insert_with(|| String::with_capacity(line.len()));
        text.push_str(&line[done..start]);
        text.push_str(MASK);
        done = end;
        at = end;
    }
    match out {
        None => Cow::Borrowed(line),
        Some(mut text) => {
            text.push_str(&line[done..]);
            Cow::Owned(text)
        }
    }
}

/// Where the next secret value at or behind `from` begins and ends.
fn next_value(line: &str, from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    loop {
        let rest = &line[at..];
        let (found, name) = NAMES.iter().filter_map(|name| Some((rest.find(name)?, name))).min_by_key(|(i, _)| *i)?;
        at += found + name.len();
        if let Some((skip, len)) = value_after(&line[at..]) {
            return Some((at + skip, at + skip + len));
        }
    }
}

/// Where the value begins behind a name, and how long it is; `None` where no value follows ("… is missing").
fn value_after(rest: &str) -> Option<(usize, usize)> {
    let after_name = skip(rest, &QUOTES);
    let quoted_name = rest.starts_with(QUOTES);
    let after_name = skip(after_name, &[' ']);
    let separator = after_name.chars().next().filter(|c| matches!(c, ':' | '='))?;
    let value = skip(&after_name[1..], &[' ']);
    let value = value.strip_prefix("Some(").unwrap_or(value);
    let bare = skip(value, &QUOTES);
    let quoted = bare.len() < value.len();
    if !quoted && separator == ':' && !quoted_name {
        return None;
    }
    let ends: &[char] = if quoted { &QUOTES } else { &['"', '\\', '\'', '&', ',', '}', ')', ';', ' ', '\n', '\x1b'] };
    let length = bare.find(ends).unwrap_or(bare.trim_end_matches('\n').len());
    (length > 0).then_some((rest.len() - bare.len(), length))
}

const QUOTES: [char; 3] = ['"', '\\', '\''];

/// `text` without the `unwanted` characters and the terminal's colour codes at its beginning.
fn skip<'t>(mut text: &'t str, unwanted: &[char]) -> &'t str {
    loop {
        let shorter = text.trim_start_matches(unwanted);
        let shorter = match shorter.strip_prefix("\x1b[").and_then(|code| code.split_once('m')) {
            Some((_, behind)) => behind,
            None if shorter.len() == text.len() => return text,
            None => shorter,
        };
        text = shorter;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(line: &str, expected: &str) {
        assert_eq!(scrub(line), expected, "{line}");
    }

    #[test]
    fn values_are_masked_in_every_form_they_travel_in() {
        check(r#"{"open_id":"canary","order_id":"1"}"#, r#"{"open_id":"***","order_id":"1"}"#);
        check(r#"{"open_id": "canary" }"#, r#"{"open_id": "***" }"#);
        check(
            r#"{"text":"{\"access_token\":\"canary\",\"a\":1}"}"#,
            r#"{"text":"{\"access_token\":\"***\",\"a\":1}"}"#,
        );
        check(r#"Push { open_id: "canary", n: 1 }"#, r#"Push { open_id: "***", n: 1 }"#);
        check(r#"Push { open_id: Some("canary"), n: 1 }"#, r#"Push { open_id: Some("***"), n: 1 }"#);
        check("POST /token?access_token=canary&x=1", "POST /token?access_token=***&x=1");
        check("sasl.password=canary, a=b", "sasl.password=***, a=b");
        check(r#"{"secret":12345}"#, r#"{"secret":***}"#);
        check("access-token: 'canary'\n", "access-token: '***'\n");
        check("\x1b[3mopen_id\x1b[0m\x1b[2m=\x1b[0m\"canary\" x", "\x1b[3mopen_id\x1b[0m\x1b[2m=\x1b[0m\"***\" x");
        check("open_id=canary open_id=canary\n", "open_id=*** open_id=***\n");
    }

    #[test]
    fn names_without_a_value_stay() {
        for line in
            ["open_id is missing", "missing: open_id, items", "order.open_id: must be a string", "secret_file", "a"]
        {
            check(line, line);
        }
    }

    proptest! {
        #[test]
        fn no_line_breaks_the_guard(line in "(open_id|secret|=|:|\"|\\\\|é| |x|Some\\(){0,12}") {
            let once = scrub(&line).into_owned();
            prop_assert!(once.len() <= line.len() + MASK.len() * line.len());
        }

        #[test]
        fn a_json_value_never_gets_through(value in "[a-zA-Z0-9+/=_-]{4,40}", depth in 0_usize..3) {
            let canary = format!("canary{value}");
            let mut line = serde_json::json!({ "a": 1, "open_id": canary, "b": "x" }).to_string();
            for _ in 0..depth {
                line = serde_json::json!({ "body": line }).to_string();
            }
            prop_assert!(!scrub(&line).contains("canary"), "{}", line);
        }
    }
}
