//! One order as text for a person.

use std::collections::BTreeMap;

use super::show::{Shown, delivery};
use crate::cli::render::printable;
use crate::cli::shell::Shell;
use crate::cli::times;
use crate::inspect::{Agreement, Entry, Happened};
use crate::order::{Identity, OrderState};
use crate::record::TopicPartition;

/// Prints it.
pub(super) fn print(shown: &Shown, document: Option<serde_json::Value>, shell: &mut Shell) -> std::io::Result<()> {
    for (name, value) in head(shown) {
        shell.out.line(format!("{name:<12} {}", printable(&value)))?;
    }
    if let Some(document) = document {
        let text = serde_json::to_string_pretty(&document).unwrap_or_default();
        shell.out.line("document")?;
        for line in text.lines() {
            shell.out.line(format!("    {}", printable(line)))?;
        }
    }
    shell.out.line("")?;
    let rows = shown.timeline.iter().map(row);
    shell.out.table(&["TIME (UTC)", "WHAT", "STAMP", "DETAIL"], rows)?;
    if shown.left_out > 0 {
        shell.out.line(format!("({} older entries are left out: --limit)", shown.left_out))?;
    }
    Ok(())
}

fn head(shown: &Shown) -> Vec<(&'static str, String)> {
    let Shown { identity, log, place, .. } = shown;
    let mut facts = vec![
        ("order", identity.order_id.to_string()),
        ("app", if identity.app_id.as_str().is_empty() { "unknown".to_owned() } else { identity.app_id.to_string() }),
        ("lies in", place.to_string()),
    ];
    if let Some(state) = &log.state {
        facts.push(("type", state.order_type.as_str().to_owned()));
        facts.push(("status", state.status.as_str().to_owned()));
        facts.push(("stamp", format!("update_time {}", state.update_time)));
        facts.push(("last event", last_event(state, shown.last_occurred_ms)));
    }
    facts.push(("delivery", held(shown)));
    let events = match (shown.events.within, shown.agreement) {
        (None, _) => "not read".to_owned(),
        (Some(span), agreement) => {
            let words = match agreement {
                Agreement::Agrees => "folded again they give the state above",
                Agreement::Differs => {
                    "folded again they give another state: events outside of what was read, a command, or other settings then"
                }
                Agreement::Unknown if log.state.is_some() => {
                    "folded again they give none: the state above comes from events outside of what was read"
                }
                Agreement::Unknown => "there is no state to compare them with",
            };
            let more = if shown.events.is_cut { "; not all were read (--all-events)" } else { "" };
            format!("offsets {} to {} were read; {words}{more}", span.from, span.until)
        }
    };
    facts.push(("events", events));
    facts
}

/// The offset that was applied last, and the time at which the order stands. An operator may have had an older event folded
/// late, so that the two are not of one event; which it is the event itself tells, where it was read.
fn last_event(state: &OrderState, occurred_ms: Option<i64>) -> String {
    let (offset, stands) = (state.applied_offset, times::rfc3339(state.occurred_at.0));
    match occurred_ms {
        Some(at) if at == state.occurred_at.0 => format!("offset {offset}, occurred at {stands}"),
        Some(at) => {
            format!(
                "offset {offset}, occurred at {}; the order's time is {stands}, that of another event",
                times::rfc3339(at)
            )
        }
        None => format!("offset {offset}, not read; the order's time is {stands}"),
    }
}

/// What Douyin holds, by our knowledge.
fn held(shown: &Shown) -> String {
    let log = &shown.log;
    let stamps = log.owed.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match (delivery(shown), &log.state) {
        ("delivered", Some(state)) => {
            format!("delivered: Douyin has accepted update_time {}, as far as is known", state.update_time)
        }
        ("delivered", None) => "delivered: the order has left the store since (store.retain)".to_owned(),
        ("owed", _) => {
            let since = log.owed.values().map(|debt| debt.at_ms).min().map(times::rfc3339).unwrap_or_default();
            format!(
                "owed: update_time {stamps} is to be delivered, owed since {since}; Douyin holds an older state, or none. Its worker alone \
                 knows the attempts so far: see apps list --admin, and the worker's log"
            )
        }
        (_, Some(state)) => {
            format!("dead_letter: update_time {} was given up; Douyin holds an older state, or none", state.update_time)
        }
        (_, None) => "dead_letter: no event of it was ever folded, and Douyin holds nothing of it".to_owned(),
    }
}

