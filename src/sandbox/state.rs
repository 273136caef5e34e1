//! What all connections of a sandbox share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;

use super::centre::{Centre, OrderName};
use super::chance::Chance;
use super::check::Remarks;
use super::clock::Clock;
use super::cpu::ThreadClock;
use super::fault_plan::Faults;
use super::options::{LogIds, SandboxOptions};
use super::outage::{Outage, OutageMode, Window};
use super::report::{RecentRefusal, RecentToken};
use super::token::TokenBook;

/// Refusals, and tokens that were given out, that are kept by name.
const RECENT: usize = 50;

/// The whole sandbox but its sockets.
pub(super) struct State {
    pub(super) clock: Clock,
    pub(super) centre: Centre,
    pub(super) tokens: RwLock<TokenBook>,
    pub(super) chance: Chance,
    log_ids: LogIds,
    pub(super) threads: Mutex<Vec<ThreadClock>>,
    /// Tells the listener that the outages are others now.
    pub(super) outages_changed: Notify,
    faults: RwLock<Arc<Faults>>,
    outages: RwLock<Vec<Window>>,
    tallies: Mutex<Tallies>,
    unattributed: AtomicU64,
    /// CPU time of the sandbox's own endpoints, nanoseconds: a page that watches is no cost of a push.
    watching_ns: AtomicU64,
}

/// Counts of what is rare, behind one lock.
#[derive(Clone, Debug, Default)]
pub(super) struct Tallies {
    pub(super) since_ms: u64,
    /// Calls by endpoint, pushes that reached the centre aside.
    pub(super) endpoints: BTreeMap<&'static str, u64>,
    pub(super) tokens_issued: BTreeMap<&'static str, u64>,
    pub(super) tokens: VecDeque<RecentToken>,
    pub(super) tokens_denied: u64,
    /// Pushes that could not be filed under an order, by HTTP status and `err_code`.
    pub(super) unattributed: BTreeMap<String, u64>,
    pub(super) faults: BTreeMap<Arc<str>, u64>,
    pub(super) long_rules: u64,
    pub(super) odd_images: u64,
    pub(super) refusals: VecDeque<RecentRefusal>,
    pub(super) cpu_at_reset: Duration,
}

impl State {
    pub(super) fn new(options: &SandboxOptions) -> Self {
        let clock = Clock::start();
        let chance = Chance::new(options.seed);
        let now_ms = clock.now_ms();
        // Tokens differ from run to run, as a restarted platform's would; nothing else does.
        let token_chance = chance.of(b"tokens").nth(now_ms);
        Self {
            centre: Centre::new(options.keep, options.memory_bytes),
            tokens: RwLock::new(TokenBook::new(
                &options.apps,
                options.token_lifetime,
                options.token_retirement,
                token_chance,
            )),
            chance,
            log_ids: options.log_ids,
            threads: Mutex::default(),
            outages_changed: Notify::new(),
            faults: RwLock::new(Arc::new(options.faults.clone())),
            outages: RwLock::new(options.outages.iter().map(|outage| outage.at(now_ms)).collect()),
            tallies: Mutex::new(Tallies { since_ms: now_ms, ..Tallies::default() }),
            unattributed: AtomicU64::new(0),
            watching_ns: AtomicU64::new(0),
            clock,
        }
    }

    pub(super) fn tallies(&self) -> MutexGuard<'_, Tallies> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self) -> Arc<Faults> {
        self.faults.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(faults);
    }

    pub(super) fn set_outages(&self, outages: &[Outage]) {
        let now_ms = self.clock.now_ms();
        let windows = outages.iter().map(|outage| outage.at(now_ms)).collect();
        *self.outages.write().unwrap_or_else(PoisonError::into_inner) = windows;
        self.outages_changed.notify_one();
    }

    /// The outage of this moment.
    pub(super) fn outage(&self) -> Option<OutageMode> {
        let outages = self.outages.read().unwrap_or_else(PoisonError::into_inner);
        if outages.is_empty() {
            return None;
        }
        let now_ms = self.clock.now_ms();
        outages.iter().find(|window| window.holds(now_ms)).map(|window| window.mode.clone())
    }

    /// All outages that are set, in words.
    pub(super) fn describe_outages(&self) -> Vec<String> {
        let now_ms = self.clock.now_ms();
        let outages = self.outages.read().unwrap_or_else(PoisonError::into_inner);
        outages.iter().map(|window| window.describe(now_ms)).collect()
    }

    pub(super) fn app_id(&self, app: usize) -> Arc<str> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).app_id(app)
    }

    /// An order by the names that people use; none for an app that is not known.
    pub(super) fn order_name(&self, app_id: &str, order_id: &str) -> Option<OrderName> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let app = tokens.app(app_id)?;
        Some(OrderName { app, app_id: tokens.app_id(app), order_id: order_id.into() })
    }

    /// The name of the answer to the n-th push of an order, counted from 0, where answers have names.
    pub(super) fn log_id(&self, app_id: &str, order_id: &str, n: u64) -> Option<String> {
        match self.log_ids {
            LogIds::None => None,
            LogIds::InExtra => {
                let chance = self.chance.of(b"log ids").of(app_id.as_bytes()).of(order_id.as_bytes()).nth(n);
                Some(format!("{:016X}{:016X}", chance.nth(0).bits(), chance.nth(1).bits()))
            }
        }
    }

    pub(super) fn count_endpoint(&self, endpoint: &'static str) {
        *self.tallies().endpoints.entry(endpoint).or_default() += 1;
    }

    /// Counts a push that belongs to no order.
    pub(super) fn count_unattributed(&self, what: String) -> u64 {
        *self.tallies().unattributed.entry(what).or_default() += 1;
        self.unattributed.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn count_remarks(&self, remarks: Remarks) {
        if remarks != Remarks::default() {
            let mut tallies = self.tallies();
            tallies.long_rules += remarks.long_rules;
            tallies.odd_images += remarks.odd_images;
        }
    }

    pub(super) fn remember_refusal(&self, refusal: RecentRefusal) {
        remember(&mut self.tallies().refusals, refusal);
    }

    /// CPU time of the serving threads since they began, but for what watching cost.
    pub(super) fn cpu(&self) -> Duration {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Duration = threads.iter().filter_map(ThreadClock::read).sum();
        all.saturating_sub(Duration::from_nanos(self.watching_ns.load(Ordering::Relaxed)))
    }

    /// Does something on this thread that is no cost of a push.
    pub(super) fn watched<T>(&self, work: impl FnOnce() -> T) -> T {
        let clock = ThreadClock::of_this_thread();
        let read = || clock.as_ref().and_then(ThreadClock::read).unwrap_or_default();
        let before = read();
        let result = work();
        let spent = read().saturating_sub(before);
        self.watching_ns.fetch_add(u64::try_from(spent.as_nanos()).unwrap_or_default(), Ordering::Relaxed);
        result
    }

    /// Forgets orders, history, counts and violations; tokens, faults and outages stay.
    pub(super) fn reset(&self) {
        let cpu_at_reset = self.cpu();
        self.centre.reset();
        *self.tallies() = Tallies { since_ms: self.clock.now_ms(), cpu_at_reset, ..Tallies::default() };
    }
}

/// The latest come last, and the oldest make room for them.
pub(super) fn remember<T>(recent: &mut VecDeque<T>, item: T) {
    if recent.len() >= RECENT {
        recent.pop_front();
    }
    recent.push_back(item);
}
