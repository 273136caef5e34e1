//! What the engine tells the admin endpoints: a snapshot, taken now and then, that nobody waits for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::circuit::Cause;
use super::engine::{Engine, Mode};
use super::partition::Phase;
use super::rules::Now;
use crate::douyin::token::Fault;
use crate::order::AppId;

/// How often the snapshot is renewed.
const EVERY: Duration = Duration::from_millis(250);

/// One app in a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppStatus {
    /// The app.
    pub app_id: String,
    /// Deliveries owed.
    pub owed: usize,
    /// Its orders in memory.
    pub lanes: usize,
    /// Where its circuit stands: closed, half-open, open, suspended.
    pub circuit: &'static str,
    /// Why it is suspended, where it is.
    pub suspended: Option<String>,
    /// In how many partitions it is paused.
    pub paused: usize,
    /// Whether a token is at hand.
    pub has_token: bool,
    /// Why there is none, where it was tried to get one.
    pub no_token: Option<String>,
    /// Whether that is a matter of this side, not of who gives tokens.
    pub token_is_ours: bool,
    /// How old the current token is.
    pub token_age: Option<Duration>,
}

/// The engine at one moment.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each reported on its own")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// When it was taken, since the engine's start.
    pub at: Duration,
    /// Whether partitions were ever assigned.
    pub assigned: bool,
    /// Partitions held.
    pub partitions: usize,
    /// Partitions whose state is being read from the changelog.
    pub restoring: usize,
    /// Records taken and not folded.
    pub unfolded: usize,
    /// Records folded, skipped or set aside since the start.
    pub folded: u64,
    /// Whether results wait for a commit.
    pub uncommitted: bool,
    /// Memory of what is folded and not committed.
    pub buffered_bytes: usize,
    /// Attempts under way.
    pub in_flight: usize,
    /// Whether intake is held back.
    pub intake_held: bool,
    /// Whether commits are failing.
    pub commit_failing: bool,
    /// How long the commit has taken that is under way.
    pub commit_under_way: Option<Duration>,
    /// Whether the engine is winding up.
    pub draining: bool,
    /// Counts folds, commits and answers: it moves while there is progress.
    pub progress: u64,
    /// The apps.
    pub apps: Vec<AppStatus>,
}

/// Where the latest snapshot hangs.
#[derive(Debug, Default)]
pub struct StatusBoard(Mutex<Status>);

impl StatusBoard {
    /// The latest snapshot.
    pub fn read(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, status: Status) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

impl Engine {
    /// Renews the snapshot and the gauges, where it is time.
    pub(super) fn publish(&mut self, now: Now) {
        if now.mono < self.next_status && !matches!(self.mode, Mode::Ended(_)) {
            return;
        }
        self.next_status = now.mono + EVERY;
        self.tell_circuits(now.mono);
        let status = Status {
            at: now.mono,
            assigned: self.ever_assigned,
            partitions: self.partitions.len(),
            restoring: self.partitions.values().filter(|p| p.phase == Phase::Restoring).count(),
            unfolded: self.partitions.values().map(|p| p.inbox.len()).sum(),
            folded: self.folded,
            uncommitted: self.partitions.keys().any(|id| !self.is_clean(*id)),
            buffered_bytes: self.buffered_bytes(),
            in_flight: self.flights.len(),
            intake_held: self.holds_consumer() || self.partitions.values().any(|partition| partition.over_share),
            commit_failing: self.cycle.is_failing(),
            commit_under_way: self.cycle.under_way_for(now),
            draining: !self.is_running(),
            progress: self.progress,
            apps: self
                .desks
                .iter()
                .enumerate()
                .map(|(app, desk)| (app, desk, desk.token.missing(now.mono).unzip()))
                .map(|(app, desk, (no_token, fault))| AppStatus {
                    app_id: desk.app_id.to_string(),
                    owed: desk.owed,
                    lanes: desk.lanes,
                    circuit: desk.circuit.state().as_str(),
                    suspended: desk.circuit.cause().map(Cause::words),
                    paused: self.paused_partitions(app),
                    has_token: desk.token.is_usable(now.mono),
                    no_token: no_token.map(Cow::into_owned),
                    token_is_ours: fault == Some(Fault::Ours),
                    token_age: desk.token.age(now.mono),
                })
                .collect(),
        };
        let leaving = self.partitions.values().filter(|p| p.phase == Phase::Leaving).count();
        let running = status.partitions - status.restoring - leaving;
        self.meters.partitions([status.restoring, running, leaving]);
        self.meters.in_flight(status.in_flight);
        self.meters.buffered_bytes(status.buffered_bytes);
        self.meters.store().open_letters(self.partitions.values().map(|partition| partition.open_letters).sum());
        for desk in &self.desks {
            self.meters.owed(&desk.app_id, desk.owed);
        }
        for (app, desk) in self.desks.iter().enumerate() {
            self.meters.paused(&desk.app_id, self.paused_partitions(app));
        }
        let mut stranded: BTreeMap<&AppId, usize> = BTreeMap::new();
        for (app_id, owed) in self.partitions.values().flat_map(|partition| &partition.stranded) {
            *stranded.entry(app_id).or_default() += owed;
        }
        for (app_id, owed) in stranded {
            self.meters.owed(app_id, owed);
        }
        let left = self.partitions.values().flat_map(|partition| partition.left.values().filter_map(|l| l.oldest_ms));
        let heads = self.lanes.iter().filter_map(|lane| lane.head().and_then(|head| head.timestamp_ms));
        let oldest = heads.chain(left).min();
        let age_ms = oldest.map_or(0, |oldest| u64::try_from(now.wall_ms - oldest).unwrap_or(0));
        self.meters.oldest_undelivered(Duration::from_millis(age_ms));
        self.board.write(status);
    }
}
