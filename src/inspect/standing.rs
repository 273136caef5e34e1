//! Where partitions stand, and some of their orders: what it takes to say beforehand what a command will come to.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::unread::Unread;
use crate::order::{Identity, OrderState};
use crate::record::TopicPartition;
use crate::sync::changelog::ChangelogKey;
use crate::sync::position::Position;
use crate::sync::scan::{LogScan, ScanError, Seen, Span};

/// Documents that are kept, in bytes; states beyond that are kept without.
const DOCUMENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An order in its source partition.
pub type OrderPlace = (TopicPartition, Identity);

/// What the changelog says.
#[derive(Debug, Default)]
pub struct Standing {
    /// Of every source partition that was committed.
    pub positions: BTreeMap<TopicPartition, Position>,
    /// Of the orders that were asked for. The document is empty where there was no room for it.
    pub states: BTreeMap<OrderPlace, OrderState>,
    /// What of it could not be read: such a position or state counts as none.
    pub unread: Unread,
}

/// Reads spans of the changelog for their positions and for these orders. `progress` is told how many offsets were read.
pub fn read_standing(
    scan: &mut dyn LogScan,
    changelog: &str,
    spans: &[Span],
    sources: &[String],
    wanted: &BTreeSet<OrderPlace>,
    progress: &mut dyn FnMut(u64),
) -> Result<Standing, ScanError> {
    let (mut standing, mut documents, mut read) = (Standing::default(), 0, 0_u64);
    scan.read(changelog, spans, &mut |seen| {
        read += 1;
        if read.is_multiple_of(4096) {
            progress(read);
        }
        let key = seen.key().unwrap_or_default();
        let is_state = !wanted.is_empty() && key.starts_with(b"[1,\"state\",");
        if (is_state || key.starts_with(b"[1,\"position\","))
            && standing.take(seen, sources, wanted, &mut documents).is_none()
        {
            standing.unread.put(seen);
        }
        ControlFlow::Continue(())
    })?;
    Ok(standing)
}

/// The positions alone, and what could not be read of them.
pub fn read_positions(
    scan: &mut dyn LogScan,
    changelog: &str,
    within: Span,
    sources: &[String],
) -> Result<Standing, ScanError> {
    read_standing(scan, changelog, &[within], sources, &BTreeSet::new(), &mut |_| {})
}

impl Standing {
    /// Takes a record; `None` where it cannot be read.
    fn take(
        &mut self,
        seen: &dyn Seen,
        sources: &[String],
        wanted: &BTreeSet<OrderPlace>,
        documents: &mut usize,
    ) -> Option<()> {
        for topic in sources {
            let place = TopicPartition::new(topic.as_str(), seen.partition());
            match ChangelogKey::decode(seen.key().unwrap_or_default(), topic).ok()? {
                Some(ChangelogKey::Position) => {
                    let position = seen.value().map(Position::decode).transpose().ok()?;
                    if let Some(position) = position {
                        self.positions.insert(place, position);
                    }
                    return Some(());
                }
                Some(ChangelogKey::State(identity)) => {
                    let key = (place, identity);
                    if !wanted.contains(&key) {
                        return Some(());
                    }
                    if let Some(old) = self.states.remove(&key) {
                        *documents -= old.document.len();
                    }
                    let Some(value) = seen.value() else { return Some(()) };
                    let mut state = OrderState::decode(value).ok()?;
                    if *documents + state.document.len() > DOCUMENT_BYTES_MAX {
                        state.document = Box::default();
                    }
                    *documents += state.document.len();
                    self.states.insert(key, state);
                    return Some(());
                }
                Some(
                    ChangelogKey::Owed(_)
                    | ChangelogKey::Letter(_)
                    | ChangelogKey::Command(_)
                    | ChangelogKey::Settings(_),
                )
                | None => {}
            }
        }
        Some(())
    }
}
