//! Reads the commands topic on a thread of its own: what the engine follows, from where it says, and with each command
//! what its execution needs. It joins no group and commits nothing; the position is the engine's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::chatter::Chatter;
use super::client;
use super::command_ends::EndsWatch;
use super::command_feed::{Ask, Feed};
use super::command_places::Queue;
use super::command_reader::Reader;
use super::command_records::CommandRecords;
use super::failure::port_error;
use super::status::Status;
use crate::config;
use crate::sync::followers::Followers;
use crate::sync::intake::IntakeBudget;
use crate::sync::ports::{Inbox, PortError, StateReader};

/// Bytes of commands, with their records, that the engine may hold.
const ENGINE_BYTES: usize = 8 << 20;
/// Bytes of commands that wait their turn; more are not read until some are executed.
const WAITING_BYTES: usize = 16 << 20;
/// Partitions that may come and go while the reader is busy.
const ASKS_MAX: usize = 16_384;

/// The reader's thread, until it is dropped.
pub struct CommandsTopic {
    asks: SyncSender<Ask>,
    budget: Arc<IntakeBudget>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl CommandsTopic {
    /// Starts to read; nothing is followed yet.
    pub fn start(
        config: &config::Kafka,
        store: Arc<dyn StateReader>,
        inbox: Arc<dyn Inbox>,
        status: Status,
    ) -> Result<Self, PortError> {
        Self::start_with(config, store, inbox, status, WAITING_BYTES)
    }

    fn start_with(
        config: &config::Kafka,
        store: Arc<dyn StateReader>,
        inbox: Arc<dyn Inbox>,
        status: Status,
        room: usize,
    ) -> Result<Self, PortError> {
        let topic = config.commands_topic();
        let stop = CancellationToken::new();
        let consumer = client::reader(config)?
            .set("fetch.wait.max.ms", "500")
            .create_with_context(Chatter::new(config, Status::new()))
            .map_err(|e| port_error("cannot make the reader of commands", &e))?;
        let (asks, asked) = sync_channel(ASKS_MAX);
        let budget = Arc::new(IntakeBudget::new(ENGINE_BYTES));
        let reader = Reader {
            topic,
            consumer,
            records: CommandRecords::connect(config, &stop)?,
            store,
            asked,
            unplaced: Queue::default(),
            stuck: None,
            followers: Followers::default(),
            room,
            told: BTreeMap::new(),
            inbox,
            budget: Arc::clone(&budget),
            status,
            again: Instant::now(),
            moved: false,
            silent: false,
            ends: EndsWatch::new(),
            stop: stop.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("commands".to_owned())
            .spawn(move || reader.run())
            .map_err(|error| PortError::Fatal(format!("cannot start the reader of commands: {error}")))?;
        Ok(Self { asks, budget, stop, thread: Some(thread) })
    }

    /// The engine's end.
    pub fn feed(&self) -> Feed {
        Feed::new(self.asks.clone(), Arc::clone(&self.budget))
    }
}

impl Drop for CommandsTopic {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap_or(());
        }
    }
}

#[cfg(test)]
#[path = "commands_tests.rs"]
mod tests;
