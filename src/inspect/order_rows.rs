//! The newest state of every order in a partition of the changelog, in brief: what a list of orders is made of.
//!
//! One partition is in memory at a time: some 250 bytes for each of its orders.

use std::collections::HashMap;
use std::ops::ControlFlow;

use foldhash::fast::RandomState;

use super::unread::Unread;
use crate::order::{Identity, OrderState, OrderType, Status, UpdateTime};
use crate::record::TopicPartition;
use crate::sync::Owed;
use crate::sync::changelog::ChangelogKey;
use crate::sync::scan::{LogScan, ScanError, Seen, Span};

/// An order in brief.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRow {
    /// Which one.
    pub identity: Identity,
    /// Its source partition.
    pub place: TopicPartition,
    /// What is kept of its state; `None` where only a debt of it is known.
    pub state: Option<BriefState>,
    /// What it owes: how many deliveries, and the timestamp of the oldest one's event, milliseconds since the epoch.
    pub owed: u32,
    /// See `owed`.
    pub owed_since_ms: Option<i64>,
}

/// What a list keeps of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BriefState {
    /// The order's type.
    pub order_type: OrderType,
    /// Its status.
    pub status: Status,
    /// Its last stamp.
    pub update_time: UpdateTime,
    /// Time of the last applied event, milliseconds since the epoch.
    pub occurred_at_ms: i64,
    /// Whether the delivery of the last stamp stands as a dead letter.
    pub is_dead_letter: bool,
    /// Where the state lies in the changelog.
    pub changelog_offset: i64,
}

impl OrderRow {
    /// `delivered`, `owed` or `dead_letter`.
    pub fn delivery(&self) -> &'static str {
        match &self.state {
            _ if self.owed > 0 => "owed",
            Some(state) if !state.is_dead_letter => "delivered",
            Some(_) | None => "dead_letter",
        }
    }

    /// What lists are sorted by: since when it is owed, else its last event.
    pub fn since_ms(&self) -> i64 {
        self.owed_since_ms.or_else(|| self.state.map(|state| state.occurred_at_ms)).unwrap_or_default()
    }
}

/// The orders of one partition.
#[derive(Default)]
struct Orders {
    rows: HashMap<(usize, Identity), OrderRow, RandomState>,
    /// Debts that are not settled: order and stamp, and the event's timestamp.
    owed: HashMap<(usize, Identity, UpdateTime), Option<i64>, RandomState>,
}

/// The orders of one partition of the changelog, and what could not be read: an order whose state cannot be read is left out, as far
/// as nothing else is known of it. `progress` is told how many offsets of it have been read.
pub fn read_rows(
    scan: &mut dyn LogScan,
    changelog: &str,
    within: Span,
    sources: &[String],
    progress: &mut dyn FnMut(u64),
) -> Result<(Vec<OrderRow>, Unread), ScanError> {
    let (mut orders, mut unread) = (Orders::default(), Unread::default());
    scan.read(changelog, &[within], &mut |seen| {
        let read = seen.offset().get() - within.from.get();
        if read % 4096 == 0 {
            progress(u64::try_from(read).unwrap_or_default());
        }
        let key = seen.key().unwrap_or_default();
        if (key.starts_with(b"[1,\"state\",") || key.starts_with(b"[1,\"owed\","))
            && orders.take(seen, sources).is_none()
        {
            unread.put(seen);
        }
        ControlFlow::Continue(())
    })?;
    Ok((orders.into_rows(sources, within.partition), unread))
}

impl Orders {
    /// Takes a record; `None` where it cannot be read.
    fn take(&mut self, seen: &dyn Seen, sources: &[String]) -> Option<()> {
        for (source, topic) in sources.iter().enumerate() {
            match ChangelogKey::decode(seen.key().unwrap_or_default(), topic).ok()? {
                Some(ChangelogKey::State(identity)) => {
                    let state = seen.value().map(OrderState::decode).transpose();
                    let Ok(Some(state)) = state.as_ref().map(|state| state.as_ref()) else {
                        self.rows.remove(&(source, identity));
                        return state.ok().map(|_| ());
                    };
                    let state = brief(state, seen.offset().get());
                    let place = TopicPartition::new(topic.as_str(), seen.partition());
                    let row = OrderRow { identity: identity.clone(), place, state: None, owed: 0, owed_since_ms: None };
                    self.rows.entry((source, identity)).or_insert(row).state = Some(state);
                    return Some(());
                }
                Some(ChangelogKey::Owed(key)) => {
                    let owed = seen.value().map(Owed::peek).transpose().ok()?;
                    let key = (source, key.identity, key.stamp);
                    match owed {
                        Some(owed) => drop(self.owed.insert(key, owed.timestamp_ms)),
                        None => drop(self.owed.remove(&key)),
                    }
                    return Some(());
                }
                Some(
                    ChangelogKey::Position
                    | ChangelogKey::Letter(_)
                    | ChangelogKey::Command(_)
                    | ChangelogKey::Settings(_),
                )
                | None => {}
            }
        }
        Some(())
    }

    fn into_rows(mut self, sources: &[String], partition: i32) -> Vec<OrderRow> {
        for ((source, identity, _), timestamp_ms) in self.owed {
            let topic = sources.get(source).map_or("", String::as_str);
            let place = TopicPartition::new(topic, partition);
            let row = OrderRow { identity: identity.clone(), place, state: None, owed: 0, owed_since_ms: None };
            let row = self.rows.entry((source, identity)).or_insert(row);
            row.owed += 1;
            row.owed_since_ms = match (row.owed_since_ms, timestamp_ms) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        self.rows.into_values().collect()
    }
}

fn brief(state: &OrderState, changelog_offset: i64) -> BriefState {
    BriefState {
        order_type: state.order_type,
        status: state.status,
        update_time: state.update_time,
        occurred_at_ms: state.occurred_at.0,
        is_dead_letter: state.dead_letter.is_some(),
        changelog_offset,
    }
}
