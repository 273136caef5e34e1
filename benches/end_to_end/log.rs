//! The records: many orders in turn, each event with the whole order and a change, each a push to make.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use order_sync::app::demo::LogRecord;
use order_sync::app::demo::documents::document;
use order_sync::app::demo::expect::{ExpectedPush, expect};
use order_sync::config::{Need, Sources, load};
use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::order::OrderType;
use serde_json::{Value, json};

use crate::broker::PARTITIONS;

/// What a record's value has at least; shorter ones get a longer note, which is not sent.
const VALUE_BYTES: usize = 860;
/// Well in the past, so that no event lies ahead of the clock.
pub(crate) const BEGINS_AT: i64 = 1_760_000_000_000;

pub(crate) struct Log {
    pub(crate) records: Vec<LogRecord>,
    /// The mean size of a request without its token.
    pub(crate) body_bytes: usize,
}

impl Log {
    /// Event after event of every order in turn, until there are `count` records.
    pub(crate) fn write(orders: usize, count: usize) -> Self {
        let mut lives = lives(orders);
        let records = (0..count).map(|at| record(&mut lives[at % orders], at % orders, at / orders)).collect();
        Self { records, body_bytes: 0 }
    }

    /// `count` further events of the orders that [`Log::write`] has, those in a row far apart from one another.
    pub(crate) fn later(orders: usize, count: usize) -> Self {
        let mut lives = lives(orders);
        // A prime, so that no order comes twice before all have come.
        let turn = |at: usize| (at * 7_919 % orders, 1 + at / orders);
        let records = (0..count).map(turn).map(|(number, event)| record(&mut lives[number], number, event)).collect();
        Self { records, body_bytes: 0 }
    }

    /// One event of each order, which ends it.
    pub(crate) fn ended(orders: usize) -> Self {
        let lives = lives(orders);
        let last = |(number, life): (usize, &Life)| value(life, number, 0, "cancelled", BEGINS_AT);
        Self { records: lives.iter().enumerate().map(last).collect(), body_bytes: 0 }
    }

    /// The first events of further orders, from this number on.
    pub(crate) fn first(from: usize, count: usize, occurred_at: i64) -> Self {
        let mut rng = fastrand::Rng::with_seed(7);
        let first = |number: usize| value(&life(number, &mut rng), number, 0, "pending_payment", occurred_at);
        Self { records: (from..from + count).map(first).collect(), body_bytes: 0 }
    }

    /// The mean size of a value.
    pub(crate) fn value_bytes(&self) -> usize {
        let all: usize = self.records.iter().filter_map(|record| record.value.as_ref()).map(Vec::len).sum();
        all / self.records.len()
    }

    pub(crate) fn produce(&self, brokers: &str, topic: &str) {
        let producer = Producer::connect(brokers).unwrap();
        send(&producer, topic, &self.records);
    }

    /// Folds the log in memory and writes every request, without its token, in the order of the records: a length in
    /// four bytes, then the request.
    pub(crate) fn write_bodies(&mut self, file: &Path) {
        let settings = "[[apps]]\napp_id = \"ttbench\"\nsecret = \"bench\"\nclient_key = \"ck-bench\"\n";
        let config = load(&Sources {
            file: Some(("the bench's own settings", settings)),
            environment: &BTreeMap::new(),
            flags: &[],
            need: Need::Map,
            read_file: &|_| Err(std::io::ErrorKind::NotFound.into()),
            judge_properties: &|_| Vec::new(),
            judge_kafka: &|_| Vec::new(),
        });
        let expected = expect(&config.unwrap().config, &self.records, BEGINS_AT + 86_400_000_000);
        assert_eq!(expected.pushes(), self.records.len(), "{:?} {:?}", expected.outcomes, expected.reasons);
        let mut pushes: Vec<ExpectedPush> = expected.orders.into_values().flatten().collect();
        pushes.sort_by_key(|push| push.record);
        let mut out = BufWriter::new(std::fs::File::create(file).unwrap());
        let mut all = 0;
        for push in &pushes {
            all += push.request.len();
            out.write_all(&u32::try_from(push.request.len()).unwrap().to_le_bytes()).unwrap();
            out.write_all(&push.request).unwrap();
        }
        out.flush().unwrap();
        self.body_bytes = all / pushes.len();
    }
}

/// Sends records, each to its partition, and waits until they are there.
pub(crate) fn send(producer: &Producer, topic: &str, records: &[LogRecord]) {
    let partitions = u64::try_from(PARTITIONS).unwrap();
    for record in records {
        let outgoing = Outgoing {
            partition: Some(i32::try_from(record.partition_hint % partitions).unwrap()),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            ..Outgoing::default()
        };
        producer.send(topic, outgoing).unwrap();
    }
    producer.flush().unwrap();
}

/// An order's id, its type and its document.
type Life = (String, OrderType, Value);

fn lives(orders: usize) -> Vec<Life> {
    let mut rng = fastrand::Rng::with_seed(7);
    (0..orders).map(|number| life(number, &mut rng)).collect()
}

fn life(number: usize, rng: &mut fastrand::Rng) -> Life {
    let order_type = OrderType::ALL[number % 3];
    let order_id = format!("D20251009{number:08}");
    let document = document(order_type, &order_id, BEGINS_AT, rng);
    (order_id, order_type, document)
}

/// An order's event of this number, from 0.
fn record(life: &mut Life, number: usize, event: usize) -> LogRecord {
    if event > 0 {
        let document = &mut life.2;
        let price = document["total_price"].as_i64().unwrap();
        document["total_price"] = json!(price + 1);
        document["paid_at"] = json!(BEGINS_AT + 30_000);
    }
    let status = if event == 0 { "pending_payment" } else { "paid" };
    value(life, number, event, status, BEGINS_AT + 60_000 * i64::try_from(event).unwrap())
}

fn value(
    (order_id, order_type, document): &Life,
    number: usize,
    event: usize,
    status: &str,
    occurred_at: i64,
) -> LogRecord {
    let mut value = json!({
        "event_id": format!("{order_id}-e{event}"),
        "order_id": order_id,
        "order_type": order_type,
        "status": status,
        "occurred_at": occurred_at,
        "order": document,
    });
    let short = VALUE_BYTES.saturating_sub(value.to_string().len() + 20);
    value["order"]["padding"] = json!("x".repeat(short));
    LogRecord {
        key: Some(order_id.clone().into_bytes()),
        value: Some(value.to_string().into_bytes()),
        partition_hint: u64::try_from(number).unwrap(),
    }
}
