//! What can happen in bad weather, by chance.

use std::time::Duration;

use order_sync::order::{AppId, Identity};
use order_sync::store::MemoryStore;
use order_sync::sync::log_ports::{CacheStore as _, CacheWrite};
use order_sync::sync::ports::StateReader as _;

use super::life::TOMBSTONES_KEPT;
use super::plant::Plant;
use super::platform::Weather;
use super::ports::source;
use super::worker::Worker;
use super::world::World;

impl World {
    /// Something happens.
    pub(crate) fn happen(&mut self) {
        let partition = self.rng.usize(..self.produced.len());
        let worker = self.rng.usize(..self.workers.len());
        match self.rng.u8(..40) {
            0..16 => {
                self.produced[partition] = self.lengths[partition].min(self.produced[partition] + self.rng.usize(1..4));
                if self.rng.u8(..2) == 0 {
                    let commands = self.kafka.lock().unwrap().audit.script[partition].commands.len();
                    self.given[partition] = commands.min(self.given[partition] + self.rng.usize(1..3));
                }
            }
            16..19 => self.crash(worker),
            19..21 => {
                self.workers[worker].stopped_until = self.now + Duration::from_millis(self.rng.u64(500..12_000));
                self.note(&format!("{worker} is stopped"));
            }
            21..23 => {
                self.workers[worker].cut_until = self.now + Duration::from_millis(self.rng.u64(500..12_000));
                self.note(&format!("{worker} is cut off"));
            }
            23..26 => self.rebalance(),
            // Where tombstones are dropped after seconds, clocks may not differ by hours.
            26 if !self.compacts => self.workers[worker].clock_ms += self.rng.i64(-7_200_000..7_200_000),
            27..30 if !self.was_bad || self.bad_weather != Weather::Outage => {
                self.was_bad = true;
                self.platform.weather = self.bad_weather;
                self.note(&format!("{:?}", self.bad_weather));
            }
            30 | 31 => self.platform.weather = Weather::Fair,
            32 => {
                if let Some(life) = &mut self.workers[worker].life {
                    life.stop();
                    self.note(&format!("{worker} is to stop"));
                }
            }
            37 | 38 if self.compacts => self.compact(partition),
            33 | 34 => {
                let copy = self.workers[worker].store.crash(0);
                self.workers[worker].copy = Some(copy);
            }
            35 | 36 => {
                if let (Some(life), true) = (&self.workers[worker].life, self.rng.bool()) {
                    life.wire.view().is_ambushed = true;
                    return;
                }
                self.workers[worker].deaf_until = self.now + Duration::from_millis(self.rng.u64(500..20_000));
                self.note(&format!("{worker} does not reach its coordinator"));
            }
            39 => {
                self.platform.tokens.evict();
                self.note("every token is refused");
            }
            _ => {}
        }
    }

    /// A commit has lost its coordinator in the middle: partitions move before it is found out what became of it.
    pub(crate) fn spring(&mut self, worker: usize) {
        self.workers[worker].deaf_until = self.now + Duration::from_millis(self.rng.u64(8000..25_000));
        self.note(&format!("{worker} loses its coordinator in a commit"));
        self.rebalance();
    }

    /// Between two stretches of fair weather: what has left must be known to whoever goes on.
    pub(crate) fn stir(&mut self) {
        let (partition, worker) = (self.rng.usize(..self.produced.len()), self.rng.usize(..self.workers.len()));
        if self.compacts && self.rng.bool() {
            self.compact(partition);
        }
        match self.rng.u8(..4) {
            0 => self.crash(worker),
            1 => self.rebalance(),
            _ => {}
        }
    }

    /// A directory as it is while something is owed, and whose it is.
    pub(crate) fn keep_a_copy(&self) -> Option<(usize, MemoryStore)> {
        let reads = |worker: &Worker| worker.life.as_ref().is_some_and(|life| !life.reading.is_empty());
        let index = self.workers.iter().position(reads)?;
        let worker = &self.workers[index];
        // The time for which it gathers was up just then.
        worker.life.as_ref()?.cache.write_out().unwrap();
        Some((index, worker.store.crash(0)))
    }

