//! One order in the order centre: its state, its history, and the rules that its pushes must keep.
//!
//! The clock, the checks and the faults are decided before; the bounds on memory are kept by `shard`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::field::is_seconds;
use super::history::{Outcome, Received};
use super::refusal::Refusal;
use super::violation::ViolationKind;

/// A pusher that gave up and tries again may reach us before the end of its old connection does.
const OVERLAP_GRACE: Duration = Duration::from_millis(250);

/// A push of a known order, checked, with its fate drawn.
pub(super) struct Arrival {
    pub(super) at_ms: u64,
    pub(super) order_type: i64,
    pub(super) order_status: Option<i64>,
    pub(super) stamp: Option<i64>,
    pub(super) digest: [u8; 32],
    pub(super) body: Bytes,
    /// The judgement of everything but the order's own past.
    pub(super) checked: Result<(), Refusal>,
}

/// What a fault means for the centre.
pub(super) struct Fate {
    pub(super) name: Option<Arc<str>>,
    /// Whether the push's own judgement holds.
    pub(super) lets_through: bool,
    /// The HTTP status that the pusher sees; none where the connection is the answer.
    pub(super) http_status: Option<u16>,
    /// The `err_code` that the fault stands for, when it refuses.
    pub(super) err_code: Option<i64>,
}

/// What the centre made of a push.
pub(super) struct Receipt {
    pub(super) outcome: Outcome,
    /// The judgement, which a fault may hide.
    pub(super) judged: Result<(), Refusal>,
    pub(super) repeat: bool,
    /// A broken rule, with the stamp that it collided with.
    pub(super) violation: Option<(ViolationKind, Option<i64>)>,
}

/// One order.
#[derive(Default)]
pub(super) struct OrderRecord {
    pub(super) order_type: i64,
    pub(super) state: Option<State>,
    pub(super) received: u64,
    pub(super) history: VecDeque<Received>,
    /// The greatest stamp of a push that passed the checks; its unit is the order's.
    highest: Option<i64>,
    /// The greatest stamp ever seen, good or bad.
    seen: Option<i64>,
    /// The greatest stamp whose history entry was dropped: at or below it nothing can be told of the past.
    forgotten: Option<i64>,
    in_flight: Vec<InFlight>,
}

/// The last applied push.
pub(super) struct State {
    pub(super) stamp: i64,
    pub(super) order_status: Option<i64>,
    pub(super) at_ms: u64,
    pub(super) body: Bytes,
}

struct InFlight {
    number: u64,
    stamp: Option<i64>,
    digest: [u8; 32],
    overlapped: Option<(Instant, ViolationKind, Option<i64>)>,
}

impl OrderRecord {
    /// Takes a push in.
    pub(super) fn receive(&mut self, arrival: Arrival, fate: Fate) -> Receipt {
        let number = self.received;
        self.received += 1;
        self.mark_overlaps(&arrival);
        let (repeat, mut violation) = self.compare_with_the_past(&arrival);
        self.seen = self.seen.max(arrival.stamp);
        let mut judged = arrival.checked;
        if judged.is_ok() && self.mixes_units(arrival.stamp) {
            violation = Some((ViolationKind::UnitMixed, self.highest));
            judged = Err(Refusal::MIXED_UNITS);
        } else if judged.is_ok() {
            self.highest = self.highest.max(arrival.stamp);
        }
        let passed = judged.is_ok();
        let outcome = match arrival.stamp {
            Some(stamp) if passed && fate.lets_through => {
                let state = State {
                    stamp,
                    order_status: arrival.order_status,
                    at_ms: arrival.at_ms,
                    body: arrival.body.clone(),
                };
                self.apply(arrival.order_type, state)
            }
            _ => Outcome::Refused,
        };
        if passed && self.state.is_none() {
            self.order_type = arrival.order_type;
        }
        let refusal = judged.as_ref().err();
        let err_code = refusal.map(|refusal| refusal.code);
        self.history.push_back(Received {
            at_ms: arrival.at_ms,
            number,
            stamp: arrival.stamp,
            digest: arrival.digest,
            outcome,
            err_code: if fate.lets_through { err_code } else { fate.err_code.or(err_code) }.unwrap_or(0),
            err_msg: refusal.map(|refusal| refusal.text.as_ref().into()),
            http_status: fate.http_status,
            fault: fate.name,
            repeat,
            body: if passed { arrival.body } else { Bytes::new() },
        });
        Receipt { outcome, judged, repeat, violation }
    }

