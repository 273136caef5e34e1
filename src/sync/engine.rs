//! The engine: one owner of everything that is in motion. It is told things, takes bounded turns, and never waits.
//!
//! It owns no thread and no clock; the runner gives it both, and the simulation gives it virtual ones.

use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use super::command_ports::CommandFeed;
use super::commit::CommitQueue;
use super::cycle::CommitCycle;
use super::deliver::Flight;
use super::desk::Desk;
use super::feed::Feed;
use super::gone::Gone;
use super::intake::IntakeBudget;
use super::lane::Lanes;
use super::orphans::Orphans;
use super::pace::Pace;
use super::partition::{Partition, PartitionId};
use super::ports::{Attempts, Input, Intake, Membership, PortError, Restorer, StateReader, Ticket};
use super::retention::Retention;
use super::rules::{Now, Rules};
use super::status::StatusBoard;
use super::sweep::Sweeper;
use super::timer::Timer;
use crate::douyin::judge::PushJudge;
use crate::record::TopicPartition;
use crate::telemetry::Meters;

/// What the engine works with.
pub struct Ports {
    /// Committed cuts.
    pub reader: Arc<dyn StateReader>,
    /// The consumer.
    pub intake: Box<dyn Intake>,
    /// The platform.
    pub attempts: Box<dyn Attempts>,
    /// The commit thread.
    pub commits: Box<dyn CommitQueue>,
    /// Restores partitions before they run; `None` where the store itself is the truth.
    pub restore: Option<Box<dyn Restorer>>,
    /// Whether our partitions are still ours; `None` without transactions, where nobody else has them.
    pub membership: Option<Box<dyn Membership>>,
    /// Looks through the store for orders that may leave; `None` where none ever do.
    pub sweeper: Option<Box<dyn Sweeper>>,
    /// Reads the commands topic; `None` without transactions, where commands could act twice.
    pub commands: Option<Box<dyn CommandFeed>>,
    /// What the consumer may have handed over and is not folded.
    pub budget: Arc<IntakeBudget>,
}

/// When the engine wants its next turn.
#[derive(Debug)]
pub enum Turn {
    /// At once: there is work.
    Busy,
    /// When an input comes, or at this time at the latest.
    Until(Duration),
    /// Never: it has ended.
    Ended(Ended),
}

/// How the engine ended.
#[derive(Debug)]
pub enum Ended {
    /// Told to, and drained.
    Stopped(Drained),
    /// Everything that stood in the topics at the start is delivered.
    CaughtUp(Drained),
    /// An edge cannot go on.
    Failed(PortError),
}

/// What was left when the engine ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Attempts whose answer was not waited for; they are repeated, byte for byte.
    pub in_flight: usize,
    /// Partitions with results that were not committed, those that left meanwhile among them; their pushes are repeated, byte
    /// for byte.
    pub uncommitted: usize,
    /// Deliveries that the store still owes.
    pub owed: usize,
}

/// Whether the engine takes work or winds up.
#[derive(Debug)]
pub(super) enum Mode {
    Running,
    Draining { deadline: Duration },
    Ended(Option<Ended>),
}

/// Partitions that are being given back, and who waits for it.
pub(super) struct Leaving {
    pub(super) partitions: Vec<PartitionId>,
    pub(super) deadline: Duration,
    pub(super) reply: SyncSender<()>,
}

/// A commit copies its cut on the way out: a cut is held to this part of `delivery.max_buffered_bytes` where it can be.
const CUTS_PER_BUFFER: usize = 4;

/// The engine.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Engine {
    pub(super) rules: Rules,
    pub(super) answers: PushJudge,
    pub(super) ports: Ports,
    pub(super) meters: Meters,
    pub(super) rng: fastrand::Rng,
    /// In order, so that a run is the same every time it is made up of the same inputs (tests/simulate.rs).
    pub(super) partitions: BTreeMap<PartitionId, Partition>,
    pub(super) by_source: HashMap<TopicPartition, PartitionId>,
    pub(super) next_partition: u32,
    pub(super) fold_queue: VecDeque<PartitionId>,
    pub(super) desks: Vec<Desk>,
    pub(super) next_desk: usize,
    pub(super) lanes: Lanes,
    pub(super) flights: HashMap<Ticket, Flight, foldhash::fast::RandomState>,
    pub(super) orphans: Orphans,
    pub(super) next_ticket: u64,
    pub(super) timers: BinaryHeap<Timer>,
    pub(super) next_timer: u64,
    pub(super) feed: Feed,
    pub(super) cycle: CommitCycle,
    pub(super) retention: Retention,
    pub(super) leaving: Vec<Leaving>,
    pub(super) deferred: Vec<Input>,
    pub(super) held_by_bytes: bool,
    pub(super) held_by_owed: bool,
    pub(super) ever_assigned: bool,
    pub(super) mode: Mode,
    /// Set once source records were removed unread: what is at hand is made durable, and then it ends.
    pub(super) gone: Option<Gone>,
    /// What was handed over, or is about to be, may be nowhere else.
    pub(super) pressed: bool,
    /// Partitions that left while it drained, with results that were not committed.
    pub(super) left_undrained: usize,
    pub(super) board: Arc<StatusBoard>,
    pub(super) next_status: Duration,
    pub(super) progress: u64,
    pub(super) folded: u64,
}

