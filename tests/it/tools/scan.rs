//! The reader of bounded ranges, against a real broker: markers, aborted records, windows, times, ends.

use std::ops::ControlFlow;

use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::kafka::scan::Scanner;
use order_sync::record::NextOffset;
use order_sync::sync::scan::{LogScan as _, ScanError, Span};
use tokio_util::sync::CancellationToken;

use crate::support::kafka::settings;
use crate::support::real_kafka::RealKafka;

fn scanner(kafka: &RealKafka, topic: &str) -> (Scanner, CancellationToken) {
    let stop = CancellationToken::new();
    (Scanner::connect(&settings(&kafka.brokers, "nobody", &[topic]), stop.clone()).unwrap(), stop)
}

fn span(partition: i32, from: i64, until: i64) -> Span {
    Span { partition, from: NextOffset::new(from), until: NextOffset::new(until) }
}

/// Partition, offset and value of everything in the spans.
fn read(scan: &mut Scanner, topic: &str, spans: &[Span]) -> Vec<(i32, i64, String)> {
    let mut found = Vec::new();
    scan.read(topic, spans, &mut |seen| {
        let value = String::from_utf8(seen.value().unwrap_or_default().to_vec()).unwrap();
        found.push((seen.partition(), seen.offset().get(), value));
        ControlFlow::Continue(())
    })
    .unwrap();
    found.sort();
    found
}

/// In both partitions: three records and a marker, three that are aborted and a marker, three records and a marker.
fn write(kafka: &RealKafka) -> String {
    let topic = kafka.topic("scan", 2, &[("retention.ms", "-1")]);
    let id = RealKafka::name("scan");
    let producer = Producer::with(&kafka.brokers, &[("transactional.id", &id)]).unwrap();
    for round in ["kept", "aborted", "later"] {
        producer.begin().unwrap();
        for (partition, number) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
            let value = format!("{round}-{number}");
            let timestamp_ms = Some(1_700_000_000_000 + i64::from(number) * 1000);
            let value = Some(value.as_bytes());
            let outgoing = Outgoing { partition: Some(partition), value, timestamp_ms, ..Outgoing::default() };
            producer.send(&topic, outgoing).unwrap();
        }
        if round == "aborted" {
            producer.abort().unwrap();
        } else {
            producer.commit().unwrap();
        }
    }
    topic
}

#[test]
fn real_kafka_a_scan_reads_what_is_committed_and_ends_behind_markers() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = write(kafka);
    let (mut scan, stop) = scanner(kafka, &topic);
    assert_eq!(scan.partitions(&topic).unwrap(), Some(2));
    assert_eq!(scan.partitions("nowhere").unwrap(), None);
    let spans = scan.extents(&topic, &[0, 1]).unwrap();
    assert_eq!(spans, [span(0, 0, 12), span(1, 0, 12)]);
    let all = read(&mut scan, &topic, &spans);
    let expect = |partition| {
        let of = |round: &str, from: i64| [0, 1, 2].map(|n| (partition, from + n, format!("{round}-{n}")));
        [of("kept", 0), of("later", 8)].concat()
    };
    assert_eq!(all, [expect(0), expect(1)].concat());
    // A window in the middle, an empty one, and some of markers and aborted records alone, with records behind or none.
    assert_eq!(read(&mut scan, &topic, &[span(1, 1, 2), span(0, 2, 2)]), [(1, 1, "kept-1".to_owned())]);
    assert_eq!(read(&mut scan, &topic, &[span(0, 3, 6)]), []);
    assert_eq!(read(&mut scan, &topic, &[span(0, 11, 12)]), []);
    // The same reader goes backwards as well.
    assert_eq!(read(&mut scan, &topic, &[span(0, 0, 1)]), [(0, 0, "kept-0".to_owned())]);
    let at = |scan: &mut Scanner, ms| scan.at_time(&topic, &[0], ms).unwrap()[0].map(NextOffset::get);
    assert_eq!(at(&mut scan, 1_700_000_001_000), Some(1));
    assert_eq!(at(&mut scan, 1_800_000_000_000_000), None);
    let mut seen = 0;
    scan.read(&topic, &spans, &mut |_| {
        seen += 1;
        ControlFlow::Break(())
    })
    .unwrap();
    assert_eq!(seen, 1, "a visit may end it");
    stop.cancel();
    assert!(matches!(scan.read(&topic, &spans, &mut |_| ControlFlow::Continue(())), Err(ScanError::Stopped)));
}

#[test]
fn real_kafka_an_open_transaction_is_not_waited_for() {
    let Some(kafka) = RealKafka::shared() else { return };
    let topic = write(kafka);
    let id = RealKafka::name("scan-open");
    let producer = Producer::with(&kafka.brokers, &[("transactional.id", &id)]).unwrap();
    producer.begin().unwrap();
    producer.send(&topic, Outgoing { partition: Some(0), value: Some(b"open"), ..Outgoing::default() }).unwrap();
    producer.flush().unwrap();
    let (mut scan, _stop) = scanner(kafka, &topic);
    let spans = scan.extents(&topic, &[0]).unwrap();
    assert_eq!(spans, [span(0, 0, 12)], "up to the last stable offset");
    assert_eq!(read(&mut scan, &topic, &spans).len(), 6);
}
