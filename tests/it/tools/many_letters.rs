//! A list over very many dead letters: soon, and in a bounded memory.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::record::Header;

use super::fixture::{OPEN_ID, event};
use crate::run::Site;
use crate::support::real_kafka::RealKafka;

const PARTITIONS: i64 = 3;

/// Writes `letters` dead letters as a worker would, the first tenth of them a second time: those came back.
fn write(kafka: &RealKafka, site: &Site, letters: i64) {
    let topic = format!("{}.dead-letters", site.group());
    kafka.create(&topic, i32::try_from(PARTITIONS).unwrap(), &[("retention.ms", "-1")]);
    let producer = Producer::connect(&kafka.brokers).unwrap();
    let value = format!(r#"{{"event_id":"e","order":{{"description":"{}"}}}}"#, "x".repeat(300));
    let again = (0..letters / 10).map(|number| (number, "2"));
    for (at, (number, times)) in (0..letters).map(|number| (number, "1")).chain(again).enumerate() {
        let (partition, offset) = (number % PARTITIONS, number / PARTITIONS);
        let header = |name: &str, value: &str| Header { name: name.to_owned(), value: Some(value.as_bytes().into()) };
        let order = format!("A{number}");
        let headers = [
            header("__connect.errors.topic", "orders"),
            header("__connect.errors.partition", &partition.to_string()),
            header("__connect.errors.offset", &offset.to_string()),
            header("order-sync.reason", if number % 4 == 0 { "malformed_event" } else { "incomplete_order" }),
            header("order-sync.order-id", &order),
            header("order-sync.app-id", "tt1"),
            header("order-sync.times", times),
            header("order-sync.first-failed-at", "2026-01-01T00:00:00.000Z"),
            header("order-sync.last-failed-at", "2026-01-01T00:00:00.000Z"),
        ];
        let outgoing = Outgoing {
            partition: Some(i32::try_from(partition).unwrap()),
            key: Some(order.as_bytes()),
            value: Some(value.as_bytes()),
            headers: &headers,
            timestamp_ms: Some(1_767_225_600_000 + i64::try_from(at).unwrap()),
        };
        producer.send(&topic, outgoing).unwrap();
    }
    producer.flush().unwrap();
}

/// The process's greatest memory so far, in MB.
fn peak_mb(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

/// Lists all of them, as JSON. Returns ids and times in their order, the time to the first row, and the greatest memory.
fn list(site: &Site) -> (Vec<(String, u64)>, Duration, u64) {
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_order-sync"))
        .args(["dead-letters", "list", "--limit", "0", "--output", "json", "--config"])
        .arg(site.config_file())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut rows, mut first, mut peak) = (Vec::new(), None, 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        first.get_or_insert_with(|| began.elapsed());
        rows.push((line["id"].as_str().unwrap().to_owned(), line["times"].as_u64().unwrap()));
        if rows.len().is_multiple_of(1000) {
            peak = peak.max(peak_mb(child.id()).unwrap_or(0));
        }
    }
    assert!(child.wait().unwrap().success());
    (rows, first.unwrap(), peak)
}

/// Runs a tool to its end. Returns how it ended, what it said last, the time, and the greatest memory.
fn measure(site: &Site, args: &[&str]) -> (Option<i32>, String, Duration, u64) {
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_order-sync"))
        .args(args)
        .arg("--config")
        .arg(site.config_file())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let last = std::thread::spawn(move || {
        let (mut line, mut last) = (String::new(), String::new());
        while out.read_line(&mut line).unwrap() > 0 {
            std::mem::swap(&mut line, &mut last);
            line.clear();
        }
        last
    });
    let mut peak = 0;
    let code = loop {
        peak = peak.max(peak_mb(child.id()).unwrap_or(0));
        match child.try_wait().unwrap() {
            Some(status) => break status.code(),
            None => std::thread::park_timeout(Duration::from_millis(2)),
        }
    };
    (code, last.join().unwrap(), began.elapsed(), peak)
}

/// A worker sets so many events of one partition aside, each of another order: each has a letter, and a status in the
/// changelog.
fn set_aside(kafka: &RealKafka, letters: usize) -> Site {
    let topic = kafka.topic("many-letters", 1, &[]);
    let producer = Producer::connect(&kafka.brokers).unwrap();
    for number in 0..letters {
        let order = format!("A{number}");
        let mut event = event(&order, 0, "paid");
        event["order"] = serde_json::json!({"open_id": OPEN_ID, "description": "x".repeat(300)});
        let value = event.to_string();
        let (key, value) = (Some(order.as_bytes()), Some(value.as_bytes()));
        producer.send(&topic, Outgoing { partition: Some(0), key, value, ..Outgoing::default() }).unwrap();
    }
    producer.flush().unwrap();
    let site = Site::new(&kafka.brokers, &topic, "http://127.0.0.1:9");
    let mut worker = site.spawn(&["--until-caught-up"]);
    assert!(worker.wait().unwrap().success(), "{}", site.log());
    site
}

/// Every tool that goes through all letters and their statuses stays within its memory.
#[expect(clippy::print_stderr, reason = "the figures are what the test is run for")]
fn check_tools(kafka: &RealKafka, letters: usize, most_mb: u64, [verify_mb, replay_mb]: [u64; 2]) {
    let site = set_aside(kafka, letters);
    let file = site.home().join("letters.ndjson");
    let all = ["dead-letters", "list", "--limit", "0", "--output", "json"];
    let counts = ["dead-letters", "list", "--group-by", "status", "--output", "json"];
    let export = ["dead-letters", "export", "--to", file.to_str().unwrap()];
    let verify = ["verify", "--output", "json"];
    let replay = ["replay", "--from", "earliest", "--output", "json"];
    let mut over = Vec::new();
    for (args, most) in
        [(&all[..], most_mb), (&counts, most_mb), (&export, most_mb), (&verify, verify_mb), (&replay, replay_mb)]
    {
        let (code, last, took, peak) = measure(&site, args);
        eprintln!("{letters} letters with statuses: {}: {took:?}, at most {peak} MB", args.join(" "));
        assert_eq!(code, Some(0), "{args:?}: {last}");
        if peak > most {
            over.push(format!("{}: {peak} MB", args.join(" ")));
        }
        let last: serde_json::Value = if last.is_empty() { serde_json::Value::Null } else { last.parse().unwrap() };
        match args[0] {
            "verify" => assert_eq!(last["outcomes"]["dead_letter"], letters, "{last}"),
            "replay" => {
                assert_eq!((&last["events"], &last["never_delivered"]), (&letters.into(), &letters.into()), "{last}");
            }
            _ if args == counts => {
                assert_eq!((&last["value"], &last["count"]), (&"open".into(), &letters.into()), "{last}");
            }
            _ => {}
        }
    }
    let exported = std::fs::read(&file).unwrap();
    assert_eq!(exported.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count(), letters);
    assert!(over.is_empty(), "{over:?}");
}

#[expect(clippy::print_stderr, reason = "the figures are what the test is run for")]
fn check(kafka: &RealKafka, letters: i64) {
    let site = Site::new(&kafka.brokers, "orders", "http://127.0.0.1:9");
    write(kafka, &site, letters);
    let began = Instant::now();
    let (rows, first, peak) = list(&site);
    let took = began.elapsed();
    eprintln!("{letters} letters: first row after {first:?}, all after {took:?}, at most {peak} MB");
    // Each id once, those that came back first, and with their newest letter.
    let ids: std::collections::HashSet<&str> = rows.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!((rows.len(), ids.len()), (usize::try_from(letters).unwrap(), usize::try_from(letters).unwrap()));
    let came_back = usize::try_from(letters / 10).unwrap();
    assert!(rows[..came_back].iter().all(|(_, times)| *times == 2));
    assert!(rows[came_back..].iter().all(|(_, times)| *times == 1));
    let newest = letters / 10 - 1;
    assert_eq!(rows[0].0, format!("orders/{}/{}", newest % PARTITIONS, newest / PARTITIONS));
    assert_eq!(rows.last().unwrap().0, format!("orders/{}/{}", came_back % 3, came_back / 3));
    assert!(first < Duration::from_secs(5), "{first:?}");
    assert!(peak < 200, "{peak} MB");
    // Text comes in pages; a program reads the header once.
    let told = Command::new(env!("CARGO_BIN_EXE_order-sync"))
        .args(["dead-letters", "list", "--limit", "250", "--config"])
        .arg(site.config_file())
        .output()
        .unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    assert_eq!((text.lines().count(), text.lines().filter(|line| line.starts_with("ID ")).count()), (251, 1));
}

#[test]
fn real_kafka_a_hundred_thousand_letters_are_listed_soon_and_in_little_memory() {
    let Some(kafka) = RealKafka::shared() else { return };
    check(kafka, 100_000);
}

#[test]
fn real_kafka_every_tool_goes_through_a_hundred_thousand_letters_in_little_memory() {
    let Some(kafka) = RealKafka::shared() else { return };
    check_tools(kafka, 100_000, 115, [120, 100]);
}

#[test]
#[ignore = "a million letters take a minute to write"]
fn real_kafka_a_million_letters_are_listed_soon_and_in_little_memory() {
    let Some(kafka) = RealKafka::shared() else { return };
    check(kafka, 1_000_000);
}

#[test]
#[ignore = "a million letters take some minutes to come about"]
fn real_kafka_every_tool_goes_through_a_million_letters_in_little_memory() {
    let Some(kafka) = RealKafka::shared() else { return };
    check_tools(kafka, 1_000_000, 200, [330, 330]);
}
