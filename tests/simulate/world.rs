//! One simulated world, made up from a seed: a stretch of weather in which everything may happen, then fair weather in
//! which everything must come to its end.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use order_sync::sync::engine::Ended;

use super::audit::Audit;
use super::group::{Protocol, SESSION};
use super::hearing::hear;
use super::kafka::Kafka;
use super::life::{Life, TOMBSTONES_KEPT};
use super::plant::Plant;
use super::platform::{Platform, Weather};
use super::ports::{Reach, View, Wire};
use super::script::{Log, Repeats, stubborn_order};
use super::tokens::Tokens;
use super::worker::Worker;

/// In fair weather nothing takes longer than this: a transaction's time-out, a session, a back-off, and some.
const PATIENCE: Duration = Duration::from_secs(120);

/// In fair weather nothing is looked at more often: that would cost time and show nothing.
const FAIR_STEP: Duration = Duration::from_millis(20);

/// What was added to the worlds of a seed is drawn beside them, so that they stay what they were.
const MORE: u64 = 1 << 40;

/// A world.
#[expect(clippy::struct_excessive_bools, reason = "a world may be each of it, or not")]
pub(crate) struct World {
    pub(crate) rng: fastrand::Rng,
    pub(crate) kafka: Arc<Mutex<Kafka>>,
    pub(crate) platform: Platform,
    pub(crate) workers: Vec<Worker>,
    pub(crate) produced: Vec<usize>,
    pub(crate) lengths: Vec<usize>,
    pub(crate) plant: Plant,
    /// Whether the changelog is compacted now and then.
    pub(crate) compacts: bool,
    /// Whether orders leave.
    pub(crate) retains: bool,
    /// How many commands of each partition are given.
    pub(crate) given: Vec<usize>,
    pub(crate) next_store: u64,
    pub(crate) now: Duration,
    /// What can change between two lives.
    pub(crate) is_remapped: bool,
    pub(crate) bad_weather: Weather,
    /// Where an order is that fails alone, until it is given up.
    pub(crate) stubborn: Option<usize>,
    pub(crate) was_bad: bool,
    /// What happened, for people.
    pub(crate) diary: VecDeque<String>,
    /// Stands for everything that happened.
    pub(crate) digest: u64,
}

