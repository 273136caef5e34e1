//! The value types of an order: ids, times, stamps. Each carries the fact that a bare integer or string would lose.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A mini-program's app id (`tt…`). Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct AppId(#[schemars(with = "String")] pub Arc<str>);

impl AppId {
    /// Wraps an app id; the config has checked its shape.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The order's identity. State, lane and stamp are kept per source partition and identity. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The app that sells.
    pub app_id: AppId,
    /// The merchant's order number, 1..=64 bytes.
    pub order_id: Arc<str>,
}

impl Identity {
    /// Names an order of an app.
    pub fn new(app_id: AppId, order_id: impl Into<Arc<str>>) -> Self {
        Self { app_id, order_id: order_id.into() }
    }
}

/// The three kinds of order that are synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderType {
    /// An ordinary mini-program order, platform type 0.
    Normal,
    /// A group-buy voucher (团购券), platform type 9101.
    GroupCoupon,
    /// A scenic-spot ticket (景区门票), platform type 9001.
    Ticket,
}

impl OrderType {
    /// All order types, in the contract's order.
    pub const ALL: [Self; 3] = [Self::Normal, Self::GroupCoupon, Self::Ticket];

    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::GroupCoupon => "group_coupon",
            Self::Ticket => "ticket",
        }
    }

    /// Reads the word of the contract.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|order_type| order_type.as_str() == word)
    }
}

/// What became of the order, in the merchant's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Placed, not paid.
    PendingPayment,
    /// Paid.
    Paid,
    /// Paid, and waiting for the merchant's word (tickets only).
    AwaitingConfirmation,
    /// Confirmed (tickets only).
    Booked,
    /// Redeemed as a whole.
    Redeemed,
    /// Cancelled by the user or the merchant.
    Cancelled,
    /// Closed because it was not paid in time.
    TimedOut,
    /// A refund is under way.
    Refunding,
    /// The refund has ended well.
    Refunded,
    /// The refund has failed.
    RefundFailed,
}

impl Status {
    /// All statuses, in the contract's order.
    pub const ALL: [Self; 10] = [
        Self::PendingPayment,
        Self::Paid,
        Self::AwaitingConfirmation,
        Self::Booked,
        Self::Redeemed,
        Self::Cancelled,
        Self::TimedOut,
        Self::Refunding,
        Self::Refunded,
        Self::RefundFailed,
    ];

    /// Whether an order may stay as it is for good: nothing is expected to follow.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Redeemed | Self::Cancelled | Self::TimedOut | Self::Refunded => true,
            Self::PendingPayment
            | Self::Paid
            | Self::AwaitingConfirmation
            | Self::Booked
            | Self::Refunding
            | Self::RefundFailed => false,
        }
    }

    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingPayment => "pending_payment",
            Self::Paid => "paid",
            Self::AwaitingConfirmation => "awaiting_confirmation",
            Self::Booked => "booked",
            Self::Redeemed => "redeemed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
            Self::RefundFailed => "refund_failed",
        }
    }

    /// Reads the word of the contract.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// A moment in milliseconds since the Unix epoch, within 13 digits (2001 to 2286).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct EventTime(pub i64);

impl EventTime {
    /// The smallest time of the contract.
    pub const MIN: Self = Self(1_000_000_000_000);
    /// The greatest time of the contract.
    pub const MAX: Self = Self(9_999_999_999_999);

    /// The time in an app's unit; seconds are floored.
    pub const fn in_unit(self, unit: TimeUnit) -> i64 {
        match unit {
            TimeUnit::Seconds => self.0.div_euclid(1000),
            TimeUnit::Milliseconds => self.0,
        }
    }
}

/// An order's own event number, counted by the merchant; at least 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Sequence(pub i64);

/// The unit of `update_time` for an app. Documents disagree; the two must never mix for one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Ten digits, the reading of the Go SDK of late 2023.
    Seconds,
    /// Thirteen digits, the reading of 2021.
    Milliseconds,
}

/// The stamp: `update_time` in the app's unit, strictly increasing per order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct UpdateTime(pub i64);

impl UpdateTime {
    /// What an order has before its first stamp.
    pub const ZERO: Self = Self(0);

    /// Whether it is one of milliseconds: in seconds no event's time comes near the least time in milliseconds.
    pub const fn is_milliseconds(self) -> bool {
        self.0 >= EventTime::MIN.0
    }

    /// What stands for this stamp in an app's unit, as a bound that later stamps must lie above: one of seconds, in an app
    /// that has changed to milliseconds, is the end of its second. The way back is refused at the start.
    #[must_use]
    pub const fn in_unit(self, unit: TimeUnit) -> Self {
        match unit {
            TimeUnit::Milliseconds if self.0 > 0 && !self.is_milliseconds() => {
                Self(self.0.saturating_mul(1000).saturating_add(999))
            }
            TimeUnit::Milliseconds | TimeUnit::Seconds => self,
        }
    }

    /// The stamp of the next state: the event's time in the app's unit, and above the last one in any case.
    #[must_use]
    pub fn next(self, occurred_at: EventTime, unit: TimeUnit) -> Self {
        Self(occurred_at.in_unit(unit).max(self.0 + 1))
    }
}

impl fmt::Display for UpdateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// SHA-256 of a request without its token and its stamp.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// 64 lower-case hex digits.
    pub fn to_hex(self) -> String {
        let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble });
        let mut text = String::with_capacity(64);
        for byte in self.0 {
            text.push(digit(byte >> 4));
            text.push(digit(byte & 15));
        }
        text
    }

    /// Reads 64 hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let nibble = |at: usize| char::from(*pair.get(at)?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            *byte = nibble(0)? << 4 | nibble(1)?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        assert!(
            OrderType::ALL.into_iter().all(|order_type| OrderType::from_word(order_type.as_str()) == Some(order_type))
        );
        assert!(Status::ALL.into_iter().all(|status| Status::from_word(status.as_str()) == Some(status)));
        assert_eq!(Status::from_word("Paid"), None);
        assert_eq!(OrderType::from_word(""), None);
    }

    #[test]
    fn a_digest_reads_back_from_its_hex() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Digest::from_hex(&digest.to_hex()), Some(digest));
        assert_eq!(Digest::from_hex(&digest.to_hex().replace('b', "g")), None);
        assert_eq!(Digest::from_hex("ba"), None);
    }

    #[test]
    fn a_stamp_follows_the_event_and_always_grows() {
        let check = |last: i64, ms: i64, unit: TimeUnit, expect: i64| {
            assert_eq!(UpdateTime(last).next(EventTime(ms), unit), UpdateTime(expect));
        };
        check(0, 1_694_761_323_999, TimeUnit::Seconds, 1_694_761_323);
        check(1_694_761_323, 1_694_761_323_999, TimeUnit::Seconds, 1_694_761_324);
        check(1_694_761_400, 1_694_761_323_999, TimeUnit::Seconds, 1_694_761_401);
        check(0, 1_694_761_323_999, TimeUnit::Milliseconds, 1_694_761_323_999);
    }
}
