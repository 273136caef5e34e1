//! Offsets that nobody reads: markers of transactions, and records of those that were aborted. The client keeps them to itself
//! but counts them in its position, so that this thread, which alone takes from the partitions' queues, knows how far nothing
//! is left to read.

use rdkafka::Offset;
use rdkafka::consumer::Consumer as _;

use super::partition::Stage;
use super::worker::{Ended, Worker};
use crate::record::{NextOffset, TopicPartition};
use crate::sync::ports::Input;

impl Worker {
    /// Tells the engine of such offsets behind the last record. Without that a partition whose last transaction is long over
    /// would keep a position before its marker, and when retention has taken that, whoever starts there would find a
    /// position before the topic's beginning.
    pub(super) fn pass_unread_by_anyone(&mut self) -> Result<(), Ended> {
        // Asks no broker. What is assigned changes on this thread alone; an error says that nothing is.
        let Ok(positions) = self.consumer.position() else { return Ok(()) };
        for at in positions.elements() {
            // There is none before the first record or marker.
            let Offset::Offset(next) = at.offset() else { continue };
            let source = TopicPartition::new(at.topic(), at.partition());
            let Some(Stage::Reading(reading)) = self.partitions.get_mut(&source) else { continue };
            if reading.held.is_some() || reading.is_sent_back || reading.missing.is_some() {
                continue;
            }
            if let Some(last) = reading.proof {
                // A marker stands where a record should.
                reading.missing = (next > last.offset).then_some(last.offset);
                continue;
            }
            let next = NextOffset::new(next);
            if next > reading.next {
                (reading.next, reading.handed, reading.has_passed) = (next, next, true);
            }
            if reading.has_passed {
                let (epoch, next) = (reading.epoch, reading.next);
                self.tell(Input::Passed { epoch, source, next })?;
            }
        }
        Ok(())
    }
}
