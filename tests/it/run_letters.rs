//! Dead letters of a worker as users run it: what becomes of a record that only a hostile producer writes.

use std::time::Duration;

use crate::run::{Site, sandbox};
use crate::support::kafka::eventually;
use crate::support::raw_produce::produce;
use crate::support::real_kafka::RealKafka;

#[test]
fn real_kafka_a_header_that_cannot_be_carried_over_is_visible_in_the_dead_letter() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = kafka.topic("foreign", 1, &[]);
    produce(&kafka.brokers, &topic, b"no event", &[(b"first", b"1"), (b"na\xffme", b"2"), (b"last", b"3")]);
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(&kafka.brokers, &topic, &sandbox.base_url());
    let mut worker = site.spawn(&["--until-caught-up", "--set", &format!("kafka.dead_letter_topic={topic}.dead")]);
    eventually("the worker has caught up", || worker.try_wait().unwrap().is_some());
    assert_eq!(worker.wait().unwrap().code(), Some(0), "{}", site.log());
    let letters = kafka.read_all(&format!("{topic}.dead"));
    let [(0, letter)] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!(letter.value.as_deref(), Some(&b"no event"[..]));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let headers: Vec<(&str, String)> =
        letter.headers.iter().map(|h| (h.name.as_str(), text(h.value.as_deref().unwrap()))).collect();
    let originals: Vec<(&str, &str)> = headers.iter().take(3).map(|(name, value)| (*name, value.as_str())).collect();
    let omitted = ("order-sync.omitted-header", "its name is not UTF-8");
    assert_eq!(originals, [("first", "1"), omitted, ("last", "3")]);
    assert_eq!(headers[3].0, "__connect.errors.topic");
    // Said as a line of the log, and not as a panic besides.
    let log = site.log();
    assert!(log.contains("left out a header whose name is not UTF-8"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}
