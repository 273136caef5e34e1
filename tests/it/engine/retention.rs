//! Retention on virtual time: who leaves, who stays and why, and that an order is gone from one position on.

use std::time::Duration;

use order_sync::douyin::verdict::Exchange;
use order_sync::order::{AppId, DeadLetterReason, Identity};
use order_sync::record::{RecordOffset, TopicPartition};
use order_sync::sync::changelog::{LetterState, LetterStatus};
use order_sync::sync::ports::{AttemptStart, Input, PortError};
use order_sync::sync::rules::RetentionRules;

use super::commands_site::{self, Site, discard, resync, source};
use super::fakes::FakeStore;
use super::world::{Scene, WALL_MS, World, answer, event, ok};

const S: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const RETAIN: Duration = Duration::from_secs(90 * 86_400);

fn scene() -> Scene {
    let (page_every, pass_every) = (S, 10 * S);
    let retention = RetentionRules { retain: RETAIN, page_rows: 2, page_every, pass_every, judged_per_cut: 3 };
    Scene { retention: Some(retention), ..Scene::default() }
}

/// An event of `order` with `status`, so long before the worker's clock.
fn aged(order: &str, status: &str, age: Duration) -> String {
    let at_ms = WALL_MS - i64::try_from(age.as_millis()).unwrap();
    let n = at_ms / 1000 - 1_700_000_000;
    event("tt1", order, n).replace(r#""status":"paid""#, &format!(r#""status":"{status}""#))
}

/// An order as it is now: the partition's time goes by it.
fn fresh() -> String {
    aged("fresh", "paid", Duration::ZERO)
}

fn is_there(world: &World, source: &TopicPartition, order: &str) -> bool {
    let identity = Identity::new(AppId::new("tt1"), order);
    world.store.0.lock().unwrap()[source].states.contains_key(&identity)
}

fn removed_stamp(world: &World, source: &TopicPartition) -> Option<i64> {
    let shelves = world.store.0.lock().unwrap();
    shelves[source].position.as_ref().unwrap().removed_stamps.get(&AppId::new("tt1")).map(|stamp| stamp.0)
}

fn stamp(age: Duration) -> i64 {
    WALL_MS / 1000 - i64::try_from(age.as_secs()).unwrap()
}

fn reject(_: &AttemptStart) -> Exchange {
    answer(200, r#"{"err_code":40003,"err_msg":"openid","body":""}"#)
}

#[test]
fn a_page_of_which_many_may_leave_is_followed_by_the_next_at_once() {
    let check = |old: usize, young: usize, left_of_old: usize| {
        let (page_every, pass_every) = (30 * S, 20 * S);
        let retention = RetentionRules { retain: RETAIN, page_rows: 20, page_every, pass_every, judged_per_cut: 3 };
        let (mut world, source) = World::with_partition(&Scene { retention: Some(retention), ..Scene::default() });
        // One old order among so many young ones; names are in the order in which the store has them.
        let events: Vec<String> = (0..old * (young + 1))
            .map(|n| aged(&format!("o{n:03}"), "redeemed", if n % (young + 1) == 0 { 91 * DAY } else { 80 * DAY }))
            .collect();
        world.produce(&source, &events);
        world.produce(&source, &[fresh()]);
        // A pass over what is committed at the very start, which is nothing, has two pages; the next begins after a minute.
        world.run(80 * S, &mut |_| ok());
        let left = (0..old).filter(|n| is_there(&world, &source, &format!("o{:03}", n * (young + 1)))).count();
        assert_eq!(left, left_of_old, "one of {}", young + 1);
    };
    check(60, 0, 0);
    check(12, 9, 0);
    // One of the first page's twenty is too few: the page behind it has its time to wait for.
    check(6, 19, 5);
}

#[test]
fn who_is_at_the_end_delivered_and_untouched_leaves() {
    let (mut world, source) = World::with_partition(&scene());
    let ends = ["redeemed", "cancelled", "timed_out", "refunded"];
    let open = ["pending_payment", "paid", "awaiting_confirmation", "booked", "refunding", "refund_failed"];
    let all = ends.iter().chain(&open);
    let old: Vec<String> = all.map(|status| aged(status, status, 91 * DAY)).collect();
    world.produce(&source, &old);
    world.produce(&source, &[aged("young", "redeemed", 89 * DAY), fresh()]);
    world.run(60 * S, &mut |_| ok());
    for (status, expect) in ends.iter().map(|s| (s, false)).chain(open.iter().map(|s| (s, true))) {
        assert_eq!(is_there(&world, &source, status), expect, "{status}");
    }
    assert!(is_there(&world, &source, "young"));
    assert_eq!(removed_stamp(&world, &source), Some(stamp(91 * DAY)));
    // Two days later the young one is old; the clock goes by events.
    world.now.wall_ms += i64::try_from((2 * DAY).as_millis()).unwrap();
    world.run(30 * S, &mut |_| ok());
    assert!(is_there(&world, &source, "young"), "no event has said that time has passed");
    let later = event("tt1", "fresh", WALL_MS / 1000 - 1_700_000_000 + 2 * 86_400);
    world.produce(&source, &[later]);
    world.run(30 * S, &mut |_| ok());
    assert!(!is_there(&world, &source, "young"));
    assert_eq!(removed_stamp(&world, &source), Some(stamp(89 * DAY)));
    assert!(world.meters.render().contains("order_sync_removed_orders_total 5"));
}

#[test]
fn a_late_event_of_an_order_that_left_is_set_aside_and_a_new_order_begins_above() {
    let (mut world, source) = World::with_partition(&scene());
    world.produce(&source, &[aged("A", "redeemed", 100 * DAY), fresh()]);
    world.run(30 * S, &mut |_| ok());
    assert!(!is_there(&world, &source, "A"));
    world.produce(&source, &[aged("A", "refunded", 100 * DAY), aged("B", "paid", 101 * DAY)]);
    world.produce(&source, &[aged("A", "refunded", 99 * DAY)]);
    world.run(S, &mut |_| ok());
    let reasons: Vec<_> = world.letters.iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, [DeadLetterReason::OlderThanRetained; 2]);
    assert_eq!(world.stamps("A"), [stamp(100 * DAY), stamp(99 * DAY)], "forward, as if it were a new order");
    // The next process knows it, too.
    let mut next = World::new(&scene(), world.store.clone());
    next.assign(&source, 0);
    next.produce(&source, &[aged("C", "paid", 100 * DAY)]);
    next.run(S, &mut |_| ok());
    assert_eq!(next.letters[0].reason, DeadLetterReason::OlderThanRetained);
}

#[test]
fn what_is_owed_or_stands_as_a_dead_letter_stays() {
    let (mut world, source) = World::with_partition(&scene());
    world.produce(&source, &[aged("owed", "redeemed", 100 * DAY), aged("dead", "redeemed", 100 * DAY), fresh()]);
    // A letter of an event that was never folded; its order is accepted.
    let bad = aged("bad", "redeemed", 99 * DAY).replace(r#""event_id""#, r#""sequence":true,"event_id""#);
    world.produce(&source, &[aged("bad", "redeemed", 100 * DAY), bad]);
    let mut platform = |attempt: &AttemptStart| {
        let text = String::from_utf8_lossy(&attempt.request).into_owned();
        match text.contains("\"owed\"") {
            true => answer(500, ""),
            false if text.contains("\"dead\"") => reject(attempt),
            false => ok(),
        }
    };
    world.run(60 * S, &mut platform);
    assert_eq!(world.letters.len(), 2);
    for order in ["owed", "dead", "bad"] {
        assert!(is_there(&world, &source, order), "{order}");
    }
    assert_eq!(removed_stamp(&world, &source), None);
    // The platform takes it at last; the dead one is sent anew, with its own content, and accepted.
    world.produce(&source, &[aged("dead", "redeemed", 100 * DAY).replace("dead-", "dead-again-")]);
    world.run(90 * S, &mut |_| ok());
    assert!(!is_there(&world, &source, "owed") && !is_there(&world, &source, "dead"));
    assert!(is_there(&world, &source, "bad"), "its letter is open");
}

#[test]
fn what_was_discarded_was_never_delivered_and_stays_until_it_is() {
    let scene = Scene { retention: scene().retention, ..commands_site::scene() };
    let mut site = Site::over(FakeStore::default(), &scene);
    site.produce(&[aged("dead", "redeemed", 100 * DAY), fresh()]);
    site.world.run(20 * S, &mut reject);
    site.give("d", discard(0));
    site.world.run(60 * S, &mut |_| ok());
    assert_eq!((site.letter(0).0, is_there(&site.world, &source(), "dead")), (LetterState::Discarded, true));
    site.give("r", resync("dead"));
    site.run(&mut |_| ok());
    site.world.pass(91 * DAY);
    site.produce(&[event("tt1", "later", site.world.now.wall_ms / 1000 - 1_700_000_000)]);
    site.world.run(60 * S, &mut |_| ok());
    assert!(!is_there(&site.world, &source(), "dead"), "it was sent again");
}

#[test]
fn statuses_of_letters_leave_behind_their_order_and_never_come_back_as_open() {
    let (mut world, source) = World::with_partition(&scene());
    world.produce(&source, &[aged("A", "paid", 100 * DAY), "{".to_owned()]);
    world.run(S, &mut reject);
    world.produce(&source, &[aged("A", "redeemed", 99 * DAY), fresh()]);
    world.run(60 * S, &mut |_| ok());
    let states = |world: &World| {
        let shelves = world.store.0.lock().unwrap();
        let letters = shelves[&source].letters.iter();
        letters.filter_map(|(offset, status)| Some((offset.get(), status?.state))).collect::<Vec<_>>()
    };
    assert!(!is_there(&world, &source, "A"));
    assert_eq!(states(&world), [(0, LetterState::Superseded), (1, LetterState::Open)], "superseded only just now");
    // What an operator has decided of other letters of orders that are gone.
    for (offset, state) in [(700, LetterState::Discarded), (701, LetterState::Redriven)] {
        let mut shelves = world.store.0.lock().unwrap();
        let letters = &mut shelves.get_mut(&source).unwrap().letters;
        let letter = letters.get(RecordOffset::new(0)).flatten().cloned().unwrap();
        letters.put(RecordOffset::new(offset), Some(LetterStatus { state, ..letter }));
    }
    world.now.wall_ms += i64::try_from((91 * DAY).as_millis()).unwrap();
    let later = event("tt1", "fresh", WALL_MS / 1000 - 1_700_000_000 + 91 * 86_400);
    world.produce(&source, &[later]);
    world.run(60 * S, &mut |_| ok());
    assert_eq!(states(&world), [(1, LetterState::Open), (700, LetterState::Discarded), (701, LetterState::Redriven)]);
}

/// A world in which order A may leave, and the page that says so is on its way.
fn about_to_leave() -> (World, TopicPartition) {
    let (mut world, source) = World::with_partition(&scene());
    world.produce(&source, &[aged("A", "redeemed", 100 * DAY), fresh()]);
    for _ in 0..200 {
        world.turn();
        world.answer_tokens();
        world.answer_attempts(&mut |_| ok());
        if !world.finish_commit() && !world.asked.lock().unwrap().sweeps.is_empty() && world.owed_in_store() == 0 {
            return (world, source);
        }
        world.pass(S / 20);
    }
    panic!("no page is asked for");
}

#[test]
fn an_order_that_is_touched_between_page_and_cut_stays() {
    let touches = [
        ("an event", aged("A", "refunding", 95 * DAY)),
        ("one that changes nothing", aged("A", "redeemed", 100 * DAY).replace("\"A-", "\"A-again-")),
        (
            "one that is set aside",
            aged("A", "refunded", 94 * DAY).replace(r#""event_id""#, r#""sequence":true,"event_id""#),
        ),
    ];
    for (what, touch) in touches {
        let (mut world, source) = about_to_leave();
        world.answer_sweeps();
        world.produce(&source, &[touch]);
        world.turn();
        world.pass(S);
        world.turn();
        let cut = world.asked.lock().unwrap().cuts.pop_front().unwrap();
        assert!(cut.parts.iter().all(|part| part.layer.removed().is_empty()), "{what}");
        assert!(cut.parts.iter().all(|part| part.position.removed_stamps.is_empty()), "{what}");
        world.store.apply(&cut);
        world.handle(Input::Committed(Ok(())));
        assert!(is_there(&world, &source, "A"), "{what}");
    }
}

/// The same with the cut that order A leaves with under way.
fn leaving() -> (World, TopicPartition) {
    let (mut world, source) = about_to_leave();
    world.answer_sweeps();
    world.pass(S);
    world.turn();
    {
        let asked = world.asked.lock().unwrap();
        let part = &asked.cuts[0].parts[0];
        assert_eq!(part.layer.removed().len(), 1);
        assert_eq!(part.position.removed_stamps[&AppId::new("tt1")].0, stamp(100 * DAY));
    }
    (world, source)
}

#[test]
fn an_event_waits_for_the_cut_that_its_order_leaves_with() {
    for commits in [true, false] {
        let (mut world, source) = leaving();
        // A's own event, with the rest of the log behind it.
        world.produce(&source, &[aged("A", "refunded", 95 * DAY), aged("Z", "paid", 100 * DAY), fresh()]);
        assert_eq!(world.status().folded, 2, "they wait");
        end_commit(&mut world, commits);
        world.run(3 * S, &mut |_| ok());
        assert_eq!(world.status().folded, 5);
        let is_new_order = !world.sent.iter().any(|(_, request)| request.contains('Z'));
        assert_eq!(
            (is_new_order, world.letters.len()),
            (commits, usize::from(commits)),
            "Z begins above what has left"
        );
        assert_eq!(world.stamps("A"), [stamp(100 * DAY), stamp(95 * DAY)]);
        assert_eq!(removed_stamp(&world, &source), commits.then(|| stamp(100 * DAY)));
    }
}

/// The commit under way is made, or fails.
fn end_commit(world: &mut World, commits: bool) {
    if commits {
        world.finish_commit();
    } else {
        world.asked.lock().unwrap().cuts.clear();
        world.handle(Input::Committed(Err(PortError::Passing("no".to_owned()))));
    }
}

/// It must begin above everything that has left, and whether the order before it has is not known before the cut is made.
#[test]
fn an_unknown_orders_first_event_waits_for_the_cut_that_says_what_has_left() {
    for commits in [true, false] {
        let (mut world, source) = leaving();
        world.produce(&source, &[aged("Y", "paid", 99 * DAY), aged("Z", "paid", 100 * DAY), fresh()]);
        assert_eq!(world.status().folded, 3, "Y is above it, and Z is not");
        end_commit(&mut world, commits);
        world.run(3 * S, &mut |_| ok());
        assert_eq!(world.status().folded, 5);
        let letters: Vec<_> = world.letters.iter().map(|letter| letter.reason).collect();
        let expected = if commits { vec![DeadLetterReason::OlderThanRetained] } else { vec![] };
        assert_eq!((letters, world.stamps("Z").len()), (expected, usize::from(!commits)));
    }
}

#[test]
fn other_orders_go_on_while_one_leaves() {
    let (mut world, source) = leaving();
    world.produce(&source, &[aged("B", "paid", DAY), aged("fresh", "booked", Duration::ZERO)]);
    assert_eq!(world.status().folded, 4);
}

#[test]
fn a_clock_that_is_far_ahead_removes_nothing() {
    let (mut world, source) = World::with_partition(&scene());
    world.now.wall_ms += i64::try_from((365 * DAY).as_millis()).unwrap();
    world.produce(&source, &[aged("A", "redeemed", 2 * DAY), fresh()]);
    world.run(60 * S, &mut |_| ok());
    assert!(is_there(&world, &source, "A"));
}

#[test]
fn a_worker_that_reads_old_events_removes_nothing_before_it_has_read_them() {
    let mut world = World::new(&scene(), FakeStore::default());
    let source = TopicPartition::new("orders", 0);
    world.assign(&source, 5);
    // Somebody else's new order is in the log before the refund of A.
    world.produce(&source, &[aged("A", "redeemed", 200 * DAY), fresh(), aged("B", "paid", DAY)]);
    world.run(60 * S, &mut |_| ok());
    assert!(is_there(&world, &source, "A"));
    world.produce(&source, &[aged("A", "refunding", 199 * DAY), aged("A", "refunded", 198 * DAY)]);
    world.run(60 * S, &mut |_| ok());
    assert!(world.letters.is_empty() && !is_there(&world, &source, "A"));
}

#[test]
fn a_restart_goes_through_the_store_again_and_slowly() {
    let (mut world, source) = World::with_partition(&scene());
    let old: Vec<String> = (0..100).map(|n| aged(&format!("old{n}"), "redeemed", 100 * DAY)).collect();
    world.produce(&source, &old);
    world.run(S, &mut |_| ok());
    let mut next = World::new(&scene(), world.store.clone());
    next.assign(&source, 0);
    next.produce(&source, &[fresh()]);
    let mut left = 100;
    for second in 0..60 {
        let before = left;
        next.run(S, &mut |_| ok());
        left = (0..100).filter(|n| is_there(&next, &source, &format!("old{n}"))).count();
        assert!(before - left <= 30, "three at a cut, ten cuts a second: {second}: {before} {left}");
    }
    assert_eq!(left, 0);
}