impl World {
    pub(crate) fn new(seed: u64, plant: Plant) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let partitions = rng.usize(1..4);
        let is_remapped = rng.u8(..3) == 0;
        let is_commanded = rng.u8(..3) > 0;
        let repeats = if is_remapped { Repeats::DoNotCome } else { Repeats::Come };
        let mut script: Vec<Log> = (0..partitions)
            .map(|partition| {
                let length = rng.usize(2..9);
                let mut log = Log::new(&mut rng, partition, length, repeats);
                if is_commanded {
                    log.command_it(&mut rng, partition, repeats);
                }
                log
            })
            .collect();
        let lengths = script.iter().map(|log| log.events.len()).collect();
        let protocol = if rng.u8(..3) == 0 { Protocol::Eager } else { Protocol::Cooperative };
        let (brokers, answers) = (rng.fork(), rng.fork());
        let bad_weather = match rng.u8(..4) {
            0 => Weather::Outage,
            1 => Weather::Partial(rng.usize(..partitions)),
            _ => Weather::Faults,
        };
        let mut more = fastrand::Rng::with_seed(seed.wrapping_add(MORE));
        // Elsewhere orders fail by chance, and one that fails for long by chance is given up as well.
        let stubborn = (bad_weather == Weather::Outage && more.bool()).then(|| more.usize(..partitions));
        let stubborn = stubborn.filter(|partition| script[*partition].harden(&mut more, *partition));
        // Some tokens are renewed all the time, and end in an outage.
        let lifetime = Duration::from_secs(if more.u8(..4) == 0 { 8 } else { 7200 });
        let platform = Platform::new(answers, plant, Tokens::new(lifetime));
        let mut kafka = Kafka::new(partitions, protocol, brokers, Audit::new(Arc::new(script)));
        kafka.late_markers = Some(3);
        let (compacts, retains) = (rng.u8(..2) == 0, rng.u8(..2) == 0);
        let mut world = Self {
            rng,
            kafka: Arc::new(Mutex::new(kafka)),
            platform,
            workers: Vec::new(),
            produced: vec![0; partitions],
            given: vec![0; partitions],
            lengths,
            plant,
            compacts,
            retains,
            next_store: 0,
            now: Duration::ZERO,
            is_remapped,
            bad_weather,
            stubborn,
            was_bad: false,
            diary: VecDeque::new(),
            digest: 0,
        };
        for _ in 0..world.rng.usize(1..4) {
            let worker = world.worker();
            world.workers.push(worker);
        }
        world
    }

    pub(crate) fn note(&mut self, words: &str) {
        for byte in words.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.diary.len() == 1000 {
            self.diary.pop_front();
        }
        self.diary.push_back(format!("{:>8.3} {words}", self.now.as_secs_f64()));
    }

    /// Lets the world run to its end. `Err` says which promise was broken.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        for _ in 0..self.rng.usize(10..50) {
            let millis = match self.rng.u8(..10) {
                0..5 => self.rng.u64(5..60),
                5..9 => self.rng.u64(60..600),
                _ => self.rng.u64(600..5000),
            };
            self.happen();
            self.step(Duration::from_millis(millis))?;
        }
        // While much is owed and in pieces, and once all has come to its end.
        self.account()?;
        self.clear_up();
        if let Some((index, copy)) = self.compacts.then(|| self.keep_a_copy()).flatten() {
            self.come_to_rest()?;
            self.come_back_early(index, copy);
        }
        // Where orders leave, the log goes on when some have left.
        while self.retains {
            self.come_to_rest()?;
            for _ in 0..5 {
                self.step(Duration::from_millis(120))?;
            }
            if self.produced == self.lengths {
                break;
            }
            if self.compacts && self.rng.bool() {
                for _ in 0..=TOMBSTONES_KEPT.as_secs() {
                    self.step(Duration::from_secs(1))?;
                }
                self.come_back_late();
            } else {
                self.stir();
            }
            let more = self.rng.usize(2..6);
            self.produced.iter_mut().zip(&self.lengths).for_each(|(n, length)| *n = (*n + more).min(*length));
            self.give(more / 2);
        }
        self.produced.clone_from(&self.lengths);
        self.give(usize::MAX / 2);
        self.sell()?;
        self.come_to_rest()?;
        for life in self.workers.iter().filter_map(|worker| worker.life.as_ref()) {
            life.check();
        }
        self.kafka.lock().unwrap().audit.history();
        self.judge()?;
        self.account()
    }

    /// Lets time pass until everything that is produced is committed and delivered.
    pub(crate) fn come_to_rest(&mut self) -> Result<(), String> {
        let until = self.now + PATIENCE;
        while !self.is_at_rest() {
            if self.now > until {
                let partitions = self.kafka.lock().unwrap().audit.partitions.clone();
                let lives = self.workers.iter().filter_map(|worker| worker.life.as_ref());
                let words: Vec<String> = lives.map(Life::words).collect();
                return Err(format!("it does not come to its end: {partitions:?}\n{}", words.join("\n")));
            }
            let next = self.next().clamp(self.now + FAIR_STEP, self.now + Duration::from_secs(1));
            self.step(next.saturating_sub(self.now))?;
        }
        Ok(())
    }

    fn judge(&mut self) -> Result<(), String> {
        let faults = std::mem::take(&mut self.kafka.lock().unwrap().audit.faults);
        match faults.into_iter().next() {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    fn is_at_rest(&self) -> bool {
        let reading = self.workers.iter().filter_map(|w| w.life.as_ref()).map(|life| life.reading.len()).sum::<usize>();
        let idle = self.workers.iter().filter_map(|w| w.life.as_ref()).all(Life::is_idle);
        idle && reading == self.lengths.len()
            && self.kafka.lock().unwrap().audit.is_finished(
                &self.produced,
                &self.given,
                self.stubborn.map(stubborn_order).as_deref(),
            )
    }

    fn next(&self) -> Duration {
        let lives = self.workers.iter().filter_map(|worker| worker.life.as_ref()).map(Life::next);
        let soonest = lives.chain(self.platform.next()).min();
        soonest.unwrap_or(self.now + Duration::from_millis(100))
    }

    /// The weather clears, and who is away comes back. A coordinator that is away stays so for
    /// its time: what became of a commit may be found out long after others have gone on.
    fn clear_up(&mut self) {
        self.note("clears up");
        self.platform.weather = Weather::Fair;
        self.kafka.lock().unwrap().late_markers = None;
        self.give(0);
        for worker in &mut self.workers {
            worker.starts_at = worker.starts_at.min(self.now);
            worker.stopped_until = worker.stopped_until.min(self.now);
            worker.cut_until = worker.cut_until.min(self.now);
        }
    }

    /// So many commands more are given, and those that lift a pause.
    fn give(&mut self, more: usize) {
        let script = Arc::clone(&self.kafka.lock().unwrap().audit.script);
        for (given, log) in self.given.iter_mut().zip(script.iter()) {
            *given = log.until_resumed(*given + more);
        }
    }

    /// Time passes, and everybody acts.
    pub(crate) fn step(&mut self, time: Duration) -> Result<(), String> {
        self.now += time;
        {
            let mut kafka = self.kafka.lock().unwrap();
            kafka.tick(self.now);
            let mut rng = kafka.rng.fork();
            kafka.group.tick(self.now, &mut rng);
            self.platform.tick(self.now, &mut kafka.audit);
        }
        for index in 0..self.workers.len() {
            self.act(index);
            if std::mem::take(&mut self.kafka.lock().unwrap().ambushed) {
                self.spring(index);
            }
        }
        let news = std::mem::take(&mut self.kafka.lock().unwrap().audit.news);
        for words in news {
            self.note(&words);
        }
        self.judge()
    }

    fn act(&mut self, index: usize) {
        let (now, partitions) = (self.now, self.lengths.len());
        let is_fair = self.is_fair();
        let worker = &mut self.workers[index];
        if worker.life.is_none() {
            if now < worker.starts_at {
                return;
            }
            let view = View { is_lost: true, clock_ms: worker.clock_ms, ..View::default() };
            let wire = Wire {
                kafka: Arc::clone(&self.kafka),
                view: Arc::new(Mutex::new(view)),
                store: worker.store_id,
                plant: self.plant,
            };
            worker.lives += 1;
            worker.life = Some(Life::new(index, worker.lives, wire, worker.store.clone(), worker.settings));
            (worker.last_poll, worker.last_heard) = (now, now);
        }
        if now < worker.stopped_until {
            return;
        }
        let Some(life) = &mut worker.life else { return };
        {
            let mut view = life.wire.view();
            view.reach = match (now < worker.cut_until, now < worker.deaf_until) {
                (true, _) => Reach::Nobody,
                (false, true) => Reach::NoCoordinator,
                (false, false) => Reach::All,
            };
            view.clock_ms = worker.clock_ms;
            view.is_slow = self.retains;
            view.faults = (!is_fair).then_some(12);
        }
        let silent = now.saturating_sub(worker.last_poll);
        worker.last_poll = now;
        if silent > SESSION / 2 {
            life.wire.view().was_silent = true;
        } else if now >= worker.cut_until {
            worker.last_heard = now;
            hear(life, now, partitions);
        } else if now > worker.last_heard + SESSION && !life.wire.view().is_lost {
            life.lose();
        }
        if now >= worker.cut_until {
            life.read(&self.produced);
            life.read_commands(&self.given);
        }
        if let Some(ended) = life.run(&mut self.platform) {
            self.ended(index, &ended);
        }
    }

    fn is_fair(&self) -> bool {
        self.kafka.lock().unwrap().late_markers.is_none()
    }

    fn ended(&mut self, index: usize, ended: &Ended) {
        self.note(&format!("{index} has ended"));
        let Some(life) = self.workers[index].life.take() else { return };
        if let Ended::Failed(error) = ended {
            self.kafka.lock().unwrap().audit.fault(format!("worker {index} gives up: {error}"));
        }
        self.platform.forget(index, life.number);
        life.close();
        let mut kafka = self.kafka.lock().unwrap();
        let mut rng = kafka.rng.fork();
        kafka.group.leave(index, self.now, &mut rng);
        drop(kafka);
        self.bury(index);
    }
}
