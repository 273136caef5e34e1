//! Eight workers of one group, as users run them, under a steady stream of events: the sandbox counts their tokens.

use std::time::{Duration, Instant};

use order_sync::app::demo::{LogRecord, LogSpec, generate};
use order_sync::kafka::producer::{Outgoing, Producer};
use order_sync::order::AppId;
use order_sync::sandbox::{Sandbox, SandboxHandle, SandboxOptions};

use crate::run::{Site, terminate};
use crate::support::real_kafka::RealKafka;
use crate::support::running::Running;

const WORKERS: usize = 8;
/// Tokens are renewed when half of it is over.
const LIFETIME: Duration = Duration::from_secs(20);
/// The platform leaves five minutes of two hours; this is the time in which all must have heard of a new token.
const RETIREMENT: Duration = Duration::from_secs(5);
/// What the sandbox says of a token that is dead or unknown.
const REFUSED_TOKEN: [i64; 2] = [40002, 40014];
/// Records per look, some twenty looks a second.
const AT_ONCE: usize = 8;
const LOOK: Duration = Duration::from_millis(50);

struct Fleet {
    group: String,
    topic: String,
    sandbox: SandboxHandle,
    sites: Vec<Site>,
    workers: Vec<Running>,
    producer: Producer,
    records: std::vec::IntoIter<LogRecord>,
}

impl Fleet {
    fn start(kafka: &RealKafka) -> Self {
        let topic = kafka.topic("token-fleet", 8, &[]);
        let options = SandboxOptions {
            token_lifetime: LIFETIME,
            token_retirement: RETIREMENT,
            memory_bytes: 1 << 30,
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).unwrap();
        // Sharing is not asked for: transactions bring it.
        let lines = "exactly_once = true\nproperties = { \"session.timeout.ms\" = 6000 }";
        let site = |_| Site::with(&kafka.brokers, &topic, &sandbox.base_url(), lines);
        let sites: Vec<Site> = (0..WORKERS).map(site).collect();
        let log = LogSpec {
            seed: 5,
            orders: 20_000,
            apps: vec![AppId::new("tt1")],
            one_dirty_in: 0,
            begins_at: 1_760_000_000_000,
        };
        let mut fleet = Self {
            group: RealKafka::name("token-fleet"),
            topic,
            sandbox,
            sites,
            workers: Vec::new(),
            producer: Producer::connect(&kafka.brokers).unwrap(),
            records: generate(&log).into_iter(),
        };
        fleet.workers = (0..WORKERS).map(|worker| fleet.spawn(worker)).collect();
        fleet
    }

    fn spawn(&self, worker: usize) -> Running {
        self.sites[worker].spawn(&["--set", &format!("kafka.group_id={}", self.group)])
    }

    /// Events come in until this holds.
    fn until(&mut self, what: &str, longest: Duration, mut holds: impl FnMut(&Self) -> bool) {
        let since = Instant::now();
        while !holds(self) {
            assert!(since.elapsed() < longest, "not within {longest:?}: {what}\n{}", self.sites[1].log());
            for record in self.records.by_ref().take(AT_ONCE) {
                let outgoing = Outgoing {
                    partition: Some(i32::try_from(record.partition_hint % 8).unwrap()),
                    key: record.key.as_deref(),
                    value: record.value.as_deref(),
                    ..Outgoing::default()
                };
                self.producer.send(&self.topic, outgoing).unwrap();
            }
            self.producer.flush().unwrap();
            std::thread::park_timeout(LOOK);
        }
    }

    fn for_a_while(&mut self, time: Duration) {
        let since = Instant::now();
        self.until("time passes", time * 2, |_| since.elapsed() >= time);
    }

    /// When each token was given out, by the sandbox's clock.
    fn issued(&self) -> Vec<Duration> {
        let tokens = self.sandbox.report().recent_tokens;
        tokens.iter().map(|token| Duration::from_millis(token.at_ms)).collect()
    }

    fn refused_for_their_token(&self) -> u64 {
        let report = self.sandbox.report();
        REFUSED_TOKEN.iter().filter_map(|code| report.err_codes.get(code)).sum()
    }

    /// The worker that fetched last.
    fn fetcher(&self) -> usize {
        let words = "\"message\":\"fetched an access token\"";
        let last = |site: &Site| site.log().lines().filter(|line| line.contains(words)).map(str::to_owned).next_back();
        // The lines begin with their time.
        (0..WORKERS).max_by_key(|worker| last(&self.sites[*worker])).unwrap()
    }

    /// Within any lifetime at most so many tokens were given out, the first `before` of them aside.
    fn at_most(&self, most: usize, before: usize) {
        // A life begins when its token is asked for, which is a little before it is given out.
        let window = LIFETIME.checked_sub(Duration::from_secs(1)).unwrap();
        let issued = self.issued();
        let within = |first: &Duration| issued.iter().filter(|at| *at >= first && **at < *first + window).count();
        assert!(issued[before..].iter().all(|at| within(at) <= most), "more than {most} in a lifetime: {issued:?}");
    }

