//! The whole worker as users run it, on a real Kafka, killed at random moments: what the sandbox saw, and what Kafka
//! holds, is compared with a second reading of the contract.

#![expect(clippy::print_stdout, reason = "a storm tells its seed, its progress and its figures")]

mod acts;
mod changelog;
mod fleet;
mod held;
mod history;
mod history_tests;
mod log;
mod oracle;
mod session;
mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use order_sync::app::worker::wall_ms;
use order_sync::cli::exit::Exit;

use crate::support::real_kafka::RealKafka;
use acts::{Act, script};
use fleet::Fleet;
use held::{SLOW_COMMITS, Then};
use history::Window;
use stage::{Commit, Stage, Storm};

/// Says the seed, so that it can be given again.
#[expect(clippy::disallowed_methods, reason = "a storm is run again by its seed")]
fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("storm seed {seed} (SEED={seed} runs it again)");
    seed
}

/// 50,000 records, 12 partitions, 20 % mixed faults, three `kill -9`, without transactions.
#[test]
fn real_kafka_storm_of_kills_and_faults() {
    let Some(kafka) = RealKafka::shared() else { return };
    let seed = seed();
    let kills = 3;
    let storm = Storm {
        seed,
        records: 50_000,
        partitions: 12,
        faults: "mixed:20%",
        poison: 0,
        pace: 1_000_000,
        commit: Commit::Local,
    };
    let stage = Stage::set(kafka, &storm);
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut worker = stage.spawn(0, &["--until-caught-up"]);
    let mut windows = Vec::new();
    for kill in 0..kills {
        // Somewhere in the next third of the work; the moment itself is the scheduler's.
        let share = (f64::from(kill) + 0.2 + 0.7 * rng.f64()) / 3.5;
        stage.wait_for_applied(std::slice::from_mut(&mut worker), share);
        let from_ms = wall_ms();
        worker.kill().unwrap();
        worker.wait().unwrap();
        // What it had sent is with the sandbox before the next one starts: each push is of one owner, beyond doubt.
        stage.wait_for_silence();
        windows.push(Window { from_ms, until_ms: wall_ms() });
        println!("killed at {} applied", stage.applied());
        worker = stage.spawn(0, &["--until-caught-up"]);
    }
    let status = stage.wait_for_end(&mut worker, Duration::from_secs(400));
    assert!(status.success(), "the worker ended with {status}: see {}", stage.log_file().display());
    oracle::check(kafka, &stage, &windows);
}

/// The short version of the storm below: two workers, one broker, each kind of trouble once.
#[test]
fn real_kafka_storm_of_two_workers_with_transactions() {
    let Some(kafka) = RealKafka::shared() else { return };
    let outage = Act::Outage(Duration::from_secs(8));
    let acts = [Act::Kill, Act::KillOntoEmpty, Act::Stop, Act::Terminate, Act::TerminateOntoEmpty, outage];
    ride_out(kafka, &storm(20_000, 600), 2, &acts);
}

/// `make storm`: three brokers, three workers, 100,000 records, and everything that can happen to a fleet. Minutes.
#[test]
#[ignore = "minutes; `make storm`"]
fn long_storm() {
    let Some(kafka) = RealKafka::three() else { return };
    let outage = Act::Outage(Duration::from_secs(30));
    let often = [Act::Kill, Act::KillOntoEmpty, Act::Stop, Act::Terminate, Act::TerminateOntoEmpty];
    let acts = [&often[..], &often, &[Act::Kill, Act::Stop, Act::Broker, outage]].concat();
    ride_out(kafka, &storm(100_000, 250), 3, &acts);
}

/// A worker is killed between the records of a commit and its end. The other one waits until the broker has ended the
/// transaction, then has the partition.
#[test]
fn real_kafka_a_takeover_waits_for_the_transaction_that_a_killed_worker_left_open() {
    take_over(Then::Dies);
}

/// A worker stands still at that place for longer than its session, and goes on when the other one waits: whether its
/// transaction is committed or aborted, the other one knows.
#[test]
fn real_kafka_a_takeover_waits_for_the_transaction_that_a_stopped_worker_ends_late() {
    take_over(Then::GoesOn);
}

fn take_over(then: Then) {
    let Some(kafka) = RealKafka::shared() else { return };
    let looked = held::looked(kafka);
    let storm = Storm { partitions: 4, poison: 0, ..storm(6_000, 100) };
    let stage = Stage::set(kafka, &storm);
    let mut fleet = Fleet::start(kafka, &stage, 0, storm.seed);
    fleet.grow(&SLOW_COMMITS);
    stage.wait_for_applied(&mut fleet.workers, 0.05);
    fleet.grow(&[]);
    fleet.take_over_from_one_in_a_transaction(then, looked);
    oracle::check(kafka, &stage, &fleet.end());
}

fn storm(records: usize, pace: u32) -> Storm {
    let commit = Commit::Transactions;
    Storm { seed: seed(), records, partitions: 12, faults: "mixed:20%", poison: 4, pace, commit }
}

/// The time between two accounts beside a fleet, and how many in a row may not come about.
const AGAIN: Duration = Duration::from_secs(5);
const UNREAD_MAX: usize = 12;

/// Accounts for everything again and again until the fleet has ended; says how often.
fn account_beside(stage: &Stage, ended: Arc<AtomicBool>) -> std::thread::JoinHandle<usize> {
    let mut verify = stage.tool(&["verify"]);
    std::thread::spawn(move || {
        let (mut accounts, mut unread) = (0, 0);
        while !ended.load(Ordering::Relaxed) {
            let told = verify.output().unwrap();
            // Before the first commit there is no changelog to read; a broker that starts anew cuts a reading short. The tool
            // says so, and may be asked again.
            let is_unread = told.status.code() == Some(i32::from(Exit::Kafka.code()));
            unread = if is_unread { unread + 1 } else { 0 };
            assert!(told.status.success() || is_unread && unread <= UNREAD_MAX, "{told:?}");
            accounts += usize::from(told.status.success());
            std::thread::park_timeout(AGAIN);
        }
        accounts
    })
}

/// Lets a fleet work through a log while it is maltreated, and looks at everything that came of it.
fn ride_out(kafka: &RealKafka, storm: &Storm, workers: usize, acts: &[Act]) {
    let stage = Stage::set(kafka, storm);
    let mut fleet = Fleet::start(kafka, &stage, workers, storm.seed);
    let beside = account_beside(&stage, fleet.ended());
    for (share, act) in script(storm.seed, acts) {
        fleet.play(share, act);
    }
    let windows = fleet.end();
    let accounts = beside.join().expect("verify beside the fleet");
    println!("verify beside the fleet   {accounts:>8} times, and everything was accounted for");
    oracle::check(kafka, &stage, &windows);
}
