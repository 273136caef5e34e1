//! The log of a storm: seeded records of two apps, what they come to by the second reading, and which orders are poison.

use std::collections::{BTreeMap, BTreeSet};

use order_sync::app::demo::{LogSpec, generate};
use order_sync::app::worker::wall_ms;
use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::order::AppId;

use super::stage::Storm;
use crate::reference::{App, Folded, Input, Outcome, Settings, fold_log};
use crate::support::real_kafka::RealKafka;

/// The apps, and whether their stamps are in milliseconds.
pub const APPS: [(&str, bool); 2] = [("tt1", false), ("tt2", true)];

/// One record as it was produced.
pub struct Produced {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// Writes the seeded log, and a few records that are too large, and returns what every partition holds.
pub fn produce(kafka: &RealKafka, topic: &str, storm: &Storm) -> BTreeMap<i32, Vec<Produced>> {
    let log = generate(&LogSpec {
        seed: storm.seed,
        orders: storm.records / 3,
        apps: APPS.iter().map(|(app, _)| AppId::new(*app)).collect(),
        one_dirty_in: 20,
        begins_at: begins_at(),
    });
    assert!(log.len() >= storm.records);
    let producer = Producer::connect(&kafka.brokers).unwrap();
    let mut partitions: BTreeMap<i32, Vec<Produced>> = BTreeMap::new();
    let count = u64::try_from(storm.partitions).unwrap();
    for (number, record) in log.into_iter().take(storm.records).enumerate() {
        let partition = i32::try_from(record.partition_hint % count).unwrap();
        let mut entry = Produced { key: record.key, value: record.value };
        if number % 20_000 == 10_000 {
            entry.value = Some(vec![b'x'; (1 << 20) + number]);
        }
        let outgoing = Outgoing {
            partition: Some(partition),
            key: entry.key.as_deref(),
            value: entry.value.as_deref(),
            ..Outgoing::default()
        };
        producer.send(topic, outgoing).unwrap();
        partitions.entry(partition).or_default().push(entry);
    }
    producer.flush().unwrap();
    partitions
}

/// When the log begins: in the past, so that no event lies ahead of the clock, and not so long ago that retention takes
/// orders. The same for a day, so that a seed gives the same log.
fn begins_at() -> i64 {
    let day_ms = 86_400_000;
    (wall_ms() / day_ms - 3) * day_ms
}

/// Orders to be rejected: the seed's choice among those of which every delivery is owed once, whatever became of the one
/// before it.
pub fn poison(
    partitions: &BTreeMap<i32, Vec<Produced>>,
    expected: &BTreeMap<i32, Folded>,
    storm: &Storm,
) -> BTreeSet<String> {
    let mut owed_again: BTreeSet<&[u8]> = BTreeSet::new();
    for (partition, records) in partitions {
        let outcomes = records.iter().zip(&expected[partition].outcomes);
        let unchanged = outcomes.filter(|(_, outcome)| **outcome == Outcome::Unchanged);
        owed_again.extend(unchanged.filter_map(|(record, _)| record.key.as_deref()));
    }
    let orders = expected.values().flat_map(|folded| folded.pushes.iter());
    let mut fit: Vec<&String> = orders
        .filter(|((_, order), pushes)| pushes.len() > 1 && !owed_again.contains(order.as_bytes()))
        .map(|((_, order), _)| order)
        .collect();
    fastrand::Rng::with_seed(storm.seed).shuffle(&mut fit);
    fit.into_iter().take(storm.poison).cloned().collect()
}

pub fn fold(records: &[Produced], partitions: i32) -> Folded {
    let inputs: Vec<Input<'_>> = records
        .iter()
        .zip(0..)
        .map(|(record, offset)| Input {
            offset,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            header_bytes: 0,
        })
        .collect();
    let apps = APPS.iter().map(|(app, milliseconds)| App {
        app_id: (*app).to_owned(),
        client_key: Some(format!("ck-{app}")),
        is_in_milliseconds: *milliseconds,
    });
    let settings = Settings {
        apps: apps.collect(),
        is_text_strict: false,
        now_ms: 1_900_000_000_000,
        max_clock_skew_ms: 600_000,
        removed_stamp: 0,
        partitions,
    };
    fold_log(&inputs, &settings)
}
