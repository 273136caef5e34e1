//! By which settings a log that does not say it may have been written: today's, and every other choice of what changes a
//! request.

use std::time::Duration;

use crate::app::settings;
use crate::config::{Config, GoodsEntryType, RETAIN_MIN, StartFrom, TextLimit, TicketLists};
use crate::douyin::Mapper;
use crate::inspect::{Start, VerifyRules};
use crate::order::MapOrder;

/// How much the clocks of workers and brokers may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(86_400);

/// Today's mapping first, then the others.
pub(in crate::cli) fn mappers(config: &Config) -> Vec<Mapper> {
    let mut all = vec![settings::mapper(config)];
    for text in [TextLimit::Truncate, TextLimit::Strict] {
        for ticket_lists in [TicketLists::Text, TicketLists::Array] {
            for goods_entry_type in [GoodsEntryType::String, GoodsEntryType::Integer] {
                let mut other = config.clone();
                other.limits.text = text;
                (other.douyin.ticket_lists, other.douyin.goods_entry_type) = (ticket_lists, goods_entry_type);
                all.push(settings::mapper(&other));
            }
        }
    }
    all
}

/// The rules of the account.
pub(super) fn rules<'m>(config: &Config, mappers: &'m [Mapper]) -> VerifyRules<'m> {
    VerifyRules {
        events: settings::event_rules(config),
        units: settings::units(config),
        mappers: mappers.iter().map(|mapper| mapper as &dyn MapOrder).collect(),
        mapping: |settings| Box::new(Mapper::new(settings.map_settings())),
        start: match config.kafka.start_from {
            StartFrom::Earliest => Start::Beginning,
            StartFrom::Latest | StartFrom::Time(_) => Start::Later,
        },
        // Whatever it was set to; clocks may differ by a day.
        statuses_stay_ms: i64::try_from(RETAIN_MIN.saturating_sub(CLOCKS_DIFFER).as_millis()).unwrap_or(i64::MAX),
    }
}
