//! Records that were removed before they were read. What was fetched just before them may be gone from the topic, too: it is
//! handed on first, whatever the engine holds back, and only then the worker is told to stop.

use std::time::{Duration, Instant};

use super::lookup;
use super::partition::{Reading, Removed, Stage};
use super::start::{self, Refused};
use super::worker::{Ended, Worker};
use crate::config::StartFrom;
use crate::kafka::failure::describe;
use crate::record::{NextOffset, TopicPartition};
use crate::sync::ports::{Input, StartAt};

/// The engine is told at the latest when nothing has moved for so long, though others have something more to hand on.
const PATIENCE: Duration = Duration::from_secs(5);
/// A question that failed is asked again after this.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// So many partitions are named.
const NAMED: usize = 10;

/// Where a partition goes on, and what is the first that there is.
struct Unread {
    source: TopicPartition,
    next: NextOffset,
    low: i64,
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Found {
    /// All of them, those that the engine knows of, too.
    unread: Vec<Unread>,
    /// When the engine is told of what it does not know, whatever others still hold; none where it knows all.
    tell_by: Option<Instant>,
    /// The others' beginnings are to be asked for.
    looks_at_others: bool,
    /// No question before this.
    not_before: Option<Instant>,
    /// How often in a row the refused were asked about in vain.
    failed: usize,
    /// What the engine knows.
    is_pressed: bool,
}

impl Found {
    /// Records that may be nowhere else went over.
    pub(super) fn has_moved(&mut self, now: Instant) {
        if self.tell_by.is_some() {
            self.tell_by = Some(now + PATIENCE);
        }
    }

    /// Not so soon after a question that failed.
    fn may_ask(&self) -> bool {
        self.not_before.is_none_or(|not_before| Instant::now() >= not_before)
    }

    fn ask_later(&mut self) {
        self.not_before = Some(Instant::now() + ASK_AGAIN);
    }
}

impl Worker {
    /// Asks about all partitions whose position the brokers refuse at once: one by one would take this thread for too long.
    /// Where that fails, then by turns a single one, so that one without a leader keeps no other waiting.
    pub(super) fn ask_refused(&mut self) -> Result<(), Ended> {
        let is_refused = |(_, reading): &(&TopicPartition, &Reading)| reading.removed == Removed::Refused;
        let mut asked = self.reading().filter(is_refused).map(|(source, _)| source.clone()).collect::<Vec<_>>();
        if asked.is_empty() || !self.found.may_ask() {
            return Ok(());
        }
        if self.found.failed % 2 == 1 {
            asked = vec![asked.swap_remove(self.found.failed / 2 % asked.len())];
        }
        let extents = lookup::extents_and(&self.consumer, &asked, StartFrom::Earliest, || self.serve_commits());
        self.serve_commits();
        let extents = match extents {
            Ok(extents) => extents,
            Err(error) => {
                tracing::debug!(error = %describe(&error), "how far refused partitions reach is unknown just now");
                self.found.failed += 1;
                self.found.ask_later();
                return Ok(());
            }
        };
        self.found.failed = 0;
        for (source, extent) in extents {
            let Some(Stage::Reading(reading)) = self.partitions.get(&source) else { continue };
            let next = reading.next;
            match start::decide(StartAt::Position(next), StartFrom::Earliest, extent) {
                Ok(next) => {
                    self.go_back(&source, next)?;
                    self.serve_commits();
                }
                Err(Refused::BelowStart) => self.found_unread(&source, next, extent.low),
                Err(Refused::BeyondEnd) => self.give_up(&source, start::beyond(&source, next, extent.high))?,
            }
        }
        Ok(())
    }

    /// A partition is at the end of what is left of it before records that are gone: nothing more of it is taken.
    pub(super) fn found_unread(&mut self, source: &TopicPartition, next: NextOffset, low: i64) {
        if let Some(Stage::Reading(reading)) = self.partitions.get_mut(source) {
            reading.removed = Removed::Unread;
        } else {
            self.partitions.insert(source.clone(), Stage::Broken);
        }
        // One that comes back after it was given away is found again.
        self.found.unread.retain(|unread| unread.source != *source);
        self.found.unread.push(Unread { source: source.clone(), next, low });
        self.found.tell_by.get_or_insert_with(|| Instant::now() + PATIENCE);
        self.found.looks_at_others = true;
    }

