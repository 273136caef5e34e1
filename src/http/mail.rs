//! The way from the log of shared tokens, and from the engine, to the task that shares them.

use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::order::AppId;
use crate::sync::ports::{Closed, TokenGeneration};
use crate::sync::token_log::{LogEntry, TokenLog, TokenLogReader};

/// Records that may wait for the task; each has some hundred bytes, and at most 16 KiB are opened.
const MAIL_MAX: usize = 64;

/// What the task is told.
pub(super) enum Mail {
    /// The engine wants a token newer than this one.
    Want(AppId, TokenGeneration),
    /// A record was read.
    Entry(LogEntry),
}

/// Takes what the log's reader reads.
pub struct GroupReader(Sender<Mail>);

impl TokenLogReader for GroupReader {
    fn read(&self, entry: LogEntry) -> Result<(), Closed> {
        self.0.blocking_send(Mail::Entry(entry)).map_err(|_| Closed)
    }
}

/// The way from the log to the edge, before there is either.
pub struct GroupMail {
    pub(super) sender: Sender<Mail>,
    pub(super) receiver: Receiver<Mail>,
}

impl GroupMail {
    /// Room for a few records.
    #[expect(clippy::new_without_default, reason = "a channel is made where it is named, not by default")]
    pub fn new() -> Self {
        let (sender, receiver) = channel(MAIL_MAX);
        Self { sender, receiver }
    }

    /// The end that is given to the log.
    pub fn reader(&self) -> GroupReader {
        GroupReader(self.sender.clone())
    }
}

/// What an edge needs to share tokens.
pub struct GroupTokens {
    /// The consumer group.
    pub group: String,
    /// Writes.
    pub log: Box<dyn TokenLog>,
    /// Reads.
    pub mail: GroupMail,
}
