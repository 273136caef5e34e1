//! The states that gone events have left: what an account begins with where the source has lost its beginning.

use std::collections::HashMap;
use std::ops::ControlFlow;

use foldhash::fast::RandomState;

use super::evidence::order_key;
use crate::order::OrderState;
use crate::record::TopicPartition;
use crate::sync::changelog::ChangelogKey;
use crate::sync::scan::{LogScan, ScanError, Span};

/// The states of orders whose events are gone from the source, as far as the changelog still has them; of `wanted` orders.
pub(super) fn read_bases(
    reader: &mut dyn LogScan,
    changelog: &str,
    span: Span,
    source: &TopicPartition,
    low: i64,
    wanted: &dyn Fn(u64) -> bool,
) -> Result<HashMap<u64, OrderState, RandomState>, ScanError> {
    let mut bases = HashMap::default();
    reader.read(changelog, &[span], &mut |seen| {
        let key = seen.key().filter(|key| key.starts_with(b"[1,\"state\","));
        let key = key.and_then(|key| ChangelogKey::decode(key, &source.topic).ok().flatten());
        if let (Some(ChangelogKey::State(identity)), Some(value)) = (key, seen.value())
            && wanted(order_key(&identity))
            && let Ok(state) = OrderState::decode(value)
            && state.applied_offset < low
        {
            bases.insert(order_key(&identity), state);
        }
        ControlFlow::Continue(())
    })?;
    Ok(bases)
}
