use proptest::prelude::*;

use super::*;
use crate::douyin::token::Fault;
use crate::sync::ports::TokenGeneration;
use crate::sync::token::TokenDesk;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(offset: i64) -> RecordOffset {
    RecordOffset::new(offset)
}

/// A round that has read an empty log and wants a token at second 0.
fn wanting() -> Round {
    let mut round = Round::new(s(5));
    round.caught_up();
    round.want(s(0));
    round
}

fn claimed(number: u64, on: Option<i64>) -> Step {
    Step::Claim { number, on: on.map(at) }
}

#[test]
fn nothing_is_done_while_nothing_is_wanted() {
    let mut round = Round::new(s(5));
    assert_eq!(round.step(s(0)), Step::Wait(None));
    round.claim_read(at(0), None, None, s(1));
    assert_eq!(round.step(s(100)), Step::Wait(None));
}

#[test]
fn the_first_claim_on_a_version_is_granted_and_every_other_is_late() {
    let (mut first, mut second) = (wanting(), wanting());
    assert_eq!(first.step(s(0)), claimed(1, None));
    assert_eq!(second.step(s(0)), claimed(1, None));
    first.claim_read(at(7), None, Some(1), s(1));
    first.claim_read(at(8), None, None, s(1));
    second.claim_read(at(7), None, None, s(1));
    second.claim_read(at(8), None, Some(1), s(1));
    assert_eq!(first.step(s(1)), Step::Fetch);
    assert_eq!(first.step(s(1)), Step::Wait(Some(s(16))), "said once");
    assert_eq!(second.step(s(1)), Step::Wait(Some(s(16))), "5 s to begin, 5 s to fetch, 5 s to write");
    second.token_read(at(9), Some(at(7)));
    second.satisfied();
    assert_eq!(second.step(s(100)), Step::Wait(None));
    second.want(s(3600));
    assert_eq!(second.step(s(3600)), claimed(2, Some(9)));
}

#[test]
fn a_grant_without_a_token_is_claimed_again_after_a_while() {
    let mut round = wanting();
    round.claim_read(at(3), None, None, s(2));
    assert_eq!(round.step(s(16)), Step::Wait(Some(s(17))));
    assert_eq!(round.step(s(17)), claimed(1, Some(3)));
    round.claim_read(at(4), Some(at(3)), None, s(17));
    round.claim_read(at(5), Some(at(3)), Some(1), s(17));
    assert_eq!(round.step(s(18)), Step::Unserved, "somebody else was first again");
    round.want(s(18));
    assert_eq!(round.step(s(18)), Step::Wait(Some(s(32))));
}

#[test]
fn a_grant_that_comes_late_begins_no_fetch() {
    let mut round = wanting();
    assert_eq!(round.step(s(0)), claimed(1, None));
    round.claim_read(at(0), None, Some(1), s(6));
    assert_eq!(round.step(s(6)), claimed(2, Some(0)), "the grant is its own: no reason to wait for anybody");
}

#[test]
fn a_fetch_that_failed_is_tried_again_under_a_new_claim() {
    let mut round = wanting();
    assert_eq!(round.step(s(0)), claimed(1, None));
    round.claim_read(at(0), None, Some(1), s(0));
    assert_eq!(round.step(s(0)), Step::Fetch);
    assert_eq!(round.fetch_ended(s(0)), Standing::Current { claim: at(0) });
    round.satisfied();
    assert_eq!(round.step(s(1)), Step::Wait(None));
    round.want(s(3));
    assert_eq!(round.step(s(3)), claimed(2, Some(0)));
}

#[test]
fn a_fetch_that_ends_too_late_or_was_overtaken_is_for_nobody() {
    let fetching = || {
        let mut round = wanting();
        assert_eq!(round.step(s(0)), claimed(1, None));
        round.claim_read(at(0), None, Some(1), s(0));
        assert_eq!(round.step(s(0)), Step::Fetch);
        round
    };
    assert_eq!(fetching().fetch_ended(s(14)), Standing::Current { claim: at(0) });
    assert_eq!(fetching().fetch_ended(s(15)), Standing::Late);
    let mut overtaken = fetching();
    overtaken.claim_read(at(1), Some(at(0)), None, s(1));
    assert_eq!(overtaken.fetch_ended(s(2)), Standing::Late);
    let mut overtaken = fetching();
    overtaken.token_read(at(2), Some(at(1)));
    assert_eq!(overtaken.fetch_ended(s(2)), Standing::Late);
    let mut silent = fetching();
    assert_eq!(silent.step(s(15)), claimed(2, Some(0)), "a fetch that never ends does not end all fetching");
    assert_eq!(silent.fetch_ended(s(16)), Standing::Late);
}

