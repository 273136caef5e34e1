//! Every rule of §6, in the order of judgement, with a mapping that shows just enough.

use super::*;
use crate::order::value::{EventTime, Sequence};

const T: i64 = 1_694_761_323_000;

/// Sends status and `page`; refuses as `total_price` tells it to.
struct Fake;

impl MapOrder for Fake {
    fn map(&self, input: &MapInput<'_>) -> Result<Mapped, Fault> {
        match input.document.get("total_price") {
            Some(Json::Str(_)) => return Err(Fault::new(DeadLetterReason::MalformedOrder, "order.total_price")),
            Some(_) => {}
            None => return Err(Fault::new(DeadLetterReason::IncompleteOrder, "order.total_price")),
        }
        let mut draft = Vec::new();
        draft.put("{\"status\":\"");
        draft.put(input.status.as_str());
        draft.put("\",\"page\":");
        input.document.get("page").unwrap_or(&Json::Null).write(&mut draft);
        draft.put("}");
        Ok(Mapped { draft, cut: vec!["title"], long_rules: 3 })
    }
}

fn event<'a>(id: &'a str, status: Status, occurred_at: i64, order: &'a str) -> OrderEvent<'a> {
    OrderEvent {
        event_id: id.into(),
        order_id: "o1".into(),
        app_id: AppId::new("tt1"),
        order_type: Some(OrderType::Normal),
        status,
        occurred_at: EventTime(occurred_at),
        sequence: None,
        order: (!order.is_empty()).then(|| Json::parse(order).unwrap()),
    }
}

const RULES: FoldRules = FoldRules { unit: TimeUnit::Seconds, removed_stamp: UpdateTime::ZERO };

fn apply(state: Option<&OrderState>, event: &OrderEvent<'_>, offset: i64) -> Result<Transition, Fault> {
    fold(state, event, offset, RULES, &Fake)
}

fn advanced(state: Option<&OrderState>, event: &OrderEvent<'_>, offset: i64) -> Advanced {
    match apply(state, event, offset) {
        Ok(Transition::Advanced(advanced)) => advanced,
        other => panic!("{other:?}"),
    }
}

