//! Changes of dead letters' statuses that lie over what a store knows, found by offset and by order. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;

use super::changelog::LetterStatus;
use crate::order::Identity;
use crate::record::RecordOffset;

/// Rough memory of a status: struct, ids, and its place in both maps.
pub const STATUS_BYTES: usize = 400;

/// A store's open letters of one order, as layers are laid over them.
pub type OpenLetters = BTreeMap<RecordOffset, LetterStatus>;

/// The newest word on each letter; `None` says that its status is gone.
#[derive(Clone, Debug, Default)]
pub struct Statuses {
    by_offset: BTreeMap<RecordOffset, Option<LetterStatus>>,
    by_order: HashMap<Identity, BTreeSet<RecordOffset>, RandomState>,
}

impl Statuses {
    /// The newest word on a letter.
    pub fn put(&mut self, offset: RecordOffset, status: Option<LetterStatus>) {
        let identity = status.as_ref().and_then(LetterStatus::identity);
        let old = self.by_offset.insert(offset, status).flatten().and_then(|old| old.identity());
        if old == identity {
            return;
        }
        if let Some(old) = old
            && let Some(offsets) = self.by_order.get_mut(&old)
        {
            offsets.remove(&offset);
            if offsets.is_empty() {
                self.by_order.remove(&old);
            }
        }
        if let Some(identity) = identity {
            self.by_order.entry(identity).or_default().insert(offset);
        }
    }

    /// The word on a letter; `None` where there is none here.
    pub fn get(&self, offset: RecordOffset) -> Option<Option<&LetterStatus>> {
        self.by_offset.get(&offset).map(Option::as_ref)
    }

    /// Lays what is known here over an order's open letters.
    pub fn lay_over(&self, identity: &Identity, open: &mut OpenLetters) {
        open.retain(|offset, _| !self.by_offset.contains_key(offset));
        for offset in self.by_order.get(identity).into_iter().flatten() {
            if let Some(status) = self.get(*offset).flatten().filter(|status| status.is_open()) {
                open.insert(*offset, status.clone());
            }
        }
    }

    /// All of it, by offset.
    pub fn iter(&self) -> impl Iterator<Item = (RecordOffset, Option<&LetterStatus>)> {
        self.by_offset.iter().map(|(offset, status)| (*offset, status.as_ref()))
    }

    /// Lays `newer` over `self`.
    pub fn absorb(&mut self, newer: Self) {
        for (offset, status) in newer.by_offset {
            self.put(offset, status);
        }
    }

    /// How many letters it speaks of.
    pub fn len(&self) -> usize {
        self.by_offset.len()
    }

    /// Whether it speaks of none.
    pub fn is_empty(&self) -> bool {
        self.by_offset.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::changelog::LetterState;
    use super::*;
    use crate::order::{AppId, DeadLetterReason, UpdateTime};

    fn status(order: &str, state: LetterState) -> LetterStatus {
        LetterStatus {
            state,
            reason: DeadLetterReason::RejectedByPlatform,
            at_ms: 1,
            times: 1,
            first_failed_ms: None,
            app_id: Some(AppId::new("tt1")),
            order_id: Some(order.into()),
            stamp: Some(UpdateTime(1)),
        }
    }

    #[test]
    fn layers_hide_what_lies_below_and_show_what_is_open() {
        let (open, closed) = (LetterState::Open, LetterState::Superseded);
        let at = RecordOffset::new;
        let mut layer = Statuses::default();
        layer.put(at(1), Some(status("A", closed)));
        layer.put(at(2), None);
        layer.put(at(5), Some(status("A", open)));
        layer.put(at(6), Some(status("B", open)));
        let below = || (1..5).map(|n| (at(n), status("A", open))).collect::<OpenLetters>();
        let offsets = |layer: &Statuses, order: &str, mut letters: OpenLetters| {
            layer.lay_over(&Identity::new(AppId::new("tt1"), order), &mut letters);
            letters.into_keys().map(RecordOffset::get).collect::<Vec<_>>()
        };
        assert_eq!(offsets(&layer, "A", below()), [3, 4, 5]);
        assert_eq!(offsets(&layer, "B", OpenLetters::new()), [6]);
        let mut newer = Statuses::default();
        newer.put(at(5), Some(status("B", open)));
        newer.put(at(6), None);
        layer.absorb(newer);
        assert_eq!(offsets(&layer, "A", below()), [3, 4]);
        assert_eq!(offsets(&layer, "B", OpenLetters::new()), [5]);
        assert_eq!((layer.len(), layer.get(at(6)), layer.get(at(7))), (4, Some(None), None));
    }
}