#[test]
fn a_log_that_does_not_answer_is_told() {
    let mut round = Round::new(s(5));
    round.want(s(0));
    assert_eq!(round.step(s(0)), Step::Wait(Some(s(10))), "not read yet");
    assert_eq!(round.step(s(10)), Step::Refuse);
    assert_eq!(round.step(s(11)), Step::Wait(None));
    let mut round = wanting();
    assert_eq!(round.step(s(1)), claimed(1, None));
    assert_eq!(round.step(s(2)), Step::Wait(Some(s(11))));
    assert_eq!(round.step(s(11)), Step::Refuse);
    round.claim_read(at(0), None, Some(1), s(12));
    assert_eq!(round.step(s(12)), Step::Wait(None), "it arrived after all, and nobody wants it");
    round.want(s(20));
    assert_eq!(round.step(s(20)), Step::Wait(Some(s(27))), "a claim that was given up is waited for like anybody's");
}

#[test]
fn a_token_makes_every_claim_before_it_late() {
    let mut round = wanting();
    assert_eq!(round.step(s(0)), claimed(1, None));
    round.token_read(at(4), Some(at(3)));
    round.claim_read(at(5), None, Some(1), s(1));
    assert_eq!(round.step(s(1)), claimed(2, Some(4)), "the token was not handed over: a new claim, on it");
}

#[test]
fn ages_are_counted_on_the_brokers_clock() {
    let mut clock = LogClock::default();
    assert_eq!(clock.age(1_000, s(5)), None);
    clock.set(1_000_000, s(5));
    assert_eq!(clock.age(940_000, s(5)), Some(s(60)));
    assert_eq!(clock.age(940_000, s(65)), Some(s(120)));
    assert_eq!(clock.age(2_000_000, s(65)), Some(s(0)), "never from the future");
    assert_eq!(clock.age(i64::MIN, s(65)).map(|age| age > s(1_000_000)), Some(true));
}

/// What a simulated worker has written to the log; the token's text stands for itself.
#[derive(Clone, Copy, Debug)]
enum Written {
    Claim { worker: usize, life: u64, number: u64, on: Option<RecordOffset> },
    Token { fetched_ms: u64, fetch: u64, claim: RecordOffset },
}

/// One process: the engine's desk and the round, on a log that it reads with a delay of its own.
struct Worker {
    life: u64,
    started_ms: u64,
    desk: TokenDesk,
    round: Round,
    next: usize,
    wants: bool,
    fetch_ends_ms: Option<u64>,
    fetch: u64,
    held: u64,
    generation: u64,
    delay_ms: u64,
}

impl Worker {
    fn new(life: u64, now_ms: u64, delay_ms: u64) -> Self {
        Self {
            life,
            started_ms: now_ms,
            desk: TokenDesk::default(),
            round: Round::new(s(5)),
            next: 0,
            wants: false,
            fetch_ends_ms: None,
            fetch: 0,
            held: 0,
            generation: 0,
            delay_ms,
        }
    }

    fn hand_over(&mut self, fetch: u64, left: Duration, now: Duration) {
        self.round.satisfied();
        self.wants = false;
        if self.held != fetch {
            self.held = fetch;
            self.generation += 1;
            self.desk.fetched(TokenGeneration(self.generation), left, now);
        }
    }
}

struct Fleet {
    lifetime: Duration,
    log: Vec<(u64, Written)>,
    workers: Vec<Worker>,
    fetched_ms: Vec<u64>,
    /// Fetches whose process was killed before its token lay in the log.
    lost: usize,
}

impl Fleet {
    fn new(lifetime: Duration, workers: usize) -> Self {
        let workers = (0..workers as u64).map(|n| Worker::new(n, 0, n * 37 % 200)).collect();
        Self { lifetime, log: Vec::new(), workers, fetched_ms: Vec::new(), lost: 0 }
    }

    fn kill(&mut self, worker: usize, now_ms: u64) {
        if self.workers[worker].fetch_ends_ms.is_some() {
            self.lost += 1;
        }
        let life = self.workers[worker].life + 100;
        self.workers[worker] = Worker::new(life, now_ms + 3_000, 50);
    }

    fn read(&mut self, index: usize, now_ms: u64) {
        let now = Duration::from_millis(now_ms);
        let worker = &mut self.workers[index];
        while let Some((written_ms, written)) = self.log.get(worker.next).copied() {
            // Never the same, so that claims cross on their way.
            if written_ms + (worker.delay_ms + worker.next as u64 * 53) % 200 > now_ms {
                return;
            }
            let offset = at(i64::try_from(worker.next).unwrap());
            worker.next += 1;
            match written {
                Written::Claim { worker: by, life, number, on } => {
                    let ours = (by == index && life == worker.life).then_some(number);
                    worker.round.claim_read(offset, on, ours, now);
                }
                Written::Token { fetched_ms, fetch, claim } => {
                    assert!(worker.round.token_read(offset, Some(claim)), "it is new");
                    let age = Duration::from_millis(now_ms.saturating_sub(fetched_ms));
                    if let Some(left) = self.lifetime.checked_sub(age).filter(|left| !left.is_zero()) {
                        worker.hand_over(fetch, left, now);
                    }
                }
            }
        }
        if now_ms >= worker.started_ms + 300 {
            worker.round.caught_up();
        }
    }

