//! One app's desk: which lanes are ready, whether the app may be spoken to at all, and what its answers have come to.

use std::collections::VecDeque;
use std::time::Duration;

use super::circuit::{Circuit, CircuitRules, CircuitState};
use super::circuit_patience::Patience;
use super::doubt::Doubts;
use super::lane::LaneId;
use super::pace::Pace;
use super::token::TokenDesk;
use crate::order::AppId;

/// Whether an app's next delivery may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayStart {
    /// Now.
    Yes,
    /// Not before this time; `None`: not before something else happens.
    Not(Option<Duration>),
}

/// One app of the config.
#[derive(Debug)]
pub struct Desk {
    /// The app.
    pub app_id: AppId,
    /// Its token, by generation.
    pub token: TokenDesk,
    /// What its answers say about the platform.
    pub circuit: Circuit,
    /// Whether its configuration is wrong where one order is told so.
    pub doubts: Doubts,
    /// The state of the circuit that was last logged.
    pub told: CircuitState,
    /// The time that counts against its failing orders.
    pub patience: Patience,
    /// Codes of which an operator has said that they reject rightly (`apps accept-rejections`).
    pub accepted_codes: Vec<i64>,
    /// How many deliveries were accepted since the start; what the give-up clock looks at.
    pub acceptances: u64,
    /// Orders whose head has failed and is not settled.
    pub failing: usize,
    /// Deliveries that are left to the store.
    pub left: usize,
    /// Its orders in memory.
    pub lanes: usize,
    /// Attempts under way.
    pub in_flight: usize,
    /// Deliveries owed.
    pub owed: usize,
    ready: VecDeque<LaneId>,
    /// Lanes that have failed, while the app waits as a whole: they probe in turn, after those that are fresh.
    rotation: VecDeque<LaneId>,
    pace: Pace,
}

impl Desk {
    /// A desk without a token and without debts. `longest_wait` is that of an order's backoff.
    pub fn new(app_id: AppId, pace: Pace, rules: &CircuitRules, longest_wait: Duration) -> Self {
        Self {
            app_id,
            token: TokenDesk::default(),
            circuit: Circuit::new(rules.clone()),
            doubts: Doubts::default(),
            told: CircuitState::Closed,
            patience: Patience::new(rules, longest_wait),
            accepted_codes: Vec::new(),
            acceptances: 0,
            failing: 0,
            left: 0,
            lanes: 0,
            in_flight: 0,
            owed: 0,
            ready: VecDeque::new(),
            rotation: VecDeque::new(),
            pace,
        }
    }

    /// Puts a lane at the end of the queue.
    pub fn enqueue(&mut self, lane: LaneId) {
        self.ready.push_back(lane);
    }

    /// Puts a lane that has failed at the end of the rotation.
    pub fn rotate(&mut self, lane: LaneId) {
        self.rotation.push_back(lane);
    }

    /// The rotation is over: its lanes go behind those that are ready. Before them would go what has failed already,
    /// and a handful of poison orders would end every ramp.
    pub fn end_rotation(&mut self) {
        self.ready.append(&mut self.rotation);
    }

    /// Takes the next lane. Fresh ones come first: where failing orders alone opened the circuit, the next good one
    /// closes it.
    pub fn dequeue(&mut self) -> Option<LaneId> {
        self.ready.pop_front().or_else(|| self.rotation.pop_front())
    }

    /// The lane that is next.
    pub fn next_ready(&self) -> Option<LaneId> {
        self.ready.front().or_else(|| self.rotation.front()).copied()
    }

    /// How many more orders it may have in memory, where `most` may be that do not fail.
    pub fn room(&self, most: usize) -> usize {
        most.saturating_sub(self.lanes - self.failing)
    }

    /// Whether a lane is ready.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty() || !self.rotation.is_empty()
    }

    /// How many lanes are ready.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Forgets lanes that are gone.
    pub fn retain_ready(&mut self, mut keep: impl FnMut(&LaneId) -> bool) {
        self.ready.retain(&mut keep);
        self.rotation.retain(keep);
    }

    /// Whether the next delivery may start, where the app may have `most` under way. Draws from the rate limit where
    /// it says yes.
    pub fn may_start(&mut self, now: Duration, most: usize) -> MayStart {
        match self.circuit.permits(now, self.token.permits(most), self.in_flight) {
            Ok(permits) if self.in_flight < permits => {}
            Ok(_) => return MayStart::Not(None),
            Err(at) => return MayStart::Not(Some(at)),
        }
        if !self.token.is_usable(now) {
            return MayStart::Not(self.token.next_look());
        }
        match self.pace.try_start(now) {
            Ok(()) => MayStart::Yes,
            Err(at) => MayStart::Not(Some(at)),
        }
    }
}
