//! How commands come to the engine: what it asks of their reader, and what the reader tells it.

use bytes::Bytes;

use super::command::Read;
use super::ports::Epoch;
use crate::record::{NextOffset, Record, RecordOffset, TopicPartition};

/// Reads the commands topic. Never waits; called from the engine thread.
pub trait CommandFeed: Send {
    /// A partition runs: its commands are to be told from here on; `None` is the beginning of the topic.
    fn follow(&mut self, epoch: Epoch, source: &TopicPartition, from: Option<NextOffset>);
    /// The partition has left.
    fn leave(&mut self, source: &TopicPartition);
    /// A command is dealt with: what it drew ([`Incoming::cost`]) may be drawn again.
    fn refill(&mut self, bytes: usize);
}

/// What the reader tells the engine.
#[derive(Debug)]
pub struct CommandInput {
    /// The partition's epoch.
    pub epoch: Epoch,
    /// The source partition.
    pub source: TopicPartition,
    /// The news.
    pub news: CommandNews,
}

/// News of the commands topic, for one source partition.
#[derive(Debug)]
pub enum CommandNews {
    /// The topic is another one than that of the position: it is read from here on, its beginning. Told before anything of it.
    Anew(NextOffset),
    /// Reading has begun; the topic ended here at that moment.
    Followed(NextOffset),
    /// A command for it, and how far it has been told of everything: what changes an order waits its turn at the reader,
    /// and the others go ahead of it.
    Command(Box<Incoming>, NextOffset),
    /// It has been told everything before this place.
    ReadTo(NextOffset),
}

/// A command with what its execution needs, so that the engine never waits for it.
#[derive(Debug)]
pub struct Incoming {
    /// Where it lies in the commands topic.
    pub offset: RecordOffset,
    /// The command; never unreadable.
    pub read: Read,
    /// redrive, fold: the original record, from the source or from its letter; `None` where neither has it.
    pub original: Option<Record>,
    /// redrive: the request that the letter carries.
    pub request: Option<Bytes>,
}

impl Incoming {
    /// What it draws from the reader's budget.
    pub fn cost(&self) -> usize {
        let original = self.original.as_ref().map_or(0, Record::content_bytes);
        size_of::<Self>() + original + self.request.as_ref().map_or(0, Bytes::len)
    }
}