    fn tick(&mut self, index: usize, now_ms: u64, fetch_ms: u64) {
        let now = Duration::from_millis(now_ms);
        if now_ms < self.workers[index].started_ms {
            return;
        }
        self.read(index, now_ms);
        let worker = &mut self.workers[index];
        if worker.fetch_ends_ms.is_some_and(|ends| ends <= now_ms) {
            worker.fetch_ends_ms = None;
            if let Standing::Current { claim } = worker.round.fetch_ended(now) {
                self.log.push((now_ms, Written::Token { fetched_ms: now_ms, fetch: worker.fetch, claim }));
                worker.hand_over(worker.fetch, self.lifetime, now);
            }
        }
        if worker.desk.start_fetch(now) {
            worker.round.want(now);
        }
        match worker.round.step(now) {
            Step::Claim { number, on } => {
                self.log.push((now_ms, Written::Claim { worker: index, life: worker.life, number, on }));
            }
            Step::Fetch => {
                self.fetched_ms.push(now_ms);
                worker.fetch = self.fetched_ms.len() as u64;
                worker.fetch_ends_ms = Some(now_ms + fetch_ms);
            }
            Step::Refuse | Step::Unserved => worker.desk.fetch_failed("", Fault::Giver, s(1), now),
            Step::Wait(_) => {}
        }
    }

    /// The most fetches within any one lifetime.
    fn most_in_a_lifetime(&self) -> usize {
        let lifetime = u64::try_from(self.lifetime.as_millis()).unwrap();
        let within = |from: u64| self.fetched_ms.iter().filter(|at| (from..from + lifetime).contains(at)).count();
        self.fetched_ms.iter().map(|from| within(*from)).max().unwrap_or(0)
    }

    /// Whether the newest fetch is in everybody's hands.
    fn is_agreed(&self) -> bool {
        self.workers.iter().all(|worker| worker.held == self.fetched_ms.len() as u64)
    }
}

#[test]
fn eight_workers_fetch_twice_in_a_lifetime_over_many() {
    let mut fleet = Fleet::new(s(7_200), 8);
    for now_ms in (0..10 * 7_200_000).step_by(50) {
        for index in 0..8 {
            fleet.tick(index, now_ms, 120);
        }
        let newest = fleet.fetched_ms.last().copied().unwrap_or(now_ms);
        assert!(fleet.log.len() <= 9 * (fleet.fetched_ms.len() + 1), "a claim of each worker, and a token");
        assert!(fleet.is_agreed() || now_ms < newest + 1_000, "all have the new token within a second");
    }
    assert_eq!((fleet.most_in_a_lifetime(), fleet.fetched_ms.len()), (2, 20));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Workers are killed at any moment, fetches take any time: a fetch is too many only where its fetcher was killed.
    #[test]
    fn a_killed_fetcher_costs_one_fetch_and_no_more(
        kills in prop::collection::vec((0u64..4_000_000, 0usize..8), 0..30),
        at_fetch in prop::collection::vec(0u64..3_000, 0..4),
        fetch_ms in 20u64..4_900,
        lifetime in 60u64..7_200,
    ) {
        let mut fleet = Fleet::new(s(lifetime), 8);
        let mut kills = kills;
        kills.sort_unstable();
        let (mut kills, mut at_fetch) = (kills.into_iter().peekable(), at_fetch.into_iter());
        let mut ambush = at_fetch.next();
        for now_ms in (0..4_000_000).step_by(100) {
            while let Some((_, worker)) = kills.next_if(|(at, _)| *at <= now_ms) {
                fleet.kill(worker, now_ms);
            }
            for index in 0..8 {
                fleet.tick(index, now_ms, fetch_ms);
                prop_assert!(fleet.log.len() < 20_000, "a storm of claims");
                let began = fleet.fetched_ms.last().copied().unwrap_or(now_ms);
                if let Some(after) = ambush
                    && fleet.workers[index].fetch_ends_ms.is_some()
                    && now_ms >= began + after.min(fetch_ms / 2)
                {
                    fleet.kill(index, now_ms);
                    ambush = at_fetch.next();
                }
            }
        }
        prop_assert!(fleet.most_in_a_lifetime() <= 2 + fleet.lost, "{:?} lost {}", fleet.fetched_ms, fleet.lost);
        // Nobody is left without: the newest token is at most a refresh old.
        let newest = fleet.fetched_ms.last().copied().unwrap();
        prop_assert!(newest + lifetime * 1_000 > 4_000_000, "nobody fetched any more");
    }
}

#[path = "sharing_unserved_tests.rs"]
mod unserved;
