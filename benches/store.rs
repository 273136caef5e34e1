//! The price of a commit: records per second and CPU time per record, with few and with many orders in the store.
//!
//! Each cut advances 1,000 orders, 1 KB of state and 1 KB of request each, and settles what the cut before it owed.
//!
//! `cargo bench --bench store -- [--owed N] [--orders N] [--cuts N] [--partitions N] [--spread fresh|near|random] [--cache-mib N]`
#![expect(clippy::print_stdout, reason = "its figures are its output")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot run should say so at once")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use order_sync::config;
use order_sync::order::{AppId, Digest, EventTime, Identity, OrderState, OrderType, Sequence, Status, UpdateTime};
use order_sync::record::{NextOffset, TopicPartition};
use order_sync::store::{Owner, SledStore};
use order_sync::sync::ports::{PartitionCut, Position, StateReader, StateWriter};
use order_sync::sync::{Owed, OwedKey};

const PER_CUT: u64 = 1000;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let cores = std::thread::available_parallelism().unwrap();
    println!("{cores} cores; {PER_CUT} records a commit, 1 KB of state and 1 KB of request each");
    if let Some(owed) = option("--owed") {
        return run_owed(owed.parse().unwrap());
    }
    if let Some(orders) = option("--orders") {
        return run(orders.parse().unwrap(), option("--spread").as_deref().unwrap_or("near"));
    }
    run(10_000, "random");
    run(200_000, "fresh");
    run(200_000, "near");
    run(200_000, "random");
}

fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|arg| arg != name).nth(1)
}

fn number(name: &str, default: u64) -> u64 {
    option(name).map_or(default, |text| text.parse().unwrap())
}

/// A platform that is away: `owed` deliveries pile up, the worker starts again, and all of them are settled.
fn run_owed(owed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path(), owed, 1);
    let mut all = Vec::new();
    for first in (0..owed).step_by(1000) {
        bench.commit((first..first + 1000).collect(), Debts::Owe);
        all.append(&mut bench.owed[0]);
    }
    println!("{owed} owed: {} MiB on disk, {} MiB of memory", folder_bytes(folder.path()) >> 20, memory_mib());
    drop(bench);
    let start = Instant::now();
    let mut bench = Bench::open(folder.path(), owed, 1);
    let (opened, source) = (start.elapsed().as_secs_f64(), bench.sources[0].clone());
    let mut found = 0;
    bench.store.scan_owed(&source, &mut |_, _| found += 1).unwrap();
    let scanned = start.elapsed().as_secs_f64() - opened;
    assert_eq!(found, owed);
    println!("  opened in {opened:.2} s, scanned in {scanned:.2} s; {} MiB of memory then", memory_mib());
    let (start, cpu) = (Instant::now(), cpu_seconds());
    for keys in all.chunks(1000) {
        assert!(keys.iter().all(|key| bench.store.owed(&source, key).unwrap().is_some()));
        bench.owed[0] = keys.to_vec();
        bench.commit(Vec::new(), Debts::None);
    }
    let (each, cpu_each) = (1e6 / count(owed), (cpu_seconds() - cpu) * 1e6 / count(owed));
    println!("  read and settled in {:.1} us, {cpu_each:.1} us of CPU each", start.elapsed().as_secs_f64() * each);
}

fn run(orders: u64, spread: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (partitions, cuts) = (number("--partitions", 1), number("--cuts", 100));
    let mut bench = Bench::open(folder.path(), orders, partitions);
    let (filling, filling_cpu) = (Instant::now(), cpu_seconds());
    for first in (0..orders).step_by(10_000) {
        bench.commit((first..orders.min(first + 10_000)).collect(), Debts::None);
    }
    let filled = (filling.elapsed().as_secs_f64(), (cpu_seconds() - filling_cpu) * 1e6 / count(orders));
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let mut waits: Vec<f64> = Vec::new();
    for n in 0..cuts {
        let picked = bench.pick(n, orders, spread);
        let begin = Instant::now();
        bench.commit(picked, Debts::Owe);
        waits.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let records = count(cuts * PER_CUT);
    waits.sort_by(f64::total_cmp);
    println!(
        "{orders} orders, {partitions} partitions, {spread}: {:.0} records/s, {:.1} us of CPU per record, commit p50 \
         {:.1} ms p99 {:.1} ms; {} MiB on disk, {} MiB of memory; filled in {:.1} s at {:.1} us per order",
        records / start.elapsed().as_secs_f64(),
        (cpu_seconds() - cpu) * 1e6 / records,
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100],
        folder_bytes(folder.path()) >> 20,
        memory_mib(),
        filled.0,
        filled.1,
    );
    bench.read_back(orders);
    drop(bench);
    let start = Instant::now();
    let bench = Bench::open(folder.path(), orders, partitions);
    let mut owed = 0;
    bench.sources.iter().for_each(|source| bench.store.scan_owed(source, &mut |_, _| owed += 1).unwrap());
    println!("  opened again in {:.2} s, {owed} owed", start.elapsed().as_secs_f64());
}

