//! The mapping of `map`: as configured, or, where there are no settings, with every app taken as it comes.

use crate::app::settings;
use crate::config::Config;
use crate::douyin::{AppSettings, GoodsEntryType, MapSettings, Mapper, TextPolicy, TicketLists};
use crate::order::{AppId, Fault, MapInput, MapOrder, Mapped, OrderType};

/// Stands where a group coupon's or a ticket's `client_key` would.
pub(super) const CLIENT_KEY: &str = "(client_key)";

/// The mapping of `map`.
pub(super) enum Mapping {
    /// As configured.
    Configured(Box<Mapper>),
    /// The default settings, for whichever app.
    AnyApp,
}

impl Mapping {
    /// As `config` says.
    pub(super) fn configured(config: &Config) -> Self {
        Self::Configured(Box::new(settings::mapper(config)))
    }
}

impl MapOrder for Mapping {
    fn map(&self, input: &MapInput<'_>) -> Result<Mapped, Fault> {
        match self {
            Self::Configured(mapper) => mapper.map(input),
            Self::AnyApp => any_app(input.app_id).map(input),
        }
    }
}

fn any_app(app_id: &AppId) -> Mapper {
    Mapper::new(MapSettings {
        apps: vec![AppSettings {
            app_id: app_id.clone(),
            client_key: Some(CLIENT_KEY.to_owned()),
            order_types: OrderType::ALL.to_vec(),
        }],
        text: TextPolicy::Truncate,
        ticket_lists: TicketLists::Text,
        goods_entry_type: GoodsEntryType::String,
    })
}
