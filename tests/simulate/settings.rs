//! What a worker is told once, and what may be set anew between two of its lives.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use order_sync::douyin::table::OutcomeTable;
use order_sync::douyin::{GoodsEntryType, TextPolicy, TicketLists};
use order_sync::order::event::EventRules;
use order_sync::order::{AppId, OrderType, TimeUnit};
use order_sync::retry::RetryPolicy;
use order_sync::sync::circuit::CircuitRules;
use order_sync::sync::fold_settings::{AppFolding, FoldSettings, FoldedBy};
use order_sync::sync::rules::{AppRules, End, RetentionRules, Rules};
use order_sync::telemetry::Meters;

use super::edge::Mapper;
use super::script::RETAIN_MS;

/// What may be set anew between two lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) release: u32,
    pub(crate) max_in_flight: usize,
    pub(crate) max_lanes: usize,
    pub(crate) commit_interval: Duration,
    pub(crate) max_owed: usize,
    pub(crate) retains: bool,
    pub(crate) compacts: bool,
    pub(crate) give_up_after: Duration,
}

pub(crate) fn rules(settings: Settings) -> Rules {
    let app_id = AppId::new("tt1");
    Rules {
        group: "g".into(),
        event: EventRules { apps: vec![app_id.clone()], max_clock_skew_ms: 1_000_000_000 },
        apps: vec![AppRules { app_id, unit: TimeUnit::Seconds }],
        mapper: Arc::new(Mapper { release: settings.release }),
        settings: Some(FoldedBy::new(fold_settings(settings.release))),
        outcomes: outcomes(),
        retry: RetryPolicy::new(Duration::from_millis(200), Duration::from_secs(4)),
        // A world has few orders, and is to see the circuit open.
        circuit: CircuitRules {
            window: Duration::from_secs(30),
            failed_orders: 2,
            failed_attempts: 4,
            probe: RetryPolicy::new(Duration::from_secs(1), Duration::from_secs(4)),
            ramp_interval: Duration::from_secs(1),
            suspended_probe_interval: Duration::from_secs(60),
            rejected_orders: 20,
            partial_orders: 20,
            partial_percent: 1,
        },
        give_up_after: settings.give_up_after,
        max_in_flight: settings.max_in_flight,
        max_lanes: settings.max_lanes,
        max_owed: settings.max_owed,
        max_buffered_bytes: 64 << 20,
        commit_interval: settings.commit_interval,
        revoke_timeout: Duration::from_secs(10),
        shutdown_timeout: Duration::from_secs(10),
        requests_per_second: None,
        retention: settings.retains.then(|| RetentionRules {
            retain: Duration::from_millis(RETAIN_MS.unsigned_abs()),
            page_rows: 10,
            page_every: Duration::from_millis(50),
            pass_every: Duration::from_millis(200),
            judged_per_cut: 2,
        }),
        end: End::WhenTold,
    }
}

/// What is recorded of a life: its release, which its mapping says in every request.
fn fold_settings(release: u32) -> FoldSettings {
    let app =
        AppFolding { update_time_unit: TimeUnit::Seconds, client_key: None, order_types: OrderType::ALL.to_vec() };
    FoldSettings {
        release: release.to_string().into(),
        max_clock_skew_ms: 1_000_000_000,
        text: TextPolicy::Truncate,
        ticket_lists: TicketLists::Text,
        goods_entry_type: GoodsEntryType::String,
        apps: [(AppId::new("tt1"), app)].into(),
    }
}

/// The table of the platform's answers, read once for all worlds.
fn outcomes() -> Arc<OutcomeTable> {
    static TABLE: OnceLock<Arc<OutcomeTable>> = OnceLock::new();
    Arc::clone(TABLE.get_or_init(|| Arc::new(OutcomeTable::built_in().unwrap())))
}

/// One registry for all worlds: making one costs more than a short life.
pub(crate) fn meters() -> Meters {
    static METERS: OnceLock<Meters> = OnceLock::new();
    METERS.get_or_init(Meters::default).clone()
}