impl Engine {
    /// An engine without partitions.
    pub fn new(rules: Rules, ports: Ports, meters: Meters, rng: fastrand::Rng, board: Arc<StatusBoard>) -> Self {
        let desks = rules
            .apps
            .iter()
            .map(|app| {
                Desk::new(
                    app.app_id.clone(),
                    Pace::new(rules.requests_per_second),
                    &rules.circuit,
                    rules.retry.max_interval(),
                )
            })
            .collect();
        let largest_cut = rules.max_buffered_bytes / CUTS_PER_BUFFER;
        Self {
            answers: PushJudge::new(Arc::clone(&rules.outcomes)),
            rules,
            ports,
            meters,
            rng,
            partitions: BTreeMap::new(),
            by_source: HashMap::new(),
            next_partition: 0,
            fold_queue: VecDeque::new(),
            desks,
            next_desk: 0,
            lanes: Lanes::default(),
            flights: HashMap::default(),
            orphans: Orphans::default(),
            next_ticket: 0,
            timers: BinaryHeap::new(),
            next_timer: 0,
            feed: Feed::default(),
            cycle: CommitCycle::new(largest_cut),
            retention: Retention::default(),
            leaving: Vec::new(),
            deferred: Vec::new(),
            held_by_bytes: false,
            held_by_owed: false,
            ever_assigned: false,
            mode: Mode::Running,
            gone: None,
            pressed: false,
            left_undrained: 0,
            board,
            next_status: Duration::ZERO,
            progress: 0,
            folded: 0,
        }
    }

    /// Takes one input. Bounded work: folding and starting happen in [`Engine::turn`].
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Assigned { .. } => self.assigned(input, now),
            Input::Restored { epoch, source, result } => self.restored(epoch, &source, result, now),
            Input::Started { epoch, source, at, high_watermark } => self.started(epoch, &source, at, high_watermark),
            Input::Revoked { partitions, lost, reply } => self.revoked(&partitions, lost, reply, now),
            Input::Records { epoch, source, records } => self.records(epoch, &source, records),
            Input::Passed { epoch, source, next } => self.passed(epoch, &source, next),
            Input::HighWatermark { source, high_watermark } => self.high_watermark(&source, high_watermark),
            Input::Attempted { ticket, token, exchange, latency } => {
                self.attempted(ticket, token, &exchange, latency, now);
            }
            Input::TokenFetched { app_id, token, lifetime, from } => {
                self.token_fetched(&app_id, token, lifetime, from, now);
            }
            Input::TokenRefused { app_id, refused } => {
                self.token_refused(&app_id, &refused, now);
            }
            Input::Committed(result) => self.committed(result, now),
            Input::EndProbed { source, next, at_end } => self.end_probed(&source, next, at_end),
            Input::Swept(swept) => self.swept(swept, now),
            Input::Commands(input) => self.commands(input),
            Input::Failed(error) => self.fail(error),
            Input::RecordsGone(words) => self.records_gone(words, now),
            Input::RecordsPressed(pressed) => self.pressed = pressed,
            Input::Shutdown => self.shut_down(now),
        }
    }

    /// Does a bounded amount of what is due, and says when to come back.
    pub fn turn(&mut self, now: Now) -> Turn {
        self.doubt_membership(now);
        let executed = self.execute_some(now);
        self.take_up_left();
        let next_start = self.deliver_due(now);
        let folded = self.fold_slice(now);
        self.hold_intake();
        let next_page = self.sweep_due(now);
        let next_commit = self.commit_due(now);
        self.finish_leaving(now);
        self.wind_up(now);
        self.publish(now);
        if let Mode::Ended(ended) = &mut self.mode {
            return Turn::Ended(ended.take().unwrap_or(Ended::Stopped(Drained::default())));
        }
        if folded || executed {
            return Turn::Busy;
        }
        let wake =
            [next_start, next_commit, next_page, self.next_timer_at(), self.drain_look(now), self.fold_look(now)];
        Turn::Until(wake.into_iter().flatten().fold(self.next_status, Duration::min).max(now.mono))
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Ends the engine: an edge cannot go on.
    pub(super) fn fail(&mut self, error: PortError) {
        if !matches!(self.mode, Mode::Ended(_)) {
            self.mode = Mode::Ended(Some(Ended::Failed(error)));
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.mode, Mode::Running)
    }

    pub(super) fn partition_of(&mut self, source: &TopicPartition) -> Option<&mut Partition> {
        let id = self.by_source.get(source)?;
        self.partitions.get_mut(id)
    }

    fn shut_down(&mut self, now: Now) {
        // What records that are gone leave to be done is done first; it has a deadline of its own, no longer than this one.
        if self.is_running() && self.gone.is_none() {
            self.mode = Mode::Draining { deadline: now.mono + self.rules.shutdown_timeout };
        }
    }
}
