//! What the changelog says of one order: its state, and what it owes. Keys are looked at as bytes, and only those that can
//! be the order's are taken apart.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::order::json::write_string;
use crate::order::{Identity, OrderState, UpdateTime};
use crate::record::TopicPartition;
use crate::sync::changelog::ChangelogKey;
use crate::sync::ports::PortError;
use crate::sync::scan::{LogScan, ScanError, Seen, Span};
use crate::sync::{Owed, OwedKey};

/// One order in one source partition.
#[derive(Clone, Debug, Default)]
pub struct OrderLog {
    /// Its state; `None` where the changelog has none.
    pub state: Option<OrderState>,
    /// Its owed deliveries by their stamps.
    pub owed: BTreeMap<UpdateTime, Owed>,
}

/// The order in every source partition and under every app in which the changelog knows it.
pub type OrderLogs = BTreeMap<(TopicPartition, Identity), OrderLog>;

/// Reads these spans of the changelog for an order. `progress` is told how many records were read.
pub fn read_order(
    scan: &mut dyn LogScan,
    changelog: &str,
    within: &[Span],
    sources: &[String],
    order_id: &str,
    progress: &mut dyn FnMut(u64),
) -> Result<OrderLogs, ScanError> {
    let mut text = String::new();
    write_string(order_id, &mut text);
    let (state_end, owed_part) = (format!(",{text}]"), format!(",{text},"));
    let (mut found, mut failed, mut read) = (OrderLogs::new(), None, 0_u64);
    scan.read(changelog, within, &mut |seen| {
        read += 1;
        if read.is_multiple_of(4096) {
            progress(read);
        }
        let key = seen.key().unwrap_or_default();
        let is_state = key.starts_with(b"[1,\"state\",") && key.ends_with(state_end.as_bytes());
        let is_owed = key.starts_with(b"[1,\"owed\",") && contains(key, owed_part.as_bytes());
        if (is_state || is_owed)
            && let Err(error) = take(seen, sources, order_id, &mut found)
        {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    progress(read);
    found.retain(|_, log| log.state.is_some() || !log.owed.is_empty());
    failed.map_or(Ok(found), |error| Err(error.into()))
}

/// Takes a record that is the order's, or looks like it.
fn take(seen: &dyn Seen, sources: &[String], order_id: &str, found: &mut OrderLogs) -> Result<(), PortError> {
    let unreadable = |error: &dyn std::error::Error| PortError::Fatal(error.to_string());
    for source in sources {
        let place = || TopicPartition::new(source.as_str(), seen.partition());
        match ChangelogKey::decode(seen.key().unwrap_or_default(), source).map_err(|e| unreadable(&e))? {
            Some(ChangelogKey::State(identity)) if *identity.order_id == *order_id => {
                let state = seen.value().map(OrderState::decode).transpose().map_err(|e| unreadable(&e))?;
                found.entry((place(), identity)).or_default().state = state;
            }
            Some(ChangelogKey::Owed(OwedKey { identity, stamp })) if *identity.order_id == *order_id => {
                let owed = seen.value().map(Owed::decode).transpose().map_err(|e| unreadable(&e))?;
                let log = found.entry((place(), identity)).or_default();
                match owed {
                    Some(owed) => drop(log.owed.insert(stamp, owed)),
                    None => drop(log.owed.remove(&stamp)),
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
