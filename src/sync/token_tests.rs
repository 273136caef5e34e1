use super::*;

const GEN1: TokenGeneration = TokenGeneration(1);
const GEN2: TokenGeneration = TokenGeneration(2);
const ORDER: OrderPrint = OrderPrint(1);
const OTHER: OrderPrint = OrderPrint(2);
const LAST: OrderPrint = OrderPrint(3);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A desk that fetched its first token at second 0.
fn with_token(lifetime: u64) -> TokenDesk {
    let mut desk = TokenDesk::default();
    assert!(desk.start_fetch(s(0)));
    desk.fetched(GEN1, s(lifetime), s(0));
    desk
}

/// A token that lives `lifetime` seconds is refreshed at second `at`.
fn check_refresh(lifetime: u64, at: u64) {
    let mut desk = with_token(lifetime);
    assert_eq!(desk.next_look(), Some(s(at)), "lifetime {lifetime}");
    assert!(!desk.start_fetch(s(at - 1)));
    assert!(desk.start_fetch(s(at)));
    assert!(!desk.start_fetch(s(at + 1)), "one fetch at a time");
}

#[test]
fn a_token_is_refreshed_hourly_or_below_ten_minutes_left() {
    check_refresh(7200, 3600);
    check_refresh(3900, 3300);
    check_refresh(1200, 600);
    check_refresh(20, 10);
}

#[test]
fn an_old_token_goes_on_while_the_new_one_is_fetched() {
    let mut desk = with_token(7200);
    assert!(desk.start_fetch(s(3600)));
    assert!(desk.is_usable(s(3601)));
    desk.fetch_failed("", Fault::Giver, s(5), s(3602));
    assert!(desk.is_usable(s(3603)));
    assert!(!desk.start_fetch(s(3606)));
    assert!(desk.start_fetch(s(3607)));
    assert!(!desk.is_usable(s(7200)), "an expired token is of no use");
}

/// No new token can be had. What is started with the old one arrives while it is good at the platform, which counts from
/// when it gave it out: `answer` before we had it. A push is `on_its_way` for a while.
fn check_margin(lifetime_ms: u64, answer_ms: u64, on_its_way_ms: u64) {
    let ms = Duration::from_millis;
    let mut desk = TokenDesk::default();
    assert!(desk.start_fetch(s(0)));
    desk.fetched(GEN1, ms(lifetime_ms), ms(answer_ms));
    let starts = (answer_ms..lifetime_ms * 2).step_by(10).filter(|at| desk.is_usable(ms(*at)));
    let last = starts.max().expect("it is used");
    assert!(last + on_its_way_ms < lifetime_ms, "started at {last} ms, it came too late");
    assert!(last + 10 >= lifetime_ms * 9 / 10, "{last} ms is too early to give it up");
}

#[test]
fn a_token_is_not_used_to_its_last_second() {
    check_margin(7_200_000, 2000, 2900);
    check_margin(60_000, 2000, 2900);
    check_margin(20_000, 900, 1000);
    check_margin(1000, 40, 40);
}

#[test]
fn a_refusal_of_an_old_token_uses_the_newer() {
    let mut desk = with_token(7200);
    desk.fetched(GEN2, s(7200), s(3600));
    assert_eq!(desk.refused(ORDER, GEN1, s(3599), 0.0, s(3601)), Refusal::UseNewer);
    assert!(desk.is_usable(s(3601)));
}

#[test]
fn a_refused_token_is_fetched_anew_once() {
    let mut desk = with_token(7200);
    assert_eq!(desk.refused(ORDER, GEN1, s(100), 0.0, s(101)), Refusal::Wait);
    assert_eq!(desk.refused(ORDER, GEN1, s(100), 0.0, s(101)), Refusal::Wait);
    assert!(!desk.is_usable(s(101)));
    assert!(desk.start_fetch(s(101)));
    desk.fetched(GEN2, s(7200), s(102));
    assert!(desk.is_usable(s(102)));
}

