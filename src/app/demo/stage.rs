//! The demo's stage: embedded broker, sandbox, worker and the log, and how the log is played.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::expect::{Expected, expect};
use super::log::{LogRecord, LogSpec, generate};
use crate::app::worker::{Worker, WorkerOptions, wall_ms};
use crate::config::Config;
use crate::kafka::embedded::EmbeddedBroker;
use crate::sandbox::{Faults, Sandbox, SandboxHandle, SandboxOptions};
use crate::sync::rules::End;
use crate::telemetry::Meters;

/// The demo's source topic.
pub const TOPIC: &str = "shop.orders";
/// Its partitions. The embedded broker keeps 5 MiB of each and drops older records in silence.
pub const PARTITIONS: i32 = 12;
/// Orders that the platform refuses for good, so that dead letters of deliveries are seen, too.
const REFUSED_ORDERS: usize = 5;
/// One event in so many has a dirty record behind it.
const ONE_DIRTY_IN: usize = 40;
/// A little of what real platforms do: faults that pass, answers that get lost after the push was taken.
const WEATHER: &str = "code:-1=1%,http:503=1%,reset+applied=1%";

/// What a demo is made of.
#[derive(Clone, Debug)]
pub struct DemoSpec {
    /// How many orders live in the log.
    pub orders: usize,
    /// The same seed gives the same log.
    pub seed: u64,
}

/// The demo cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The broker or a client of it.
    #[error("the embedded broker failed")]
    Broker(#[from] crate::sync::ports::PortError),
    /// The sandbox.
    #[error("the sandbox does not start")]
    Sandbox(#[from] crate::sandbox::Error),
    /// A thread cannot be had.
    #[error("the worker's thread does not start")]
    Thread(#[from] std::io::Error),
    /// A fault rule of the demo's own.
    #[error("the demo's own fault rule is wrong: {0}")]
    Fault(String),
}

/// Everything that is up during a demo. The worker goes before the broker: its clients must not outlive it.
pub struct Stage {
    /// The worker.
    pub worker: Worker,
    /// Where the worker counts.
    pub meters: Meters,
    /// The platform.
    pub sandbox: SandboxHandle,
    /// The settings in force.
    pub config: Arc<Config>,
    /// The log.
    pub log: Arc<Vec<LogRecord>>,
    /// What it must come to.
    pub expected: Expected,
    /// Orders that the platform refuses for good.
    pub refused: BTreeSet<String>,
    /// The broker; last, so that it is dropped last.
    pub broker: EmbeddedBroker,
}

/// Starts the broker and the sandbox; the settings need their addresses.
pub fn broker_and_sandbox(spec: &DemoSpec) -> Result<(EmbeddedBroker, SandboxHandle), StageError> {
    let broker = EmbeddedBroker::start(&[(TOPIC, PARTITIONS), ("order-sync-demo.dead-letters", PARTITIONS)])?;
    let sandbox = Sandbox::start(SandboxOptions { seed: spec.seed, ..SandboxOptions::default() })?;
    Ok((broker, sandbox))
}

impl Stage {
    /// Writes the log, folds it in memory, and starts the worker.
    pub fn set(
        spec: &DemoSpec,
        config: Config,
        broker: EmbeddedBroker,
        sandbox: SandboxHandle,
        runtime: Handle,
    ) -> Result<Self, StageError> {
        let config = Arc::new(config);
        let log = generate(&LogSpec {
            seed: spec.seed,
            orders: spec.orders,
            apps: config.apps.iter().map(|app| app.app_id.clone()).collect(),
            one_dirty_in: ONE_DIRTY_IN,
            begins_at: wall_ms() - 3 * 86_400_000,
        });
        let expected = expect(&config, &log, wall_ms());
        let refused = refused(&expected, spec.orders);
        sandbox.set_faults(faults(&refused)?);
        let meters = Meters::new();
        let options = WorkerOptions { config: Arc::clone(&config), end: End::WhenTold, meters: meters.clone() };
        let worker = Worker::start(options, runtime)?;
        Ok(Self { worker, meters, sandbox, config, log: Arc::new(log), expected, refused, broker })
    }

    /// How many pushes the platform must have applied in the end.
    pub fn pushes_to_apply(&self) -> usize {
        let refused = |order: &str| self.refused.contains(order);
        let pushes = self.expected.orders.iter().filter(|(id, _)| !refused(&id.order_id)).map(|(_, p)| p.len());
        pushes.sum()
    }
}

/// A few orders, spread over the log. An event that changes nothing would owe a refused state again or not, depending
/// on when it comes: orders with one are left out, so that the number of dead letters is certain.
fn refused(expected: &Expected, orders: usize) -> BTreeSet<String> {
    let certain = expected.orders.keys().filter(|identity| !expected.unchanged.contains(*identity));
    let stride = (orders / REFUSED_ORDERS / 2).max(1);
    certain.step_by(stride).take(REFUSED_ORDERS).map(|identity| identity.order_id.to_string()).collect()
}

/// The platform refuses these orders for good, and now and then fails for any.
fn faults(refused: &BTreeSet<String>) -> Result<Faults, StageError> {
    let mut faults = Faults::parse(WEATHER).map_err(StageError::Fault)?;
    let mut rules = Faults::default();
    for order in refused {
        rules.add(&format!("code:40003@{order}")).map_err(StageError::Fault)?;
    }
    // The first rule that hits decides: an order that is refused for good is refused every time.
    rules.rules.append(&mut faults.rules);
    Ok(rules)
}
