//! A platform that keeps the greatest stamp of each order, behind a network that loses requests and answers.

use std::collections::BTreeMap;
use std::time::Duration;

use order_sync::douyin::verdict::{Answer, Break, Exchange};
use order_sync::sync::ports::{AttemptStart, Input, Ticket, TokenGeneration};

use super::audit::{Audit, Push};
use super::plant::Plant;
use super::tokens::Tokens;

/// A failure that may pass.
const BUSY: &str = r#"{"err_code":-1,"err_msg":"busy","body":""}"#;

/// How the platform is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Everything is answered at once.
    Fair,
    /// One in five fails, one way or another; some take long.
    Faults,
    /// Nothing is taken.
    Outage,
    /// The orders of this partition are not taken, and one in ten of the others fails.
    Partial(usize),
}

/// Who sends: a worker's life, and the assignment that the order's partition came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sender {
    pub(crate) worker: usize,
    pub(crate) life: u64,
    pub(crate) epoch: u64,
}

struct Flight {
    sender: Sender,
    ticket: Ticket,
    token: u64,
    push: Push,
    /// When it arrives and is taken, where it does and has not.
    arrives: Option<Duration>,
    answers: Duration,
    latency: Duration,
    exchange: Exchange,
}

/// The platform.
pub(crate) struct Platform {
    pub(crate) weather: Weather,
    pub(crate) rng: fastrand::Rng,
    pub(crate) plant: Plant,
    pub(crate) tokens: Tokens,
    flights: Vec<Flight>,
    /// The newest stamp that each sender has sent of each order.
    newest: BTreeMap<(Sender, String), i64>,
}

/// What to do with a request.
enum Fate {
    /// Taken and answered.
    Taken,
    /// Taken, and the answer is lost.
    AnswerLost,
    /// Not taken; this comes back.
    NotTaken(Exchange),
}

pub(crate) fn answer(status: u16, body: &str) -> Exchange {
    Exchange::Answered(Answer { status, retry_after: None, body: body.as_bytes().to_vec() })
}

