//! The fold (§6 of the contract, and §7 for events that an operator takes up): one event against one order's state.

use super::event::OrderEvent;
use super::fault::{DeadLetterReason, Fault};
use super::json::{Json, TextOut, merge};
use super::state::{EVENT_IDS_KEPT, OrderState};
use super::step::is_backward;
use super::value::{AppId, Digest, OrderType, Status, TimeUnit, UpdateTime};

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
    /// The greatest stamp that retention ever removed for this app and partition, in the unit of then; 0 where none.
    pub removed_stamp: UpdateTime,
}

/// How an event comes to the fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoldAs {
    /// By its record, in its place in the log.
    Event,
    /// A dead letter of an event that never was folded is taken up, behind what stands between (§7).
    Redrive,
    /// An operator says that it is right, though it looks stale (§7).
    Word,
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

/// The greatest size of a document as compact JSON, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// Folds `event`, which lay at `offset`, into `state` (`None`: the order is not known).
pub fn fold<M: MapOrder + ?Sized>(
    state: Option<&OrderState>,
    event: &OrderEvent<'_>,
    offset: i64,
    rules: FoldRules,
    mapper: &M,
) -> Result<Transition, Fault> {
    fold_as(FoldAs::Event, state, event, offset, rules, mapper)
}

/// The same for an event that an operator takes up.
pub fn fold_as<M: MapOrder + ?Sized>(
    way: FoldAs,
    state: Option<&OrderState>,
    event: &OrderEvent<'_>,
    offset: i64,
    rules: FoldRules,
    mapper: &M,
) -> Result<Transition, Fault> {
    if let Some(state) = state {
        if is_duplicate(way, state, event, offset) {
            return Ok(Transition::Duplicate);
        }
        if is_stale(way, state, event, offset) {
            return Ok(Transition::Stale);
        }
    }
    // The app may have changed to milliseconds since those orders left.
    let rules = FoldRules { removed_stamp: rules.removed_stamp.in_unit(rules.unit), ..rules };
    advance(way, state, event, offset, rules, mapper).map_err(|fault| Fault {
        order_id: Some(event.order_id.as_ref().to_owned()),
        app_id: Some(event.app_id.as_str().to_owned()),
        ..fault
    })
}

fn is_duplicate(way: FoldAs, state: &OrderState, event: &OrderEvent<'_>, offset: i64) -> bool {
    let was_folded = match way {
        FoldAs::Event => offset <= state.applied_offset,
        FoldAs::Redrive | FoldAs::Word => false,
    };
    was_folded || state.event_ids.iter().any(|id| **id == *event.event_id)
}

fn is_stale(way: FoldAs, state: &OrderState, event: &OrderEvent<'_>, offset: i64) -> bool {
    let is_passed = match way {
        FoldAs::Event => event.occurred_at < state.occurred_at,
        // What came behind it and was folded is newer, where the times do not tell.
        FoldAs::Redrive => {
            event.occurred_at < state.occurred_at
                || (event.occurred_at == state.occurred_at && offset <= state.applied_offset)
        }
        FoldAs::Word => return false,
    };
    match (event.sequence, state.sequence) {
        (Some(new), Some(last)) => new <= last,
        (Some(_), None) | (None, Some(_) | None) => is_passed,
    }
}

fn advance<M: MapOrder + ?Sized>(
    way: FoldAs,
    state: Option<&OrderState>,
    event: &OrderEvent<'_>,
    offset: i64,
    rules: FoldRules,
    mapper: &M,
) -> Result<Transition, Fault> {
    let may_be_removed = state.is_none() && way != FoldAs::Word;
    if may_be_removed && event.occurred_at.in_unit(rules.unit) <= rules.removed_stamp.0 {
        return Err(Fault::new(DeadLetterReason::OlderThanRetained, OLDER_THAN_RETAINED));
    }
    if state.is_some_and(|state| event.order_type.is_some_and(|named| named != state.order_type)) {
        return Err(Fault::new(
            DeadLetterReason::OrderTypeChanged,
            "order_type differs from that of the order's first event",
        ));
    }
    let stored = state.map_or("{}", |state| &*state.document);
    let document = merged(stored, event)?;
    let Some(order_type) = state.map(|state| state.order_type).or(event.order_type) else {
        return Err(without_type(&document));
    };
    let Mapped { draft, cut, long_rules } = mapper.map(&MapInput {
        app_id: &event.app_id,
        order_id: &event.order_id,
        order_type,
        status: event.status,
        document: &document,
    })?;
    let document = text_of(&document, stored, event)?;
    let digest = Digest::of(&draft);
    let unchanged = state.filter(|state| state.digest == digest);
    let last = state.map_or(rules.removed_stamp, |state| state.update_time);
    let update_time = unchanged.map_or_else(|| last.next(event.occurred_at, rules.unit), |state| state.update_time);
    let advanced = Advanced {
        request: stamped(draft, update_time),
        unusual: unchanged.is_none() && state.is_some_and(|state| is_backward(state.status, event.status)),
        cut,
        long_rules,
        state: OrderState {
            order_type,
            status: event.status,
            document,
            applied_offset: offset,
            event_ids: event_ids(state, event),
            sequence: event.sequence.or(state.and_then(|state| state.sequence)),
            occurred_at: event.occurred_at,
            update_time,
            digest,
            dead_letter: unchanged.and_then(|state| state.dead_letter),
        },
    };
    let advanced = match (way, state) {
        (FoldAs::Event, _) | (_, None) => advanced,
        (FoldAs::Redrive | FoldAs::Word, Some(before)) => {
            Advanced { state: not_lowered(advanced.state, before), ..advanced }
        }
    };
    Ok(if unchanged.is_some() { Transition::Unchanged(advanced) } else { Transition::Advanced(advanced) })
}

