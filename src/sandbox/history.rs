//! What the order centre remembers, as others see it: each push received, and each order's state.
//!
//! Nothing here holds a token. Bodies hold customer data of whoever pushes: the sandbox is for test data.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, Serializer};

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is the order's state now.
    Applied,
    /// Its stamp was not greater than the state's: answered with `err_code` 0, and ignored.
    Ignored,
    /// It was not taken: a check or a fault refused it.
    Refused,
}

/// One push of an order as it came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Received {
    /// When, milliseconds since the epoch on the sandbox's clock.
    pub at_ms: u64,
    /// Its place among all pushes of the order, from 0.
    pub number: u64,
    /// `update_time`, where it was an integer.
    pub stamp: Option<i64>,
    /// SHA-256 of the body with an empty token.
    #[serde(serialize_with = "hex")]
    pub digest: [u8; 32],
    /// What became of it.
    pub outcome: Outcome,
    /// The `err_code` of the judgement: 0, or why it was refused. A fault may have hidden it from the pusher.
    pub err_code: i64,
    /// `err_msg` of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub err_msg: Option<Arc<str>>,
    /// The HTTP status that was answered; none when the connection was the answer.
    pub http_status: Option<u16>,
    /// The fault that was injected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Arc<str>>,
    /// Whether the same body came under the same stamp before.
    pub repeat: bool,
    /// The exact body with an empty token; kept of pushes that passed the checks.
    #[serde(serialize_with = "text", skip_serializing_if = "Bytes::is_empty")]
    pub body: Bytes,
}

/// The state of one order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderView {
    /// The app that pushed it.
    pub app_id: Arc<str>,
    /// The order's number.
    pub order_id: Arc<str>,
    /// 0, 9101 or 9001.
    pub order_type: i64,
    /// `update_time` of the state; none as long as nothing was applied.
    pub stamp: Option<i64>,
    /// `order_status` of the state, where it was sent.
    pub order_status: Option<i64>,
    /// When the state was applied, milliseconds since the epoch.
    pub applied_at_ms: Option<u64>,
    /// All pushes ever received.
    pub received: u64,
    /// The exact body of the state with an empty token; empty as long as nothing was applied.
    #[serde(skip)]
    pub body: Bytes,
}

impl OrderView {
    /// `order_detail` of the state, parsed.
    pub fn detail(&self) -> Option<serde_json::Value> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        serde_json::from_str(body.get("order_detail")?.as_str()?).ok()
    }
}

fn hex<S: Serializer>(digest: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    let text: String = digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
    serializer.serialize_str(&text)
}

fn text<S: Serializer>(body: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(body))
}
