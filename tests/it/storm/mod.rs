//! The whole worker as users run it, on a real Kafka, killed at random moments: what the sandbox saw is compared with
//! a second reading of the contract.

mod oracle;
mod stage;

use std::time::Duration;

use crate::support::real_kafka::RealKafka;
use stage::{Commit, Stage, Storm};

/// 50,000 records, 12 partitions, 20 % mixed faults, three `kill -9`.
#[test]
#[expect(clippy::disallowed_methods, reason = "a storm is run again by its seed")]
fn real_kafka_storm_of_kills_and_faults() {
    let Some(kafka) = RealKafka::shared() else { return };
    let seed = std::env::var("STORM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let storm = Storm { seed, records: 50_000, partitions: 12, kills: 3, faults: "mixed:20%", commit: Commit::Local };
    println!("storm seed {seed} (STORM_SEED={seed} runs it again)");
    let stage = Stage::set(kafka, &storm);
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut worker = stage.spawn(0, &["--until-caught-up"]);
    for kill in 0..storm.kills {
        // Somewhere in the next third of the work; the moment itself is the scheduler's.
        let share = (f64::from(u32::try_from(kill).unwrap()) + 0.2 + 0.7 * rng.f64()) / 3.5;
        stage.wait_for_applied(&mut worker, share);
        worker.kill().unwrap();
        worker.wait().unwrap();
        worker = stage.spawn(0, &["--until-caught-up"]);
    }
    let status = stage.wait_for_end(&mut worker, Duration::from_secs(400));
    assert!(status.success(), "the worker ended with {status}: see {}", stage.log_file().display());
    oracle::check(kafka, &stage);
}

/// Two workers share 12 partitions; each is killed in turn and comes back, once with its store and once without; then one
/// is stopped past its session and goes on as if nothing had been.
#[test]
#[expect(clippy::disallowed_methods, reason = "a storm is run again by its seed")]
fn real_kafka_storm_of_two_workers_with_transactions() {
    let Some(kafka) = RealKafka::shared() else { return };
    let seed = std::env::var("STORM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let storm =
        Storm { seed, records: 20_000, partitions: 12, kills: 4, faults: "mixed:20%", commit: Commit::Transactions };
    println!("storm seed {seed} (STORM_SEED={seed} runs it again)");
    let stage = Stage::set(kafka, &storm);
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut workers = [stage.spawn(0, &[]), stage.spawn(1, &[])];
    let mut share = |at: usize| (f64::from(u32::try_from(at).unwrap()) + 0.2 + 0.7 * rng.f64()) / 5.5;
    for kill in 0..storm.kills {
        let killed = kill % 2;
        stage.wait_for_applied_by(&mut workers, share(kill));
        workers[killed].kill().unwrap();
        workers[killed].wait().unwrap();
        if kill >= 2 {
            std::fs::remove_dir_all(stage.store(killed)).unwrap();
        }
        workers[killed] = stage.spawn(killed, &[]);
    }
    stage.wait_for_applied_by(&mut workers, share(storm.kills));
    Stage::signal(&workers[0], "-STOP");
    // Longer than the session, and than a transaction may stay open.
    std::thread::park_timeout(Duration::from_secs(11));
    Stage::signal(&workers[0], "-CONT");
    stage.wait_for_applied_by(&mut workers, 1.0);
    for worker in &mut workers {
        Stage::signal(worker, "-TERM");
        let status = stage.wait_for_end(worker, Duration::from_secs(30));
        assert!(status.success(), "a worker ended with {status}:\n{}", stage.last_words());
    }
    // Whoever comes last has all partitions, and ends when nothing is left to do.
    let status = stage.wait_for_end(&mut stage.spawn(2, &["--until-caught-up"]), Duration::from_secs(100));
    assert!(status.success(), "the last worker ended with {status}:\n{}", stage.last_words());
    oracle::check(kafka, &stage);
}
