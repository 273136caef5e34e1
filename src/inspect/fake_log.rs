//! Topics in memory for tests: an offset is a record's place, and its time.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::record::{Header, NextOffset, Record, RecordOffset};
use crate::sync::scan::{LogScan, ScanError, Span, Visit};

/// Every topic has two partitions.
const PARTITIONS: usize = 2;

#[derive(Default)]
pub(super) struct FakeLog {
    topics: HashMap<String, Vec<Vec<Record>>>,
}

impl FakeLog {
    /// Writes a record, and gives its offset.
    pub(super) fn put(&mut self, topic: &str, partition: usize, key: &[u8], value: Option<Vec<u8>>) -> i64 {
        self.put_with(topic, partition, key, value, Vec::new())
    }

    /// The same with headers.
    pub(super) fn put_with(
        &mut self,
        topic: &str,
        partition: usize,
        key: &[u8],
        value: Option<Vec<u8>>,
        headers: Vec<Header>,
    ) -> i64 {
        let partitions = self.topics.entry(topic.to_owned()).or_insert_with(|| vec![Vec::new(); PARTITIONS]);
        let at = i64::try_from(partitions[partition].len()).unwrap();
        let (key, value) = (Some(key.into()), value.map(Into::into));
        let offset = RecordOffset::new(at);
        partitions[partition].push(Record { offset, timestamp_ms: Some(at), key, value, headers });
        at
    }

    /// All of a topic.
    pub(super) fn whole(&mut self, topic: &str) -> Vec<Span> {
        self.extents(topic, &[0, 1]).unwrap()
    }
}

impl LogScan for FakeLog {
    fn partitions(&mut self, topic: &str) -> Result<Option<i32>, ScanError> {
        Ok(self.topics.get(topic).map(|partitions| i32::try_from(partitions.len()).unwrap()))
    }

    fn extents(&mut self, topic: &str, partitions: &[i32]) -> Result<Vec<Span>, ScanError> {
        let end = |partition: i32| self.topics[topic][usize::try_from(partition).unwrap()].len();
        let span = |&partition| Span {
            partition,
            from: NextOffset::new(0),
            until: NextOffset::new(i64::try_from(end(partition)).unwrap()),
        };
        Ok(partitions.iter().map(span).collect())
    }

    fn at_time(&mut self, _: &str, partitions: &[i32], at_ms: i64) -> Result<Vec<Option<NextOffset>>, ScanError> {
        Ok(partitions.iter().map(|_| Some(NextOffset::new(at_ms))).collect())
    }

    fn read(&mut self, topic: &str, spans: &[Span], visit: &mut Visit<'_>) -> Result<(), ScanError> {
        for span in spans {
            let records = &self.topics[topic][usize::try_from(span.partition).unwrap()];
            let within = |record: &&Record| !span.from.covers(record.offset) && span.until.covers(record.offset);
            for record in records.iter().filter(within) {
                if visit(&(span.partition, record.clone())) == ControlFlow::Break(()) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
