//! Records that were removed before they were read. What was fetched just before them may be gone from the topic, too: it is
//! handed on first, whatever the engine holds back, and only then the worker is told to stop.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::lookup;
use super::partition::{Reading, Removed, Stage};
use super::worker::{Ended, Worker};
use crate::kafka::failure::describe;
use crate::record::{NextOffset, TopicPartition};
use crate::sync::ports::Input;

/// How long the engine is not told while other partitions still hand on what they have.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many partitions are named.
const NAMED: usize = 10;

/// Where a partition goes on, and what is the first that there is.
struct Unread {
    source: TopicPartition,
    next: NextOffset,
    low: i64,
}

/// What was found, until the engine has been told.
#[derive(Default)]
pub(super) struct Found {
    unread: Vec<Unread>,
    tell_by: Option<Instant>,
}

impl Worker {
    /// A partition is at the end of what is left of it before records that are gone: nothing more of it is taken.
    pub(super) fn found_unread(&mut self, source: &TopicPartition, next: NextOffset, low: i64) -> Result<(), Ended> {
        if let Some(Stage::Reading(reading)) = self.partitions.get_mut(source) {
            reading.removed = Removed::Unread;
        } else {
            self.partitions.insert(source.clone(), Stage::Broken);
        }
        self.found.unread.push(Unread { source: source.clone(), next, low });
        if self.found.tell_by.is_none() {
            self.found.tell_by = Some(Instant::now() + PATIENCE);
            let others = self.reading().map(|(source, _)| source.clone()).collect::<Vec<_>>();
            self.look_for_removed(&others);
        }
        self.tell_unread()
    }

    /// Looks whether these have lost records that they have not handed on. A partition that is held back would not be asked for
    /// its records, and so would not say.
    pub(super) fn look_for_removed(&mut self, sources: &[TopicPartition]) {
        if sources.is_empty() {
            return;
        }
        let lows = lookup::beginnings(&self.consumer, sources).unwrap_or_else(|error| {
            tracing::debug!(error = %describe(&error), "the partitions' beginnings are unknown just now");
            BTreeMap::default()
        });
        for (source, low) in lows {
            let Some(Stage::Reading(reading)) = self.partitions.get_mut(&source) else { continue };
            if reading.removed == Removed::Unread || reading.is_pressed() || reading.handed.get() >= low {
                continue;
            }
            tracing::warn!(%source, begins = low, next = %reading.handed, "records were removed before they were folded");
            reading.removed = Removed::Below(low);
        }
    }

    /// Those that wait for the engine.
    pub(super) fn held_back(&self) -> Vec<TopicPartition> {
        let waits = |source: &TopicPartition, reading: &Reading| {
            let is_known = reading.removed == Removed::Unread || reading.is_pressed();
            !is_known && (reading.held.is_some() || self.shared.is_paused(source))
        };
        self.reading().filter(|(source, reading)| waits(source, reading)).map(|(source, _)| source.clone()).collect()
    }

    /// Tells the engine, once nobody has anything more to hand on that may be gone.
    pub(super) fn tell_unread(&mut self) -> Result<(), Ended> {
        let Some(tell_by) = self.found.tell_by.filter(|_| !self.found.unread.is_empty()) else { return Ok(()) };
        if self.reading().any(|(_, reading)| reading.is_pressed()) && Instant::now() < tell_by {
            return Ok(());
        }
        let words = words(&std::mem::take(&mut self.found.unread));
        self.tell(Input::RecordsGone(words))
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
        "{lost}{more}. Raise the topic's retention, and have the merchant send the orders of that time again, each with its whole \
         document. To go on behind the gap with the states and stamps that there are, stop every worker and run `order-sync \
         store skip-lost` (--dry-run says what is lost)"
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
        assert!(one.contains("orders/3") && one.contains("13 offsets that were never read, 7 to 19."), "{one}");
        assert!(one.contains("store skip-lost"), "{one}");
        let many = words(&(0..12).map(unread).collect::<Vec<_>>());
        assert!(many.contains("orders/9") && !many.contains("orders/10") && many.contains("2 more"), "{many}");
    }
}
