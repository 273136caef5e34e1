//! The consumer thread's loop: serve the group, start what was given, hand records over, watch the brokers.
//!
//! Nothing here waits for a broker longer than one bounded question, so that rebalances are always served.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::alone::Company;
use super::keying::Keys;
use super::partition::{GroupConsumer, Reading, Stage};
use super::shared::Shared;
use super::start;
use super::unread::Found;
use super::watch::Watch;
use crate::config::{self, StartFrom};
use crate::kafka::failure::{describe, port_error};
use crate::kafka::status::{Problem, Status};
use crate::record::TopicPartition;
use crate::sync::intake::IntakeBudget;
use crate::sync::ports::{Epoch, Inbox, Input, PortError};

/// Longest sleep with nothing to do; a ring ends it.
const IDLE: Duration = Duration::from_millis(100);
/// Sleep while the engine has no room; folding is faster than this.
const STARVED: Duration = Duration::from_millis(1);

/// How often the commit thread is answered while this thread waits for the engine.
const ANSWER_LOOK: Duration = Duration::from_millis(2);

/// The engine has ended, or we are told to stop.
pub(super) struct Ended;

pub(super) struct Worker {
    pub(super) consumer: Arc<GroupConsumer>,
    pub(super) shared: Arc<Shared>,
    pub(super) status: Status,
    pub(super) inbox: Arc<dyn Inbox>,
    pub(super) budget: Arc<IntakeBudget>,
    pub(super) topics: Vec<String>,
    pub(super) start_from: StartFrom,
    /// Whether nothing but the store says where reading starts: without transactions.
    pub(super) store_alone: bool,
    pub(super) revoke_timeout: Duration,
    pub(super) partitions: BTreeMap<TopicPartition, Stage>,
    /// Partitions that are being given back: ours until the engine has answered.
    pub(super) leaving: HashMap<TopicPartition, Epoch>,
    pub(super) epoch: Epoch,
    /// Which partition is served first, for fairness.
    pub(super) turn: usize,
    pub(super) watch: Watch,
    pub(super) keys: Keys,
    pub(super) company: Company,
    pub(super) found: Found,
    /// For questions about topics.
    pub(super) kafka: config::Kafka,
    /// When a question about a missing record may be asked again.
    pub(super) missing_at: Instant,
    /// When a start that failed is tried again.
    pub(super) start_at: Instant,
}

/// What one round of handing over came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// Records went over.
    Moved,
    /// There were none.
    Idle,
    /// The engine has no room.
    Starved,
}

impl Worker {
    pub(super) fn new(
        config: &config::Kafka,
        consumer: Arc<GroupConsumer>,
        shared: Arc<Shared>,
        status: Status,
        inbox: Arc<dyn Inbox>,
        budget: Arc<IntakeBudget>,
    ) -> Self {
        let now = Instant::now();
        Self {
            consumer,
            shared,
            status,
            inbox,
            budget,
            topics: config.topics.clone(),
            start_from: config.start_from,
            store_alone: !config.exactly_once,
            revoke_timeout: config.revoke_timeout,
            partitions: BTreeMap::new(),
            leaving: HashMap::new(),
            epoch: Epoch::default(),
            turn: 0,
            watch: Watch::new(now),
            keys: Keys::default(),
            company: Company::of(config),
            found: Found::default(),
            kafka: config.clone(),
            missing_at: now,
            start_at: now,
        }
    }

    pub(super) fn run(mut self) {
        while !self.shared.stopping() {
            match self.round() {
                Ok(Round::Moved) => {}
                Ok(Round::Idle) => self.shared.bell.wait(IDLE),
                Ok(Round::Starved) => self.shared.bell.wait(STARVED),
                Err(Ended) => break,
            }
        }
        self.leave();
    }

    fn round(&mut self) -> Result<Round, Ended> {
        self.serve_group()?;
        self.serve_commits();
        self.commit();
        self.watch_brokers()?;
        self.start_partitions()?;
        let round = self.hand_over()?;
        self.ask_missing()?;
        self.ask_refused()?;
        self.look_at_others();
        self.tell_pressed()?;
        self.tell_unread()?;
        Ok(round)
    }

    /// Rebalances, errors, commit results and log lines. Records have their own queues.
    pub(super) fn serve_group(&mut self) -> Result<(), Ended> {
        loop {
            self.poll_dry()?;
            let Some(rebalance) = self.consumer.context().next_rebalance() else { break };
            self.rebalance(rebalance)?;
        }
        self.look_for_renewed()
    }

    /// Polls the group's queue dry; a rebalance waits for [`Self::serve_group`].
    pub(super) fn poll_dry(&mut self) -> Result<(), Ended> {
        let mut quiet = 0;
        // Twice, as an event that nobody here is told of answers nothing, too.
        while quiet < 2 && !self.shared.stopping() {
            // Cloned, as the answer borrows the consumer and what follows changes this worker.
            let consumer = Arc::clone(&self.consumer);
            let served = consumer.context().served();
            match consumer.poll(Duration::ZERO) {
                None if consumer.context().served() == served => quiet += 1,
                // The binding took it for itself: a log line, say.
                None => quiet = 0,
                Some(Ok(message)) => {
                    quiet = 0;
                    self.stray(&message);
                }
                Some(Err(error)) => {
                    quiet = 0;
                    self.group_error(&error)?;
                }
            }
        }
        Ok(())
    }

