//! What the meters promise, read from what Prometheus would read.

use std::collections::BTreeSet;
use std::thread;

use super::*;
use crate::record::{NextOffset, RecordOffset};
use crate::telemetry::event::{
    AppSuspended, CircuitClosed, CircuitHalfOpened, CircuitOpened, CommandExecuted, CommitFailed, DeadLettered,
    IntakePaused, IntakeResumed, LettersLost, PartitionRevoked, RejectStorm, TokenAway, TokenFetched, TokenRefused,
    TokenShared,
};
use crate::telemetry::metric::{Kind, TABLE};

const MS: Duration = Duration::from_millis(1);

/// Counts everything once.
fn exercise(meters: &Meters) {
    let app_id = &AppId::new("tt1");
    let source = &TopicPartition::new("orders", 3);
    for outcome in Outcome::ALL {
        meters.records("orders", outcome, 2);
    }
    meters.key_mismatch("orders");
    meters.attempt(app_id, "accepted", 7 * MS);
    meters.in_flight(5);
    meters.owed(app_id, 6);
    meters.lag(source, Some(9));
    meters.unusual_transition();
    meters.text_cut("title");
    meters.long_rules(3);
    LettersLost { topic: "dead", partition: 0, known: 7, written: 0 }.emit(meters);
    meters.accepted(70 * MS);
    meters.oldest_undelivered(1500 * MS);
    meters.buffered_bytes(4096);
    meters.store().open_letters(3);
    meters.committed(4 * MS, 12);
    CommitFailed { error: "no disk", took: MS, in_a_row: 1 }.emit(meters);
    let offset = RecordOffset::new(4);
    DeadLettered { source, offset, reason: "missing_key", order_id: None, message: "no key" }.emit(meters);
    TokenFetched { app_id, generation: 1, lifetime: MS }.emit(meters);
    TokenRefused { app_id, verdict: "retry", message: "no answer" }.emit(meters);
    TokenShared { app_id, generation: 2, lifetime: MS }.emit(meters);
    let (command, outcome, who, detail) = ("pause", "done", "alice", "paused");
    CommandExecuted { source, id: "c1", command, outcome, who, detail }.emit(meters);
    meters.paused(app_id, 1);
    AppSuspended { app_id, rule: "bad_secret", err_code: Some(40015) }.emit(meters);
    IntakePaused { limit: IntakeLimit::Bytes, held: 2, max: 1 }.emit(meters);
}

fn check(meters: &Meters, line: &str) {
    let text = meters.render();
    assert!(text.lines().any(|l| l == line), "no line {line:?} in\n{text}");
}

