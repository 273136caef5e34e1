//! The texts inside `order_detail` that have a form of their own: pages, entry schemas, lists, times.
//!
//! It does not judge what a page shows or a rule says.

use super::field::{Problem, Wrong, within};
use super::json::{self, Value};

/// A page configured in the mini-program: relative, not empty, no scheme (douyin-api §2.1).
pub(super) fn check_page_path(path: &str, limit: usize) -> Result<(), Wrong> {
    if path.is_empty() {
        return Err(Wrong::new("", Problem::Empty));
    }
    within(path, limit)?;
    let page = path.split(['?', '#']).next().unwrap_or(path);
    if page.is_empty() || page.starts_with('/') || page.contains("://") {
        return Err(Wrong::new("", Problem::Form("a page path without scheme and leading slash")));
    }
    Ok(())
}

/// `{"path":"pages/…","params":"{…}"}` as text (douyin-api §2.4).
pub(super) fn check_entry_schema(text: &str, limit: usize) -> Result<(), Wrong> {
    within(text, limit)?;
    let form = || Wrong::new("", Problem::Form(r#"{"path":…,"params":…} as JSON text"#));
    let object = json::parse_object(text).ok_or_else(form)?;
    if object.iter().any(|(key, _)| key != "path" && key != "params") || object.len() > 2 {
        return Err(form());
    }
    let path = json::member(&object, "path").and_then(Value::as_text).ok_or_else(form)?;
    check_page_path(path, limit)?;
    match json::member(&object, "params") {
        None if object.len() == 1 => Ok(()),
        Some(Value::Text(params)) if json::parse_object(params).is_some() => Ok(()),
        _ => Err(form()),
    }
}

/// A list of texts, as JSON text or as a real array (D4).
pub(super) fn check_text_list(value: &Value<'_>, entries: usize, bytes: usize) -> Result<(), Wrong> {
    let form = || Wrong::new("", Problem::Form("a list of strings, as an array or as JSON text"));
    match value {
        Value::List(list) => check_entries(list, entries, bytes),
        Value::Text(text) => match json::parse(text) {
            Some(Value::List(list)) => check_entries(&list, entries, bytes),
            _ => Err(form()),
        },
        Value::Null | Value::Bool | Value::Integer(_) | Value::OtherNumber | Value::Object(_) => Err(form()),
    }
}

fn check_entries(list: &[Value<'_>], entries: usize, bytes: usize) -> Result<(), Wrong> {
    if list.len() > entries {
        return Err(Wrong::new("", Problem::TooLong { limit: entries, length: list.len() }));
    }
    for (at, entry) in list.iter().enumerate() {
        let text = entry.as_text().ok_or_else(|| Wrong::new(format!("[{at}]"), Problem::Type("a string")))?;
        within(text, bytes).map_err(|wrong| Wrong::new(format!("[{at}]"), wrong.problem))?;
    }
    Ok(())
}

/// `yyyy-MM-dd HH:mm:ss`, a day and a time that exist.
pub(super) fn is_local_time(text: &str) -> bool {
    let shape = text.len() == 19
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => byte == b' ',
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
    let part = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<i8>().ok());
    let year = text.get(0..4).and_then(|digits| digits.parse::<i16>().ok());
    let (Some(year), Some(month), Some(day)) = (year, part(5, 7), part(8, 10)) else { return false };
    shape
        && jiff::civil::Date::new(year, month, day).is_ok()
        && part(11, 13).is_some_and(|hour| hour < 24)
        && part(14, 16).is_some_and(|minute| minute < 60)
        && part(17, 19).is_some_and(|second| second < 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_times() {
        for (text, expected) in [
            ("2023-09-15 00:00:00", true),
            ("2024-02-29 23:59:59", true),
            ("2023-02-29 23:59:59", false),
            ("2023-09-15T00:00:00", false),
            ("2023-09-15 24:00:00", false),
            ("2023-09-15 23:60:00", false),
            ("2023-9-15 00:00:00", false),
            ("2023-09-15 00:00:00Z", false),
            ("+023-09-15 00:00:00", false),
            ("", false),
        ] {
            assert_eq!(is_local_time(text), expected, "{text}");
        }
    }

    #[test]
    fn entry_schemas() {
        for (text, expected) in [
            (r#"{"path":"pages/a","params":"{}"}"#, true),
            (r#"{"path":"pages/a","params":"{\"id\":\"1\"}"}"#, true),
            (r#"{"path":"pages/a"}"#, true),
            (r#"{"path":"/pages/a","params":"{}"}"#, false),
            (r#"{"path":"https://example.com/a","params":"{}"}"#, false),
            (r#"{"path":"","params":"{}"}"#, false),
            (r#"{"params":"{}"}"#, false),
            (r#"{"path":"pages/a","params":{}}"#, false),
            (r#"{"path":"pages/a","params":"[]"}"#, false),
            (r#"{"path":"pages/a","path":"pages/a"}"#, false),
            (r#"{"path":"pages/a","appId":"tt1"}"#, false),
            ("pages/a", false),
        ] {
            assert_eq!(check_entry_schema(text, 512).is_ok(), expected, "{text}");
        }
    }
}
