//! Reads the platform's answers: strictly where success is claimed, tolerantly where an error may hide.
//!
//! It finds; it does not judge.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What any endpoint's answer says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    /// The body is a JSON object.
    pub(super) is_object: bool,
    /// The integer code, where there is one.
    pub(super) code: Option<i64>,
    /// The message that goes with it.
    pub(super) message: String,
    /// The inner body of a push: its text, or the JSON that stands in its place.
    pub(super) body: Option<String>,
}

#[derive(Deserialize)]
struct PushReply<'a> {
    #[serde(borrow)]
    err_code: Option<&'a RawValue>,
    #[serde(borrow)]
    err_msg: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

impl Reply {
    /// `{"err_code": int, "err_msg": string, "body": string}` (douyin-api §3.1).
    pub(super) fn of_push(bytes: &[u8]) -> Self {
        if !begins_as_object(bytes) {
            return Self::default();
        }
        let Ok(reply) = serde_json::from_slice::<PushReply<'_>>(bytes) else { return Self::default() };
        Self {
            is_object: true,
            code: reply.err_code.and_then(integer),
            message: reply.err_msg.and_then(text).unwrap_or_default().into_owned(),
            body: reply.body.map(|raw| text(raw).unwrap_or(Cow::Borrowed(raw.get())).into_owned()),
        }
    }
}

/// A derived struct would also be read from a JSON array.
pub(super) fn begins_as_object(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'{')
}

/// An integer of the contract: no fraction, no exponent, not in quotes.
pub(super) fn integer(raw: &RawValue) -> Option<i64> {
    raw.get().parse().ok()
}

/// A JSON string's text.
pub(super) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str(raw.get()).ok().map(Cow::Owned)
}

/// What the inner body of a push with `err_code` 0 says (douyin-api §3.1, D10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inner {
    /// Nothing, or nothing but zeros.
    Silent,
    /// It is text, not JSON.
    Opaque,
    /// It begins as a JSON object and does not parse.
    CutOff,
    /// It has an error code that is no integer.
    Unreadable,
    /// An error code other than 0, and the text beside it.
    Code(i64, String),
}

/// Reads the inner body of a push. No real sample of one is known, so every plausible place is looked at.
pub(super) fn inner(body: Option<&str>) -> Inner {
    let body = body.unwrap_or_default().trim();
    if body.is_empty() {
        return Inner::Silent;
    }
    let Ok(value) = serde_json::from_str::<Value>(body) else {
        return if body.starts_with('{') { Inner::CutOff } else { Inner::Opaque };
    };
    let mut verdict = Inner::Silent;
    for place in [Some(&value), value.get("data"), value.get("extra")].into_iter().flatten() {
        match inner_at(place) {
            Inner::Silent => {}
            found @ Inner::Code(..) => return found,
            found @ (Inner::Opaque | Inner::CutOff | Inner::Unreadable) => verdict = found,
        }
    }
    verdict
}

/// The names under which the platform's endpoints put a code and its text (douyin-api §3.1).
const CODES: [&str; 3] = ["error_code", "err_code", "err_no"];
const TEXTS: [&str; 4] = ["description", "err_msg", "err_tips", "message"];

fn inner_at(place: &Value) -> Inner {
    let message = || TEXTS.iter().find_map(|name| place.get(name)?.as_str()).unwrap_or_default().to_owned();
    let mut found = Inner::Silent;
    for code in CODES.iter().filter_map(|name| place.get(name)) {
        match inner_code(code) {
            Ok(0) => {}
            Ok(code) => return Inner::Code(code, message()),
            Err(()) => found = Inner::Unreadable,
        }
    }
    found
}

/// A number or the text of one; nothing at all counts as 0.
fn inner_code(code: &Value) -> Result<i64, ()> {
    match code {
        Value::Null => Ok(0),
        Value::Number(number) if number.as_f64() == Some(0.0) => Ok(0),
        Value::Number(number) => number.as_i64().ok_or(()),
        Value::String(text) if text.trim().is_empty() => Ok(0),
        Value::String(text) => text.trim().parse().map_err(|_| ()),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(()),
    }
}
