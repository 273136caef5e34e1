//! Commands of operators, taken as the log has them: each acts where its outcome says it has acted.

use super::account::Account;
use super::debts::Due;
use super::evidence::order_key;
use super::outcome::Reason;
use super::step::{Candidate, Step, What};
use super::worlds::World;
use crate::order::again::resync;
use crate::order::fold::FoldAs;
use crate::order::{Identity, OrderState};
use crate::record::RecordOffset;
use crate::sync::command::{CommandDone, Outcome};

impl Account<'_> {
    /// Lets a command act.
    pub(super) fn obey(&mut self, done: &CommandDone) {
        let way = match (&*done.command, done.outcome) {
            ("resync", Outcome::Sent) => return self.resync(done),
            ("redrive", Outcome::Sent) => return self.send_again(done),
            ("redrive", Outcome::Folded | Outcome::Unchanged) => FoldAs::Redrive,
            ("fold", Outcome::Folded | Outcome::Unchanged) => FoldAs::Word,
            // Nothing of a state has changed, or nothing at all was done.
            _ => return,
        };
        self.fold_again(done, way);
    }

    fn resync(&mut self, done: &CommandDone) {
        let (Some(identity), Some(stamp)) = (identity(done), done.update_time) else { return };
        if !self.wants(order_key(&identity)) {
            return;
        }
        let variants = self.variants(&identity, self.eras.of(done));
        let track = self.track(&identity);
        let (mut next, mut due) = (Vec::new(), Vec::new());
        for world in &track.worlds {
            let Some(state) = world.state() else {
                next.push(world.clone());
                continue;
            };
            for variant in variants.iter().filter(|_| state.update_time < stamp) {
                if let Ok(again) = resync(state, &identity, 0, variant.unit, variant.mapper) {
                    let state = OrderState { update_time: stamp, ..again.state };
                    due.push(Due::of(&state, &identity, state.applied_offset, &[*variant]));
                    next.push(World::known(state));
                }
            }
        }
        if next.iter().any(|world| *world != World::New) {
            let is_sure = next.iter().all(|world| *world != World::Unknown);
            track.go_on(next);
            self.hold_debt(done, &identity, if is_sure { &due } else { &[] });
        } else {
            let offset = track.likely().map_or(-1, |state| state.applied_offset);
            let words = format!("a resync under stamp {stamp}, which its state does not let it have");
            self.find(offset, Reason::CommandDiffers, words, Some(&identity));
        }
    }

    /// The order's last request is sent again, under its own stamp and as that of its letter.
    fn send_again(&mut self, done: &CommandDone) {
        let (Some(identity), Some(stamp), Some(offset)) = (identity(done), done.update_time, done.offset) else {
            return;
        };
        if !self.wants(order_key(&identity)) {
            return;
        }
        // Its bytes are those of then: whatever settings give the digest gave them.
        let variants = self.all_variants(&identity);
        let track = self.track(&identity);
        let is_sure = track.worlds.iter().all(|world| world.state().is_some());
        let states = track.worlds.iter().filter_map(World::state).filter(|state| state.update_time == stamp);
        let due: Vec<Due> = states.map(|state| Due::of(state, &identity, offset.get(), &variants)).collect();
        if is_sure && due.is_empty() {
            let words = format!("a redrive has sent the order under stamp {stamp}, which is not its last one");
            self.find(offset.get(), Reason::CommandDiffers, words, Some(&identity));
        }
        self.hold_debt(done, &identity, if is_sure { &due } else { &[] });
    }

    fn fold_again(&mut self, done: &CommandDone, way: FoldAs) {
        let Some(offset) = done.offset.map(RecordOffset::get) else { return };
        let record = self.originals.get(&offset).or_else(|| self.letters.originals.get(&offset)).cloned();
        let value = record.as_ref().and_then(|record| record.value.as_deref());
        let event = value.and_then(|value| self.decode(value, self.eras.of(done)).ok());
        let Some(event) = event else {
            // Neither source nor letter has it: all that can be said is that the order has another state now.
            if let Some(identity) = identity(done).filter(|identity| self.wants(order_key(identity))) {
                self.track(&identity).go_on([World::Unknown]);
                self.hold_debt(done, &identity, &[]);
            }
            return;
        };
        let identity = Identity::new(event.app_id.clone(), event.order_id.as_ref());
        if !self.wants(order_key(&identity)) {
            return;
        }
        let by = self.eras.of(done);
        let (variants, removed) = (self.variants(&identity, by), self.facts.removed(&identity.app_id));
        let step = Step {
            event: &event,
            offset,
            way,
            variants: &variants,
            removed,
            // On an operator's word an event of an unknown order is folded above what has left.
            removed_then: done.update_time.map_or(0, |given| given.0 - 1),
            letter: None,
            owed: &[],
            is_commanded: &|_| true,
            is_whole: false,
        };
        let (letters, key) = (self.letters, order_key(&identity));
        let track = self.track(&identity);
        let candidates = step.candidates(&track.worlds);
        let is_given = |stamp: i64| done.update_time.is_none_or(|given| given.0 == stamp);
        let fits = |what: What| match (what, done.outcome) {
            (What::Advanced { stamp, .. }, Outcome::Folded) => is_given(stamp),
            // What stands as a dead letter is owed again.
            (What::Unchanged { stamp }, Outcome::Folded) => is_given(stamp) && letters.has_given_up(key, stamp),
            // A delivery that is owed already changes nothing.
            (What::Unchanged { .. } | What::Duplicate | What::Stale, Outcome::Unchanged) | (What::Unknown, _) => true,
            _ => false,
        };
        let next: Vec<World> = candidates.iter().filter(|c| fits(c.what)).map(|c| c.after.clone()).collect();
        let due = |candidate: &Candidate| match (candidate.what, candidate.after.state()) {
            (What::Advanced { request, .. }, _) => Some(Due { offset, request: Some(request) }),
            (What::Unchanged { .. }, Some(state)) if done.outcome == Outcome::Folded => {
                Some(Due::of(state, &identity, offset, &variants))
            }
            (What::Unchanged { .. } | What::Duplicate | What::Stale | What::Aside(_) | What::Unknown, _) => None,
        };
        let due: Option<Vec<Due>> = candidates.iter().filter(|c| fits(c.what)).map(due).collect();
        if next.is_empty() {
            let given = candidates.first().map_or("nothing", |candidate| candidate.what.words());
            let words = format!("a {} has come to {}, and folding gives {given}", done.command, done.outcome.as_str());
            self.find(offset, Reason::CommandDiffers, words, Some(&identity));
        } else {
            track.go_on(next);
        }
        self.hold_debt(done, &identity, &due.unwrap_or_default());
    }
}

fn identity(done: &CommandDone) -> Option<Identity> {
    Some(Identity::new(done.app_id.clone()?, done.order_id.as_deref()?))
}