#[test]
fn a_young_token_is_tried_again_before_it_is_replaced() {
    let mut desk = with_token(7200);
    assert_eq!(desk.refused(ORDER, GEN1, s(4), 0.5, s(5)), Refusal::Wait);
    assert_eq!(desk.next_look(), Some(s(45)), "30 to 60 s after it was fetched");
    assert!(!desk.start_fetch(s(44)));
    assert!(!desk.is_usable(s(44)));
    assert!(!desk.start_fetch(s(45)), "the same token again, no fetch");
    assert!(desk.is_usable(s(45)));
    assert_eq!(desk.refused(ORDER, GEN1, s(45), 0.0, s(46)), Refusal::Wait);
    assert!(desk.start_fetch(s(46)));
}

#[test]
fn behind_a_refusal_a_few_try_and_the_reason_is_said() {
    let mut desk = with_token(7200);
    assert_eq!((desk.permits(256), desk.missing(s(1))), (256, None));
    desk.refused(ORDER, GEN1, s(1), 0.5, s(2));
    let why = "the platform refuses the one at hand; it is young, and is tried again in 44 s";
    assert_eq!(desk.missing(s(2)), Some((why.into(), Fault::Giver)));
    assert!(!desk.start_fetch(s(45)) && desk.is_usable(s(45)));
    assert_eq!((desk.permits(256), desk.permits(2), desk.missing(s(45))), (4, 2, None));
    desk.refused(ORDER, GEN1, s(45), 0.5, s(46));
    let why = "the platform refuses the one at hand; another one is fetched";
    assert_eq!(desk.missing(s(46)), Some((why.into(), Fault::Giver)));
    desk.fetched(GEN2, s(7200), s(47));
    assert_eq!(desk.permits(256), 4, "a new one, too: it may be the same bad one again");
    desk.accepted(ORDER, GEN2, s(47), s(48));
    assert_eq!(desk.permits(256), 256);
    desk.fetched(TokenGeneration(3), s(7200), s(3600));
    assert_eq!(desk.permits(256), 256, "a renewal is no refusal");
}

#[test]
fn a_refusal_beside_an_acceptance_is_the_orders_own() {
    let mut desk = with_token(7200);
    desk.accepted(OTHER, GEN1, s(100), s(100));
    assert_eq!(desk.refused(ORDER, GEN1, s(99), 0.0, s(101)), Refusal::OrdersOwn);
    assert_eq!(desk.refused(OTHER, GEN1, s(101), 0.0, s(102)), Refusal::Doubted, "it was good a moment ago");
    assert!(desk.is_usable(s(102)) && !desk.start_fetch(s(102)), "one order stops nobody");
    assert_eq!(desk.refused(ORDER, GEN1, s(101), 0.0, s(103)), Refusal::Wait, "two orders, and nothing accepted since");
    assert!(desk.start_fetch(s(103)));
}

/// A poison order beside others costs neither a fetch nor a stop, however seldom the others come.
#[test]
fn an_order_that_alone_is_refused_with_a_good_token_fetches_nothing() {
    let mut desk = with_token(7200);
    let mut refusals = Vec::new();
    for second in (100..3000).step_by(60) {
        desk.accepted(OTHER, GEN1, s(second), s(second));
        refusals.push(desk.refused(ORDER, GEN1, s(second + 1), 0.0, s(second + 2)));
        assert!(desk.is_usable(s(second + 2)) && !desk.start_fetch(s(second + 2)));
    }
    assert_eq!(refusals[0], Refusal::Doubted);
    assert!(refusals[1..].iter().all(|refusal| *refusal == Refusal::OrdersOwn), "{refusals:?}");
}

#[test]
fn three_refused_in_a_row_are_a_matter_of_configuration() {
    let mut desk = with_token(7200);
    let mut now = 100;
    for (generation, expected) in [(1, Refusal::Wait), (2, Refusal::Wait), (3, Refusal::Suspend)] {
        assert_eq!(desk.refused(ORDER, TokenGeneration(generation), s(now), 0.0, s(now + 1)), expected);
        now += 40;
        assert!(desk.start_fetch(s(now)));
        desk.fetched(TokenGeneration(generation + 1), s(7200), s(now));
        now += 40;
    }
    let mut desk = with_token(7200);
    for generation in 1..=6 {
        let at = generation * 1000;
        for order in [ORDER, OTHER, LAST] {
            desk.accepted(order, TokenGeneration(generation), s(at), s(at));
        }
        desk.refused(ORDER, TokenGeneration(generation), s(at + 100), 0.0, s(at + 101));
        assert_eq!(desk.refused(LAST, TokenGeneration(generation), s(at + 100), 0.0, s(at + 101)), Refusal::Wait);
        desk.fetched(TokenGeneration(generation + 1), s(7200), s(at + 102));
    }
}

