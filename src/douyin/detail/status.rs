//! What a merchant's status is called on the platform (order-events §4, douyin-api §2.1–2.3).
//!
//! Beware: 340 means used for a group coupon and booked for a ticket.

use crate::order::Status;

/// `order_status` at the top level and the recommended `status` text of a normal order.
pub const fn normal(status: Status) -> Option<(i64, &'static str)> {
    match status {
        Status::PendingPayment => Some((0, "待支付")),
        Status::Paid => Some((1, "已支付")),
        Status::AwaitingConfirmation | Status::Booked => None,
        Status::Redeemed => Some((4, "已核销")),
        Status::Cancelled => Some((2, "已取消")),
        Status::TimedOut => Some((2, "已超时")),
        Status::Refunding => Some((5, "退款中")),
        Status::Refunded => Some((6, "已退款")),
        Status::RefundFailed => Some((8, "退款失败")),
    }
}

/// `status` of a group coupon.
pub const fn group_coupon(status: Status) -> Option<i64> {
    match status {
        Status::PendingPayment => Some(110),
        Status::Paid => Some(310),
        Status::AwaitingConfirmation | Status::Booked => None,
        Status::Redeemed => Some(340),
        Status::Cancelled | Status::TimedOut => Some(10),
        Status::Refunding => Some(410),
        Status::Refunded => Some(420),
        Status::RefundFailed => Some(430),
    }
}

/// `status` of a ticket.
pub const fn ticket(status: Status) -> Option<i64> {
    match status {
        Status::PendingPayment => Some(110),
        Status::Paid | Status::AwaitingConfirmation => Some(210),
        Status::Booked | Status::Redeemed => Some(340),
        Status::Cancelled | Status::TimedOut => Some(10),
        Status::Refunding => Some(410),
        Status::Refunded => Some(420),
        Status::RefundFailed => Some(430),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_contract() {
        let table = [
            (Some((0, "待支付")), Some(110), Some(110)),
            (Some((1, "已支付")), Some(310), Some(210)),
            (None, None, Some(210)),
            (None, None, Some(340)),
            (Some((4, "已核销")), Some(340), Some(340)),
            (Some((2, "已取消")), Some(10), Some(10)),
            (Some((2, "已超时")), Some(10), Some(10)),
            (Some((5, "退款中")), Some(410), Some(410)),
            (Some((6, "已退款")), Some(420), Some(420)),
            (Some((8, "退款失败")), Some(430), Some(430)),
        ];
        for (status, expect) in Status::ALL.into_iter().zip(table) {
            assert_eq!((normal(status), group_coupon(status), ticket(status)), expect, "{status:?}");
        }
    }
}
