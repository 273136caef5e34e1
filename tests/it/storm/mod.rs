//! The whole worker as users run it, on a real Kafka, killed at random moments: what the sandbox saw is compared with
//! a second reading of the contract.

mod oracle;
mod stage;

use std::time::Duration;

use crate::support::real_kafka::RealKafka;
use stage::{Stage, Storm};

/// 50,000 records, 12 partitions, 20 % mixed faults, three `kill -9`.
#[test]
#[expect(clippy::disallowed_methods, reason = "a storm is run again by its seed")]
fn real_kafka_storm_of_kills_and_faults() {
    let Some(kafka) = RealKafka::shared() else { return };
    let seed = std::env::var("STORM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let storm = Storm { seed, records: 50_000, partitions: 12, kills: 3, faults: "mixed:20%" };
    println!("storm seed {seed} (STORM_SEED={seed} runs it again)");
    let stage = Stage::set(kafka, &storm);
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut worker = stage.spawn();
    for kill in 0..storm.kills {
        // Somewhere in the next third of the work; the moment itself is the scheduler's.
        let share = (f64::from(u32::try_from(kill).unwrap()) + 0.2 + 0.7 * rng.f64()) / 3.5;
        stage.wait_for_applied(&mut worker, share);
        worker.kill().unwrap();
        worker.wait().unwrap();
        worker = stage.spawn();
    }
    let status = stage.wait_for_end(&mut worker, Duration::from_secs(400));
    assert!(status.success(), "the worker ended with {status}: see {}", stage.log_file().display());
    oracle::check(kafka, &stage);
}
