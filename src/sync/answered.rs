//! What the answer to an attempt means: for its order, its app's circuit and its token.

use std::time::Duration;

use super::acceptance::Acceptance;
use super::circuit::{Cause, CircuitState, Failure, Fate, Tried};
use super::circuit_evidence::OrderPrint;
use super::deliver::{Flight, Whose};
use super::doubt::{Belief, DOUBT_WAIT};
use super::engine::Engine;
use super::lane::{AfterHead, Lane, LaneId, LanePhase, Waiting};
use super::ports::{Ticket, TokenGeneration};
use super::rules::Now;
use super::token::Refusal;
use super::trouble::Trouble;
use crate::douyin::judge::Judged;
use crate::douyin::verdict::{Exchange, Judgement, Verdict};
use crate::order::DeadLetterReason;
use crate::telemetry::{Outcome, event};

/// The wait before a lane is tried again where its attempt could not be made at all.
const NOT_SENT_WAIT: Duration = Duration::from_millis(100);

/// One answer, judged.
struct Answered<'a> {
    lane: LaneId,
    order: OrderPrint,
    flight: &'a Flight,
    token: TokenGeneration,
    exchange: &'a Exchange,
    judgement: &'a Judgement,
    latency: Duration,
    now: Now,
}

impl Engine {
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
        let Judged { judgement, log_id } = self.answers.judge(exchange);
        if !not_sent {
            self.meters.attempt(&desk.app_id, judgement.verdict.as_str(), latency);
        }
        let lane = match &flight.whose {
            Whose::Lane(id) => self.lanes.get(*id).map(|lane| (*id, OrderPrint::of(&lane.identity.order_id))),
            Whose::Orphan(order) => {
                self.orphans.ended(order);
                None
            }
        };
        let Some((lane, order)) = lane else {
            desk.circuit.told_nothing(flight.started, now.mono);
            return;
        };
        self.progress += 1;
        if not_sent {
            desk.circuit.told_nothing(flight.started, now.mono);
            self.wait(lane, NOT_SENT_WAIT, now);
            return;
        }
        let answered = Answered { lane, order, flight: &flight, token, exchange, judgement: &judgement, latency, now };
        match judgement.verdict {
            Verdict::Accepted => self.accepted(&answered, log_id),
            Verdict::Retry => self.failed(&answered),
            Verdict::RefreshToken => self.token_doubted(&answered),
            Verdict::Reject => self.rejected(&answered),
            Verdict::Suspend => self.app_refused(&answered),
        }
        self.tell_circuit(flight.desk, now.mono);
    }

    fn accepted(&mut self, answered: &Answered<'_>, log_id: Option<Box<str>>) {
        let (flight, now) = (answered.flight, answered.now);
        let desk = &mut self.desks[flight.desk];
        desk.acceptances += 1;
        desk.token.accepted(answered.order, answered.token, flight.started, now.mono);
        desk.doubts.accepted(answered.order, flight.started, now.mono);
        desk.circuit.accepted(flight.started, now.mono);
        self.count_patience(answered);
        let key = self.lanes.get(answered.lane).and_then(Lane::head_key);
        let Some(head) = self.settle(answered.lane, Some(self.acceptance(answered, log_id))) else { return };
        if let Some(key) = key
            && let Err(error) = self.supersede(flight.partition, &key, now)
        {
            return self.fail(error);
        }
        if let Some(timestamp_ms) = head.timestamp_ms {
            let waited = u64::try_from(now.wall_ms.saturating_sub(timestamp_ms)).unwrap_or(0);
            self.meters.accepted(Duration::from_millis(waited));
        }
        if let Some(partition) = self.partitions.get(&flight.partition) {
            self.meters.records(&partition.source.topic, Outcome::Delivered, 1);
        }
    }

    /// What people are told of it. Attempts are known since this worker took the delivery up.
    fn acceptance(&self, answered: &Answered<'_>, log_id: Option<Box<str>>) -> Acceptance {
        let trouble = self.lanes.get(answered.lane).and_then(|lane| lane.trouble.as_deref());
        let attempts = trouble.map_or(0, |trouble| trouble.attempts).saturating_add(1);
        Acceptance { attempts, last_error: trouble.and_then(Trouble::last_error), log_id }
    }

    /// Reject: a dead letter, unless it is one of a storm.
    fn rejected(&mut self, answered: &Answered<'_>) {
        self.note(answered);
        let (code, now) = (answered.judgement.err_code, answered.now.mono);
        let desk = &mut self.desks[answered.flight.desk];
        let fate = desk.circuit.rejected(answered.order, code, &desk.accepted_codes, answered.flight.started, now);
        self.count_patience(answered);
        match fate {
            Fate::StaysOwed => self.try_in_turn(answered.lane),
            Fate::DeadLetter => {
                let words = format!("the platform rejected the order (rule {})", answered.judgement.rule);
                self.give_up(answered.lane, DeadLetterReason::RejectedByPlatform, words);
            }
        }
    }

    /// The head is settled, in the next commit; the lane goes on with the next one.
    pub(super) fn settle(&mut self, id: LaneId, acceptance: Option<Acceptance>) -> Option<Waiting> {
        let lane = self.lanes.get(id)?;
        let (app, partition, key) = (lane.app, lane.partition, lane.head_key()?);
        self.desks[app].failing -= usize::from(lane.is_failing());
        let (head, after) = self.lanes.settle_head(id)?;
        self.desks[app].owed -= 1;
        self.desks[app].lanes -= usize::from(after == AfterHead::Empty);
        self.feed.settled();
        if let Some(partition) = self.partitions.get_mut(&partition) {
            partition.owed.entry(app).and_modify(|owed| *owed -= 1);
            partition.overlay.settle(key, acceptance);
        }
        if after == AfterHead::Next {
            self.ready_again(id);
        }
        Some(head)
    }

    /// Retry: evidence for the circuit, and a wait for this order.
    fn failed(&mut self, answered: &Answered<'_>) {
        let was_tried = self.lanes.get(answered.lane).is_some_and(|lane| lane.trouble.is_some());
        let failure = Failure {
            order: answered.order,
            tried: if was_tried { Tried::Again } else { Tried::First },
            started: answered.flight.started,
            retry_after: answered.judgement.retry_after,
        };
        self.desks[answered.flight.desk].circuit.failed(&failure, &mut self.rng, answered.now.mono);
        self.failed_alone(answered);
    }

    /// This order backs off alone, until the evidence says to give it up; where the app waits as a whole it probes in
    /// turn with the others, and nothing is spent.
    fn failed_alone(&mut self, answered: &Answered<'_>) {
        self.note(answered);
        self.count_patience(answered);
        let (id, now) = (answered.lane, answered.now);
        let desk = &mut self.desks[answered.flight.desk];
        if desk.circuit.state().is_waiting() {
            self.try_in_turn(id);
            return;
        }
        let Some(trouble) = self.lanes.get_mut(id).and_then(|lane| lane.trouble.as_mut()) else { return };
        desk.failing += usize::from(trouble.failures == 0);
        let spent = trouble.fail(desk.acceptances, desk.patience.counted());
        let failures = trouble.failures;
        if spent >= self.rules.give_up_after {
            let words = format!(
                "given up after failing for {} s while other orders were accepted (last rule {})",
                spent.as_secs(),
                answered.judgement.rule
            );
            self.give_up(id, DeadLetterReason::RetriesExhausted, words);
            return;
        }
        let wait = self.rules.retry.delay(failures, answered.judgement.retry_after, &mut self.rng);
        self.wait(id, wait, now);
    }

    /// The configuration is wrong, unless others are accepted beside this order.
    fn app_refused(&mut self, answered: &Answered<'_>) {
        let (started, now) = (answered.flight.started, answered.now);
        let desk = &mut self.desks[answered.flight.desk];
        let belief = if desk.circuit.state().is_waiting() {
            Belief::Believed
        } else {
            desk.doubts.refused(answered.order, started, now.mono)
        };
        match belief {
            Belief::Believed => {
                self.note(answered);
                self.suspend(answered);
            }
            Belief::Doubted => self.doubted(answered),
            Belief::OrdersOwn => self.orders_own(answered),
        }
    }

    /// Whether it is the app or the order that is refused will be seen when it is tried once more.
    fn doubted(&mut self, answered: &Answered<'_>) {
        self.note(answered);
        self.desks[answered.flight.desk].circuit.told_nothing(answered.flight.started, answered.now.mono);
        self.wait(answered.lane, DOUBT_WAIT, answered.now);
    }

    fn orders_own(&mut self, answered: &Answered<'_>) {
        self.desks[answered.flight.desk].circuit.told_nothing(answered.flight.started, answered.now.mono);
        self.failed_alone(answered);
    }

    /// A refused token says nothing of the platform or of the order, unless another order was accepted with it.
    fn token_doubted(&mut self, answered: &Answered<'_>) {
        let (started, now) = (answered.flight.started, answered.now);
        let jitter = self.rng.f64();
        let desk = &mut self.desks[answered.flight.desk];
        let was_refused = desk.token.is_refused();
        let refusal = desk.token.refused(answered.order, answered.token, started, jitter, now.mono);
        if desk.token.is_refused() && !was_refused {
            let why = desk.token.missing(now.mono).map(|(why, _)| why).unwrap_or_default();
            event::TokenNotTaken { app_id: &desk.app_id, generation: answered.token.0, why: &why }.emit();
        }
        match refusal {
            // Of a suspended app the newer one may be what it waits for: it is probed with that at once.
            Refusal::UseNewer if desk.circuit.state() == CircuitState::Suspended => self.try_in_turn(answered.lane),
            Refusal::UseNewer | Refusal::Wait => {
                desk.circuit.told_nothing(started, now.mono);
                self.try_in_turn(answered.lane);
            }
            Refusal::Doubted => self.doubted(answered),
            Refusal::OrdersOwn => self.orders_own(answered),
            Refusal::Suspend => self.suspend(answered),
        }
    }

    /// The app waits for a person; the order probes in its turn.
    fn suspend(&mut self, answered: &Answered<'_>) {
        let Judgement { rule, err_code, .. } = answered.judgement;
        let cause = Cause::Refused { rule: rule.clone(), err_code: *err_code };
        self.desks[answered.flight.desk].circuit.suspend(cause, answered.now.mono);
        self.try_in_turn(answered.lane);
    }

    fn note(&mut self, answered: &Answered<'_>) {
        self.lanes.note(answered.lane, answered.exchange, answered.judgement, answered.latency, answered.now);
    }

    fn count_patience(&mut self, answered: &Answered<'_>) {
        let desk = &mut self.desks[answered.flight.desk];
        desk.patience.note(answered.order, desk.failing, desk.circuit.state(), answered.now.mono);
    }

    /// The lane's turn comes again after the others of its app: at once, or as a probe where the app waits.
    fn try_in_turn(&mut self, id: LaneId) {
        if self.rests_now(id) {
            return;
        }
        let Some(lane) = self.lanes.get_mut(id) else { return };
        lane.phase = LanePhase::Ready;
        let desk = &mut self.desks[lane.app];
        if desk.circuit.state().is_waiting() {
            desk.rotate(id);
        } else {
            desk.enqueue(id);
        }
    }
}
