//! The statuses of dead letters: what a later push supersedes, what stays open, and how often a record came to one.

use std::time::Duration;

use order_sync::douyin::verdict::Exchange;
use order_sync::record::TopicPartition;
use order_sync::sync::changelog::LetterState::{Open, Superseded};
use order_sync::sync::changelog::{LetterState, LetterStatus};
use order_sync::sync::ports::AttemptStart;

use super::world::{Scene, World, answer, event, ok};

const S: Duration = Duration::from_secs(1);

fn reject(_: &AttemptStart) -> Exchange {
    answer(200, r#"{"err_code":40003,"err_msg":"openid","body":""}"#)
}

/// What is committed of the letters, by offset.
fn statuses(world: &World, source: &TopicPartition) -> Vec<(i64, LetterStatus)> {
    let shelves = world.store.0.lock().unwrap();
    let letters = shelves[source].letters.iter();
    letters.filter_map(|(offset, status)| Some((offset.get(), status?.clone()))).collect()
}

fn states(world: &World, source: &TopicPartition) -> Vec<(i64, LetterState)> {
    statuses(world, source).into_iter().map(|(offset, status)| (offset, status.state)).collect()
}

/// The gauge as Prometheus would see it.
fn open(world: &mut World) -> String {
    world.status();
    let text = world.meters.render();
    let line = text.lines().find(|line| line.starts_with("order_sync_dead_letters_open ")).unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

/// The next process over the same store.
fn restart(world: &World, source: &TopicPartition) -> World {
    let mut next = World::new(&Scene::default(), world.store.clone());
    next.assign(source, 0);
    next
}

#[test]
fn a_later_state_that_is_accepted_supersedes_what_was_folded_and_nothing_else() {
    let (mut world, source) = World::with_partition(&Scene::default());
    // Offset 0 is of A and never folded; 1 and 2 are two states of A, 3 is one of B.
    let bad = event("tt1", "A", 1).replace(r#""status":"paid""#, r#""status":"paid","sequence":true"#);
    world.produce(&source, &[bad, event("tt1", "A", 1), event("tt1", "A", 2), event("tt1", "B", 1)]);
    world.run(S, &mut reject);
    assert_eq!(states(&world, &source), [(0, Open), (1, Open), (2, Open), (3, Open)]);
    let never_folded = &statuses(&world, &source)[0].1;
    assert_eq!((&*never_folded.identity().unwrap().order_id, never_folded.stamp), ("A", None));
    let of_a = &statuses(&world, &source)[1].1;
    assert_eq!((of_a.times, of_a.stamp.map(|stamp| stamp.0)), (1, Some(1_700_000_001)));
    assert_eq!(&*of_a.identity().unwrap().order_id, "A");
    assert_eq!(open(&mut world), "4");
    world.produce(&source, &[event("tt1", "A", 3)]);
    world.run(S, &mut |_| ok());
    assert_eq!(states(&world, &source), [(0, Open), (1, Superseded), (2, Superseded), (3, Open)]);
    assert_eq!(open(&mut world), "2");
}

#[test]
fn a_state_that_waited_behind_the_rejected_one_supersedes_it() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "A", 1), event("tt1", "A", 2)]);
    let mut first = true;
    world.run(S, &mut |attempt| if std::mem::take(&mut first) { reject(attempt) } else { ok() });
    assert_eq!(states(&world, &source), [(0, Superseded)]);
}

#[test]
fn the_same_content_owed_again_supersedes_its_letter() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.run(S, &mut reject);
    let again = |id: &str| event("tt1", "A", 1).replace("A-1", id);
    // Rejected once more: that letter is the event's that made it owed again.
    world.produce(&source, &[again("A-again")]);
    world.run(S, &mut reject);
    assert_eq!(states(&world, &source), [(0, Open), (1, Open)]);
    world.produce(&source, &[again("A-third")]);
    world.run(S, &mut |_| ok());
    assert_eq!(states(&world, &source), [(0, Superseded), (1, Superseded)]);
}

#[test]
fn what_is_open_is_known_after_a_restart() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "A", 1), event("tt1", "B", 1), "{".to_owned()]);
    world.run(S, &mut reject);
    let mut world = restart(&world, &source);
    assert_eq!(open(&mut world), "3");
    world.produce(&source, &[event("tt1", "A", 2)]);
    world.run(S, &mut |_| ok());
    assert_eq!(states(&world, &source), [(0, Superseded), (1, Open), (2, Open)]);
    assert_eq!(open(&mut restart(&world, &source)), "2");
}

#[test]
fn a_record_that_comes_back_says_how_often_it_has() {
    let (mut world, source) = World::with_partition(&Scene::default());
    let mut first_failed_ms = 0;
    for times in 1..=3 {
        // A world's clock begins anew with it.
        (1..times).for_each(|_| world.run(S, &mut |_| ok()));
        world.produce(&source, &["{".to_owned()]);
        world.run(S, &mut |_| ok());
        let letter = world.letters.last().unwrap();
        assert_eq!(letter.times, times);
        assert_eq!(letter.first_failed_ms < letter.last_failed_ms, times > 1, "each time is later");
        if times == 1 {
            first_failed_ms = letter.first_failed_ms;
        }
        assert_eq!(letter.first_failed_ms, first_failed_ms, "the first failure of all");
        assert_eq!(statuses(&world, &source)[0].1.times, times);
        assert_eq!(open(&mut world), "1", "one letter, however often");
        // It is folded again, as by a redrive.
        world.store.place(&source, 0);
        world = restart(&world, &source);
    }
    // Another order's record at the same place, as in a topic that was made anew.
    let of = |order: &str| event("tt1", order, 1).replace(r#""status":"paid""#, r#""status":"paid","sequence":true"#);
    for (order, times) in [("A", 4), ("B", 1), ("B", 2)] {
        world.produce(&source, &[of(order)]);
        world.run(S, &mut |_| ok());
        assert_eq!(world.letters.last().unwrap().times, times, "{order}");
        world.store.place(&source, 0);
        world = restart(&world, &source);
    }
}

#[test]
fn a_commit_that_fails_keeps_the_statuses_of_both_cuts() {
    let (mut world, source) = World::with_partition(&Scene::default());
    world.produce(&source, &[event("tt1", "A", 1)]);
    world.run(S, &mut reject);
    world.produce(&source, &[event("tt1", "A", 2), "{".to_owned()]);
    world.until_started();
    world.answer_attempts(&mut |_| ok());
    // The letter is superseded in a cut that fails; another one comes meanwhile.
    world.turn();
    world.pass(S);
    world.turn();
    let cut = world.asked.lock().unwrap().cuts.pop_front().unwrap();
    assert_eq!(cut.parts[0].layer.statuses().len(), 1);
    drop(cut);
    world.produce(&source, &["{".to_owned()]);
    world.turn();
    world.handle(order_sync::sync::ports::Input::Committed(Err(order_sync::sync::ports::PortError::Passing(
        "no".to_owned(),
    ))));
    world.run(2 * S, &mut |_| ok());
    assert_eq!(states(&world, &source), [(0, Superseded), (2, Open), (3, Open)]);
    assert_eq!(open(&mut world), "2");
}
