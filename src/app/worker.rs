//! The composition root: brings the rooms together on their threads, watches them, and takes them down in order.
//!
//! The engine has a thread of its own, the commit has one, the consumer has one; attempts run on the tokio runtime.
//! A thread that dies ends the worker: nothing is restarted in a process that may be wrong about itself.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::SystemTime;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::health::{Phase, WorkerHealth};
use super::settings;
use super::topics::{self, Prepared};
use crate::config::Config;
use crate::http::HttpEdge;
use crate::kafka::consumer::Consumer;
use crate::kafka::dead_letters::DeadLetterTopic;
use crate::kafka::source::SourceTopics;
use crate::store::{Owner, SledStore};
use crate::sync::commit::{CommitThread, CutCommit, LetterDesk, LocalCommit};
use crate::sync::engine::{Drained, Ended, Engine, Ports};
use crate::sync::intake::IntakeBudget;
use crate::sync::letter::Origin;
use crate::sync::ports::{Inbox, Input, PortError, UnitLedger as _};
use crate::sync::rules::End;
use crate::sync::runner::{self, Queue};
use crate::sync::status::{Status, StatusBoard};
use crate::telemetry::{Meters, event};

/// Bytes of records that may be under way from the consumer to the engine.
const INTAKE_BYTES: usize = 4 << 20;
/// Inputs beside the answers of attempts that the engine's queue holds.
const QUEUE_BESIDE_ATTEMPTS: usize = 4096;

/// What a worker is started with.
pub struct WorkerOptions {
    /// The settings.
    pub config: Arc<Config>,
    /// When it ends by itself.
    pub end: End,
    /// Where it counts.
    pub meters: Meters,
}

