//! Where series are made: one recorder, series through rows of the table only, and a cache of handles per label.
//!
//! The recorder is ours alone, never the process-wide one: two workers in one test process count apart.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::metric::{Kind, Metric, TABLE};

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

pub(super) struct Registry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Registry {
    pub(super) fn new() -> Self {
        // Only an empty list of buckets is refused, and the table's own test forbids one.
        let builder = TABLE
            .iter()
            .filter(|m| m.kind == Kind::Histogram)
            .try_fold(PrometheusBuilder::new(), |builder, metric| {
                builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), metric.buckets)
            })
            .unwrap_or_default();
        let recorder = builder.build_recorder();
        for metric in TABLE {
            let (name, text) = (KeyName::from_const_str(metric.name), metric.meaning.into());
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, text),
                Kind::Gauge => recorder.describe_gauge(name, None, text),
                Kind::Histogram => recorder.describe_histogram(name, None, text),
            }
        }
        let handle = recorder.handle();
        Self { recorder, handle }
    }

    pub(super) fn counter(&self, metric: &'static Metric, values: &[&str]) -> Counter {
        self.recorder.register_counter(&key(metric, values), &METADATA)
    }

    pub(super) fn gauge(&self, metric: &'static Metric, values: &[&str]) -> Gauge {
        self.recorder.register_gauge(&key(metric, values), &METADATA)
    }

    pub(super) fn histogram(&self, metric: &'static Metric) -> Histogram {
        self.recorder.register_histogram(&key(metric, &[]), &METADATA)
    }

    /// The Prometheus text of every series but the lag's.
    pub(super) fn render(&self) -> String {
        self.handle.render()
    }

    /// Sorts the samples recorded so far into their buckets; until then the recorder keeps each of them.
    pub(super) fn fold_samples(&self) {
        self.handle.run_upkeep();
    }
}

fn key(metric: &'static Metric, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len(), "labels of {}", metric.name);
    let labels: Vec<Label> =
        metric.labels.iter().zip(values).map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    Key::from_parts(metric.name, labels)
}

/// Handles by the value of a label: made once, then found under a read lock without an allocation.
pub(super) struct Cache<V> {
    handles: RwLock<HashMap<Box<str>, Arc<V>, foldhash::fast::RandomState>>,
}

impl<V> Default for Cache<V> {
    fn default() -> Self {
        Self { handles: RwLock::default() }
    }
}

impl<V> Cache<V> {
    pub(super) fn get(&self, label: &str, make: impl FnOnce() -> V) -> Arc<V> {
        if let Some(found) = self.handles.read().unwrap_or_else(PoisonError::into_inner).get(label) {
            return Arc::clone(found);
        }
        let mut handles = self.handles.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(handles.entry(label.into()).or_insert_with(|| Arc::new(make())))
    }
}

/// A count as Prometheus keeps it; exact up to 2^53.
pub(super) fn as_f64(n: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no count of ours comes near 2^53")]
    let value = n as f64;
    value
}
