//! What a redrive or a fold is foretold to come to.

use super::super::letter::{LetterId, LetterRow};
use super::super::statuses::Told;
use super::*;
use crate::order::state::DeadLetterMark;
use crate::order::{DeadLetterReason, Fault, MapInput, Mapped};
use crate::record::NextOffset;
use crate::sync::position::Position;

const T0: i64 = 1_760_000_000_000;

/// Sends the status.
struct SendsStatus;

impl MapOrder for SendsStatus {
    fn map(&self, input: &MapInput<'_>) -> Result<Mapped, Fault> {
        Ok(Mapped { draft: format!("{{\"status\":{:?}}}", input.status.as_str()).into(), ..Mapped::default() })
    }
}

fn source() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

/// An event of the order, `offset` seconds after the first.
fn event(offset: i64, status: &str) -> Record {
    let occurred_ms = T0 + offset * 1000;
    let value = format!(
        r#"{{"event_id":"e{offset}","order_id":"A1","order_type":"normal","status":"{status}","occurred_at":{occurred_ms},"order":{{}}}}"#
    );
    let value = Some(value.into_bytes().into());
    Record { offset: RecordOffset::new(offset), timestamp_ms: Some(occurred_ms), key: None, value, headers: vec![] }
}

/// Everything before offset 9 has an outcome, and nothing is known of the order.
fn foresight() -> Foresight<'static> {
    let mut standing = Standing::default();
    standing.positions.insert(source(), Position::before(NextOffset::new(9)));
    let events = EventRules { apps: vec![AppId::new("tt1")], max_clock_skew_ms: 0 };
    Foresight { standing, events, units: BTreeMap::new(), mapper: &SendsStatus, now_ms: T0 + 3_600_000 }
}

/// The order stands at the event of offset 5.
fn gone_on() -> Foresight<'static> {
    let mut foresight = foresight();
    let later = event(5, "redeemed");
    let prospect = foresight.fold(&source(), later.offset, Original::Here(&later), FoldAs::Word);
    assert_eq!(prospect, Prospect::new(Will::FoldAgain, "the order becomes redeemed"));
    foresight
}

/// A letter of the event at offset 2, which was folded under this stamp, or never.
fn letter(state: LetterState, update_time: Option<i64>) -> Listed {
    let row = LetterRow {
        foreign_app: None,
        id: LetterId { source: source(), offset: RecordOffset::new(2) },
        reason: "invalid_event".into(),
        app_id: Some("tt1".into()),
        order_id: Some("A1".into()),
        update_time,
        err_code: None,
        attempts: 0,
        times: 1,
        first_failed_at: None,
        last_failed_at: None,
        place: (0, RecordOffset::new(0)),
        written_ms: T0,
    };
    Listed { row, word: Word::Status(Told { state, at_ms: T0, times: 1 }) }
}

#[test]
fn a_letter_that_is_closed_is_told_as_a_worker_would_tell_it() {
    let older = event(2, "paid");
    let redriven = Prospect::new(Will::Refused, "it is redriven already; nothing of it is open");
    let superseded = Prospect::new(Will::Superseded, "a later state of the order was accepted, and holds what it says");
    for (state, expect) in [(LetterState::Redriven, redriven), (LetterState::Superseded, superseded)] {
        // Its order has gone on, or it has left by retention; its event was folded, or it never was.
        for (mut foresight, order) in [(gone_on(), "gone on"), (foresight(), "left")] {
            for stamp in [None, Some(1_760_000_002), Some(1_760_000_005)] {
                let prospect = foresight.redrive(&letter(state, stamp), Some(&older));
                assert_eq!(prospect, expect, "{state:?}, {order}, {stamp:?}");
            }
        }
    }
}

#[test]
fn a_letter_that_is_open_or_discarded_is_taken_up_where_its_order_stands() {
    let older = event(2, "paid");
    let told = |mut foresight: Foresight<'_>, state, stamp| {
        let Prospect { will, words } = foresight.redrive(&letter(state, stamp), Some(&older));
        (will, words.contains("orders fold"))
    };
    let (open, discarded) = (LetterState::Open, LetterState::Discarded);
    assert_eq!(told(gone_on(), open, None), (Will::Stale, true));
    assert_eq!(told(gone_on(), discarded, None), (Will::Stale, false), "nothing of it is left to be closed");
    for state in [open, discarded] {
        assert_eq!(told(foresight(), state, None), (Will::FoldAgain, false));
        assert_eq!(told(gone_on(), state, Some(1_760_000_002)), (Will::Superseded, false));
        assert_eq!(told(foresight(), state, Some(1_760_000_002)), (Will::Refused, false), "its order has left");
    }
}

#[test]
fn what_is_of_no_app_of_the_settings_is_not_sent_again() {
    let told = |apps: &[&str]| {
        let mut foresight = gone_on();
        for state in foresight.standing.states.values_mut() {
            let reason = DeadLetterReason::RejectedByPlatform;
            state.dead_letter = Some(DeadLetterMark { offset: 2, reason, times: 1 });
        }
        let stamp = foresight.standing.states.values().next().unwrap().update_time;
        foresight.events.apps = apps.iter().map(|app| AppId::new(*app)).collect();
        let prospect = foresight.redrive(&letter(LetterState::Open, Some(stamp.0)), None);
        (prospect.will, prospect.words)
    };
    let refused = "there is no app \"tt1\" in the settings; there are tt2, tt3".to_owned();
    assert_eq!(told(&["tt2", "tt3"]), (Will::Refused, refused));
    assert_eq!((told(&["tt1", "tt2"]).0, told(&[]).0), (Will::Send, Will::Send));
}

#[test]
fn a_record_that_nobody_has_is_refused_and_one_that_could_not_be_looked_at_is_left_to_the_worker() {
    let fold = |offset: i64, original: Original<'_>| {
        let prospect = foresight().fold(&source(), RecordOffset::new(offset), original, FoldAs::Word);
        (prospect.will, prospect.words)
    };
    let gone = "neither the source nor a letter has the record any more".to_owned();
    assert_eq!(fold(2, Original::Gone), (Will::Refused, gone));
    assert_eq!(fold(2, Original::Unseen).0, Will::FoldAgain);
    let (will, words) = fold(9, Original::Gone);
    assert!(will == Will::Refused && words.contains("it is folded in its turn"), "{words}");
}