    fn says(&self, worker: usize, words: &str) -> bool {
        self.sites[worker].log().contains(words)
    }

    fn end(mut self) {
        for worker in &mut self.workers {
            assert_eq!(terminate(worker), Some(0));
        }
        for site in &self.sites {
            let log = site.log();
            assert!(!has_token(&log) && !log.contains("canary"), "{log}");
        }
    }
}

/// Whether the text has what begins as the sandbox's tokens do. A time may have these digits in its midst.
fn has_token(text: &str) -> bool {
    let is_inner = |at: usize| text[..at].ends_with(|c: char| c.is_ascii_digit() || c == '.');
    text.match_indices("0801").any(|(at, _)| !is_inner(at))
}

#[test]
fn a_token_is_told_from_a_time() {
    assert!(has_token(r#"{"access_token":"0801121abc"}"#) && has_token("token=0801121abc"));
    assert!(!has_token(r#"{"timestamp":"2026-11-26T00:54:19.080110Z"}"#) && !has_token("00:54:19.120801Z"));
}

#[test]
fn real_kafka_a_fleet_of_eight_shares_its_tokens_and_one_killed_fetcher_costs_no_more_than_one() {
    let Some(kafka) = RealKafka::shared() else { return };
    let mut fleet = Fleet::start(kafka);
    let all_have_one = |fleet: &Fleet| {
        (0..WORKERS).all(|worker| fleet.sites[worker].get("/readyz").is_some_and(|(status, _)| status == 200))
    };
    fleet.until("all are ready", Duration::from_secs(100), all_have_one);
    fleet.for_a_while(LIFETIME);
    fleet.at_most(2, 0);
    assert!(fleet.issued().len() >= 2, "tokens are renewed: {:?}", fleet.issued());
    assert_eq!(fleet.refused_for_their_token(), 0, "{:?}", fleet.sandbox.report().err_codes);

    let killed = fleet.fetcher();
    fleet.workers[killed].kill().unwrap();
    fleet.workers[killed].wait().unwrap();
    fleet.for_a_while(LIFETIME / 2);
    fleet.workers[killed] = fleet.spawn(killed);
    fleet.for_a_while(LIFETIME / 2);
    fleet.at_most(3, 0);
    assert_eq!(fleet.refused_for_their_token(), 0, "{:?}", fleet.sandbox.report().err_codes);
    let report = fleet.sandbox.report();
    assert!(report.applied > 1_000, "{}", report.applied);
    fleet.end();
}

/// The topic of shared tokens is deleted under eight workers. The log says so, they make it anew, the token at hand goes on,
/// nobody fetches for itself, and they share as before.
#[test]
fn real_kafka_a_fleet_whose_token_topic_is_deleted_says_so_and_shares_again_when_it_is_back() {
    let Some(kafka) = RealKafka::shared() else { return };
    let mut fleet = Fleet::start(kafka);
    fleet.until("pushes are taken", Duration::from_secs(100), |fleet| fleet.sandbox.report().applied > 500);
    let tokens = format!("{}.tokens", fleet.group);
    kafka.delete(&tokens);
    let (applied, issued) = (fleet.sandbox.report().applied, fleet.issued().len());
    for words in ["was deleted; this worker makes it anew", "the topic of shared tokens is there again"] {
        fleet.until(words, Duration::from_secs(15), |fleet| (0..WORKERS).any(|worker| fleet.says(worker, words)));
    }
    assert!(fleet.sandbox.report().applied > applied + 100, "the token at hand goes on");
    assert!(fleet.issued().len() <= issued + 1, "nobody fetches for itself: {:?}", fleet.issued());

    let back = fleet.issued().len();
    fleet.until("a token comes", Duration::from_secs(100), |fleet| fleet.issued().len() > back);
    // What was under way when the old one ended is refused, and that is all.
    fleet.for_a_while(Duration::from_secs(3));
    let refused = fleet.refused_for_their_token();
    assert!(refused < 50, "{refused}");
    let before: Vec<String> = fleet.sites.iter().map(Site::log).collect();
    fleet.for_a_while(LIFETIME * 3 / 2);
    fleet.at_most(2, back);
    assert_eq!(fleet.refused_for_their_token(), refused, "{:?}", fleet.sandbox.report().err_codes);
    // All but who fetched have tokens from the others again.
    let words = "took over an access token from the group";
    let heard = |(site, log): &(&Site, &String)| site.log().matches(words).count() > log.matches(words).count();
    let heard = fleet.sites.iter().zip(&before).filter(heard).count();
    assert!(heard >= WORKERS - 2, "{heard} have heard of a new token");
    fleet.end();
}
