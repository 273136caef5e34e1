//! Turns the validated settings into what each room wants to be told. No room but this one knows both sides.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{self, Config};
use crate::douyin::table::TableError;
use crate::douyin::{GoodsEntryType, Mapper, OutcomeTable, TextPolicy, TicketLists, UserRule};
use crate::order::event::EventRules;
use crate::order::{AppId, TimeUnit};
use crate::retry::RetryPolicy;
use crate::sync::circuit::CircuitRules;
use crate::sync::fold_settings::{AppFolding, FoldSettings, FoldedBy};
use crate::sync::rules::{AppRules, End, RetentionRules, Rules};

/// Orders of one app in memory, some 20 MB: enough for any rate, and little enough for an app that waits for days.
const MAX_LANES: usize = 100_000;

/// What the fold depends on. Decoder, units and mapping come from it and from nothing else.
pub fn fold_settings(config: &Config) -> FoldSettings {
    let app = |app: &config::App| AppFolding {
        update_time_unit: app.update_time_unit,
        client_key: app.client_key.as_deref().map(Into::into),
        order_types: app.order_types.clone(),
    };
    FoldSettings {
        release: env!("CARGO_PKG_VERSION").into(),
        max_clock_skew_ms: i64::try_from(config.limits.max_clock_skew.as_millis()).unwrap_or(i64::MAX),
        text: match config.limits.text {
            config::TextLimit::Truncate => TextPolicy::Truncate,
            config::TextLimit::Strict => TextPolicy::Strict,
        },
        ticket_lists: match config.douyin.ticket_lists {
            config::TicketLists::Text => TicketLists::Text,
            config::TicketLists::Array => TicketLists::Array,
        },
        goods_entry_type: match config.douyin.goods_entry_type {
            config::GoodsEntryType::String => GoodsEntryType::String,
            config::GoodsEntryType::Integer => GoodsEntryType::Integer,
        },
        apps: config.apps.iter().map(|row| (row.app_id.clone(), app(row))).collect(),
    }
}

/// How events are decoded.
pub fn event_rules(config: &Config) -> EventRules {
    fold_settings(config).event_rules()
}

/// How merged orders become requests.
pub fn mapper(config: &Config) -> Mapper {
    Mapper::new(fold_settings(config).map_settings())
}

/// How answers are judged: the user's rules, then the built-in ones.
pub fn outcomes(config: &Config) -> Result<OutcomeTable, TableError> {
    let rules: Vec<UserRule> = config
        .douyin
        .error_codes
        .iter()
        .map(|rule| UserRule {
            code: rule.code,
            message_contains: rule.message_contains.clone(),
            verdict: rule.verdict.clone(),
            meaning: rule.meaning.clone(),
        })
        .collect();
    OutcomeTable::new(&rules)
}

/// The unit of each app's stamps.
pub fn units(config: &Config) -> BTreeMap<AppId, TimeUnit> {
    fold_settings(config).units()
}

/// When an app's deliveries wait as a whole.
fn circuit(config: &Config) -> CircuitRules {
    let circuit = &config.circuit;
    CircuitRules {
        window: circuit.window,
        failed_orders: circuit.failed_orders,
        failed_attempts: circuit.failed_attempts,
        probe: RetryPolicy::new(circuit.probe_initial_interval, circuit.probe_max_interval),
        ramp_interval: circuit.ramp_interval,
        suspended_probe_interval: circuit.suspended_probe_interval,
        rejected_orders: circuit.rejected_orders,
        partial_orders: circuit.partial_orders,
        partial_percent: circuit.partial_percent,
    }
}

/// Everything the engine is told once.
pub fn rules(config: &Config, outcomes: Arc<OutcomeTable>, end: End) -> Rules {
    let delivery = &config.delivery;
    Rules {
        group: Arc::from(config.kafka.group_id.as_str()),
        event: event_rules(config),
        apps: config
            .apps
            .iter()
            .map(|app| AppRules { app_id: app.app_id.clone(), unit: app.update_time_unit })
            .collect(),
        mapper: Arc::new(mapper(config)),
        // Nothing keeps them where there is no changelog.
        settings: config.kafka.exactly_once.then(|| FoldedBy::new(fold_settings(config))),
        outcomes,
        retry: RetryPolicy::new(delivery.initial_interval, delivery.max_interval),
        circuit: circuit(config),
        give_up_after: delivery.give_up_after,
        max_in_flight: delivery.max_in_flight,
        max_lanes: MAX_LANES,
        max_owed: delivery.max_owed,
        retention: config.store.retain.map(RetentionRules::new),
        max_buffered_bytes: delivery.max_buffered_bytes,
        commit_interval: config.kafka.commit_interval,
        revoke_timeout: config.kafka.revoke_timeout,
        shutdown_timeout: config.shutdown_timeout,
        requests_per_second: delivery.requests_per_second,
        end,
    }
}
