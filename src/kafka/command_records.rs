//! What the execution of a command needs from other topics: the original record, and what its dead letter carries.

use std::time::Instant;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::source::SourceTopics;
use crate::config;
use crate::record::{Record, RecordOffset, TopicPartition};
use crate::sync::command::Action;
use crate::sync::commit::REST_EVERY;
use crate::sync::letter_original::letter_of;
use crate::sync::ports::{PortError, SourceReader as _};

/// Reads them, source and letters each on a connection of its own: several in offset order are read on.
pub(super) struct CommandRecords {
    dead_letters: String,
    originals: SourceTopics,
    letters: SourceTopics,
    /// They are looked after then.
    rest_at: Instant,
}

/// What was found for a command.
#[derive(Default)]
pub(super) struct Attached {
    pub(super) original: Option<Record>,
    pub(super) request: Option<Bytes>,
}

impl CommandRecords {
    /// Makes the readers; talks to nobody yet. Reads end once it is to stop.
    pub(super) fn connect(config: &config::Kafka, stop: &CancellationToken) -> Result<Self, PortError> {
        Ok(Self {
            dead_letters: config.dead_letter_topic.clone(),
            originals: SourceTopics::connect_until(config, stop.clone())?,
            letters: SourceTopics::connect_until(config, stop.clone())?,
            rest_at: Instant::now(),
        })
    }

    /// The original record is the source's word; where that no longer has it, the letter's.
    pub(super) fn attach(&mut self, source: &TopicPartition, action: &Action) -> Result<Attached, PortError> {
        let (offset, letter) = match action {
            Action::Redrive { offset, letter } => (*offset, *letter),
            Action::Fold { offset } => (*offset, None),
            Action::Resync { .. }
            | Action::Discard { .. }
            | Action::Pause { .. }
            | Action::Resume { .. }
            | Action::AcceptRejections { .. } => return Ok(Attached::default()),
        };
        let original = gone_as_none(self.originals.read(source, offset))?;
        let Some(letter) = letter else { return Ok(Attached { original, request: None }) };
        let place = TopicPartition::new(self.dead_letters.as_str(), letter.partition);
        let found = gone_as_none(self.letters.read(&place, RecordOffset::new(letter.offset)))?;
        let content = found.and_then(|record| letter_of(&record, source, offset));
        let (kept, request) = content.map(|content| (content.original, content.request)).unzip();
        Ok(Attached { original: original.or(kept.flatten()), request: request.flatten() })
    }

    /// Looks after the readers, now and then.
    pub(super) fn rest(&mut self) {
        if Instant::now() >= self.rest_at {
            self.originals.rest();
            self.letters.rest();
            self.rest_at = Instant::now() + REST_EVERY;
        }
    }

    /// Reads single commands, of a partition of their topic, again.
    pub(super) fn commands(&mut self) -> &mut SourceTopics {
        &mut self.letters
    }
}

/// A record that no broker can have, be it beyond the end, is none: the engine says what follows.
fn gone_as_none<T>(read: Result<Option<T>, PortError>) -> Result<Option<T>, PortError> {
    match read {
        Err(PortError::Fatal(_)) => Ok(None),
        other => other,
    }
}
