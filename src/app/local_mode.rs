//! What a worker has whose state lives in the store alone: the commit without transactions.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::damage;
use super::threads;
use super::vanished;
use super::worker::WorkerError;
use crate::config::Config;
use crate::store::SledStore;
use crate::sync::commit::{CommitThread, LetterDesk, LocalCommit};
use crate::sync::ports::{Inbox, OffsetCommits, OrderCount as _};
use crate::telemetry::Meters;

/// The commit, on a thread of its own. What the store holds by now is said at once, as no commit need come.
pub(super) fn commit(
    config: &Config,
    store: &SledStore,
    (letters, offsets): (LetterDesk, Box<dyn OffsetCommits>),
    meters: Meters,
    inbox: &Arc<dyn Inbox>,
) -> Result<(CommitThread, JoinHandle<()>), WorkerError> {
    let orders = store.orders().map_err(|error| WorkerError::Store(damage::advised(error, config)))?;
    meters.store().orders(orders);
    let sink = vanished::letters(&config.kafka, meters.clone()).map_err(WorkerError::Kafka)?;
    let commit = LocalCommit { writer: Box::new(store.clone()), sink, letters, offsets, meters };
    threads::spawn_commit(Box::new(commit), inbox)
}
