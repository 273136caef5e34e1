//! Deliver: which lane is tried next, and when. What its answer means is `answered`'s business.

use std::time::Duration;

use super::desk::MayStart;
use super::engine::Engine;
use super::lane::{LaneId, LanePhase};
use super::owed::listed_owed;
use super::partition::{PartitionId, Phase};
use super::ports::{AttemptStart, PortError, Ticket};
use super::rules::Now;
use super::timer::Timer;
use crate::order::Identity;

/// A wait of this length and more gives the lane's requests back to the store.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// The wait before an order is looked at again whose attempt of an earlier assignment is under way.
const ORPHAN_WAIT: Duration = Duration::from_millis(100);

/// Whose attempt it is.
#[derive(Debug)]
pub enum Whose {
    /// That of the lane's head.
    Lane(LaneId),
    /// The order's, whose partition is gone: the answer is dropped.
    Orphan(Identity),
}

/// One attempt under way.
#[derive(Debug)]
pub struct Flight {
    /// Its lane, while that has its partition.
    pub whose: Whose,
    /// The lane's partition.
    pub partition: PartitionId,
    /// Its app's place.
    pub desk: usize,
    /// When it started.
    pub started: Duration,
}

impl Engine {
    /// Ends waits that are over, fetches tokens, starts what may start; says when to look again.
    pub(super) fn deliver_due(&mut self, now: Now) -> Option<Duration> {
        while self.timers.peek().is_some_and(|timer| timer.at <= now.mono) {
            let Some(timer) = self.timers.pop() else { break };
            if let Some(lane) = self.lanes.get_mut(timer.lane)
                && lane.phase == LanePhase::Backoff(timer.number)
            {
                lane.phase = LanePhase::Ready;
                self.desks[lane.app].enqueue(timer.lane);
            }
        }
        let mut look = None;
        for desk in &mut self.desks {
            if desk.token.start_fetch(now.mono) {
                self.ports.attempts.fetch_token(&desk.app_id, desk.token.generation());
            }
            look = earliest(look, desk.token.next_look());
        }
        if self.cycle.is_in_doubt() {
            return look;
        }
        // While what is not committed is over its bound, a result would only add to it.
        if !self.is_running() || (self.held_by_bytes && self.buffered_bytes() >= self.rules.max_buffered_bytes) {
            return look;
        }
        earliest(look, self.start_ready(now))
    }

    /// Starts ready lanes, apps in turn, until no permit or no startable lane is left.
    fn start_ready(&mut self, now: Now) -> Option<Duration> {
        let mut look = None;
        let mut barred = 0;
        while self.flights.len() < self.rules.max_in_flight && barred < self.desks.len() {
            let index = self.next_desk % self.desks.len();
            self.next_desk = (index + 1) % self.desks.len();
            let share = self.share();
            self.hold_behind_orphans(index, now);
            if !self.desks[index].has_ready() || self.desks[index].in_flight >= self.room_of(index) {
                barred += 1;
                continue;
            }
            match self.desks[index].may_start(now.mono, share) {
                MayStart::Yes => {
                    barred = 0;
                    if let Err(error) = self.start_next(index, now) {
                        self.fail(error);
                        return None;
                    }
                }
                MayStart::Not(at) => {
                    look = earliest(look, at);
                    barred += 1;
                }
            }
        }
        look
    }

    /// Sets those of an app's next orders aside that still have an attempt of an earlier assignment under way.
    fn hold_behind_orphans(&mut self, desk: usize, now: Now) {
        if self.orphans.is_empty() {
            return;
        }
        while let Some(id) = self.desks[desk].next_ready()
            && self.lanes.get(id).is_some_and(|lane| self.orphans.has(&lane.identity))
        {
            self.desks[desk].dequeue();
            self.wait(id, ORPHAN_WAIT, now);
        }
    }

    /// Permits that one app may hold: with several apps a quarter is kept for the others, so that one whose platform
    /// hangs cannot hold them all.
    pub(super) fn share(&self) -> usize {
        let all = self.rules.max_in_flight;
        if self.desks.len() > 1 { (all - all / 4).max(1) } else { all }
    }

    /// Permits that this app may hold as things stand: of the quarter that is kept from any one app, each of the others can have
    /// its part, however many hang.
    fn room_of(&self, desk: usize) -> usize {
        let all = self.rules.max_in_flight;
        let others = self.desks.len() - 1;
        let kept = all / 4 / others.max(1);
        let beside = self.desks.iter().enumerate().filter(|(index, _)| *index != desk);
        let taken = beside.map(|(_, other)| other.in_flight.max(kept)).sum::<usize>();
        self.share().min(all.saturating_sub(taken))
    }

    fn start_next(&mut self, desk: usize, now: Now) -> Result<(), PortError> {
        let Some(id) = self.desks[desk].dequeue() else { return Ok(()) };
        let Some(lane) = self.lanes.get(id) else { return Ok(()) };
        let Some(partition) = self.partitions.get(&lane.partition).filter(|p| p.phase == Phase::Running) else {
            return Ok(());
        };
        let held = lane.head().and_then(|head| head.owed.as_ref()).map(|owed| owed.request.clone());
        let request = if let Some(request) = held {
            request
        } else {
            let Some(key) = lane.head_key() else { return Ok(()) };
            let owed = listed_owed(self.ports.reader.as_ref(), &partition.source, &key)?;
            let request = owed.request.clone();
            self.lanes.put_head(id, owed);
            request
        };
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let Some(lane) = self.lanes.get_mut(id) else { return Ok(()) };
        lane.phase = LanePhase::InFlight(ticket);
        let flight = Flight { whose: Whose::Lane(id), partition: lane.partition, desk, started: now.mono };
        self.flights.insert(ticket, flight);
        self.desks[desk].in_flight += 1;
        let app_id = self.desks[desk].app_id.clone();
        self.ports.attempts.start(AttemptStart { ticket, app_id, request });
        Ok(())
    }

    /// The lane's turn comes again after the others of its app.
    pub(super) fn ready_again(&mut self, id: LaneId) {
        if self.rests_now(id) {
            return;
        }
        if let Some(lane) = self.lanes.get_mut(id) {
            lane.phase = LanePhase::Ready;
            self.desks[lane.app].enqueue(id);
        }
    }

    /// The lane waits, and holds neither a permit nor memory to speak of.
    pub(super) fn wait(&mut self, id: LaneId, wait: Duration, now: Now) {
        if self.rests_now(id) {
            return;
        }
        let Some(lane) = self.lanes.get_mut(id) else { return };
        self.next_timer += 1;
        lane.phase = LanePhase::Backoff(self.next_timer);
        if let Some(trouble) = lane.trouble.as_mut() {
            trouble.waits(wait);
        }
        self.timers.push(Timer { at: now.mono + wait, number: self.next_timer, lane: id });
        if wait >= LONG_WAIT {
            self.lanes.drop_requests(id);
        }
    }

    pub(super) fn next_timer_at(&self) -> Option<Duration> {
        self.timers.peek().map(|timer| timer.at)
    }
}

/// The earlier of two times, where there is one.
pub(super) fn earliest(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
