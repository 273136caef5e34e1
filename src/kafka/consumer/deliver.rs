//! Hands records over to the engine, fairly over the partitions and within the byte budget.

use std::time::Instant;

use rdkafka::Offset;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::partition::{Batch, Removed, Stage, Trouble};
use super::start;
use super::worker::{Ended, Round, Worker};
use crate::kafka::client::ASK_TIMEOUT;
use crate::kafka::failure::describe;
use crate::kafka::status::Problem;
use crate::record::{NextOffset, TopicPartition};
use crate::sync::ports::Input;

impl Worker {
    /// At most one batch per partition. A partition that is paused is not asked: its records wait in librdkafka,
    /// which stops fetching when the partition's queue is full.
    pub(super) fn hand_over(&mut self) -> Result<Round, Ended> {
        let sources: Vec<TopicPartition> = self.reading().map(|(source, _)| source.clone()).collect();
        if sources.is_empty() {
            return Ok(Round::Idle);
        }
        self.ask_counts()?;
        self.turn = self.turn.wrapping_add(1);
        let mut round = Round::Idle;
        for step in 0..sources.len() {
            let source = &sources[(self.turn + step) % sources.len()];
            let placing = self.placing(&source.topic);
            let is_paused = self.shared.is_paused(source);
            let Some(Stage::Reading(reading)) = self.partitions.get_mut(source) else { continue };
            if is_paused && !reading.is_pressed() {
                continue;
            }
            if reading.missing.is_some() {
                continue;
            }
            let (batch, error) = match reading.held.take() {
                Some(held) => (Some(held), None),
                None if matches!(reading.removed, Removed::Refused | Removed::Unread) => continue,
                None => reading.take(source, placing),
            };
            if reading.missing.is_some() {
                reading.held = batch;
                continue;
            }
            let handed = batch.map_or(Ok(Round::Idle), |batch| self.hand_on(batch))?;
            if let Some(error) = error {
                match error {
                    Trouble::Kafka(error) => self.partition_error(source, &error),
                    Trouble::AnotherTopic { offset } => self.give_up(source, start::another(source, offset))?,
                    Trouble::OneMore { offset } => self.give_up(source, start::one_more(source, offset))?,
                }
            }
            match handed {
                Round::Moved => round = Round::Moved,
                Round::Idle => {}
                Round::Starved => return Ok(Round::Starved),
            }
        }
        // What is in doubt is asked at the beginning of a round.
        Ok(if self.keys.are_in_doubt(Instant::now()) { Round::Moved } else { round })
    }

    /// Hands a batch over, or keeps it where the engine has no room or where it has to be known first that the topic has not
    /// grown.
    fn hand_on(&mut self, mut batch: Batch) -> Result<Round, Ended> {
        // That the topic is another one was said before the first record of the new one could be taken, in another queue.
        self.poll_dry()?;
        self.look_for_renewed()?;
        let is_past_doubt = self.is_past_doubt(&mut batch);
        let Some(Stage::Reading(reading)) = self.partitions.get_mut(&batch.source) else { return Ok(Round::Idle) };
        if !is_past_doubt {
            reading.held = Some(batch);
            return Ok(Round::Idle);
        }
        // Of one that is refused or unread this batch is all that it has.
        let is_pressed = reading.is_pressed() || matches!(reading.removed, Removed::Refused | Removed::Unread);
        if !self.budget.try_draw(batch.cost) {
            // One batch per partition is the most that is ever held.
            reading.held = Some(batch);
            return Ok(Round::Starved);
        }
        let Batch { epoch, source, records, .. } = batch;
        reading.has_passed = false;
        reading.handed = records.last().map_or(reading.handed, |last| last.offset.next());
        self.tell(Input::Records { epoch, source, records })?;
        if is_pressed {
            self.found.has_moved(Instant::now());
        }
        Ok(Round::Moved)
    }

    /// A refused position is asked about with all others that there are: [`Self::ask_refused`].
    fn partition_error(&mut self, source: &TopicPartition, error: &KafkaError) {
        let code = error.rdkafka_error_code();
        if !matches!(code, Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)) {
            let words = format!("{source} cannot be read just now: {}", describe(error));
            self.status.raise(Problem::Partition(source.to_string()), words);
            self.watch.suspect();
        } else if let Some(Stage::Reading(reading)) = self.partitions.get_mut(source) {
            reading.removed = Removed::Refused;
        }
    }

    /// The position is good after all: librdkafka had stopped there, and starts again.
    pub(super) fn go_back(&mut self, source: &TopicPartition, next: NextOffset) -> Result<(), Ended> {
        let Some(Stage::Reading(reading)) = self.partitions.get_mut(source) else { return Ok(()) };
        reading.removed = Removed::Nothing;
        reading.send_back();
        tracing::warn!(%source, %next, "the brokers refused a position; asking again");
        match self.consumer.seek(&source.topic, source.partition, Offset::Offset(next.get()), ASK_TIMEOUT) {
            Ok(()) => Ok(()),
            Err(error) => self.fatal(&format!("{source} cannot be read from offset {next}"), &error),
        }
    }
}