    /// Where one has lost records, others may have: one question for all, however many were found in this round.
    pub(super) fn look_at_others(&mut self) {
        if !self.found.looks_at_others || !self.found.may_ask() {
            return;
        }
        let is_open = |reading: &Reading| !matches!(reading.removed, Removed::Refused | Removed::Unread);
        let others = self.reading().filter(|(_, reading)| is_open(reading));
        let others = others.map(|(source, _)| source.clone()).collect::<Vec<_>>();
        self.found.looks_at_others = !self.look_for_removed(&others);
        if self.found.looks_at_others {
            self.found.ask_later();
        }
    }

    /// Looks whether these have lost records that they have not handed on. A partition that is held back would not be asked for
    /// its records, and so would not say. False where nobody answered.
    pub(super) fn look_for_removed(&mut self, sources: &[TopicPartition]) -> bool {
        if sources.is_empty() {
            return true;
        }
        let lows = lookup::beginnings(&self.consumer, sources);
        self.serve_commits();
        let lows = match lows {
            Ok(lows) => lows,
            Err(error) => {
                tracing::debug!(error = %describe(&error), "the partitions' beginnings are unknown just now");
                return false;
            }
        };
        for (source, low) in lows {
            let Some(Stage::Reading(reading)) = self.partitions.get_mut(&source) else { continue };
            let is_known = match reading.removed {
                Removed::Refused | Removed::Unread => true,
                Removed::Nothing | Removed::Below(_) => reading.is_pressed() || reading.handed.get() >= low,
            };
            if !is_known {
                tracing::warn!(%source, begins = low, next = %reading.handed, "records were removed before they were folded");
                reading.removed = Removed::Below(low);
            }
        }
        true
    }

    /// Those that wait for the engine.
    pub(super) fn held_back(&self) -> Vec<TopicPartition> {
        let waits = |source: &TopicPartition, reading: &Reading| {
            let is_known = matches!(reading.removed, Removed::Refused | Removed::Unread) || reading.is_pressed();
            !is_known && (reading.held.is_some() || self.shared.is_paused(source))
        };
        self.reading().filter(|(source, reading)| waits(source, reading)).map(|(source, _)| source.clone()).collect()
    }

    fn is_pressed(&self) -> bool {
        self.reading().any(|(_, reading)| reading.is_pressed())
    }

    /// Tells the engine while there is anything that may be nowhere else, handed on and not folded yet, too: it then folds
    /// whatever is owed.
    pub(super) fn tell_pressed(&mut self) -> Result<(), Ended> {
        let is_pressed = self.is_pressed() || (self.found.is_pressed && self.budget.used() > 0);
        if is_pressed == self.found.is_pressed {
            return Ok(());
        }
        self.found.is_pressed = is_pressed;
        self.tell(Input::RecordsPressed(is_pressed))
    }

    /// Tells the engine of all that was found, once nobody has anything more to hand on that may be gone.
    pub(super) fn tell_unread(&mut self) -> Result<(), Ended> {
        let Some(tell_by) = self.found.tell_by else { return Ok(()) };
        let is_refused = self.reading().any(|(_, reading)| reading.removed == Removed::Refused);
        if (is_refused || self.found.looks_at_others || self.is_pressed()) && Instant::now() < tell_by {
            return Ok(());
        }
        self.found.tell_by = None;
        self.tell(Input::RecordsGone(words(&self.found.unread)))
    }
}

/// What is lost of each, and what to do.
fn words(unread: &[Unread]) -> String {
    let each = unread.iter().take(NAMED).map(|Unread { source, next, low }| {
        format!(
            "{source} begins at offset {low}, but this worker's position is {next}: retention removed {} offsets that were never \
             read, {next} to {}",
            low - next.get(),
            low - 1
        )
    });
    let lost = each.collect::<Vec<_>>().join("; ");
    let more = match unread.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and so of {more} more partitions"),
    };
    format!(
        "{lost}{more} (markers of transactions and aborted records count among them). Raise the topic's retention, and have the \
         merchant send the orders of that time again, each with its whole document. To go on behind the gap with the states and \
         stamps that there are, stop every worker and run `order-sync store skip-lost` (--dry-run says what is lost)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_name_the_first_and_the_last_that_is_lost_of_each_partition() {
        let unread = |partition| Unread {
            source: TopicPartition::new("orders", partition),
            next: NextOffset::new(i64::from(partition) + 4),
            low: 20,
        };
        let one = words(&[unread(3)]);
        assert!(one.contains("orders/3") && one.contains("13 offsets that were never read, 7 to 19 (markers"), "{one}");
        assert!(one.contains("store skip-lost"), "{one}");
        let many = words(&(0..12).map(unread).collect::<Vec<_>>());
        assert!(many.contains("orders/9") && !many.contains("orders/10") && many.contains("2 more"), "{many}");
    }
}