fn row(entry: &Entry) -> Vec<String> {
    let text = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), printable);
    let stamp = |stamp: &Option<i64>| stamp.map_or_else(|| "-".to_owned(), |stamp| stamp.to_string());
    let (what, stamp, detail) = match &entry.what {
        Happened::Event { offset, event_id, status, outcome, other_key, update_time, reason, occurred_at_ms } => {
            let outcome = outcome.unwrap_or("cannot be judged");
            let why = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let occurred = occurred_at_ms.map(|at| format!(", occurred at {}", times::rfc3339(at))).unwrap_or_default();
            let status = status.unwrap_or("-");
            let key = other_key.as_deref().map(|key| format!(", KEYED BY {}", printable(key))).unwrap_or_default();
            let detail = format!("{outcome}{why}: {status}, offset {offset}, event {}{occurred}{key}", text(event_id));
            ("event", stamp(update_time), detail)
        }
        Happened::Attempt { update_time, latency, status, err_code, times: _ } => {
            let code = err_code.map(|code| format!(", code {code}")).unwrap_or_default();
            ("attempt", stamp(update_time), format!("{} after {}{code}", printable(status), printable(latency)))
        }
        Happened::DeadLetter { id, reason, status, update_time, err_code, times } => {
            let code = err_code.map(|code| format!(", code {code}")).unwrap_or_default();
            let times = if *times > 1 { format!(", {times} times") } else { String::new() };
            (
                "dead letter",
                stamp(update_time),
                format!("{}, {status}{code}{times}: {}", printable(reason), printable(id)),
            )
        }
        Happened::Command { id, command, outcome, offset, update_time, who, why } => {
            let about = offset.map(|offset| format!(" of offset {offset}")).unwrap_or_default();
            let (who, why, id) = (printable(who), printable(why), printable(id));
            ("command", stamp(update_time), format!("{command}{about}: {outcome}, by {who}: {why} (id {id})"))
        }
        Happened::Accepted { update_time, attempts, last_error, log_id } => {
            let tried = if *attempts == 1 { "at once".to_owned() } else { format!("after {attempts} attempts") };
            let error = last_error.as_deref().map(|error| format!(", last error {error}")).unwrap_or_default();
            let log_id = log_id.as_deref().map(|id| format!(" (log id {id})")).unwrap_or_default();
            ("accepted", update_time.to_string(), format!("{tried}{error}{log_id}"))
        }
        Happened::Owed { update_time, offset } => {
            ("owed", update_time.to_string(), format!("not settled yet; it belongs to the event at offset {offset}"))
        }
    };
    vec![times::short(&times::rfc3339(entry.at_ms)), what.to_owned(), stamp, detail]
}

/// Says which orders lie in several partitions.
pub(super) fn spread<'s>(shown: impl IntoIterator<Item = (&'s Identity, &'s TopicPartition)>) -> Vec<String> {
    let mut places: BTreeMap<&Identity, Vec<String>> = BTreeMap::new();
    for (identity, place) in shown {
        places.entry(identity).or_default().push(printable(&place.to_string()));
    }
    let spread = places.into_iter().filter(|(_, places)| places.len() > 1);
    let words = |(identity, places): (&Identity, Vec<String>)| {
        format!(
            "note: the order's events under {} are spread over {}: no order between partitions is promised, and each has a \
             state and stamps of its own; all events of an order belong under its order_id as key, in one topic",
            printable(identity.app_id.as_str()),
            places.join(", ")
        )
    };
    spread.map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{AppId, Digest, EventTime, OrderType, Status, UpdateTime};

    #[test]
    fn an_order_in_several_partitions_or_topics_is_named_with_all_of_them() {
        let place = |topic: &str, partition| TopicPartition::new(topic, partition);
        let [one, other] = ["tt1", "tt2"].map(|app| Identity::new(AppId::new(app), "A1"));
        let places = [place("orders", 0), place("orders", 3), place("returns", 0)];
        assert_eq!(spread([(&one, &places[0]), (&other, &places[1])]), [""; 0]);
        let told = spread([(&one, &places[0]), (&other, &places[1]), (&one, &places[1]), (&one, &places[2])]);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("under tt1 are spread over orders/0, orders/3, returns/0: no order"), "{told:?}");
    }

    #[test]
    fn the_last_events_time_is_its_own() {
        let state = OrderState {
            order_type: OrderType::Normal,
            status: Status::Paid,
            document: "{}".into(),
            applied_offset: 14,
            event_ids: Vec::new(),
            sequence: None,
            occurred_at: EventTime(1_760_000_060_000),
            update_time: UpdateTime(9),
            digest: Digest([0; 32]),
            dead_letter: None,
        };
        let check = |occurred: Option<i64>, expect: &str| assert_eq!(last_event(&state, occurred), expect);
        check(Some(1_760_000_060_000), "offset 14, occurred at 2025-10-09T08:54:20.000Z");
        check(
            Some(1_760_000_000_000),
            "offset 14, occurred at 2025-10-09T08:53:20.000Z; the order's time is 2025-10-09T08:54:20.000Z, that of another event",
        );
        check(None, "offset 14, not read; the order's time is 2025-10-09T08:54:20.000Z");
    }
}