#[derive(Clone, Copy, PartialEq)]
enum Debts {
    None,
    Owe,
}

struct Bench {
    store: SledStore,
    sources: Vec<TopicPartition>,
    rng: fastrand::Rng,
    stamp: i64,
    owed: Vec<Vec<OwedKey>>,
    pad: String,
}

impl Bench {
    fn open(path: &Path, orders: u64, partitions: u64) -> Self {
        let config =
            config::Store { path: path.to_owned(), cache_bytes: number("--cache-mib", 32) << 20, retain: None };
        let owner = Owner { group_id: "bench".to_owned(), cluster_id: None, changelog: None, now_ms: 0 };
        let sources: Vec<_> =
            (0..partitions).map(|n| TopicPartition::new("orders", i32::try_from(n).unwrap())).collect();
        Self {
            store: SledStore::open(&config, &owner).unwrap(),
            owed: vec![Vec::new(); sources.len()],
            sources,
            rng: fastrand::Rng::with_seed(orders),
            stamp: 0,
            pad: (0..700).map(|n| char::from(b'a' + u8::try_from(n % 26).unwrap())).collect(),
        }
    }

    /// Which orders the n-th cut advances: new ones, those of a window that moves slowly, or any.
    fn pick(&mut self, n: u64, orders: u64, spread: &str) -> Vec<u64> {
        match spread {
            "fresh" => (0..PER_CUT).map(|k| orders + n * PER_CUT + k).collect(),
            "near" => (0..PER_CUT).map(|_| n * PER_CUT / 4 + self.rng.u64(0..8000.min(orders))).collect(),
            _ => (0..PER_CUT).map(|_| self.rng.u64(0..orders)).collect(),
        }
    }

    fn commit(&mut self, mut picked: Vec<u64>, debts: Debts) {
        picked.sort_unstable();
        picked.dedup();
        let mut cuts = Vec::new();
        for (at, source) in self.sources.iter().enumerate() {
            let mut cut = PartitionCut {
                source: source.clone(),
                states: Vec::new(),
                owed: Vec::new(),
                settled: std::mem::take(&mut self.owed[at]),
                letters: Vec::new(),
                removed: Vec::new(),
                position: Position { commit_number: 1, ..Position::before(NextOffset::new(self.stamp)) },
            };
            for n in picked.iter().filter(|n| usize::try_from(**n).unwrap() % self.sources.len() == at) {
                self.stamp += 1;
                let key = OwedKey { identity: identity(*n), stamp: UpdateTime(self.stamp) };
                cut.states.push((key.identity.clone(), state(self.stamp, &self.pad)));
                if debts == Debts::Owe {
                    self.owed[at].push(key.clone());
                    let request = format!(r#"{{"n":{},"pad":"{}{}"}}"#, self.stamp, self.pad, &self.pad[..230]);
                    cut.owed.push((key, Owed { request: request.into(), offset: self.stamp, timestamp_ms: Some(1) }));
                }
            }
            cuts.push(cut);
        }
        self.store.commit(&cuts).unwrap();
    }

    /// What the fold asks of the store.
    fn read_back(&mut self, orders: u64) {
        let (start, cpu) = (Instant::now(), cpu_seconds());
        for _ in 0..20_000 {
            let n = self.rng.u64(0..orders);
            let source = &self.sources[usize::try_from(n).unwrap() % self.sources.len()];
            assert!(self.store.state(source, &identity(n)).unwrap().is_some());
        }
        let each = 1e6 / 20_000.0;
        println!(
            "  a state of any order read in {:.1} us, {:.1} us of CPU",
            start.elapsed().as_secs_f64() * each,
            (cpu_seconds() - cpu) * each
        );
    }
}

fn identity(n: u64) -> Identity {
    Identity::new(AppId::new("tt0123456789abcdef"), format!("M2026{n:012}"))
}

fn state(stamp: i64, pad: &str) -> Arc<OrderState> {
    Arc::new(OrderState {
        order_type: OrderType::Normal,
        status: Status::Paid,
        document: format!(r#"{{"total_price":{stamp},"note":"{pad}"}}"#).into(),
        applied_offset: stamp,
        event_ids: vec![format!("evt-{stamp:032}").into()],
        sequence: Some(Sequence(stamp)),
        occurred_at: EventTime(1_700_000_000_000 + stamp),
        update_time: UpdateTime(stamp),
        digest: Digest([7; 32]),
        dead_letter: None,
    })
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn count(n: u64) -> f64 {
    n as f64
}

/// User and system time of this process, all threads, in seconds; 0 where the system does not tell it this way.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn memory_mib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4 / 1024
}

fn folder_bytes(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).unwrap().map(Result::unwrap);
    entries.map(|e| if e.path().is_dir() { folder_bytes(&e.path()) } else { e.metadata().unwrap().len() }).sum()
}
