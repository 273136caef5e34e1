//! Operator commands that change orders: each acts once, in its place, and never puts an older state over a newer one.

use std::time::Duration;

use order_sync::order::{AppId, UpdateTime};
use order_sync::record::{NextOffset, RecordOffset};
use order_sync::sync::changelog::LetterState;
use order_sync::sync::command::{Action, Command, Outcome, Read};
use order_sync::sync::command_ports::{CommandNews, Incoming};
use order_sync::sync::ports::{Input, PortError};

use super::commands_site::{
    S, Site, T, ahead, discard, fold, pause, record, redrive, reject, resume, resync, scene, source,
};
use super::fakes::FakeStore;
use super::world::{Scene, WALL_MS, answer, event, ok};

#[test]
fn a_rejected_delivery_is_sent_again_under_its_own_stamp_with_its_very_bytes() {
    let mut site = Site::new();
    site.produce(&[event("tt1", "A", 1)]);
    site.run(&mut reject);
    assert_eq!(site.letter(0), (LetterState::Open, 1));
    site.give("r1", redrive(0));
    site.run(&mut reject);
    // Rejected again: a new letter of the same record, and open again.
    assert_eq!((site.outcome("r1"), site.letter(0)), (Outcome::Sent, (LetterState::Open, 2)));
    site.give("r2", redrive(0));
    site.give("r3", redrive(0));
    site.run(&mut |_| ok());
    assert_eq!((site.outcome("r2"), site.outcome("r3")), (Outcome::Sent, Outcome::Refused), "it is redriven already");
    assert_eq!(site.letter(0), (LetterState::Redriven, 2));
    let done = site.done("r2").unwrap();
    assert_eq!((done.update_time, done.next.get(), &*done.who), (Some(UpdateTime(T + 1)), 1, "alice"));
    assert_eq!((done.command_offset.get(), site.position().commands), (1, Some(NextOffset::new(3))));
    let bodies: Vec<_> = site.world.sent.iter().map(|(_, body)| body.clone()).collect();
    assert_eq!((bodies.len(), &bodies[0], &bodies[0]), (3, &bodies[1], &bodies[2]));
}

#[test]
fn a_redrive_never_puts_an_older_state_over_a_newer_one() {
    let mut site = Site::new();
    site.produce(&[event("tt1", "A", 1)]);
    site.run(&mut reject);
    // A newer event comes in the same turn as the redrive, and is folded before it or behind it.
    site.produce(&[event("tt1", "A", 2)]);
    site.give("r1", redrive(0));
    site.run(&mut |_| ok());
    let late = site.outcome("r1");
    site.give("r2", redrive(0));
    site.run(&mut |_| ok());
    assert!([Outcome::Sent, Outcome::Superseded].contains(&late), "{late:?}");
    let twice = if late == Outcome::Sent { Outcome::Refused } else { Outcome::Superseded };
    assert_eq!(site.outcome("r2"), twice);
    let stamps = site.world.stamps("A");
    assert!(stamps.is_sorted(), "{stamps:?}");
    assert_eq!(stamps.last(), Some(&(T + 2)));
    assert_eq!(site.letter(0).0, if late == Outcome::Sent { LetterState::Redriven } else { LetterState::Superseded });
    // The newer one is owed and not accepted yet: neither is the letter superseded yet, nor sent.
    site.produce(&[event("tt1", "B", 1)]);
    site.run(&mut reject);
    site.produce(&[event("tt1", "B", 2)]);
    site.world.run(S, &mut |_| answer(503, ""));
    site.give("r3", redrive(2));
    site.world.run(S, &mut |_| answer(503, ""));
    assert_eq!((site.outcome("r3"), site.letter(2).0), (Outcome::Superseded, LetterState::Open));
    site.world.run(Duration::from_secs(120), &mut |_| ok());
    assert_eq!(site.letter(2).0, LetterState::Superseded);
}

