//! The fold (§6 of the contract): one event against one order's state.

use super::event::OrderEvent;
use super::fault::Fault;
use super::json::Json;
use super::state::OrderState;
use super::value::{AppId, OrderType, Status, TimeUnit, UpdateTime};

/// What the mapping is given: the order after the merge.
#[derive(Clone, Copy, Debug)]
pub struct MapInput<'a> {
    /// The app that sells.
    pub app_id: &'a AppId,
    /// The merchant's order number.
    pub order_id: &'a str,
    /// The order's type.
    pub order_type: OrderType,
    /// The status after this event.
    pub status: Status,
    /// The merged document, an object.
    pub document: &'a Json<'a>,
}

/// A request without its token and its stamp, and what the mapping noticed on the way.
#[derive(Clone, Debug, Default)]
pub struct Mapped {
    /// The JSON object of the request, closed, without `access_token` and `update_time`; never empty.
    pub draft: Vec<u8>,
    /// Names of the person-read fields that were cut to fit (`title`, …), one entry per cut.
    pub cut: Vec<&'static str>,
    /// How many rules were over the documented 50 bytes and sent as they are.
    pub long_rules: u32,
}

/// Maps a merged order to Douyin's request. `douyin` implements it; the fold stays ignorant of the platform.
pub trait MapOrder {
    /// Judges `status_not_supported`, `incomplete_order`, `malformed_order`, `field_over_limit`, in this order.
    fn map(&self, input: &MapInput<'_>) -> Result<Mapped, Fault>;
}

/// What the fold needs to know besides state and event.
#[derive(Clone, Copy, Debug)]
pub struct FoldRules {
    /// The app's unit of `update_time`.
    pub unit: TimeUnit,
    /// The greatest stamp that retention ever removed for this app and partition; 0 where none.
    pub removed_stamp: UpdateTime,
}

/// What an event did to its order.
#[derive(Clone, Debug)]
pub enum Transition {
    /// The state moved on and owes a push.
    Advanced(Advanced),
    /// Nothing that is sent has changed; state but for stamp and debt moved on.
    Unchanged(Advanced),
    /// Seen before.
    Duplicate,
    /// Older than what was applied.
    Stale,
}

/// The new state and the request that shows it.
#[derive(Clone, Debug)]
pub struct Advanced {
    /// The state after the event. `dead_letter` is cleared by an advance and kept by an unchanged event.
    pub state: OrderState,
    /// The request's bytes without the token: the draft with `"update_time"` as its last member.
    pub request: Vec<u8>,
    /// A backward step (for example `redeemed` → `paid`), pushed and counted.
    pub unusual: bool,
    /// See [`Mapped::cut`].
    pub cut: Vec<&'static str>,
    /// See [`Mapped::long_rules`].
    pub long_rules: u32,
}

/// Folds `event`, which lay at `offset`, into `state` (`None`: the order is not known).
pub fn fold<M: MapOrder + ?Sized>(
    state: Option<&OrderState>,
    event: &OrderEvent<'_>,
    offset: i64,
    rules: FoldRules,
    mapper: &M,
) -> Result<Transition, Fault> {
    let _ = (state, event, offset, rules, mapper);
    unimplemented!()
}
