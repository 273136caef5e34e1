//! Deliver: which lane is tried next, and what its answer means for it, its app and its token.

use std::time::Duration;

use super::desk::MayStart;
use super::engine::Engine;
use super::lane::{AfterHead, LaneId, LanePhase, Waiting};
use super::partition::{PartitionId, Phase};
use super::ports::{AttemptStart, PortError, Ticket, TokenGeneration, listed_owed};
use super::rules::Now;
use super::timer::Timer;
use super::token::Refusal;
use super::trouble::Trouble;
use crate::douyin::verdict::{Exchange, Judgement, Verdict, judge_push};
use crate::order::{DeadLetterReason, Identity};
use crate::telemetry::{Outcome, event};

/// A wait of this length and more gives the lane's requests back to the store.
const LONG_WAIT: Duration = Duration::from_secs(1);
/// The wait before a lane is tried again where its attempt could not be made at all.
const NOT_SENT_WAIT: Duration = Duration::from_millis(100);

/// One attempt under way.
#[derive(Debug)]
pub struct Flight {
    /// Its lane; `None` once the partition is gone: the answer is dropped then.
    pub lane: Option<LaneId>,
    /// The lane's partition.
    pub partition: PartitionId,
    /// Its app's place.
    pub desk: usize,
    /// When it started.
    pub started: Duration,
}

