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
use super::local_mode;
use super::log_mode::{self, Closing};
use super::topics::{self, Own, Prepared, Preparing};
use super::{damage, retired, settings, threads};
use crate::config::Config;
use crate::douyin::OutcomeTable;
use crate::http::{GroupMail, GroupTokens, HttpEdge};
use crate::kafka::commands::CommandsTopic;
use crate::kafka::consumer::Consumer;
use crate::kafka::source::SourceTopics;
use crate::kafka::token_topic::TokenTopic;
use crate::kafka::transactions::{self, Transactions};
use crate::store::{Owner, SledStore};
use crate::sync::cache::Cache;
use crate::sync::command_ports::CommandFeed;
use crate::sync::commit::{CommitThread, LetterDesk};
use crate::sync::engine::{Drained, Ended, Engine, Ports};
use crate::sync::intake::IntakeBudget;
use crate::sync::letter::Origin;
use crate::sync::ports::{
    By, Inbox, Input, Membership, OffsetCommits, PortError, Restorer, StateReader, UnitLedger as _,
};
use crate::sync::restore_thread::RestoreThreads;
use crate::sync::rules::End;
use crate::sync::runner::{self, Queue};
use crate::sync::status::{Status, StatusBoard};
use crate::sync::sweep::{SweepThread, Sweeper};
use crate::sync::units::UnitsInForce;
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
            return Err(threads::broken("the worker has ended, and has said how"));
        };
        let result = ended.await;
        self.ended = None;
        result.unwrap_or_else(|_| Err(threads::broken("the engine's thread has panicked; please report it")))
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
        let changelog = config.kafka.exactly_once.then(|| config.kafka.changelog_topic.clone());
        let owner = Owner { group_id: config.kafka.group_id.clone(), cluster_id: None, changelog, now_ms: wall_ms() };
        let unusable = |error| WorkerError::Store(damage::advised(error, config));
        let mut store = log_mode::open_store(&config.store, &owner).map_err(unusable)?;
        let units = Arc::new(UnitsInForce::from(settings::units(config)));
        units.tell_change_from(&store.agree_units(units.all()).map_err(unusable)?);
        self.say("waiting for Kafka: the topics have not been seen yet");
        let own = if config.douyin.share_tokens { Own::WithTokens } else { Own::WithoutTokens };
        let used = store.has_positions().map_err(unusable)?;
        let transactional_id =
            config.kafka.exactly_once.then(|| transactions::transactional_id(&config.kafka, &store.store_id()));
        let counts = topics::noted_counts(&store).map_err(unusable)?;
        let is_home = |id: &str| store.check_cluster(id);
        let preparing = Preparing { is_home: &is_home, used, own, counts, transactional_id };
        let prepared = topics::prepare(&config.kafka, preparing, &self.stop, &|what| self.say(what));
        match prepared.map_err(topics::whose)? {
            Prepared::Ready { cluster_id: Some(id) } => store.agree_cluster(&id).map_err(unusable)?,
            Prepared::Ready { cluster_id: None } => {}
            Prepared::Stopped => return Ok(Ended::Stopped(Drained::default())),
        }
        retired::warn(&store, &config.kafka.topics);
        let (queue, inputs) = runner::queue(config.delivery.max_in_flight + QUEUE_BESIDE_ATTEMPTS);
        let inbox: Arc<dyn Inbox> = Arc::clone(&queue) as Arc<dyn Inbox>;
        let budget = Arc::new(IntakeBudget::new(INTAKE_BYTES));
        let consumer = Consumer::start(&config.kafka, Arc::clone(&inbox), Arc::clone(&budget));
        let consumer = consumer.map_err(WorkerError::Kafka)?;
        let closing = Closing::default();
        let (sweeper, sweeping) = self.sweeper(&store, &inbox)?;
        let parts = if config.kafka.exactly_once {
            match self.log_parts(&consumer, store, &units, &inbox, &closing)? {
                Some(parts) => parts,
                None => return Ok(Ended::Stopped(Drained::default())),
            }
        } else {
            self.local_parts(&consumer, store, &inbox)?
        };
        let Parts { reader, commits, restore, threads: mut beside } = parts;
        beside.extend(sweeping);
        let (attempts, token_topic) = self.attempts(&inbox)?;
        let commands = self.commands(&reader, &consumer, &inbox)?;
        let feed = commands.as_ref().map(|topic| Box::new(topic.feed()) as Box<dyn CommandFeed>);
        let engine = self.engine(&consumer, reader, commits, (restore, sweeper), (attempts, feed), budget)?;
        self.health.set_phase(Phase::Running(consumer.status()));
        self.forward_stop(queue);
        let ended = threads::run_beside(engine, inputs, &closing, beside);
        drop((token_topic, commands));
        consumer.stop();
        self.concluded(ended)
    }

    fn concluded(&self, ended: Ended) -> Result<Ended, WorkerError> {
        let config = &self.options.config;
        Err(WorkerError::Store(match ended {
            Ended::Failed(PortError::Damaged(words)) if config.kafka.exactly_once => {
                // The process may be wrong about more than its store: whoever starts it again gets a new one.
                let to = log_mode::set_store_aside(&config.store, &words).map_err(WorkerError::Store)?;
                damage::moved(&words, &to, config)
            }
            Ended::Failed(why @ (PortError::Damaged(_) | PortError::Refused(By::Store | By::StoreInUse, _))) => {
                damage::advised(why, config)
            }
            Ended::Failed(error @ PortError::Refused(By::Kafka, _)) => return Err(WorkerError::Kafka(error)),
            Ended::Failed(PortError::Passing(_) | PortError::Fatal(_)) | Ended::Stopped(_) | Ended::CaughtUp(_) => {
                return Ok(ended);
            }
        }))
    }

    fn engine(
        &self,
        consumer: &Consumer,
        reader: Arc<dyn StateReader>,
        commits: CommitThread,
        (restore, sweeper): (Option<RestoreThreads>, Option<SweepThread>),
        (attempts, commands): (HttpEdge, Option<Box<dyn CommandFeed>>),
        budget: Arc<IntakeBudget>,
    ) -> Result<Engine, WorkerError> {
        let config = &self.options.config;
        let outcomes = self.outcomes()?;
        let ports = Ports {
            reader,
            intake: Box::new(consumer.intake()),
            attempts: Box::new(attempts),
            commits: Box::new(commits),
            commands,
            membership: config.kafka.exactly_once.then(|| Box::new(consumer.membership()) as Box<dyn Membership>),
            restore: restore.map(|restore| Box::new(restore) as Box<dyn Restorer>),
            sweeper: sweeper.map(|sweeper| Box::new(sweeper) as Box<dyn Sweeper>),
            budget,
        };
        let rules = settings::rules(config, outcomes, self.options.end);
        let rng = fastrand::Rng::new();
        Ok(Engine::new(rules, ports, self.options.meters.clone(), rng, Arc::clone(&self.board)))
    }

    /// The commands topic; nobody reads it without transactions, as a command could act twice then.
    fn commands(
        &self,
        store: &Arc<dyn StateReader>,
        consumer: &Consumer,
        inbox: &Arc<dyn Inbox>,
    ) -> Result<Option<CommandsTopic>, WorkerError> {
        let kafka = &self.options.config.kafka;
        let start = || CommandsTopic::start(kafka, Arc::clone(store), Arc::clone(inbox), consumer.status());
        kafka.exactly_once.then(start).transpose().map_err(WorkerError::Kafka)
    }

    fn outcomes(&self) -> Result<Arc<OutcomeTable>, WorkerError> {
        let outcomes = settings::outcomes(&self.options.config);
        Ok(Arc::new(outcomes.map_err(|error| WorkerError::Setting(error.to_string()))?))
    }

    /// The way to the platform, and the topic through which its tokens are shared, where they are.
    fn attempts(&self, inbox: &Arc<dyn Inbox>) -> Result<(HttpEdge, Option<TokenTopic>), WorkerError> {
        let config = &self.options.config;
        let (outcomes, runtime) = (self.outcomes()?, self.runtime.clone());
        let max_in_flight = config.delivery.max_in_flight;
        let edge = HttpEdge::new(&config.douyin, &config.apps, max_in_flight, outcomes, runtime, Arc::clone(inbox));
        let edge = edge.map_err(|error| WorkerError::Setting(error.to_string()))?;
        if !config.douyin.share_tokens {
            return Ok((edge, None));
        }
        let mail = GroupMail::new();
        let topic = TokenTopic::start(&config.kafka, Box::new(mail.reader())).map_err(WorkerError::Kafka)?;
        let tokens = GroupTokens { group: config.kafka.group_id.clone(), log: Box::new(topic.writer()), mail };
        Ok((edge.sharing(tokens, &config.douyin), Some(topic)))
    }

    /// Looks for orders that may leave, where any ever may.
    fn sweeper(
        &self,
        store: &SledStore,
        inbox: &Arc<dyn Inbox>,
    ) -> Result<(Option<SweepThread>, Option<JoinHandle<()>>), WorkerError> {
        if self.options.config.store.retain.is_none() {
            return Ok((None, None));
        }
        let (sweeper, run) = SweepThread::new(Arc::new(store.clone()), Arc::clone(inbox));
        Ok((Some(sweeper), Some(threads::spawn("sweep", run, inbox)?)))
    }

    fn letters(&self) -> Result<LetterDesk, WorkerError> {
        let config = &self.options.config;
        Ok(LetterDesk {
            source: Box::new(SourceTopics::connect(&config.kafka).map_err(WorkerError::Kafka)?),
            origin: Origin { group: config.kafka.group_id.clone(), version: env!("CARGO_PKG_VERSION").to_owned() },
        })
    }

    /// Without transactions: the store is the truth.
    fn local_parts(&self, consumer: &Consumer, store: SledStore, inbox: &Arc<dyn Inbox>) -> Result<Parts, WorkerError> {
        let own = (self.letters()?, Box::new(consumer.commits()) as Box<dyn OffsetCommits>);
        let options = &self.options;
        let (commits, committer) = local_mode::commit(&options.config, &store, own, options.meters.clone(), inbox)?;
        Ok(Parts { reader: Arc::new(store), commits, restore: None, threads: vec![committer] })
    }

    /// With transactions: the changelog is the truth. `None` where the worker is stopped before they can begin.
    fn log_parts(
        &self,
        consumer: &Consumer,
        store: SledStore,
        units: &Arc<UnitsInForce>,
        inbox: &Arc<dyn Inbox>,
        closing: &Closing,
    ) -> Result<Option<Parts>, WorkerError> {
        let kafka = &self.options.config.kafka;
        let (say, stopped) = (|what: &str| self.say(what), || self.stop.is_cancelled());
        let (id, meters) = (store.store_id(), self.options.meters.clone());
        let transactions = Transactions::new(kafka, &id, consumer.fence(), meters);
        let begun = log_mode::begin(transactions, &say, &stopped).map_err(WorkerError::Kafka)?;
        let Some(transactions) = begun else { return Ok(None) };
        let cache = Cache::new(Arc::new(store), self.options.meters.clone());
        let (commits, committers) =
            log_mode::commit(kafka, (transactions, &cache), self.letters()?, closing.clone(), inbox)?;
        let (restore, restorers) = log_mode::restore(kafka, units, &cache, &self.options.meters, inbox)?;
        let threads = committers.into_iter().chain(restorers).collect();
        Ok(Some(Parts { reader: Arc::new(cache), commits, restore: Some(restore), threads }))
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

/// What differs between a worker with transactions and one without.
struct Parts {
    reader: Arc<dyn StateReader>,
    commits: CommitThread,
    restore: Option<RestoreThreads>,
    threads: Vec<JoinHandle<()>>,
}

/// The wall clock, milliseconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "the shell is where time enters")]
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