/// Why a worker cannot start or go on, by the room that says so.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The store cannot be used.
    #[error("the store cannot be used")]
    Store(#[source] PortError),
    /// Kafka refuses for good.
    #[error("Kafka cannot be used")]
    Kafka(#[source] PortError),
    /// A setting that only its room can judge.
    #[error("a setting cannot be used: {0}")]
    Setting(String),
    /// Anything else: the engine cannot go on.
    #[error("the worker cannot go on")]
    Engine(#[source] PortError),
}

/// A running worker.
pub struct Worker {
    stop: CancellationToken,
    ended: Option<oneshot::Receiver<Result<Ended, WorkerError>>>,
    health: Arc<WorkerHealth>,
    board: Arc<StatusBoard>,
}

impl Worker {
    /// Starts a worker on a thread of its own; its attempts run on `runtime`.
    pub fn start(options: WorkerOptions, runtime: Handle) -> Result<Self, std::io::Error> {
        let board = Arc::new(StatusBoard::default());
        let health = Arc::new(WorkerHealth::new(Arc::clone(&board)));
        let stop = CancellationToken::new();
        let (tell, ended) = oneshot::channel();
        let site =
            Site { options, runtime, board: Arc::clone(&board), health: Arc::clone(&health), stop: stop.clone() };
        std::thread::Builder::new().name("engine".to_owned()).spawn(move || {
            let result = site.work();
            site.health.set_phase(Phase::Ended);
            // Nobody waits where the command was cut short.
            tell.send(result).ok();
        })?;
        Ok(Self { stop, ended: Some(ended), health, board })
    }

    /// What the probes are told.
    pub fn health(&self) -> Arc<WorkerHealth> {
        Arc::clone(&self.health)
    }

    /// The engine's latest snapshot.
    pub fn status(&self) -> Status {
        self.board.read()
    }

    /// Drains and stops; [`Worker::ended`] tells when.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits for the end, and tells it once.
    pub async fn ended(&mut self) -> Result<Ended, WorkerError> {
        let Some(ended) = &mut self.ended else {
            return Err(broken("the worker has ended, and has said how"));
        };
        let result = ended.await;
        self.ended = None;
        result.unwrap_or_else(|_| Err(broken("the engine's thread has panicked; please report it")))
    }
}

/// Everything the engine's thread works with.
struct Site {
    options: WorkerOptions,
    runtime: Handle,
    board: Arc<StatusBoard>,
    health: Arc<WorkerHealth>,
    stop: CancellationToken,
}

impl Site {
    fn work(&self) -> Result<Ended, WorkerError> {
        let config = &self.options.config;
        self.say("opening the store");
        let owner = Owner { group_id: config.kafka.group_id.clone(), cluster_id: None, now_ms: wall_ms() };
        let mut store = SledStore::open(&config.store, &owner).map_err(WorkerError::Store)?;
        store.agree_units(&settings::units(config)).map_err(WorkerError::Store)?;
        self.say("waiting for Kafka: the topics have not been seen yet");
        let prepared = topics::prepare(&config.kafka, &self.stop, &|what| self.say(what));
        if prepared.map_err(WorkerError::Kafka)? == Prepared::Stopped {
            return Ok(Ended::Stopped(Drained::default()));
        }
        let (queue, inputs) = runner::queue(config.delivery.max_in_flight + QUEUE_BESIDE_ATTEMPTS);
        let inbox: Arc<dyn Inbox> = Arc::clone(&queue) as Arc<dyn Inbox>;
        let budget = Arc::new(IntakeBudget::new(INTAKE_BYTES));
        let consumer = Consumer::start(&config.kafka, Arc::clone(&inbox), Arc::clone(&budget));
        let consumer = consumer.map_err(WorkerError::Kafka)?;
        let (commits, committer) = self.commit_thread(&consumer, &store, &inbox)?;
        let engine = self.engine(&consumer, store, commits, &inbox, budget)?;
        self.health.set_phase(Phase::Running(consumer.status()));
        self.forward_stop(queue);
        let ended = runner::run(engine, &inputs, wall_ms);
        // The queue is gone with `inputs`: the consumer's last words to the engine are not waited for.
        drop(inputs);
        committer.join().ok();
        consumer.stop();
        Ok(ended)
    }

    fn engine(
        &self,
        consumer: &Consumer,
        store: SledStore,
        commits: CommitThread,
        inbox: &Arc<dyn Inbox>,
        budget: Arc<IntakeBudget>,
    ) -> Result<Engine, WorkerError> {
        let config = &self.options.config;
        let outcomes = settings::outcomes(config).map_err(|error| WorkerError::Setting(error.to_string()))?;
        let outcomes = Arc::new(outcomes);
        let attempts = HttpEdge::new(
            &config.douyin,
            &config.apps,
            config.delivery.max_in_flight,
            Arc::clone(&outcomes),
            self.runtime.clone(),
            Arc::clone(inbox),
        )
        .map_err(|error| WorkerError::Setting(error.to_string()))?;
        let ports = Ports {
            reader: Arc::new(store),
            intake: Box::new(consumer.intake()),
            attempts: Box::new(attempts),
            commits: Box::new(commits),
            budget,
        };
        let rules = settings::rules(config, outcomes, self.options.end);
        let rng = fastrand::Rng::new();
        Ok(Engine::new(rules, ports, self.options.meters.clone(), rng, Arc::clone(&self.board)))
    }

    fn commit_thread(
        &self,
        consumer: &Consumer,
        store: &SledStore,
        inbox: &Arc<dyn Inbox>,
    ) -> Result<(CommitThread, JoinHandle<()>), WorkerError> {
        let config = &self.options.config;
        let commit = LocalCommit {
            writer: Box::new(store.clone()),
            sink: Box::new(DeadLetterTopic::connect(&config.kafka).map_err(WorkerError::Kafka)?),
            letters: LetterDesk {
                source: Box::new(SourceTopics::connect(&config.kafka).map_err(WorkerError::Kafka)?),
                origin: Origin { group: config.kafka.group_id.clone(), version: env!("CARGO_PKG_VERSION").to_owned() },
            },
            offsets: Box::new(consumer.commits()),
        };
        spawn_commit(Box::new(commit), inbox)
    }

    fn forward_stop(&self, queue: Arc<Queue>) {
        let (stop, deadline) = (self.stop.clone(), self.options.config.shutdown_timeout);
        self.runtime.spawn(async move {
            stop.cancelled().await;
            event::ShutdownStarted { cause: "told to stop", deadline }.emit();
            // The engine takes inputs all the time: a full queue is short-lived. Gone is as good as told.
            tokio::task::spawn_blocking(move || queue.send(Input::Shutdown)).await.ok();
        });
    }

    fn say(&self, what: &str) {
        self.health.set_phase(Phase::Starting(what.to_owned()));
    }
}

/// Starts the commit thread. Where it dies, the engine is told and ends.
fn spawn_commit(
    commit: Box<dyn CutCommit>,
    inbox: &Arc<dyn Inbox>,
) -> Result<(CommitThread, JoinHandle<()>), WorkerError> {
    let (thread, run) = CommitThread::new(commit, Arc::clone(inbox));
    let guard = DeathNotice(Arc::clone(inbox));
    let handle = std::thread::Builder::new()
        .name("commit".to_owned())
        .spawn(move || {
            run();
            drop(guard);
        })
        .map_err(|error| broken(&format!("cannot start the commit thread: {error}")))?;
    Ok((thread, handle))
}

fn broken(words: &str) -> WorkerError {
    WorkerError::Engine(PortError::Fatal(words.to_owned()))
}

/// Tells the engine when it is dropped by a panic.
struct DeathNotice(Arc<dyn Inbox>);

impl Drop for DeathNotice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let words = "the commit thread has panicked; please report it".to_owned();
            self.0.send(Input::Failed(PortError::Fatal(words))).ok();
        }
    }
}

/// The wall clock, milliseconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "the shell is where time enters")]
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
