//! A worker that the group has given up: its process stood still for longer than its session.

use std::process::{Child, Command};
use std::time::Duration;

use crate::run::{Site, produce, sandbox, terminate};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

fn signal(worker: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &worker.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn real_kafka_a_lost_session_is_told_and_the_worker_goes_on_where_it_was() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("lost", 1, &[]);
    let pushes = u64::try_from(produce(kafka, &topic, 300)).unwrap();
    let sandbox = sandbox(Duration::from_millis(100));
    let lines = "[kafka.properties]\nsession.timeout.ms = 1500\nheartbeat.interval.ms = 300\n";
    let site = Site::with(&kafka.brokers, &topic, &sandbox.base_url(), lines);
    let mut worker = site.spawn(&["--set", "delivery.max_in_flight=16"]);
    eventually("some pushes are applied", || sandbox.report().applied > 50);
    signal(&worker, "-STOP");
    // Others see the group without its member: the broker has ended the session.
    let paused = std::time::Instant::now();
    eventually("the session is over", || paused.elapsed() > Duration::from_secs(4));
    let before = sandbox.report().applied;
    assert!(before < pushes, "it was not done yet");
    signal(&worker, "-CONT");
    eventually("the loss is told", || site.log().contains("\"lost\":true"));
    eventually("everything is applied", || sandbox.report().applied == pushes);
    let report = sandbox.report();
    assert_eq!((report.applied, report.violations_total), (pushes, 0));
    assert_eq!(terminate(&mut worker), Some(0), "{}", site.log());
    let log = site.log();
    assert_eq!(log.matches("\"assigned a partition\"").count(), 2, "taken anew: {log}");
    // What was folded before the pause may meet the end of the session as a commit that fails: nobody has to see to that.
    assert!(!log.contains("\"level\":\"ERROR\""), "{log}");
    assert_eq!(worker.try_wait().unwrap().and_then(|status| status.code()), Some(0));
}
