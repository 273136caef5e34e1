//! What a layer comes to owe, and what of an earlier one it settles.

use super::acceptance::Acceptance;
use super::owed::{Owed, OwedKey};
use crate::order::AppId;

/// Rough cost of a settled key, with how it was settled.
const SETTLED_OVERHEAD: usize = 150;

/// Deliveries that came to be owed, in fold order, and how many each app has of them, which is asked on each turn of the engine.
#[derive(Clone, Debug, Default)]
pub struct Debts {
    all: Vec<(OwedKey, Owed)>,
    /// A worker has a few apps.
    by_app: Vec<(AppId, usize)>,
}

impl Debts {
    /// All of them.
    pub fn all(&self) -> &[(OwedKey, Owed)] {
        &self.all
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Adds one.
    pub fn push(&mut self, key: OwedKey, owed: Owed) {
        self.count(&key.identity.app_id, 1);
        self.all.push((key, owed));
    }

    /// Adds all of `newer` behind its own.
    pub fn extend(&mut self, newer: Self) {
        for (app_id, count) in &newer.by_app {
            self.count(app_id, *count);
        }
        self.all.extend(newer.all);
    }

    /// How many are of this app.
    pub fn of(&self, app_id: &AppId) -> usize {
        self.by_app.iter().find(|(known, _)| known == app_id).map_or(0, |(_, count)| *count)
    }

    fn count(&mut self, app_id: &AppId, more: usize) {
        match self.by_app.iter_mut().find(|(known, _)| known == app_id) {
            Some((_, count)) => *count += more,
            None => self.by_app.push((app_id.clone(), more)),
        }
    }
}

/// A debt that is settled.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Which one.
    pub key: OwedKey,
    /// How it was accepted; `None` where a dead letter settles it.
    pub acceptance: Option<Acceptance>,
}

impl Settled {
    /// Rough memory of it.
    pub fn bytes(&self) -> usize {
        SETTLED_OVERHEAD + self.acceptance.as_ref().map_or(0, Acceptance::heap_bytes)
    }
}
