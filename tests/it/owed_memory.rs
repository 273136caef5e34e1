//! What a start with a million owed deliveries takes: memory and time, in a process of its own.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use order_sync::record::TopicPartition;
use order_sync::sync::ports::{Assigned, Epoch, Input, PartitionCut, StateReader as _, StateWriter as _};
use order_sync::sync::rules::Now;
use order_sync::sync::{IntakeBudget, Owed};
use order_sync::telemetry::Meters;

use crate::engine::fakes::Edge;
use crate::engine::world::{Scene, WALL_MS, engine};
use crate::store_contract::{cut, key, open};

const FOLDER: &str = "ORDER_SYNC_TEST_OWED_FOLDER";
const OWED: i64 = 1_000_000;
const PEAK_MIB_MAX: u64 = 4000;

fn source() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

fn fill(path: &Path, orders: i64) {
    let mut store = open(path);
    let request = |n: i64| format!(r#"{{"n":{n},"pad":"{}"}}"#, "x".repeat(900));
    for first in (0..OWED).step_by(10_000) {
        let owed = |n: i64| Owed { request: request(n).into(), offset: n, timestamp_ms: Some(WALL_MS) };
        let owed = (first..first + 10_000).map(|n| (key(&format!("M2026{:012}", n % orders), n), owed(n))).collect();
        store.commit(&[PartitionCut { owed, ..cut(&source(), first + 10_000) }]).unwrap();
    }
}

/// Resident memory of this process, now or at its height, in MiB.
fn memory_mib(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let found = status.lines().find_map(|l| l.strip_prefix(line)).unwrap();
    found.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the parent tells this process its part")]
fn starts_with_what_is_owed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let began = Instant::now();
    let store = open(Path::new(&folder));
    let (opened, opened_mib) = (began.elapsed(), memory_mib("VmHWM"));
    let budget = Arc::new(IntakeBudget::new(1 << 20));
    let mut engine =
        engine(&Scene::default(), Arc::new(store.clone()), Edge::default(), budget, Meters::default(), Arc::default());
    let (reply, answer) = sync_channel(1);
    let partitions = vec![Assigned { source: source(), partitions_of_topic: 1, partitions_of_group: 1 }];
    engine
        .handle(Input::Assigned { epoch: Epoch(1), partitions, reply }, Now { mono: Duration::ZERO, wall_ms: WALL_MS });
    answer.try_recv().unwrap().unwrap();
    println!(
        "\nopened in {opened:.1?} at {opened_mib} MiB, assigned after {:.1?}: {} MiB, at most {} MiB",
        began.elapsed(),
        memory_mib("VmRSS"),
        memory_mib("VmHWM")
    );
    assert!(store.owed(&source(), &key("M2026000000000007", 7)).unwrap().is_some());
}

#[test]
#[ignore = "a measurement of a minute or two; docs/performance.md has its figures"]
fn a_million_owed_deliveries_take_little_memory() {
    for orders in [100_000, OWED] {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), orders);
        let run = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "owed_memory::starts_with_what_is_owed", "--nocapture"])
            .env(FOLDER, folder.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{told}{}", String::from_utf8_lossy(&run.stderr));
        let line = told.lines().find(|line| line.starts_with("opened in")).unwrap();
        println!("{OWED} owed by {orders} orders: {line}");
        let peak = line.rsplit("at most ").next().unwrap().trim_end_matches(" MiB").parse::<u64>().unwrap();
        assert!(peak < PEAK_MIB_MAX, "{line}");
    }
}
