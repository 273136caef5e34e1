//! What the demo tells in the end: tables for people, one object for scripts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::render::Output;
use super::shell::Shell;
use crate::app::demo::stage::Stage;
use crate::app::demo::verdict::Checked;

/// What the demo took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    /// Orders that the burst touches.
    pub(super) burst_orders: usize,
    /// From the burst's first record to its last push applied.
    pub(super) burst: Duration,
    /// The whole demo.
    pub(super) whole: Duration,
}

/// Prints the report.
pub(super) fn report(stage: &Stage, checked: &Checked, took: Took, shell: &mut Shell) -> anyhow::Result<()> {
    let orders = stage.expected.orders.len();
    let outcomes = outcomes(&stage.meters.render());
    let per_second = f64::from(u32::try_from(took.burst_orders)?) / took.burst.as_secs_f64().max(0.001);
    let (p50, p99) = (checked.percentile(0.50), checked.percentile(0.99));
    if shell.output() == Output::Json {
        shell.out.json(&json!({
            "records": stage.log.len(),
            "outcomes": outcomes,
            "dead_letters": checked.letters,
            "orders": orders,
            "orders_right": checked.right,
            "orders_per_second": per_second.round(),
            "event_to_accepted_ms": {"p50": p50, "p99": p99},
            "seconds": took.whole.as_secs_f64(),
            "wrong": checked.wrong,
        }))?;
        return Ok(());
    }
    shell.out.table(&["records", "outcome"], outcomes.iter().map(|(word, n)| vec![n.to_string(), word.clone()]))?;
    shell.out.line("")?;
    let letters = checked.letters.iter().map(|(reason, n)| vec![n.to_string(), reason.clone()]);
    shell.out.table(&["dead letters", "reason"], letters)?;
    shell.out.line("")?;
    let ms = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
    let rows = [
        ["orders per second (in the burst)".to_owned(), format!("{per_second:.0}")],
        ["event to accepted, p50 (at 1,000 events/s)".to_owned(), ms(p50)],
        ["event to accepted, p99 (at 1,000 events/s)".to_owned(), ms(p99)],
        ["whole demo".to_owned(), format!("{:.1} s", took.whole.as_secs_f64())],
    ];
    shell.out.table(&["measure", "value"], rows.map(Vec::from))?;
    shell.out.line("")?;
    verdict(checked, orders, shell)
}

fn verdict(checked: &Checked, orders: usize, shell: &mut Shell) -> anyhow::Result<()> {
    if checked.wrong.is_empty() {
        shell.out.line(format!(
            "ok: the sandbox holds exactly the final state of each of the {orders} orders, every state was applied in \
             order, and the dead-letter topic holds what it must"
        ))?;
        return Ok(());
    }
    shell.out.line(format!("WRONG: {} of {orders} orders are right", checked.right))?;
    for words in &checked.wrong {
        shell.out.line(format!("  {words}"))?;
    }
    Ok(())
}

/// Records by outcome, from the worker's own metrics text, all topics together.
fn outcomes(metrics: &str) -> BTreeMap<String, u64> {
    let mut outcomes = BTreeMap::new();
    for line in metrics.lines().filter(|line| line.starts_with("order_sync_records_total{")) {
        let word = line.split("outcome=\"").nth(1).and_then(|rest| rest.split('"').next());
        let count = line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok());
        if let (Some(word), Some(count)) = (word, count) {
            *outcomes.entry(word.to_owned()).or_default() += count;
        }
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read_from_the_metrics() {
        let text = "order_sync_records_total{topic=\"a\",outcome=\"stale\"} 3\n\
                    order_sync_records_total{topic=\"b\",outcome=\"stale\"} 4\n\
                    order_sync_other{outcome=\"stale\"} 9\n";
        assert_eq!(outcomes(text), BTreeMap::from([("stale".to_owned(), 7)]));
    }
}
