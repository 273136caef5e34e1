//! The table of every metric: name, kind, labels, unit, meaning, and when to wake somebody.
//!
//! A metric exists only through a row of this table, so `docs/metrics.md` (`make docs`) cannot miss one.

pub use super::metric_docs::documentation;

/// What a metric is to Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows within a process.
    Counter,
    /// A value that comes and goes.
    Gauge,
    /// Counts in fixed buckets; the upper bounds stand in [`Metric::buckets`].
    Histogram,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// The full name.
    pub name: &'static str,
    /// What it is to Prometheus.
    pub kind: Kind,
    /// The names of its labels, in order.
    pub labels: &'static [&'static str],
    /// The unit of its value.
    pub unit: &'static str,
    /// What it counts, one sentence.
    pub meaning: &'static str,
    /// When to look, in words; empty where it is only there to explain others.
    pub alert: &'static str,
    /// Upper bounds of the buckets, ascending; empty but for histograms.
    pub buckets: &'static [f64],
}

/// One HTTP attempt: from a loopback sandbox to a time-out.
const ATTEMPT_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// One commit: a flush, or a transaction.
const COMMIT_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// An event's whole way: from a fraction of a second to a night's outage.
const EVENT_BUCKETS: &[f64] =
    &[0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0];

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    unit: &'static str,
    meaning: &'static str,
    alert: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Counter, labels, unit, meaning, alert, buckets: &[] }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    unit: &'static str,
    meaning: &'static str,
    alert: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, unit, meaning, alert, buckets: &[] }
}

const fn histogram(name: &'static str, meaning: &'static str, alert: &'static str, buckets: &'static [f64]) -> Metric {
    Metric { name, kind: Kind::Histogram, labels: &[], unit: "seconds", meaning, alert, buckets }
}

pub(super) const RECORDS: Metric = counter(
    "order_sync_records_total",
    &["topic", "outcome"],
    "records",
    "Records whose outcome is committed: `delivered`, `unchanged`, `duplicate`, `stale`, `dead_letter` or `tombstone`.",
    "A growing rate of `stale` says that a producer's clock or order is wrong.",
);
pub(super) const PUSH_ATTEMPTS: Metric = counter(
    "order_sync_push_attempts_total",
    &["app_id", "verdict"],
    "attempts",
    "HTTP attempts by verdict: `accepted`, `retry`, `refresh_token`, `reject` or `suspend`.",
    "More than half of an app's attempts are not `accepted` for 10 minutes.",
);
pub(super) const PUSH_SECONDS: Metric = histogram(
    "order_sync_push_seconds",
    "How long one attempt took, from start to whole answer.",
    "The 99th percentile stays near `douyin.request_timeout`.",
    ATTEMPT_BUCKETS,
);
pub(super) const DEAD_LETTERS: Metric = counter(
    "order_sync_dead_letters_total",
    &["reason"],
    "records",
    "Dead letters by reason code.",
    "Any increase: somebody has to look at each.",
);
pub(super) const DEAD_LETTERS_OPEN: Metric = gauge(
    "order_sync_dead_letters_open",
    &[],
    "records",
    "Dead letters that are open, of the partitions that this worker runs; the workers of a group add up. It survives \
     restarts; one that a later push of its order supersedes is gone from it.",
    "Above 0 for a day: what never was folded, or whose order is never pushed again, stays open until somebody deals \
     with it.",
);
pub(super) const LETTERS_LOST: Metric = counter(
    "order_sync_dead_letter_topic_lost_total",
    &[],
    "times",
    "How often the dead-letter topic turned out to be another than the one that this worker had written letters to.",
    "Any increase: the letters before it are gone.",
);
pub(super) const IN_FLIGHT: Metric = gauge(
    "order_sync_in_flight",
    &[],
    "attempts",
    "Attempts that are under way.",
    "Stands at `delivery.max_in_flight` while lag or debt grows: raise the limit or look at the platform's latency.",
);
pub(super) const OWED: Metric = gauge(
    "order_sync_owed_deliveries",
    &["app_id"],
    "deliveries",
    "Deliveries that are committed and not yet settled.",
    "Grows for 15 minutes.",
);
pub(super) const LAG: Metric = gauge(
    "order_sync_consumer_lag",
    &["topic", "partition"],
    "records",
    "The broker's end of a partition less our committed position; gone as soon as the partition is.",
    "Grows for 15 minutes.",
);
pub(super) const UNUSUAL: Metric = counter(
    "order_sync_unusual_transitions_total",
    &[],
    "events",
    "Backward steps of a status (for example `redeemed` to `paid`) that were pushed all the same.",
    "",
);
pub(super) const TEXT_CUT: Metric = counter(
    "order_sync_text_cut_total",
    &["field"],
    "fields",
    "Person-read texts that were cut to the platform's byte limit.",
    "",
);
/// The texts that only people read; their series stand at 0 from the start.
pub(super) const TEXT_FIELDS: [&str; 6] =
    ["title", "sub_title", "shop_name", "goods_name", "description", "goods_info"];
