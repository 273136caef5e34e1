//! Rules of pushing that a real platform would break in silence, and never tell.
//!
//! They are found in `order_record`; here they only have names.

use std::sync::Arc;

use serde::Serialize;

/// A broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// One `update_time` of an order came with two different bodies, tokens aside.
    OneStampTwoBodies,
    /// Two different pushes of one order were in flight at once.
    Overlap,
    /// The same push of one order was in flight twice at once.
    OverlapSameBody,
    /// A push that had not been seen before carried a stamp below one already accepted.
    StampWentBack,
    /// Seconds and milliseconds were mixed within one order.
    UnitMixed,
}

impl ViolationKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::OneStampTwoBodies, Self::Overlap, Self::OverlapSameBody, Self::StampWentBack, Self::UnitMixed];

    /// The name in the report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneStampTwoBodies => "one_stamp_two_bodies",
            Self::Overlap => "overlap",
            Self::OverlapSameBody => "overlap_same_body",
            Self::StampWentBack => "stamp_went_back",
            Self::UnitMixed => "unit_mixed",
        }
    }
}

/// Where a rule was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The rule.
    pub kind: ViolationKind,
    /// When, milliseconds since the epoch.
    pub at_ms: u64,
    /// The app that pushed.
    pub app_id: Arc<str>,
    /// The order.
    pub order_id: Arc<str>,
    /// The `update_time` of the push that broke it.
    pub stamp: Option<i64>,
    /// The `update_time` that it collided with.
    pub other_stamp: Option<i64>,
}