#[test]
fn an_event_that_was_never_folded_is_folded_where_the_command_stands() {
    let mut site = Site::new();
    site.produce(&[event("tt1", "A", 1), ahead("A", 7), ahead("A", 8), ahead("B", 9)]);
    site.run(&mut |_| ok());
    assert_eq!(site.letter(1), (LetterState::Open, 1));
    // It is judged anew, and is still ahead.
    site.give("r0", redrive(1));
    site.run(&mut |_| ok());
    assert_eq!((site.outcome("r0"), site.letter(1)), (Outcome::DeadLetter, (LetterState::Open, 2)));
    site.world.pass(Duration::from_secs(3600));
    // At one time, in offset order: the later record wins, whichever comes first.
    site.give("r2", redrive(2));
    site.give("r1", redrive(1));
    site.run(&mut |_| ok());
    assert_eq!((site.outcome("r2"), site.outcome("r1")), (Outcome::Folded, Outcome::Stale));
    assert_eq!((site.letter(2).0, site.letter(1).0), (LetterState::Redriven, LetterState::Open));
    site.give("f1", fold(1));
    site.run(&mut |_| ok());
    assert_eq!((site.outcome("f1"), site.letter(1).0), (Outcome::Folded, LetterState::Redriven));
    let first = (WALL_MS + 1_200_000) / 1000;
    assert_eq!(site.world.stamps("A"), [T + 1, first, first + 1]);
    site.give("d3", discard(3));
    site.run(&mut |_| ok());
    assert_eq!((site.outcome("d3"), site.letter(3).0), (Outcome::Done, LetterState::Discarded));
    // Who has thought better of it.
    site.give("r3", redrive(3));
    site.run(&mut |_| ok());
    assert_eq!((site.outcome("r3"), site.letter(3).0), (Outcome::Folded, LetterState::Redriven));
}

#[test]
fn a_resync_owes_the_stored_state_again_above_its_last_stamp() {
    let mut site = Site::new();
    site.produce(&[event("tt1", "A", 1)]);
    site.run(&mut |_| ok());
    let now = site.world.now.wall_ms / 1000;
    site.give("s1", resync("A"));
    site.give("s2", resync("A"));
    site.give("s3", resync("nobody"));
    site.run(&mut |_| ok());
    assert_eq!(["s1", "s2", "s3"].map(|id| site.outcome(id)), [Outcome::Sent, Outcome::Sent, Outcome::Refused]);
    assert_eq!(site.world.stamps("A"), [T + 1, now, now + 1]);
    site.produce(&[event("tt1", "A", 2)]);
    site.run(&mut |_| ok());
    assert_eq!(site.world.stamps("A"), [T + 1, now, now + 1, now + 2], "events go on above it");
}

