//! What a world is made with: the settings that tests change, and an engine over them.

use std::sync::Arc;
use std::time::Duration;

use order_sync::douyin::table::OutcomeTable;
use order_sync::order::event::EventRules;
use order_sync::order::{AppId, TimeUnit};
use order_sync::retry::RetryPolicy;
use order_sync::sync::IntakeBudget;
use order_sync::sync::circuit::CircuitRules;
use order_sync::sync::command_ports::CommandFeed;
use order_sync::sync::engine::{Engine, Ports};
use order_sync::sync::ports::StateReader;
use order_sync::sync::rules::{AppRules, End, RetentionRules, Rules};
use order_sync::sync::status::StatusBoard;
use order_sync::telemetry::Meters;

use super::fakes::{Edge, TinyMapper};

/// Settings of a world; the rest is as in production.
pub struct Scene {
    pub apps: Vec<&'static str>,
    pub max_in_flight: usize,
    pub max_lanes: usize,
    pub max_owed: usize,
    pub max_buffered_bytes: usize,
    pub commit_interval: Duration,
    pub end: End,
    pub give_up_after: Duration,
    pub shutdown_timeout: Duration,
    /// When orders leave.
    pub retention: Option<RetentionRules>,
    /// Where the truth is.
    pub truth: Truth,
}

/// Where committed state lives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// In the store.
    Store,
    /// In the changelog: partitions are restored first.
    Changelog,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            apps: vec!["tt1"],
            max_in_flight: 256,
            max_lanes: 100_000,
            max_owed: 1_000_000,
            max_buffered_bytes: 64 << 20,
            commit_interval: Duration::from_millis(100),
            end: End::WhenTold,
            give_up_after: Duration::from_secs(900),
            shutdown_timeout: Duration::from_secs(10),
            retention: None,
            truth: Truth::Store,
        }
    }
}

/// The engine over any store and a hand-held edge.
pub fn engine(
    scene: &Scene,
    reader: Arc<dyn StateReader>,
    edge: Edge,
    budget: Arc<IntakeBudget>,
    meters: Meters,
    board: Arc<StatusBoard>,
) -> Engine {
    let rules = Rules {
        group: "g".into(),
        event: EventRules { apps: scene.apps.iter().map(|id| AppId::new(*id)).collect(), max_clock_skew_ms: 600_000 },
        apps: scene.apps.iter().map(|id| AppRules { app_id: AppId::new(*id), unit: TimeUnit::Seconds }).collect(),
        mapper: Arc::new(TinyMapper),
        settings: None,
        outcomes: Arc::new(OutcomeTable::built_in().unwrap()),
        retry: RetryPolicy::new(Duration::from_millis(200), Duration::from_secs(60)),
        circuit: CircuitRules {
            window: Duration::from_secs(30),
            failed_orders: 5,
            failed_attempts: 20,
            probe: RetryPolicy::new(Duration::from_secs(1), Duration::from_secs(10)),
            ramp_interval: Duration::from_secs(1),
            suspended_probe_interval: Duration::from_secs(60),
            rejected_orders: 20,
            partial_orders: 20,
            partial_percent: 1,
        },
        give_up_after: scene.give_up_after,
        max_in_flight: scene.max_in_flight,
        max_lanes: scene.max_lanes,
        max_owed: scene.max_owed,
        max_buffered_bytes: scene.max_buffered_bytes,
        commit_interval: scene.commit_interval,
        revoke_timeout: Duration::from_secs(10),
        shutdown_timeout: scene.shutdown_timeout,
        requests_per_second: None,
        retention: scene.retention.clone(),
        end: scene.end,
    };
    let ports = Ports {
        reader,
        sweeper: Some(Box::new(edge.clone())),
        intake: Box::new(edge.clone()),
        attempts: Box::new(edge.clone()),
        commits: Box::new(edge.clone()),
        commands: (scene.truth == Truth::Changelog).then(|| Box::new(edge.clone()) as Box<dyn CommandFeed>),
        membership: match scene.truth {
            Truth::Store => None,
            Truth::Changelog => Some(Box::new(edge.clone())),
        },
        restore: match scene.truth {
            Truth::Store => None,
            Truth::Changelog => Some(Box::new(edge)),
        },
        budget,
    };
    Engine::new(rules, ports, meters, fastrand::Rng::with_seed(7), board)
}
