//! Reading a partition of the changelog in parts, over a real Apache Kafka.

use std::time::Duration;

use order_sync::kafka::changelog::Changelog;
use order_sync::record::NextOffset;
use order_sync::sync::changelog::ChangelogRecord;
use order_sync::sync::log_ports::{ChangelogSource as _, ReadTo, TransactionLog as _};
use order_sync::sync::ports::Position;

use crate::kafka_commits::Site;
use crate::support::real_kafka::RealKafka;

/// A worker that ends, and a partition that moves on, wait for a part and not for the whole. What comes next is what comes
/// next, whether the reader has looked elsewhere meanwhile or not.
#[test]
fn real_kafka_a_long_read_comes_in_parts_that_leave_nothing_out() {
    let Some(kafka) = RealKafka::shared() else { return };
    let site = Site::new(kafka, 2);
    let mut transactions = site.transactions("store-1", site.consumer.fence());
    let commits: Vec<u64> = (1..=9).collect();
    for number in &commits {
        transactions.transact(&site.transaction(site.epoch(), *number, 5)).unwrap();
    }
    let mut changelog = Changelog::connect(&site.config).unwrap();
    let (mut numbers, mut at, mut parts) = (Vec::new(), NextOffset::new(0), 0);
    let end = loop {
        let mut visit = |record: &ChangelogRecord| {
            numbers.push(Position::decode(record.value.as_ref().unwrap()).unwrap().commit_number);
            std::thread::park_timeout(Duration::from_millis(300));
            Ok(())
        };
        match changelog.read(0, at, &mut visit).unwrap() {
            ReadTo::Part(so_far) => {
                assert!(so_far > at, "it goes on");
                (at, parts) = (so_far, parts + 1);
                if parts == 1 {
                    let elsewhere = changelog.read_through(1, NextOffset::new(0), &mut |_| panic!("nothing is there"));
                    assert_eq!(elsewhere.unwrap(), NextOffset::new(0));
                }
            }
            ReadTo::End(end) => break end,
            ReadTo::Pause(so_far, why) => panic!("{so_far}: {why}"),
        }
    };
    assert_eq!(numbers, commits);
    assert!(parts >= 2, "{parts}");
    assert_eq!(end, changelog.extent(0).unwrap().high);
    site.consumer.stop();
}
