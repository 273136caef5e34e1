//! The rules of pushing, each broken once.

use super::*;
use ViolationKind::{OneStampTwoBodies, Overlap, OverlapSameBody, StampWentBack, UnitMixed};

const T: i64 = 1_694_761_400;

fn arrival(stamp: i64, body: u8) -> Arrival {
    Arrival {
        at_ms: 0,
        order_type: 0,
        order_status: None,
        stamp: Some(stamp),
        digest: [body; 32],
        body: Bytes::from(vec![body]),
        checked: Ok(()),
    }
}

fn through() -> Fate {
    Fate { name: None, lets_through: true, http_status: Some(200), err_code: None }
}

fn lost() -> Fate {
    Fate { lets_through: false, err_code: Some(-1), ..through() }
}

/// Pushes (stamp, body, whether a fault refuses it) one after another; what the last one broke.
fn check(pushes: &[(i64, u8, bool)], expected: Option<ViolationKind>) {
    let mut order = OrderRecord::default();
    let mut last = None;
    for (stamp, body, refused) in pushes {
        let fate = if *refused { lost() } else { through() };
        last = order.receive(arrival(*stamp, *body), fate).violation.map(|(kind, _)| kind);
    }
    assert_eq!(last, expected, "{pushes:?}");
}

#[test]
fn rules() {
    let ok = false;
    let refused = true;
    check(&[(T, 1, ok), (T, 1, ok)], None);
    check(&[(T, 1, ok), (T, 2, ok)], Some(OneStampTwoBodies));
    check(&[(T, 1, refused), (T, 2, ok)], Some(OneStampTwoBodies));
    check(&[(T, 1, ok), (T + 1, 2, ok), (T, 3, ok)], Some(OneStampTwoBodies));
    // A restart repeats what it had not recorded: an old push again is no step back.
    check(&[(T, 1, ok), (T + 1, 2, ok), (T, 1, ok)], None);
    check(&[(T, 1, refused), (T + 1, 2, ok), (T, 1, ok)], None);
    check(&[(T + 1, 2, ok), (T, 1, ok)], Some(StampWentBack));
    // Nothing newer was accepted yet.
    check(&[(T + 1, 2, refused), (T, 1, ok)], None);
    check(&[(T, 1, ok), (T * 1000, 2, ok)], Some(UnitMixed));
    check(&[(T * 1000, 1, ok), (T, 2, ok)], Some(UnitMixed));
}

#[test]
fn what_was_forgotten_is_not_judged() {
    let mut order = OrderRecord::default();
    order.receive(arrival(T, 1), through());
    order.receive(arrival(T + 5, 2), through());
    order.forget_oldest();
    assert_eq!(order.receive(arrival(T, 9), through()).violation, None);
    assert!(matches!(order.receive(arrival(T + 1, 9), through()).violation, Some((StampWentBack, _))));
}

#[test]
fn overlaps() {
    let mut order = OrderRecord::default();
    order.receive(arrival(T, 1), through());
    let first = order.begin();
    order.receive(arrival(T, 1), through());
    let second = order.begin();
    order.receive(arrival(T + 1, 2), through());
    assert_eq!(order.finish(first, Ending::Answered), Some((OverlapSameBody, Some(T), Some(T))));
    assert_eq!(order.finish(second, Ending::Answered), Some((Overlap, Some(T + 1), Some(T))));
    assert_eq!(order.finish(second, Ending::Answered), None);
    order.receive(arrival(T + 2, 3), through());
    let left = order.begin();
    order.receive(arrival(T + 2, 3), through());
    assert_eq!(order.finish(left, Ending::PusherLeft), None, "its end only came late");
}
