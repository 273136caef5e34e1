//! Pure. Whether an answer that speaks of the whole app, told to one order, is to be believed: a refused token, a
//! configuration that is wrong. While the others are accepted it may be that order's own trouble, and an app does not stop
//! for one order.

use std::time::Duration;

use super::circuit_evidence::OrderPrint;

/// How long the order waits whose answer is doubted: others are accepted meanwhile, or the next refusal is believed.
pub const DOUBT_WAIT: Duration = Duration::from_secs(5);
/// So long after others were accepted an order that was told apart from them stays so, however seldom they come.
const TOLD_APART: Duration = Duration::from_secs(300);
/// So many orders are known that were refused so and not accepted since.
const REFUSED_KEPT: usize = 16;

/// What is to be thought of such an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    /// The app has been spoken of.
    Believed,
    /// Others were accepted a moment ago, and nobody else was refused: to be tried once more, after [`DOUBT_WAIT`].
    Doubted,
    /// Others were accepted meanwhile, or since the same order was refused the last time: it is the order's own.
    OrdersOwn,
}

/// What has come of an app's orders, as far as such answers go.
#[derive(Debug, Default)]
pub struct Doubts {
    accepted_at: Option<Duration>,
    /// When that attempt had been started.
    accepted_started: Duration,
    /// When anything was accepted, also under another token.
    last_accepted_at: Option<Duration>,
    /// An answer has been doubted since.
    is_doubting: bool,
    /// The orders that were refused last and not accepted since, the newest last.
    refused: Vec<Refused>,
}

#[derive(Clone, Copy, Debug)]
struct Refused {
    order: OrderPrint,
    at: Duration,
    /// Others were accepted between two of its refusals.
    is_told_apart: bool,
}

impl Doubts {
    /// An order's attempt, `started` then, was accepted.
    pub fn accepted(&mut self, order: OrderPrint, started: Duration, now: Duration) {
        (self.accepted_at, self.last_accepted_at, self.is_doubting) = (Some(now), Some(now), false);
        self.accepted_started = started;
        self.refused.retain(|refused| refused.order != order);
    }

    /// What was accepted before says nothing any more, as of another token.
    pub fn begin_anew(&mut self) {
        (self.accepted_at, self.is_doubting) = (None, false);
    }