impl Engine {
    /// Puts a committed debt into its lane.
    pub(super) fn owe(&mut self, partition: PartitionId, identity: Identity, waiting: Waiting) {
        // What an app owes that is no longer configured stays in the store; the assignment has said so.
        let Some(app) = self.desks.iter().position(|desk| desk.app_id == identity.app_id) else { return };
        self.desks[app].owed += 1;
        if let Some(lane) = self.lanes.push(partition, app, identity, waiting) {
            self.desks[app].enqueue(lane);
        }
    }

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
                self.ports.attempts.fetch_token(&desk.app_id);
            }
            look = earliest(look, desk.token.next_look());
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
            if !self.desks[index].has_ready() || self.desks[index].in_flight >= self.share() {
                barred += 1;
                continue;
            }
            match self.desks[index].may_start(now.mono) {
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

    /// Permits that one app may hold: with several apps a quarter is kept for the others, so that one whose platform
    /// hangs cannot hold them all.
    fn share(&self) -> usize {
        let all = self.rules.max_in_flight;
        if self.desks.len() > 1 { (all - all / 4).max(1) } else { all }
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
        let flight = Flight { lane: Some(id), partition: lane.partition, desk, started: now.mono };
        self.flights.insert(ticket, flight);
        self.desks[desk].started();
        let app_id = self.desks[desk].app_id.clone();
        self.ports.attempts.start(AttemptStart { ticket, app_id, request });
        Ok(())
    }

    /// An attempt has ended.
    pub(super) fn attempted(
        &mut self,
        ticket: Ticket,
        token: TokenGeneration,
        exchange: &Exchange,
        latency: Duration,
        now: Now,
    ) {
        let Some(flight) = self.flights.remove(&ticket) else { return };
        let desk = &mut self.desks[flight.desk];
        desk.in_flight -= 1;
        let not_sent = token == TokenGeneration(0);
        let judgement = judge_push(exchange, &self.rules.outcomes);
        if !not_sent {
            self.meters.attempt(&desk.app_id, judgement.verdict.as_str(), latency);
        }
        let Some(lane) = flight.lane else {
            desk.probe_failed(now.mono);
            return;
        };
        self.progress += 1;
        if not_sent {
            desk.probe_failed(now.mono);
            self.wait(lane, NOT_SENT_WAIT, now);
            return;
        }
        match judgement.verdict {
            Verdict::Accepted => self.accepted(lane, &flight, token, now),
            Verdict::Retry => self.failed(lane, flight.desk, exchange, &judgement, latency, now),
            Verdict::RefreshToken => self.token_doubted(lane, &flight, token, exchange, &judgement, latency, now),
            Verdict::Reject => {
                self.note(lane, exchange, &judgement, latency, now);
                self.answered(flight.desk);
                let words = format!("the platform rejected the order (rule {})", judgement.rule);
                self.give_up(lane, DeadLetterReason::RejectedByPlatform, words);
            }
            Verdict::Suspend => {
                self.note(lane, exchange, &judgement, latency, now);
                self.suspend(flight.desk, &judgement, now);
                self.ready_again(lane);
            }
        }
    }

    fn accepted(&mut self, id: LaneId, flight: &Flight, token: TokenGeneration, now: Now) {
        let desk = &mut self.desks[flight.desk];
        desk.acceptances += 1;
        desk.token.accepted(token, now.mono);
        self.answered(flight.desk);
        let Some(head) = self.settle(id) else { return };
        if let Some(timestamp_ms) = head.timestamp_ms {
            let waited = u64::try_from(now.wall_ms.saturating_sub(timestamp_ms)).unwrap_or(0);
            self.meters.accepted(Duration::from_millis(waited));
        }
        if let Some(partition) = self.partitions.get(&flight.partition) {
            self.meters.records(&partition.source.topic, Outcome::Delivered, 1);
        }
    }

    /// The platform answered an order of the app for good: it is not the app that waits.
    fn answered(&mut self, desk: usize) {
        let desk = &mut self.desks[desk];
        if desk.resume() {
            event::AppResumed { app_id: &desk.app_id }.emit(&self.meters);
        }
    }

    /// The head is settled, in the next commit; the lane goes on with the next one.
    pub(super) fn settle(&mut self, id: LaneId) -> Option<Waiting> {
        let lane = self.lanes.get(id)?;
        let (app, partition, key) = (lane.app, lane.partition, lane.head_key()?);
        let (head, after) = self.lanes.settle_head(id)?;
        self.desks[app].owed -= 1;
        self.feed.settled();
        if let Some(partition) = self.partitions.get_mut(&partition) {
            partition.overlay.settle(key);
        }
        if after == AfterHead::Next {
            self.ready_again(id);
        }
        Some(head)
    }

    /// Retry: this order backs off alone, until the evidence says to give it up.
    fn failed(
        &mut self,
        id: LaneId,
        desk: usize,
        exchange: &Exchange,
        judgement: &Judgement,
        latency: Duration,
        now: Now,
    ) {
        self.note(id, exchange, judgement, latency, now);
        self.desks[desk].probe_failed(now.mono);
        let acceptances = self.desks[desk].acceptances;
        let Some(trouble) = self.lanes.get_mut(id).and_then(|lane| lane.trouble.as_mut()) else { return };
        let spent = trouble.fail(acceptances, now);
        let failures = trouble.failures;
        if spent >= self.rules.give_up_after {
            let words = format!(
                "given up after failing for {} s while other orders were accepted (last rule {})",
                spent.as_secs(),
                judgement.rule
            );
            self.give_up(id, DeadLetterReason::RetriesExhausted, words);
            return;
        }
        let wait = self.rules.retry.delay(failures, judgement.retry_after, &mut self.rng);
        self.wait(id, wait, now);
    }

    #[expect(clippy::too_many_arguments, reason = "one answer, in all its parts")]
    fn token_doubted(
        &mut self,
        id: LaneId,
        flight: &Flight,
        token: TokenGeneration,
        exchange: &Exchange,
        judgement: &Judgement,
        latency: Duration,
        now: Now,
    ) {
        let jitter = self.rng.f64();
        let desk = &mut self.desks[flight.desk];
        match desk.token.refused(token, flight.started, jitter, now.mono) {
            Refusal::UseNewer | Refusal::Wait => {
                desk.probe_failed(now.mono);
                self.ready_again(id);
            }
            Refusal::OrdersOwn => self.failed(id, flight.desk, exchange, judgement, latency, now),
            Refusal::Suspend => {
                self.suspend(flight.desk, judgement, now);
                self.ready_again(id);
            }
        }
    }

    pub(super) fn suspend(&mut self, desk: usize, judgement: &Judgement, now: Now) {
        let desk = &mut self.desks[desk];
        let code = judgement.err_code.map_or_else(String::new, |code| format!(", code {code}"));
        let cause = format!("rule {}{code}", judgement.rule);
        if desk.suspend(cause, now.mono) {
            event::AppSuspended { app_id: &desk.app_id, rule: &judgement.rule, err_code: judgement.err_code }
                .emit(&self.meters);
        }
    }

    fn note(&mut self, id: LaneId, exchange: &Exchange, judgement: &Judgement, latency: Duration, now: Now) {
        if let Some(lane) = self.lanes.get_mut(id) {
            lane.trouble.get_or_insert_with(|| Box::new(Trouble::default())).note(exchange, judgement, latency, now);
        }
    }

    /// The lane's turn comes again after the others of its app.
    fn ready_again(&mut self, id: LaneId) {
        if let Some(lane) = self.lanes.get_mut(id) {
            lane.phase = LanePhase::Ready;
            self.desks[lane.app].enqueue(id);
        }
    }

    /// The lane waits, and holds neither a permit nor memory to speak of.
    fn wait(&mut self, id: LaneId, wait: Duration, now: Now) {
        let Some(lane) = self.lanes.get_mut(id) else { return };
        self.next_timer += 1;
        lane.phase = LanePhase::Backoff(self.next_timer);
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
