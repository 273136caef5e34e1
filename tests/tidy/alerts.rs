//! The alert rules of `deploy/prometheus/` against what they stand on: metrics and labels of docs/metrics.md (which a test
//! holds to the table in the code), and a section of each runbook per alert and per reason code.
//!
//! It reads as much of the query language as the rules use: words, label matchers, `by` and `on`. Whether Prometheus takes
//! an expression is `promtool check rules` to say, which is not part of the tests.

use std::collections::{BTreeMap, BTreeSet};

use yaml_rust2::{Yaml, YamlLoader};

/// What a query may say beside metrics and labels.
const WORDS: [&str; 14] = [
    "absent",
    "and",
    "by",
    "histogram_quantile",
    "increase",
    "max",
    "min",
    "offset",
    "on",
    "or",
    "rate",
    "sum",
    "unless",
    "up",
];
/// Labels that Prometheus gives every series.
const OF_TARGETS: [&str; 2] = ["instance", "job"];
const SEVERITIES: [&str; 3] = ["critical", "info", "warning"];

/// One rule of the file.
#[derive(Debug)]
pub(crate) struct Alert {
    pub(crate) name: String,
    expr: String,
    severity: String,
    waits: Option<String>,
    annotations: BTreeMap<String, String>,
}

/// One row of docs/metrics.md.
pub(crate) struct Row {
    labels: Vec<String>,
    is_histogram: bool,
    words: String,
}

pub(crate) fn read(yaml: &str) -> Result<Vec<Alert>, String> {
    let documents = YamlLoader::load_from_str(yaml).map_err(|e| e.to_string())?;
    let groups = documents.first().and_then(|d| d["groups"].as_vec()).ok_or("no groups")?;
    let mut alerts = Vec::new();
    for group in groups {
        group["name"].as_str().ok_or("a group without a name")?;
        for rule in group["rules"].as_vec().ok_or("a group without rules")? {
            alerts.push(alert(rule)?);
        }
    }
    Ok(alerts)
}

fn alert(rule: &Yaml) -> Result<Alert, String> {
    let name = rule["alert"].as_str().ok_or("a rule without `alert`")?.to_owned();
    let text = |at: &Yaml, what: &str| at.as_str().map(str::to_owned).ok_or(format!("{name}: {what} is no text"));
    for key in rule.as_hash().into_iter().flat_map(|h| h.keys()) {
        if !key.as_str().is_some_and(|k| ["alert", "expr", "for", "labels", "annotations"].contains(&k)) {
            return Err(format!("{name}: {key:?} is nothing that a rule has"));
        }
    }
    let waits = if rule["for"].is_badvalue() { None } else { Some(text(&rule["for"], "`for`")?) };
    let mut annotations = BTreeMap::new();
    for (key, value) in rule["annotations"].as_hash().into_iter().flat_map(|h| h.iter()) {
        annotations.insert(text(key, "an annotation")?, text(value, "an annotation")?);
    }
    let expr = text(&rule["expr"], "`expr`")?;
    let severity = text(&rule["labels"]["severity"], "the severity")?;
    Ok(Alert { name, expr, severity, waits, annotations })
}

pub(crate) fn metric_rows(document: &str) -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    for line in document.lines().filter(|l| l.starts_with("| `order_sync_")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        if let [name, kind, labels, ..] = cells[..]
            && cells.len() > 3
        {
            let labels = quoted(labels).map(str::to_owned).collect();
            let row = Row { labels, is_histogram: kind.trim() == "histogram", words: line.to_owned() };
            rows.insert(quoted(name).next().unwrap_or_default().to_owned(), row);
        }
    }
    rows
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What is wrong with a rule, the runbooks apart.
pub(crate) fn faults(alert: &Alert, rows: &BTreeMap<String, Row>) -> Vec<String> {
    let mut faults = query_faults(&alert.expr, rows);
    if !SEVERITIES.contains(&alert.severity.as_str()) {
        faults.push(format!("severity {:?}", alert.severity));
    }
    let is_duration = |w: &String| {
        let (number, unit) = w.split_at(w.len().saturating_sub(1));
        number.parse::<u32>().is_ok_and(|n| n > 0) && ["s", "m", "h", "d"].contains(&unit)
    };
    if let Some(waits) = alert.waits.as_ref().filter(|w| !is_duration(w)) {
        faults.push(format!("for: {waits:?} is no duration"));
    }
    let given: Vec<&str> = alert.annotations.keys().map(String::as_str).collect();
    if given != ["description", "runbook", "summary"] {
        faults.push(format!("annotations {given:?}"));
    }
    let anchor = format!("docs/runbook.md#{}", alert.name.to_lowercase());
    if alert.annotations.get("runbook") != Some(&anchor) {
        faults.push(format!("the runbook is not {anchor}"));
    }
    let left = labels_left(&alert.expr);
    for text in alert.annotations.values() {
        for label in text.split("$labels.").skip(1) {
            let label: String = label.chars().take_while(|c| is_of_word(*c)).collect();
            if !left.contains(&label) {
                faults.push(format!("$labels.{label} is no label of what the expression gives"));
            }
        }
    }
    faults.into_iter().map(|fault| format!("{}: {fault}", alert.name)).collect()
}

