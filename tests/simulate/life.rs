//! One life of a worker: the real engine, its commit, its restores and its cache, from a start to a stop or a crash.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use order_sync::record::NextOffset;
use order_sync::store::MemoryStore;
use order_sync::sync::IntakeBudget;
use order_sync::sync::cache::Cache;
use order_sync::sync::commit::LetterDesk;
use order_sync::sync::engine::{Ended, Engine, Ports, Turn};
use order_sync::sync::followers::Followers;
use order_sync::sync::letter::Origin;
use order_sync::sync::log_commit::LogCommit;
use order_sync::sync::ports::{Assigned, Epoch, Input};
use order_sync::sync::restore::{Restore, RestoreNow, RestoreSite, Step};
use order_sync::sync::rules::Now;
use order_sync::sync::status::StatusBoard;
use order_sync::sync::sweep::Swept;

use super::edge::{Asked, Directory, Edge, Shelf};
use super::plant::Plant;
use super::platform::Platform;
use super::ports::{Clock, Originals, Reader, Silence, Wire, record, source, wall_ms};
use super::producer::Log;
use super::settings::{Settings, meters, rules};
use super::turnstile::{Back, Turnstile};

/// The broker keeps tombstones for so long, where it compacts.
pub(crate) const TOMBSTONES_KEPT: Duration = Duration::from_secs(30);

pub(crate) struct Reading {
    pub(crate) epoch: Epoch,
    pub(crate) next: i64,
}

/// A life.
pub(crate) struct Life {
    pub(crate) worker: usize,
    pub(crate) number: u64,
    pub(crate) wire: Wire,
    began: Duration,
    engine: Engine,
    pub(crate) asked: Arc<Mutex<Asked>>,
    /// Who follows the commands topic.
    pub(crate) followers: Followers,
    budget: Arc<IntakeBudget>,
    pub(crate) cache: Cache,
    turnstile: Turnstile,
    /// When the commit under way goes on.
    resume_at: Option<Duration>,
    site: RestoreSite,
    restores: Vec<Restore>,
    /// Pages of the store on their way to the engine, and when they come.
    pub(crate) pages: Vec<(Duration, Swept)>,
    pub(crate) reading: BTreeMap<usize, Reading>,
    /// Where the partitions end, as far as it has been heard.
    pub(crate) ends: Vec<i64>,
    /// Partitions that are being given back, and where the engine will say so.
    pub(crate) revoking: Option<(Receiver<()>, Vec<usize>)>,
    epoch: u64,
    pub(crate) token: u64,
    wake: Duration,
}

impl Life {
    pub(crate) fn new(worker: usize, life: u64, wire: Wire, store: MemoryStore, settings: Settings) -> Self {
        let (began, partitions) = {
            let kafka = wire.kafka();
            (kafka.now, kafka.audit.script.len())
        };
        let cache = Cache::new(Arc::new(Directory { store, wire: wire.clone() }), meters());
        let (edge, budget) = (Edge::default(), Arc::new(IntakeBudget::new(10_000)));
        let shelf = Shelf { cache: cache.clone(), release: settings.release, plant: wire.plant };
        let ports = Ports {
            reader: Arc::new(shelf),
            intake: Box::new(edge.clone()),
            attempts: Box::new(edge.clone()),
            commits: Box::new(edge.clone()),
            restore: Some(Box::new(edge.clone())),
            sweeper: Some(Box::new(edge.clone())),
            commands: Some(Box::new(edge.clone())),
            membership: Some(Box::new(Silence(wire.clone()))),
            budget: Arc::clone(&budget),
        };
        let board = Arc::new(StatusBoard::default());
        let rng = fastrand::Rng::with_seed(wire.kafka().rng.u64(..));
        let engine = Engine::new(rules(settings), ports, meters(), rng, board);
        let (commit_wire, commit_cache) = (wire.clone(), cache.clone());
        let turnstile = Turnstile::new(move |gate| {
            let wire = commit_wire;
            Box::new(LogCommit {
                log: Box::new(Log { wire: wire.clone(), gate: gate.clone(), epoch: None, sent: BTreeMap::new() }),
                changelog: Box::new(Reader { wire: wire.clone(), gate: Some(gate.clone()), is_stuck: false }),
                cache: commit_cache,
                writer: None,
                letters: LetterDesk {
                    source: Box::new(Originals(wire.clone())),
                    origin: Origin { group: "g".to_owned(), version: "0".to_owned() },
                },
                patience: Box::new(Clock { wire, gate }),
            })
        });
        let site = RestoreSite {
            changelog: Box::new(Reader { wire: wire.clone(), gate: None, is_stuck: false }),
            cache: cache.clone(),
            meters: meters(),
            topic: "g.changelog".to_owned(),
            group: "g".into(),
            tombstones_kept: if settings.compacts { TOMBSTONES_KEPT } else { Duration::from_secs(24 * 60 * 60) },
            batch_bytes: 600,
            units: Arc::default(),
        };
        Self {
            worker,
            number: life,
            wire,
            began,
            engine,
            asked: edge.0,
            followers: Followers::default(),
            budget,
            cache,
            turnstile,
            resume_at: None,
            site,
            restores: Vec::new(),
            pages: Vec::new(),
            reading: BTreeMap::new(),
            ends: vec![0; partitions],
            revoking: None,
            epoch: 0,
            token: 0,
            wake: Duration::ZERO,
        }
    }

