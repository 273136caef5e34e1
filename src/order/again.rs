//! Sending a state again (§7 of the contract): under a new stamp, or its very request under its own.

use super::fault::{DeadLetterReason, Fault};
use super::fold::{Advanced, MapInput, MapOrder, Mapped, stamped};
use super::json::Json;
use super::state::OrderState;
use super::value::{Digest, EventTime, Identity, TimeUnit, UpdateTime};

/// The order's stored state, mapped as this release maps it, under a stamp above the last: `at_ms` in the app's unit, or
/// the last one and one more.
pub fn resync<M: MapOrder + ?Sized>(
    state: &OrderState,
    identity: &Identity,
    at_ms: i64,
    unit: TimeUnit,
    mapper: &M,
) -> Result<Advanced, Fault> {
    let Mapped { draft, cut, long_rules } = mapped(state, identity, mapper)?;
    let update_time = state.update_time.next(EventTime(at_ms), unit);
    let digest = Digest::of(&draft);
    Ok(Advanced {
        request: stamped(draft, update_time),
        unusual: false,
        cut,
        long_rules,
        state: OrderState { update_time, digest, dead_letter: None, ..state.clone() },
    })
}

/// The order's last folded request, byte for byte: mapped anew, where this release and its settings map as those did
/// which folded it; else `None`.
pub fn last_request<M: MapOrder + ?Sized>(state: &OrderState, identity: &Identity, mapper: &M) -> Option<Vec<u8>> {
    let draft = mapped(state, identity, mapper).ok()?.draft;
    (Digest::of(&draft) == state.digest).then(|| stamped(draft, state.update_time))
}

/// Whether these bytes are the order's last folded request, under its last stamp.
pub fn is_last_request(state: &OrderState, request: &[u8]) -> bool {
    let UpdateTime(stamp) = state.update_time;
    let tail = format!(",\"update_time\":{stamp}}}");
    let Some(head) = request.strip_suffix(tail.as_bytes()) else { return false };
    Digest::of(&[head, b"}"].concat()) == state.digest
}

fn mapped<M: MapOrder + ?Sized>(state: &OrderState, identity: &Identity, mapper: &M) -> Result<Mapped, Fault> {
    let unreadable =
        |error| Fault::new(DeadLetterReason::MalformedOrder, format!("the stored document is unreadable: {error}"));
    let document = Json::parse(&state.document).map_err(unreadable)?;
    mapper.map(&MapInput {
        app_id: &identity.app_id,
        order_id: &identity.order_id,
        order_type: state.order_type,
        status: state.status,
        document: &document,
    })
}
