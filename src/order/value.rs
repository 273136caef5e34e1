//! The value types of an order: ids, times, stamps. Each carries the fact that a bare integer or string would lose.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

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

    /// The stamp of the next state: the event's time in the app's unit, and above the last one in any case.
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

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}