    /// When all that was owed is settled and compacted, the worker comes back with that copy: it is young enough to be gone on
    /// from, by tombstones that the brokers still keep.
    pub(crate) fn come_back_early(&mut self, index: usize, copy: MemoryStore) {
        (0..self.produced.len()).for_each(|partition| self.compact(partition));
        let store_id = self.workers[index].store_id;
        self.crash(index);
        let worker = &mut self.workers[index];
        (worker.store, worker.store_id, worker.starts_at) = (copy, store_id, self.now);
        self.rebalance();
    }

    /// After a time in which tombstones were dropped, a worker comes back with its directory of long ago, or with a part of it.
    pub(crate) fn come_back_late(&mut self) {
        (0..self.produced.len()).for_each(|partition| self.compact(partition));
        let Some(index) = self.workers.iter().position(|w| w.copy.is_some() && w.life.is_some()) else { return };
        let worker = &mut self.workers[index];
        let (copy, store_id) = (worker.copy.take(), worker.store_id);
        self.crash(index);
        self.rebalance();
        let is_part = self.rng.bool();
        let worker = &mut self.workers[index];
        worker.store_id = store_id;
        if let Some(copy) = copy {
            worker.store = copy;
        }
        if is_part {
            leave_a_part(&worker.store, self.lengths.len());
        }
    }

    fn compact(&mut self, partition: usize) {
        let kept = if self.plant == Plant::TombstonesDroppedEarly { Duration::ZERO } else { TOMBSTONES_KEPT };
        self.note(&format!("{partition} is compacted"));
        self.kafka.lock().unwrap().compact(partition, kept);
    }

    fn rebalance(&mut self) {
        self.note("a rebalance");
        let mut kafka = self.kafka.lock().unwrap();
        let mut rng = self.rng.fork();
        let now = self.now;
        kafka.group.rebalance(now, &mut rng);
    }

    /// A process dies at once.
    fn crash(&mut self, worker: usize) {
        let Some(life) = self.workers[worker].life.take() else { return };
        self.note(&format!("{worker} dies"));
        self.platform.forget(worker, life.number);
        drop(life);
        self.bury(worker);
    }

    /// A worker is away for a while and comes back as another.
    pub(crate) fn bury(&mut self, index: usize) {
        let delay = Duration::from_millis(self.rng.u64(1..4000));
        let (fate, max_in_flight, millis) = (self.rng.u8(..7), self.rng.usize(1..6), self.rng.u64(10..300));
        let release = if self.is_remapped { self.rng.u32(1..4) } else { 1 };
        self.next_store += 1;
        let (next_store, now) = (self.next_store, self.now);
        let worker = &mut self.workers[index];
        worker.starts_at = now + delay;
        (worker.stopped_until, worker.cut_until) = (now, now);
        worker.settings.release = release;
        worker.settings.max_in_flight = max_in_flight;
        worker.settings.max_lanes = 6 - max_in_flight;
        worker.settings.commit_interval = Duration::from_millis(millis);
        match (fate, worker.copy.take()) {
            // It died in the middle of a restore: there is something, and nothing says how far it goes.
            (6, copy) => {
                worker.store = copy.unwrap_or_else(|| worker.store.crash(0));
                leave_a_part(&worker.store, self.lengths.len());
            }
            (0 | 1, _) => (worker.store, worker.store_id, worker.copy) = (MemoryStore::new(), next_store, None),
            (2 | 3, Some(copy)) => worker.store = copy,
            (_, copy) => {
                worker.store = worker.store.crash(0);
                worker.copy = copy;
            }
        }
    }
}

/// Of what a store holds, states and debts stay, without a checkpoint.
fn leave_a_part(store: &MemoryStore, partitions: usize) {
    for partition in 0..partitions {
        let source = source(partition);
        let identities = (0..2).map(|n| Identity::new(AppId::new("tt1"), format!("P{partition}-{n}")));
        let states = identities
            .map(|identity| (identity.clone(), store.state(&source, &identity).unwrap()))
            .filter(|(_, state)| state.is_some())
            .collect();
        let mut keys = Vec::new();
        store.scan_owed(&source, &mut |key, _| keys.push(key)).unwrap();
        let owed =
            keys.into_iter().filter_map(|key| Some((key.clone(), store.owed(&source, &key).unwrap()?))).collect();
        store.forget(&source).unwrap();
        let write = CacheWrite {
            source,
            states,
            owed,
            settled: Vec::new(),
            letters: Vec::new(),
            commands: Vec::new(),
            position: None,
            checkpoint: None,
        };
        store.write(vec![write]).unwrap();
    }
}
