//! A running sandbox, held from the same process: the oracle of tests and of the demo.
//!
//! It reads what the order centre keeps and sets faults; it changes no order.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::fault_plan::Faults;
use super::gate::Gate;
use super::history::{OrderView, Received};
use super::options::{Error, SandboxOptions};
use super::outage::Outage;
use super::report::Report;
use super::server;
use super::state::State;

/// The strict fake Douyin.
pub struct Sandbox;

/// A running sandbox. Dropping it ends it.
pub struct SandboxHandle {
    state: Arc<State>,
    address: SocketAddr,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

impl Sandbox {
    /// Listens and serves on threads of its own; it needs no async runtime and may be called within one.
    #[expect(clippy::needless_pass_by_value, reason = "a sandbox takes its options over, secrets included")]
    pub fn start(options: SandboxOptions) -> Result<SandboxHandle, Error> {
        if !options.listen.ip().is_loopback() && !options.allow_public {
            return Err(Error::Public(options.listen));
        }
        let event_loop = server::event_loop().map_err(Error::Threads)?;
        let gate = {
            let _within = event_loop.enter();
            Gate::open(options.listen)
        };
        let gate = match gate {
            Ok(gate) => gate,
            Err(source) => {
                // A plain drop would wait, which async callers must not.
                event_loop.shutdown_background();
                return Err(Error::Listen { address: options.listen, source });
            }
        };
        let address = gate.address();
        let state = Arc::new(State::new(&options));
        let stop = CancellationToken::new();
        match server::start(&state, event_loop, gate, options.threads, &stop) {
            Ok(threads) => Ok(SandboxHandle { state, address, stop, threads }),
            Err(error) => {
                stop.cancel();
                Err(Error::Threads(error))
            }
        }
    }
}

impl SandboxHandle {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://ADDRESS`, for `douyin.base_url`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What happened since the start or the last reset.
    pub fn report(&self) -> Report {
        Report::of(&self.state)
    }

    /// Every order, sorted by app and number.
    pub fn orders(&self) -> Vec<OrderView> {
        let mut orders = self.state.centre.orders(|app| self.state.app_id(app));
        orders.sort_unstable_by(|a, b| (&a.app_id, &a.order_id).cmp(&(&b.app_id, &b.order_id)));
        orders
    }

    /// One order, as soon as a push of it came with a token of that app.
    pub fn order(&self, app_id: &str, order_id: &str) -> Option<OrderView> {
        self.state.centre.order(&self.state.order_name(app_id, order_id)?)
    }

    /// What is remembered of an order's pushes, oldest first, with their exact bodies but for the token.
    pub fn history(&self, app_id: &str, order_id: &str) -> Vec<Received> {
        let name = self.state.order_name(app_id, order_id);
        name.map(|name| self.state.centre.history(&name)).unwrap_or_default()
    }

    /// The log id of the answer to the n-th push of an order, counted from 0; none where answers carry none.
    pub fn log_id(&self, app_id: &str, order_id: &str, n: u64) -> Option<String> {
        self.state.log_id(app_id, order_id, n)
    }

    /// Replaces all faults; the default is none.
    pub fn set_faults(&self, faults: Faults) {
        self.state.set_faults(faults);
    }

    /// Replaces all outages, counted from now; an empty list ends them.
    pub fn set_outages(&self, outages: &[Outage]) {
        self.state.set_outages(outages);
    }

    /// Kills the living tokens of an app, or of all, and says how many they were.
    pub fn evict_tokens(&self, app_id: Option<&str>) -> usize {
        let now_ms = self.state.clock.now_ms();
        self.state.tokens.write().unwrap_or_else(PoisonError::into_inner).evict_all(app_id, now_ms)
    }

    /// Moves the sandbox's clock ahead: tokens age, outages come and pass.
    pub fn advance_clock(&self, by: Duration) {
        self.state.clock.advance(by);
        self.state.outages_changed.notify_one();
    }

    /// Forgets orders, history, counts and violations; tokens, faults and outages stay.
    pub fn reset(&self) {
        self.state.reset();
    }

    /// Ends it and waits for its threads; open connections are closed. Dropping the handle does the same.
    pub fn stop(self) {}
}

impl Drop for SandboxHandle {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            // A thread that panicked has printed why.
            drop(thread.join());
        }
    }
}