#[test]
fn two_fetches_after_a_refusal_lie_half_a_minute_apart() {
    let mut desk = with_token(7200);
    assert_eq!(desk.refused(ORDER, GEN1, s(100), 0.0, s(100)), Refusal::Wait);
    assert!(desk.start_fetch(s(100)));
    desk.fetched(GEN2, s(7200), s(100));
    assert_eq!(desk.refused(ORDER, GEN2, s(101), 0.0, s(101)), Refusal::Wait);
    assert!(!desk.start_fetch(s(129)));
    assert!(!desk.start_fetch(s(130)) && desk.is_usable(s(130)), "the young one is tried again");
    assert_eq!(desk.refused(ORDER, GEN2, s(130), 0.0, s(130)), Refusal::Wait);
    assert!(desk.start_fetch(s(130)));
    // A fetch that failed on its way back may have cut the others' token short as well.
    let mut desk = with_token(7200);
    assert!(desk.start_fetch(s(3600)));
    desk.fetch_failed("", Fault::Giver, s(1), s(3601));
    assert_eq!(desk.refused(ORDER, GEN1, s(3602), 0.0, s(3602)), Refusal::Wait);
    assert!(!desk.start_fetch(s(3629)));
    assert!(desk.start_fetch(s(3630)));
}

#[test]
fn fetches_that_fail_tell_of_an_outage_where_there_is_no_token() {
    let mut desk = TokenDesk::default();
    for n in 1..=3 {
        assert!(desk.start_fetch(s(2 * n)));
        desk.fetch_failed("away", Fault::Giver, s(1), s(2 * n));
        assert!(!desk.is_away(s(2 * n)), "{n} may be chance");
    }
    assert_eq!(desk.missing(s(11)), Some(("away".into(), Fault::Giver)));
    assert_eq!((desk.is_away(s(11)), desk.is_away(s(12))), (false, true));
    assert!(desk.start_fetch(s(8)));
    desk.fetch_failed("away", Fault::Giver, s(1), s(8));
    assert!(desk.is_away(s(8)), "four in a row");
    desk.fetched(TokenGeneration(1), s(100), s(9));
    assert_eq!((desk.is_away(s(9)), desk.missing(s(9))), (false, None));
}

#[test]
fn what_lies_on_this_side_is_no_outage() {
    let mut desk = TokenDesk::default();
    for n in 1..=9 {
        assert!(desk.start_fetch(s(2 * n)));
        desk.fetch_failed("no file", Fault::Ours, s(1), s(2 * n));
    }
    assert!(!desk.is_away(s(100)));
    assert!(desk.start_fetch(s(100)));
    desk.fetch_failed("away", Fault::Giver, s(1), s(100));
    assert!(!desk.is_away(s(100)), "counted from the first that was one");
}

/// The wait of a renewal that failed is long, as there is a token; it does not reach beyond that one's end.
#[test]
fn a_token_that_runs_out_is_asked_for_at_once() {
    let mut desk = with_token(100);
    for n in 0..4 {
        assert!(desk.start_fetch(s(50 + n)));
        desk.fetch_failed("away", Fault::Giver, s(1), s(50 + n));
        assert!(!desk.is_away(s(50 + n)), "the one at hand goes on");
    }
    assert!(desk.start_fetch(s(54)));
    desk.fetch_failed("away", Fault::Giver, s(60), s(54));
    assert_eq!((desk.next_look(), desk.is_away(s(94)), desk.is_away(s(95))), (Some(s(95)), false, true));
    assert!(desk.start_fetch(s(95)));
    desk.fetch_failed("away", Fault::Giver, s(10), s(95));
    assert_eq!(desk.next_look(), Some(s(105)));
}
