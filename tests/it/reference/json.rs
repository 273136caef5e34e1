//! JSON by the contract's rules on top of `serde_json::Value`.

use serde_json::{Map, Value};

/// One JSON text; nested at most 100 deep.
pub(super) fn parse(bytes: &[u8]) -> Option<Value> {
    let text = minus_zero_is_zero(std::str::from_utf8(bytes).ok()?);
    let value: Value = serde_json::from_str(&text).ok()?;
    (depth(&value) <= 100).then_some(value)
}

/// `-0` is the integer 0, but `Value` would make it a float.
fn minus_zero_is_zero(text: &str) -> String {
    let mut out = String::new();
    let mut in_string = false;
    let mut escaped = false;
    let mut chars = text.chars().peekable();
    let mut last = ' ';
    while let Some(c) = chars.next() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c == '"' {
            in_string = true;
        } else if c == '0'
            && last == '-'
            && !matches!(chars.peek(), Some('0'..='9' | '.' | 'e' | 'E'))
            && !starts_exponent(&out)
        {
            out.pop();
        }
        out.push(c);
        last = c;
    }
    out
}

/// Whether the text so far ends in `e-`: the zero is an exponent's.
fn starts_exponent(text: &str) -> bool {
    text.ends_with("e-") || text.ends_with("E-")
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// No fraction, no exponent, within ±(2^53 − 1).
pub(super) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().filter(|n| n.abs() < 1 << 53)
}

/// The pseudocode of RFC 7396, section 2.
pub(super) fn merge_patch(target: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut merged = target.as_object().cloned().unwrap_or_else(Map::new);
    for (name, value) in patch {
        if value.is_null() {
            merged.remove(name);
        } else {
            let old = merged.get(name).cloned().unwrap_or(Value::Null);
            merged.insert(name.clone(), merge_patch(&old, value));
        }
    }
    Value::Object(merged)
}
