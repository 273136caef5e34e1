//! One app's desk: which lanes are ready, and whether the app may be spoken to at all.

use std::collections::VecDeque;
use std::time::Duration;

use super::lane::LaneId;
use super::pace::Pace;
use super::token::TokenDesk;
use crate::order::AppId;

/// How long a suspended app is left alone between two probes.
pub const PROBE_EVERY: Duration = Duration::from_secs(60);

/// Why an app waits as a whole.
#[derive(Clone, Debug)]
pub struct Suspension {
    /// For people; no secret in it.
    pub cause: String,
    /// Since when.
    pub since: Duration,
    /// When one delivery may be tried again.
    pub probe_at: Duration,
    /// Whether that one is under way.
    pub probing: bool,
}

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
    /// Set while the app waits as a whole.
    pub suspension: Option<Suspension>,
    /// How many deliveries were accepted since the start; what the give-up clock looks at.
    pub acceptances: u64,
    /// Attempts under way.
    pub in_flight: usize,
    /// Deliveries owed.
    pub owed: usize,
    ready: VecDeque<LaneId>,
    pace: Pace,
}

impl Desk {
    /// A desk without a token and without debts.
    pub fn new(app_id: AppId, pace: Pace) -> Self {
        Self {
            app_id,
            token: TokenDesk::default(),
            suspension: None,
            acceptances: 0,
            in_flight: 0,
            owed: 0,
            ready: VecDeque::new(),
            pace,
        }
    }

    /// Puts a lane at the end of the queue.
    pub fn enqueue(&mut self, lane: LaneId) {
        self.ready.push_back(lane);
    }

    /// Takes the next ready lane.
    pub fn dequeue(&mut self) -> Option<LaneId> {
        self.ready.pop_front()
    }

    /// Whether a lane is ready.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// How many lanes are ready.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Forgets lanes that are gone.
    pub fn retain_ready(&mut self, keep: impl FnMut(&LaneId) -> bool) {
        self.ready.retain(keep);
    }

    /// Whether the next delivery may start. Draws from the rate limit where it says yes.
    pub fn may_start(&mut self, now: Duration) -> MayStart {
        if let Some(suspension) = &self.suspension
            && (suspension.probing || now < suspension.probe_at)
        {
            return MayStart::Not((!suspension.probing).then_some(suspension.probe_at));
        }
        if !self.token.is_usable(now) {
            return MayStart::Not(self.token.next_look());
        }
        match self.pace.try_start(now) {
            Ok(()) => MayStart::Yes,
            Err(at) => MayStart::Not(Some(at)),
        }
    }

    /// Notes a start.
    pub fn started(&mut self) {
        self.in_flight += 1;
        if let Some(suspension) = &mut self.suspension {
            suspension.probing = true;
        }
    }

    /// The app waits as a whole, until a probe is accepted or rejected. True where it did not wait before.
    pub fn suspend(&mut self, cause: String, now: Duration) -> bool {
        let since = self.suspension.as_ref().map_or(now, |s| s.since);
        let first = self.suspension.is_none();
        self.suspension = Some(Suspension { cause, since, probe_at: now + PROBE_EVERY, probing: false });
        first
    }

    /// A probe did not tell: the app goes on waiting.
    pub fn probe_failed(&mut self, now: Duration) {
        if let Some(suspension) = &mut self.suspension {
            suspension.probing = false;
            suspension.probe_at = now + PROBE_EVERY;
        }
    }

    /// The platform spoke to the app again. True where it had waited.
    pub fn resume(&mut self) -> bool {
        self.suspension.take().is_some()
    }
}
