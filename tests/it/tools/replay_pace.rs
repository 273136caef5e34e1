//! How fast a replay reads and folds, and in how much memory.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::record::NextOffset;
use order_sync::sync::changelog::ChangelogKey;
use order_sync::sync::ports::Position;
use serde_json::Value;

use super::fixture::event;
use crate::run::Site;
use crate::support::real_kafka::RealKafka;

/// Of one process so far: its greatest memory in MB, and the CPU time that it has taken.
fn spent(id: u32) -> Option<(u64, Duration)> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let mb = line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024;
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let ticks = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().ok());
    Some((mb, Duration::from_millis(ticks.sum::<Option<u64>>()? * 10)))
}

/// `ORDER_SYNC_BINARY` names a release build to be measured on one core; without it this says whether the counts are right.
#[expect(clippy::print_stderr, clippy::disallowed_methods, reason = "the figures are what the test is run for")]
fn measure(kafka: &RealKafka, events: i64, orders: i64) {
    let topic = kafka.topic("replay-pace", 1, &[]);
    let site = Site::new(&kafka.brokers, &topic, "http://127.0.0.1:9");
    let changelog = format!("{}.changelog", site.group());
    kafka.create(&changelog, 1, &[("retention.ms", "-1")]);
    kafka.create(&format!("{}.dead-letters", site.group()), 1, &[]);
    let producer = Producer::connect(&kafka.brokers).unwrap();
    for number in 0..events {
        let order = format!("order-{:07}", number % orders);
        let value = event(&order, number / orders, if number / orders % 2 == 0 { "pending_payment" } else { "paid" });
        let value = value.to_string();
        let (key, value) = (Some(order.as_bytes()), Some(value.as_bytes()));
        producer.send(&topic, Outgoing { partition: Some(0), key, value, ..Outgoing::default() }).unwrap();
    }
    let position = Position::before(NextOffset::new(events)).encode().unwrap();
    let key = ChangelogKey::Position.encode(&topic);
    let outgoing = Outgoing { partition: Some(0), key: Some(&key), value: Some(&position), ..Outgoing::default() };
    producer.send(&changelog, outgoing).unwrap();
    producer.flush().unwrap();
    let began = Instant::now();
    let mut command = if let Ok(binary) = std::env::var("ORDER_SYNC_BINARY") {
        let mut command = Command::new("taskset");
        command.args(["-c", "0", &binary]);
        command
    } else {
        Command::new(env!("CARGO_BIN_EXE_order-sync"))
    };
    command.args(["replay", "--output", "json", "--config"]).arg(site.config_file());
    let out = std::fs::File::create(site.home().join("out")).unwrap();
    let mut child = command.stdout(out).stderr(Stdio::null()).spawn().unwrap();
    let mut last = None;
    crate::support::kafka::eventually("the replay has ended", || {
        last = spent(child.id()).filter(|(mb, _)| *mb > 0).or(last);
        child.try_wait().unwrap().is_some()
    });
    let took = began.elapsed();
    let out = std::fs::read_to_string(site.home().join("out")).unwrap();
    let summary: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    eprintln!("{events} events of {orders} orders: {took:?}, {last:?}; {summary}");
    assert_eq!((&summary["events"], &summary["orders"]), (&events.into(), &orders.into()));
    assert_eq!(summary["never_delivered"], orders, "nothing of it was ever folded");
}

#[test]
fn real_kafka_many_events_are_replayed() {
    let Some(kafka) = RealKafka::shared() else { return };
    measure(kafka, 20_000, 2_000);
}

#[test]
#[ignore = "a measurement"]
fn real_kafka_a_million_events_are_replayed() {
    let Some(kafka) = RealKafka::shared() else { return };
    measure(kafka, 1_000_000, 100_000);
}