fn first() -> OrderState {
    advanced(None, &event("e1", Status::Paid, T, r#"{"total_price":1,"page":1,"note":{"a":1}}"#), 10).state
}

#[test]
fn a_first_event_makes_the_state() {
    let made = advanced(None, &event("e1", Status::Paid, T + 999, r#"{"total_price":1,"x":null}"#), 10);
    assert_eq!(made.request, br#"{"status":"paid","page":null,"update_time":1694761323}"#);
    let state = made.state;
    assert_eq!(&*state.document, r#"{"total_price":1}"#);
    assert_eq!(
        (state.applied_offset, state.occurred_at, state.update_time),
        (10, EventTime(T + 999), UpdateTime(1_694_761_323))
    );
    assert_eq!((state.event_ids, state.sequence, state.dead_letter), (vec!["e1".into()], None, None));
    assert_eq!(state.digest, Digest::of(br#"{"status":"paid","page":null}"#));
    assert_eq!((made.unusual, made.cut, made.long_rules), (false, vec!["title"], 3));
}

#[test]
fn a_later_event_merges_and_stamps_above() {
    let mut state = first();
    state.dead_letter = Some(crate::order::state::DeadLetterMark {
        offset: 10,
        reason: DeadLetterReason::RejectedByPlatform,
        times: 1,
    });
    let next =
        advanced(Some(&state), &event("e2", Status::Redeemed, T, r#"{"note":{"a":null,"b":[null]},"page":2}"#), 11);
    assert_eq!(&*next.state.document, r#"{"note":{"b":[null]},"page":2,"total_price":1}"#);
    assert_eq!(next.state.update_time, UpdateTime(1_694_761_324));
    assert_eq!(next.state.event_ids, ["e1".into(), "e2".into()]);
    assert_eq!(next.state.dead_letter, None);
    let far = advanced(Some(&state), &event("e2", Status::Redeemed, T + 60_000, ""), 11);
    assert_eq!((far.state.update_time, far.state.event_ids), (UpdateTime(1_694_761_383), vec!["e2".into()]));
    assert_eq!(far.state.document, state.document);
}

#[test]
fn duplicates_and_stale_events_change_nothing() {
    let state = OrderState { event_ids: vec!["e1".into(), "e2".into()], ..first() };
    let check = |id: &str, occurred_at: i64, offset: i64, expect: &str| {
        let transition = apply(Some(&state), &event(id, Status::Paid, occurred_at, r#"{"page":2}"#), offset);
        assert!(format!("{transition:?}").contains(expect), "{id} {transition:?}");
    };
    check("e1", T, 11, "Duplicate");
    check("e2", T + 9_000, 11, "Duplicate");
    check("e3", T + 1, 10, "Duplicate");
    check("e3", T + 1, 9, "Duplicate");
    check("e1", T - 1, 11, "Duplicate");
    check("e3", T - 1, 11, "Stale");
    check("e3", T, 11, "Advanced");
}

#[test]
fn a_sequence_decides_where_both_have_one() {
    let with = |last: Option<i64>, new: Option<i64>, occurred_at: i64| {
        let state = OrderState { sequence: last.map(Sequence), ..first() };
        let event =
            OrderEvent { sequence: new.map(Sequence), ..event("e2", Status::Paid, occurred_at, r#"{"page":2}"#) };
        apply(Some(&state), &event, 11).unwrap()
    };
    assert!(matches!(with(Some(5), Some(5), T + 9), Transition::Stale));
    assert!(matches!(with(Some(5), Some(4), T + 9), Transition::Stale));
    let Transition::Advanced(back) = with(Some(5), Some(6), T - 5_000) else { panic!("a higher sequence advances") };
    assert_eq!((back.state.occurred_at, back.state.sequence), (EventTime(T - 5_000), Some(Sequence(6))));
    assert_eq!((back.state.update_time, back.state.event_ids), (UpdateTime(1_694_761_324), vec!["e2".into()]));
    assert!(matches!(with(Some(5), None, T - 1), Transition::Stale));
    let Transition::Advanced(kept) = with(Some(5), None, T) else { panic!("an equal time advances") };
    assert_eq!(kept.state.sequence, Some(Sequence(5)));
    assert!(matches!(with(None, Some(1), T - 1), Transition::Stale));
    assert!(matches!(with(None, Some(1), T), Transition::Advanced(_)));
}

#[test]
fn an_unchanged_request_keeps_its_stamp_and_its_dead_letter() {
    let mut state = first();
    state.dead_letter =
        Some(crate::order::state::DeadLetterMark { offset: 10, reason: DeadLetterReason::RetriesExhausted, times: 1 });
    let event = OrderEvent { sequence: Some(Sequence(3)), ..event("e2", Status::Paid, T + 5_000, r#"{"note":2}"#) };
    let Ok(Transition::Unchanged(same)) = apply(Some(&state), &event, 12) else { panic!("the request is the same") };
    assert_eq!(&*same.state.document, r#"{"note":2,"page":1,"total_price":1}"#);
    assert_eq!(
        (same.state.update_time, same.state.dead_letter, same.state.digest),
        (state.update_time, state.dead_letter, state.digest)
    );
    assert_eq!(
        (same.state.applied_offset, same.state.occurred_at, same.state.sequence),
        (12, EventTime(T + 5_000), Some(Sequence(3)))
    );
    assert_eq!(same.request, br#"{"status":"paid","page":1,"update_time":1694761323}"#);
    assert!(!same.unusual);
}

#[test]
fn a_backward_step_is_pushed_and_marked() {
    let state = advanced(Some(&first()), &event("e2", Status::Redeemed, T, ""), 11).state;
    assert!(advanced(Some(&state), &event("e3", Status::Paid, T, ""), 12).unusual);
}

#[test]
fn only_the_newest_ids_are_kept() {
    let mut state = first();
    for number in 2..=40 {
        let id = format!("e{number}");
        let page = format!("{{\"page\":{number}}}");
        state = advanced(Some(&state), &event(&id, Status::Paid, T, &page), 10 + number).state;
    }
    assert_eq!((state.event_ids.len(), &*state.event_ids[0], &*state.event_ids[31]), (32, "e9", "e40"));
}

#[test]
fn a_first_event_must_lie_above_what_retention_removed() {
    let check = |unit: TimeUnit, removed: i64, occurred_at: i64, is_taken: bool| {
        let rules = FoldRules { unit, removed_stamp: UpdateTime(removed) };
        let event = OrderEvent { order_type: None, ..event("e1", Status::Paid, occurred_at, r#"{"total_price":1}"#) };
        let reason = fold(None, &event, 1, rules, &Fake).unwrap_err().reason;
        assert_eq!(reason == DeadLetterReason::IncompleteOrder, is_taken);
        assert_eq!(reason == DeadLetterReason::OlderThanRetained, !is_taken);
        let event = OrderEvent { order_type: Some(OrderType::Ticket), ..event };
        assert_eq!(fold(None, &event, 1, rules, &Fake).is_ok(), is_taken);
        assert!(fold(Some(&first()), &OrderEvent { order_type: None, ..event }, 11, rules, &Fake).is_ok());
    };
    for unit in [TimeUnit::Seconds, TimeUnit::Milliseconds] {
        // A stamp of seconds stands for the whole of its second, also where the app has changed to milliseconds since.
        check(unit, 1_694_761_323, T + 999, false);
        check(unit, 1_694_761_323, T + 1_000, true);
    }
    check(TimeUnit::Milliseconds, T + 5, T + 5, false);
    check(TimeUnit::Milliseconds, T + 5, T + 6, true);
}

#[test]
fn faults_come_in_the_order_of_judgement_and_name_the_order() {
    let check = |state: Option<&OrderState>, order_type: Option<OrderType>, order: &str, expect: DeadLetterReason| {
        let event = OrderEvent { order_type, ..event("e2", Status::Paid, T, order) };
        let fault = apply(state, &event, 11).unwrap_err();
        assert_eq!(
            (fault.reason, fault.order_id.as_deref(), fault.app_id.as_deref()),
            (expect, Some("o1"), Some("tt1"))
        );
    };
    let state = first();
    let large = format!(r#"{{"total_price":1,"note":"{}"}}"#, "x".repeat(DOCUMENT_BYTES_MAX));
    check(Some(&state), Some(OrderType::Ticket), r#"{"total_price":null}"#, DeadLetterReason::OrderTypeChanged);
    check(Some(&state), None, r#"{"total_price":null}"#, DeadLetterReason::IncompleteOrder);
    check(Some(&state), None, r#"{"total_price":"1"}"#, DeadLetterReason::MalformedOrder);
    check(Some(&state), None, &large.replace(":1,", ":\"\","), DeadLetterReason::MalformedOrder);
    check(Some(&state), None, &large, DeadLetterReason::DocumentTooLarge);
    check(None, None, &large, DeadLetterReason::IncompleteOrder);
}

#[test]
fn a_document_may_have_256_kib_and_not_a_byte_more() {
    let check = |bytes: usize, is_taken: bool| {
        let order = format!(
            r#"{{"note":"{}","total_price":1}}"#,
            "é".repeat((bytes - 27) / 2) + if bytes.is_multiple_of(2) { "x" } else { "" }
        );
        assert_eq!(order.len(), bytes);
        assert_eq!(apply(None, &event("e1", Status::Paid, T, &order.replace(',', " , ")), 1).is_ok(), is_taken);
    };
    check(DOCUMENT_BYTES_MAX, true);
    check(DOCUMENT_BYTES_MAX + 1, false);
}

#[test]
fn a_first_event_without_a_type_names_what_every_type_requires() {
    let check = |order: &str, expect: &str| {
        let event = OrderEvent { order_type: None, ..event("e1", Status::Paid, T, order) };
        assert_eq!(apply(None, &event, 1).unwrap_err().message, expect);
    };
    check(
        "",
        "missing on the order's first event: order_type; in the order document: open_id, created_at, total_price, page",
    );
    check(
        r#"{"open_id":"","created_at":1,"total_price":2,"page":{}}"#,
        "missing on the order's first event: order_type; in the order document: open_id, page.path",
    );
    check(r#"{"open_id":1,"created_at":1,"total_price":2,"page":7}"#, "missing on the order's first event: order_type");
}
