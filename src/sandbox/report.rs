//! What happened so far, for CI scripts and people.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::state::State;
use super::violation::{Violation, ViolationKind};

/// Counts since the start, or since the last reset. Every name is stable.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Pushes that were filed under an order.
    pub received: u64,
    /// Of these: became the order's state.
    pub applied: u64,
    /// Of these: swallowed for their stamp, answered with `err_code` 0.
    pub ignored: u64,
    /// Of these: refused by a check or a fault.
    pub refused: u64,
    /// Of all: the same body under the same stamp again.
    pub repeats: u64,
    /// Orders that are remembered.
    pub orders: u64,
    /// Filed pushes by the `err_code` of their judgement.
    pub err_codes: BTreeMap<i64, u64>,
    /// Injected faults by name.
    pub faults: BTreeMap<String, u64>,
    /// Pushes that belong to no order, by what was answered.
    pub unattributed: BTreeMap<String, u64>,
    /// Calls by endpoint.
    pub endpoints: BTreeMap<String, u64>,
    /// Tokens given out, by endpoint.
    pub tokens_issued: BTreeMap<String, u64>,
    /// The latest of them, oldest first, with their times.
    pub recent_tokens: Vec<RecentToken>,
    /// Token requests that were refused.
    pub tokens_denied: u64,
    /// Rules of pushing that were broken, by name; every name is there.
    pub violations: BTreeMap<String, u64>,
    /// All of them together.
    pub violations_total: u64,
    /// The first of them, at most 100 per shard.
    pub violation_list: Vec<Violation>,
    /// What is legal, and yet worth a look: rules over 50 bytes, images that are no full URL.
    pub remarks: BTreeMap<String, u64>,
    /// The latest refusals by checks, with their words.
    pub recent_refusals: Vec<RecentRefusal>,
    /// History entries and orders dropped for the bounds on memory, and the bytes held.
    pub memory: BTreeMap<String, u64>,
    /// The sandbox's own CPU time.
    pub cpu: CpuReport,
    /// Since the start or the last reset, on the sandbox's clock.
    pub seconds: f64,
}

/// CPU time of the sandbox's threads, its own endpoints aside.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CpuReport {
    /// In all.
    pub seconds: f64,
    /// Per push, connections and token requests included.
    pub micros_per_push: f64,
}

/// A token that was given out: when and to whom, never the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecentToken {
    /// Milliseconds since the epoch, on the sandbox's clock.
    pub at_ms: u64,
    /// The app.
    pub app_id: String,
    /// The path of its endpoint.
    pub endpoint: &'static str,
}

/// A refusal by a check. It names fields, never values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecentRefusal {
    /// Milliseconds since the epoch.
    pub at_ms: u64,
    /// The app, where the token told it.
    pub app_id: String,
    /// The order, where it could be read.
    pub order_id: String,
    /// HTTP status.
    pub status: u16,
    /// `err_code`, where there was a body.
    pub err_code: Option<i64>,
    /// Why.
    pub message: String,
}

impl Report {
    pub(super) fn of(state: &State) -> Self {
        let totals = state.centre.totals();
        let tallies = state.tallies().clone();
        let counts = totals.counts;
        let mut faults: BTreeMap<String, u64> = text_keys(counts.faults);
        for (name, count) in tallies.faults {
            *faults.entry(name.to_string()).or_default() += count;
        }
        let violation = |kind: &ViolationKind| counts.violations.get(kind).copied().unwrap_or_default();
        let violations = ViolationKind::ALL.iter().map(|kind| (kind.as_str().to_owned(), violation(kind))).collect();
        let unattributed: u64 = tallies.unattributed.values().sum();
        let mut endpoints = text_keys(tallies.endpoints);
        *endpoints.entry("/api/apps/order/v2/push".to_owned()).or_default() += counts.received + unattributed;
        let cpu = state.cpu().saturating_sub(tallies.cpu_at_reset);
        Self {
            received: counts.received,
            applied: counts.applied,
            ignored: counts.ignored,
            refused: counts.refused,
            repeats: counts.repeats,
            orders: totals.orders,
            err_codes: counts.err_codes.clone(),
            faults,
            unattributed: tallies.unattributed,
            endpoints,
            tokens_issued: text_keys(tallies.tokens_issued),
            recent_tokens: tallies.tokens.into(),
            tokens_denied: tallies.tokens_denied,
            violations,
            violations_total: counts.violations.values().sum(),
            violation_list: totals.violations,
            remarks: named([("long_rules", tallies.long_rules), ("odd_images", tallies.odd_images)]),
            recent_refusals: tallies.refusals.into(),
            memory: named([
                ("entries_dropped", counts.entries_dropped),
                ("orders_dropped", counts.orders_dropped),
                ("bytes", totals.bytes as u64),
            ]),
            cpu: CpuReport {
                seconds: cpu.as_secs_f64(),
                micros_per_push: micros_per_push(cpu, counts.received + unattributed),
            },
            seconds: Duration::from_millis(state.clock.now_ms().saturating_sub(tallies.since_ms)).as_secs_f64(),
        }
    }
}

fn named<const N: usize>(rows: [(&str, u64); N]) -> BTreeMap<String, u64> {
    rows.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

fn text_keys<K: ToString>(map: BTreeMap<K, u64>) -> BTreeMap<String, u64> {
    map.into_iter().map(|(key, count)| (key.to_string(), count)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn micros_per_push(cpu: Duration, pushes: u64) -> f64 {
    let micros = cpu.as_secs_f64() * 1e6 / pushes.max(1) as f64;
    if pushes == 0 { 0.0 } else { (micros * 100.0).round() / 100.0 }
}
