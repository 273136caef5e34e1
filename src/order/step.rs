//! Which change of status is a backward step: unusual, pushed nevertheless, and counted.
//!
//! Nothing is refused here: the merchant's system is the authority (§4 of the contract). The table errs towards
//! silence, so that the count points at a producer in disorder and not at everyday life.

use super::value::Status;

/// Whether an order that was `from` and now is `to` went back in its life.
///
/// An order moves from unpaid over paid, confirmed and booked to redeemed. It may be closed from any of these; a closed
/// order may still be refunded. A refund may begin anywhere behind unpaid; when it was withdrawn or has failed, the order
/// goes back to where it was, which is no backward step. A refunded order is at its end: only closing it follows.
pub(super) const fn is_backward(from: Status, to: Status) -> bool {
    use Status::{
        AwaitingConfirmation, Booked, Cancelled, Paid, PendingPayment, Redeemed, RefundFailed, Refunded, Refunding,
        TimedOut,
    };
    match from {
        PendingPayment => false,
        Paid => matches!(to, PendingPayment | TimedOut),
        AwaitingConfirmation => matches!(to, PendingPayment | Paid | TimedOut),
        Booked => matches!(to, PendingPayment | Paid | AwaitingConfirmation | TimedOut),
        Redeemed => matches!(to, PendingPayment | Paid | AwaitingConfirmation | Booked | Cancelled | TimedOut),
        Cancelled | TimedOut => matches!(to, PendingPayment | Paid | AwaitingConfirmation | Booked | Redeemed),
        Refunding | RefundFailed => matches!(to, PendingPayment | TimedOut),
        Refunded => !matches!(to, Refunded | Cancelled | TimedOut),
    }
}

#[cfg(test)]
mod tests {
    use super::Status::*;
    use super::*;

    #[test]
    fn staying_is_no_step_and_the_life_of_an_order_goes_forward() {
        assert!(Status::ALL.into_iter().all(|status| !is_backward(status, status)));
        let forward = |steps: &[Status]| assert!(steps.windows(2).all(|two| !is_backward(two[0], two[1])), "{steps:?}");
        forward(&[PendingPayment, Paid, AwaitingConfirmation, Booked, Redeemed, Refunding, Refunded]);
        forward(&[PendingPayment, TimedOut, Refunding, Refunded]);
        forward(&[PendingPayment, Cancelled]);
        forward(&[Paid, Refunding, RefundFailed, Refunding, Paid, Redeemed]);
        forward(&[Booked, Cancelled, Refunding, Refunded]);
    }

    #[test]
    fn going_back_is_unusual() {
        let check = |from: Status, to: Status| assert!(is_backward(from, to), "{from:?} {to:?}");
        check(Redeemed, Paid);
        check(Paid, PendingPayment);
        check(Cancelled, Paid);
        check(TimedOut, Redeemed);
        check(Refunded, Paid);
        check(Refunded, Refunding);
        check(Refunding, PendingPayment);
        check(Booked, AwaitingConfirmation);
    }
}