/// The labels that `by` leaves; of a bare selector those of its target.
fn labels_left(expr: &str) -> BTreeSet<String> {
    let tokens = tokens(expr);
    let by = tokens.iter().filter(|t| matches!(t, Token::Kept(_)));
    let kept: BTreeSet<String> =
        by.flat_map(|t| if let Token::Kept(labels) = t { labels.clone() } else { vec![] }).collect();
    if kept.is_empty() { OF_TARGETS.map(str::to_owned).into() } else { kept }
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    /// The labels behind `by` or `on`.
    Kept(Vec<String>),
    /// Label and value of one matcher.
    Matcher(String, String),
}

const fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// Words, matchers and kept labels, in their order. Ranges, numbers and operators say nothing of metrics.
fn tokens(expr: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut rest = expr;
    while let Some(c) = rest.chars().next() {
        let end = |close: char| rest.find(close).unwrap_or(rest.len());
        let length = if c == '[' {
            end(']')
        } else if c == '{' {
            let inside = rest.get(1..end('}')).unwrap_or_default();
            for matcher in inside.split(',') {
                let label: String = matcher.trim().chars().take_while(|c| is_of_word(*c)).collect();
                out.push(Token::Matcher(label, matcher.split('"').nth(1).unwrap_or_default().to_owned()));
            }
            end('}')
        } else if is_of_word(c) {
            let word: String = rest.chars().take_while(|c| is_of_word(*c)).collect();
            let length = word.len();
            if !c.is_ascii_digit() {
                out.push(Token::Word(word));
            }
            length
        } else if c == '(' && matches!(out.last(), Some(Token::Word(w)) if ["by", "on"].contains(&&**w)) {
            let inside = rest.get(1..end(')')).unwrap_or_default();
            out.push(Token::Kept(inside.split(',').map(|l| l.trim().to_owned()).collect()));
            end(')')
        } else {
            c.len_utf8()
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

fn query_faults(expr: &str, rows: &BTreeMap<String, Row>) -> Vec<String> {
    let mut faults = Vec::new();
    if expr.matches('(').count() != expr.matches(')').count() {
        faults.push("brackets do not match".to_owned());
    }
    let of_targets = |label: &str| OF_TARGETS.contains(&label);
    let (mut waiting, mut metrics): (Vec<String>, usize) = (Vec::new(), 0);
    let mut row = None;
    for token in tokens(expr) {
        match token {
            Token::Kept(labels) => waiting.extend(labels),
            Token::Matcher(label, _) if of_targets(&label) => {}
            Token::Matcher(label, value) => {
                let row: Option<&Row> = row;
                if !row.is_some_and(|r| r.labels.contains(&label)) {
                    faults.push(format!("no label {label:?} at the metric before it"));
                }
                let unknown = value.split('|').find(|v| !row.is_some_and(|r| r.words.contains(&format!("`{v}`"))));
                faults.extend(unknown.map(|v| format!("docs/metrics.md knows no {label}={v:?}")));
            }
            Token::Word(word) if WORDS.contains(&word.as_str()) => metrics += usize::from(word == "up"),
            Token::Word(word) => {
                let base = word.strip_suffix("_bucket").or(word.strip_suffix("_sum")).or(word.strip_suffix("_count"));
                let name = base.filter(|_| !rows.contains_key(&word)).unwrap_or(&word);
                row = rows.get(name).filter(|r| r.is_histogram == (name != word));
                let Some(row) = row else {
                    faults.push(format!("docs/metrics.md knows no {word}"));
                    continue;
                };
                metrics += 1;
                for label in waiting.drain(..) {
                    let is_bound = label == "le" && word.ends_with("_bucket");
                    if !of_targets(&label) && !is_bound && !row.labels.contains(&label) {
                        faults.push(format!("{word} has no label {label:?}"));
                    }
                }
            }
        }
    }
    if metrics == 0 {
        faults.push("no metric".to_owned());
    }
    faults
}

/// Sections that a runbook lacks, or that nothing leads to. A section says what to type in a code block.
pub(crate) fn runbook_faults(runbook: &str, wanted: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut sections: BTreeMap<String, String> = BTreeMap::new();
    for section in format!("\n{runbook}").split("\n### ").skip(1) {
        let (heading, body) = section.split_once('\n').unwrap_or((section, ""));
        let body = body.split("\n## ").next().unwrap_or_default();
        if sections.insert(heading.trim().to_owned(), body.to_owned()).is_some() {
            faults.push(format!("{heading} stands twice"));
        }
    }
    for name in wanted {
        match sections.get(name) {
            None => faults.push(format!("no section `### {name}`")),
            Some(body) if !body.contains("```sh\n") => faults.push(format!("{name} does not say what to type")),
            Some(_) => {}
        }
    }
    let dead = sections.keys().filter(|heading| !wanted.contains(*heading));
    faults.extend(dead.map(|heading| format!("`### {heading}` is neither an alert nor a reason code")));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "| `order_sync_partitions` | gauge | `state` | n | By state: `restoring`. |  |\n\
                           | `order_sync_push_seconds` | histogram |  | seconds | One attempt. |  |\n";

    #[test]
    fn planted_queries_are_found() {
        let rows = metric_rows(METRICS);
        let check = |expr: &str, expected: usize| {
            let found = query_faults(expr, &rows);
            assert_eq!(found.len(), expected, "{expr}: {found:?}");
        };
        check(r#"sum by (job, state) (order_sync_partitions{state="restoring"}) > 0"#, 0);
        check("histogram_quantile(0.99, sum by (le) (rate(order_sync_push_seconds_bucket[10m]))) > 1", 0);
        check(r#"up{job="order-sync"} == 0"#, 0);
        check("order_sync_partition > 0", 2);
        check("summ(order_sync_partitions) > 0", 1);
        check(r#"order_sync_partitions{status="restoring"} > 0"#, 1);
        check(r#"order_sync_partitions{state="restored"} > 0"#, 1);
        check("sum by (reason) (order_sync_partitions) > 0", 1);
        check("rate(order_sync_push_seconds[5m]) > 1", 2);
        check("sum by (le) (order_sync_partitions) > 0", 1);
        check("sum(order_sync_partitions > 0", 1);
        check("1 > 0", 1);
    }

    #[test]
    fn planted_rules_are_found() {
        let rule = |tail: &str| {
            let head = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: order_sync_partitions > 0\n";
            read(&format!("{head}{tail}")).map(|alerts| faults(&alerts[0], &metric_rows(METRICS)))
        };
        let notes = "    annotations: { summary: 's {{ $labels.job }}', description: d, runbook: docs/runbook.md#a }\n";
        let good = format!("    for: 5m\n    labels: {{ severity: info }}\n{notes}");
        assert_eq!(rule(&good), Ok(vec![]));
        for (from, to) in
            [("5m", "5 min"), ("info", "page"), ("$labels.job", "$labels.app"), ("#a", "#b"), ("summary", "sum")]
        {
            assert_eq!(rule(&good.replace(from, to)).unwrap().len(), 1, "{to}");
        }
        assert!(rule(&good.replace("for:", "four:")).is_err());
        assert!(rule(&good.replace("    for", "  for")).is_err());
        assert!(rule("").is_err());
    }

    #[test]
    fn planted_runbooks_are_found() {
        let wanted: BTreeSet<String> = ["A", "`b`"].map(str::to_owned).into();
        let good = "# R\n## Alerts\n### A\n```sh\nx\n```\n## Reasons\n### `b`\n```sh\ny\n```\n";
        assert_eq!(runbook_faults(good, &wanted), [] as [&str; 0]);
        assert_eq!(runbook_faults(&good.replace("### A", "#### A"), &wanted).len(), 1);
        assert_eq!(runbook_faults(&good.replace("```sh\nx\n```\n", ""), &wanted).len(), 1);
        assert_eq!(runbook_faults(&format!("{good}### C\n"), &wanted).len(), 1);
        assert_eq!(runbook_faults(&format!("{good}### A\n```sh\nz\n```\n"), &wanted).len(), 1);
    }
}
