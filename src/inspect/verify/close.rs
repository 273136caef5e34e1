//! The end of a pass: the last word of the changelog on every order is held against what folding has given.

use super::account::Account;
use super::debts::owes;
use super::evidence::{Brief, OwedSeen};
use super::facts::{LastState, StatusSeen};
use super::outcome::{Kind, Reason};
use super::step::left_below;
use super::worlds::{Track, World};
use crate::order::Identity;

/// Of a record that has a status, and no letter.
pub(super) const NO_LETTER: &str =
    "the changelog has the status of a dead letter, and the dead-letter topic has no letter: import it from an export";

/// What of a state may not be told: it names what differs and no value.
fn state_words(found: &Brief, folded: &Brief) -> (Reason, String) {
    if found.differs_by_stamp_alone(folded) {
        let words = format!("the order's stamp is {} in the log, and must be {}", found.stamp, folded.stamp);
        return (Reason::StampDiffers, words);
    }
    let words =
        format!("the order's state in the log is another one than folding gives: {}", found.differences(folded));
    (Reason::StateDiffers, words)
}

impl Account<'_> {
    /// Looks at everything that is left.
    pub(super) fn close(&mut self) {
        let next = self.facts.next().unwrap_or(0);
        self.pass(next);
        let keys: Vec<u64> = self.tracks.keys().copied().collect();
        for key in keys {
            let Some(track) = self.tracks.remove(&key) else { continue };
            let last = self.facts.states.get(&key).cloned();
            self.close_order(&track, last);
            self.tracks.insert(key, track);
        }
        self.close_others();
        self.close_owed();
        if self.part.0 == 0 {
            self.close_statuses();
            self.close_letters();
        }
        self.close_settled();
        self.close_unsaid();
        self.close_stateless();
    }

    fn close_order(&mut self, track: &Track, last: Option<LastState>) {
        let Some(last) = last else { return self.close_without_state(track) };
        let Some(found) = last.state else {
            let offset = track.likely().map_or(-1, |state| state.applied_offset);
            let words = "the order's state in the changelog cannot be read".to_owned();
            return self.blame(track, offset, Reason::Unreadable, words);
        };
        if track.may_be(&found) {
            return;
        }
        if track.is_unknown() {
            let is_made_here = found.applied_offset < self.low
                || track.is_cut
                || track.recent.iter().any(|(offset, _)| *offset == found.applied_offset);
            if last.is_sound && is_made_here {
                return self.unproven(track);
            }
        }
        let Some(folded) = track.nearest(&found) else {
            let words = "no event that is folded gives the order's state in the log".to_owned();
            return self.blame(track, found.applied_offset, Reason::StateUnexplained, words);
        };
        if found.applied_offset < folded.applied_offset {
            self.close_behind(track, found.applied_offset, folded.applied_offset);
        } else {
            let (reason, words) = state_words(&found, &folded);
            self.blame(track, found.applied_offset, reason, words);
        }
    }

    /// The order's state ends here, and folding goes on: what came behind is nowhere.
    fn close_behind(&mut self, track: &Track, ends: i64, folded: i64) {
        let missed = track.recent.iter().filter(|(offset, kind)| *offset > ends && kind.is_folded());
        let missed: Vec<i64> = missed.map(|(offset, _)| *offset).collect();
        if missed.is_empty() {
            // It counts as what it was in its place, or so many came behind it.
            let words = format!(
                "the order's state in the log ends with offset {ends}: this event, which a command folded, is not in it"
            );
            return self.blame(track, folded, Reason::Hole, words);
        }
        for offset in missed {
            let words = format!(
                "the order's state in the log ends with offset {ends}: this event is not in it, and no letter holds it"
            );
            self.blame(track, offset, Reason::Hole, words);
        }
    }

    /// The changelog has no state: it never had one, or the order has left.
    fn close_without_state(&mut self, track: &Track) {
        let removed = self.facts.removed(&track.identity.app_id);
        let may_be_gone = |world: &World| match world {
            World::New => true,
            World::Known(state) => left_below(state, removed),
            World::Unknown => removed > 0,
        };
        if track.worlds.iter().any(may_be_gone) {
            return;
        }
        let folded: Vec<i64> =
            track.recent.iter().filter(|(_, kind)| kind.is_folded()).map(|(offset, _)| *offset).collect();
        let likely = track.likely().map_or(-1, |state| state.applied_offset);
        for offset in if folded.is_empty() { vec![likely] } else { folded } {
            let words = "the order has no state in the changelog, and did not leave by retention".to_owned();
            self.blame(track, offset, Reason::StateMissing, words);
        }
    }

    /// States of orders that no event was met of.
    fn close_others(&mut self) {
        let begin = self.low.max(self.begin);
        let others: Vec<LastState> = self
            .facts
            .states
            .iter()
            .filter(|(key, _)| self.wants(**key) && !self.tracks.contains_key(key))
            .map(|(_, last)| last.clone())
            .collect();
        for LastState { identity, state, is_sound, .. } in others {
            let (offset, reason, words) = match state {
                None => (-1, Reason::Unreadable, "a state in the changelog cannot be read"),
                Some(state) if state.applied_offset >= begin => {
                    (state.applied_offset, Reason::StateUnexplained, "no event gives the order's state in the log")
                }
                Some(state) if !is_sound => {
                    let words = "the order's document in the log does not give the request that it says was sent";
                    (state.applied_offset, Reason::StateDiffers, words)
                }
                Some(_) => continue,
            };
            self.find(offset.max(begin), reason, words.to_owned(), Some(&identity));
        }
    }

    /// Deliveries that no event and no command explains.
    fn close_owed(&mut self) {
        let (begin, next) = (self.low.max(self.begin), self.facts.next().unwrap_or(0));
        // Commands behind the last position.
        self.excused.extend(self.facts.commands.iter().skip(self.passed.2).filter_map(owes));
        let is_looked_at = |offset: i64| offset == OwedSeen::UNREADABLE || (begin..next).contains(&offset);
        let unused: Vec<(u64, OwedSeen)> = self
            .facts
            .owed
            .iter()
            .filter(|((key, offset), _)| self.wants(*key) && is_looked_at(*offset))
            .flat_map(|((key, _), seen)| seen.iter().map(move |seen| (*key, *seen)))
            .filter(|(key, seen)| !seen.used && !self.excused.contains(&(*key, seen.stamp)))
            .collect();
        for (key, OwedSeen { offset, stamp, .. }) in unused {
            let identity = self.identity(key);
            if offset == OwedSeen::UNREADABLE {
                let words = format!("a delivery under stamp {stamp} in the changelog cannot be read");
                let last = self.tracks.get(&key).and_then(Track::likely).map_or(begin, |state| state.applied_offset);
                self.find(last.max(begin), Reason::Unreadable, words, identity.as_ref());
            } else {
                let words = format!("a delivery under stamp {stamp} was owed of it, which folding does not give");
                self.find(offset, Reason::UnexplainedDelivery, words, identity.as_ref());
            }
        }
    }

    /// Every status has its letter.
    fn close_statuses(&mut self) {
        let next = self.facts.next().unwrap_or(0);
        let of_none =
            |(offset, status): &(&i64, &StatusSeen)| self.letters.of(**offset).is_empty() && !status.may_be_older;
        let missing: Vec<i64> = self
            .facts
            .statuses
            .range(self.low..next.max(self.low))
            .filter(of_none)
            .map(|(offset, _)| *offset)
            .collect();
        for offset in missing {
            let order = self.facts.statuses.get(&offset).map(|status| status.order);
            let identity = order.and_then(|order| self.identity(order));
            self.find(offset, Reason::LetterMissing, NO_LETTER.to_owned(), identity.as_ref());
        }
    }

    /// A state that a commit has written, and that folding does not give there.
    pub(super) fn complain_of_written(&mut self, key: u64, state: Option<&Brief>) {
        let Some(identity) = self.identity(key) else { return };
        let folded = self.tracks.get(&key).and_then(|track| match state {
            Some(state) => track.nearest(state),
            None => track.likely().map(Brief::of),
        });
        let (offset, reason, words) = match (state, folded) {
            (None, folded) => {
                let offset = folded.map_or(-1, |folded| folded.applied_offset);
                (offset, Reason::Unreadable, "a state in the changelog cannot be read".to_owned())
            }
            (Some(state), None) => {
                let words = "a commit holds a state of the order that no event gives".to_owned();
                (state.applied_offset, Reason::StateUnexplained, words)
            }
            (Some(state), Some(folded)) if state.applied_offset < folded.applied_offset => {
                let words = "a commit that passed this event holds the order's state as if it had not been".to_owned();
                (folded.applied_offset, Reason::Hole, words)
            }
            (Some(state), Some(folded)) => {
                let (reason, words) = state_words(state, &folded);
                (state.applied_offset, reason, words)
            }
        };
        self.find(offset, reason, words, Some(&identity));
    }

    pub(super) fn identity(&self, key: u64) -> Option<Identity> {
        let of_track = self.tracks.get(&key).map(|track| track.identity.clone());
        of_track.or_else(|| self.facts.states.get(&key).map(|last| last.identity.clone()))
    }

    /// The order's events are folded onto something that is gone.
    fn unproven(&mut self, track: &Track) {
        for (offset, kind) in &track.recent {
            let is_told_by_state = matches!(kind, Kind::Delivered | Kind::Unchanged);
            if is_told_by_state && (self.range.0..self.range.1).contains(offset) {
                self.report.recount(*kind, Kind::Unproven);
            }
        }
    }

    fn blame(&mut self, track: &Track, offset: i64, reason: Reason, words: String) {
        self.put(offset, reason, words, Some(&track.identity), track.counted(offset));
    }
}
