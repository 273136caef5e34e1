//! The tracks of a pass: where an order's begins, and which of them need not be kept.

use super::account::Account;
use super::evidence::order_key;
use super::worlds::{Track, World};
use crate::order::Identity;

impl Account<'_> {
    /// The order's track; it begins here if it is met for the first time.
    pub(super) fn track(&mut self, identity: &Identity) -> &mut Track {
        let key = order_key(identity);
        let (may_be_gone, bases) = (self.may_be_gone(), &mut self.bases);
        self.tracks.entry(key).or_insert_with(|| {
            let mut worlds: Vec<World> = bases.remove(&key).map(World::known).into_iter().collect();
            if worlds.is_empty() {
                worlds.push(World::New);
            }
            if may_be_gone {
                worlds.push(World::Unknown);
            }
            Track::new(identity.clone(), worlds)
        })
    }

    /// An order of which nothing was ever folded, and the log has never had a state of, begins anew with its next event: a
    /// million letters of such orders need no tracks.
    pub(super) fn forget_unknown(&mut self, key: u64) {
        let first: &[World] = if self.may_be_gone() { &[World::New, World::Unknown] } else { &[World::New] };
        if !self.facts.knows(key) && self.tracks.get(&key).is_some_and(|track| track.worlds == first) {
            self.tracks.remove(&key);
        }
    }

    /// Whether events may be gone that states were made of.
    fn may_be_gone(&self) -> bool {
        self.low > 0 || self.facts.reborn_ms.is_some()
    }
}
