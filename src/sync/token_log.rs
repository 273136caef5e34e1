//! The log through which a group's workers share tokens, as two ports. What lies in it is sealed: no room but `http`
//! opens it.

use super::ports::Closed;
use crate::record::RecordOffset;

/// One record of the log.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// What it is about; readable, without a secret.
    pub key: String,
    /// The sealed content.
    pub value: Vec<u8>,
    /// Where it lies.
    pub offset: RecordOffset,
    /// When the broker took it, milliseconds since the epoch by the broker's clock; by the writer's clock where the
    /// topic was made without `message.timestamp.type=LogAppendTime`.
    pub timestamp_ms: i64,
}

/// Writes to the log. Whether a record arrived is seen by reading it back.
pub trait TokenLog: Send + Sync {
    /// What people know it by: the topic's name.
    fn name(&self) -> &str;
    /// Queues one record; never waits.
    fn append(&self, key: &str, value: &[u8]);
    /// What keeps the log from being read or written now, in words for people.
    fn trouble(&self) -> Option<String>;
}

/// Is told every record of the log, from its beginning on, in the order in which they lie.
pub trait TokenLogReader: Send {
    /// Waits while the reader is busy; `Err` once it is gone.
    fn read(&self, entry: LogEntry) -> Result<(), Closed>;
}