    /// An order's attempt, `started` then, was refused for the whole app.
    pub fn refused(&mut self, order: OrderPrint, started: Duration, now: Duration) -> Belief {
        let place = self.refused.iter().position(|refused| refused.order == order);
        let before = place.map(|place| self.refused.remove(place));
        if self.refused.len() >= REFUSED_KEPT {
            self.refused.remove(0);
        }
        let (beside, between) = match self.accepted_at {
            Some(at) => (at > started, before.is_some_and(|before| at >= before.at)),
            None => (false, false),
        };
        // An answer that was late tells nothing of now: what sets an order apart was begun after its refusal.
        let is_told_apart = before.is_some_and(|before| {
            before.is_told_apart || self.accepted_at.is_some() && self.accepted_started >= before.at
        });
        self.refused.push(Refused { order, at: now, is_told_apart });
        let is_recent = self.last_accepted_at.is_some_and(|at| now < at + TOLD_APART);
        match self.accepted_at {
            Some(_) if beside || between || (is_told_apart && is_recent) => return Belief::OrdersOwn,
            // Under a new token nothing is proven yet, but an order that was told apart is not the one to prove it.
            None if !(is_told_apart && is_recent) => return Belief::Believed,
            Some(_) | None => {}
        }
        if std::mem::replace(&mut self.is_doubting, true) { Belief::Believed } else { Belief::Doubted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: OrderPrint = OrderPrint(1);
    const B: OrderPrint = OrderPrint(2);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_word_is_believed_and_that_of_two_orders() {
        let mut doubts = Doubts::default();
        assert_eq!(doubts.refused(A, s(1), s(2)), Belief::Believed, "nothing was ever accepted");
        doubts.accepted(B, s(3), s(3));
        assert_eq!(doubts.refused(A, s(4), s(5)), Belief::OrdersOwn, "B was accepted since A was refused");
        doubts.accepted(A, s(6), s(6));
        assert_eq!(doubts.refused(A, s(7), s(8)), Belief::Doubted);
        assert_eq!(doubts.refused(B, s(7), s(8)), Belief::Believed, "two, and nothing accepted in between");
    }

    /// A poison order beside others, however seldom they come, is told from an app that is refused; and an app with one
    /// order only is not waited for.
    #[test]
    fn one_order_that_is_refused_again_and_again_is_its_own_trouble_only_where_others_are_accepted() {
        let mut doubts = Doubts::default();
        doubts.accepted(B, s(0), s(0));
        assert_eq!(doubts.refused(A, s(1), s(1)), Belief::Doubted);
        doubts.accepted(B, s(2), s(2));
        for second in [3, 5, 7] {
            assert_eq!(doubts.refused(A, s(second), s(second)), Belief::OrdersOwn);
            doubts.accepted(B, s(second + 1), s(second + 1));
        }
        assert_eq!(doubts.refused(A, s(20), s(20)), Belief::OrdersOwn);
        assert_eq!(doubts.refused(A, s(60), s(60)), Belief::OrdersOwn, "it was told apart");
        assert_eq!(doubts.refused(A, s(310), s(310)), Belief::Doubted, "nothing was accepted for long");
        assert_eq!(doubts.refused(A, s(312), s(312)), Belief::Believed);
    }

    #[test]
    fn what_was_accepted_under_another_token_says_nothing() {
        let mut doubts = Doubts::default();
        doubts.accepted(B, s(0), s(0));
        doubts.begin_anew();
        assert_eq!(doubts.refused(A, s(1), s(1)), Belief::Believed);
        doubts.accepted(B, s(2), s(2));
        assert_eq!(doubts.refused(A, s(3), s(3)), Belief::OrdersOwn, "the same order, and B was accepted since");
    }

    /// B's answer was under way while the app was refused: A is believed after one more look, and not let alone for minutes.
    #[test]
    fn an_acceptance_that_comes_late_sets_nobody_apart() {
        let mut doubts = Doubts::default();
        doubts.accepted(B, s(0), s(0));
        assert_eq!(doubts.refused(A, s(2), s(2)), Belief::Doubted);
        doubts.accepted(B, s(1), s(3));
        assert_eq!(doubts.refused(A, s(7), s(7)), Belief::OrdersOwn);
        assert_eq!(doubts.refused(A, s(8), s(8)), Belief::Doubted);
        assert_eq!(doubts.refused(A, s(13), s(13)), Belief::Believed);
    }

    #[test]
    fn an_order_that_was_told_apart_is_doubted_under_the_next_token_too() {
        let mut doubts = Doubts::default();
        doubts.accepted(B, s(0), s(0));
        doubts.refused(A, s(1), s(1));
        doubts.accepted(B, s(2), s(2));
        assert_eq!(doubts.refused(A, s(3), s(3)), Belief::OrdersOwn);
        doubts.begin_anew();
        assert_eq!(doubts.refused(A, s(10), s(10)), Belief::Doubted);
        doubts.accepted(B, s(11), s(11));
        assert_eq!(doubts.refused(A, s(15), s(15)), Belief::OrdersOwn);
        doubts.begin_anew();
        assert_eq!(doubts.refused(A, s(20), s(20)), Belief::Doubted);
        assert_eq!(doubts.refused(A, s(25), s(25)), Belief::Believed, "and no longer");
    }

    #[test]
    fn so_many_orders_are_known_and_no_more() {
        let mut doubts = Doubts::default();
        for order in 0..100 {
            doubts.refused(OrderPrint(order), s(order), s(order));
        }
        assert_eq!(doubts.refused.len(), REFUSED_KEPT);
        doubts.accepted(B, s(200), s(200));
        assert_eq!(doubts.refused(OrderPrint(99), s(201), s(201)), Belief::OrdersOwn);
        assert_eq!(doubts.refused(OrderPrint(0), s(201), s(201)), Belief::Doubted, "forgotten");
    }
}
