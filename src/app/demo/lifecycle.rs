//! How orders live: the statuses of one order from placing to its end, by type.

use crate::order::{OrderType, Status};

/// A whole life of an order, from a seed. At least two steps.
pub fn lifecycle(order_type: OrderType, rng: &mut fastrand::Rng) -> Vec<Status> {
    let mut steps = vec![Status::PendingPayment];
    if rng.u8(..10) < 2 {
        steps.push(if rng.bool() { Status::Cancelled } else { Status::TimedOut });
        return steps;
    }
    steps.push(Status::Paid);
    if order_type == OrderType::Ticket {
        steps.push(Status::AwaitingConfirmation);
        steps.push(Status::Booked);
    }
    match rng.u8(..10) {
        0..5 => steps.push(Status::Redeemed),
        5..7 => steps.extend([Status::Refunding, Status::Refunded]),
        7 => steps.extend([Status::Refunding, Status::RefundFailed, Status::Redeemed]),
        8 => steps.extend([Status::Refunding, Status::RefundFailed, Status::Refunding, Status::Refunded]),
        _ => {}
    }
    steps
}
