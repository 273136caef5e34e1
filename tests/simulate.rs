//! The real engine in made-up worlds: intake, fold, overlay, commit cycle, transactions, restore, lanes, on virtual time,
//! over brokers and a platform that fail in every way that a seed can think of. docs/testing.md says how to run it.
//!
//! `SEEDS=n` chooses how many worlds, `SEED=n` one of them, with its diary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    clippy::cast_precision_loss,
    reason = "tests stop where the world is not as they made it, and a planted bug is asked for only where it bites"
)]

#[path = "simulate/accounting.rs"]
mod accounting;
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
#[path = "simulate/selling.rs"]
mod selling;
#[path = "simulate/settings.rs"]
mod settings;
#[path = "simulate/statuses.rs"]
mod statuses;
#[path = "simulate/tokens.rs"]
mod tokens;
#[path = "simulate/turnstile.rs"]
mod turnstile;
#[path = "simulate/worker.rs"]
mod worker;
#[path = "simulate/world.rs"]
mod world;

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
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
    if let Some(seed) = setting("SEED") {
        let mut world = World::new(seed, Plant::None);
        let result = world.run();
        world.diary.iter().for_each(|line| eprintln!("{line}"));
        result.unwrap();
        return;
    }
    let (began, seeds) = (Instant::now(), setting("SEEDS").unwrap_or(SEEDS));
    if let Some((seed, fault)) = first_found(seeds, Plant::None) {
        let mut world = World::new(seed, Plant::None);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run().ok())).ok();
        world.diary.iter().for_each(|line| eprintln!("{line}"));
        panic!("{fault}\nRun it again: SEED={seed} cargo test --test simulate every_promise");
    }
    let seconds = began.elapsed().as_secs_f64();
    eprintln!("{seeds} worlds in {seconds:.1} s, {:.0} in a second", seeds as f64 / seconds);
}

/// The first world of so many, by its seed, in which a promise is broken. Every core looks at worlds of its own.
fn first_found(seeds: u64, plant: Plant) -> Option<(u64, String)> {
    let (next, end) = (AtomicU64::new(0), AtomicU64::new(seeds));
    let look = || {
        let mut found = None;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            // Worlds before one that was found are looked at to the end; those behind it show nothing more.
            if seed >= end.load(Ordering::Relaxed) {
                return found;
            }
            let lived = std::panic::catch_unwind(|| World::new(seed, plant).run());
            if let Err(fault) = lived.unwrap_or_else(|_| Err("the engine panics".to_owned())) {
                end.fetch_min(seed, Ordering::Relaxed);
                found = Some((seed, fault));
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(look)).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).min_by_key(|(seed, _)| *seed)
    })
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
    let plants: Vec<Plant> =
        Plant::ALL.into_iter().filter(|plant| seeds.is_some() || !Plant::RARE.contains(plant)).collect();
    let mut missed = Vec::new();
    for plant in plants {
        match first_found(seeds.unwrap_or(SEEDS_FOR_PLANT), plant) {
            Some((seed, fault)) => {
                eprintln!("{plant:?}: {} worlds: {}", seed + 1, fault.lines().next().unwrap_or_default());
            }
            None => missed.push(plant),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