    fn now(&self) -> Now {
        let now = self.wire.kafka().now;
        Now { mono: now.saturating_sub(self.began), wall_ms: wall_ms(now, self.wire.view().clock_ms) }
    }

    pub(crate) fn tell(&mut self, input: Input) {
        let now = self.now();
        self.engine.handle(input, now);
        self.wake = Duration::ZERO;
    }

    fn note(&self, words: &str) {
        self.wire.kafka().audit.news.push(format!("{} {words}", self.worker));
    }

    /// The group gave partitions.
    pub(crate) fn assign(&mut self, given: &[usize], of: usize) {
        self.epoch += 1;
        let epoch = Epoch(self.epoch);
        self.note(&format!("is given {given:?} in epoch {}", self.epoch));
        self.wire.view().owned.extend(given.iter().map(|partition| (*partition, epoch)));
        let partitions_of_topic = i32::try_from(of).unwrap();
        let assigned = |p: &usize| Assigned { source: source(*p), partitions_of_topic, partitions_of_group: of };
        let partitions = given.iter().map(assigned).collect();
        let (reply, _answer) = sync_channel(1);
        self.tell(Input::Assigned { epoch, partitions, reply });
    }

    /// The group takes partitions back.
    pub(crate) fn revoke(&mut self, taken: &[usize]) {
        self.note(&format!("is to give back {taken:?}"));
        self.reading.retain(|partition, _| !taken.contains(partition));
        let (reply, answer) = sync_channel(1);
        let partitions = taken.iter().map(|partition| source(*partition)).collect();
        self.tell(Input::Revoked { partitions, lost: false, reply });
        self.revoking = Some((answer, taken.to_vec()));
    }

    /// The partitions that are given back by now.
    pub(crate) fn given_back(&mut self) -> Option<Vec<usize>> {
        let (answer, taken) = self.revoking.take()?;
        if answer.try_recv().is_err() {
            self.revoking = Some((answer, taken));
            return None;
        }
        self.wire.view().owned.retain(|partition, _| !taken.contains(partition));
        Some(taken)
    }

    /// The worker has lost its place in the group.
    pub(crate) fn lose(&mut self) {
        let owned = {
            let mut view = self.wire.view();
            view.is_lost = true;
            std::mem::take(&mut view.owned)
        };
        self.note("has lost its place");
        self.reading.clear();
        self.revoking = None;
        let (reply, _answer) = sync_channel(1);
        let partitions = owned.keys().map(|partition| source(*partition)).collect();
        self.tell(Input::Revoked { partitions, lost: true, reply });
    }

    /// The worker is asked to stop.
    pub(crate) fn stop(&mut self) {
        self.tell(Input::Shutdown);
    }

    /// Records come in, as far as they are produced and wanted.
    pub(crate) fn read(&mut self, produced: &[usize]) {
        self.ends = produced.iter().map(|end| i64::try_from(*end).unwrap()).collect();
        let mut told = Vec::new();
        {
            let mut kafka = self.wire.kafka();
            let asked = self.asked.lock().unwrap();
            for (partition, reading) in &mut self.reading {
                let (epoch, source) = (reading.epoch, source(*partition));
                // There may be markers behind the last record: said at any time, it is true of what was handed over.
                told.push(Input::Passed { epoch, source: source.clone(), next: NextOffset::new(reading.next) });
                let end = i64::try_from(produced[*partition]).unwrap();
                if reading.next >= end || asked.paused.contains(partition) {
                    continue;
                }
                let until = end.min(reading.next + kafka.rng.i64(1..5));
                let log = &kafka.audit.script[*partition];
                let records: Vec<_> =
                    (reading.next..until).map(|n| record(n, &log.events[usize::try_from(n).unwrap()])).collect();
                if self.budget.try_draw(records.iter().map(IntakeBudget::cost).sum()) {
                    reading.next = until;
                    told.push(Input::Records { epoch, source, records });
                }
            }
        }
        for input in told {
            self.tell(input);
        }
    }