#[test]
fn every_series_stands_in_the_text() {
    let meters = Meters::new();
    exercise(&meters);
    check(&meters, r#"order_sync_records_total{topic="orders",outcome="dead_letter"} 2"#);
    check(&meters, r#"order_sync_records_total{topic="orders",outcome="tombstone"} 2"#);
    check(&meters, r#"order_sync_push_attempts_total{app_id="tt1",verdict="accepted"} 1"#);
    check(&meters, r#"order_sync_push_seconds_bucket{le="0.005"} 0"#);
    check(&meters, r#"order_sync_push_seconds_bucket{le="0.01"} 1"#);
    check(&meters, r#"order_sync_event_to_accepted_seconds_bucket{le="0.1"} 1"#);
    check(&meters, r#"order_sync_dead_letters_total{reason="missing_key"} 1"#);
    check(&meters, "order_sync_in_flight 5");
    check(&meters, r#"order_sync_owed_deliveries{app_id="tt1"} 6"#);
    check(&meters, r#"order_sync_consumer_lag{topic="orders",partition="3"} 9"#);
    check(&meters, "order_sync_unusual_transitions_total 1");
    check(&meters, r#"order_sync_text_cut_total{field="title"} 1"#);
    check(&meters, "order_sync_long_rules_total 3");
    check(&meters, "order_sync_dead_letter_topic_lost_total 1");
    check(&meters, r#"order_sync_key_mismatch_total{topic="orders"} 1"#);
    check(&meters, "order_sync_oldest_undelivered_seconds 1.5");
    check(&meters, "order_sync_buffered_bytes 4096");
    check(&meters, "order_sync_dead_letters_open 3");
    check(&meters, r#"order_sync_commits_total{result="ok"} 1"#);
    check(&meters, r#"order_sync_commits_total{result="failed"} 1"#);
    check(&meters, "order_sync_committed_records_total 12");
    check(&meters, r#"order_sync_token_fetches_total{app_id="tt1",result="refused"} 1"#);
    check(&meters, r#"order_sync_token_fetches_total{app_id="tt1",result="shared"} 1"#);
    check(&meters, r#"order_sync_circuit_state{app_id="tt1"} 3"#);
    check(&meters, r#"order_sync_intake_paused{reason="bytes"} 1"#);
    check(&meters, r#"order_sync_intake_paused{reason="owed"} 0"#);

    let app_id = &AppId::new("tt1");
    CircuitOpened { app_id, owed: 7 }.emit(&meters);
    TokenAway { app_id, owed: 7, why: "no answer" }.emit(&meters);
    check(&meters, r#"order_sync_circuit_state{app_id="tt1"} 2"#);
    CircuitHalfOpened { app_id, owed: 7 }.emit(&meters);
    check(&meters, r#"order_sync_circuit_state{app_id="tt1"} 1"#);
    RejectStorm { app_id, orders: 20, err_code: Some(40003) }.emit(&meters);
    check(&meters, r#"order_sync_circuit_state{app_id="tt1"} 3"#);
    CircuitClosed { app_id }.emit(&meters);
    IntakeResumed { limit: IntakeLimit::Bytes }.emit(&meters);
    check(&meters, r#"order_sync_circuit_state{app_id="tt1"} 0"#);
    check(&meters, r#"order_sync_intake_paused{reason="bytes"} 0"#);
}

#[test]
fn what_is_served_is_what_is_documented() {
    let meters = Meters::new();
    exercise(&meters);
    let text = meters.render();
    let served: BTreeSet<(&str, &str)> =
        text.lines().filter_map(|l| l.strip_prefix("# TYPE ")).filter_map(|l| l.split_once(' ')).collect();
    let documented: BTreeSet<(&str, &str)> = TABLE
        .iter()
        .map(|m| {
            let kind = match m.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            (m.name, kind)
        })
        .collect();
    assert_eq!(served, documented);
    for metric in TABLE {
        assert!(text.contains(&format!("# HELP {} {}", metric.name, metric.meaning)), "{}", metric.name);
    }
}

#[test]
fn a_partition_that_is_taken_away_takes_its_lag_with_it() {
    let meters = Meters::new();
    let (kept, taken) = (TopicPartition::new("orders", 0), TopicPartition::new("orders", 1));
    meters.lag(&kept, Some(1));
    meters.lag(&taken, Some(2));
    let position = Some(NextOffset::new(7));
    let (dropped_records, abandoned_attempts, dropped_results, dropped_commands) = (0, 0, 0, 0);
    PartitionRevoked {
        source: &taken,
        position,
        dropped_records,
        abandoned_attempts,
        dropped_results,
        dropped_commands,
    }
    .emit(&meters);
    let text = meters.render();
    assert!(text.contains(r#"order_sync_consumer_lag{topic="orders",partition="0"} 1"#), "{text}");
    assert!(!text.contains(r#"partition="1""#), "{text}");
    meters.lag(&kept, None);
    assert!(!meters.render().contains("order_sync_consumer_lag"));
}

#[test]
fn two_meters_count_apart_and_clones_together() {
    let (one, other) = (Meters::new(), Meters::new());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let meters = one.clone();
            thread::spawn(move || (0..1000).for_each(|_| meters.records("t", Outcome::Stale, 1)))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    check(&one, r#"order_sync_records_total{topic="t",outcome="stale"} 4000"#);
    assert!(!other.render().contains("stale"));
}

#[test]
fn samples_are_all_counted_and_never_pile_up() {
    let meters = Meters::new();
    let samples = 3 * SAMPLES_BETWEEN_FOLDS + 5;
    for _ in 0..samples {
        meters.accepted(MS);
    }
    check(&meters, &format!("order_sync_event_to_accepted_seconds_count {samples}"));
}
