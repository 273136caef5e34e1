//! The consumer lag, the one family whose series must vanish: a partition that was taken away has no lag here.
//!
//! The Prometheus recorder cannot drop a single series, so this family is kept and written beside it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use super::metric::LAG;
use crate::record::TopicPartition;

#[derive(Debug, Default)]
pub(super) struct Lag {
    series: Mutex<BTreeMap<TopicPartition, u64>>,
}

impl Lag {
    /// Sets the lag of a partition, or drops its series.
    pub(super) fn set(&self, source: &TopicPartition, records: Option<u64>) {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        match (series.get_mut(source), records) {
            (Some(value), Some(records)) => *value = records,
            (Some(_), None) => drop(series.remove(source)),
            (None, Some(records)) => drop(series.insert(source.clone(), records)),
            (None, None) => {}
        }
    }

    /// Appends the family in Prometheus' text form; nothing at all while it is empty.
    pub(super) fn render(&self, out: &mut String) {
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if series.is_empty() {
            return;
        }
        // Writing to a String cannot fail.
        writeln!(out, "# HELP {0} {1}\n# TYPE {0} gauge", LAG.name, LAG.meaning).ok();
        for (source, records) in series.iter() {
            // A topic's name holds letters, digits, dot, underscore and hyphen only: nothing to escape.
            writeln!(out, "{}{{topic=\"{}\",partition=\"{}\"}} {records}", LAG.name, source.topic, source.partition)
                .ok();
        }
        out.push('\n');
    }
}