    /// A topic that was deleted and created again under this worker: nothing more of it is handed on, and the worker stops.
    /// Partitions that have not begun are looked at when they do.
    pub(super) fn look_for_renewed(&mut self) -> Result<(), Ended> {
        for topic in self.consumer.context().take_renewed() {
            let ours = |source: &TopicPartition| *source.topic == *topic;
            let has_begun =
                |stage: &Stage| matches!(stage, Stage::Restoring { .. } | Stage::Told { .. } | Stage::Reading(_));
            if !self.partitions.iter().any(|(source, stage)| ours(source) && has_begun(stage)) {
                continue;
            }
            self.give_up_topic(&topic, start::renewed(&topic))?;
        }
        Ok(())
    }

    fn group_error(&mut self, error: &KafkaError) -> Result<(), Ended> {
        if let KafkaError::MessageConsumptionFatal(_) = error {
            let why = match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::UnreleasedInstanceId) => {
                    ": another member of the group has this group.instance.id, or the session of one that was killed is not over \
                     (group.consumer.session.timeout.ms of the brokers, 45 s by default); start again then, or leave \
                     group.instance.id out"
                }
                Some(_) | None => "",
            };
            let words = format!("the group's consumer failed for good: {}{why}", describe(error));
            return self.tell(Input::Failed(PortError::Fatal(words)));
        }
        if let Some(words) = refusal(error) {
            self.status.raise(Problem::Group, words);
            return Ok(());
        }
        // What matters of it is judged by asking the brokers, which gives one line per change instead of one per second.
        tracing::debug!(error = %describe(error), "consumer error");
        self.watch.suspect();
        Ok(())
    }

    /// Waits for the engine's answer, `longest` where there is a limit, and answers the commit thread meanwhile.
    pub(super) fn wait_for<T>(&self, answer: &Receiver<T>, longest: Option<Duration>) -> Result<T, RecvTimeoutError> {
        let began = Instant::now();
        loop {
            match answer.recv_timeout(ANSWER_LOOK) {
                Err(RecvTimeoutError::Timeout) if longest.is_none_or(|longest| began.elapsed() < longest) => {}
                answered => return answered,
            }
            if longest.is_none() && self.shared.stopping() {
                return Err(RecvTimeoutError::Disconnected);
            }
            self.serve_commits();
        }
    }

    /// What the commit thread needs of this one wherever it waits, for the engine or between two questions to the brokers.
    pub(super) fn serve_commits(&self) {
        self.shared.silence.heard();
        self.serve_fence();
    }

    pub(super) fn tell(&self, input: Input) -> Result<(), Ended> {
        self.inbox.send(input).map_err(|_| Ended)
    }

    pub(super) fn reading(&self) -> impl Iterator<Item = (&TopicPartition, &Reading)> {
        self.partitions.iter().filter_map(|(source, stage)| match stage {
            Stage::Reading(reading) => Some((source, reading)),
            Stage::Given | Stage::Restoring { .. } | Stage::Told { .. } | Stage::Broken => None,
        })
    }

    /// Stops the worker with these words; the partition is left alone.
    pub(super) fn give_up(&mut self, source: &TopicPartition, words: String) -> Result<(), Ended> {
        self.partitions.insert(source.clone(), Stage::Broken);
        self.tell(Input::Failed(PortError::Fatal(words)))
    }

    /// The same for every partition of a topic.
    pub(super) fn give_up_topic(&mut self, topic: &str, words: String) -> Result<(), Ended> {
        for (_, stage) in self.partitions.iter_mut().filter(|(source, _)| *source.topic == *topic) {
            *stage = Stage::Broken;
        }
        self.tell(Input::Failed(PortError::Fatal(words)))
    }

    pub(super) fn fatal(&self, doing: &str, error: &KafkaError) -> Result<(), Ended> {
        self.tell(Input::Failed(PortError::Fatal(port_error(doing, error).to_string())))
    }
}

/// What the group has against this member, in words, where the library tells it and tries again for ever. Stands until the
/// group gives an assignment.
fn refusal(error: &KafkaError) -> Option<&'static str> {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::InconsistentGroupProtocol) => Some(
            "the group does not take this worker: its members divide the partitions by another rule. Set \
             kafka.properties.\"partition.assignment.strategy\" (and group.protocol) as they have it, or to change it, stop all \
             of them first: docs/upgrading.md. Where all have the same, something that is no order-sync uses this \
             kafka.group_id",
        ),
        Some(RDKafkaErrorCode::InvalidSessionTimeout) => Some(
            "the group does not take this worker: the brokers allow no session of this length. Set \
             kafka.properties.\"session.timeout.ms\" between their group.min.session.timeout.ms and group.max.session.timeout.ms",
        ),
        Some(RDKafkaErrorCode::GroupMaxSizeReached) => Some(
            "the group does not take this worker: it has as many members as the brokers allow. Start fewer workers, or \
             raise the brokers' group.max.size",
        ),
        Some(_) | None => None,
    }
}
