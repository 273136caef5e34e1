//! Dead letters whose status is lost, and those that have come back more often than commands have sent them.
//!
//! A status is forgotten by retention alone: of a letter that is superseded, whose order has left, and not before it was
//! kept for its time. Where compaction has not been, the forgetting leaves a tombstone.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

use super::account::Account;
use super::letters::LetterSeen;
use super::outcome::Reason;
use super::step::is_below;
use crate::sync::command::Outcome;

impl Account<'_> {
    /// Looks at every record that has a letter.
    pub(super) fn close_unsaid(&mut self) {
        let begin = self.low.max(self.begin);
        let within = begin..self.facts.next().unwrap_or(0).max(begin);
        let letters = self.letters;
        let offsets: BTreeSet<i64> = letters.offsets().filter(|offset| within.contains(offset)).collect();
        let sent = self.sent_again();
        for offset in offsets {
            let all = letters.of(offset);
            let Some(status) = self.facts.statuses.get(&offset).copied() else {
                let mut ours = all.iter().rev().filter(|letter| self.wants(letter.names()));
                if let Some(letter) = ours.find(|letter| self.must_have_a_status(offset, letter)) {
                    let identity = self.identity(letter.names());
                    let words = "the changelog has no status of its dead letter, and none that could be forgotten";
                    self.find(offset, Reason::StatusMissing, words.to_owned(), identity.as_ref());
                } else if self.part.0 == 0
                    && let Some((reason, words)) = self.lost_times(all, None)
                {
                    self.find(offset, reason, words, None);
                }
                continue;
            };
            if self.part.0 == 0
                && let Some(words) = self.came_back(offset, all, status.times, &sent)
            {
                let identity = self.identity(status.order);
                self.find(offset, Reason::CommandMissing, words, identity.as_ref());
            }
        }
    }

    /// Each letter says how often its record had come to one: whether they say all numbers up to that of their status, or
    /// where there is none, to the greatest of them.
    pub(super) fn lost_times(&self, letters: &[LetterSeen], status: Option<u32>) -> Option<(Reason, String)> {
        let seen: BTreeSet<u32> = letters.iter().map(LetterSeen::times).collect();
        let newest = seen.last().copied()?;
        // A status is never behind the newest letter, which is said elsewhere.
        let most = status.map_or(Some(newest), |times| (times >= newest).then_some(times))?;
        // The count goes on over a topic that was made anew, and letters of the one before are not read.
        let first = if self.facts.reborn_ms.is_some() { seen.first().copied()? } else { 1 };
        let missing = seen
            .range(first..)
            .fold(first, |expect, times| if *times == expect { expect.saturating_add(1) } else { expect });
        if missing > most {
            return None;
        }
        let numbers = most.abs_diff(first) as usize;
        Some(if letters.len() > numbers {
            let words = format!(
                "it has become a dead letter {most} times, and none of its letters says {missing} as its number"
            );
            (Reason::LetterDiffers, words)
        } else {
            let words =
                format!("of its {most} dead letters the topic lacks number {missing}: import it from an export");
            (Reason::LetterMissing, words)
        })
    }

    /// How often commands have owed the delivery of a record under a stamp.
    fn sent_again(&self) -> HashMap<(i64, i64), usize, RandomState> {
        let mut sent: HashMap<(i64, i64), usize, RandomState> = HashMap::default();
        for done in &self.facts.commands {
            if let (Outcome::Sent | Outcome::Folded, Some(offset), Some(stamp)) =
                (done.outcome, done.offset, done.update_time)
            {
                *sent.entry((offset.get(), stamp.0)).or_default() += 1;
            }
        }
        sent
    }

    /// Whether the letter of a delivery lies in a commit that was read, and its status cannot have been forgotten.
    fn must_have_a_status(&self, offset: i64, letter: &LetterSeen) -> bool {
        let Some(stamp) = letter.stamp().filter(|_| letter.is_of_delivery) else { return false };
        // One that is owed may have been given up since; so may one that the order's state in the log does not know of.
        let Some(identity) = self.identity(letter.names()) else { return false };
        let removed = self.facts.removed(&identity.app_id);
        let is_settled = match self.facts.states.get(&letter.names()) {
            Some(last) => last.state.as_ref().is_some_and(|state| stamp <= state.stamp),
            None => is_below(stamp, removed),
        };
        if !is_settled || self.facts.is_owed(letter.names(), stamp) || self.facts.forgotten.contains(&offset) {
            return false;
        }
        !is_below(stamp, removed) || self.facts.is_untouched() || self.is_young(letter)
    }

    /// Whether the whole log is younger than any status that was ever forgotten.
    fn is_young(&self, letter: &LetterSeen) -> bool {
        let until = letter.first_failed_ms.checked_add(self.rules.statuses_stay_ms);
        until.is_some_and(|until| self.facts.newest_ms.is_some_and(|newest| newest < until))
    }

    /// Each letter of one delivery but the first comes of a command that has owed it again, and so does each record that was
    /// set aside again.
    fn came_back(
        &self,
        offset: i64,
        letters: &[LetterSeen],
        times: u32,
        sent: &HashMap<(i64, i64), usize, RandomState>,
    ) -> Option<String> {
        // A letter that stands twice, as without transactions, says the same number.
        let mut seen: HashMap<Option<i64>, BTreeSet<u32>, RandomState> = HashMap::default();
        for letter in letters.iter().filter(|letter| letter.times() <= times) {
            seen.entry(letter.stamp()).or_default().insert(letter.times());
        }
        seen.into_iter().find_map(|(stamp, times)| {
            let by_commands = match stamp {
                Some(stamp) => sent.get(&(offset, stamp)),
                None => self.facts.failed.get(&offset),
            };
            let (by_commands, count) = (by_commands.copied().unwrap_or(0), times.len());
            (count > 1 + by_commands).then(|| {
                format!("it has become a dead letter {count} times, and the log has {by_commands} commands that sent it again")
            })
        })
    }
}