pub(super) const LONG_RULES: Metric = counter(
    "order_sync_long_rules_total",
    &[],
    "rules",
    "Voucher rules over the documented 50 bytes, sent as they are.",
    "",
);
pub(super) const KEY_MISMATCH: Metric = counter(
    "order_sync_key_mismatch_total",
    &["topic"],
    "records",
    "Records whose key is not their `order_id`.",
    "Any increase: the order's events may lie in several partitions, where nothing keeps their order.",
);
pub(super) const EVENT_TO_ACCEPTED: Metric = histogram(
    "order_sync_event_to_accepted_seconds",
    "From the record's timestamp to the platform's acceptance of its push.",
    "The 99th percentile is over what the business was promised.",
    EVENT_BUCKETS,
);
pub(super) const OLDEST_UNDELIVERED: Metric = gauge(
    "order_sync_oldest_undelivered_seconds",
    &[],
    "seconds",
    "Age of the oldest delivery owed, by its record's timestamp; 0 when nothing is owed.",
    "Over 15 minutes.",
);
pub(super) const BUFFERED_BYTES: Metric = gauge(
    "order_sync_buffered_bytes",
    &[],
    "bytes",
    "Memory of what is read or changed and not yet committed.",
    "Stands at `delivery.max_buffered_bytes`: commits do not keep up.",
);
pub(super) const COMMIT_SECONDS: Metric = histogram(
    "order_sync_commit_seconds",
    "How long one commit took.",
    "The 99th percentile is over 1 s.",
    COMMIT_BUCKETS,
);
pub(super) const COMMITS: Metric = counter(
    "order_sync_commits_total",
    &["result"],
    "commits",
    "Commits by result: `ok` or `failed`.",
    "Any `failed`; or no `ok` for a minute while records come in.",
);
pub(super) const COMMITTED_RECORDS: Metric =
    counter("order_sync_committed_records_total", &[], "records", "Records that commits covered.", "");
