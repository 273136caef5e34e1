//! An operator's session with real workers: what was set aside is sent again, decided against, and an app is paused.

use super::fixture::{REFUSED, World, event};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

#[test]
fn real_kafka_an_operator_redrives_discards_and_pauses() {
    let Some(kafka) = RealKafka::shared() else { return };
    let world = World::new(kafka, true);
    let [malformed, refused] = [4, 6].map(|offset| format!("{}/0/{offset}", world.topic));
    let status = |id: &str| {
        let lines = world.run(&["dead-letters", "list", "--limit", "0", "--output", "json"]).lines();
        lines.iter().find(|line| line["id"] == id).unwrap()["status"].as_str().unwrap().to_owned()
    };
    assert!(world.held(REFUSED).is_none());
    // The platform is mended. With no worker the command waits in its topic, and one that comes executes it.
    world.mend();
    let told = world.run(&["dead-letters", "redrive", &refused, "--timeout", "1s"]);
    assert_eq!(told.code, Some(9), "{told:?}");
    assert_eq!(status(&refused), "open");
    let waiting = world.run(&["orders", "show", REFUSED]).out();
    assert!(waiting.contains("redrive of offset 6: waiting, by "), "{waiting}");
    // Whoever gives it once more is told of it, and gives nothing; so does who decides against the letter meanwhile.
    let waits = || {
        let shown = world.run(&["orders", "show", REFUSED, "--output", "json"]).lines().remove(0);
        let timeline = shown["timeline"].as_array().unwrap().clone();
        timeline.into_iter().filter(|entry| entry["outcome"] == "waiting").collect::<Vec<_>>()
    };
    let id = waits()[0]["id"].as_str().unwrap().to_owned();
    let plan = world.run(&["dead-letters", "redrive", &refused, "--output", "json"]).lines();
    assert_eq!((plan.len(), &plan[0]["will"]), (1, &"waiting".into()), "{plan:?}");
    let words = plan[0]["message"].as_str().unwrap();
    assert!(words.contains(&id) && words.contains(" gave at 20") && words.contains("--again"), "{words}");
    let told = world.run(&["dead-letters", "discard", &refused, "--why", "a test"]);
    assert!(told.code == Some(0) && told.out.is_empty() && told.err.contains(&id), "{told:?}");
    assert_eq!(waits().len(), 1, "nothing was given");
    world.run(&["dead-letters", "redrive", &refused, "--again", "--no-wait"]).out();
    assert_eq!(waits().len(), 2, "it was asked for");
    world.catch_up();
    assert_eq!((world.pushes(REFUSED), waits().len()), (2, 0), "one refused, one sent: the second one acts no more");
    assert_eq!(status(&refused), "redriven");
    assert_eq!(world.held(REFUSED), Some(1_760_000_000), "the very request, under its own stamp");
    // Once more: nothing is left to be sent.
    let told = world.run(&["dead-letters", "redrive", &refused]).out();
    assert!(told.contains("refused") && told.contains("redriven already"), "{told}");
    // Beside a worker outcomes are told at once.
    let mut worker = world.site.spawn(&[]);
    let told = world.run(&["dead-letters", "discard", &malformed, "--why", "a test"]).out();
    assert!(told.starts_with("done "), "{told}");
    assert_eq!(status(&malformed), "discarded");
    world.run(&["apps", "pause", "tt1", "--why", "搬家"]).out();
    world.send(kafka, &[("G-9", event("G-9", 0, "paid"))]);
    let app = || world.run(&["apps", "list", "--output", "json"]).lines().remove(0);
    eventually("the event is folded and owed", || app()["owed"] == 1);
    assert_eq!((&app()["paused_partitions"], world.held("G-9")), (&1.into(), None));
    world.run(&["apps", "resume", "tt1"]).out();
    eventually("it is delivered", || world.held("G-9").is_some());
    eventually("and settled", || app()["owed"] == 0);
    let told = world.run(&["orders", "resync", "G-9"]).out();
    assert!(told.starts_with("sent ") && told.contains("update_time"), "{told}");
    // What was done stands in each order's timeline, once, with who and why; the app's where it falls into their own time.
    let commands = |order: &str| -> Vec<String> {
        let shown = world.run(&["orders", "show", order, "--output", "json"]).lines().remove(0);
        let entries = shown["timeline"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "command");
        entries.map(|entry| format!("{} {}", entry["command"], entry["outcome"]).replace('"', "")).collect()
    };
    assert_eq!(commands("G-9"), ["pause done", "resume done", "resync sent"]);
    assert_eq!(commands(REFUSED), ["redrive sent", "redrive refused"]);
    let shown = world.run(&["orders", "show", "G-9"]).out();
    assert!(shown.contains("pause: done, by ") && shown.contains(": 搬家 (id "), "{shown}");
    worker.kill().unwrap();
    worker.wait().unwrap();
}
