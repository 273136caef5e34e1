//! Random logs under random settings: the library and the reference agree on every outcome and every push.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::events::{Record, log};
use super::worker::fold_records;
use crate::reference::{App, Command, Folded, Input, Settings, fold_log_with};

fn settings() -> impl Strategy<Value = Settings> {
    let app = |app_id: &'static str| {
        (prop::option::weighted(0.9, Just("ck".to_owned())), any::<bool>()).prop_map(
            move |(client_key, is_in_milliseconds)| App { app_id: app_id.to_owned(), client_key, is_in_milliseconds },
        )
    };
    (app("tt0"), app("tt1"), 0..10_u8, any::<bool>(), 0..4_i64).prop_map(
        |(first, second, apps, is_text_strict, removed)| Settings {
            apps: if apps == 0 { vec![first] } else { vec![first, second] },
            is_text_strict,
            // The last events of a log lie too far ahead.
            now_ms: 1_694_761_323_000 + 1_700,
            max_clock_skew_ms: 300,
            removed_stamp: if removed == 0 { 1_694_761_323 } else { 0 },
            partitions: 1,
        },
    )
}

fn reference(records: &[Record], commands: &[(usize, Command)], settings: &Settings) -> Folded {
    let inputs = records.iter().map(|(offset, value)| Input {
        offset: *offset,
        key: Some(b"k".as_slice()),
        value: value.as_deref(),
        header_bytes: 0,
    });
    fold_log_with(&inputs.collect::<Vec<_>>(), commands, settings)
}

/// Guards the generator: logs that never reach a rule prove nothing about it.
#[test]
fn the_logs_reach_every_outcome() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..500 {
        let records = log().new_tree(&mut runner).unwrap().current();
        let settings = settings().new_tree(&mut runner).unwrap().current();
        for outcome in reference(&records, &[], &settings).outcomes {
            *seen.entry(format!("{outcome:?}")).or_default() += 1;
        }
    }
    let expect = [
        "Advanced",
        "Unchanged",
        "Duplicate",
        "Stale",
        "Tombstone",
        "malformed_event",
        "unsupported_schema_version",
        "unknown_app",
        "time_in_future",
        "older_than_retained",
        "order_type_changed",
        "status_not_supported",
        "incomplete_order",
        "malformed_order",
        "field_over_limit",
        "document_too_large",
    ];
    for outcome in expect {
        assert!(seen.iter().any(|(name, count)| name.contains(outcome) && *count >= 3), "{outcome}: {seen:#?}");
    }
}

/// As drawn: behind which part of the log, which record behind it or which order, and a time.
type Draw = (usize, usize, u8, i64);

/// Commands as the worker executes them: about records that are behind them.
fn commands(draws: &[Draw], records: &[Record]) -> Vec<(usize, Command)> {
    let mut commands: Vec<_> = draws
        .iter()
        .map(|(behind, index, kind, time)| {
            let behind = 1 + behind % records.len();
            let command = match kind {
                0..3 => Command::Redrive(index % behind),
                3..6 => Command::Fold(index % behind),
                _ => Command::Resync {
                    app_id: format!("tt{}", index % 2),
                    order_id: format!("o{}", index % 4),
                    at_ms: 1_694_761_323_000 + time,
                },
            };
            (behind, command)
        })
        .collect();
    commands.sort_by_key(|(behind, _)| *behind);
    commands
}

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    prop::collection::vec((0..64_usize, 0..64_usize, 0..8_u8, 0..3_000_i64), 0..20)
}

/// Guards the generator, as above.
#[test]
fn the_commands_reach_every_outcome() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..500 {
        let records = log().new_tree(&mut runner).unwrap().current();
        let settings = settings().new_tree(&mut runner).unwrap().current();
        let commands = commands(&draws().new_tree(&mut runner).unwrap().current(), &records);
        for ((_, command), outcome) in commands.iter().zip(reference(&records, &commands, &settings).commands) {
            let kind = format!("{command:?}");
            *seen.entry(format!("{} {outcome:?}", kind.split(['(', ' ']).next().unwrap())).or_default() += 1;
        }
    }
    for command in ["Redrive", "Fold"] {
        for outcome in ["Advanced", "Unchanged", "Duplicate", "Stale", "DeadLetter"] {
            let is_there =
                seen.iter().any(|(name, count)| name.starts_with(&format!("{command} {outcome}")) && *count >= 3);
            assert!(is_there != (command == "Fold" && outcome == "Stale"), "{command} {outcome}: {seen:#?}");
        }
    }
    assert!(seen["Resync Advanced"] >= 3, "{seen:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_library_agrees_with_the_reference(
        records in log(), draws in draws(), settings in settings(),
    ) {
        // Each log without commands, too.
        for commands in [Vec::new(), commands(&draws, &records)] {
        let expect = reference(&records, &commands, &settings);
        let got = fold_records(&records, &commands, &settings);
        prop_assert_eq!(&got.commands, &expect.commands, "{:?}", &commands);
        for (at, (_, value)) in records.iter().enumerate() {
            let text = String::from_utf8_lossy(value.as_deref().unwrap_or_default());
            prop_assert_eq!(&got.outcomes[at], &expect.outcomes[at], "record {}: {}", at, text);
        }
        prop_assert_eq!(got.pushes, expect.pushes, "{:?}", &commands);
        }
    }
}
