//! What a worker has whose state lives in the changelog: transactions, restores, and the store as their cache.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::threads;
use super::vanished;
use super::worker::{WorkerError, wall_ms};
use crate::config;
use crate::kafka::changelog::Changelog;
use crate::kafka::topics::Topics;
use crate::kafka::transactions::Transactions;
use crate::store::{self, Owner, SledStore};
use crate::sync::cache::{Cache, CacheWriter};
use crate::sync::commit::{CommitThread, LetterDesk};
use crate::sync::log_commit::LogCommit;
use crate::sync::log_ports::{Patience, TransactionLog as _};
use crate::sync::ports::{Closed, Inbox, PortError};
use crate::sync::restore::{BATCH_BYTES, RestoreSite};
use crate::sync::restore_thread::{RestoreThread, RestoreThreads};
use crate::sync::units::UnitsInForce;
use crate::telemetry::{Meters, event};

/// Restores side by side at most: the records that each has fetched and gathered were measured at 40 MB.
const RESTORES_MAX: usize = 4;
/// How often transactions are tried to be begun while the brokers are away.
const AGAIN: Duration = Duration::from_millis(500);

/// Says to the threads beside the engine that it has ended.
#[derive(Clone, Default)]
pub(super) struct Closing(Arc<(Mutex<bool>, Condvar)>);

impl Closing {
    /// The engine has ended: whoever waits stops waiting.
    pub(super) fn close(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }
}

impl Patience for Closing {
    fn pause(&self, wait: Duration) -> Result<(), Closed> {
        let closed = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(closed, wait, |closed| !*closed);
        if *waited.unwrap_or_else(PoisonError::into_inner).0 { Err(Closed) } else { Ok(()) }
    }

    fn wall_ms(&self) -> i64 {
        wall_ms()
    }
}

/// Opens the store. Where it is a cache and cannot be read it is set aside, and a new one is begun: the changelog has all.
pub(super) fn open_store(config: &config::Store, owner: &Owner) -> Result<SledStore, PortError> {
    match SledStore::open(config, owner) {
        Err(PortError::Damaged(words)) if owner.changelog.is_some() => {
            set_store_aside(config, &words)?;
            SledStore::open(config, owner)
        }
        opened => opened,
    }
}

/// Moves a store that cannot be read out of the way.
pub(super) fn set_store_aside(config: &config::Store, reason: &str) -> Result<PathBuf, PortError> {
    let to = store::set_aside(&config.path, wall_ms())?;
    event::StoreSetAside { to: &to, reason }.emit();
    Ok(to)
}

/// Transactions of this worker, begun: whatever an earlier run of it left open is ended. `None` where `stopped` says so
/// first.
pub(super) fn begin(
    mut transactions: Transactions,
    say: &dyn Fn(&str),
    stopped: &dyn Fn() -> bool,
) -> Result<Option<Transactions>, PortError> {
    let mut told = String::new();
    while !stopped() {
        match transactions.recover() {
            Ok(()) => return Ok(Some(transactions)),
            Err(PortError::Passing(words)) => {
                if words != told {
                    event::WaitingForKafka { reason: &words }.emit();
                    say(&format!("waiting for Kafka: {words}"));
                    told = words;
                }
                let began = Instant::now();
                while began.elapsed() < AGAIN && !stopped() {
                    std::thread::park_timeout(AGAIN / 10);
                }
            }
            Err(fatal @ (PortError::Fatal(_) | PortError::Damaged(_) | PortError::Refused(..))) => return Err(fatal),
        }
    }
    Ok(None)
}

/// The commit by transactions, on a thread of its own, and beside it the one that writes the cache out.
pub(super) fn commit(
    config: &config::Kafka,
    (transactions, cache): (Transactions, &Cache),
    letters: LetterDesk,
    closing: Closing,
    inbox: &Arc<dyn Inbox>,
) -> Result<(CommitThread, [JoinHandle<()>; 2]), WorkerError> {
    let (writer, write_out) = CacheWriter::new(cache.clone(), Arc::clone(inbox));
    let commit = LogCommit {
        log: Box::new(vanished::commits(transactions, config)),
        changelog: Box::new(Changelog::connect(config).map_err(WorkerError::Kafka)?),
        cache: cache.clone(),
        writer: Some(writer),
        letters,
        patience: Box::new(closing),
    };
    let (commits, committer) = threads::spawn_commit(Box::new(commit), inbox)?;
    Ok((commits, [committer, threads::spawn("cache", write_out, inbox)?]))
}

/// The restores, and the threads that they run on: as many as there are cores, up to a few.
pub(super) fn restore(
    config: &config::Kafka,
    units: &Arc<UnitsInForce>,
    cache: &Cache,
    meters: &Meters,
    inbox: &Arc<dyn Inbox>,
) -> Result<(RestoreThreads, Vec<JoinHandle<()>>), WorkerError> {
    let count = std::thread::available_parallelism().map_or(1, usize::from).min(RESTORES_MAX);
    let topics = Topics::connect(config).map_err(WorkerError::Kafka)?;
    let tombstones_kept = topics.tombstones_kept(config).map_err(WorkerError::Kafka)?;
    let (mut restores, mut handles) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for _ in 0..count {
        let site = RestoreSite {
            changelog: Box::new(Changelog::connect(config).map_err(WorkerError::Kafka)?),
            cache: cache.clone(),
            meters: meters.clone(),
            topic: config.changelog_topic.clone(),
            group: Arc::from(config.group_id.as_str()),
            tombstones_kept,
            batch_bytes: BATCH_BYTES,
            units: Arc::clone(units),
        };
        let (thread, run) = RestoreThread::new(site, Arc::clone(inbox), wall_ms);
        restores.push(thread);
        handles.push(threads::spawn("restore", run, inbox)?);
    }
    Ok((RestoreThreads::new(restores), handles))
}