    /// Everything that can go on now goes on. Says how the engine ended, where it did.
    pub(crate) fn run(&mut self, platform: &mut Platform) -> Option<Ended> {
        let now = self.wire.kafka().now;
        for answer in platform.answers(self.worker, self.number, now) {
            self.tell(answer);
        }
        for (_, swept) in self.pages.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>() {
            self.tell(Input::Swept(swept));
        }
        for _ in 0..100 {
            self.go_on_committing();
            self.restore();
            if self.wake > now {
                return None;
            }
            match self.engine.turn(self.now()) {
                Turn::Busy => {}
                Turn::Until(at) => self.wake = (self.began + at).max(now + Duration::from_micros(1)),
                Turn::Ended(ended) => return Some(ended),
            }
            self.answer(platform);
        }
        self.wire.kafka().audit.fault("the engine does not come to rest".to_owned());
        None
    }

    fn go_on_committing(&mut self) {
        let now = self.wire.kafka().now;
        loop {
            let back = match self.resume_at {
                Some(at) if at <= now => self.turnstile.resume(),
                Some(_) => return,
                None => {
                    let Some(mut cut) = self.asked.lock().unwrap().cuts.pop_front() else { return };
                    cut.parts.sort_by(|a, b| a.source.cmp(&b.source));
                    if self.wire.plant == Plant::ToldBeforeCommitted {
                        self.tell(Input::Committed(Ok(())));
                    }
                    self.turnstile.commit(cut)
                }
            };
            match back {
                Back::Waits(time) => self.resume_at = Some(now + time),
                Back::Done(result) => {
                    self.resume_at = None;
                    if let Err(error) = &result {
                        self.note(&format!("does not commit: {error}"));
                    }
                    if self.wire.plant != Plant::ToldBeforeCommitted {
                        self.tell(Input::Committed(result));
                    }
                }
            }
        }
    }

    fn restore(&mut self) {
        {
            let asked = self.asked.lock().unwrap();
            let wanted = |r: &Restore| asked.restores.iter().any(|(e, s)| (*e, s) == (r.epoch, &r.source));
            self.restores.retain(wanted);
            for (epoch, source) in &asked.restores {
                if !self.restores.iter().any(|r| r.source == *source) {
                    self.restores.push(Restore::new(*epoch, source.clone()));
                }
            }
        }
        let now = self.now();
        let now = RestoreNow { mono: now.mono, wall_ms: now.wall_ms };
        for mut restore in std::mem::take(&mut self.restores) {
            let mut result = restore.step(&mut self.site, now);
            while let Ok(Step::More) = result {
                result = restore.step(&mut self.site, now);
            }
            let result = match result {
                Ok(Step::Done) => Ok(()),
                Ok(Step::More | Step::Waits) => {
                    self.restores.push(restore);
                    continue;
                }
                Err(error) => Err(error),
            };
            let (epoch, source) = (restore.epoch, restore.source);
            self.asked.lock().unwrap().restores.retain(|(_, other)| *other != source);
            self.tell(Input::Restored { epoch, source, result });
        }
    }

    /// When it wants to go on.
    pub(crate) fn next(&self) -> Duration {
        self.wake.min(self.resume_at.unwrap_or(self.wake))
    }

    /// Whether no commit is under way or waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.resume_at.is_none() && self.asked.lock().unwrap().cuts.is_empty()
    }

    /// How it stands, for people.
    pub(crate) fn words(&self) -> String {
        let (view, reading) = (self.wire.view(), self.reading.keys().collect::<Vec<_>>());
        let (status, gives) = (format!("{:?} {:?}", self.resume_at, self.wake), self.revoking.is_some());
        format!("worker {} reads {reading:?}, {status}, gives back {gives:?}, {view:?}", self.worker)
    }

    /// A clean stop: what is gathered is written.
    pub(crate) fn close(self) {
        if self.resume_at.is_none() {
            self.turnstile.close();
        }
    }
}
