//! `docs/metrics.md`, made from the table of metrics.

use std::fmt::Write as _;

use super::metric::{Kind, Metric, TABLE};

/// `docs/metrics.md` as it has to be.
pub fn documentation() -> String {
    let mut out = String::from(
        "# Metrics\n\n\
         Generated from `src/telemetry/metric.rs` by `make docs`; edit there.\n\n\
         The worker serves them as Prometheus text at `http://<admin.listen>/metrics`. Counters start at 0 with the \
         process. A partition's series disappears when the partition is taken away.\n\n\
         | metric | kind | labels | unit | meaning | when to look |\n|---|---|---|---|---|---|\n",
    );
    for metric in TABLE {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels = metric.labels.iter().map(|l| format!("`{l}`")).collect::<Vec<_>>().join(", ");
        let Metric { name, unit, meaning, alert, .. } = metric;
        // Writing to a String cannot fail.
        writeln!(out, "| `{name}` | {kind} | {labels} | {unit} | {meaning} | {alert} |").ok();
    }
    out.push_str(
        "\n## Buckets\n\nUpper bounds in seconds; the last bucket is unbounded.\n\n| histogram | bounds |\n|---|---|\n",
    );
    for metric in TABLE.iter().filter(|m| m.kind == Kind::Histogram) {
        let bounds = metric.buckets.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
        writeln!(out, "| `{}` | {bounds} |", metric.name).ok();
    }
    out
}