    fn apply(&mut self, order_type: i64, state: State) -> Outcome {
        if self.state.as_ref().is_some_and(|last| state.stamp <= last.stamp) {
            return Outcome::Ignored;
        }
        self.order_type = order_type;
        self.state = Some(state);
        Outcome::Applied
    }

    fn mixes_units(&self, stamp: Option<i64>) -> bool {
        matches!((self.highest, stamp), (Some(last), Some(stamp)) if is_seconds(last) != is_seconds(stamp))
    }

    /// Only a stamp that is no news is looked for in the history.
    fn compare_with_the_past(&self, arrival: &Arrival) -> (bool, Option<(ViolationKind, Option<i64>)>) {
        let Some(stamp) = arrival.stamp.filter(|stamp| self.seen >= Some(*stamp)) else { return (false, None) };
        match self.history.iter().rev().find(|earlier| earlier.stamp == Some(stamp)) {
            Some(earlier) if earlier.digest == arrival.digest => (true, None),
            Some(_) => (false, Some((ViolationKind::OneStampTwoBodies, Some(stamp)))),
            None => {
                let accepted = self.state.as_ref().map(|state| state.stamp).filter(|accepted| *accepted > stamp);
                let went_back = accepted.is_some() && arrival.checked.is_ok() && self.forgotten < Some(stamp);
                (false, went_back.then_some((ViolationKind::StampWentBack, accepted)))
            }
        }
    }

    fn mark_overlaps(&mut self, arrival: &Arrival) {
        for other in &mut self.in_flight {
            let same = other.stamp == arrival.stamp && other.digest == arrival.digest;
            let kind = if same { ViolationKind::OverlapSameBody } else { ViolationKind::Overlap };
            other.overlapped.get_or_insert_with(|| (Instant::now(), kind, arrival.stamp));
        }
    }

    /// The newest push is answered later: until [`Self::finish`] it is in flight.
    pub(super) fn begin(&mut self) -> u64 {
        let last = self.history.back();
        let number = last.map_or(0, |last| last.number);
        let (stamp, digest) = last.map_or((None, [0; 32]), |last| (last.stamp, last.digest));
        self.in_flight.push(InFlight { number, stamp, digest, overlapped: None });
        number
    }

    /// Ends a push in flight, and says whether another of the same order was in flight beside it. Where its pusher went
    /// away just around the other's arrival, the two were not really at once.
    pub(super) fn finish(&mut self, number: u64, ending: Ending) -> Option<(ViolationKind, Option<i64>, Option<i64>)> {
        let at = self.in_flight.iter().position(|push| push.number == number)?;
        let push = self.in_flight.swap_remove(at);
        let (since, kind, by) = push.overlapped?;
        match ending {
            Ending::PusherLeft if since.elapsed() < OVERLAP_GRACE => None,
            Ending::PusherLeft | Ending::Answered => Some((kind, by, push.stamp)),
        }
    }

    /// Drops the oldest history entry and gives back its body's length.
    pub(super) fn forget_oldest(&mut self) -> Option<usize> {
        let oldest = self.history.pop_front()?;
        self.forgotten = self.forgotten.max(oldest.stamp);
        Some(oldest.body.len())
    }
}

/// How a push in flight ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// We answered, or cut the connection ourselves.
    Answered,
    /// The pusher closed the connection first.
    PusherLeft,
}

#[cfg(test)]
#[path = "order_record_tests.rs"]
mod tests;