#[test]
fn a_command_given_twice_acts_once_and_tells_its_outcome_again() {
    let mut site = Site::new();
    site.produce(&[event("tt1", "A", 1)]);
    site.run(&mut |_| ok());
    site.give("s1", resync("A"));
    site.give("s1", resync("A"));
    site.run(&mut |_| ok());
    let done = site.done("s1").unwrap();
    site.give("s1", resync("A"));
    site.world.turn();
    site.world.pass(S);
    site.world.turn();
    let told = site.world.asked.lock().unwrap().cuts[0].parts[0].layer.told().clone();
    assert_eq!(told.into_iter().collect::<Vec<_>>(), [("s1".into(), done.clone())]);
    site.run(&mut |_| ok());
    assert_eq!((site.world.stamps("A").len(), site.done("s1")), (2, Some(done)));
    let text = site.world.meters.render();
    assert!(text.contains(r#"order_sync_commands_total{command="resync",outcome="sent"} 1"#), "{text}");
    assert_eq!(site.position().commands, Some(NextOffset::new(3)));
}

/// The position moves back to where the new topic begins: what waits there is not passed over by what went ahead of it, nor by
/// a kill in between; and what has an outcome is only told again.
#[test]
fn commands_of_a_topic_made_anew_are_executed_from_its_beginning() {
    let mut site = Site::new();
    site.produce(&[event("tt1", "A", 1)]);
    site.run(&mut |_| ok());
    for id in ["s1", "s2", "s3"] {
        site.give(id, resync("A"));
    }
    site.run(&mut |_| ok());
    assert_eq!((site.world.stamps("A").len(), site.position().commands), (4, Some(NextOffset::new(3))));

    let mut site = site.restart();
    site.tell(CommandNews::Anew(NextOffset::new(0)));
    site.tell(CommandNews::Followed(NextOffset::new(3)));
    let pause = Command { id: "p".into(), source: source(), action: pause(), who: "".into(), why: "".into(), at_ms: 0 };
    let incoming = Incoming { offset: RecordOffset::new(2), read: Read::Command(pause), original: None, request: None };
    site.tell(CommandNews::Command(Box::new(incoming), NextOffset::new(0)));
    site.run(&mut |_| ok());
    assert_eq!((site.outcome("p"), site.position().commands), (Outcome::Done, Some(NextOffset::new(0))));

    let mut site = site.restart();
    site.give_at(0, "s3", resync("A"), None);
    site.give_at(1, "new", resync("A"), None);
    site.run(&mut |_| ok());
    assert_eq!((site.outcome("new"), site.position().commands), (Outcome::Sent, Some(NextOffset::new(2))));
    let stamps = [site.done("s3"), site.done("new")].map(|done| done.unwrap().update_time.unwrap().0);
    assert_eq!(stamps[1], stamps[0] + 1, "s3 has acted once");
}

#[test]
fn killed_anywhere_a_command_acts_once() {
    // Before its commit: nothing of it is there, and it is read again. Behind it: it is not.
    for is_committed in [false, true] {
        let mut site = Site::new();
        site.produce(&[event("tt1", "A", 1)]);
        site.run(&mut reject);
        site.give("r1", redrive(0));
        site.world.turn();
        site.world.pass(S);
        site.world.turn();
        if is_committed {
            assert!(site.world.finish_commit());
        }
        let mut site = site.restart();
        assert_eq!(site.position().commands.is_some(), is_committed);
        assert_eq!(site.done("r1").is_some(), is_committed);
        // Whoever reads the topic from too early, reads it again.
        site.give_at(0, "r1", redrive(0), None);
        site.world.run(S, &mut |_| ok());
        assert_eq!((site.outcome("r1"), site.letter(0).0), (Outcome::Sent, LetterState::Redriven));
        assert_eq!(site.world.stamps("A"), [T + 1], "{is_committed}");
    }
}

#[test]
fn a_failed_commit_keeps_what_was_executed() {
    let mut site = Site::new();
    site.produce(&[event("tt1", "A", 1)]);
    site.run(&mut |_| ok());
    site.give("s1", resync("A"));
    site.give("p1", pause());
    site.world.turn();
    site.world.pass(S);
    site.world.turn();
    site.world.asked.lock().unwrap().cuts.clear();
    site.world.handle(Input::Committed(Err(PortError::Passing("away".to_owned()))));
    site.give("s2", resync("A"));
    site.give("u1", resume());
    site.run(&mut |_| ok());
    assert_eq!(
        ["s1", "p1", "s2", "u1"].map(|id| site.outcome(id)),
        [Outcome::Sent, Outcome::Done, Outcome::Sent, Outcome::Done]
    );
    site.run(&mut |_| ok());
    assert_eq!((site.world.stamps("A").len(), site.position().paused_apps.len()), (3, 0));
}

/// As it may lie there after a rebase onto a source topic that was made anew.
#[test]
fn a_redrive_folds_no_record_of_another_order_than_the_letters() {
    let mut site = Site::new();
    site.produce(&[event("tt1", "A", 1), ahead("B", 7)]);
    site.run(&mut |_| ok());
    site.world.pass(Duration::from_secs(3600));
    let at_ms = site.world.now.wall_ms;
    let command =
        Command { id: "r1".into(), source: source(), action: redrive(1), who: "a".into(), why: "".into(), at_ms };
    site.hand_over(0, Read::Command(command), Some(record(1, &ahead("C", 3))), None);
    site.next = 1;
    site.run(&mut |_| ok());
    let done = site.done("r1").unwrap();
    assert!(done.outcome == Outcome::Refused && done.message.ends_with("is of order B"), "{done:?}");
    assert_eq!((site.letter(1).0, site.world.sent.len()), (LetterState::Open, 1));
}

#[test]
fn what_must_not_be_is_refused_with_words() {
    let mut site = Site::new();
    site.produce(&[event("tt1", "A", 1)]);
    site.run(&mut |_| ok());
    let at_ms = site.world.now.wall_ms + 600_001;
    let ahead =
        |id: &str, action| Command { id: id.into(), source: source(), action, who: "a".into(), why: "".into(), at_ms };
    site.hand_over(0, Read::Command(ahead("early", resync("A"))), None, None);
    let (command, words) = ("unknown".into(), "unknown command format 2".to_owned());
    site.hand_over(1, Read::Refused { id: "odd".into(), source: source(), command, words }, None, None);
    site.next = 2;
    for (id, action) in [("none", redrive(0)), ("beyond", redrive(1)), ("far", fold(9)), ("gone", discard(7))] {
        site.give(id, action);
    }
    site.run(&mut |_| ok());
    let check = |id: &str, expect: &str| {
        let done = site.done(id).unwrap();
        assert!(done.outcome == Outcome::Refused && done.message.contains(expect), "{id}: {done:?}");
    };
    check("early", "max_clock_skew ahead");
    check("odd", "unknown command format 2");
    check("none", "no dead letter of this record");
    check("beyond", "beyond the partition's position");
    check("far", "beyond the partition's position");
    check("gone", "no dead letter of this record");
    assert_eq!((site.world.sent.len(), site.position().commands), (1, Some(NextOffset::new(6))));
}

#[test]
fn a_letter_of_an_app_that_is_not_configured_is_not_sent_again_and_stays_open() {
    let both = Scene { apps: vec!["tt1", "tt2"], ..scene() };
    let mut site = Site::over(FakeStore::default(), &both);
    site.produce(&[event("tt2", "A", 1)]);
    site.run(&mut reject);
    assert_eq!(site.letter(0), (LetterState::Open, 1));
    let mut site = site.restart();
    site.give("r1", redrive(0));
    site.give("p1", Action::Pause { app_id: AppId::new("tt2") });
    site.run(&mut |_| ok());
    let done = ["r1", "p1"].map(|id| site.done(id).unwrap());
    assert!(done.iter().all(|done| done.outcome == Outcome::Refused), "{done:?}");
    assert!(done[0].message.contains("no app of this id") && done[0].message == done[1].message, "{done:?}");
    assert_eq!((site.letter(0), site.world.owed_in_store()), ((LetterState::Open, 1), 0));
    let mut site = site.restart_with(&both);
    site.give("r2", redrive(0));
    site.run(&mut |_| ok());
    assert_eq!(
        (site.outcome("r2"), site.letter(0), site.world.sent.len()),
        (Outcome::Sent, (LetterState::Redriven, 1), 1)
    );
}

#[test]
fn the_letters_own_request_is_sent_only_where_it_is_the_orders_last() {
    let mut site = Site::new();
    site.produce(&[event("tt1", "A", 1)]);
    site.run(&mut reject);
    let body = site.world.sent[0].1.clone();
    let forged = body.replace("\"n\":1", "\"n\":7");
    assert_ne!(forged, body);
    site.give_at(0, "r1", redrive(0), Some(&forged));
    site.run(&mut |_| ok());
    assert_eq!(
        (site.outcome("r1"), &site.world.sent[1].1),
        (Outcome::Sent, &body),
        "mapped anew, and not what somebody wrote"
    );
}

#[test]
fn a_resync_of_an_order_that_is_there_and_whose_app_is_not_says_which_of_both_is_missing() {
    let both = Scene { apps: vec!["tt1", "tt2"], ..scene() };
    let mut site = Site::over(FakeStore::default(), &both);
    site.produce(&[event("tt2", "A", 1)]);
    site.run(&mut |_| answer(503, ""));
    let mut site = site.restart_with(&scene());
    for (id, order) in [("there", "A"), ("nowhere", "B")] {
        site.give(id, Action::Resync { app_id: AppId::new("tt2"), order_id: order.into() });
    }
    site.run(&mut |_| ok());
    let check = |id, expect: &str| {
        let done = site.done(id).unwrap();
        assert!(done.outcome == Outcome::Refused && done.message.contains(expect), "{done:?}");
    };
    check("there", "its app tt2 is not among [[apps]]");
    check("nowhere", "the order is not known in this partition");
}
