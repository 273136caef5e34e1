//! The real engine in made-up worlds: intake, fold, overlay, commit cycle, transactions, restore, lanes, on virtual time,
//! over brokers and a platform that fail in every way that a seed can think of. docs/testing.md says how to run it.
//!
//! `SEEDS=n` chooses how many worlds, `SEED=n` one of them, with its diary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests stop where the world is not as they made it, and a planted bug is asked for only where it bites"
)]

#[path = "simulate/answers.rs"]
mod answers;
#[path = "simulate/audit.rs"]
mod audit;
#[path = "simulate/chance.rs"]
mod chance;
#[path = "simulate/commands.rs"]
mod commands;
#[path = "simulate/edge.rs"]
mod edge;
#[path = "simulate/group.rs"]
mod group;
#[path = "simulate/hearing.rs"]
mod hearing;
#[path = "simulate/kafka.rs"]
mod kafka;
#[path = "simulate/life.rs"]
mod life;
#[path = "simulate/orders.rs"]
mod orders;
#[path = "simulate/plant.rs"]
mod plant;
#[path = "simulate/platform.rs"]
mod platform;
#[path = "simulate/ports.rs"]
mod ports;
#[path = "simulate/producer.rs"]
mod producer;
#[path = "simulate/script.rs"]
mod script;
#[path = "simulate/settings.rs"]
mod settings;
#[path = "simulate/statuses.rs"]
mod statuses;
#[path = "simulate/turnstile.rs"]
mod turnstile;
#[path = "simulate/world.rs"]
mod world;

use std::time::Instant;

use plant::Plant;
use world::World;

/// Worlds that are looked at where nobody says how many.
const SEEDS: u64 = 300;
/// Worlds in which a planted bug must be found, where nobody says how many.
const SEEDS_FOR_PLANT: u64 = 1000;

#[expect(clippy::disallowed_methods, reason = "a test's own setting; the library has none of it")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn every_promise_holds_in_every_world() {
    let seeds = setting("SEED").map_or(0..setting("SEEDS").unwrap_or(SEEDS), |seed| seed..seed + 1);
    let (began, count) = (Instant::now(), seeds.end - seeds.start);
    for seed in seeds {
        let mut world = World::new(seed, Plant::None);
        let result = world.run();
        if result.is_err() || count == 1 {
            world.diary.iter().for_each(|line| eprintln!("{line}"));
        }
        if let Err(fault) = result {
            panic!("{fault}\nRun it again: SEED={seed} cargo test --test simulate every_promise");
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    eprintln!("{count} worlds in {seconds:.1} s");
}

#[test]
fn a_seed_makes_the_same_world_every_time() {
    for seed in 0..20 {
        let digest = || {
            let mut world = World::new(seed, Plant::None);
            world.run().ok();
            world.digest
        };
        assert_eq!(digest(), digest(), "seed {seed}");
    }
}

#[test]
fn every_planted_bug_is_found() {
    let seeds = setting("SEEDS");
    let plants: Vec<Plant> = Plant::ALL.into_iter().filter(|plant| seeds.is_some() || *plant != Plant::RARE).collect();
    let look = |plant: Plant| {
        let found = (0..seeds.unwrap_or(SEEDS_FOR_PLANT))
            .find_map(|seed| World::new(seed, plant).run().err().map(|fault| (seed, fault)));
        match found {
            Some((seed, fault)) => {
                eprintln!("{plant:?}: {} worlds: {}", seed + 1, fault.lines().next().unwrap_or_default());
                None
            }
            None => Some(plant),
        }
    };
    let missed: Vec<Plant> = std::thread::scope(|scope| {
        let halves: Vec<_> = plants
            .chunks(plants.len().div_ceil(2))
            .map(|half| scope.spawn(move || half.iter().copied().filter_map(look).collect::<Vec<_>>()))
            .collect();
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    assert!(missed.is_empty(), "not found: {missed:?}");
}
