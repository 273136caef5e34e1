//! The whole way: records in Kafka, the worker as users run it, pushes at a strict Douyin; and a bare reqwest loop with
//! the same bodies, ready to send, against the same sandbox, so that a figure has something to stand beside.
//!
//! Worker, sandbox, bare loop and broker are processes of their own, so that each one's CPU time and memory can be told.
//! With `--kafka embedded` the broker lives in this process.
//!
//! `cargo bench --bench end_to_end -- [--records N] [--orders N] [--latency 0ms|50ms] [--in-flight C] [--rounds R]
//! [--kafka real|embedded] [--set section.key=value,…]`; without latency and in-flight it measures the three setups that
//! docs/performance.md tells of; `--measure takeover|restore|steady|retention [--orders N] [--seconds S]` measures workers
//! that hold many orders (`fleet`). `KAFKA_BROKERS` names a broker that is there already.
#![expect(clippy::print_stdout, reason = "its figures are its output")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run should say so at once")]

mod bare;
mod broker;
mod figures;
mod fleet;
mod log;
mod options;
mod platform;
mod process;
mod retention;
mod worker;

use broker::Broker;
use figures::{Figures, Row};
use log::Log;
use options::{Options, Setup};
use platform::Platform;
use process::watch;

fn main() {
    let options = Options::read();
    if let Some(bodies) = options.text("--bare-loop") {
        return bare::run(bodies, &options);
    }
    let broker = Broker::start(options.text("--kafka"));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{cores} cores, {}, {} partitions", broker.kind(), broker::PARTITIONS);
    if let Some(what) = options.text("--measure") {
        return fleet::measure(what, &options, &broker);
    }
    Row::head();
    for setup in options.setups() {
        let row = measure(&setup, &options, &broker);
        row.print(&setup);
    }
}

/// Measures one setup: in each round the bare loop, then the worker, on one sandbox that forgets in between. The best
/// of the rounds counts, as other work on the machine only takes away.
fn measure(setup: &Setup, options: &Options, broker: &Broker) -> Row {
    let home = tempfile::tempdir().unwrap();
    let records = setup.records.min(broker.room());
    let mut log = Log::write(setup.orders, records);
    let topic = broker.topic(setup.latency.as_str(), setup.in_flight);
    log.produce(broker.brokers(), &topic);
    let bodies = home.path().join("bodies");
    log.write_bodies(&bodies);
    let platform = Platform::start(&setup.latency, home.path());
    let mut row = Row { records, value_bytes: log.value_bytes(), body_bytes: log.body_bytes, bare: None, worker: None };
    let pushes = u64::try_from(records).unwrap();
    for round in 0..options.number("--rounds").unwrap_or(1) {
        let bare = watch(bare::spawn(&bodies, &platform, setup.in_flight), &platform, pushes);
        Figures::better(&mut row.bare, bare);
        platform.forget();
        let place = home.path().join(format!("round-{round}"));
        let child = worker::spawn(&place, broker, &topic, &platform, setup, options.text("--set"));
        Figures::better(&mut row.worker, watch(child, &platform, pushes));
        platform.forget();
    }
    row
}