fn ok() -> Exchange {
    answer(200, r#"{"err_code":0,"err_msg":"","body":""}"#)
}

/// Order and stamp of a request that the simulation's mapper has made.
pub(crate) fn push_of(request: &[u8]) -> Push {
    let text = std::str::from_utf8(request).unwrap();
    let behind = |mark: &str| &text[text.find(mark).unwrap() + mark.len()..];
    let order = behind("\"order_id\":\"").split('"').next().unwrap();
    let stamp = behind("\"update_time\":").split([',', '}']).next().unwrap();
    (order.to_owned(), stamp.parse().unwrap())
}

/// The partition of an order, by its name.
pub(crate) fn partition_of(order: &str) -> usize {
    order[1..].split('-').next().unwrap().parse().unwrap()
}

impl Platform {
    pub(crate) fn new(rng: fastrand::Rng, plant: Plant, tokens: Tokens) -> Self {
        Self { weather: Weather::Fair, rng, plant, tokens, flights: Vec::new(), newest: BTreeMap::new() }
    }

    /// A worker sends a request, with this token.
    pub(crate) fn send(
        &mut self,
        sender: Sender,
        attempt: &AttemptStart,
        token: u64,
        now: Duration,
        audit: &mut Audit,
    ) {
        let push = push_of(&attempt.request);
        audit.sent(sender.worker, &push, &attempt.request);
        let process = |sender: Sender| (sender.worker, sender.life);
        if self.flights.iter().any(|flight| process(flight.sender) == process(sender) && flight.push.0 == push.0) {
            audit.fault(format!("{push:?} is sent while another push of its order is under way"));
        }
        let newest = self.newest.entry((sender, push.0.clone())).or_insert(push.1);
        if push.1 < *newest {
            audit.fault(format!("{push:?} is sent after {newest}"));
        }
        *newest = push.1;
        let refusal = match audit.never(&push) {
            _ if self.tokens.refuses(token, now, audit) => {
                Some(r#"{"err_code":40002,"err_msg":"access_token","body":""}"#)
            }
            Some("rejected_by_platform") => Some(r#"{"err_code":40003,"err_msg":"openid","body":""}"#),
            Some(_) => Some(BUSY),
            None => None,
        };
        let fate = match (self.fate(partition_of(&push.0)), refusal) {
            (Fate::Taken, Some(body)) => Fate::NotTaken(answer(200, body)),
            (Fate::AnswerLost, Some(_)) => Fate::NotTaken(Exchange::Broken(Break::Timeout)),
            (fate, _) => fate,
        };
        let latency = match (self.weather, self.rng.u8(..10)) {
            (Weather::Fair, _) => Duration::from_millis(self.rng.u64(1..20)),
            (_, 0) => Duration::from_millis(self.rng.u64(500..5000)),
            _ => Duration::from_millis(self.rng.u64(1..200)),
        };
        let (exchange, is_taken) = match fate {
            Fate::Taken => (ok(), true),
            Fate::AnswerLost => (Exchange::Broken(Break::Timeout), true),
            Fate::NotTaken(_) if self.plant == Plant::FailureIsAcceptance => (ok(), false),
            Fate::NotTaken(exchange) => (exchange, false),
        };
        let arrives = is_taken.then(|| now + latency.mul_f64(self.rng.f64()));
        let (ticket, answers) = (attempt.ticket, now + latency);
        self.flights.push(Flight { sender, ticket, token, push, arrives, answers, latency, exchange });
    }

    /// A worker fetches a token; nobody answers while nothing is taken.
    pub(crate) fn token(&mut self, now: Duration) -> Option<(u64, Duration)> {
        (self.weather != Weather::Outage).then(|| self.tokens.give(now))
    }

    fn fate(&mut self, partition: usize) -> Fate {
        let one_in = match self.weather {
            Weather::Fair => return Fate::Taken,
            Weather::Faults => 5,
            Weather::Outage => 1,
            Weather::Partial(away) if away == partition => 1,
            Weather::Partial(_) => 10,
        };
        if self.rng.u8(..one_in) != 0 {
            return Fate::Taken;
        }
        match self.rng.u8(..5) {
            0 => Fate::NotTaken(answer(503, "")),
            1 => Fate::NotTaken(Exchange::Broken(Break::Connect)),
            2 => Fate::NotTaken(Exchange::Broken(Break::Timeout)),
            3 if one_in > 1 => Fate::AnswerLost,
            _ => Fate::NotTaken(answer(200, BUSY)),
        }
    }

    /// What has arrived by `now` is taken.
    pub(crate) fn tick(&mut self, now: Duration, audit: &mut Audit) {
        let mut due: Vec<&mut Flight> =
            self.flights.iter_mut().filter(|f| f.arrives.is_some_and(|at| at <= now)).collect();
        due.sort_by_key(|flight| flight.arrives);
        for flight in due {
            flight.arrives = None;
            audit.taken(&flight.push);
        }
    }

    /// The answers for a worker's life that are there by `now`.
    pub(crate) fn answers(&mut self, worker: usize, life: u64, now: Duration) -> Vec<Input> {
        let due = |f: &mut Flight| (f.sender.worker, f.sender.life) == (worker, life) && f.answers <= now;
        let told = |Flight { ticket, token, exchange, latency, .. }: Flight| {
            let token = TokenGeneration(token);
            Input::Attempted { ticket, token, exchange, latency }
        };
        self.flights.extract_if(.., due).map(told).collect()
    }

    /// When the next thing happens.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.flights.iter().map(|flight| flight.arrives.unwrap_or(flight.answers)).min()
    }

    /// Nobody waits for the answers of this life any more; what is on its way arrives all the same.
    pub(crate) fn forget(&mut self, worker: usize, life: u64) {
        self.flights.retain(|f| (f.sender.worker, f.sender.life) != (worker, life) || f.arrives.is_some());
    }
}
