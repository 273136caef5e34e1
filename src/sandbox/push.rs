//! A push as it was read: what the checks found, and its bytes without the token.
//!
//! One parse of the request, one of its detail; nothing is interpreted twice.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::check::{self, Remarks};
use super::json::{self, Object, Value};
use super::refusal::Refusal;

/// What a push says, and what the checks say of it.
#[derive(Debug)]
pub(super) struct Push<'a> {
    /// The token, as sent.
    pub(super) token: Option<Cow<'a, str>>,
    /// `client_key`, where it was sent.
    pub(super) client_key: Option<Cow<'a, str>>,
    /// The order's number, where it can be told.
    pub(super) order_id: Option<Box<str>>,
    pub(super) order_type: i64,
    pub(super) order_status: Option<i64>,
    /// `update_time`, where it is an integer.
    pub(super) stamp: Option<i64>,
    /// The outcome of the checks that need neither token nor history.
    pub(super) checked: Result<Remarks, Refusal>,
    /// Where the token's value stands in the body.
    token_at: Option<Range<usize>>,
}

/// Reads a body; `None` when it is no JSON object, which the platform answers with a bare HTTP 400.
pub(super) fn read(body: &str) -> Option<Push<'_>> {
    let top = json::parse_object(body)?;
    let detail_text = json::member(&top, "order_detail").and_then(Value::as_text);
    let detail = detail_text.and_then(json::parse_object);
    let checked = check::check(&top, detail.as_ref());
    let order_type = json::member(&top, "order_type").and_then(Value::as_integer).unwrap_or_default();
    let order_id = detail.as_ref().and_then(order_id);
    let order_status = json::member(&top, "order_status").and_then(Value::as_integer);
    let stamp = json::member(&top, "update_time").and_then(Value::as_integer);
    drop(detail);
    let (mut token, mut client_key) = (None, None);
    for (key, value) in top {
        match (key.as_ref(), value) {
            ("access_token", Value::Text(text)) => token = Some(text),
            ("client_key", Value::Text(text)) => client_key = Some(text),
            _ => {}
        }
    }
    let token_at = token.as_ref().and_then(|token| place(body, token));
    Some(Push { token, client_key, order_id, order_type, order_status, stamp, checked, token_at })
}

/// `order_id` of type 0, `ext_order_id` of the POI types; whichever is there, so that bad pushes are filed too.
fn order_id(detail: &Object<'_>) -> Option<Box<str>> {
    let id = json::member(detail, "order_id").or_else(|| json::member(detail, "ext_order_id"))?.as_text()?;
    (1..=64).contains(&id.len()).then(|| id.into())
}

/// A token with an escape in it is no token of ours, so it has no place.
#[expect(clippy::ptr_arg, reason = "whether the text is borrowed from the body is the point")]
fn place(body: &str, token: &Cow<'_, str>) -> Option<Range<usize>> {
    match token {
        Cow::Borrowed(text) => {
            let start = text.as_ptr().addr().checked_sub(body.as_ptr().addr())?;
            Some(start..start + text.len())
        }
        Cow::Owned(_) => None,
    }
}

impl Push<'_> {
    /// The body with an empty token.
    pub(super) fn without_token(&self, body: &str) -> Bytes {
        let mut bare = Vec::with_capacity(body.len());
        match &self.token_at {
            Some(at) => {
                bare.extend_from_slice(&body.as_bytes()[..at.start]);
                bare.extend_from_slice(&body.as_bytes()[at.end..]);
            }
            None if self.token.is_none() => bare.extend_from_slice(body.as_bytes()),
            // The token cannot be cut out, so nothing of the body is kept.
            None => {}
        }
        Bytes::from(bare)
    }
}

/// SHA-256.
pub(super) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