/// An event that is taken up late never makes its order forget how far the log has brought it.
fn not_lowered(mut state: OrderState, before: &OrderState) -> OrderState {
    state.applied_offset = state.applied_offset.max(before.applied_offset);
    state.sequence = state.sequence.max(before.sequence);
    if state.occurred_at < before.occurred_at {
        state.occurred_at = before.occurred_at;
        state.event_ids.clone_from(&before.event_ids);
    }
    state
}

const OLDER_THAN_RETAINED: &str = "occurred_at does not lie above the stamps of orders that retention has removed, and the \
                                   order is not known: it may be one of them";

/// The stored document with the event's patch applied.
fn merged<'a>(stored: &'a str, event: &'a OrderEvent<'_>) -> Result<Json<'a>, Fault> {
    // Only a store that was written to by another hand holds a document that does not parse.
    let unreadable =
        |error| Fault::new(DeadLetterReason::MalformedOrder, format!("the stored document is unreadable: {error}"));
    let document = Json::parse(stored).map_err(unreadable)?;
    Ok(match &event.order {
        Some(patch) => merge(document, patch),
        None => document,
    })
}

/// The compact text of the merged document.
fn text_of(document: &Json<'_>, stored: &str, event: &OrderEvent<'_>) -> Result<Box<str>, Fault> {
    if event.order.is_none() {
        return Ok(stored.into());
    }
    let mut text = String::with_capacity(stored.len() + 512);
    document.write(&mut text);
    if text.len() > DOCUMENT_BYTES_MAX {
        let message =
            format!("the merged order document has {} bytes, over the limit of {DOCUMENT_BYTES_MAX}", text.len());
        return Err(Fault::new(DeadLetterReason::DocumentTooLarge, message));
    }
    Ok(text.into_boxed_str())
}

/// The first event of an order names no type: what every type requires is all that can be said to be missing besides.
fn without_type(document: &Json<'_>) -> Fault {
    let is_missing = |value: Option<&Json<'_>>| value.is_none_or(|value| value.is_null() || value.as_str() == Some(""));
    let mut missing: Vec<&str> = ["open_id", "created_at", "total_price", "page"]
        .into_iter()
        .filter(|field| is_missing(document.get(field)))
        .collect();
    if document.get("page").is_some_and(|page| page.as_object().is_some() && is_missing(page.get("path"))) {
        missing.push("page.path");
    }
    let besides = if missing.is_empty() { "" } else { "; in the order document: " };
    let message = format!("missing on the order's first event: order_type{besides}{}", missing.join(", "));
    Fault::new(DeadLetterReason::IncompleteOrder, message)
}

/// The draft with its stamp as the last member.
pub(super) fn stamped(mut draft: Vec<u8>, stamp: UpdateTime) -> Vec<u8> {
    draft.pop();
    draft.put(",\"update_time\":");
    draft.put(itoa::Buffer::new().format(stamp.0));
    draft.push(b'}');
    draft
}

/// The ids applied at the event's time, the newest [`EVENT_IDS_KEPT`].
fn event_ids(state: Option<&OrderState>, event: &OrderEvent<'_>) -> Vec<Box<str>> {
    let same_time = state.filter(|state| state.occurred_at == event.occurred_at);
    let kept = same_time.map_or_else(Default::default, |state| state.event_ids.as_slice());
    let newest = kept.get(kept.len().saturating_sub(EVENT_IDS_KEPT - 1)..).unwrap_or_default();
    newest.iter().cloned().chain([event.event_id.as_ref().into()]).collect()
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
