//! The name that the platform gives one of its answers, by which its support finds the call again.

use std::borrow::Cow;

use memchr::memmem;
use serde_json::Value;

/// A longer one is none.
pub const BYTES_MAX: usize = 64;
/// How endpoints call it (douyin-api §3.1).
const NAMES: [&str; 2] = ["logid", "log_id"];

/// The name in an answer's body, where there is one: beside the code, in `extra` or `data`, outside or in the inner body.
/// Without one, which is the rule, nothing is parsed and nothing allocated.
pub fn log_id(body: &[u8]) -> Option<Box<str>> {
    if !NAMES.iter().any(|name| memmem::find(body, name.as_bytes()).is_some()) {
        return None;
    }
    let reply: Value = serde_json::from_slice(body).ok()?;
    let inner: Option<Cow<'_, Value>> = match reply.get("body") {
        Some(Value::String(text)) => serde_json::from_str(text).ok().map(Cow::Owned),
        other => other.map(Cow::Borrowed),
    };
    let places = [Some(&reply), inner.as_deref()].into_iter().flatten();
    let places = places.flat_map(|place| [Some(place), place.get("extra"), place.get("data")]).flatten();
    places
        .flat_map(|place| NAMES.iter().filter_map(|name| place.get(name)?.as_str()))
        .find(|id| is_one(id))
        .map(Box::from)
}

/// Whether this can be such a name: short, and of letters, digits, hyphen and underscore alone, as it is shown to people.
pub fn is_one(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_id_is_found_wherever_it_may_stand() {
        let check = |body: &str, id: Option<&str>| assert_eq!(log_id(body.as_bytes()).as_deref(), id, "{body}");
        check(r#"{"err_code":0,"err_msg":"","body":""}"#, None);
        check(r#"{"err_code":0,"extra":{"logid":"20210101a-b_C"}}"#, Some("20210101a-b_C"));
        check(r#"{"err_code":0,"log_id":"1"}"#, Some("1"));
        check(r#"{"err_code":0,"body":"{\"data\":{\"error_code\":0},\"extra\":{\"logid\":\"x1\"}}"}"#, Some("x1"));
        check(r#"{"err_code":0,"body":{"data":{"log_id":"x2"}}}"#, Some("x2"));
    }

    #[test]
    fn what_cannot_be_shown_or_is_long_is_none() {
        let check = |id: &str, is: bool| {
            let body = serde_json::json!({"err_code": 0, "extra": {"logid": id}}).to_string();
            assert_eq!(log_id(body.as_bytes()).is_some(), is, "{id}");
        };
        check(&"x".repeat(BYTES_MAX), true);
        check(&"x".repeat(BYTES_MAX + 1), false);
        check("", false);
        check("a b", false);
        check("\u{1b}[1m", false);
        assert_eq!(log_id(br#"{"logid":7}"#), None);
        assert_eq!(log_id(br#"{"logid":"#), None);
    }
}
