//! A worker of a world: its place in time, its directory, what it is set to. Its lives are `life.rs`.

use std::time::Duration;

use order_sync::store::MemoryStore;

use super::life::Life;
use super::platform::Weather;
use super::settings::Settings;
use super::world::World;

/// One worker, alive or not.
pub(crate) struct Worker {
    pub(crate) life: Option<Life>,
    pub(crate) lives: u64,
    pub(crate) store: MemoryStore,
    pub(crate) store_id: u64,
    /// The directory as it once was.
    pub(crate) copy: Option<MemoryStore>,
    pub(crate) starts_at: Duration,
    pub(crate) stopped_until: Duration,
    pub(crate) cut_until: Duration,
    pub(crate) deaf_until: Duration,
    pub(crate) last_poll: Duration,
    pub(crate) last_heard: Duration,
    pub(crate) clock_ms: i64,
    pub(crate) settings: Settings,
}

impl World {
    /// A worker that has not started yet.
    pub(crate) fn worker(&mut self) -> Worker {
        self.next_store += 1;
        let settings = Settings {
            release: 1,
            max_in_flight: self.rng.usize(1..6),
            max_lanes: self.rng.usize(1..6),
            commit_interval: Duration::from_millis(100),
            max_owed: 100,
            retains: self.retains,
            compacts: self.compacts,
            // One outage is no evidence against an order, however long it is; its last attempt, which ends after it, and the
            // wait behind that take up to nine seconds. Elsewhere orders fail by chance.
            give_up_after: Duration::from_secs(if self.bad_weather == Weather::Outage { 10 } else { 3600 }),
        };
        Worker {
            life: None,
            lives: 0,
            store: MemoryStore::new(),
            store_id: self.next_store,
            copy: None,
            starts_at: Duration::ZERO,
            stopped_until: Duration::ZERO,
            cut_until: Duration::ZERO,
            deaf_until: Duration::ZERO,
            last_poll: Duration::ZERO,
            last_heard: Duration::ZERO,
            clock_ms: 0,
            settings,
        }
    }
}
