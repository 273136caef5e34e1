//! What the edges tell the engine.

use std::sync::mpsc::SyncSender;
use std::time::Duration;

use super::command_ports::CommandInput;
use super::ports::{Assigned, Epoch, PortError, StartAt, Ticket, TokenFrom, TokenGeneration};
use super::sweep::Swept;
use crate::douyin::verdict::Exchange;
use crate::order::AppId;
use crate::record::{NextOffset, Record, TopicPartition};

/// What the edges tell the engine. One bounded channel carries all of it.
#[derive(Debug)]
pub enum Input {
    /// The group gave us partitions. The engine answers with where to start; the consumer thread waits for it.
    Assigned {
        /// The epoch that begins with this assignment, for these partitions.
        epoch: Epoch,
        /// What was given.
        partitions: Vec<Assigned>,
        /// Takes the answer, in the order of `partitions`. Its channel has room for one: the engine never waits.
        reply: SyncSender<Result<Vec<StartAt>, PortError>>,
    },
    /// A partition is as the changelog says, and so is its store; or it cannot be made so. Sent by the restore thread.
    Restored {
        /// The partition's epoch.
        epoch: Epoch,
        /// The source partition.
        source: TopicPartition,
        /// What came of it.
        result: Result<(), PortError>,
    },
    /// Where reading of a partition really started, and the high watermark seen then.
    Started {
        /// The partition's epoch.
        epoch: Epoch,
        /// The source partition.
        source: TopicPartition,
        /// The first offset that will be read.
        at: NextOffset,
        /// The broker's end of the partition at that moment.
        high_watermark: NextOffset,
    },
    /// The group takes partitions back. The engine commits within the deadline, drops the rest, then answers.
    Revoked {
        /// What is taken.
        partitions: Vec<TopicPartition>,
        /// True where they are gone already: nothing may be committed for them.
        lost: bool,
        /// Takes the answer. Its channel has room for one: the engine never waits.
        reply: SyncSender<()>,
    },
    /// Records of one partition, in order.
    Records {
        /// The partition's epoch.
        epoch: Epoch,
        /// The source partition.
        source: TopicPartition,
        /// At least one.
        records: Vec<Record>,
    },
    /// No record stands between the last one that was handed over and this offset: what is there are markers of transactions,
    /// or records that were taken back. Said again and again until the next record.
    Passed {
        /// The partition's epoch.
        epoch: Epoch,
        /// The source partition.
        source: TopicPartition,
        /// The offset that comes next.
        next: NextOffset,
    },
    /// The broker's end of a partition, for the lag.
    HighWatermark {
        /// The source partition.
        source: TopicPartition,
        /// The end.
        high_watermark: NextOffset,
    },
    /// An attempt has ended.
    Attempted {
        /// The attempt.
        ticket: Ticket,
        /// The token that it carried; 0 where there was none and nothing was sent.
        token: TokenGeneration,
        /// What came back.
        exchange: Exchange,
        /// From start to whole answer.
        latency: Duration,
    },
    /// A token is at hand.
    TokenFetched {
        /// The app.
        app_id: AppId,
        /// Its name.
        token: TokenGeneration,
        /// How long it lives from now, by the platform's word.
        lifetime: Duration,
        /// Who fetched it.
        from: TokenFrom,
    },
    /// No token: the fetch failed.
    TokenRefused {
        /// The app.
        app_id: AppId,
        /// Why, and whose business it is.
        refused: crate::douyin::token::Refused,
    },
    /// A commit has ended; sent by the commit thread.
    Committed(Result<(), PortError>),
    /// The answer to the question whether any record stands at or behind `next`; sent by the commit thread.
    EndProbed {
        /// The source partition.
        source: TopicPartition,
        /// The position that was asked about.
        next: NextOffset,
        /// Whether nothing is left to read.
        at_end: Result<bool, PortError>,
    },
    /// A page of the store was looked through for orders that may leave; sent by the sweep's thread.
    Swept(Swept),
    /// News of the commands topic.
    Commands(CommandInput),
    /// An edge cannot go on; the worker stops with these words.
    Failed(PortError),
    /// Source records were removed unread: what came is committed, then the worker stops with these words, or later ones.
    RecordsGone(String),
    /// Whether some records may be in their topic no more: meanwhile all is folded, whatever is owed.
    RecordsPressed(bool),
    /// Drain and stop.
    Shutdown,
}
