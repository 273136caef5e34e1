//! Plays the log into the topic: a burst to show throughput, then a paced rest to show latency.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::log::LogRecord;
use super::stage::{PARTITIONS, TOPIC};
use crate::app::worker::wall_ms;
use crate::kafka::producer::{Outgoing, Producer};
use crate::sync::ports::PortError;

/// The part of the log that is played as fast as it goes, in percent.
const BURST_PERCENT: usize = 70;
/// Events per second of the paced part.
const PACE: u32 = 1000;

/// Plays a log.
pub struct Player {
    producer: Producer,
    log: Arc<Vec<LogRecord>>,
    /// When each record was produced, milliseconds since the epoch, as far as the log is played.
    pub at_ms: Vec<i64>,
}

impl Player {
    /// Connects.
    pub fn new(brokers: &str, log: Arc<Vec<LogRecord>>) -> Result<Self, PortError> {
        Ok(Self { producer: Producer::connect(brokers)?, at_ms: Vec::with_capacity(log.len()), log })
    }

    /// How many records the burst has.
    pub fn burst_records(&self) -> usize {
        self.log.len() * BURST_PERCENT / 100
    }

    /// How many orders the burst touches.
    pub fn burst_orders(&self) -> usize {
        let orders: HashSet<_> = self.log[..self.burst_records()].iter().map(|record| record.partition_hint).collect();
        orders.len()
    }

    /// Plays the burst; blocks until it is acknowledged.
    pub fn burst(&mut self) -> Result<(), PortError> {
        for number in 0..self.burst_records() {
            self.send(number)?;
        }
        self.producer.flush()
    }

    /// Plays the rest, 1,000 events per second; blocks until it is acknowledged.
    pub fn paced(&mut self) -> Result<(), PortError> {
        let (began, burst) = (Instant::now(), self.burst_records());
        for number in burst..self.log.len() {
            let due = began + Duration::from_secs(1) / PACE * u32::try_from(number - burst).unwrap_or(u32::MAX);
            while let Some(wait) = due.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero()) {
                std::thread::park_timeout(wait);
            }
            self.send(number)?;
        }
        self.producer.flush()
    }

    fn send(&mut self, number: usize) -> Result<(), PortError> {
        self.at_ms.push(wall_ms());
        self.producer.send(TOPIC, outgoing(&self.log[number]))
    }
}

fn outgoing(record: &LogRecord) -> Outgoing<'_> {
    Outgoing {
        partition: Some(partition(record)),
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        ..Outgoing::default()
    }
}

/// The partition of a record: all records of one order share it.
pub fn partition(record: &LogRecord) -> i32 {
    let partitions = u64::try_from(PARTITIONS).unwrap_or(1);
    i32::try_from(record.partition_hint % partitions).unwrap_or(0)
}