pub(super) const TOKENS: Metric = counter(
    "order_sync_token_fetches_total",
    &["app_id", "result"],
    "fetches",
    "Tokens by result: `fetched`, `refused`, or `shared` by another worker of the group, which fetched it.",
    "Any `refused`; or more than a few `fetched` an hour: somebody else fetches for the same app.",
);
pub(super) const CIRCUIT: Metric = gauge(
    "order_sync_circuit_state",
    &["app_id"],
    "state",
    "0 closed: deliveries run; 1 half-open: the rate ramps up; 2 open: an outage is waited for; 3 suspended: a person \
     must act.",
    "3 at once; 2 for 15 minutes.",
);
pub(super) const COMMANDS: Metric = counter(
    "order_sync_commands_total",
    &["command", "outcome"],
    "commands",
    "Operator commands by what they came to, as in the changelog's schema; one that was given twice counts once.",
    "Any `refused` or `dead_letter`: the command's outcome says why.",
);
pub(super) const PAUSED: Metric = gauge(
    "order_sync_app_paused_partitions",
    &["app_id"],
    "partitions",
    "Partitions of this worker in which an operator has paused the app.",
    "Over 0 for longer than was meant.",
);
pub(super) const INTAKE_PAUSED: Metric = gauge(
    "order_sync_intake_paused",
    &["reason"],
    "state",
    "1 while intake is held back for this reason (`owed`, `bytes`), else 0.",
    "1 for 15 minutes.",
);
pub(super) const RESTORED_ORDERS: Metric = counter(
    "order_sync_restored_orders_total",
    &[],
    "orders",
    "Orders whose state was read back from the changelog.",
    "Grows again and again: partitions move, or the store is lost at each start.",
);
pub(super) const STORE_ORDERS: Metric = gauge(
    "order_sync_store_orders",
    &[],
    "orders",
    "Orders in this worker's store, those of partitions that have moved on included. With transactions it is renewed as the \
     store is written, every three seconds where there is something, every ten where there is much; without, at each commit.",
    "",
);
pub(super) const REMOVED_ORDERS: Metric = counter(
    "order_sync_removed_orders_total",
    &[],
    "orders",
    "Orders that have left, as `store.retain` has it: at their end, delivered, and untouched for so long.",
    "Beside a growing rate of `older_than_retained` dead letters: events come later than `store.retain` allows for.",
);
pub(super) const PARTITIONS: Metric = gauge(
    "order_sync_partitions",
    &["state"],
    "partitions",
    "Partitions that this worker holds, by state: `restoring`, `running` or `leaving`.",
    "`restoring` for 5 minutes: see the log for what it waits for.",
);
pub(super) const BUILD: Metric =
    gauge("order_sync_build_info", &["version"], "state", "Always 1; the label says which release runs.", "");

/// Every metric of the worker, in the order of the documentation.
pub const TABLE: &[&Metric] = &[
    &RECORDS,
    &PUSH_ATTEMPTS,
    &PUSH_SECONDS,
    &DEAD_LETTERS,
    &DEAD_LETTERS_OPEN,
    &LETTERS_LOST,
    &IN_FLIGHT,
    &OWED,
    &LAG,
    &UNUSUAL,
    &TEXT_CUT,
    &LONG_RULES,
    &KEY_MISMATCH,
    &EVENT_TO_ACCEPTED,
    &OLDEST_UNDELIVERED,
    &BUFFERED_BYTES,
    &COMMIT_SECONDS,
    &COMMITS,
    &COMMITTED_RECORDS,
    &TOKENS,
    &CIRCUIT,
    &COMMANDS,
    &PAUSED,
    &INTAKE_PAUSED,
    &RESTORED_ORDERS,
    &STORE_ORDERS,
    &REMOVED_ORDERS,
    &PARTITIONS,
    &BUILD,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        for (at, metric) in TABLE.iter().enumerate() {
            assert!(metric.name.starts_with("order_sync_"), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert_eq!(metric.buckets.is_empty(), metric.kind != Kind::Histogram, "{}", metric.name);
            assert!(metric.buckets.is_sorted(), "{}", metric.name);
            assert!(TABLE.iter().skip(at + 1).all(|m| m.name != metric.name), "{} stands twice", metric.name);
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "`make docs` says through it that the file is to be written")]
    fn docs_metrics_md_says_what_the_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        let expected = documentation();
        if std::env::var_os("ORDER_SYNC_BLESS").is_some() {
            std::fs::write(path, &expected).unwrap();
        }
        let actual = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            actual == expected,
            "docs/metrics.md differs from src/telemetry/metric.rs: run `make docs`, and commit it"
        );
    }
}
